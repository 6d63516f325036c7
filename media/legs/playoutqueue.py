"""The queue of the agent's outgoing audio and marks, taken 20 ms at a time.  Pure.

The RTP clock is the playout clock: a frame that was sent will be heard, and queued audio can still be discarded.  So a frame
counts as played in the 20 ms after it was sent, whatever comes meanwhile, and a mark returns

- after the frame in which the audio before it ended, or
- with the frame that begins after it, or at once if there is no audio to wait for, or
- after the frame in flight, if a Clear discarded the audio before it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from media.core.audio import FRAME_BYTES, SILENCE_BYTE
from media.core.legmessages import Clear, Mark, Play, ToLeg


@dataclass(slots=True)
class PlayoutQueue:
    """The queue of one call."""

    _queue: deque[bytes | Mark] = field(default_factory=deque)
    #: The marks that the frame in flight completes.
    _marks_in_frame: list[Mark] = field(default_factory=list)
    _cleared_marks: list[Mark] = field(default_factory=list)
    _has_audio: bool = False  # in the frame in flight

    def append(self, actions: Sequence[ToLeg]) -> list[Mark]:
        """Queue audio and marks, or clear the queue; return the marks that return at once."""
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
        cleared = self.cleared_marks()
        return cleared if any(isinstance(entry, bytes) for entry in self._queue) else cleared + self._pop_marks()

    def end_frame(self) -> list[Mark]:
        """End the frame in flight; return the marks that it completes."""
        marks, self._marks_in_frame = self._marks_in_frame, []
        self._has_audio = False
        return marks

    def cleared_marks(self) -> list[Mark]:
        """Return the marks of discarded audio, once; call this after `end_frame`."""
        cleared, self._cleared_marks = self._cleared_marks, []
        return cleared

    def next_frame(self) -> tuple[list[Mark], bytes]:
        """Return the marks before the next frame, and the frame, padded with silence."""
        marks = self._pop_marks()
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
        return marks, b"".join(parts).ljust(FRAME_BYTES, SILENCE_BYTE)

    def _pop_marks(self) -> list[Mark]:
        marks = list[Mark]()
        while self._queue and isinstance(head := self._queue[0], Mark):
            marks.append(head)
            self._queue.popleft()
        return marks
