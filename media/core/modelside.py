"""The model's side of a call: its events, and whose turn it is to be answered."""

from media.core import realtime as rt
from media.core.carrierclock import CarrierClock
from media.core.ear import Ear
from media.core.minutes import Minutes
from media.core.replies import Replies
from media.core.session import Session
from media.core.toolcalls import ToolCalls
from media.core.types import CallPlan, Delta, Emit, Report, Role, ToolStatus
from media.core.voice import Voice


class ModelSide:
    """Its parts `answers`, `ear`, `replies`, `session` and `tools` may be used directly."""

    __slots__ = ("_emit", "_minutes", "_voice", "_watched_until_ms", "answers", "ear", "replies", "session", "tools")

    def __init__(
        self, plan: CallPlan, clock: CarrierClock, session: Session, voice: Voice, minutes: Minutes, emit: Emit
    ) -> None:
        self.session = session
        self.ear = Ear(session, clock, minutes.latency, plan.quiet_append_ms)
        self.replies = Replies(session, voice, emit)
        self.answers = self.replies.answers
        self.tools = ToolCalls(plan, session, self.answers, emit)
        self._voice, self._minutes, self._emit = voice, minutes, emit
        self._watched_until_ms = 0.0

    def watch(self, until_ms: float) -> None:
        """Report transcript deltas until then, or for longer if that was requested before."""
        self._watched_until_ms = max(self._watched_until_ms, until_ms)

    # The session.

    def connected(self, now_ms: float) -> None:
        """A socket is open."""
        self.replies.session_opened()
        self.session.open(self._minutes.so_far())
        self.ear.session_opened()
        self.replies.proceed(now_ms)

    def lost(self) -> None:
        self.session.lose()
        self.ear.session_lost()
        self.replies.session_lost()
        self.tools.session_lost()
        self._voice.orphan_all()

    def stalled(self, now_ms: float) -> bool:
        """Whether a response is so long overdue that none will come."""
        return self.answers.active and self.session.silent(now_ms)

    # What the caller waits for.

    @property
    def awaited(self) -> bool:
        """Whether the caller waits for an answer of which nothing has been said yet."""
        answers = self.answers
        return self.replies.awaited and (answers.owed or answers.active or self.tools.awaited)

    @property
    def busy(self) -> bool:
        """Whether the agent is working, even if it is silent."""
        return self.answers.active or self.tools.busy

    def cut(self) -> None:
        """The caller took the floor."""
        self.answers.cut()
        cancelled = self.replies.cancel()
        if cancelled is not None:
            self.tools.interrupted(cancelled)

    def tool_result(self, call_id: str, output_json: str, status: ToolStatus, now_ms: float) -> None:
        self.tools.result(call_id, output_json, status)
        self.replies.proceed(now_ms)

    def asked(self, now_ms: float) -> None:
        """The request for an answer is written."""
        self._minutes.latency.asked(now_ms)

    def settled(self, now_ms: float) -> None:
        """What was heard may have ended turns, and may let an answer begin."""
        self._minutes.report(now_ms)
        self.replies.proceed(now_ms)

    def flush(self) -> None:
        """The call is over: so are all turns."""
        self._minutes.flush()

    # Events from the server.

    def receive(self, payload: bytes, now_ms: float, at_ms: int) -> bool:
        """Take one event; False once several in a row could not be read."""
        try:
            event = rt.decode(payload)
        except rt.WireError:
            return self.session.garbled()
        self.session.heard(now_ms)
        if isinstance(event, rt.AudioDelta):  # most of them are, and no turn ends with one
            if not self.replies.cancelled(event.response_id):
                self._voice.open_item(event.item_id, self.replies.saying)
                self._voice.add_audio(event.item_id, event.delta, now_ms)
            return True
        match event:
            case rt.TranscriptDelta() | rt.TranscriptDone() | rt.InputTranscriptDelta():
                self._text(event, now_ms)
                return True
            case rt.SpeechStarted() | rt.SpeechStopped() | rt.Committed():
                self._caller_turn(event, now_ms, at_ms)
            case rt.InputTranscriptCompleted(item_id, transcript):
                self._minutes.caller_text(item_id, transcript)
            case rt.InputTranscriptFailed(item_id):
                self._minutes.caller_text(item_id, "")
            case rt.FunctionArgumentsDone(response_id):
                self.tools.called(event, now_ms, cancelled=self.replies.cancelled(response_id))
            case rt.SessionUpdated():
                self.session.works()
            case rt.Error(error):
                self.answers.refused(error.event_id)
            case _:
                self._response(event)
        self.settled(now_ms)
        return True

    def _text(self, event: rt.TranscriptDelta | rt.TranscriptDone | rt.InputTranscriptDelta, now_ms: float) -> None:
        if isinstance(event, rt.TranscriptDone):
            self._voice.final_text(event.item_id, event.transcript)
            return
        role: Role = "caller"
        if isinstance(event, rt.TranscriptDelta):
            role = "agent"
            self._voice.add_text(event.item_id, event.delta)
        if now_ms < self._watched_until_ms:
            self._emit(Report(Delta(role, event.item_id, event.delta)))

    def _caller_turn(
        self, event: rt.SpeechStarted | rt.SpeechStopped | rt.Committed, now_ms: float, at_ms: int
    ) -> None:
        minutes, ear = self._minutes, self.ear
        match event:
            case rt.SpeechStarted(item_id, audio_start_ms):
                ear.speaking = True
                minutes.caller_began(item_id, ear.call_ms(audio_start_ms), now_ms)
                if not self._voice.audible(now_ms):
                    self.answers.spoke_freely()
            case rt.SpeechStopped(item_id, audio_end_ms):
                ear.speaking = False
                minutes.caller_ended(item_id, ear.call_ms(audio_end_ms), now_ms)
            case rt.Committed(item_id):
                ear.turn_taken()
                self.session.caller_spoke(item_id)
                minutes.caller_began(item_id, at_ms, now_ms)
                minutes.caller_ended(item_id, 0, now_ms)
                minutes.latency.turn_detected(now_ms)
                self.answers.turn_committed()

    def _response(self, event: rt.ServerEvent) -> None:
        match event:
            case rt.ResponseCreated(response):
                self.replies.created(response.id)
            case rt.OutputItemAdded(response_id, item) if item.type == "message":
                if self.replies.cancelled(response_id):
                    self.session.send(rt.item_delete(item.id))
                else:
                    self._voice.open_item(item.id, self.replies.saying)
            case rt.OutputItemAdded(_, item) if item.type == "function_call":
                self.tools.named(item.id, item.name)
            case rt.OutputItemDone(item):
                self._voice.close_item(item.id)
            case rt.ResponseDone(response):
                self.replies.done(response)
            case _:
                pass  # acknowledgements, and events that are not needed
