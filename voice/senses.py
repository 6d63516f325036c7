"""A session's speech recognition and synthesis: each is a task, until it is stopped or the session ends.

Recognition begins in a pause, of the turn so far.  If the turn ends there, its text is ready; if the caller goes on, the next pause has
a longer turn, and the recognition of the shorter one is stopped.  What is longer than `PIECE_MS` stands: only what follows is recognized
then, so that a caller who speaks for minutes costs a server each second about once, and waits for the last piece alone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from realtime.codec import Codec
from realtime.mind import Voiced
from realtime.stage import Do
from voice.ears import HttpEars
from voice.metrics import STAGE_SECONDS
from voice.mouth import HttpMouth
from voice.stages import StageFailed, TellUse

PIECE_MS = 10_000


@dataclass(frozen=True, slots=True)
class Presumed:
    """A turn as far as it had come in a pause, and its text; `before` is the part of it that was recognized by itself."""

    audio: bytes
    before: "Presumed | None"
    text: "asyncio.Task[str]"


class CascadeSenses:
    """The senses of one session; `language` is that of the caller, as ISO 639-1, or empty."""

    def __init__(self, ears: HttpEars, mouth: HttpMouth, tell: TellUse) -> None:
        self.language = ""
        self._ears, self._mouth, self._tell = ears, mouth, tell
        self._presumed: Presumed | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def utter(self, text: str, voice: str, codec: Codec, then: Callable[[Voiced | Exception], None]) -> Do:  # noqa: ARG002
        """Speak with the cascade's own voice."""
        task = self._spawn(_timed("mouth", self._mouth.utter(text, codec, self.language, self._tell)))
        task.add_done_callback(lambda done: _tell(done, then))
        return lambda: None if task.done() else _cancel(task)

    def presume(self, codec: Codec, audio: bytes) -> None:
        """Begin to recognize a turn that may be over."""
        self._presumed = self._begin(codec, audio)

    def forget(self) -> None:
        """Stop the recognition of a turn that is none any more."""
        presumed, self._presumed = self._presumed, None
        while presumed is not None:
            presumed.text.cancel()
            presumed = presumed.before

    def hear(self, codec: Codec, audio: bytes, then: Callable[[str | Exception], None]) -> None:
        """Recognize a turn, of which all after the presumed part is silence."""
        if self._presumed is None or not audio.startswith(self._presumed.audio):
            self._presumed = self._begin(codec, audio)
        presumed, self._presumed = self._presumed, None
        presumed.text.add_done_callback(lambda done: _tell(done, then))

    def _begin(self, codec: Codec, audio: bytes) -> Presumed:
        before = self._kept(codec, audio)
        return Presumed(audio, before, self._spawn(_timed("ears", self._words(codec, audio, before))))

    def _kept(self, codec: Codec, audio: bytes) -> Presumed | None:
        """Return the part of a turn that is recognized already, or soon; stop a recognition that the turn has outgrown."""
        last = self._presumed
        if last is None or not audio.startswith(last.audio):
            self.forget()
            return None
        begins = len(last.before.audio) if last.before is not None else 0
        if codec.ms(len(last.audio) - begins) >= PIECE_MS and not _has_failed(last.text):
            return last
        last.text.cancel()
        return last.before

    async def _words(self, codec: Codec, audio: bytes, before: Presumed | None) -> str:
        """Recognize what follows the part before; all of it, if that has failed.  Raises StageFailed."""
        if before is not None:
            later = asyncio.ensure_future(self._ears.hear(codec, audio[len(before.audio) :], self.language, self._tell))
            try:
                return " ".join(filter(None, await asyncio.gather(asyncio.shield(before.text), later)))
            except StageFailed:
                later.cancel()
        return await self._ears.hear(codec, audio, self.language, self._tell)

    async def close(self) -> None:
        """Stop everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Awaitable[Any]) -> "asyncio.Task[Any]":
        task = asyncio.ensure_future(work)
        assert isinstance(task, asyncio.Task)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _has_failed(task: "asyncio.Task[str]") -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)


def _cancel(task: "asyncio.Task[Any]") -> None:
    task.cancel()


def _tell(done: "asyncio.Task[Any]", then: Callable[[Any], None]) -> None:
    if not done.cancelled():
        error = done.exception()
        then(done.result() if error is None else error)


async def _timed(stage: str, work: Awaitable[Any]) -> Any:
    loop = asyncio.get_running_loop()
    began = loop.time()
    result = await work
    STAGE_SECONDS.labels(stage).observe(loop.time() - began)
    return result
