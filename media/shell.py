"""One call's sockets.  Carries out what the conversation answers, and decides nothing.

waiting ── start ──▶ joining ── session opened ──▶ talking ── HangUp ──▶ ending ── stored or late ──▶ closing
            (frames that come meanwhile are kept, in order)
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import update_wrapper
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, assert_never

from hum.clock import Clock, now
from hum.settings import MediaSettings
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.core.conversation import REFUSED, Conversation
from media.core.leg import (
    CARRIER_PROTOCOL,
    Broken,
    Clear,
    HangUp,
    Leave,
    LegEvent,
    Mark,
    Outcome,
    Play,
    Started,
    Stopped,
    ToLeg,
)
from media.core.tools import CALL_ENDED, TOO_MANY, error_json
from media.core.types import (
    Action,
    BargedIn,
    CallEnded,
    Delta,
    DialModel,
    EndCall,
    Event,
    LatencyMeasured,
    ModelLost,
    RecordAgent,
    RecordCaller,
    Report,
    RunTool,
    StartRecording,
    ToModel,
    ToolFinished,
    ToolStatus,
    Watch,
)
from media.io.control import Away, ControlLink, TokenRefused
from media.io.openai import Dial, ModelSocket, Refused, Unreachable
from media.io.silero import Silero
from media.metrics import FRAMES
from media.plan import plan_of
from media.recorder import Recorder
from media.reports import Reports

LOG = log(__name__)
LOST = HangUp("carrier_lost")
#: Caller frames that wait for the session; a stream brings 50 a second.
KEPT_FRAMES = 1_500
CLOSE_MS = 1_000.0  # how long the carrier may take to answer our close


class Closing(Enum):
    """Why a leg is closed, for its adapter to say in the carrier's words."""

    NORMAL = auto()
    PROTOCOL = auto()  # it did what its protocol does not allow
    REFUSED = auto()  # who asked may not
    BUSY = auto()  # not now
    FAULT = auto()  # ours


class Leg(Protocol):
    """The caller's side of a call, as far as the call needs it; an adapter of media/legs/."""

    def send(self, actions: Sequence[ToLeg]) -> None:
        """All in one write, in this order."""

    def close(self, closing: Closing) -> None: ...
    def abort(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ports:
    """What all calls of a process share."""

    given: MediaSettings
    link: ControlLink
    dial: Dial
    clock: Clock
    recordings: Path
    silero: Silero | None = None  # the detector's second stage


class Phase(Enum):
    WAITING = auto()
    JOINING = auto()
    TALKING = auto()
    ENDING = auto()  # control is being told
    CLOSING = auto()  # our close is under way
    GONE = auto()


class Keeper(Protocol):
    """Who counts the calls of this process."""

    def joined(self, shell: "Shell", talk: Conversation) -> None:
        """The call of this stream is known now; told once, before it acts."""

    def released(self, shell: "Shell", talk: Conversation | None) -> None:
        """Neither socket nor report needs this call any more; told once."""


P = ParamSpec("P")


def _guarded(entry: "Callable[Concatenate[Shell, P], None]") -> "Callable[Concatenate[Shell, P], None]":
    """A bug in one call ends that call, and none of the others: all that reaches a shell comes through here."""

    def guarded(self: "Shell", /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            entry(self, *args, **kwargs)
        except Exception:
            LOG.exception("bug in a call", call=self.call_id)
            self.fail()

    update_wrapper(guarded, entry)
    return guarded


class Shell:
    """Made when the leg's connection is open."""

    def __init__(self, ports: Ports, leg: Leg, keeper: "Keeper") -> None:
        self.call_id = ""
        self._ports, self._leg, self._keeper = ports, leg, keeper
        self._clock = ports.clock
        self._phase = Phase.WAITING
        self._since_ms = self._heard_ms = self._clock()
        self._kept: list[LegEvent] = []
        self._talk: Conversation | None = None
        self._reports = Reports("")
        self._recorder: Recorder | None = None
        self._model: ModelSocket | None = None
        self._task: asyncio.Task[None] | None = None  # the session being opened, or the model being dialled
        self._organization = ""
        self._closing = Closing.NORMAL
        self._leg_is_gone = False

    # The leg.

    @_guarded
    def from_leg(self, event: LegEvent | None) -> None:
        """One message of the carrier; None if it says no more than that it is alive."""
        FRAMES.received += 1
        now_ms = self._heard_ms = self._clock()
        if event is None:
            return
        talk = self._talk
        if talk is not None:
            if actions := talk.from_leg(event, now_ms):
                self._carry(actions)
        elif self._phase is Phase.JOINING:
            self._keep(event)
        elif self._phase is Phase.WAITING:
            self._first_words(event)

    @_guarded
    def leg_gone(self, fault: str = "") -> None:
        """The connection is closed, by a fault of the carrier's if one is named; told as often as it is noticed."""
        self._leg_is_gone = True
        if self._talk is not None:
            self._carry(self._talk.leg_gone(self._clock(), HangUp(CARRIER_PROTOCOL, fault) if fault else LOST))
        if self._phase in (Phase.WAITING, Phase.ENDING, Phase.CLOSING):
            self._release()

    def fail(self) -> None:
        """Something here is broken: end this call, whatever state it is in, and none of the others."""
        if self._talk is not None and not self._talk.ended:
            self._talk.abandon()
            for call_id in self._reports.running_tools():
                self._report(ToolFinished(call_id, error_json(CALL_ENDED), "failed", 0))
            self._report(CallEnded("carrier_lost", "internal error", 0))
        self._hang_up(Closing.FAULT)

    def _begin_task(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._task = asyncio.create_task(work, name=name)
        self._task.add_done_callback(self._task_done)

    @_guarded
    def _task_done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.result()

    # Time, and what control wants.

    @_guarded
    def tick(self, now_ms: float) -> None:
        """With each tick of the pacer; while there is a conversation, with those that it wants."""
        given = self._ports.given
        silent = now_ms - self._heard_ms >= given.silent_seconds * 1000
        match self._phase:
            case Phase.TALKING if self._talk is not None:
                self._carry(self._talk.leg_gone(now_ms, LOST) if silent else self._talk.tick(now_ms))
            case Phase.WAITING if silent or now_ms - self._since_ms >= given.start_seconds * 1000:
                self._refuse("late", Closing.REFUSED)
            case Phase.ENDING if now_ms - self._since_ms >= given.end_ack_seconds * 1000:
                self._close()
            case Phase.CLOSING if now_ms - self._since_ms >= CLOSE_MS:
                self._leg.abort()
                self._release()
            case _:
                pass

    @_guarded
    def command(self, command: pb.CallCommand) -> None:
        """What control asks for; a call that is already over does not listen."""
        match command.WhichOneof("command"):
            case "hang_up":
                self.end("hang_up")
            case "watch" if self._talk is not None:
                self._carry(self._talk.command(Watch(command.watch.for_ms), self._clock()))
            case _:
                pass

    @_guarded
    def end(self, reason: str, *, spoken: bool = False) -> None:
        """End the call for `reason`; one that has not begun is refused."""
        if self._talk is not None:
            self._carry(self._talk.command(EndCall(reason, spoken), self._clock()))
        elif self._phase is Phase.WAITING:
            self._refuse(reason, Closing.BUSY)

    # Before the conversation.

    def _first_words(self, event: LegEvent) -> None:
        match event:
            case Started():
                token = event.parameters.get("token", "")
                if not token:
                    self._refuse("no_token", Closing.REFUSED)
                    return
                self._phase = Phase.JOINING
                self._kept.append(event)
                self._begin_task(self._join(token, event), "join")
            case Stopped():
                self._refuse("stopped", Closing.NORMAL)
            case Broken(detail):
                LOG.warning("not a media stream", error=detail)
                self._refuse("protocol", Closing.PROTOCOL)
            case _:
                LOG.warning("a media stream began without a start")
                self._refuse("protocol", Closing.PROTOCOL)

    def _keep(self, event: LegEvent) -> None:
        if len(self._kept) < KEPT_FRAMES:
            self._kept.append(event)

    async def _join(self, token: str, start: Started) -> None:
        ports = self._ports
        try:
            session = await ports.link.open_session(token, start.call_id, start.stream_id)
        except TokenRefused:
            self._refuse("refused", Closing.REFUSED)
        except Away as error:
            LOG.warning("control opens no session", error=str(error), call_sid=start.call_id)
            self._refuse("control_away", Closing.BUSY)
        else:
            self._begin(session)

    def _begin(self, session: pb.OpenSessionResponse) -> None:
        self.call_id = session.call_id
        self._organization = session.organization_id
        self._reports = Reports(session.call_id, session.stream_number)
        try:
            silero = self._ports.silero
            talk = Conversation(plan_of(session, self._ports.given), silero.detector() if silero else None)
        except (ValueError, TypeError, AttributeError):
            LOG.exception("the flow of a call can not be read", call=session.call_id)
            self._report(CallEnded("carrier_lost", "the flow can not be read", 0))
            self._hang_up(Closing.FAULT)
            return
        LOG.info("call joined", call=session.call_id, model=session.model, kept=len(self._kept))
        metrics.STREAMS.labels("opened").inc()
        self._talk, self._phase, self._task = talk, Phase.TALKING, None
        now_ms = self._clock()
        actions = [action for event in self._kept for action in talk.from_leg(event, now_ms)]
        self._kept.clear()
        if self._leg_is_gone:
            actions += talk.leg_gone(now_ms, LOST)
        self._keeper.joined(self, talk)
        self._carry(actions)

    # What the conversation wants.

    def _carry(self, actions: list[Action]) -> None:  # noqa: C901, PLR0912 - one line for each kind of action
        sends: list[ToLeg] = []
        for action in actions:  # grows when a tool can not be run
            if isinstance(action, ToModel):  # these are most of them
                if self._model is not None:
                    self._model.send(action.payload)
                continue
            if isinstance(action, (Play, Mark, Clear)):
                sends.append(action)
                continue
            match action:
                case RecordCaller(payload, at_ms):
                    if self._recorder is not None:
                        self._recorder.caller(payload, at_ms)
                case RecordAgent(payload, at_ms):
                    if self._recorder is not None:
                        self._recorder.agent(payload, at_ms)
                case Report(event):
                    self._report(event)
                case DialModel(attempt):
                    self._dial(attempt)
                case RunTool():
                    actions += self._run_tool(action)
                case StartRecording():
                    self._recorder = Recorder(self._ports.recordings, self._organization, self.call_id)
                case Leave(outcome):
                    self._send(sends)
                    self._leave(outcome)
                case _:
                    assert_never(action)
        self._send(sends)

    def _send(self, actions: list[ToLeg]) -> None:
        if actions:
            FRAMES.sent += len(actions)
            self._leg.send(actions)
            actions.clear()

    def _report(self, event: Event) -> None:
        at = now()
        match event:
            case Delta():
                self._ports.link.delta(self._reports.delta(event, at))
            case BargedIn():
                metrics.CLEAR_SECONDS.observe(event.clear_reaction_ms / 1000)
            case LatencyMeasured():
                metrics.OURS_SECONDS.observe(event.ours_ms / 1000)
                metrics.MODEL_SECONDS.observe((event.endpoint_ms + event.model_ms) / 1000)
            case ToolFinished(call_id):
                self._ports.link.give_up(self.call_id, call_id)
            case ModelLost(reason):
                metrics.MODEL_LOSSES.labels(reason.partition(" ")[0]).inc()
                LOG.warning("model lost", call=self.call_id, reason=reason)
            case CallEnded(reason, detail, at_ms):
                self._store_recording(at)
                metrics.ENDINGS.labels(reason).inc()
                LOG.info("call ended", call=self.call_id, reason=reason, detail=detail, at_ms=at_ms)
            case _:
                pass
        report = self._reports.of(event, at)
        if report is not None:
            self._ports.link.outbox.report(report)

    def _run_tool(self, run: RunTool) -> list[Action]:
        assert self._talk is not None, "only a conversation runs tools"
        request = pb.RunTool(
            call_id=self.call_id, tool_call_id=run.call_id, name=run.name, arguments_json=run.arguments_json
        )
        if self._ports.link.run_tool(request, self.tool_answered):
            return []
        return self._talk.tool_result(run.call_id, error_json(TOO_MANY), "failed", self._clock())

    @_guarded
    def tool_answered(self, result: pb.ToolResult) -> None:
        """Control has run a tool of this call."""
        if self._talk is not None:
            status: ToolStatus = "ok" if result.status == "ok" else "failed"
            self._carry(self._talk.tool_result(result.tool_call_id, result.output_json, status, self._clock()))

    def _store_recording(self, at: datetime) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is not None and (stored := recorder.close()) is not None:
            self._ports.link.outbox.report(self._reports.recorded(stored, at))

    # The model's socket.

    @_guarded
    def from_model(self, socket: ModelSocket, payload: bytes) -> None:
        if socket is self._model and self._talk is not None:
            self._carry(self._talk.from_model(payload, self._clock()))

    @_guarded
    def model_gone(self, socket: ModelSocket, reason: str) -> None:
        if socket is self._model:
            self._model = None
            self._lost(reason)

    def _lost(self, reason: str) -> None:
        if self._talk is not None:
            self._carry(self._talk.model_lost(self._clock(), reason))

    def _dial(self, attempt: int) -> None:
        self._drop_model()
        if self._talk is not None and not self._talk.ended:
            self._begin_task(self._dialled(attempt, self._talk), "dial")

    async def _dialled(self, attempt: int, talk: Conversation) -> None:
        ports = self._ports
        if attempt > 1:
            await asyncio.sleep(ports.given.model_retry_ms * 2 ** (attempt - 2) / 1000)
        try:
            socket = await ports.dial(talk.plan.model, self)
        except Refused as error:
            LOG.warning("model refused", call=self.call_id, error=str(error))
            self._lost(REFUSED)
        except Unreachable as error:
            self._lost(f"unreachable {error}")
        else:
            self._model = socket
            self._carry(talk.model_ready(self._clock()))

    def _drop_model(self) -> None:
        model, self._model = self._model, None
        if model is not None:
            model.drop()

    # The end.

    def _refuse(self, outcome: str, closing: Closing) -> None:
        """No call has begun: there is nothing to report, and nobody to wait for."""
        metrics.STREAMS.labels(outcome).inc()
        self._hang_up(closing)

    def _leave(self, outcome: Outcome) -> None:
        self._hang_up(Closing.PROTOCOL if outcome.reason == CARRIER_PROTOCOL else Closing.NORMAL)

    def _hang_up(self, closing: Closing) -> None:
        """Close, once control knows: the carrier asks what comes next as soon as its socket is closed."""
        if self._phase in (Phase.ENDING, Phase.CLOSING, Phase.GONE):
            return
        self._phase, self._since_ms, self._closing = Phase.ENDING, self._clock(), closing
        self._drop_model()
        self._stop_task()
        if self._leg_is_gone:
            self._release()
        elif self.call_id:
            self._ports.link.outbox.when_stored(self._close)
        else:
            self._close()

    def _close(self) -> None:
        if self._phase is Phase.ENDING:
            self._phase, self._since_ms = Phase.CLOSING, self._clock()
            self._leg.close(self._closing)

    def _release(self) -> None:
        if self._phase is not Phase.GONE:
            self._phase = Phase.GONE
            self._stop_task()
            self._keeper.released(self, self._talk)

    def _stop_task(self) -> None:
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
