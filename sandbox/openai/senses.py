"""Speech recognition and synthesis: real if available, else by the script and tones; awaited by REST, run as tasks by a session."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from realtime.codec import Codec
from realtime.mind import Voiced
from sandbox.openai import tones
from sandbox.openai.script import ScriptPlayer
from sandbox.openai.tones import Tones, voiced
from sandbox.speech import Speech, sound
from sandbox.speech.sound import Utterance


class SpeechSenses:
    def __init__(self, speech: Speech | None) -> None:
        self._speech = speech

    async def utter(self, text: str, voice: str, rate_hz: int) -> Utterance:
        if self._speech is not None:
            return await self._speech.utter(text, voice, rate_hz)
        return sound.tones(text, rate_hz)

    async def hear(self, codec: Codec, audio: bytes, player: ScriptPlayer) -> str:
        """Return the words in the audio."""
        if self._speech is not None:
            return await self._speech.hear(codec.decode(audio), codec.rate_hz)
        return tones.heard(player, codec.ms(len(audio)))


class SessionSenses(Tones):
    """A session's speech recognition and synthesis: each utterance is a task, until `close`."""

    def __init__(self, senses: SpeechSenses, player: ScriptPlayer) -> None:
        super().__init__(player)
        self._senses = senses
        self._tasks: set[asyncio.Task[None]] = set()

    def utter(self, text: str, voice: str, codec: Codec, then: Callable[[Voiced | Exception], None]) -> None:
        async def work() -> Voiced:
            return voiced(await self._senses.utter(text, voice, codec.rate_hz), codec)

        self._spawn(work, then)

    def hear(self, codec: Codec, audio: bytes, then: Callable[[str | Exception], None]) -> None:
        self._spawn(lambda: self._senses.hear(codec, audio, self._player), then)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Callable[[], Awaitable[Any]], then: Callable[[Any], None]) -> None:
        async def run() -> None:
            try:
                # The coroutine is made here: a task that is canceled before it runs leaves none unawaited.
                result = await work()
            # The waiting session gets the error as the result.
            except Exception as error:  # noqa: BLE001
                result = error
            then(result)

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
