"""Where the carrier's playout stands: audio plays in order, from when it arrives, without a gap while there is more.

Knows nothing of items' lives or of clears: it takes messages sent, marks played and a cut, and tells what was heard.
What it is told and tells are local monotonic milliseconds; inside, the carrier's clock is used, on which both the
beginning of a run and its cut are known without regard to how long the way is.
"""

from collections import deque
from dataclasses import dataclass, field

from media.core.audio import BYTES_PER_MS, SILENT_DB, level_db
from media.core.carrierclock import CarrierClock
from media.core.types import ClipKind

KEPT_MS = 2_000.0  # heard audio is remembered for its mark and for the echo gate
ECHO_SPAN_MS = 400.0
TOO_EARLY_MS = 30.0  # more than our error
UNEVEN_MS = 5.0  # how far bounds may miss each other before the older ones are given up
_NEVER = float("inf")


@dataclass(slots=True, eq=False)
class Item:
    """One stretch of agent audio: a model's item if `of_model`, else a clip of ours.  Offsets count bytes."""

    id: str
    clip: ClipKind | None = None
    of_model: bool = True
    text: str = ""  # of a clip
    audio: bytearray = field(default_factory=bytearray)
    sent: int = 0
    heard: int = 0
    proven: int = 0  # heard by the witness of a mark that was played
    complete: bool = False  # no more audio will be generated
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


# Made for every message, and no dataclasses: the constructor of one stays interpreted where all else is compiled.


class Span:
    """Audio of an item, from offset `start` to `end`, that was heard from `at_ms` on."""

    __slots__ = ("at_ms", "end", "item", "start")

    def __init__(self, item: Item, start: int, end: int, at_ms: float) -> None:
        self.item = item
        self.start = start
        self.end = end
        self.at_ms = at_ms


class Segment:
    """One media message and its mark, on its way, at the carrier or heard; instants on the carrier's clock.

    `soonest_ms` is when it can have arrived; `ready_ms`, local, when it would have been played to its end, were there no
    way to go.
    """

    __slots__ = ("ends_ms", "item", "level_db", "plays_ms", "ready_ms", "seq", "size", "soonest_ms", "start")

    def __init__(
        self,
        seq: int,
        item: Item,
        start: int,
        size: int,
        soonest_ms: float,
        plays_ms: float,
        ready_ms: float,
        level_db: float,
    ) -> None:
        self.seq = seq
        self.item = item
        self.start = start
        self.size = size
        self.soonest_ms = soonest_ms
        self.plays_ms = plays_ms
        self.ends_ms = plays_ms + size / BYTES_PER_MS
        self.ready_ms = ready_ms
        self.level_db = level_db

    @property
    def end(self) -> int:
        return self.start + self.size

    def offset_at(self, instant_ms: float) -> int:
        return self.start + min(self.size, max(0, round((instant_ms - self.plays_ms) * BYTES_PER_MS)))

    def follow(self, ends_ms: float) -> float:
        """It plays when what is ahead has ended, unless it cannot have been there; when it ends itself."""
        self.plays_ms = max(ends_ms, self.soonest_ms)
        self.ends_ms = self.plays_ms + self.size / BYTES_PER_MS
        return self.ends_ms

    def shift(self, ms: float) -> None:
        self.soonest_ms, self.plays_ms, self.ends_ms = self.soonest_ms + ms, self.plays_ms + ms, self.ends_ms + ms


@dataclass(slots=True)
class InFlight:
    """One run of audio after another: what is chained without a gap began at one instant that is never known exactly.

    It lies between two bounds: from how long the way may take, and from every mark that is played, since its echo tells
    between which two frames of the carrier it left.  As messages are no multiple of a frame, each mark's bounds lie
    elsewhere on the run, and what they have in common shrinks: after n marks to about 20/n ms.
    """

    clock: CarrierClock
    out: deque[Segment] = field(default_factory=deque)  # not heard to the end
    _past: deque[Segment] = field(default_factory=deque)
    _unmarked: deque[Segment] = field(default_factory=deque)  # those of the past whose mark is not back
    _ends_ms: float = -_NEVER
    _ready_ms: float = 0.0
    _sooner_ms: float = 0.0  # how much earlier than we think the run may have begun, at most
    _later_ms: float = 0.0
    _tied: bool = False

    @property
    def ends_ms(self) -> float:
        """When the queue at the carrier runs dry."""
        base_ms = self._base()  # moves what was sent before the carrier's clock was known
        return base_ms + self._ends_ms

    def sent(self, seq: int, item: Item, payload: bytes, now_ms: float) -> None:
        """The next bytes of `item` have left, with a mark behind; if there are none, the mark alone."""
        arrives_ms = self.clock.arrives(now_ms) - self._base()
        size = len(payload)
        length_ms = size / BYTES_PER_MS
        self._ready_ms = max(self._ready_ms, now_ms) + length_ms
        plays_ms = self._ends_ms
        if plays_ms <= arrives_ms:  # a new run
            plays_ms = arrives_ms
            self._sooner_ms = self._later_ms = self.clock.jitter_ms + self.clock.doubt_ms
        self._ends_ms = plays_ms + length_ms
        level = level_db(payload)
        soonest_ms = arrives_ms - self.clock.jitter_ms - self.clock.doubt_ms
        self.out.append(Segment(seq, item, item.sent, size, soonest_ms, plays_ms, self._ready_ms, level))
        item.sent += size

    def hear(self, now_ms: float) -> list[Span]:
        """Take for heard what the carrier has played by then."""
        return self._hear(now_ms - self._base())

    def played(self, seq: int, now_ms: float) -> list[Span]:
        """The mark behind message `seq` came back, and it was not flushed: all up to there was heard."""
        segment = self._marked(seq)
        if segment is None:
            return []
        self.clock.round_trip(now_ms - segment.ready_ms, now_ms)
        self._base()
        earliest_ms, latest_ms = self.clock.emitted_between(now_ms)
        ends_ms = segment.ends_ms + self._narrow(earliest_ms - segment.ends_ms, latest_ms - segment.ends_ms)
        segment.plays_ms, segment.ends_ms = ends_ms - segment.size / BYTES_PER_MS, ends_ms
        spans: list[Span] = []
        while self.out and self.out[0].seq <= seq:
            self._heard(self.out[0], self.out[0].end, spans)
            self._past.append(self.out.popleft())
        segment.item.proven = max(segment.item.proven, segment.end)
        for later in self._unmarked:
            ends_ms = later.follow(ends_ms)
        for later in self.out:
            ends_ms = later.follow(ends_ms)
        self._ends_ms = ends_ms
        return spans

    def too_early(self, seq: int, now_ms: float) -> bool:
        """Whether the mark behind message `seq` is back before its audio can have been played."""
        latest_ms = now_ms - self.clock.one_way_ms - self._base()
        return any(s.seq == seq and latest_ms < s.ends_ms - TOO_EARLY_MS for s in self.out)

    def cut(self, call_ms: float) -> list[Span]:
        """The queue at the carrier was emptied when its clock stood so; what had not been played never will be."""
        spans = self._hear(call_ms)
        self.out.clear()
        self._unmarked.clear()
        self._ends_ms, self._ready_ms = -_NEVER, 0.0
        return spans

    def level_db(self, now_ms: float, since_ms: float) -> float:
        """The loudest of what was heard between then and now."""
        base_ms = self._base()
        now_ms, since_ms = now_ms - base_ms, since_ms - base_ms
        return max(
            (s.level_db for s in (*self._past, *self.out) if s.plays_ms <= now_ms and s.ends_ms > since_ms),
            default=SILENT_DB,
        )

    def _base(self) -> float:
        """The carrier's 0 in local time.  What was sent before its clock was known is moved onto it once."""
        if not self._tied and self.clock.tied:
            self._tied = True
            for segment in {*self._past, *self.out}:
                segment.shift(-self.clock.base_ms)
            self._ends_ms -= self.clock.base_ms
        return self.clock.base_ms

    def _hear(self, call_ms: float) -> list[Span]:
        spans: list[Span] = []
        out, past, unmarked = self.out, self._past, self._unmarked
        while out and out[0].plays_ms < call_ms:
            segment = out[0]
            self._heard(segment, segment.offset_at(call_ms), spans)
            if segment.item.heard < segment.end:
                break
            unmarked.append(segment)
            past.append(out.popleft())
        forgotten_ms = call_ms - KEPT_MS
        while past and past[0].ends_ms < forgotten_ms:
            past.popleft()
        while unmarked and unmarked[0].ends_ms < forgotten_ms:
            unmarked.popleft()
        return spans

    def _marked(self, seq: int) -> Segment | None:
        """The message behind which this mark was sent.  Marks come in order: older ones will not come any more."""
        unmarked = self._unmarked
        while unmarked and unmarked[0].seq < seq:
            unmarked.popleft()
        if unmarked and unmarked[0].seq == seq:
            return unmarked.popleft()
        for segment in self.out:
            if segment.seq >= seq:
                return segment if segment.seq == seq else None
        return None

    def _narrow(self, low_ms: float, high_ms: float) -> float:
        """The run began between so much and so much later than we think: how much later we think it now."""
        low, high = max(low_ms, -self._sooner_ms), min(high_ms, self._later_ms)
        if low > high:
            if low - high > UNEVEN_MS and low_ms > -_NEVER:  # the carrier ran dry, or we did not know the way yet
                low, high = low_ms, high_ms
            else:  # its frames are not that even
                low = high = low_ms if low_ms > self._later_ms else high_ms
        shift = (low + high) / 2
        self._sooner_ms, self._later_ms = shift - low, high - shift
        return shift

    def _heard(self, segment: Segment, offset: int, spans: list[Span]) -> None:
        item = segment.item
        start = max(item.heard, segment.start)
        if offset <= start:
            return
        at_ms = segment.plays_ms + self.clock.base_ms + (start - segment.start) / BYTES_PER_MS
        item.heard = offset
        item.ended_ms = at_ms + (offset - start) / BYTES_PER_MS
        spans.append(Span(item, start, offset, at_ms))
