"""The model's side of a call: one session after another, its events, its tools, and whose turn it is to be answered."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from media.core import realtime as rt
from media.core.answers import Answers
from media.core.audio import BYTES_PER_MS, FRAME_BYTES, FRAME_MS
from media.core.backlog import Backlog
from media.core.clips import instruction
from media.core.leg import Outcome
from media.core.tools import CALL_ENDED, INTERRUPTED, MAX_ARGUMENTS, TIMED_OUT, Audience, Tools, error_json
from media.core.types import (
    CallPlan,
    ClipKind,
    Delta,
    Report,
    Role,
    RunTool,
    ToModel,
    ToolCalled,
    ToolFinished,
    ToolStatus,
)
from media.core.voice import Emit, Voice

KEPT_WHILE_SPEAKING = 15_000 * BYTES_PER_MS
KEPT_OTHERWISE = 1_000 * BYTES_PER_MS
SPEECH_APPEND = 3 * FRAME_BYTES
MALFORMED_IN_A_ROW = 3
MAX_NAME = 64  # characters of a function's name


@dataclass(slots=True)
class ModelSide:
    plan: CallPlan
    emit: Emit
    ready: bool = False
    watched_until_ms: float = 0.0
    caller_speaking: bool = False  # as the server hears it
    closing: bool = False  # nothing is answered any more
    leaving: Outcome | None = None  # what the agent's last tool wants of the call
    answers: Answers = field(default_factory=Answers)
    says: deque[ClipKind] = field(default_factory=deque)  # clips without audio, for the model to say
    tools: Tools = field(init=False)
    attempts: int = 1
    _tool_answered: bool = False  # and nothing was said of it, since another is running
    _voice: Voice | None = None
    _saying: ClipKind | None = None
    _cancel_next: bool = False  # the response was cancelled before it had a name
    _cancelled: set[str] = field(default_factory=set)
    _names: dict[str, str] = field(default_factory=dict)  # of functions, by item id
    _notes: list[tuple[Role | Literal["system"], str]] = field(
        default_factory=list
    )  # for a session that is not there yet
    _unheard: Backlog = field(default_factory=Backlog)  # caller audio since the last turn
    _unheard_ms: int = 0  # the call's clock at its end
    _unsent: Backlog = field(default_factory=Backlog)  # the last of it, on its way to a message of its own
    _base_ms: int | None = None  # the call's clock at the session's first audio
    _malformed: int = 0
    _alive_ms: float = 0.0  # the session's last sign of life, or our last request

    def __post_init__(self) -> None:
        self.tools = Tools({tool.name: tool for tool in self.plan.tools})

    def attach(self, voice: Voice) -> None:
        self._voice = voice

    @property
    def voice(self) -> Voice:
        assert self._voice is not None, "the model speaks only after the stream has started"
        return self._voice

    def send(self, payload: bytes) -> None:
        """To the session, if there is one; a later one learns what it must from the turns."""
        if self.ready:
            self.emit(ToModel(payload))

    # The session.

    def connected(self, now_ms: float) -> None:
        """A socket stands: configure it, and bring it up to date."""
        self.ready = True
        self._cancelled.clear()
        self._cancel_next = False
        self.send(rt.session_update(self.plan))
        for role, text in (*self.voice.turns.so_far(), *self._notes):
            self.send(rt.message_create(role, text))
        self._notes.clear()
        self._base_ms = self.voice.asked_by = None
        if self._unheard.size:
            self._base_ms = max(0, self._unheard_ms - self._unheard.size // BYTES_PER_MS)
            self.send(rt.append(self._unheard.joined()))
        self.proceed(now_ms)

    def lost(self) -> None:
        self.ready = self.caller_speaking = False
        self._unsent.clear()
        self.attempts += 1
        self._malformed = 0
        if self._saying is not None and self.answers.active:
            self.says.appendleft(self._saying)
            self._saying = None
            self.answers.response_done("")
        self.answers.model_lost()
        self.tools.session_lost()
        self.voice.orphan_all()

    def stalled(self, now_ms: float) -> bool:
        return self.ready and self.answers.active and now_ms - self._alive_ms >= self.plan.stall_ms

    def caller_audio(self, payload: bytes, at_ms: int, *, voiced: bool, speaking: bool) -> None:
        """A frame of the caller: `voiced` or not, within speech or not.

        It goes at once where somebody waits for it: from the first sign of a voice until the server hears the turn too,
        and in the pauses of a turn, any of which may be its end.  Else it travels with the next few, since a message costs
        more than all else that a frame does.
        """
        if self.ready:
            if self._base_ms is None:
                self._base_ms = at_ms
            self._unsent.add(payload)
            if self.caller_speaking:
                enough = SPEECH_APPEND if voiced else 0
            else:
                enough = 0 if speaking else self.plan.quiet_append_ms * BYTES_PER_MS
            if self._unsent.size >= enough:
                self.flush_audio()
        # Kept in case that the session is lost before it has taken the turn.
        unheard = self._unheard
        unheard.add(payload)
        self._unheard_ms = at_ms + FRAME_MS
        if unheard.size >= 2 * KEPT_OTHERWISE:  # not with every frame
            unheard.forget(KEPT_OTHERWISE if self.ready and not self.caller_speaking else KEPT_WHILE_SPEAKING)

    def flush_audio(self) -> None:
        """Let the server have what it has not got yet."""
        if self._unsent.size:
            self.send(rt.append(self._unsent.take()))

    def note(self, role: Role | Literal["system"], text: str) -> None:
        """Something that was not spoken, but belongs into the conversation."""
        if self.ready:
            self.send(rt.message_create(role, text))
        else:
            self._notes.append((role, text))

    # Who speaks next.

    def proceed(self, now_ms: float) -> None:
        """Create the response that is due, if one is."""
        if not self.ready or self.answers.active:
            return
        self._alive_ms = now_ms
        if self.says and not self.voice.playout.audible(now_ms) and (event_id := self.answers.begin()):
            self._saying = self.says.popleft()
            self.send(rt.response_create(event_id, instruction(self.voice.clips.text(self._saying) or "")))
        elif self.closing or not self.answers.owed:
            return
        elif event_id := self.answers.create(self.voice.speaks(now_ms)):
            self._saying = None
            self.send(rt.response_create(event_id))
            self.voice.latency.asked(now_ms)

    @property
    def awaited(self) -> bool:
        """Whether the caller waits for an answer of which nothing has been said yet."""
        if not self.ready or self.closing or self.says or self._saying is not None or self.voice.answering:
            return False
        return self.answers.owed or self.answers.active or self.tools.awaited

    def cancel(self) -> None:
        """The caller took the floor."""
        if self.answers.active:
            self._cancel_next = self.answers.response_id is None
            if self.answers.response_id is not None:
                self._cancelled.add(self.answers.response_id)
                self.tools.interrupted(self.answers.response_id)
            self.send(rt.response_cancel(self.answers.response_id))

    # Tools.

    def tool_result(self, call_id: str, output_json: str, status: ToolStatus, now_ms: float, at_ms: int) -> None:
        """What a tool came to; of one that is not running, nobody wants to know."""
        finished = self.tools.finish(call_id)
        if finished is None:
            return
        name, audience = finished
        self.emit(Report(ToolFinished(call_id, output_json, status, at_ms)))
        if audience is Audience.NEXT_SESSION:
            self.note("system", f"The tool {name}, called before, has returned: {output_json}")
        else:
            self.send(rt.function_output(call_id, output_json))
        if audience is not Audience.MODEL:
            self._tool_answered = True
        if self._tool_answered and not self.tools.awaited:
            self._tool_answered = False
            self.answers.owe()
        self.proceed(now_ms)

    def watch_tools(self, now_ms: float, at_ms: int) -> None:
        """The model hears of those whose time is up that there is no result."""
        for call_id in self.tools.late(now_ms):
            self.tool_result(call_id, error_json(TIMED_OUT), "failed", now_ms, at_ms)

    def end_tools(self, at_ms: int) -> None:
        """The call is over, whatever is running."""
        for call_id in self.tools.running():
            self.tools.finish(call_id)
            self.emit(Report(ToolFinished(call_id, error_json(CALL_ENDED), "failed", at_ms)))

    def _tool_called(self, event: rt.FunctionArgumentsDone, now_ms: float, at_ms: int) -> None:
        name, tools = event.name or self._names.pop(event.item_id, ""), self.tools
        if tools.known(event.call_id):
            return
        cancelled = event.response_id in self._cancelled
        refusal = INTERRUPTED if cancelled else tools.refusal(name, event.arguments)
        self.emit(Report(ToolCalled(event.call_id, name[:MAX_NAME], event.arguments[:MAX_ARGUMENTS], at_ms)))
        if refusal is not None:
            output = error_json(refusal)
            self.emit(Report(ToolFinished(event.call_id, output, "failed", at_ms)))
            self.send(rt.function_output(event.call_id, output))
            if not (cancelled or tools.awaited):
                self.answers.owe()
            return
        outcome = tools.tools[name].outcome
        if outcome is not None:  # carried out by the call itself
            self.emit(Report(ToolFinished(event.call_id, "{}", "ok", at_ms)))
            self.leaving = outcome
            return
        tools.run(event.call_id, name, event.response_id, now_ms)
        self.emit(RunTool(event.call_id, name, event.arguments))

    # What the server says.

    def receive(self, payload: bytes, now_ms: float, at_ms: int) -> bool:
        """Take one event; False once several in a row could not be read."""
        try:
            event = rt.decode(payload)
        except rt.WireError:
            self._malformed += 1
            return self._malformed < MALFORMED_IN_A_ROW
        self._malformed, self._alive_ms = 0, now_ms
        if isinstance(event, rt.AudioDelta):  # most of them are, and no turn ends with one
            if event.response_id not in self._cancelled:
                self.voice.open_item(event.item_id, self._saying)
                self.voice.add_audio(event.item_id, event.delta, now_ms)
            return True
        match event:
            case rt.TranscriptDelta() | rt.TranscriptDone() | rt.InputTranscriptDelta():
                self._text(event, now_ms)
                return True
            case rt.SpeechStarted() | rt.SpeechStopped() | rt.Committed():
                self._caller_turn(event, now_ms, at_ms)
            case rt.InputTranscriptCompleted(item_id, transcript):
                self.voice.turns.caller_text(item_id, transcript)
            case rt.InputTranscriptFailed(item_id):
                self.voice.turns.caller_text(item_id, "")
            case rt.FunctionArgumentsDone():
                self._tool_called(event, now_ms, at_ms)
            case rt.SessionUpdated():
                self.attempts = 1
            case rt.Error(error):
                self.answers.refused(error.event_id)
            case _:
                self._response(event)
        self.voice.report_turns(now_ms)
        self.proceed(now_ms)
        return True

    def _text(self, event: rt.TranscriptDelta | rt.TranscriptDone | rt.InputTranscriptDelta, now_ms: float) -> None:
        if isinstance(event, rt.TranscriptDone):
            self.voice.final_text(event.item_id, event.transcript)
            return
        role: Role = "caller"
        if isinstance(event, rt.TranscriptDelta):
            role = "agent"
            self.voice.add_text(event.item_id, event.delta)
        if now_ms < self.watched_until_ms:
            self.emit(Report(Delta(role, event.item_id, event.delta)))

    def _caller_turn(
        self, event: rt.SpeechStarted | rt.SpeechStopped | rt.Committed, now_ms: float, at_ms: int
    ) -> None:
        turns, base_ms = self.voice.turns, self._base_ms or 0
        match event:
            case rt.SpeechStarted(item_id, audio_start_ms):
                self.caller_speaking = True
                turns.caller_began(item_id, base_ms + audio_start_ms, now_ms)
                if not self.voice.playout.audible(now_ms):
                    self.answers.spoke_freely()
            case rt.SpeechStopped(item_id, audio_end_ms):
                self.caller_speaking = False
                turns.caller_ended(item_id, base_ms + audio_end_ms, now_ms)
            case rt.Committed(item_id):
                self.caller_speaking = False
                self._unheard.clear()
                self.voice.asked_by = item_id
                turns.caller_began(item_id, at_ms, now_ms)
                turns.caller_ended(item_id, 0, now_ms)
                self.voice.latency.turn_detected(now_ms)
                self.answers.turn_committed()

    def _response(self, event: rt.ServerEvent) -> None:
        match event:
            case rt.ResponseCreated(response):
                self.answers.response_created(response.id)
                if self._cancel_next:
                    self._cancelled.add(response.id)
                    self._cancel_next = False
            case rt.OutputItemAdded(response_id, item) if item.type == "message":
                if response_id in self._cancelled:
                    self.send(rt.item_delete(item.id))
                else:
                    self.voice.open_item(item.id, self._saying)
            case rt.OutputItemAdded(_, item):
                self._names[item.id] = item.name
            case rt.OutputItemDone(_, item):
                self.voice.close_item(item.id)
            case rt.ResponseDone(response):
                if response.id == self.answers.response_id:
                    self.voice.close_all()
                    self._saying = None
                self._cancelled.discard(response.id)
                self.answers.response_done(response.id, failed=response.status == "failed")
            case _:
                pass  # acknowledgements of what we did, and what we have no use for
