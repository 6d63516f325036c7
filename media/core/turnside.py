"""The side of a model that finds the ends of the caller's turns, and speaks when a response is requested."""

from collections.abc import Collection
from typing import Final

from media.core.audio import FRAME_MS
from media.core.carrierclock import CarrierClock
from media.core.inputaudio import InputAudioBuffer
from media.core.keypad import entry_text
from media.core.modelmessages import (
    MAX_TEXT_CHARS,
    AgentAudio,
    AgentText,
    AgentWords,
    CallerBegan,
    CallerPaused,
    CallerText,
    CallerWords,
    CommandRefused,
    FunctionCalled,
    FunctionNamed,
    ItemBegan,
    ItemEnded,
    MalformedEvent,
    ModelEvent,
    ModelUsed,
    ResponseBegan,
    ResponseEnded,
    Role,
    SessionBegun,
    SessionRejected,
    StageUsed,
    TurnCommitted,
    Unused,
)
from media.core.modelside import DETAIL_CHARS, FAILING, PROTOCOL, REFUSED, TOO_MUCH, ModelSide
from media.core.plans import CallPlan, PromptKind
from media.core.recordingpauses import RecordingPauses
from media.core.replies import Replies
from media.core.session import OPENED_LATE
from media.core.turngate import TurnGate
from media.core.turnsession import TurnSession
from media.core.types import Report
from media.core.untranscribed import Untranscribed
from media.core.voice import Voice

_NEVER: Final = float("inf")


class TurnSide(ModelSide):
    """The model's side of a call that takes turns; its public attributes are parts that may be used directly."""

    __slots__ = ("_transcript", "_turn_session", "_untranscribed", "input_audio", "replies", "responses")

    def __init__(
        self,
        plan: CallPlan,
        clock: CarrierClock,
        session: TurnSession,
        voice: Voice,
        turn_gate: TurnGate,
        recording_pauses: RecordingPauses,
    ) -> None:
        self.replies = Replies(plan.patience.answer_ms, session, voice, turn_gate, recording_pauses.emit)
        self.responses = self.replies.responses
        self.input_audio = InputAudioBuffer(session, clock, voice.latency)
        self._turn_session, self._transcript = session, voice.transcript
        self._untranscribed = Untranscribed()
        super().__init__(plan, session, self.replies, voice, recording_pauses)

    # The session.

    def connected(self, now_ms: float) -> None:
        """Open a session on the new socket."""
        self.replies.session_opened()
        self.session.open(now_ms)
        self.input_audio.session_opened()
        self._transcript.session_opened(now_ms)
        self._request_response(now_ms)

    def _confirm_session(self, now_ms: float) -> None:
        """Confirm the session, as the server does once or twice."""
        if not self.session.confirmed:
            self.session.confirm()
            self.reconnect_budget.end_outage()
            self.input_audio.session_begun(now_ms)

    def drop_session(self, now_ms: float) -> None:
        self.session.discard()
        self.input_audio.session_lost()
        self.replies.turn_gate.update_turn(False, now_ms)
        self._transcript.session_lost()
        self.replies.session_lost()
        self.tools.session_lost()
        self._voice.orphan_all()

    def keypad_input(self, digits: str, at_ms: int) -> None:
        """Add keypad input to the conversation of this session and of every later one."""
        self.session.note(f"keys_{at_ms}", "caller", entry_text(digits), at_ms)
        self.responses.owe_turn()

    def end(self, now_ms: float) -> None:  # noqa: ARG002
        self.tools.end()

    def failure(self, now_ms: float) -> str:
        """Return why the session counts as lost though its socket is open, in a word, or "" if it does not."""
        if self.session.is_overdue(now_ms):
            return "no_session"
        return "stalled" if self.replies.stalled(now_ms) else ""

    # The caller's wait.

    @property
    def awaited(self) -> bool:
        """Whether the caller waits for a response that has not begun to be spoken."""
        responses = self.responses
        return self.replies.awaited and (responses.owed or responses.active or self.tools.agent_tools.awaited)

    def waited_since_ms(self) -> float:
        """Return since when the caller has been waiting, for a response or the model's return; infinity if for neither."""
        latency, outage_since_ms = self._voice.latency, self.reconnect_budget.outage_since_ms
        if self.replies.closed:
            return _NEVER
        # The voice is over once a frame without it has come.
        voiced_ms = 0.0 if latency.voiced_ms is None else latency.voiced_ms + FRAME_MS
        if outage_since_ms < _NEVER:
            return voiced_ms if voiced_ms and self.responses.owed else outage_since_ms
        return voiced_ms if self.awaited else _NEVER

    @property
    def expects_events(self) -> bool:
        return self.responses.active

    @property
    def responding(self) -> bool:
        return self.responses.active

    @property
    def has_last_words(self) -> bool:
        return False  # it says them before it asks for the end

    @property
    def caller_speaks(self) -> bool:
        return self.input_audio.speaking

    @property
    def untranscribed_ms(self) -> int:
        return self._untranscribed.ms

    @property
    def caller_turns(self) -> int:
        return self.responses.turns

    # The floor.

    @property
    def expects_caller(self) -> bool:
        return self.responses.owed or self.responses.active

    @property
    def owes_response(self) -> bool:
        return self.responses.owed

    def caller_frame(self, payload: bytes, at_ms: int, now_ms: float, *, voiced: bool, speaking: bool) -> None:
        self.input_audio.frame(payload, at_ms, now_ms, voiced=voiced, speaking=speaking)
        if voiced and self.input_audio.speaking:
            self._untranscribed.voiced()

    def no_frames(self, now_ms: float) -> None:
        self.input_audio.flush(now_ms)

    def spoke_in_silence(self) -> None:
        self.responses.spoke_in_silence()

    def response_requested(self, now_ms: float) -> None:
        self.input_audio.response_requested(now_ms)

    def gives_way(self) -> bool:
        return True

    def overlap_began(self, now_ms: float) -> None:
        """Hold the caller's turn until the verdict."""
        # While a response is still being generated, its last second is unknown; and a filler needs no reply.
        open_ended = self.responses.active or not self._voice.speaks(now_ms)
        self.responses.overlap_began(_NEVER if open_ended else self._voice.playout.remaining_ms(now_ms))

    def cut(self) -> None:
        """Cancel the active response: the caller took the floor."""
        self.tools.revoke_end()
        self.responses.overlap_cut()
        cancelled = self.replies.cancel()
        if cancelled is not None:
            self.tools.agent_tools.interrupted(cancelled)

    def overlap_resumed(self, *, free: bool) -> None:
        """Apply the verdict "resume".

        If the caller could not hear the agent yet (`free`), they took a turn of their own; else it was a
        backchannel.
        """
        if free and self._voice.is_opening:
            self.responses.opening_resumed()
            return
        if free:
            self.responses.spoke_in_silence()
        if self.responses.overlap_resumed():
            self._withdraw_unheard()

    def owe_unsaid(self, kinds: Collection[PromptKind | None], voiced_ms: float) -> None:
        """Owe again what was discarded unheard since the caller began at `voiced_ms`; `kinds` has None for a response."""
        if None in kinds:
            self.responses.owe_response()
        if PromptKind.DICTATED in kinds:
            self.replies.prompts.retry()
        if opening := self._voice.prompts.reopening(kinds):
            self.replies.speak(opening)
            self.responses.opening_repeated(voiced_ms)

    def _withdraw_unheard(self) -> None:
        """Withdraw an unheard response: the caller kept talking, and the next one covers what they added."""
        replies, voice = self.replies, self._voice
        if replies.prompts.saying is not None or voice.playout.sounds:
            return
        cancelled = replies.cancel()
        if cancelled is not None:
            self.tools.agent_tools.interrupted(cancelled)
        self.tools.revoke_end()
        voice.withdraw()

    def settled(self, now_ms: float) -> None:
        """Report turns that are final by now, and request the response that may begin."""
        self._transcript.report(now_ms, self.input_audio.missed_turn_ms(now_ms))
        self._request_response(now_ms)

    def _request_response(self, now_ms: float) -> None:
        # What is said over the last words gets no response, unless it takes the floor from them.
        self.replies.proceed(now_ms, catching_up=self.tools.revocable or self.input_audio.catching_up(now_ms))

    # Events from the server.

    def receive(self, event: ModelEvent, now_ms: float, at_ms: int) -> str:
        """Handle one event; return why it makes the session unusable, in a word, or "" if it does not."""
        if isinstance(event, MalformedEvent):
            return "" if self.session.event_malformed() else PROTOCOL
        self.session.event_decoded()
        if isinstance(event, AgentAudio):  # the most frequent; ends no turn
            return "" if self._audio(event, now_ms) else TOO_MUCH
        match event:
            case AgentWords() | AgentText() | CallerWords():
                return "" if self._text(event, now_ms, at_ms) else TOO_MUCH
            case _:
                return self._control_event(event, now_ms, at_ms)

    def _control_event(self, event: ModelEvent, now_ms: float, at_ms: int) -> str:
        match event:
            case CallerBegan() | CallerPaused() | TurnCommitted():
                self._caller_turn(event, now_ms, at_ms)
            case CallerText(_, text) if len(text) > MAX_TEXT_CHARS:
                return TOO_MUCH
            case CallerText(turn_id, text, used, failed):
                self._report_usage(used)
                # One that comes too late for its turn changes nothing.
                if not failed and self._transcript.start_ms(turn_id) is not None:
                    self._untranscribed.transcribed(turn_id)
                self._transcript.caller_text(turn_id, text)
                self.input_audio.replay.release_turn(turn_id)
            case FunctionCalled(response_id):
                said_ms = now_ms + self._voice.playout.remaining_ms(now_ms)
                self.tools.called(event, now_ms, said_ms, cancelled=self.replies.cancelled(response_id))
            case SessionBegun():
                self._confirm_session(now_ms)
            case SessionRejected(detail):
                return f"{REFUSED} {detail[:DETAIL_CHARS]}"
            case CommandRefused(request_id):
                self.replies.refused(request_id)
            case Unused():
                pass
            case StageUsed():
                self._emit(Report(event))
                self.replies.progress.count(now_ms)
            case _:
                self._response(event, now_ms)
        if self.responses.failing:  # before another one is requested
            return FAILING
        self.settled(now_ms)
        return ""

    def _audio(self, event: AgentAudio, now_ms: float) -> bool:
        """Queue audio; return False if the response has more than allowed."""
        if self.replies.cancelled(event.response_id):
            return True
        if not self.replies.progress.count(now_ms, audio_bytes=len(event.ulaw)):
            return False
        self._voice.open_item(event.item_id, self.replies.prompts.saying)
        self._voice.add_audio(event.item_id, event.ulaw, now_ms)
        return True

    def _text(self, event: AgentWords | AgentText | CallerWords, now_ms: float, at_ms: int) -> bool:
        """Add to a transcript; return False if it is longer than allowed."""
        if isinstance(event, AgentText):
            self._voice.final_text(event.item_id, event.text)
            return len(event.text) <= MAX_TEXT_CHARS
        role: Role = "caller"
        if isinstance(event, AgentWords):
            role, id = "agent", event.item_id
            if not self.replies.progress.count(now_ms, chars=len(event.text)):
                return False
            self._voice.add_text(id, event.text)
            self.tools.recording_pauses.agent_words(id, event.text, now_ms)
        elif len(event.text) > MAX_TEXT_CHARS:
            return False
        else:
            id = event.turn_id
            self._transcript.caller_words(id, event.text)
        began_ms = self._transcript.start_ms(id)
        # A caller's turn without a beginning was reported already, so it is final.
        if began_ms is not None or role == "agent":
            self.report_delta(role, id, event.text, at_ms if began_ms is None else began_ms, now_ms)
        return True

    def _caller_began(self, item_id: str, start_ms: int, now_ms: float) -> None:
        transcript, is_known = self._transcript, self._transcript.start_ms(item_id) is not None
        transcript.caller_began(item_id, start_ms, now_ms)
        began_ms = transcript.start_ms(item_id)
        # A caller's words are transcribed later than they are answered.
        if began_ms is not None and not is_known:
            self.report_delta("caller", item_id, "", began_ms, now_ms)

    def _caller_turn(self, event: CallerBegan | CallerPaused | TurnCommitted, now_ms: float, at_ms: int) -> None:
        """Follow the caller's turn as the server detects it."""
        transcript, input_audio, turn_gate = self._transcript, self.input_audio, self.replies.turn_gate
        match event:
            case CallerBegan(turn_id, session_ms):
                input_audio.turn_began()
                self._untranscribed.turn_began(turn_id)
                turn_gate.update_turn(True, now_ms)
                self._caller_began(turn_id, input_audio.session_clock.call_ms(session_ms), now_ms)
                if not self._voice.playout.sounds:
                    self.responses.spoke_in_silence()
            case CallerPaused(turn_id, session_ms):
                input_audio.turn_ended()
                transcript.caller_ended(turn_id, input_audio.session_clock.call_ms(session_ms), now_ms)
            case TurnCommitted(turn_id):
                input_audio.turn_committed(turn_id, now_ms)
                self._turn_session.turn_committed(turn_id)
                self._caller_began(turn_id, at_ms, now_ms)
                transcript.caller_ended(turn_id, 0, now_ms)
                turn_gate.update_turn(False, now_ms)
                precedes_opening = self.responses.turn_preceded_opening(self._voice.latency.voiced_ms or now_ms)
                if self.responses.turn_committed():
                    self._withdraw_unheard()
                    if precedes_opening:
                        self.replies.continue_with(OPENED_LATE)

    def _report_usage(self, used: ModelUsed | None) -> None:
        if used is not None:
            self._emit(Report(used))

    def _response(self, event: ModelEvent, now_ms: float) -> None:
        """Follow a response."""
        self.replies.progress.count(now_ms)
        match event:
            case ResponseBegan(response_id):
                self.replies.created(response_id)
            case ItemBegan(response_id, item_id):
                if self.replies.cancelled(response_id):
                    self._turn_session.truncate_item(item_id, 0)
                else:
                    self._voice.open_item(item_id, self.replies.prompts.saying)
            case ItemEnded(item_id):
                self._voice.close_item(item_id)
            case FunctionNamed(item_id, name):
                self.tools.function_named(item_id, name)
            case ResponseEnded():
                self._report_usage(event.used)
                if self.replies.done(event):
                    self.reconnect_budget.response_complete()
                    self.input_audio.replay.response_complete()
            case _:
                pass  # it goes on
