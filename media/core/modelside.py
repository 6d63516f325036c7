"""The model's side of a call, whoever decides when the model speaks: its sessions, its events, and what follows from them.

A `TurnSide` asks for each response; a `DuplexSide` hears a model that speaks by itself.
"""

from abc import ABCMeta, abstractmethod
from collections.abc import Collection
from typing import Final

from media.core.commands import SendDigits, Sequel
from media.core.modelmessages import ModelEvent, Role
from media.core.plans import CallPlan, PromptKind
from media.core.reconnectbudget import ReconnectBudget
from media.core.recordingpauses import RecordingPauses
from media.core.session import TAKEN_OVER, Session
from media.core.speechrequests import SpeechRequests
from media.core.supervision import Supervision
from media.core.toolcalls import ToolCalls
from media.core.types import Delta, DialModel, Emit, Report, ToolStatus
from media.core.voice import Voice

#: Why a session is abandoned: malformed events, oversized ones, or responses that all fail.
PROTOCOL, TOO_MUCH, FAILING = "protocol", "too_much", "failing"
#: The model refuses us, or what we ask of a session; no retry helps.
REFUSED = "model_refused"
#: Of what the model said about it.
DETAIL_CHARS: Final = 200


class ModelSide(metaclass=ABCMeta):
    """The model of one call; its public attributes are parts that may be used directly."""

    __slots__ = ("_emit", "_voice", "reconnect_budget", "session", "speech", "supervision", "tools")

    def __init__(
        self,
        plan: CallPlan,
        session: Session,
        speech: SpeechRequests,
        voice: Voice,
        recording_pauses: RecordingPauses,
    ) -> None:
        self.session, self.speech, self._voice = session, speech, voice
        self._emit: Emit = recording_pauses.emit
        self.reconnect_budget = ReconnectBudget(plan.patience)
        self.supervision = Supervision(session, speech, self._emit)
        self.tools = ToolCalls(plan.agent, session, speech, recording_pauses)

    # The session.

    def dial(self, now_ms: float) -> None:
        """Dial the model after the back-off."""
        self.reconnect_budget.start_outage(now_ms)
        self._emit(DialModel(self.reconnect_budget.wait_ms))

    @abstractmethod
    def connected(self, now_ms: float) -> None:
        """Open a session on the new socket."""

    def lost(self, now_ms: float) -> str:
        """Record that the connection is lost or was never made; return why to end the call, or "" to redial."""
        self.reconnect_budget.lost(now_ms, confirmed=self.session.confirmed)
        self.drop_session(now_ms)
        return self.reconnect_budget.exhausted(now_ms)

    def redial(self, now_ms: float) -> None:
        """Replace the session on purpose, which counts as no loss."""
        self.drop_session(now_ms)
        self.dial(now_ms)

    def follow(self, plan: CallPlan, at_ms: int, now_ms: float) -> None:
        """Follow another agent's plan: its session knows what was said so far, and speaks first."""
        self.drop_session(now_ms)
        self.session.follow(plan.agent)
        self.tools.follow(plan.agent, plan.recording.pauses)
        self.session.note(f"taken_over_{at_ms}", "system", TAKEN_OVER, at_ms)
        self.speech.owe_response()

    @abstractmethod
    def drop_session(self, now_ms: float) -> None:
        """Discard the session; the next one knows only what it is sent."""

    @abstractmethod
    def failure(self, now_ms: float) -> str:
        """Return why the session counts as lost though its socket is open, in a word, or "" if it does not."""

    @abstractmethod
    def receive(self, event: ModelEvent, now_ms: float, at_ms: int) -> str:
        """Handle one event; return why it makes the session unusable, in a word, or "" if it does not."""

    @abstractmethod
    def settled(self, now_ms: float) -> None:
        """Report turns that are final by now, and ask for the speech that may begin."""

    @abstractmethod
    def end(self, now_ms: float) -> None:
        """End the call, and with it the running tools and the session."""

    def report_delta(self, role: Role, item_id: str, text: str, start_ms: int, now_ms: float) -> None:
        """Report these words, or that this turn has begun, while the call is watched."""
        if now_ms < self.supervision.watched_until_ms:
            self._emit(Report(Delta(role, item_id, text, start_ms)))

    # What the agent does.

    @property
    @abstractmethod
    def expects_events(self) -> bool:
        """Whether the session counts as lost if nothing comes from it for long."""

    @property
    @abstractmethod
    def responding(self) -> bool:
        """Whether the model is giving a response."""

    @property
    @abstractmethod
    def has_last_words(self) -> bool:
        """Whether the model was asked for the call's last words and has not said them to their end."""

    @property
    @abstractmethod
    def awaited(self) -> bool:
        """Whether the caller waits for a response that has not begun to be spoken."""

    @property
    @abstractmethod
    def caller_speaks(self) -> bool:
        """Whether the model hears the caller speak."""

    @property
    @abstractmethod
    def caller_turns(self) -> int:
        """The number of the caller's turns that were owed a response."""

    @property
    @abstractmethod
    def untranscribed_ms(self) -> int:
        """How long the caller was heard to speak in turns whose transcript never came."""

    @abstractmethod
    def waited_since_ms(self) -> float:
        """Return since when the caller has been waiting, for a response or the model's return; infinity if for neither."""

    @property
    def busy(self) -> bool:
        """Whether the agent is working, even if it is silent."""
        return self.responding or self.tools.agent_tools.busy or not self.session.confirmed

    @abstractmethod
    def keypad_input(self, digits: str, at_ms: int) -> None:
        """Add keypad input to the conversation of this session and of every later one."""

    def tool_result(
        self, tool_call_id: str, output_json: str, status: ToolStatus, now_ms: float, sequel: Sequel | None
    ) -> None:
        """Process a tool's result."""
        was_running = self.tools.result(tool_call_id, output_json, status, now_ms, sequel)
        if was_running and isinstance(sequel, SendDigits):
            self._voice.press_keys(sequel.digits)
        self.settled(now_ms)

    # The caller's voice, as the floor hears it.

    @property
    @abstractmethod
    def expects_caller(self) -> bool:
        """Whether something waits for what the caller says, so that only a voice may delay it and no noise."""

    @abstractmethod
    def caller_frame(self, payload: bytes, at_ms: int, now_ms: float, *, voiced: bool, speaking: bool) -> None:
        """Take a frame of the caller's: `voiced` or not, within speech or not."""

    @abstractmethod
    def no_frames(self, now_ms: float) -> None:
        """Note that no frame has come for a while."""

    @abstractmethod
    def spoke_in_silence(self) -> None:
        """Note that the caller is speaking while the agent is silent."""

    def response_requested(self, now_ms: float) -> None:  # noqa: B027 - only some models are asked
        """Note that the request for a response was written."""

    # The floor's decisions.

    @abstractmethod
    def gives_way(self) -> bool:
        """Return whether what the caller hears stops for them by the floor's decision."""

    @abstractmethod
    def overlap_began(self, now_ms: float) -> None:
        """Note that the agent was silenced at an onset, before the verdict."""

    @abstractmethod
    def overlap_resumed(self, *, free: bool) -> None:
        """Apply the verdict "resume"; `free`: the caller could not hear the agent yet, and took a turn of their own."""

    @property
    @abstractmethod
    def owes_response(self) -> bool:
        """Whether the model owes the caller a response."""

    @abstractmethod
    def cut(self) -> None:
        """Stop what the model is saying: the caller took the floor."""

    @abstractmethod
    def owe_unsaid(self, kinds: Collection[PromptKind | None], voiced_ms: float) -> None:
        """Owe again what was discarded unheard since the caller began at `voiced_ms`; `kinds` has None for a response."""
