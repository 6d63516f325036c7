"""The carrier's playout position: audio plays in order, from when it arrives, without a gap while there is more.

Independent of items' life cycle and of clears: messages sent, marks played and cuts go in, and spans that were heard
come out.  Its interface uses local monotonic milliseconds; internally it uses the carrier's clock, on which both the
beginning of a run and its cut are independent of the network delay.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from media.core.audio import BYTES_PER_MS, SILENCE_BYTE, SILENT_DB, level_db
from media.core.carrierclock import CarrierClock
from media.core.plans import PromptKind

#: Audio that was heard is kept this long, for its mark and for the echo gate.
KEPT_MS: Final = 2_000.0
TOO_EARLY_MS: Final = 30.0  # more than our error
#: Of a sample: the rounding error of a whole one in floating point.
NEARLY: Final = 1e-3
#: Bounds that miss each other by more than this replace the older ones.
UNEVEN_MS: Final = 5.0
_NEVER: Final = float("inf")


class ItemAudio:
    """An item's audio in the pieces that came, less those that were dropped.  Offsets count from its true beginning.

    A list of pieces, since a buffer that grows has room for half as much again.
    """

    __slots__ = ("_dropped", "_pieces", "size")

    def __init__(self, ulaw: bytes = b"") -> None:
        self._pieces: list[bytes] = [ulaw] if ulaw else []
        self._dropped = 0
        self.size = len(ulaw)  # with what was dropped

    @property
    def kept(self) -> int:
        """The number of bytes that are not dropped."""
        return self.size - self._dropped

    def add(self, ulaw: bytes) -> None:
        self._pieces.append(ulaw)
        self.size += len(ulaw)

    def read(self, start: int, end: int) -> bytes:
        """Return the audio from offset `start` to `end`, of which nothing may be dropped."""
        assert start >= self._dropped, "what was heard is read before it is dropped"
        found: list[bytes] = []
        at = self._dropped
        for piece in self._pieces:
            if at >= end:
                break
            after = at + len(piece)
            if after > start:
                found.append(piece[max(0, start - at) : end - at])
            at = after
        return found[0] if len(found) == 1 else b"".join(found)

    def drop_before(self, end: int) -> None:
        """Drop the pieces that end at `end` or before."""
        pieces, after, count = self._pieces, self._dropped, 0
        while count < len(pieces) and (after := after + len(pieces[count])) <= end:
            self._dropped = after
            count += 1
        if count:
            del pieces[:count]

    def drop(self) -> None:
        """Drop all of it."""
        self._pieces.clear()
        self._dropped = self.size


@dataclass(slots=True, eq=False)
class Item:
    """One stretch of agent audio: a model's item if `of_model`, else a prompt of ours.  Offsets count bytes."""

    id: str
    prompt: PromptKind | None = None
    of_model: bool = True
    text: str = ""  # a prompt's words
    audio: ItemAudio = field(default_factory=ItemAudio)
    sent: int = 0
    heard: int = 0
    # Heard for certain: the mark behind it was played.
    proven: int = 0
    complete: bool = False  # no more audio will be generated
    ended_ms: float = 0.0  # when the last sound so far was heard

    @property
    def generated(self) -> int:
        return self.audio.size

    @property
    def finished(self) -> bool:
        return self.complete and self.heard == self.generated

    @property
    def played(self) -> bool:
        return self.complete and self.proven == self.generated


# Created for every message, so not dataclasses: their constructors stay interpreted when everything else is compiled.


class Span:
    """Audio of an item, from offset `start` to `end`, that was heard from `at_ms` on."""

    __slots__ = ("at_ms", "end", "item", "start")

    def __init__(self, item: Item, start: int, end: int, at_ms: float) -> None:
        self.item = item
        self.start = start
        self.end = end
        self.at_ms = at_ms


class Segment:
    """One media message and its mark: in flight, queued at the carrier, or heard.  Instants are on the carrier's clock.

    `soonest_ms` is the earliest it can have arrived; `ready_ms`, local, is when it would have been played to its end
    if there were no network delay.
    """

    __slots__ = ("ends_ms", "item", "level_db", "payload", "plays_ms", "ready_ms", "seq", "size", "soonest_ms", "start")

    def __init__(
        self,
        seq: int,
        item: Item,
        start: int,
        payload: bytes,
        soonest_ms: float,
        plays_ms: float,
        ready_ms: float,
        level_db: float,
    ) -> None:
        self.seq = seq
        self.item = item
        self.start = start
        self.payload = payload
        self.size = len(payload)
        self.soonest_ms = soonest_ms
        self.plays_ms = plays_ms
        self.ends_ms = plays_ms + self.size / BYTES_PER_MS
        self.ready_ms = ready_ms
        self.level_db = level_db

    @property
    def end(self) -> int:
        return self.start + self.size

    def offset_at(self, instant_ms: float) -> int:
        """Return the byte up to which it was played then.  A sample cut short was not heard: it is sent again."""
        return self.start + min(self.size, max(0, math.floor((instant_ms - self.plays_ms) * BYTES_PER_MS + NEARLY)))

    def shorten(self, size: int) -> None:
        """Drop what follows the first `size` bytes, which was not played."""
        self.payload, self.size = self.payload[:size], size
        self.ends_ms = self.plays_ms + size / BYTES_PER_MS

    def follow(self, ends_ms: float) -> float:
        """Schedule the message after the audio ahead, but not before it can have arrived; return when it ends."""
        self.plays_ms = max(ends_ms, self.soonest_ms)
        self.ends_ms = self.plays_ms + self.size / BYTES_PER_MS
        return self.ends_ms

    def shift(self, ms: float) -> None:
        """Move the message by this much on the clock."""
        self.soonest_ms, self.plays_ms, self.ends_ms = self.soonest_ms + ms, self.plays_ms + ms, self.ends_ms + ms


@dataclass(slots=True)
class HeardPosition:
    """Runs of audio without a gap, one after another.  The instant at which a run began is never known exactly.

    It lies between two bounds, which come from how long the network may take, and from every mark that is played,
    since its echo shows between which two frames of the carrier it left.  As messages are no multiple of a frame,
    each mark's bounds fall elsewhere on the run, and their intersection shrinks: after n marks to about 20/n ms.
    """

    clock: CarrierClock
    # Short lists: compiled code reads their ends faster than a deque's.
    out: list[Segment] = field(default_factory=list)  # not heard to the end
    _past: list[Segment] = field(default_factory=list)
    # Past segments with a pending mark.
    _unmarked: list[Segment] = field(default_factory=list)
    _ends_ms: float = -_NEVER
    _ready_ms: float = 0.0
    # How much earlier than estimated the run may have begun, at most; and how much later.
    _sooner_ms: float = 0.0
    _later_ms: float = 0.0  # at most
    _tied: bool = False

    @property
    def ends_ms(self) -> float:
        """When the queue at the carrier runs dry, in local time."""
        # Moves what was sent before the carrier's clock was known, so it comes first.
        base_ms = self._base()
        return base_ms + self._ends_ms

    def sent(self, seq: int, item: Item, payload: bytes, now_ms: float) -> None:
        """Add the next bytes of `item`, sent now and followed by a mark; with an empty payload, the mark alone."""
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
        self.out.append(Segment(seq, item, item.sent, payload, soonest_ms, plays_ms, self._ready_ms, level))
        item.sent += size

    def hear(self, now_ms: float) -> list[Span]:
        """Return the spans that the carrier has played by now, and count them as heard."""
        return self._hear(now_ms - self._base())

    def played(self, seq: int, now_ms: float) -> list[Span]:
        """Return the spans proven by a mark that was played: everything up to message `seq` was heard."""
        segment = self._take_marked(seq)
        if segment is None:
            return []
        self.clock.round_trip(now_ms - segment.ready_ms, now_ms)
        self._base()
        earliest_ms, latest_ms = self.clock.emitted_between(now_ms)
        ends_ms = segment.ends_ms + self._narrow(earliest_ms - segment.ends_ms, latest_ms - segment.ends_ms)
        segment.plays_ms, segment.ends_ms = ends_ms - segment.size / BYTES_PER_MS, ends_ms
        spans: list[Span] = []
        while self.out and self.out[0].seq <= seq:
            self._count_heard(self.out[0], self.out[0].end, spans)
            self._past.append(self.out.pop(0))
        segment.item.proven = max(segment.item.proven, segment.end)
        for later in self._unmarked:
            ends_ms = later.follow(ends_ms)
        for later in self.out:
            ends_ms = later.follow(ends_ms)
        self._ends_ms = ends_ms
        return spans

    def too_early(self, seq: int, now_ms: float) -> bool:
        """Return whether the mark behind message `seq` is back before its audio can have been played."""
        latest_ms = now_ms - self.clock.one_way_ms - self._base()
        return any(s.seq == seq and latest_ms < s.ends_ms - TOO_EARLY_MS for s in self.out)

    def cut(self, call_ms: float) -> list[Span]:
        """Return the spans played before the carrier's queue was emptied, at `call_ms` on its clock; drop the rest."""
        spans = self._hear(call_ms)
        if self.out and (size := self.out[0].offset_at(call_ms) - self.out[0].start):
            self.out[0].shorten(size)
            self._past.append(self.out[0])  # it may be echoing
        self.out.clear()
        self._unmarked.clear()
        self._ends_ms, self._ready_ms = -_NEVER, 0.0
        return spans

    def level_db(self, now_ms: float, since_ms: float) -> float:
        """Return the loudest level heard between `since_ms` and now."""
        base_ms = self._base()
        now_ms, since_ms = now_ms - base_ms, since_ms - base_ms
        return max(
            (s.level_db for s in (*self._past, *self.out) if s.plays_ms <= now_ms and s.ends_ms > since_ms),
            default=SILENT_DB,
        )

    def audio(self, since_ms: float, now_ms: float) -> bytes:
        """Return what was heard between `since_ms` and now, with silence where nothing was."""
        base_ms = self._base()
        since_ms, size = since_ms - base_ms, round((now_ms - since_ms) * BYTES_PER_MS)
        heard = bytearray(SILENCE_BYTE * size)
        for segment in (*self._past, *self.out):
            at = round((segment.plays_ms - since_ms) * BYTES_PER_MS)
            if -segment.size < at < size:
                piece = segment.payload[max(0, -at) : size - at]
                at = max(0, at)
                heard[at : at + len(piece)] = piece
        return bytes(heard)

    def _base(self) -> float:
        """Return the carrier's 0 in local time.  What was sent before its clock was known is moved onto it once."""
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
            self._count_heard(segment, segment.offset_at(call_ms), spans)
            if segment.item.heard < segment.end:
                break
            unmarked.append(segment)
            past.append(out.pop(0))
        expired_ms = call_ms - KEPT_MS
        while past and past[0].ends_ms < expired_ms:
            past.pop(0)
        while unmarked and unmarked[0].ends_ms < expired_ms:
            unmarked.pop(0)
        return spans

    def _take_marked(self, seq: int) -> Segment | None:
        """Return the message that this mark follows.  Marks come back in order: older ones are pending no longer."""
        unmarked = self._unmarked
        while unmarked and unmarked[0].seq < seq:
            unmarked.pop(0)
        if unmarked and unmarked[0].seq == seq:
            return unmarked.pop(0)
        for segment in self.out:
            if segment.seq >= seq:
                return segment if segment.seq == seq else None
        return None

    def _narrow(self, low_ms: float, high_ms: float) -> float:
        """Return how much later than estimated the run began, `low_ms` to `high_ms` by a mark, and tighten the bounds."""
        low, high = max(low_ms, -self._sooner_ms), min(high_ms, self._later_ms)
        if low > high:
            # The carrier ran dry, or the delay was not known yet.
            if low - high > UNEVEN_MS and low_ms > -_NEVER:
                low, high = low_ms, high_ms
            # The carrier's frames are not perfectly even.
            else:
                low = high = low_ms if low_ms > self._later_ms else high_ms
        shift = (low + high) / 2
        self._sooner_ms, self._later_ms = shift - low, high - shift
        return shift

    def _count_heard(self, segment: Segment, offset: int, spans: list[Span]) -> None:
        """Count the message as heard up to the offset, and add the new span."""
        item = segment.item
        start = max(item.heard, segment.start)
        if offset <= start:
            return
        at_ms = segment.plays_ms + self.clock.base_ms + (start - segment.start) / BYTES_PER_MS
        item.heard = offset
        item.ended_ms = at_ms + (offset - start) / BYTES_PER_MS
        spans.append(Span(item, start, offset, at_ms))
