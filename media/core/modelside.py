"""The model's side of a call: one session after another, its events, its tools, and whose turn it is to be answered."""

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

from media.core import realtime as rt
from media.core.answers import Answers
from media.core.audio import BYTES_PER_MS, FRAME_BYTES, FRAME_MS
from media.core.backlog import Backlog
from media.core.clips import instruction
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
)
from media.core.voice import Emit, Voice

KEPT_WHILE_SPEAKING = 15_000 * BYTES_PER_MS
KEPT_OTHERWISE = 1_000 * BYTES_PER_MS
SPEECH_APPEND = 3 * FRAME_BYTES
MALFORMED_IN_A_ROW = 3


@dataclass(slots=True)
class ModelSide:
    plan: CallPlan
    emit: Emit
    ready: bool = False
    watched: bool = False
    caller_speaking: bool = False  # as the server hears it
    closing: bool = False  # nothing is answered any more
    end_asked: bool = False  # the agent wants to hang up
    answers: Answers = field(default_factory=Answers)
    says: deque[ClipKind] = field(default_factory=deque)  # clips without audio, for the model to say
    tools: set[str] = field(default_factory=set)  # running, by call id
    attempts: int = 1
    instructions: str = ""
    tools_json: str | None = None
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
        self.instructions, self.tools_json = self.plan.instructions, self.plan.tools_json

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
        self.update()
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
        self.voice.orphan_all()

    def stalled(self, now_ms: float) -> bool:
        return self.ready and self.answers.active and now_ms - self._alive_ms >= self.plan.stall_ms

    def update(self, instructions: str | None = None, tools_json: str | None = None) -> None:
        """Configure the session, a later one too; None leaves what is there."""
        self.instructions = self.instructions if instructions is None else instructions
        self.tools_json = self.tools_json if tools_json is None else tools_json
        self.send(rt.session_update(self.plan, self.instructions, self.tools_json))

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
        return self.answers.owed or self.answers.active or bool(self.tools)

    def cancel(self) -> None:
        """The caller took the floor."""
        if self.answers.active:
            self._cancel_next = self.answers.response_id is None
            if self.answers.response_id is not None:
                self._cancelled.add(self.answers.response_id)
            self.send(rt.response_cancel(self.answers.response_id))

    def tool_result(self, call_id: str, output_json: str, now_ms: float, at_ms: int) -> None:
        """An unknown call id belongs to a session that is gone: its successor gets the result as text."""
        self.emit(Report(ToolFinished(call_id, output_json, at_ms)))
        known = call_id in self.tools
        self.tools.discard(call_id)
        if known and self.ready:
            self.send(rt.function_output(call_id, output_json))
        else:
            self.note("system", f"The lookup that was under way came back: {output_json}")
        if not self.tools:
            self.answers.owe()
            self.proceed(now_ms)

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
                self._text(event)
                return True
            case rt.SpeechStarted() | rt.SpeechStopped() | rt.Committed():
                self._caller_turn(event, now_ms, at_ms)
            case rt.InputTranscriptCompleted(item_id, transcript):
                self.voice.turns.caller_text(item_id, transcript)
            case rt.InputTranscriptFailed(item_id):
                self.voice.turns.caller_text(item_id, "")
            case rt.FunctionArgumentsDone():
                self._tool_called(event, at_ms)
            case rt.SessionUpdated():
                self.attempts = 1
            case rt.Error(error):
                self.answers.refused(error.event_id)
            case _:
                self._response(event)
        self.voice.report_turns(now_ms)
        self.proceed(now_ms)
        return True

    def _text(self, event: rt.TranscriptDelta | rt.TranscriptDone | rt.InputTranscriptDelta) -> None:
        if isinstance(event, rt.TranscriptDone):
            self.voice.final_text(event.item_id, event.transcript)
            return
        role: Role = "caller"
        if isinstance(event, rt.TranscriptDelta):
            role = "agent"
            self.voice.add_text(event.item_id, event.delta)
        if self.watched:
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

    def _tool_called(self, event: rt.FunctionArgumentsDone, at_ms: int) -> None:
        name = event.name or self._names.pop(event.item_id, "")
        if event.response_id in self._cancelled:
            return
        self.emit(Report(ToolCalled(event.call_id, name, event.arguments, at_ms)))
        if name == rt.END_CALL:
            self.end_asked = True
        else:
            self.tools.add(event.call_id)
            self.emit(RunTool(event.call_id, name, event.arguments))
