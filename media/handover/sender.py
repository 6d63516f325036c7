"""The predecessor's side of a handover: the process that has the calls.

    Hello ◀──               a successor, and the version of the state that it understands
    ──▶ PredecessorListener the listening socket; both processes accept connections from now on
    Serving ◀──             this process stops accepting
    ──▶ OfferedCall         an idle call is suspended: its sockets are not read, and it gets no ticks
    Ready ◀──               the successor is ready; or Refused: the call resumes here
    ──▶ Released            only now the successor reads its sockets; or Retained: the call resumes here
    ──▶ Stopping            this process stops; calls that can't move yet are handed over later, or drain

Until Released is sent, this process has the whole call, and resumes it whatever happens to the successor.  If this process dies
before, the successor continues the calls that it is ready for.  If only the connection breaks, this process keeps them.

A successor that stops answering is given up: before Serving after `handover_seconds`, else after `handover_answer_ms`.  This
process then accepts connections again, and takes back the path where the next successor looks for it.
"""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from picows import WSTransport

from hum.observe.logs import log
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from media.callstate import MovableCall
from media.carrierlistener import CarrierListener
from media.handover import channel as wire
from media.handover import codec
from media.handover.channel import Channel, PeerLost
from media.handover.movedcall import MovedCall
from media.io import sockethandover
from media.legs.twilio import TwilioLeg
from media.server import MediaServer
from media.shell import Shell

LOG = log(__name__)
#: How often the calls are polled for idle ones: while calls are moving, while none is, and once this process is stopping.
POLL_SECONDS = 0.002
IDLE_POLL_SECONDS = 0.01
LATE_POLL_SECONDS = 0.1


@dataclass(slots=True)
class _Move:
    """A call that is offered to the successor."""

    shell: Shell
    movable: MovableCall
    sockets: list[WSTransport]
    tools: list[pb.RunTool]
    deadline_ms: float


class HandoverSender:
    """The sender of this process's calls; `leave` is called once, when this process should stop."""

    def __init__(self, server: MediaServer, listener: CarrierListener, settings: MediaSettings) -> None:
        self.leave: Callable[[], None] = lambda: None
        self._server, self._listener, self._settings = server, listener, settings
        self._moves: dict[int, _Move] = {}
        #: By id of a call that has moved: the connection of the successor that has it.
        self._moved: dict[str, Channel] = {}
        self._unmovable: set[Shell] = set()
        self._count = 0
        self._deadline_ms = 0.0  # of calls that can't move yet
        self._is_stopping = False

    async def offer(self) -> None:
        """Serve successors, one after another, until cancelled."""
        path = self._settings.handover_path
        try:
            while True:
                with wire.listen_at(path) as listening:
                    await self._serve_successors(listening, path.stat().st_ino)
        except OSError as error:
            LOG.warning(
                "could not listen for a successor: live calls can't be handed over", path=str(path), error=str(error)
            )

    async def _serve_successors(self, listening: socket.socket, inode: int) -> None:
        """Serve successors until one that was lost has put its own socket in place of this one, whose file is `inode`."""
        loop, path = asyncio.get_running_loop(), self._settings.handover_path
        while self._is_stopping or (path.exists() and path.stat().st_ino == inode):
            connection, _ = await loop.sock_accept(listening)
            try:
                channel = Channel(connection)
            except PeerLost as error:
                LOG.warning("refused to hand over calls", error=str(error))
                continue
            try:
                await self._serve(channel)
            except PeerLost as error:
                LOG.warning("lost the successor", error=str(error), given=len(self._moved))
            finally:
                channel.close()

    async def _serve(self, channel: Channel) -> None:
        """Hand over the calls to one successor; on failure, accept connections again.  Raises PeerLost."""
        settings = self._settings
        hello = await _receive_within(channel, settings.handover_answer_ms / 1000)
        if not isinstance(hello, wire.Hello):
            raise PeerLost("its first message was not a hello")
        channel.send(wire.PredecessorListener(self._server.ports.link.node), [self._listener.descriptor])
        serving = await _receive_within(channel, settings.handover_seconds)
        if not isinstance(serving, wire.Serving):
            raise PeerLost("it did not begin to serve")
        # This process may be draining already, for another reason.
        was_leaving = self._server.leaving
        understood = hello.version == codec.VERSION
        LOG.info("handing over to a successor", calls=len(self._server), moves=understood)
        self._listener.close()
        self._server.leaving = True
        answers = asyncio.create_task(self._receive_answers(channel), name="handover answers")
        try:
            await self._hand_over(channel, answers, understood=understood)
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            self._cancel_moves(channel)
            if not (self._is_stopping or was_leaving):
                self._server.leaving = False
                self._listener.open()

    async def _hand_over(self, channel: Channel, answers: "asyncio.Task[None]", *, understood: bool) -> None:
        """Move calls until the successor's connection ends.  Raises PeerLost."""
        server, clock = self._server, self._server.ports.clock
        server.handover.forward = self._forward
        self._extend_deadline()
        while True:
            if answers.done():
                answers.result()
            if any(move.deadline_ms <= clock() for move in self._moves.values()):
                raise PeerLost("it did not answer in time")
            can_move = understood and self._start_moves(channel)
            if not self._is_stopping and not self._moves and (not can_move or clock() >= self._deadline_ms):
                channel.send(wire.Stopping())
                await self._wait_until_read(channel)
                self._is_stopping = True
                LOG.info("calls were handed over", given=len(self._moved), left=len(server))
                self.leave()
            poll_seconds = POLL_SECONDS if self._moves else IDLE_POLL_SECONDS
            await asyncio.sleep(LATE_POLL_SECONDS if self._is_stopping else poll_seconds)

    async def _wait_until_read(self, channel: Channel) -> None:
        """Wait until the successor has read all messages: one that hangs must not be the only process that serves.  Raises PeerLost."""
        try:
            async with asyncio.timeout(self._settings.handover_answer_ms / 1000):
                while channel.unread_bytes():  # noqa: ASYNC110 - the kernel tells nobody when it is read
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError as error:
            raise PeerLost("it no longer reads") from error

    def _extend_deadline(self) -> None:
        self._deadline_ms = self._server.ports.clock() + self._settings.handover_seconds * 1000

    def _start_moves(self, channel: Channel) -> bool:
        """Start to move idle calls, up to the concurrency limit; return whether others may move soon.  Raises PeerLost."""
        has_movable = False
        for shell in self._server.streams.open.difference(self._server.handover.calls, self._unmovable):
            if len(self._moves) >= self._settings.handover_calls:
                return True
            movable = shell.movable()
            if movable is None or not self._start_move(channel, shell, movable):
                has_movable = True
        return has_movable

    def _start_move(self, channel: Channel, shell: Shell, movable: MovableCall) -> bool:
        """Start to move a call if its sockets are idle; return False to retry later.  Raises PeerLost."""
        leg, model = movable.leg, movable.socket
        if not isinstance(leg, TwilioLeg):
            self._unmovable.add(shell)
            return True
        sockets = [leg.idle] if model is None or model.is_secure else [leg.idle, model.idle]
        idle = [transport for transport in sockets if transport is not None]
        if len(idle) < len(sockets):
            return False
        record, link = movable.state.record, self._server.ports.link
        self._server.begin_move(shell, movable.state.talk)
        tools = link.withdraw_tools(record.call_id)
        move = _Move(shell, movable, idle, tools, self._server.ports.clock() + self._settings.handover_answer_ms)
        reports = [report.SerializeToString() for report in link.outbox.unacknowledged(record.call_id)]
        redials = model is not None and model.is_secure
        moved_call = MovedCall(movable.state, [tool.SerializeToString() for tool in tools], reports, redials)
        self._count += 1
        self._moves[self._count] = move
        descriptors = [sockethandover.pause_reading(transport) for transport in idle]
        try:
            memory = wire.to_memory(codec.pack(moved_call))
        except (codec.NotMovable, OSError) as error:
            LOG.exception("could not pack a call: it stays in this process", call=record.call_id, error=str(error))
            self._cancel_move(self._count, for_good=True)
            return True
        try:
            has_socket = len(sockets) > 1
            files = [recorder.descriptor for recorder in record.files]
            channel.send(wire.OfferedCall(self._count, leg.stream_id, has_socket), [memory, *descriptors, *files])
        finally:
            wire.close_all([memory])
        return True

    async def _receive_answers(self, channel: Channel) -> None:
        """Handle the successor's answers.  Raises PeerLost."""
        while True:
            match (await channel.receive())[0]:
                case wire.Ready(number) if number in self._moves:
                    channel.send(wire.Released(number))
                    self._release(channel, self._moves.pop(number))
                case wire.Refused(number, reason) if number in self._moves:
                    LOG.warning("the successor refused a call: it stays in this process", reason=reason)
                    self._cancel_move(number, for_good=True)
                case other:
                    raise PeerLost(f"it sent {type(other).__name__} out of order")

    def _release(self, channel: Channel, move: _Move) -> None:
        self._extend_deadline()
        self._moved[move.movable.state.record.call_id] = channel
        commands = self._server.handover.calls.pop(move.shell)
        move.shell.detach()
        sockethandover.close_copy(move.sockets[0])
        for command in commands:
            self._forward(command)

    def _cancel_move(self, number: int, *, for_good: bool = False) -> None:
        """Resume a call in this process; with `for_good`, never offer it again."""
        move = self._moves.pop(number)
        if for_good:
            self._unmovable.add(move.shell)
        self._server.cancel_move(move.shell, move.movable.state.talk)
        for request in move.tools:
            self._server.ports.link.repeat_tool(request, move.shell.tool_answered)
        for transport in move.sockets:
            sockethandover.resume_reading(transport)

    def _cancel_moves(self, channel: Channel) -> None:
        for number in tuple(self._moves):
            with suppress(PeerLost):
                channel.send(wire.Retained(number))
            self._cancel_move(number)

    def _forward(self, command: pb.CallCommand) -> bool:
        """Forward a command to the successor that has its call; return False if none has.

        A command that can't be forwarded any more gets no answer: the call goes on elsewhere, so its outcome is unknown, and not `over`.
        """
        if (channel := self._moved.get(command.call_id)) is None:
            return False
        try:
            channel.send(wire.Command(command.SerializeToString()))
        except PeerLost as error:
            LOG.warning("could not forward a command to the successor", call=command.call_id, error=str(error))
        return True


async def _receive_within(channel: Channel, seconds: float) -> wire.Message:
    """Return the successor's next message.  Raises PeerLost if none comes in time: later successors wait meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            message, descriptors = await channel.receive()
    except TimeoutError as error:
        raise PeerLost(f"it sent nothing for {seconds:g} s") from error
    wire.close_all(descriptors)
    return message
