"""Where the carrier's playout stands: audio plays in order, from when it arrives, without a gap while there is more.

Knows nothing of items' lives or of clears: it takes messages sent, marks played and a cut, and tells what was heard.
Every instant is a local monotonic millisecond.
"""

from collections import deque
from dataclasses import dataclass, field

from media.core.audio import BYTES_PER_MS, SILENT_DB, level_db
from media.core.carrierclock import CarrierClock
from media.core.types import ClipKind

KEPT_MS = 2_000.0  # heard audio is remembered for its mark and for the echo gate
ECHO_SPAN_MS = 400.0
TOO_EARLY_MS = 30.0  # more than our error


@dataclass(slots=True, eq=False)
class Item:
    """One stretch of agent audio: a model's item if `of_model`, else a clip of ours.  Offsets count bytes."""

    id: str
    clip: ClipKind | None = None
    of_model: bool = True
    audio: bytearray = field(default_factory=bytearray)
    sent: int = 0
    heard: int = 0
    proven: int = 0  # heard by the witness of a mark that was played
    complete: bool = False  # no more audio will be generated
    began_ms: float | None = None  # when its first sound was heard
    ended_ms: float = 0.0  # when the last sound so far was heard

    @property
    def generated(self) -> int:
        return len(self.audio)

    @property
    def finished(self) -> bool:
        return self.complete and self.heard == self.generated

    @property
    def played(self) -> bool:
        return self.complete and self.proven == self.generated


@dataclass(frozen=True, slots=True)
class Span:
    """Audio of an item, from offset `start` to `end`, that was heard from `at_ms` on."""

    item: Item
    start: int
    end: int
    at_ms: float


@dataclass(slots=True, eq=False)
class Segment:
    """One media message and its mark, on its way, at the carrier or heard."""

    seq: int
    item: Item
    start: int
    size: int
    arrives_ms: float
    plays_ms: float
    ready_ms: float  # when it would have been played to its end, were there no way to go
    level_db: float

    @property
    def end(self) -> int:
        return self.start + self.size

    @property
    def ends_ms(self) -> float:
        return self.plays_ms + self.size / BYTES_PER_MS

    def offset_at(self, instant_ms: float) -> int:
        return self.start + min(self.size, max(0, round((instant_ms - self.plays_ms) * BYTES_PER_MS)))


@dataclass(slots=True)
class InFlight:
    clock: CarrierClock
    out: deque[Segment] = field(default_factory=deque)  # not heard to the end
    ends_ms: float = 0.0  # when the queue at the carrier runs dry
    _past: deque[Segment] = field(default_factory=deque)
    _ready_ms: float = 0.0

    def sent(self, seq: int, item: Item, size: int, now_ms: float) -> None:
        """The next `size` bytes of `item` have left, with a mark behind; of size 0, the mark alone."""
        arrives_ms = self.clock.arrives(now_ms)
        length_ms = size / BYTES_PER_MS
        self._ready_ms = max(self._ready_ms, now_ms) + length_ms
        plays_ms = max(self.ends_ms, arrives_ms)
        self.ends_ms = plays_ms + length_ms
        level = level_db(bytes(item.audio[item.sent : item.sent + size]))
        self.out.append(Segment(seq, item, item.sent, size, arrives_ms, plays_ms, self._ready_ms, level))
        item.sent += size

    def hear(self, instant_ms: float) -> list[Span]:
        """Take for heard what the carrier has played by then."""
        spans: list[Span] = []
        while self.out and self.out[0].plays_ms < instant_ms:
            segment = self.out[0]
            self._heard(segment, segment.offset_at(instant_ms), spans)
            if segment.item.heard < segment.end:
                break
            self._past.append(self.out.popleft())
        while self._past and self._past[0].ends_ms < instant_ms - KEPT_MS:
            self._past.popleft()
        return spans

    def played(self, seq: int, now_ms: float) -> list[Span]:
        """The mark behind message `seq` came back, and it was not flushed: all up to there was heard."""
        segment = next((s for s in (*self._past, *self.out) if s.seq == seq), None)
        if segment is None:
            return []
        self.clock.round_trip(now_ms - segment.ready_ms, now_ms)
        earliest_ms, latest_ms = self.clock.emitted_between(now_ms)
        ends_ms = min(max(segment.ends_ms, earliest_ms), latest_ms)
        segment.plays_ms = ends_ms - segment.size / BYTES_PER_MS
        spans: list[Span] = []
        while self.out and self.out[0].seq <= seq:
            self._heard(self.out[0], self.out[0].end, spans)
            self._past.append(self.out.popleft())
        segment.item.proven = max(segment.item.proven, segment.end)
        self._chain(ends_ms, seq)
        return spans

    def too_early(self, seq: int, now_ms: float) -> bool:
        """Whether the mark behind message `seq` is back before its audio can have been played."""
        latest_ms = now_ms - self.clock.one_way_ms
        return any(s.seq == seq and latest_ms < s.ends_ms - TOO_EARLY_MS for s in self.out)

    def cut(self, instant_ms: float) -> list[Span]:
        """The queue at the carrier was emptied at that instant; what had not been played never will be."""
        spans = self.hear(instant_ms)
        self.out.clear()
        self.ends_ms = self._ready_ms = 0.0
        return spans

    def level_db(self, now_ms: float, since_ms: float) -> float:
        """The loudest of what was heard between then and now."""
        return max(
            (s.level_db for s in (*self._past, *self.out) if s.plays_ms <= now_ms and s.ends_ms > since_ms),
            default=SILENT_DB,
        )

    def _heard(self, segment: Segment, offset: int, spans: list[Span]) -> None:
        item = segment.item
        start = max(item.heard, segment.start)
        if offset <= start:
            return
        at_ms = segment.plays_ms + (start - segment.start) / BYTES_PER_MS
        item.heard = offset
        if item.began_ms is None:
            item.began_ms = at_ms
        item.ended_ms = at_ms + (offset - start) / BYTES_PER_MS
        spans.append(Span(item, start, offset, at_ms))

    def _chain(self, ends_ms: float, seq: int) -> None:
        """Message `seq` ended at `ends_ms`: move what follows it."""
        for segment in (*self._past, *self.out):
            if segment.seq > seq:
                segment.plays_ms = max(ends_ms, segment.arrives_ms)
                ends_ms = segment.ends_ms
        self.ends_ms = ends_ms
