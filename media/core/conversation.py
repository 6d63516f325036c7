"""A call's core: timestamped events in, actions out.  Does no I/O, reads no clock, and never raises for bad input.

    caller frame ─▶ floor ─▶ voice (ledger) ─▶ leg
                      └────▶ modelside ──────▶ model
    model event ──▶ modelside ─▶ responses, turns, tools; audio ─▶ voice

`now_ms` is the process's monotonic clock and never decreases from one call to the next.
"""

from dataclasses import replace
from enum import Enum, auto
from typing import Final

from media.core.carrierclock import CarrierClock
from media.core.commands import (
    Command,
    DecisionResult,
    EndCall,
    Inform,
    Instruct,
    LeaveStream,
    Listen,
    Machine,
    Say,
    Sequel,
    SwitchFlow,
    Watch,
)
from media.core.ending import CLOSE_DEADLINE_MS, LONGEST_MESSAGE_MS, Ending, farewell
from media.core.floor import Floor
from media.core.idletimer import Due
from media.core.keypad import Keypad
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
from media.core.modelmessages import CallModel, ModelEvent
from media.core.modelside import REFUSED
from media.core.onsetdetector import Confirm
from media.core.plans import CallPlan, PromptKind
from media.core.prompts import IN_YOUR_WORDS
from media.core.recordingpauses import CARRIED_OVER, RecordingPauses
from media.core.session import BROKE_OFF, RETURNED
from media.core.sides import side_of
from media.core.talk import Talk, answered_late, next_tick_ms
from media.core.types import (
    Action,
    CallEnded,
    CallStarted,
    CommandReply,
    FlowSwitched,
    ModelLost,
    Moment,
    Report,
    ToolStatus,
)


class ConversationPhase(Enum):
    WAITING = auto()  # the leg has not started
    TALKING = auto()
    ENDED = auto()  # nothing follows


# Compared on every frame: the lookup of an enum member would be most of the cost.
_TALKING: Final = ConversationPhase.TALKING
_ENDED: Final = ConversationPhase.ENDED
_NEVER: Final = float("inf")


class _OutOfOrder(Exception):  # noqa: N818 - named for the fault
    """A leg's event came at a point where the protocol does not allow it."""


class Conversation(Talk):
    """A call between a caller and an agent."""

    def __init__(self, plan: CallPlan, confirm: Confirm | None = None) -> None:
        self.plan = plan
        self.phase = ConversationPhase.WAITING
        self.due_ms = 0.0  # earlier ticks find nothing to do
        self._actions: list[Action] = []
        self._clock = CarrierClock()
        recording_pauses = RecordingPauses(plan.recording.pauses, self._clock, self._actions.append)
        emit = recording_pauses.emit
        self._voice, self._model = side_of(plan, self._clock, recording_pauses)
        self._floor = Floor(plan.turns, self._clock, self._voice, self._model, confirm, emit)
        self._keypad = Keypad(plan.turns.digits_pause_ms)
        self._ending = Ending(plan)

    @property
    def ended(self) -> bool:
        return self.phase is _ENDED

    @property
    def model(self) -> CallModel:
        return self.plan.agent.model

    def abandon(self) -> None:
        self.phase, self.due_ms = ConversationPhase.ENDED, 0.0

    # Inputs.  Each returns the actions to carry out now.

    def from_leg(self, event: LegEvent, now_ms: float) -> list[Action]:
        if self.phase is _ENDED:
            return []
        try:
            if isinstance(event, Audio):  # most of them are
                self._audio(event, now_ms)
            else:
                self._leg_event(event, now_ms)
                self._advance_due()
        except _OutOfOrder as error:
            self._end(HangUp(CARRIER_PROTOCOL, str(error)), now_ms)
        return self._drain()

    def from_model(self, event: ModelEvent, now_ms: float) -> list[Action]:
        model = self._model
        if self.phase is not _TALKING or not model.session.ready:
            return []
        speaking = model.caller_speaks
        lost = model.receive(event, now_ms, self._clock.call_ms(now_ms))
        if lost:
            return self.model_lost(now_ms, lost)
        if speaking and not model.caller_speaks:
            self._ending.idle_timer.caller_acts(now_ms)
        self._follow_tools(now_ms)
        self._advance_due()
        return self._drain()

    def model_ready(self, now_ms: float) -> list[Action]:
        if self.phase is _TALKING:
            self._model.connected(now_ms)
        return self._drain()

    def model_lost(self, now_ms: float, reason: str) -> list[Action]:
        """Redial or close: the model's socket is closed or could not be opened.  Later frames from it are ignored.

        With REFUSED as the reason, before what the model said about it, there is no further attempt.
        """
        if self.phase is not _TALKING:
            return []
        exhausted = self._model.lost(now_ms)
        self._actions.append(Report(ModelLost(reason)))
        code, _, detail = reason.partition(" ")
        if code == REFUSED:
            self._apologize(HangUp(REFUSED, detail), now_ms)
        elif exhausted:
            self._apologize(HangUp("model_lost", f"{exhausted}: {reason}"), now_ms)
        elif not self._ending.closing or self._owes_message:
            self._model.dial(now_ms)
        self._advance_due()
        return self._drain()

    def redial(self, now_ms: float) -> list[Action]:
        if self.phase is _TALKING:
            self._model.redial(now_ms)
            self._advance_due()
        return self._drain()

    def tool_result(
        self, tool_call_id: str, output_json: str, status: ToolStatus, now_ms: float, sequel: Sequel | None = None
    ) -> list[Action]:
        """Process the result of a RunTool, as JSON text; ignore it if the tool is no longer running.

        With a sequel, the call leaves its leg or gets another agent once the agent has finished speaking.
        """
        if self.phase is _TALKING:
            self._model.tool_result(tool_call_id, output_json, status, now_ms, sequel)
            self._follow_tools(now_ms)
            self._advance_due()
        return self._drain()

    def command(self, command: Command, now_ms: float) -> list[Action]:
        if self.phase is _ENDED:
            return answered_late(command, self._ending.outcome)
        match command:
            case EndCall(reason, spoken):
                if spoken and self.phase is _TALKING:
                    self._close(HangUp(reason), now_ms, PromptKind.GOODBYE)
                else:
                    self._end(HangUp(reason), now_ms)
            case LeaveStream(outcome, id):
                hangs_up = self._ending.closing and isinstance(self._ending.outcome, HangUp)
                self._actions.append(Report(CommandReply(id, "over" if hangs_up else "done")))
                if self.phase is _TALKING:
                    self._close(outcome, now_ms, None if self._voice.speaks(now_ms) else farewell(outcome))
                else:
                    self._end(outcome, now_ms)
            case SwitchFlow():
                self._request_switch(command, now_ms)
            case Watch(for_ms):
                self._model.supervision.watch(now_ms + for_ms)
            case Instruct() | Say() | DecisionResult() | Inform():
                self._intervene(command, now_ms)
            case Listen(on):
                self._voice.recording_gate.listen(on)
            case Machine():
                self._machine(command, now_ms)
        return self._drain()

    def _request_switch(self, switch: SwitchFlow, now_ms: float) -> None:
        """Request a switch to another flow's agent, on a person's command: once for each id."""
        tools = self._model.tools
        closing = self._ending.closing or tools.requested_outcome is not None
        self._actions.append(Report(CommandReply(switch.id, "over" if closing else "done")))
        if not closing and self._model.supervision.is_new(switch.id):
            tools.successor = switch
            self._follow_tools(now_ms)

    def _intervene(self, command: Instruct | Say | DecisionResult | Inform, now_ms: float) -> None:
        if isinstance(command, Inform):
            self._model.session.inform(command.caller_context)
            self._actions.append(Report(CommandReply(command.id, "done")))
        elif self.phase is _TALKING:
            self._model.supervision.carry_out(command, self._clock.call_ms(now_ms))
            self.due_ms = 0.0
        else:
            self._actions.append(Report(CommandReply(command.id, "over")))

    def tick(self, now_ms: float) -> list[Action]:
        if self.phase is not _TALKING:
            return []
        voice, model = self._voice, self._model
        if not model.session.confirmed or model.expects_events:  # else nothing is expected of it
            lost = model.failure(now_ms)
            if lost:
                return self.model_lost(now_ms, lost)
            exhausted = model.reconnect_budget.exhausted(now_ms)
            if exhausted:
                self._apologize(HangUp("model_lost", exhausted), now_ms)
        self._floor.missing(now_ms)
        voice.advance(now_ms)
        self._floor.carry_out_verdict(now_ms)
        self._finish_entry(now_ms)
        self._follow_tools(now_ms)
        quiet = not (model.caller_speaks or self._floor.vad.speaking)
        since_ms = model.waited_since_ms() if quiet else _NEVER
        filler_ms = voice.break_silence(model.caller_turns, since_ms, now_ms, answering=model.awaited)
        model.tools.watch(now_ms)
        self._watch_silence(now_ms)
        voice.pump(now_ms)
        model.settled(now_ms)
        voice.report_under_way(now_ms)
        self._leave_message(now_ms)
        self._say_last()
        self._finish_closing(now_ms)
        self.due_ms = min(next_tick_ms(now_ms, voice.playout.due_ms()), filler_ms)
        return self._drain()

    def written(self, moment: Moment, now_ms: float) -> None:
        """Record that the actions before a Stamp were written."""
        match moment:
            case Moment.CLEARED:
                self._floor.clear_written(now_ms)
            case Moment.REQUESTED:
                self._model.response_requested(now_ms)
            case Moment.RESPONDED:
                self._voice.latency.first_sent(now_ms)

    def leg_gone(self, now_ms: float, outcome: Outcome) -> list[Action]:
        if self.phase is not _ENDED:
            self._end(outcome, now_ms)
        return self._drain()

    # The leg.

    def _leg_event(self, event: LegEvent, now_ms: float) -> None:
        match event:
            case Mark(number):
                self._require_started()
                self._voice.mark(number, now_ms)
                self._floor.carry_out_verdict(now_ms)
            case Stopped(reason):
                self._end(HangUp(reason), now_ms)
            case Broken(detail):
                self._end(HangUp(CARRIER_PROTOCOL, detail), now_ms)
            case Started():
                if self.phase is _TALKING:
                    raise _OutOfOrder("a second start")
                self._start(event, now_ms)
            case Digit(digit):
                self._require_started()
                recording_pauses = self._model.tools.recording_pauses
                recording_pauses.key(now_ms)
                recording_pauses.emit(Report(self._keypad.press(digit, self._clock.call_ms(now_ms), now_ms)))
                self.due_ms = 0.0
                self._ending.idle_timer.caller_acts(now_ms)
            case _:
                pass  # audio is handled by `from_leg`

    def _start(self, start: Started, now_ms: float) -> None:
        self.phase = ConversationPhase.TALKING
        self._actions.append(Report(CallStarted(start.stream_id)))
        voice, speech, tools = self._voice, self._model.speech, self._model.tools
        self._ending.idle_timer.begin(now_ms)
        self._floor.begin(now_ms)
        if self.plan.recording.recording_paused:
            tools.recording_pauses.pause(CARRIED_OVER, now_ms)
        if not self.plan.recording.announce_recording:
            voice.recording_gate.start()
        speech.speak(voice.opening(now_ms))
        if self.plan.history:
            speech.continue_with(RETURNED if self.plan.history[-1][0] == "system" else BROKE_OFF)
        elif self.plan.opens and PromptKind.GREETING not in self.plan.prompts:
            speech.owe_response()
        voice.pump(now_ms)
        self._model.dial(now_ms)

    def _audio(self, audio: Audio, now_ms: float) -> None:
        if self.phase is not _TALKING:
            raise _OutOfOrder("not before start")
        payload, at_ms = audio.payload, audio.at_ms  # the struct is not compiled: each look-up is one of Python's
        self._clock.caller_frame(at_ms, now_ms)
        self._voice.recording_gate.caller(payload, at_ms)
        if self._floor.frame(payload, at_ms, now_ms):
            self.due_ms = 0.0

    def _require_started(self) -> None:
        if self.phase is not _TALKING:
            raise _OutOfOrder("not before start")

    # Time passing.

    def _finish_entry(self, now_ms: float) -> None:
        digits = self._keypad.due(now_ms)
        if digits is None:
            return
        self._model.tools.recording_pauses.entry_finished()
        self._model.keypad_input(digits, self._clock.call_ms(now_ms))
        self._voice.fillers.restart(now_ms)

    def _watch_silence(self, now_ms: float) -> None:
        idle_timer, voice, model = self._ending.idle_timer, self._voice, self._model
        if model.caller_speaks and self._floor.vad.speaking:  # either alone may be stuck
            idle_timer.caller_acts(now_ms)
        works = voice.playout.audible(now_ms) or model.busy
        if works:
            idle_timer.agent_speaks(now_ms)
        if self._ending.closing:
            return
        speaks = voice.playout.turn_gate.speaks(now_ms)
        quiet = not (works or speaks or model.awaited or model.speech.prompted) and self._floor.settled
        match idle_timer.due(now_ms, caller_speaks=speaks, quiet=quiet):
            case Due.PROMPT:
                voice.prompts.idle_prompt = idle_timer.prompted - 1
                self._say(PromptKind.IDLE)
            case Due.WARN:
                self._say(PromptKind.LIMIT)
            case Due.CLOSE_IDLE:
                self._close(HangUp("idle"), now_ms, PromptKind.GOODBYE)
            case Due.CLOSE_TOO_LONG:
                self._close(HangUp("max_duration"), now_ms, PromptKind.GOODBYE)

    def _say(self, kind: PromptKind) -> None:
        voice = self._voice
        text = voice.prompts.text(kind)
        if (text is not None or kind in IN_YOUR_WORDS) and not voice.play(kind):
            self._model.speech.say(kind, text)

    # The end.

    def _close(self, outcome: Outcome, now_ms: float, last: PromptKind | None = None) -> None:
        """End the call with this outcome after everything was heard, `last` included."""
        self._model.speech.close()
        self._floor.interruptible = False
        patience_ms = LONGEST_MESSAGE_MS if last is PromptKind.MACHINE else CLOSE_DEADLINE_MS
        self._ending.begin(outcome, now_ms + patience_ms, last)
        self.due_ms = 0.0
        self._say_last()

    def _say_last(self) -> None:
        """Say the call's last prompt; after an overlap, which may drop what is queued in it."""
        last = self._ending.last
        if last is not None and self._floor.settled:
            self._ending.last = None
            self._say(last)

    def _machine(self, machine: Machine, now_ms: float) -> None:
        """Hang up on the machine that has answered our call, or leave it a message."""
        if machine.id:
            self._actions.append(Report(CommandReply(machine.id, "done")))
        if not machine.message:
            self._end(HangUp(machine.reason), now_ms)
        elif not self._ending.closing and self._ending.machine.reached(machine.reason):
            self._model.speech.close()
            self._model.speech.clear()
            self._floor.drop(now_ms)
            self._leave_message(now_ms)

    def _leave_message(self, now_ms: float) -> None:
        outcome = self._ending.machine.speak(silent=self._floor.settled)
        if outcome is not None:
            self._close(outcome, now_ms, PromptKind.MACHINE)

    def _follow_tools(self, now_ms: float) -> None:
        """Follow a tool that has ended the call or handed it to another agent."""
        tools, ending = self._model.tools, self._ending
        outcome, successor = tools.requested_outcome, tools.successor
        if ending.closing or ending.machine.is_reached:
            return
        if outcome is None:
            ending.revoke_last_words()
        if outcome is not None:
            self._leave_with(outcome, now_ms)
        elif successor is not None and not self._model.responding:  # its last response is complete
            self._switch(successor, now_ms)

    def _leave_with(self, outcome: Outcome, now_ms: float) -> None:
        """Close with this outcome.

        An end that the agent has asked for waits for its last words: the caller may revoke it by interrupting them.
        """
        tools, ending, speaks = self._model.tools, self._ending, self._voice.speaks(now_ms)
        has_spoken = speaks or self._model.has_last_words
        if tools.revocable and self._floor.interruptible:
            by_ms = now_ms + CLOSE_DEADLINE_MS
            hearing = ending.is_hearing_last_words(by_ms, now_ms, speaks=has_spoken, silent=self._all_heard(now_ms))
            if hearing:
                return
            has_spoken = hearing is not None
        tools.confirm_end()
        self._close(outcome, now_ms, None if has_spoken else farewell(outcome))

    def _all_heard(self, now_ms: float) -> bool:
        heard = not self._voice.playout.audible(now_ms) and self._floor.settled and not self._model.speech.pending
        return heard and self._ending.last is None

    def _switch(self, to: SwitchFlow, now_ms: float) -> None:
        """Switch to another flow's agent, and dial its session while the last words of this one are played.

        A call keeps its kind of model: an agent with another kind speaks with the model that the call has.
        """
        plan, model = to.plan, self.plan.agent.model
        if type(plan.agent.model) is not type(model):
            plan = replace(plan, agent=replace(plan.agent, model=model))
        self.plan, self._model.tools.successor = plan, None
        self._voice.follow(plan)
        self._floor.follow(plan.turns)
        self._ending.idle_timer.follow(plan.silences.idle_gaps_ms)
        at_ms = self._clock.call_ms(now_ms)
        self._actions.append(Report(FlowSwitched(to.flow_id, to.flow_version, at_ms, plan.agent.model.name)))
        self._model.follow(plan, at_ms, now_ms)
        self._model.dial(now_ms)

    def _apologize(self, outcome: Outcome, now_ms: float) -> None:
        """Apologize and leave without a model; a call that closes ends only if a machine's message needs the model."""
        if self._owes_message:
            self._end(outcome, now_ms)
        elif not (self._ending.closing or self._ending.machine.is_reached):
            self._close(outcome, now_ms, PromptKind.APOLOGY)

    @property
    def _owes_message(self) -> bool:
        """Whether a machine waits for a message that the model has not begun to say."""
        return self._ending.closing and self._ending.machine.is_reached and self._model.speech.prompted

    def _finish_closing(self, now_ms: float) -> None:
        silent = self._all_heard(now_ms) and not self._owes_message
        if self._ending.closing and self._ending.due(now_ms, silent=silent):
            self._end(self._ending.outcome, now_ms)

    def _end(self, outcome: Outcome, now_ms: float) -> None:
        self.abandon()
        self._ending.outcome = outcome
        self._floor.end(now_ms)
        self._voice.flush(now_ms)
        at_ms = self._clock.call_ms(now_ms)
        self._model.end(now_ms)
        ended = CallEnded(outcome.reason, outcome.detail, at_ms, self._model.untranscribed_ms)
        self._actions.append(Report(ended))
        self._actions.append(Leave(outcome))

    def _advance_due(self) -> None:
        """Bring the next tick forward if what just happened needs it."""
        if self.phase is _TALKING:
            self.due_ms = min(self.due_ms, self._voice.playout.due_ms())

    def _drain(self) -> list[Action]:
        actions = self._actions
        if not actions:
            return []
        drained = actions.copy()
        actions.clear()
        return drained
