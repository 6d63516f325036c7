"""A session's speech recognition and synthesis: each is a task, until it is stopped or the session ends.

Recognition begins in a pause, of the turn so far.  If the turn ends there, its text is ready; if the caller goes on, the next pause has
a longer turn, and the recognition of the shorter one is stopped.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from realtime.codec import Codec
from realtime.mind import Voiced
from realtime.stage import Do
from voice.ears import HttpEars
from voice.metrics import STAGE_SECONDS
from voice.mouth import HttpMouth
from voice.stages import TellUse


class CascadeSenses:
    """The senses of one session; `language` is that of the caller, as ISO 639-1, or empty."""

    def __init__(self, ears: HttpEars, mouth: HttpMouth, tell: TellUse) -> None:
        self.language = ""
        self._ears, self._mouth, self._tell = ears, mouth, tell
        self._presumed: tuple[bytes, asyncio.Task[str]] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def utter(self, text: str, voice: str, codec: Codec, then: Callable[[Voiced | Exception], None]) -> Do:  # noqa: ARG002
        """Speak with the cascade's own voice."""
        task = self._spawn(_timed("mouth", self._mouth.utter(text, codec, self._tell)))
        task.add_done_callback(lambda done: _tell(done, then))
        return lambda: None if task.done() else _cancel(task)

    def presume(self, codec: Codec, audio: bytes) -> None:
        """Begin to recognize a turn that may be over."""
        self.forget()
        self._presumed = audio, self._spawn(_timed("ears", self._ears.hear(codec, audio, self.language, self._tell)))

    def forget(self) -> None:
        """Stop the recognition of a turn that went on."""
        presumed, self._presumed = self._presumed, None
        if presumed is not None:
            presumed[1].cancel()

    def hear(self, codec: Codec, audio: bytes, then: Callable[[str | Exception], None]) -> None:
        """Recognize a turn, of which all after the presumed part is silence."""
        presumed, self._presumed = self._presumed, None
        if presumed is not None and audio.startswith(presumed[0]):
            task = presumed[1]
        else:
            if presumed is not None:
                presumed[1].cancel()
            task = self._spawn(_timed("ears", self._ears.hear(codec, audio, self.language, self._tell)))
        task.add_done_callback(lambda done: _tell(done, then))

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
