"""The side of a model that hears the caller all the time, and decides by itself when to speak and when to stop.

Over what it says, the floor decides nothing: the model stops by itself.  Over what we play, it does, as ever; meanwhile the model hears
nothing, and therefore says nothing.  What a tool does is left to us as a task without a text: the conversation is its text.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import msgspec

from media.core.callerturns import CallerTurns
from media.core.carrierclock import CarrierClock
from media.core.commentary import Commentary
from media.core.delegations import DELEGATE, LONGEST_WORDS_MS, Delegations
from media.core.duplexinput import DuplexInput
from media.core.duplexsession import DuplexSession
from media.core.keypad import entry_text
from media.core.modelmessages import (
    MAX_TEXT_CHARS,
    EndSession,
    MalformedEvent,
    ModelEvent,
    SessionBegun,
    SessionOver,
    SessionRejected,
    SessionUsed,
    StreamAudio,
    StreamWords,
    TaskDelegated,
)
from media.core.modelside import DETAIL_CHARS, PROTOCOL, REFUSED, TOO_MUCH, ModelSide
from media.core.plans import CallPlan, PromptKind
from media.core.prompts import OPENINGS
from media.core.recordingpauses import RecordingPauses
from media.core.session import BROKE_OFF
from media.core.sessionmeter import SessionMeter
from media.core.utterances import Utterances
from media.core.voice import Voice

#: Turns that a task is told, and characters of each.
TASK_TURNS, TASK_CHARS = 20, 1_000
#: A session is replaced before the server ends it, at a quiet moment.
LONGEST_SESSION_MS: Final = 7_200_000.0 - 120_000.0
EXPIRED: Final = "expired"
_NEVER: Final = float("inf")


class DuplexSide(ModelSide):
    """The model's side of a call that speaks and hears at once."""

    __slots__ = (
        "_caller",
        "_commentary",
        "_delegations",
        "_duplex_session",
        "_heard_ms",
        "_input",
        "_meter",
        "_patience_ms",
        "_utterances",
    )

    def __init__(
        self,
        plan: CallPlan,
        clock: CarrierClock,
        session: DuplexSession,
        voice: Voice,
        recording_pauses: RecordingPauses,
    ) -> None:
        self._duplex_session = session
        self._utterances = Utterances(voice)
        self._commentary = Commentary(session, voice, self._utterances)
        self._input = DuplexInput(session, clock, voice.latency)
        self._caller = CallerTurns(voice.transcript, self._input.session_clock)
        self._patience_ms = plan.patience.answer_ms
        self._meter = SessionMeter(plan.agent.model.name, recording_pauses.emit)
        self._heard_ms = 0.0  # when the stream's last piece came
        super().__init__(plan, session, self._commentary, voice, recording_pauses)
        self._delegations = Delegations(session, self.tools)

    # The session.

    def connected(self, now_ms: float) -> None:
        for item in self._voice.playout.line:
            if item.prompt in OPENINGS:
                self._duplex_session.promise(item.text)
        self.session.open(now_ms)
        self._input.session_opened()
        self._utterances.session_opened(now_ms)
        self._voice.transcript.session_opened(now_ms)

    def _confirm_session(self, now_ms: float) -> None:
        if not self.session.confirmed:
            self.session.confirm()
            self.reconnect_budget.end_outage()
            self._heard_ms = now_ms
            self._meter.begin(now_ms)

    def follow(self, plan: CallPlan, at_ms: int, now_ms: float) -> None:
        tools = self.tools.agent_tools.tools
        if DELEGATE in tools and all(tool.name != DELEGATE for tool in plan.agent.tools):
            # An agent for a model that takes turns: what it can do is left to us nevertheless.
            plan = replace(plan, agent=replace(plan.agent, tools=(tools[DELEGATE],)))
        super().follow(plan, at_ms, now_ms)
        self._meter.model = plan.agent.model.name

    def drop_session(self, now_ms: float) -> None:
        was_talking = bool(self._utterances.id) or self._caller.is_open or self._commentary.is_asked
        self._end_session(now_ms)
        self.session.discard()
        self._input.hold(now_ms)
        self._utterances.break_off(now_ms)
        self._caller.finish()
        self._commentary.began()
        self._voice.transcript.session_lost()
        self._voice.orphan_all()
        self._delegations.session_lost(now_ms, self._task_json)
        self.tools.session_lost()
        if was_talking:
            self.speech.continue_with(BROKE_OFF)

    def _end_session(self, now_ms: float) -> None:
        """End the session, which costs until then."""
        self._meter.end(now_ms)
        self.session.send(EndSession())

    def failure(self, now_ms: float) -> str:
        if self.session.is_overdue(now_ms):
            return "no_session"
        waits = self.session.confirmed and not self._input.held
        if not waits:
            self._heard_ms = now_ms
        return "stalled" if now_ms - self._heard_ms >= self._patience_ms else ""

    def end(self, now_ms: float) -> None:
        self._delegations.clear()
        self.tools.end()
        self._end_session(now_ms)

    def settled(self, now_ms: float) -> None:
        self._caller.advance(now_ms)
        self._delegations.proceed(now_ms, self._voice.latency.voiced_ms or 0.0, self._caller.told_ms, self._task_json)
        self._voice.transcript.report(now_ms)
        spoke_ms = self._input.voiced_ms
        self._commentary.awaits_words = (
            self.tools.revocable and self._caller.told_ms < spoke_ms and now_ms - spoke_ms < LONGEST_WORDS_MS
        )
        self._commentary.proceed(now_ms)
        self._follow_line(now_ms)
        is_old = self.session.confirmed and now_ms - self._meter.begun_ms >= LONGEST_SESSION_MS
        if is_old and not (self._utterances.id or self._caller.is_open or self.tools.agent_tools.busy):
            self.redial(now_ms)

    def _follow_line(self, now_ms: float) -> None:
        """Let the model hear the caller, or not: not while the caller hears something of ours, nor once all is said."""
        line = self._voice.playout.line
        is_ours = bool(line) and not line[0].of_model
        is_over = self.speech.closed and not self.speech.pending
        if is_ours or is_over or not self.session.confirmed:
            self._input.hold(now_ms)
        else:
            self._input.release(now_ms)

    # What the agent does.

    @property
    def expects_events(self) -> bool:
        return True

    @property
    def responding(self) -> bool:
        return bool(self._utterances.id) or self._commentary.is_asked or self._delegations.waits

    @property
    def has_last_words(self) -> bool:
        return self.speech.pending or self._duplex_session.has_said_farewell

    @property
    def awaited(self) -> bool:
        return self._commentary.is_asked or self._delegations.waits or self.tools.agent_tools.awaited

    @property
    def caller_speaks(self) -> bool:
        return self._caller.is_open

    @property
    def caller_turns(self) -> int:
        return 0  # no filler covers a wait: the model does

    @property
    def untranscribed_ms(self) -> int:
        return 0  # it tells of a turn by its words alone

    def waited_since_ms(self) -> float:
        return _NEVER if self.speech.closed else self.reconnect_budget.outage_since_ms

    def keypad_input(self, digits: str, at_ms: int) -> None:
        self.session.note(f"keys_{at_ms}", "caller", entry_text(digits), at_ms)
        self.speech.owe_response()

    # The caller's voice.

    @property
    def expects_caller(self) -> bool:
        return False

    @property
    def owes_response(self) -> bool:
        return False

    def caller_frame(self, payload: bytes, at_ms: int, now_ms: float, *, voiced: bool, speaking: bool) -> None:
        self._input.frame(payload, at_ms, now_ms, voiced=voiced, speaking=speaking or bool(self._utterances.id))

    def no_frames(self, now_ms: float) -> None:
        self._input.no_frames(now_ms)

    def spoke_in_silence(self) -> None:
        """Do nothing: the model knows."""

    def gives_way(self) -> bool:
        line = self._voice.playout.line
        return bool(line) and not line[0].of_model

    def overlap_began(self, now_ms: float) -> None:
        """Do nothing: what was silenced is ours, and the model hears nothing yet."""

    def overlap_resumed(self, *, free: bool) -> None:
        """Do nothing: what goes on is ours."""

    def cut(self) -> None:
        self._utterances.drop()
        self.tools.revoke_end()

    def owe_unsaid(self, kinds: Collection[PromptKind | None], voiced_ms: float) -> None:  # noqa: ARG002
        if opening := self._voice.prompts.reopening(kinds):
            self.speech.speak(opening)

    # Events from the server.

    def receive(self, event: ModelEvent, now_ms: float, at_ms: int) -> str:
        if isinstance(event, MalformedEvent):
            return "" if self.session.event_malformed() else PROTOCOL
        self.session.event_decoded()
        if isinstance(event, StreamAudio):  # the most frequent
            self._audio(event.ulaw, now_ms)
            return ""
        match event:
            case StreamWords(_, text) if len(text) > MAX_TEXT_CHARS:
                return TOO_MUCH
            case StreamWords():
                self._words(event, now_ms, at_ms)
            case TaskDelegated(delegation_id):
                self._delegations.delegated(delegation_id, now_ms)
            case SessionBegun():
                self._confirm_session(now_ms)
            case SessionRejected(detail):
                return f"{REFUSED} {detail[:DETAIL_CHARS]}"
            case SessionUsed(session_ms):
                self._meter.read(session_ms)
            case SessionOver(reason, session_ms):
                if session_ms is not None:
                    self._meter.close(session_ms)
                if reason != EXPIRED:
                    return f"closed {reason[:DETAIL_CHARS]}"
                self.redial(now_ms)
                return ""
            case _:
                pass
        self.settled(now_ms)
        return ""

    def _audio(self, ulaw: bytes, now_ms: float) -> None:
        self._heard_ms = now_ms
        if self._utterances.piece(ulaw, now_ms):
            self._commentary.began()
            # The model tells no end of a turn: its share of the wait lasts until it is heard.
            self._voice.latency.turn_detected(now_ms)
            self._voice.latency.response_requested(now_ms)
        self.settled(now_ms)

    def _words(self, words: StreamWords, now_ms: float, at_ms: int) -> None:
        if words.role == "agent":
            self._utterances.words(words.text, words.start_ms)
            id = self._utterances.id
            self.tools.recording_pauses.agent_words(id, words.text, now_ms)
        else:
            began_ms = self._utterances.began_ms
            id = self._caller.words(words.text, words.start_ms, words.end_ms, began_ms, now_ms)
            if words.start_ms >= began_ms:
                self.tools.revoke_end()
        started_ms = self._voice.transcript.start_ms(id)
        if id:
            self.report_delta(words.role, id, words.text, at_ms if started_ms is None else started_ms, now_ms)

    # Tasks.

    def _task_json(self) -> str:
        """Return the conversation that says what a task is: what was heard, with what the caller is saying."""
        turns = self._voice.transcript.history()
        if self._caller.text:
            turns.append(("caller", self._caller.text))
        task = [{"role": author, "text": text[-TASK_CHARS:]} for author, text in turns[-TASK_TURNS:]]
        return msgspec.json.encode({"turns": task}).decode()
