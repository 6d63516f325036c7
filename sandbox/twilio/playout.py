"""The carrier's playout of the agent's audio: a queue that drains at eight bytes per millisecond.

States: playing (audio is queued) and silent.  Events: audio, mark, clear, and time.  A mark is echoed when everything before it
was played, or at once if nothing is queued; a clear drops the queue and echoes all pending marks.
Example: 160 bytes arrive at 0 ms, a mark at 1 ms; a clear at 5 ms drops 120 bytes and echoes the mark at 5 ms.

Pure: every method takes the stream's clock in ms, which never runs backwards.  A sample that starts to play at `t` has
been played at `t + 1/8`; no sample is played before it has arrived.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from sandbox import audio
from sandbox.audio import BYTES_PER_MS

#: Beyond ten minutes the carrier discards audio (31931).
MAX_QUEUED_BYTES = 10 * 60 * 1000 * BYTES_PER_MS
#: A float millisecond may fall slightly short of the sample that it represents.
ROUNDING = 1e-6


@dataclass(slots=True)
class HeardSegment:
    """Agent audio that was heard without a break."""

    start_ms: float
    offset_bytes: int
    """Offset of its first byte in all the agent audio that was accepted."""
    payload: bytearray = field(default_factory=bytearray)

    @property
    def end_ms(self) -> float:
        return self.start_ms + len(self.payload) / BYTES_PER_MS

    @property
    def end_offset_bytes(self) -> int:
        return self.offset_bytes + len(self.payload)


@dataclass(frozen=True, slots=True)
class ReceivedClear:
    received_at_ms: float
    dropped_bytes: int


@dataclass(frozen=True, slots=True)
class Echo:
    """A mark that is sent back.  Its reason is recorded but not on the wire."""

    name: str
    at_ms: float
    reason: Literal["played", "cleared"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Silence inside an utterance: the queue ran dry and more came soon after."""

    start_ms: float
    end_ms: float


class CarrierPlayout:
    def __init__(self, max_queued_bytes: int = MAX_QUEUED_BYTES) -> None:
        self.segments: list[HeardSegment] = []
        self.clears: list[ReceivedClear] = []
        self.echoes: list[Echo] = []
        self.received_bytes = 0
        self.discarded_bytes = 0
        self._max_queued_bytes = max_queued_bytes
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._marks: deque[tuple[str, int]] = deque()  # name, accepted bytes before it
        self._accepted_bytes = 0
        self._playing = False
        self._now_ms = 0.0

    @property
    def queued_bytes(self) -> int:
        return self._queued_bytes

    @property
    def played_bytes(self) -> int:
        return sum(len(segment.payload) for segment in self.segments)

    @property
    def cleared_bytes(self) -> int:
        return sum(clear.dropped_bytes for clear in self.clears)

    @property
    def ends_ms(self) -> float:
        """When all queued audio will have been played; for an empty queue, when its last sample was."""
        return self.segments[-1].end_ms + self._queued_bytes / BYTES_PER_MS if self.segments else 0.0

    def forget(self) -> None:
        """Drop the record of the past, for long runs that do not read it."""
        del self.segments[:-1]
        self.clears.clear()
        self.echoes.clear()

    def receive(self, now_ms: float, payload: bytes) -> int:
        """Queue audio; return how many of its bytes did not fit and were discarded."""
        self.advance(now_ms)
        room = self._max_queued_bytes - self._queued_bytes
        accepted, discarded = payload[: max(0, room)], max(0, len(payload) - room)
        self.received_bytes += len(payload)
        self.discarded_bytes += discarded
        if accepted:
            if not self._playing:
                self._begin_segment()
            self._queue.append(accepted)
            self._queued_bytes += len(accepted)
            self._accepted_bytes += len(accepted)
        return discarded

    def mark(self, now_ms: float, name: str) -> list[Echo]:
        """Queue a mark behind the audio received so far; return the echoes due, its own included if that audio was played."""
        echoes = self.advance(now_ms)
        if self._playing:
            self._marks.append((name, self._accepted_bytes))
            return echoes
        echo = Echo(name, self._now_ms, "played")
        self.echoes.append(echo)
        return [*echoes, echo]

    def clear(self, now_ms: float) -> list[Echo]:
        """Drop the unplayed audio; return the echoes of all pending marks, as if they had been played."""
        echoes = self.advance(now_ms)
        self.clears.append(ReceivedClear(self._now_ms, self._queued_bytes))
        flushed = [Echo(name, self._now_ms, "cleared") for name, _ in self._marks]
        self._queue.clear()
        self._queued_bytes = 0
        self._marks.clear()
        self._playing = False
        self.echoes += flushed
        return echoes + flushed

    def advance(self, now_ms: float) -> list[Echo]:
        """Play up to now; return the echoes of marks that were reached, each with its time."""
        self._now_ms = max(self._now_ms, now_ms)
        while self._playing:
            segment = self.segments[-1]
            due = math.floor((self._now_ms - segment.start_ms) * BYTES_PER_MS + ROUNDING) - len(segment.payload)
            if due <= 0:
                break
            chunk = self._queue.popleft()
            if len(chunk) > due:
                self._queue.appendleft(chunk[due:])
                chunk = chunk[:due]
            segment.payload += chunk
            self._queued_bytes -= len(chunk)
            self._playing = self._queued_bytes > 0
        return self._echo_reached()

    def next_mark_ms(self) -> float | None:
        """Return when the first pending mark will be reached if nothing changes."""
        if not self._marks:
            return None
        return self._plays_at_ms(self._marks[0][1])

    def heard_between(self, start_ms: float, end_ms: float) -> bytes:
        """Return the agent's samples that were played in [start, end), without the silence around them."""
        pieces: list[bytes] = []
        for segment in reversed(self.segments):
            if segment.end_ms <= start_ms:
                break
            first = max(0, math.ceil((start_ms - segment.start_ms) * BYTES_PER_MS))
            last = max(0, math.ceil((end_ms - segment.start_ms) * BYTES_PER_MS))
            pieces.append(bytes(segment.payload[first:last]))
        return b"".join(reversed(pieces))

    def heard_at(self, ms: float) -> int | None:
        """Return the byte offset in the accepted agent audio that was playing at that moment; None in silence."""
        for segment in self.segments:
            if segment.start_ms <= ms < segment.end_ms:
                return segment.offset_bytes + math.floor((ms - segment.start_ms) * BYTES_PER_MS)
        return None

    def heard_audio(self, length_ms: float | None = None) -> bytes:
        """Return μ-law audio on the stream's clock from 0 on, with silence where the agent was not heard."""
        end_ms = self.segments[-1].end_ms if self.segments else 0.0
        pieces = [(segment.start_ms, bytes(segment.payload)) for segment in self.segments]
        return audio.lay(pieces, end_ms if length_ms is None else length_ms)

    def gaps(self, longest_ms: float = 400.0) -> list[Gap]:
        """Return breaks of up to `longest_ms` without a clear: what a listener hears as stutter."""
        cleared_at = {clear.received_at_ms for clear in self.clears if clear.dropped_bytes}
        breaks = (
            Gap(before.end_ms, after.start_ms) for before, after in zip(self.segments, self.segments[1:], strict=False)
        )
        return [
            gap
            for gap in breaks
            if 0 < gap.end_ms - gap.start_ms <= longest_ms
            and not any(gap.start_ms <= at < gap.end_ms for at in cleared_at)
        ]

    def _begin_segment(self) -> None:
        """Begin a segment, or continue the last one if its last sample ends exactly now."""
        last = self.segments[-1] if self.segments else None
        if last is None or last.end_ms != self._now_ms or last.end_offset_bytes != self._accepted_bytes:
            self.segments.append(HeardSegment(self._now_ms, self._accepted_bytes))
        self._playing = True

    def _echo_reached(self) -> list[Echo]:
        reached = self._accepted_bytes - self._queued_bytes
        echoes: list[Echo] = []
        while self._marks and self._marks[0][1] <= reached:
            name, position = self._marks.popleft()
            echoes.append(Echo(name, self._plays_at_ms(position), "played"))
        self.echoes += echoes
        return echoes

    def _plays_at_ms(self, position: int) -> float:
        """Return when everything before `position` will have been played; a pending mark is always in the last segment."""
        segment = self.segments[-1]
        return segment.start_ms + (position - segment.offset_bytes) / BYTES_PER_MS
