"""What the agent says on its way out: audio and marks in order, 20 ms at a time.  Pure.

The RTP clock is the playout clock: what was handed to the network will be heard, and what was not can still be discarded.  So
a frame counts as played in the 20 ms that follow, whatever comes meanwhile, and a mark is back

- after the frame in which the audio before it ended, or
- with the frame that begins behind it, or at once if there is no audio to wait for, or
- after the frame under way, if a Clear discarded the audio before it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from media.core.audio import FRAME_BYTES, SILENCE_BYTE
from media.core.leg import Clear, Mark, Play, ToLeg


@dataclass(slots=True)
class Sending:
    """The queue of one call."""

    _queue: deque[bytes | Mark] = field(default_factory=deque)
    _within: list[Mark] = field(default_factory=list)  # behind audio that ended in the frame under way
    _flushed: list[Mark] = field(default_factory=list)
    _is_speaking: bool = False  # the frame under way has audio

    def take(self, actions: Sequence[ToLeg]) -> list[Mark]:
        """Queue what is to be sent; returns the marks that are back at once."""
        for action in actions:
            if isinstance(action, Play):
                if action.audio:
                    self._queue.append(action.audio)
            elif isinstance(action, Mark):
                self._queue.append(action)
            elif isinstance(action, Clear):
                self._flushed += [each for each in self._queue if isinstance(each, Mark)]
                self._queue.clear()
        if self._is_speaking:
            return []
        flushed = self.flushed()
        return flushed if any(isinstance(each, bytes) for each in self._queue) else flushed + self._heads()

    def played(self) -> list[Mark]:
        """The frame under way is over: the marks in it."""
        within, self._within = self._within, []
        self._is_speaking = False
        return within

    def flushed(self) -> list[Mark]:
        """The marks whose audio was discarded before the frame under way was over."""
        flushed, self._flushed = self._flushed, []
        return flushed

    def frame(self) -> tuple[list[Mark], bytes]:
        """The marks before the next frame, and the frame itself: silence where there is no audio."""
        before = self._heads()
        parts, size = list[bytes](), 0
        while self._queue and size < FRAME_BYTES:
            head = self._queue.popleft()
            if isinstance(head, Mark):
                self._within.append(head)
                continue
            part = head[: FRAME_BYTES - size]
            parts.append(part)
            size += len(part)
            if len(part) < len(head):
                self._queue.appendleft(head[len(part) :])
        if size == FRAME_BYTES:
            self._within += self._heads()
        self._is_speaking = size > 0
        return before, b"".join(parts).ljust(FRAME_BYTES, SILENCE_BYTE)

    def _heads(self) -> list[Mark]:
        heads = list[Mark]()
        while self._queue and isinstance(head := self._queue[0], Mark):
            heads.append(head)
            self._queue.popleft()
        return heads
