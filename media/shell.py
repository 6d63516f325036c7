"""One call's sockets.  The shell carries out the actions of its core (`media.core.talk`) and decides nothing.

waiting ── start ──▶ joining ── session opened ──▶ talking ── HangUp ──▶ ending ── stored or late ──▶ closing

While joining, events are buffered in order.  Example: `start` ─▶ OpenSession ─▶ the buffered frames and the greeting ─▶ the agent
hangs up ─▶ control acknowledges the last report ─▶ the socket is closed, and the carrier requests the call's next step.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Concatenate, ParamSpec, assert_never

from hum.observe.logs import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.calloutput import CallOutput
from media.callstate import CallState, MovableCall
from media.core.commands import DecisionResult, EndCall, Inform, LeaveStream, Listen, Machine, Watch
from media.core.legmessages import (
    CARRIER_PROTOCOL,
    Broken,
    Clear,
    HangUp,
    Leave,
    LegEvent,
    Mark,
    MoveOn,
    Outcome,
    Play,
    Started,
    Stopped,
    ToLeg,
)
from media.core.modelmessages import ModelEvent
from media.core.runningtools import TOO_MANY, error_json
from media.core.talk import Talk
from media.core.types import (
    Action,
    DialModel,
    Moment,
    RecordAgent,
    RecordCaller,
    Report,
    RunTool,
    Stamp,
    StartMessage,
    StartRecording,
    ToModel,
    ToolStatus,
    Unrecord,
)
from media.io.control import ControlUnavailable, TokenRefused
from media.io.listenerstreams import ListenerQueue
from media.io.modelsocket import ModelSocket
from media.joinbuffer import JoinBuffer
from media.leg import Closing, Leg
from media.metrics import FRAMES
from media.modelconnection import ModelConnection
from media.plan import dictation_of, sequel_of, switch_of
from media.ports import CallRegistry, Ports, ShellPhase
from media.talkfactory import talk_of

LOG = log(__name__)
LOST = HangUp("carrier_lost")
BUG = "bug in a call"
CLOSE_MS = 1_000.0  # until the carrier answers our close


@dataclass(slots=True)
class _LegState:
    """The leg, whether its connection is closed, and how to close it."""

    leg: Leg
    is_closed: bool = False
    closing: Closing = Closing.NORMAL


P = ParamSpec("P")


def _guarded(entry: "Callable[Concatenate[Shell, P], None]") -> "Callable[Concatenate[Shell, P], None]":
    """Wrap an entry point of a shell, so that a bug ends that call only; entry points for every frame do the same inline."""

    def guarded(self: "Shell", /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            entry(self, *args, **kwargs)
        except Exception:  # the boundary between calls
            LOG.exception(BUG, call=self.call_id)
            self.fail()

    update_wrapper(guarded, entry)
    return guarded


def _machine(machine: pb.ForMachine, command_id: str = "") -> Machine:
    return Machine(machine.reason or "machine", message=machine.HasField("message"), id=command_id)


class Shell:
    """A call's sockets and state; created when the leg's connection opens."""

    def __init__(self, ports: Ports, leg: Leg, registry: "CallRegistry[Shell]") -> None:
        self._ports, self._registry = ports, registry
        self._phase = ShellPhase.WAITING
        self._since_ms = self._heard_ms = ports.clock()
        self._leg_state = _LegState(leg)
        self._join_buffer = JoinBuffer()
        self._talk: Talk | None = None  # from TALKING on
        self._output = CallOutput(
            ports.link, ports.recordings, ports.files, ports.settings.listen_hold_ms, ports.settings.recording_names
        )
        self._model_connection = ModelConnection(ports.dial, self)

    @property
    def call_id(self) -> str:
        """The call's id; empty until the session is open."""
        return self._output.call_id

    # The leg.

    def from_leg(self, event: LegEvent | None) -> None:
        """Handle a message from the carrier; None stands for one that only shows that the connection is alive."""
        try:
            self._from_leg(event)
        except Exception:  # as in `_guarded`, but cheaper
            LOG.exception(BUG, call=self.call_id)
            self.fail()

    def _from_leg(self, event: LegEvent | None) -> None:
        FRAMES.received += 1
        now_ms = self._heard_ms = self._ports.clock()
        if event is None:
            return
        talk = self._talk
        if talk is not None:
            if actions := talk.from_leg(event, now_ms):
                self._carry(actions)
        elif self._phase is ShellPhase.JOINING:
            self._join_buffer.append(event)
        elif self._phase is ShellPhase.WAITING:
            self._first_event(event)

    @_guarded
    def leg_gone(self, fault: str = "") -> None:
        """Handle the close of the connection; `fault` names the carrier's violation, if any.  May be called repeatedly."""
        self._leg_state.is_closed = True
        if self._talk is not None:
            outcome = HangUp(CARRIER_PROTOCOL, fault) if fault else LOST
            self._carry(self._talk.leg_gone(self._ports.clock(), outcome))
        if self._phase in (ShellPhase.WAITING, ShellPhase.ENDING, ShellPhase.CLOSING):
            self._release()

    def fail(self) -> None:
        """End this call because of a bug, whatever its state."""
        if self._talk is not None and not self._talk.ended:
            self._talk.abandon()
            self._output.end_by_fault("internal error")
        self._hang_up(Closing.FAULT)

    @_guarded
    def task_done(self, task: asyncio.Task[None]) -> None:
        """Re-raise an exception of a finished task (session opening or model dial): it is a bug in this call."""
        if not task.cancelled():
            task.result()

    # Time, and commands from control.

    def tick(self, now_ms: float) -> None:
        """Advance time: called on each tick of the ticker, and while talking only on the ticks that the core asks for."""
        try:
            self._tick(now_ms)
        except Exception:  # as in `_guarded`
            LOG.exception(BUG, call=self.call_id)
            self.fail()

    def _tick(self, now_ms: float) -> None:
        settings = self._ports.settings
        silent = now_ms - self._heard_ms >= settings.silent_seconds * 1000
        match self._phase:
            case ShellPhase.TALKING if self._talk is not None:
                self._carry(self._talk.leg_gone(now_ms, LOST) if silent else self._talk.tick(now_ms))
            case ShellPhase.WAITING if silent or now_ms - self._since_ms >= settings.start_seconds * 1000:
                self._refuse("late", Closing.REFUSED)
            case ShellPhase.ENDING if now_ms - self._since_ms >= settings.end_ack_seconds * 1000:
                self._close()
            case ShellPhase.CLOSING if now_ms - self._since_ms >= CLOSE_MS:
                self._leg_state.leg.abort()
                self._release()
            case _:
                pass

    @_guarded
    def command(self, command: pb.CallCommand) -> None:
        """Carry out a command from control; once the call is over, answer "over" instead."""
        match command.WhichOneof("command"):
            case "hang_up":
                self._ports.link.answer(command.command_id, "over" if self._is_over() else "done")
                self.end("hang_up")
            case "leave" if self._talk is not None:
                leave = LeaveStream(MoveOn(command.leave.reason), command.command_id)
                self._carry(self._talk.command(leave, self._ports.clock()))
            case "switch" if self._talk is not None:
                switch = switch_of(command.switch, self._ports.settings, command.command_id)
                self._carry(self._talk.command(switch, self._ports.clock()))
            case "watch" if self._talk is not None:
                self._carry(self._talk.command(Watch(command.watch.for_ms), self._ports.clock()))
            case "instruct" | "say" if self._talk is not None:
                self._carry(self._talk.command(dictation_of(command), self._ports.clock()))
            case "caller" if self._talk is not None:
                inform = Inform(command.command_id, command.caller.text)
                self._carry(self._talk.command(inform, self._ports.clock()))
            case "news" if self._talk is not None:
                result = DecisionResult(command.command_id, command.news.text)
                self._carry(self._talk.command(result, self._ports.clock()))
            case "listen" if self._talk is not None and not self._talk.ended:
                self._listen(self._talk, command)
            case "machine" if self._talk is not None:
                self._carry(self._talk.command(_machine(command.machine, command.command_id), self._ports.clock()))
            case _:
                self._ports.link.answer(command.command_id, "over")

    def _listen(self, talk: Talk, command: pb.CallCommand) -> None:
        is_heard = self._output.add_listener(self._ports.listener_streams, command.listen, self.listener_gone)
        if is_heard:
            self._carry(talk.command(Listen(True), self._ports.clock()))
        self._ports.link.answer(command.command_id, "done" if is_heard else "full")

    @_guarded
    def listener_gone(self, listener: ListenerQueue) -> None:
        """Remove a listener after the end of its stream; report to the core when it was the last one."""
        if self._output.remove_listener(listener) and self._talk is not None:
            self._carry(self._talk.command(Listen(False), self._ports.clock()))

    def _is_over(self) -> bool:
        return self._talk.ended if self._talk is not None else self._phase is not ShellPhase.JOINING

    @_guarded
    def end(self, reason: str, *, spoken: bool = False) -> None:
        """End the call for `reason`; while joining, end it once the session is open.  Refuse a stream that has not started."""
        ending = EndCall(reason, spoken)
        if self._talk is not None:
            self._carry(self._talk.command(ending, self._ports.clock()))
        elif self._phase is ShellPhase.JOINING:
            self._join_buffer.ending = ending
        elif self._phase is ShellPhase.WAITING:
            self._refuse(reason, Closing.BUSY)

    @_guarded
    def evict(self) -> None:
        """Close this stream at once: it is the oldest of too many that have not sent `start`."""
        self._refuse("crowded", Closing.BUSY)
        self._leg_state.leg.abort()
        self._release()

    # Before the conversation.

    def _first_event(self, event: LegEvent) -> None:
        match event:
            case Started():
                token = event.parameters.get("token", "")
                if not token:
                    self._refuse("no_token", Closing.REFUSED)
                    return
                if (reason := self._registry.started(self)) is not None:
                    self._refuse(reason, Closing.BUSY)
                    return
                self._phase = ShellPhase.JOINING
                self._output.trace.begin(event.call_id)
                opening = asyncio.create_task(self._join(token, event), name="join")
                opening.add_done_callback(self.task_done)
                self._join_buffer.begin(event, opening)
            case Stopped():
                self._refuse("stopped", Closing.NORMAL)
            case Broken(detail):
                LOG.warning("stream refused: its first message is invalid", error=detail)
                self._refuse("protocol", Closing.PROTOCOL)
            case _:
                LOG.warning("stream refused: it sent an event before `start`")
                self._refuse("protocol", Closing.PROTOCOL)

    async def _join(self, token: str, start: Started) -> None:
        ports = self._ports
        try:
            with self._output.trace.opening():
                session = await ports.link.open_session(token, start.call_id, start.stream_id)
        except TokenRefused:
            self._refuse("refused", Closing.REFUSED)
        except ControlUnavailable as error:
            LOG.warning("control did not open a session", error=str(error), call_sid=start.call_id)
            self._refuse("control_away", Closing.BUSY)
        else:
            self._begin(session)

    def _begin(self, session: pb.OpenSessionResponse) -> None:
        self._output.open(session)
        try:
            talk = talk_of(session, self._ports.settings, self._ports.silero)
        except (ValueError, TypeError, AttributeError):
            LOG.exception("call ended: its flow does not match the contract; check the flow", call=session.call_id)
            self._output.end_by_fault("the flow is not valid")
            self._hang_up(Closing.FAULT)
            return
        self._talk, self._phase = talk, ShellPhase.TALKING
        events, now_ms = self._join_buffer.drain(), self._ports.clock()
        LOG.info("call joined", call=session.call_id, model=session.model, kept=len(events))
        metrics.STREAMS.labels("opened").inc()
        actions = [action for event in events for action in talk.from_leg(event, now_ms)]
        if self._leg_state.is_closed:
            actions += talk.leg_gone(now_ms, LOST)
        if session.HasField("machine"):
            actions += talk.command(_machine(session.machine), now_ms)
        if self._join_buffer.ending is not None:
            actions += talk.command(self._join_buffer.ending, now_ms)
        self._registry.joined(self, talk)
        self._carry(actions)

    # The conversation's actions.

    def _carry(self, actions: list[Action]) -> None:
        sends: list[ToLeg] = []
        for action in actions:  # grows when a tool request is refused
            # The most frequent actions first, by exact type: `isinstance` on a struct is slow, since it asks its metaclass.
            if type(action) is ToModel:
                if (socket := self._model_connection.socket) is not None:
                    socket.send(action.command)
                continue
            if type(action) is Play or type(action) is Mark or type(action) is Clear:
                sends.append(action)
                continue
            match action:
                case RecordCaller() | RecordAgent() | Unrecord():
                    self._output.sound(action)
                case Report(event):
                    self._output.report(event)
                case DialModel(wait_ms):
                    self._dial(wait_ms)
                case RunTool():
                    actions += self._run_tool(action)
                case Stamp(moment):
                    self._send(sends)
                    self._report_written(moment)
                case StartRecording() | StartMessage():
                    self._start_recording(action)
                case Leave(outcome):
                    self._send(sends)
                    self._leave_leg(outcome)
                case _:
                    assert_never(action)
        self._send(sends)

    def _send(self, actions: list[ToLeg]) -> None:
        if actions:
            FRAMES.sent += len(actions)
            self._leg_state.leg.send(actions)
            actions.clear()

    def _report_written(self, moment: Moment) -> None:
        if self._talk is not None:
            self._talk.written(moment, self._ports.clock())

    def _start_recording(self, start: StartRecording | StartMessage) -> None:
        if isinstance(start, StartRecording):
            self._output.start_recording(start.announced)
        else:
            self._output.start_message(start, self._message_failed)

    @_guarded
    def _message_failed(self) -> None:
        if self._talk is not None:
            self._carry(self._talk.message_failed(self._ports.clock()))

    def _run_tool(self, run: RunTool) -> list[Action]:
        assert self._talk is not None, "only a conversation runs tools"
        request = pb.RunTool(
            call_id=self.call_id,
            tool_call_id=run.tool_call_id,
            name=run.name,
            arguments_json=run.arguments_json,
            traceparent=self._output.trace.tool(run.tool_call_id),
            off_record=run.off_record,
        )
        if self._ports.link.run_tool(request, self.tool_answered):
            return []
        return self._talk.tool_result(run.tool_call_id, error_json(TOO_MANY), "failed", self._ports.clock())

    @_guarded
    def tool_answered(self, result: pb.ToolResult) -> None:
        """Give the core the result of a tool that control has run."""
        if self._talk is not None:
            status: ToolStatus = "ok" if result.status == "ok" else "failed"
            sequel = sequel_of(result.outcome, self._ports.settings) if result.HasField("outcome") else None
            now_ms = self._ports.clock()
            self._carry(self._talk.tool_result(result.tool_call_id, result.output_json, status, now_ms, sequel))

    # The model's socket.

    def _dial(self, wait_ms: float) -> None:
        if self._talk is not None and not self._talk.ended and (model := self._talk.model) is not None:
            self._model_connection.dial(wait_ms, model)

    @_guarded
    def model_ready(self) -> None:
        """Tell the core that the model's socket is open."""
        if self._talk is not None:
            self._carry(self._talk.model_ready(self._ports.clock()))

    @_guarded
    def model_lost(self, reason: str) -> None:
        """Tell the core that the model's socket could not be opened, or is lost."""
        if self._talk is not None:
            self._carry(self._talk.model_lost(self._ports.clock(), reason))

    def from_model(self, socket: ModelSocket, event: ModelEvent) -> None:
        try:
            if socket is self._model_connection.socket and self._talk is not None:
                self._carry(self._talk.from_model(event, self._ports.clock()))
        except Exception:  # as in `_guarded`
            LOG.exception(BUG, call=self.call_id)
            self.fail()

    @_guarded
    def model_gone(self, socket: ModelSocket, reason: str) -> None:
        if socket is self._model_connection.socket:
            self._model_connection.socket = None
            self.model_lost(reason)

    # From one process to another.

    def movable(self) -> MovableCall | None:
        """Return the call for the successor, or None while it starts, ends, dials, has listeners, or waits for the disk."""
        talk, record = self._talk, self._output.state()
        if talk is None or talk.ended or record is None or self._phase is not ShellPhase.TALKING:
            return None
        if self._leg_state.is_closed or self._model_connection.dialling:
            return None
        state = CallState(talk, record, self._since_ms, self._heard_ms)
        return MovableCall(state, self._leg_state.leg, self._model_connection.socket)

    def resume(self, state: CallState, socket: ModelSocket | None) -> None:
        """Resume a call of the predecessor process; `socket` is its model socket, or None if it stayed behind."""
        self._phase, self._talk, self._model_connection.socket = ShellPhase.TALKING, state.talk, socket
        self._since_ms, self._heard_ms = state.since_ms, state.heard_ms
        self._output.resume(state.record)

    @_guarded
    def redial(self) -> None:
        """Open a new model session with the conversation so far: the model's socket stayed behind."""
        if self._talk is not None:
            self._carry(self._talk.redial(self._ports.clock()))

    def detach(self) -> None:
        """Drop this process's copy of a call that was handed over to another process: send nothing and report nothing."""
        if self._phase is not ShellPhase.GONE:
            talk, self._talk, self._phase = self._talk, None, ShellPhase.GONE
            self._model_connection.detach()
            self._output.detach()
            self._registry.released(self, talk)

    # The end.

    def _refuse(self, outcome: str, closing: Closing) -> None:
        """Close a stream that has not become a call: there is nothing to report or to wait for."""
        metrics.STREAMS.labels(outcome).inc()
        self._hang_up(closing)

    def _leave_leg(self, outcome: Outcome) -> None:
        self._hang_up(Closing.PROTOCOL if outcome.reason == CARRIER_PROTOCOL else Closing.NORMAL)

    def _hang_up(self, closing: Closing) -> None:
        """Close the leg once control has stored the reports, on which the carrier's next request depends."""
        if self._phase in (ShellPhase.ENDING, ShellPhase.CLOSING, ShellPhase.GONE):
            return
        self._phase, self._since_ms, self._leg_state.closing = ShellPhase.ENDING, self._ports.clock(), closing
        self._model_connection.drop()
        self._join_buffer.drain()
        if self._leg_state.is_closed:
            self._release()
        elif self.call_id:
            self._output.when_ended(self._close_when_stored)
        else:
            self._close()

    def _close_when_stored(self) -> None:
        self._ports.link.outbox.when_stored(self._close)

    @_guarded
    def _close(self) -> None:
        if self._phase is ShellPhase.ENDING:
            self._phase, self._since_ms = ShellPhase.CLOSING, self._ports.clock()
            self._leg_state.leg.close(self._leg_state.closing)

    def _release(self) -> None:
        if self._phase is not ShellPhase.GONE:
            self._phase = ShellPhase.GONE
            self._model_connection.drop()
            self._join_buffer.drain()
            self._output.trace.end()
            self._registry.released(self, self._talk)
