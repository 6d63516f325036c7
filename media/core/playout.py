"""The ledger of agent audio: per item generated, sent and heard, in bytes of mu-law.

Invariants: heard <= sent <= generated, heard never decreases, and the bytes of an item go out in order without a
gap.

Theory of operation.  `pump` keeps the carrier's queue a little filled, and follows each message with a mark.  What
was heard comes from `heardposition`'s model of the carrier's playout, which marks correct.  A flushed mark comes back
exactly like a played one, so clears fence marks: a mark from before the last clear proves nothing.  Each `clear` is
followed by a mark of its own, the fence.  The fence's echo shows when the queue was emptied; until then the heard
position is an estimate that is not acted upon.

    SENDING ── clear() ──▶ CLEARING: `cleared`, the heard position is pending (SETTLED, if nothing was in flight)
    CLEARING ── the fence is back, an early flushed mark is back, SETTLE_MS passed, give_up() ──▶ SETTLED: `cleared`
    SETTLED ── resume(): send again from the heard position ──▶ SENDING
    SETTLED ── drop(): discard the unheard tail ──▶ SENDING

Example, 40 ms each way, an item of 2 s:

       0 ms  pump(): a mark, 347 ms of audio and a mark; then 147 ms and a mark whenever less than 200 ms are queued
     427 ms  the first message's mark is back: 347 ms were heard
     500 ms  clear(): `clear` and the fence
     580 ms  the fence is back: the carrier emptied its queue at 540 ms, so 500 ms were heard
     700 ms  resume(): audio from 500 ms on is sent again, or drop(): the item ends there
"""

from dataclasses import dataclass, field
from typing import Final

from media.core.audio import BYTES_PER_MS
from media.core.carrierclock import CarrierClock
from media.core.echo import ECHO_SPAN_MS
from media.core.heardposition import HeardPosition, Item, Span
from media.core.legmessages import Clear, Mark, Play, ToLeg
from media.core.marks import Age, Marks
from media.core.plans import PromptKind
from media.core.prompts import OPENINGS
from media.core.turngate import TurnGate

#: How long a clear waits for the echo of its mark.
SETTLE_MS: Final = 600.0
#: A mark from before a clear counts as played only if it is earlier than a flushed one could be by more than this.
UNSURE_MS: Final = 5.0
#: Audio that is kept at the carrier.
LEAD_LOW_MS: Final = 200
#: Length of a message: not a multiple of a frame, since the ledger learns from where in a frame a message ends.
MESSAGE_MS: Final = 147


_CURRENT: Final = Age.CURRENT  # looked up for every mark
#: Wait for the caller to finish: a text that a person dictated, and what opens the call.
_PATIENT: Final = (PromptKind.DICTATED, *OPENINGS)


@dataclass(frozen=True, slots=True)
class _Clearing:
    """A clear with a pending heard position."""

    fence: int  # the mark behind the clear
    sent_ms: float


@dataclass(slots=True)
class Playout:
    """The ledger of one call's agent audio."""

    clock: CarrierClock
    turn_gate: TurnGate
    model_waits: bool = True  # a response does not begin while the caller speaks
    # Items not yet heard to their end, in the order of speech.
    line: list[Item] = field(default_factory=list)
    # Cleared: nothing is sent until resume or drop.
    cleared: bool = False
    _position: HeardPosition = field(init=False)
    _marks: Marks = field(default_factory=Marks)
    _clearing: _Clearing | None = None
    _spans: list[Span] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._position = HeardPosition(self.clock)

    def mark(self, number: int, now_ms: float) -> None:
        """Process a mark that came back.  An unknown one changes nothing; a flushed one only shows when it was flushed."""
        age = self._marks.age(number)
        if age is not _CURRENT:
            if age is Age.BEFORE_CLEAR:
                self._judge_fenced_mark(number, now_ms)
            return
        sent_ms = self._marks.pinged(number)
        if sent_ms is None:
            self._spans += self._position.played(number, now_ms)
            return
        self.clock.round_trip(now_ms - sent_ms, now_ms)
        if self._clearing is not None and self._clearing.fence == number:
            self._settle_by_echo(now_ms)

    def _judge_fenced_mark(self, number: int, now_ms: float) -> None:
        """Judge a mark from before the pending clear: played, flushed, or impossible to tell."""
        clearing = self._clearing
        if clearing is None:
            return
        # A flushed mark cannot be back sooner.
        back_ms = clearing.sent_ms + 2 * self.clock.one_way_ms
        early = self._position.too_early(number, now_ms)
        if now_ms < back_ms - self.clock.doubt_ms - UNSURE_MS and not early:
            self._spans += self._position.played(number, now_ms)
        elif now_ms >= back_ms and early:
            # Its audio cannot have been played.
            self._settle_by_echo(now_ms)

    def _settle_by_echo(self, now_ms: float) -> None:
        """Settle the pending clear by an echo that the carrier emitted when it emptied its queue."""
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
        """Return the messages to send now so that the carrier does not run dry, each followed by its mark."""
        sends: list[ToLeg] = []
        if self.cleared or (self._position.out and self.lead_ms(now_ms) >= LEAD_LOW_MS):
            return sends
        if not self._position.out and now_ms >= self._ping_due_ms():
            sends.append(Mark(self._marks.ping(now_ms)))
        for item in self.line:
            if not item.sent and self._waits(item) and self.turn_gate.speaks(now_ms):
                break
            if item.sent < item.generated and not self._position.out:
                # This mark shows when the audio behind it begins to play.
                sends.append(self._send_mark(item, b"", now_ms))
            while item.sent < item.generated and (lead_ms := self.lead_ms(now_ms)) < LEAD_LOW_MS:
                # An item's first message is all audio that has come, up to the most to be queued at the carrier.
                first_ms = LEAD_LOW_MS + MESSAGE_MS - max(0.0, lead_ms)
                wanted = int(MESSAGE_MS if item.sent else first_ms) * BYTES_PER_MS
                self._send(sends, item, min(wanted, item.generated - item.sent), now_ms)
            if item.sent < item.generated or not item.complete:
                break
        return sends

    def _waits(self, item: Item) -> bool:
        """Return whether an item waits for the caller to finish."""
        return self.model_waits if item.prompt is None else item.prompt in _PATIENT

    def _send(self, sends: list[ToLeg], item: Item, size: int, now_ms: float) -> None:
        payload = item.audio.read(item.sent, item.sent + size)
        sends.append(Play(payload))
        sends.append(self._send_mark(item, payload, now_ms))

    def _send_mark(self, item: Item, payload: bytes, now_ms: float) -> Mark:
        number = self._marks.next()
        self._position.sent(number, item, payload, now_ms)
        return Mark(number)

    def due_ms(self) -> float:
        """Return when `pump` or `advance` is due if nothing else happens: the lead runs low, or the agent falls silent."""
        if self.cleared:
            return float("inf")
        if not self._position.out:
            return self._ping_due_ms()
        for item in self.line:
            if item.sent < item.generated:
                return self._position.ends_ms - self.clock.arrives(LEAD_LOW_MS)
        return self._position.ends_ms

    def _ping_due_ms(self) -> float:
        return self._marks.ping_due_ms(well_known=self.clock.well_known)

    def lead_ms(self, now_ms: float) -> float:
        """Return how much audio will be queued at the carrier when something sent now arrives there."""
        return self._position.ends_ms - self.clock.arrives(now_ms)

    def ahead_ms(self, now_ms: float) -> float:
        """Return how much audio is ahead of what would be added now, here and at the carrier, when that could arrive there."""
        unsent = sum([item.generated - item.sent for item in self.line])
        return max(0.0, self.lead_ms(now_ms)) + unsent / BYTES_PER_MS

    def clear(self, now_ms: float) -> list[ToLeg]:
        """Stop at once, and return the messages to send; the unheard tail is kept until resume or drop."""
        self._hear(now_ms)
        self.cleared = True
        if self._clearing is not None or not self._position.out:
            return []
        fence = self._marks.fence(now_ms)
        self._clearing = _Clearing(fence, now_ms)
        return [Clear(), Mark(fence)]

    def settled(self, now_ms: float) -> bool:
        """Return whether the position at the last clear is as well known as it will be."""
        if self._clearing is not None and now_ms >= self._clearing.sent_ms + SETTLE_MS:
            self.give_up()
        return self._clearing is None

    def give_up(self) -> None:
        """Settle a pending clear at the most likely position: the carrier will send no more echoes."""
        if self._clearing is not None:
            self._settle(self.clock.arrives(self._clearing.sent_ms) - self.clock.base_ms)

    def _settle(self, cut_ms: float) -> None:
        """Settle the pending clear: the queue was emptied at `cut_ms` on the carrier's clock."""
        self._spans += self._position.cut(cut_ms)
        self._clearing = None

    def resume(self) -> None:
        """Send again from the heard position.  Only once `settled`."""
        for item in self.line:
            item.sent = item.heard
        self.cleared = False

    def drop(self, *, keep_keys: bool = False) -> list[Item]:
        """Discard the unheard tail; return the items that had one, in the order of speech.  Only once `settled`.

        With `keep_keys`, keys of which nothing was heard stay queued.
        """
        line, self.line, self.cleared = self.line, [], False
        dropped: list[Item] = []
        for item in line:
            if item.finished:
                self.line.append(item)
            elif keep_keys and item.prompt is PromptKind.TONES and not item.heard:
                item.sent = 0
                self.line.append(item)
            else:
                item.complete = True
                dropped.append(item)
        return dropped

    def withdraw(self) -> list[Item]:
        """Discard a response that was neither sent nor heard; return its items."""
        dropped = [item for item in self.line if item.prompt is None]
        self.line = [item for item in self.line if item.prompt is not None]
        return dropped

    def advance(self, now_ms: float) -> tuple[list[Span], list[Item]]:
        """Return the spans heard since the last call, and the items thereby heard to their end; both in order."""
        self._hear(now_ms)
        spans, self._spans = self._spans, []
        finished: list[Item] = []
        while self.line and self.line[0].finished:
            finished.append(self.line.pop(0))
        return spans, finished

    def _hear(self, now_ms: float) -> None:
        if self._clearing is None and self._position.out:
            self._spans += self._position.hear(now_ms)

    def audible(self, now_ms: float) -> bool:
        """Return whether the caller hears the agent or is about to; a cleared tail counts."""
        if not self.cleared and self._position.ends_ms > now_ms:
            return True
        # A generator would be a third of the cost, on every frame.
        for item in self.line:  # noqa: SIM110
            if item.generated > (item.heard if self.cleared else item.sent):
                return True
        return False

    @property
    def sounds(self) -> bool:
        """Whether the caller hears the agent or has heard part of what it is saying; unlike `audible`, not before that."""
        return bool(self._position.out) or any(item.heard for item in self.line)

    def remaining_ms(self, now_ms: float) -> float:
        """Return how long the agent will keep speaking, counting the audio that has come."""
        if self.cleared:
            return sum([item.generated - item.heard for item in self.line]) / BYTES_PER_MS
        unsent = sum([item.generated - item.sent for item in self.line])
        return unsent / BYTES_PER_MS + max(0.0, self._position.ends_ms - now_ms)

    def echo_level_db(self, now_ms: float) -> float:
        """Return the level of the agent's loudest message that may be echoing now."""
        return self._position.level_db(now_ms, now_ms - ECHO_SPAN_MS - 2 * self.clock.one_way_ms)

    def recent(self, now_ms: float, ms: float) -> bytes:
        """Return the agent's audio that may be echoing in these `ms` up to now."""
        return self._position.audio(now_ms - ECHO_SPAN_MS - 2 * self.clock.one_way_ms - ms, now_ms)
