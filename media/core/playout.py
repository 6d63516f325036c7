"""The ledger of agent audio: per item generated, sent and heard, in bytes of mu-law.

What was heard comes from `inflight`'s model of the carrier's playout.  Marks are fenced by clears: a flushed mark comes
back exactly like a played one, so a mark from before the last clear proves nothing.  A `clear` is followed by a mark of
its own, whose echo shows when the queue was emptied; until then the position is an estimate that is not acted upon.

Invariants: heard <= sent <= generated, heard never decreases, and the bytes of an item go out in order without a gap.
"""

from dataclasses import dataclass, field
from typing import Final

from media.core.audio import BYTES_PER_MS
from media.core.caller import Caller
from media.core.carrierclock import CarrierClock
from media.core.echo import ECHO_SPAN_MS
from media.core.inflight import InFlight, Item, Span
from media.core.leg import Clear, Mark, Play, ToLeg
from media.core.marks import Age, Marks
from media.core.types import ClipKind

SETTLE_MS: Final = 600.0  # how long a clear waits for the echo of its mark
UNSURE_MS: Final = 5.0  # a mark must be earlier than a flushed one could be by more than this to count as played


_CURRENT: Final = Age.CURRENT  # asked of every mark
_PATIENT: Final = (None, ClipKind.DICTATED)  # an answer, and what a person wants said


@dataclass(frozen=True, slots=True)
class _Clearing:
    fence: int  # the mark behind the clear
    sent_ms: float


@dataclass(slots=True)
class Playout:
    clock: CarrierClock
    caller: Caller
    lead_low_ms: int = 200
    message_ms: int = 107
    line: list[Item] = field(default_factory=list)  # items not yet heard to their end, in the order of speech
    held: bool = False  # cleared: nothing goes out until resume or drop
    _flight: InFlight = field(init=False)
    _marks: Marks = field(default_factory=Marks)
    _clearing: _Clearing | None = None
    _spans: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._flight = InFlight(self.clock)

    def mark(self, number: int, now_ms: float) -> None:
        """A mark is back; unknown ones change nothing, flushed ones only show when they were flushed."""
        age = self._marks.age(number)
        if age is not _CURRENT:
            if age is Age.BEFORE_CLEAR:
                self._from_before_clear(number, now_ms)
            return
        sent_ms = self._marks.pinged(number)
        if sent_ms is None:
            self._spans += self._flight.played(number, now_ms)
            return
        self.clock.round_trip(now_ms - sent_ms, now_ms)
        if self._clearing is not None and self._clearing.fence == number:
            self._emptied(now_ms)

    def _from_before_clear(self, number: int, now_ms: float) -> None:
        """A mark from before the pending clear: played, flushed, or impossible to tell."""
        clearing = self._clearing
        if clearing is None:
            return
        back_ms = clearing.sent_ms + 2 * self.clock.one_way_ms  # a flushed mark cannot be back sooner
        early = self._flight.too_early(number, now_ms)
        if now_ms < back_ms - self.clock.doubt_ms - UNSURE_MS and not early:
            self._spans += self._flight.played(number, now_ms)
        elif now_ms >= back_ms and early:  # its audio cannot have been played
            self._emptied(now_ms)

    def _emptied(self, now_ms: float) -> None:
        """An echo has arrived that the carrier emitted when it emptied its queue."""
        clearing = self._clearing
        if clearing is None:
            return
        earliest_ms, latest_ms = self.clock.emitted_between(now_ms)
        # Each way took at least the delay, and at most the delay plus twice the mean jitter.
        clock = self.clock
        spread_ms, soonest_ms = 2 * clock.jitter_ms, clearing.sent_ms + clock.one_way_ms - clock.base_ms
        backwards_ms = now_ms - clock.one_way_ms - clock.base_ms - spread_ms
        low_ms = max(soonest_ms - clock.doubt_ms, earliest_ms, backwards_ms)
        high_ms = min(soonest_ms + spread_ms + clock.doubt_ms, latest_ms)
        usual_ms = soonest_ms + spread_ms / 2
        self._settle((low_ms + high_ms) / 2 if low_ms < high_ms else min(max(usual_ms, earliest_ms), latest_ms))

    def pump(self, now_ms: float) -> list[ToLeg]:
        """The messages to send now so that the carrier does not run dry, each followed by its mark."""
        sends: list[ToLeg] = []
        if self.held or (self._flight.out and self.lead_ms(now_ms) >= self.lead_low_ms):
            return sends
        if not self._flight.out and now_ms >= self._ping_due_ms():
            sends.append(Mark(self._marks.ping(now_ms)))
        for item in self.line:
            if item.clip in _PATIENT and not item.sent and self.caller.speaks(now_ms):
                break  # an answer does not begin while the caller speaks
            if item.sent < item.generated and not self._flight.out:
                sends.append(self._send_mark(item, b"", now_ms))  # shows when the audio behind it begins to play
            while item.sent < item.generated and (lead_ms := self.lead_ms(now_ms)) < self.lead_low_ms:
                # An answer's first message is whatever has come, but no more than we ever want queued at the carrier.
                first_ms = self.lead_low_ms + self.message_ms - max(0.0, lead_ms)
                wanted = int(self.message_ms if item.sent else first_ms) * BYTES_PER_MS
                self._send(sends, item, min(wanted, item.generated - item.sent), now_ms)
            if item.sent < item.generated or not item.complete:
                break
        return sends

    def _send(self, sends: list[ToLeg], item: Item, size: int, now_ms: float) -> None:
        payload = item.audio.piece(item.sent, item.sent + size)
        sends.append(Play(payload))
        sends.append(self._send_mark(item, payload, now_ms))

    def _send_mark(self, item: Item, payload: bytes, now_ms: float) -> Mark:
        number = self._marks.next()
        self._flight.sent(number, item, payload, now_ms)
        return Mark(number)

    def due_ms(self) -> float:
        """When `pump` or `advance` is due if nothing else happens: the lead runs low, or the agent falls silent."""
        if self.held:
            return float("inf")
        if not self._flight.out:
            return self._ping_due_ms()
        for item in self.line:
            if item.sent < item.generated:
                return self._flight.ends_ms - self.clock.arrives(self.lead_low_ms)
        return self._flight.ends_ms

    def _ping_due_ms(self) -> float:
        return self._marks.ping_due_ms(well_known=self.clock.well_known)

    def lead_ms(self, now_ms: float) -> float:
        """How much audio will be queued at the carrier when something sent now arrives there."""
        return self._flight.ends_ms - self.clock.arrives(now_ms)

    def clear(self, now_ms: float) -> list[ToLeg]:
        """Stop at once; the unheard tail stays here until resume or drop."""
        self._hear(now_ms)
        self.held = True
        if self._clearing is not None or not self._flight.out:
            return []
        fence = self._marks.fence(now_ms)
        self._clearing = _Clearing(fence, now_ms)
        return [Clear(), Mark(fence)]

    def settled(self, now_ms: float) -> bool:
        """Whether the position at the last clear is as well known as it will be."""
        if self._clearing is not None and now_ms >= self._clearing.sent_ms + SETTLE_MS:
            self.give_up()
        return self._clearing is None

    def give_up(self) -> None:
        """The carrier will send nothing more: settle a pending clear at the most likely position."""
        if self._clearing is not None:
            self._settle(self.clock.arrives(self._clearing.sent_ms) - self.clock.base_ms)

    def _settle(self, cut_ms: float) -> None:
        """The queue was emptied at `cut_ms` on the carrier's clock."""
        self._spans += self._flight.cut(cut_ms)
        self._clearing = None

    def resume(self) -> None:
        """Send again from where the caller stopped hearing.  Only once `settled`."""
        for item in self.line:
            item.sent = item.heard
        self.held = False

    def drop(self, *, keep_keys: bool = False) -> list[Item]:
        """Drop the unheard tail; return the items that had one, in the order of speech.  Only once `settled`.

        With `keep_keys` the keys of which nothing was heard are still to be sent.
        """
        line, self.line, self.held = self.line, [], False
        dropped: list[Item] = []
        for item in line:
            if item.finished:
                self.line.append(item)
            elif keep_keys and item.clip is ClipKind.TONES and not item.heard:
                item.sent = 0
                self.line.append(item)
            else:
                item.complete = True
                dropped.append(item)
        return dropped

    def withdraw(self) -> list[Item]:
        """Drop the answer, of which nothing was sent or heard; return its items."""
        dropped = [item for item in self.line if item.clip is None]
        self.line = [item for item in self.line if item.clip is not None]
        return dropped

    def advance(self, now_ms: float) -> tuple[list[Span], list[Item]]:
        """What was heard since the last call, and the items that were thereby heard to their end; both in order."""
        self._hear(now_ms)
        spans, self._spans = self._spans, []
        finished: list[Item] = []
        while self.line and self.line[0].finished:
            finished.append(self.line.pop(0))
        return spans, finished

    def _hear(self, now_ms: float) -> None:
        if self._clearing is None and self._flight.out:
            self._spans += self._flight.hear(now_ms)

    def audible(self, now_ms: float) -> bool:
        """Whether the caller hears the agent or is about to; a held tail counts."""
        if not self.held and self._flight.ends_ms > now_ms:
            return True
        for item in self.line:  # noqa: SIM110 - runs on every frame; a generator would be a third of the cost
            if item.generated > (item.heard if self.held else item.sent):
                return True
        return False

    @property
    def sounds(self) -> bool:
        """Whether the caller hears the agent or has heard part of what it is saying; unlike `audible`, not before that."""
        return bool(self._flight.out) or any(item.heard for item in self.line)

    def remaining_ms(self, now_ms: float) -> float:
        """How long the agent will go on speaking, counting the audio that has come."""
        if self.held:
            return sum([item.generated - item.heard for item in self.line]) / BYTES_PER_MS
        unsent = sum([item.generated - item.sent for item in self.line])
        return unsent / BYTES_PER_MS + max(0.0, self._flight.ends_ms - now_ms)

    def echo_level_db(self, now_ms: float) -> float:
        """Return the level of the agent's loudest message of which an echo may be coming back now."""
        return self._flight.level_db(now_ms, now_ms - ECHO_SPAN_MS - 2 * self.clock.one_way_ms)

    def recent(self, now_ms: float, ms: float) -> bytes:
        """Return the agent's audio of which an echo may be coming back in these `ms` up to now."""
        return self._flight.audio(now_ms - ECHO_SPAN_MS - 2 * self.clock.one_way_ms - ms, now_ms)
