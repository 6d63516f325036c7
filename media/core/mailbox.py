"""A mailbox: prompts and a beep, then the caller's message, then thanks.  No model takes part.

    greeting ── the beep was heard ──▶ recording ── #, *, silence, too long ──▶ closing ── heard ──▶ ended

A caller may hang up at any point: what they have said since the beep is kept.
"""

from collections import deque
from enum import Enum, auto
from typing import Final

from media.core.audio import to_ms
from media.core.beep import beep
from media.core.callermessage import Dictation
from media.core.carrierclock import CarrierClock
from media.core.commands import (
    Command,
    DecisionResult,
    EndCall,
    Inform,
    Instruct,
    LeaveStream,
    Listen,
    Say,
    SwitchFlow,
)
from media.core.ending import CLOSE_DEADLINE_MS
from media.core.heardposition import Item, ItemAudio
from media.core.legmessages import (
    CARRIER_PROTOCOL,
    Audio,
    Broken,
    Digit,
    HangUp,
    Leave,
    LegEvent,
    Mark,
    Outcome,
    Started,
    Stopped,
)
from media.core.plans import MailboxPlan, Prompt
from media.core.playout import Playout
from media.core.prompts import heard_text
from media.core.recordinggate import RecordingGate
from media.core.talk import Talk, answered_late, next_tick_ms
from media.core.turngate import TurnGate
from media.core.types import (
    Action,
    CallEnded,
    CallStarted,
    CommandReply,
    MessageTaken,
    RecordCaller,
    Report,
    StartMessage,
    TurnEnded,
)

#: Frames kept until the beep's mark is back, so that a caller who speaks at once is recorded from the first word.
KEPT_FRAMES = 100
#: For the beep's mark to come back.
PROOF_MS = 1_000
MESSAGE_TAKEN, NO_MESSAGE, MESSAGE_FAILED = "message_taken", "no_message", "message_failed"  # reasons
#: Keys that end a message, or skip the greeting.
END_KEYS = ("#", "*")


class MailboxPhase(Enum):
    WAITING = auto()  # the leg has not started
    GREETING = auto()
    SKIPPING = auto()  # the caller skips the greeting
    RECORDING = auto()
    CLOSING = auto()
    ENDED = auto()  # nothing follows


_RECORDING: Final = MailboxPhase.RECORDING


class Mailbox(Talk):
    """A call in which the caller leaves a message."""

    def __init__(self, plan: MailboxPlan) -> None:
        self.plan = plan
        self.phase = MailboxPhase.WAITING
        self.due_ms = 0.0
        self._actions: list[Action] = []
        self._clock = CarrierClock()
        self._speaker = Speaker(self._clock, self._actions)
        self._dictation = Dictation(plan.silence_ms, plan.longest_ms, plan.least_ms)
        self._frames: deque[Audio] = deque(maxlen=KEPT_FRAMES)
        self._outcome: Outcome = HangUp("caller")
        self._deadline_ms = 0.0

    @property
    def ended(self) -> bool:
        return self.phase is MailboxPhase.ENDED

    def abandon(self) -> None:
        self.phase, self.due_ms = MailboxPhase.ENDED, 0.0

    # Inputs.

    def from_leg(self, event: LegEvent, now_ms: float) -> list[Action]:
        if self.phase is MailboxPhase.ENDED:
            return []
        if isinstance(event, Audio):
            self._audio(event, now_ms)
        elif self.phase is MailboxPhase.WAITING and isinstance(event, (Mark, Digit)):
            self._end(HangUp(CARRIER_PROTOCOL, "not before start"), now_ms)
        else:
            self._leg_event(event, now_ms)
            self.due_ms = min(self.due_ms, self._speaker.due_ms())
        return self._drain()

    def leg_gone(self, now_ms: float, outcome: Outcome) -> list[Action]:
        if self.phase is not MailboxPhase.ENDED:
            self._end(outcome, now_ms)
        return self._drain()

    def command(self, command: Command, now_ms: float) -> list[Action]:
        if isinstance(command, (Instruct, Say, SwitchFlow, DecisionResult, Inform)):
            return [Report(CommandReply(command.id, "over"))]  # there is no agent
        if self.phase is MailboxPhase.ENDED:
            return answered_late(command, self._outcome)
        match command:
            case EndCall(reason, spoken):
                if spoken and self.phase is not MailboxPhase.WAITING:
                    self._close(HangUp(reason), now_ms, self.plan.goodbye)
                else:
                    self._end(HangUp(reason), now_ms)
            case LeaveStream(outcome, id):
                self._actions.append(Report(CommandReply(id, "done")))
                self._end(outcome, now_ms)
            case Listen(on):
                self._speaker.recording_gate.listen(on)
            case _:
                pass  # nothing for a mailbox to do
        return self._drain()

    def message_failed(self, now_ms: float) -> list[Action]:
        if self.phase is _RECORDING:
            self.phase = MailboxPhase.GREETING  # there is no message to end
            self._close(HangUp(MESSAGE_FAILED), now_ms, self.plan.apology)
        return self._drain()

    def tick(self, now_ms: float) -> list[Action]:
        if self.phase in (MailboxPhase.WAITING, MailboxPhase.ENDED):
            return []
        speaker = self._speaker
        speaker.advance(now_ms)
        match self.phase:
            case MailboxPhase.GREETING:
                self._begin_message(now_ms)
            case MailboxPhase.SKIPPING if speaker.stopped(now_ms):
                self.phase = MailboxPhase.GREETING
                speaker.beep()
            case MailboxPhase.RECORDING if self._dictation.over(now_ms) is not None:
                self._message_over(now_ms)
            case MailboxPhase.CLOSING if not speaker.audible(now_ms) or now_ms >= self._deadline_ms:
                self._end(self._outcome, now_ms)
                return self._drain()
            case _:
                pass
        speaker.pump(now_ms)
        self.due_ms = next_tick_ms(now_ms, speaker.due_ms())
        return self._drain()

    # The leg.

    def _audio(self, audio: Audio, now_ms: float) -> None:
        if self.phase is MailboxPhase.WAITING:
            self._end(HangUp(CARRIER_PROTOCOL, "not before start"), now_ms)
            return
        self._clock.caller_frame(audio.at_ms, now_ms)
        if self.phase is _RECORDING:
            self._dictation.frame(audio.payload, now_ms)
            self._actions.append(RecordCaller(audio.payload, audio.at_ms))
            return
        self._speaker.recording_gate.caller(audio.payload, audio.at_ms)
        if self.phase is not MailboxPhase.CLOSING:
            self._dictation.adapt(audio.payload)
            self._frames.append(audio)

    def _leg_event(self, event: LegEvent, now_ms: float) -> None:
        match event:
            case Mark(number):
                self._speaker.mark(number, now_ms)
                self._begin_message(now_ms)
            case Stopped():
                self._end(HangUp("caller"), now_ms)
            case Broken(detail):
                self._end(HangUp(CARRIER_PROTOCOL, detail), now_ms)
            case Started(stream_id):
                if self.phase is not MailboxPhase.WAITING:
                    self._end(HangUp(CARRIER_PROTOCOL, "a second start"), now_ms)
                    return
                self.phase = MailboxPhase.GREETING
                self._actions.append(Report(CallStarted(stream_id)))
                for prompt in self.plan.openings:
                    self._speaker.say(prompt)
                self._speaker.beep()
                self._speaker.pump(now_ms)
            case Digit(digit):
                self._key(digit, now_ms)
            case _:
                pass  # audio is handled by `from_leg`

    def _key(self, digit: str, now_ms: float) -> None:
        if digit not in END_KEYS:
            return
        if self.phase is _RECORDING:
            self._message_over(now_ms)
        elif self.phase is MailboxPhase.GREETING and not self._speaker.is_beeping:
            self.phase = MailboxPhase.SKIPPING
            self._speaker.begin_stop(now_ms)
        self.due_ms = 0.0

    # The message.

    def _begin_message(self, now_ms: float) -> None:
        """Begin the message where the beep ended, once that is known."""
        beeped_ms = self._speaker.beeped_ms(now_ms)
        if self.phase is not MailboxPhase.GREETING or beeped_ms is None:
            return
        self.phase, self.due_ms = MailboxPhase.RECORDING, 0.0
        at_ms = self._clock.call_ms(beeped_ms)
        frames = [frame for frame in self._frames if frame.at_ms + to_ms(len(frame.payload)) > at_ms]
        self._frames.clear()
        spoken = tuple([RecordCaller(audio.payload, audio.at_ms) for audio in frames])
        self._actions.append(StartMessage(frames[0].at_ms if frames else at_ms, spoken))
        self._dictation.begin(now_ms)
        for audio in frames:
            self._dictation.frame(audio.payload, now_ms)

    def _message_over(self, now_ms: float) -> None:
        if self._dictation.kept:
            self._close(HangUp(MESSAGE_TAKEN), now_ms, self.plan.thanks)
        else:
            self._close(HangUp(NO_MESSAGE), now_ms, self.plan.goodbye)

    # The end.

    def _close(self, outcome: Outcome, now_ms: float, last: Prompt | None) -> None:
        """Leave with this outcome after everything was heard, `last` included.  Later calls are ignored."""
        if self.phase is MailboxPhase.CLOSING:
            return
        self._finish_message()
        self.phase, self.due_ms = MailboxPhase.CLOSING, 0.0
        self._outcome, self._deadline_ms = outcome, now_ms + CLOSE_DEADLINE_MS
        self._speaker.stop(now_ms)
        if last is not None:
            self._speaker.say(last)
            self._speaker.pump(now_ms)

    def _finish_message(self) -> None:
        """Report that the message is complete, if one was being recorded."""
        if self.phase is _RECORDING:
            self._actions.append(Report(MessageTaken(self._dictation.kept)))

    def _end(self, outcome: Outcome, now_ms: float) -> None:
        self._finish_message()
        self.abandon()
        self._outcome = outcome
        self._speaker.flush(now_ms)
        self._actions.append(Report(CallEnded(outcome.reason, outcome.detail, self._clock.call_ms(now_ms))))
        self._actions.append(Leave(outcome))

    def _drain(self) -> list[Action]:
        drained = self._actions.copy()
        self._actions.clear()
        return drained


class Speaker:
    """The mailbox's voice: prompts and the beep, each an item of the ledger, and a turn if it has words."""

    __slots__ = (
        "_actions",
        "_beep",
        "_began_ms",
        "_clock",
        "_items",
        "_playout",
        "_turns",
        "recording_gate",
    )

    def __init__(self, clock: CarrierClock, actions: list[Action]) -> None:
        self._clock, self._actions = clock, actions
        # Of what listeners hear: the message itself is recorded whether one listens or not.
        self.recording_gate = RecordingGate(actions.append, wanted=False)
        self._playout = Playout(clock, TurnGate(0.0, 0.0, 0.0))
        self._beep: Item | None = None
        # When an item was first heard, on the call's clock.
        self._began_ms: dict[str, int] = {}
        self._items = self._turns = 0

    def say(self, prompt: Prompt) -> None:
        self._queue(prompt.text, prompt.audio or b"")

    def beep(self) -> None:
        self._beep = self._queue("", beep())

    def _queue(self, text: str, audio: bytes) -> Item:
        self._items += 1
        item = Item(f"clip_{self._items}", of_model=False, text=text, audio=ItemAudio(audio), complete=True)
        self._playout.line.append(item)
        return item

    @property
    def is_beeping(self) -> bool:
        """Whether the beep is all that is left to be heard."""
        line = self._playout.line
        return not line or line[0] is self._beep

    def beeped_ms(self, now_ms: float) -> float | None:
        """Return when the beep was heard to its end, once its mark proves that or is overdue; else None."""
        item = self._beep
        if item is None or not (item.played or (item.finished and now_ms >= item.ended_ms + PROOF_MS)):
            return None
        return item.ended_ms

    def audible(self, now_ms: float) -> bool:
        return self._playout.audible(now_ms)

    def due_ms(self) -> float:
        return self._playout.due_ms()

    def mark(self, number: int, now_ms: float) -> None:
        self._playout.mark(number, now_ms)
        self.advance(now_ms)

    def pump(self, now_ms: float) -> None:
        self._actions += self._playout.pump(now_ms)

    def advance(self, now_ms: float) -> None:
        """Account for what was heard since the last call."""
        spans, finished = self._playout.advance(now_ms)
        for span in spans:
            at_ms = self._clock.call_ms(span.at_ms)
            if span.start == 0:
                self._began_ms[span.item.id] = at_ms
            if self.recording_gate.running:
                self.recording_gate.agent(span.item.audio.read(span.start, span.end), at_ms)
        for item in finished:
            self._report_turn(item, interrupted=False)

    def begin_stop(self, now_ms: float) -> None:
        """Stop at once; see `stopped`."""
        self._actions += self._playout.clear(now_ms)

    def stopped(self, now_ms: float) -> bool:
        """Return whether the heard position is known by now; then discard the rest."""
        settled = self._playout.settled(now_ms)
        if settled:
            self._drop(now_ms)
        return settled

    def stop(self, now_ms: float) -> None:
        """Stop at once, and be ready to say something else."""
        if self._playout.line or self._playout.cleared:
            self.begin_stop(now_ms)
            self._playout.give_up()
            self._drop(now_ms)

    def flush(self, now_ms: float) -> None:
        """End the call: what was heard by now is all that will be."""
        self._playout.give_up()
        self._drop(now_ms)

    def _drop(self, now_ms: float) -> None:
        self.advance(now_ms)
        for item in self._playout.drop():
            self._report_turn(item, interrupted=True)

    def _report_turn(self, item: Item, *, interrupted: bool) -> None:
        if not item.heard or not item.text:
            return
        self._turns += 1
        words = heard_text(item.text, item.heard, item.generated)
        start_ms, end_ms = self._began_ms.get(item.id, 0), self._clock.call_ms(item.ended_ms)
        turn = TurnEnded(self._turns, "agent", item.text, words, start_ms, end_ms, interrupted, item.id)
        self._actions.append(Report(turn))
