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
class PlayoutQueue:
    """The queue of one call."""

    _queue: deque[bytes | Mark] = field(default_factory=deque)
    _marks_in_frame: list[Mark] = field(default_factory=list)  # behind audio that ended in the frame under way
    _cleared_marks: list[Mark] = field(default_factory=list)
    _has_audio: bool = False  # the frame under way has audio

    def append(self, actions: Sequence[ToLeg]) -> list[Mark]:
        """Queue what is to be sent; returns the marks that are back at once."""
        for action in actions:
            if isinstance(action, Play):
                if action.audio:
                    self._queue.append(action.audio)
            elif isinstance(action, Mark):
                self._queue.append(action)
            elif isinstance(action, Clear):
                self._cleared_marks += [entry for entry in self._queue if isinstance(entry, Mark)]
                self._queue.clear()
        if self._has_audio:
            return []
        cleared_marks = self.cleared_marks()
        return (
            cleared_marks
            if any(isinstance(entry, bytes) for entry in self._queue)
            else cleared_marks + self._pop_marks()
        )

    def end_frame(self) -> list[Mark]:
        """The frame under way is over: the marks in it."""
        marks, self._marks_in_frame = self._marks_in_frame, []
        self._has_audio = False
        return marks

    def cleared_marks(self) -> list[Mark]:
        """The marks whose audio was discarded before the frame under way was over."""
        cleared_marks, self._cleared_marks = self._cleared_marks, []
        return cleared_marks

    def next_frame(self) -> tuple[list[Mark], bytes]:
        """The marks before the next frame, and the frame itself: silence where there is no audio."""
        before = self._pop_marks()
        parts, size = list[bytes](), 0
        while self._queue and size < FRAME_BYTES:
            head = self._queue.popleft()
            if isinstance(head, Mark):
                self._marks_in_frame.append(head)
                continue
            part = head[: FRAME_BYTES - size]
            parts.append(part)
            size += len(part)
            if len(part) < len(head):
                self._queue.appendleft(head[len(part) :])
        if size == FRAME_BYTES:
            self._marks_in_frame += self._pop_marks()
        self._has_audio = size > 0
        return before, b"".join(parts).ljust(FRAME_BYTES, SILENCE_BYTE)

    def _pop_marks(self) -> list[Mark]:
        marks = list[Mark]()
        while self._queue and isinstance(head := self._queue[0], Mark):
            marks.append(head)
            self._queue.popleft()
        return marks
