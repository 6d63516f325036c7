"""The agent's voice: the model's audio and prompts in one ledger, and the consequences of what was heard.

Theory of operation.  An item of speech is the model's, open from `open_item` until `close_item`, or a prompt, a filler
or keys, queued with all of their audio.  `playout` sends it and knows how much was heard; each transition updates the
transcript, the model's conversation and the recording.

    queued ── add_audio, pump ──▶ sent ── played ──▶ heard ── closed and all heard ──▶ ended: a turn
      │                                                │
      │ withdraw: nothing was sent                     │ clear: the caller spoke over it
      ▼                                                ▼
    deleted: no turn                                cleared ── resume ──▶ sent again from the heard position
                                                       ├────── cut ──▶ truncated there: an interrupted turn
                                                       └────── cut, unsaid ──▶ deleted: no turn

Example, 40 ms to the carrier and back each:

        0 ms  open_item, add_audio: 347 ms are sent at once, then 147 ms whenever less than 200 ms are queued
       40 ms  the carrier begins to play it: the turn begins
    1,300 ms  clear: the caller speaks over the agent
    1,380 ms  settled: 1,300 ms were heard
    1,660 ms  cut: the model's item is truncated at 1,300 ms; the turn ends with the words up to there
"""

from typing import Final

from media.core.audio import to_ms
from media.core.calltranscript import CallTranscript
from media.core.carrierclock import CarrierClock
from media.core.fillers import Fillers
from media.core.heardposition import Item, Span
from media.core.latency import Latency
from media.core.modelmessages import TurnModel
from media.core.plans import CallPlan, PromptKind, Silences
from media.core.playout import Playout
from media.core.prompts import OPENINGS, Prompts
from media.core.recordinggate import RecordingGate
from media.core.session import Session
from media.core.turngate import TurnGate
from media.core.types import AnnouncementPlayed, Emit, Moment, Report, Stamp

_NEVER: Final = float("inf")
#: If more than this was heard, a word was heard, even if the transcript has none yet.
LONGEST_WORD_MS: Final = 1_000
#: These only cover a silence: a response need not wait for their end.
COVERS = (PromptKind.FILLER, PromptKind.HOLD)


class Voice:
    """Everything that the caller hears from our side; its public attributes are parts that may be used directly."""

    __slots__ = (
        "_clock",
        "_emit",
        "_open",
        "_session",
        "fillers",
        "latency",
        "playout",
        "prompts",
        "recording_gate",
        "transcript",
    )

    def __init__(
        self,
        plan: CallPlan,
        clock: CarrierClock,
        session: Session,
        transcript: CallTranscript,
        latency: Latency,
        turn_gate: TurnGate,
        emit: Emit,
    ) -> None:
        self.transcript, self.latency = transcript, latency
        self.recording_gate = RecordingGate(
            emit, wanted=plan.recording.recording, protected=plan.turns.protect_announcement
        )
        self.prompts = Prompts(plan)
        self.playout = Playout(clock, turn_gate, model_waits=isinstance(plan.agent.model, TurnModel))
        self.fillers = Fillers(_filler_after_ms(plan.silences), plan.silences.hold_after_ms)
        self._clock, self._session, self._emit = clock, session, emit
        # Items that the model is still generating.
        self._open: dict[str, Item] = {}

    def follow(self, plan: CallPlan) -> None:
        """Use another agent's prompts from now on; what is queued is still played."""
        self.prompts.plan = plan
        self.fillers.after_ms = _filler_after_ms(plan.silences)

    # Items to be spoken.

    def opening(self, now_ms: float) -> list[PromptKind]:
        """Return what the caller hears first, in order, and start the clock of the silence."""
        self.fillers.restart(now_ms)
        return self.prompts.opening()

    def play(self, kind: PromptKind) -> bool:
        """Queue a prompt; return False if it has no audio."""
        item = self.prompts.item(kind)
        if item is None:
            return False
        self._queue(item)
        return True

    def press_keys(self, digits: str) -> None:
        """Queue keys to be pressed, as tones."""
        self._queue(self.prompts.tones(digits))

    def open_item(self, item_id: str, prompt: PromptKind | None) -> None:
        """Begin an item of the model's, in place of a prompt of kind `prompt` if given, unless it has begun before."""
        if self.transcript.item_opened(item_id):
            item = self._open[item_id] = Item(item_id, prompt)
            self._queue(item)

    def add_audio(self, item_id: str, ulaw: bytes, now_ms: float) -> None:
        """Add audio to an open item; ignore audio of any other item, which was cut."""
        item = self._open.get(item_id)
        if item is None:
            return
        if not item.generated:
            playout, latency = self.playout, self.latency
            latency.first_delta(now_ms)
            if playout.audible(now_ms) or playout.turn_gate.speaks(now_ms):
                # It queues behind a filler, or waits for the caller: neither is our latency.
                latency.first_sent(now_ms)
        item.audio.add(ulaw)
        self.pump(now_ms)

    def add_text(self, item_id: str, delta: str, offset: int | None = None) -> None:
        """Add words to an open item, said at this byte of it or with what comes next; ignore those of any other item."""
        item = self._open.get(item_id)
        if item is not None:
            self.transcript.agent_words(item, delta, item.generated if offset is None else min(offset, item.generated))

    def generated(self, item_id: str) -> int:
        """Return how many bytes of an open item have come."""
        item = self._open.get(item_id)
        return 0 if item is None else item.generated

    def final_text(self, item_id: str, text: str) -> None:
        """Set the whole text of an open item."""
        item = self._open.get(item_id)
        if item is not None:
            self.transcript.agent_text(item, text)

    def close_item(self, item_id: str) -> None:
        """End an item: no more audio of it will come."""
        item = self._open.pop(item_id, None)
        if item is not None:
            item.complete = True

    def close_all(self) -> None:
        for item_id in list(self._open):
            self.close_item(item_id)

    def orphan_all(self) -> None:
        """Close the items of a session that is gone; the next session knows only what it is sent."""
        self.close_all()
        for item in self.playout.line:
            item.of_model = False

    def _queue(self, item: Item) -> None:
        if item.prompt is PromptKind.ANNOUNCEMENT:
            self.recording_gate.announcement_queued(item)
        self.playout.line.append(item)

    # State of the playout.

    def speaks(self, now_ms: float) -> bool:
        """Return whether the agent is heard, or is about to be, with something other than a filler or the hold message."""
        if not self.playout.audible(now_ms):
            return False
        prompts = [item.prompt for item in self.playout.line if item.generated]
        return not prompts or any(prompt not in COVERS for prompt in prompts)

    @property
    def answering(self) -> bool:
        """Whether audio of the active response has come."""
        # A generator would be a third of the cost, on every tick.
        for item in self._open.values():  # noqa: SIM110
            if item.generated:
                return True
        return False

    def protected(self, now_ms: float) -> bool:
        """Return whether what is played must not be interrupted: the announcement, keys, an opening's last attempt."""
        line = self.playout.line
        # Part of a key's tones is another key.
        if line and line[0].prompt is PromptKind.TONES:
            return True
        if self.prompts.is_last_attempt and line and line[0].prompt in OPENINGS:
            return True
        return self.recording_gate.protects(line[0] if line else None, now_ms)

    # The caller's wait for a response.

    def break_silence(self, turn: int, since_ms: float, now_ms: float, *, answering: bool) -> float:
        """Break the silence if it is time to; return when the next filler or hold message is due, infinity if none is.

        The caller has been waiting since `since_ms` (infinity: is not waiting).  A filler is played only while the
        model is `answering` this turn.
        """
        fillers = self.fillers
        if self.playout.audible(now_ms):
            fillers.restart(now_ms)
            return _NEVER
        if since_ms == _NEVER:
            fillers.end()
            return _NEVER
        filler_ms = fillers.filler_due_ms(turn, since_ms) if answering else _NEVER
        hold_ms = fillers.hold_due_ms(since_ms)
        if now_ms >= filler_ms:
            fillers.filler_queued()
            self._queue_filler(self.prompts.filler())
        elif now_ms >= hold_ms:
            fillers.hold_queued()
            self._queue_filler(self.prompts.item(PromptKind.HOLD))
        else:
            return min(filler_ms, hold_ms)
        return _NEVER

    def _queue_filler(self, item: Item | None) -> None:
        """Queue the item, if there is one, before any items that the model has begun but that have no audio yet."""
        line = self.playout.line
        place = len(line)
        while place and not line[place - 1].generated:
            place -= 1
        if item is not None:
            line.insert(place, item)

    # Sending, and accounting for what was heard.

    def pump(self, now_ms: float) -> None:
        """Send what the carrier needs now."""
        sends = self.playout.pump(now_ms)
        for action in sends:
            self._emit(action)
        if sends and self.latency.unsent:
            self._emit(Stamp(Moment.RESPONDED))

    def mark(self, number: int, now_ms: float) -> None:
        """Process a mark that came back."""
        self.playout.mark(number, now_ms)
        self.advance(now_ms)

    def advance(self, now_ms: float) -> None:
        """Account for what was heard since the last call."""
        spans, finished = self.playout.advance(now_ms)
        for span in spans:
            self._heard(span)
        for item in finished:
            self._ended(item, interrupted=False)
        if spans:
            item = spans[-1].item
            item.audio.drop_before(item.heard)
        proven_ms = self.recording_gate.announcement_proven_ms()
        if proven_ms is not None:
            self._emit(Report(AnnouncementPlayed(self._clock.call_ms(proven_ms))))
            self.recording_gate.start()

    def _heard(self, span: Span) -> None:
        item = span.item
        at_ms = self._clock.call_ms(span.at_ms)
        if span.start == 0:
            self.transcript.agent_began(item.id, at_ms)
            self.latency.agent_heard(item.id, item.of_model, span.at_ms)
        if item.prompt is PromptKind.ANNOUNCEMENT:
            self.recording_gate.announced(item.audio.read(span.start, span.end), at_ms)
        if self.recording_gate.running:
            self.recording_gate.agent(item.audio.read(span.start, span.end), at_ms)

    def _ended(self, item: Item, *, interrupted: bool) -> None:
        item.audio.drop()
        if not item.heard:
            self.transcript.drop_text(item.id)
            return
        words = self.transcript.agent_ended(item, self._clock.call_ms(item.ended_ms), interrupted=interrupted)
        if words and not item.of_model:
            self._session.add_agent_text(words, filler=item.prompt in COVERS)

    def report_under_way(self, now_ms: float) -> None:
        """Report the unfinished turns, if that is due and they changed."""
        if now_ms < self.transcript.live_turns.due_ms:
            return
        heard = {}
        for item in self.playout.line:
            if item.heard:
                heard[item.id] = (*self.transcript.words(item), self._clock.call_ms(item.ended_ms))
        self.transcript.report_under_way(heard, now_ms)

    # Interruptions.

    def clear(self, now_ms: float) -> tuple[str, int]:
        """Stop at once; return the id of the item that was being heard, and how much of it was heard, in ms."""
        for action in self.playout.clear(now_ms):
            self._emit(action)
        self._emit(Stamp(Moment.CLEARED))
        self.advance(now_ms)
        line = self.playout.line
        return (line[0].id, to_ms(line[0].heard)) if line else ("", 0)

    def settled(self, now_ms: float) -> bool:
        """Return whether the position at which the caller stopped hearing is as well known as it will be."""
        settled = self.playout.settled(now_ms)
        if settled:
            self.advance(now_ms)
        return settled

    def give_up(self, now_ms: float) -> None:
        """Settle a pending clear with what is known: the carrier will send no more echoes."""
        self.playout.give_up()
        self.advance(now_ms)

    def heard_ms(self, item_id: str, otherwise: int) -> int:
        """Return how much of the item was heard, if it is the one that was stopped; else `otherwise`."""
        line = self.playout.line
        return to_ms(line[0].heard) if line and line[0].id == item_id else otherwise

    def counts_as_unsaid(self, item_id: str, spoke_ms: float) -> bool:
        """Return whether the item that was stopped counts as unsaid.

        It does if no word of it was heard, or so little before the caller began, at `spoke_ms`, that they can't have
        meant to interrupt it.
        """
        line = self.playout.line
        if not line or line[0].id != item_id:
            return False  # heard to its end
        item = line[0]
        before_ms = to_ms(item.heard) - max(0.0, item.ended_ms - spoke_ms)
        unaware = before_ms < self.playout.turn_gate.unaware_ms and item.prompt not in COVERS
        return unaware or (to_ms(item.heard) < LONGEST_WORD_MS and not self.transcript.words(item)[1])

    @property
    def is_opening(self) -> bool:
        """Whether the item that is heard, or was stopped, opens the call."""
        line = self.playout.line
        return bool(line) and line[0].prompt in OPENINGS

    def cut(self, now_ms: float, *, unsaid: bool, keep_keys: bool) -> set[PromptKind | None]:
        """Discard the unheard tail, here and at the model; return the kinds of which nothing was said.

        None stands for a response.  Only once `settled`.  If the tail is `unsaid`, so is what was heard of it.  With
        `keep_keys`, keys in the tail are pressed now, as the model takes them for pressed.
        """
        self.advance(now_ms)
        dropped = self.playout.drop(keep_keys=keep_keys)
        for item in dropped:
            self._open.pop(item.id, None)
            if item.of_model:
                self._session.truncate_item(item.id, 0 if unsaid else to_ms(item.heard))
            if unsaid:
                self.transcript.remove_unsaid(item.id)
            else:
                self._ended(item, interrupted=True)
        self.pump(now_ms)
        kinds = {item.prompt for item in dropped}
        return kinds if unsaid else kinds - {item.prompt for item in dropped if item.heard}

    def withdraw(self) -> None:
        """Withdraw the response, of which nothing was heard, here and at the model."""
        for item in self.playout.withdraw():
            self._open.pop(item.id, None)
            self.transcript.drop_text(item.id)
            if item.of_model:
                self._session.truncate_item(item.id, 0)

    def resume(self, now_ms: float) -> None:
        """Send the tail again from the heard position.  Only once `settled`."""
        self.playout.resume()
        self.pump(now_ms)

    def flush(self, now_ms: float) -> None:
        """End the call: what was heard by now is all that will be."""
        self.advance(now_ms)
        for item in self.playout.drop():
            self._ended(item, interrupted=True)
        self.transcript.flush()


def _filler_after_ms(silences: Silences) -> float:
    return silences.filler_after_ms if silences.fillers else _NEVER
