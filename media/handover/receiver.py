"""The successor's side of a handover: the process that receives the calls; see `sender` for the protocol."""

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from picows import WSTransport

from hum.observe.logs import log
from hum.v1 import runtime_pb2 as pb
from media.handover import channel as wire
from media.handover import codec
from media.handover.channel import Channel, PeerLost
from media.handover.movedcall import MovedCall
from media.io import sockethandover
from media.io.control import ControlUnavailable
from media.io.modelsocket import MAX_FRAME_BYTES, ModelSocket
from media.leg import Leg
from media.legs.twilio import TwilioLeg
from media.models.wires import wire_of
from media.server import MediaServer
from media.shell import Shell

LOG = log(__name__)
RETRY_LIMIT_MS = 1_000.0
MAX_REPORTED = 1_000  # calls per request


@dataclass(slots=True)
class Predecessor:
    """The process that has served here so far."""

    channel: Channel
    node: str
    listening: socket.socket

    @classmethod
    async def connect(cls, path: Path, seconds: float) -> "Predecessor | None":
        """Connect to the process that listens for a successor at `path`.

        Return None if none does, or if it does not answer in time with its listening socket: it keeps its calls.
        """
        connection = wire.connect_to(path)
        if connection is None:
            return None
        try:
            channel = Channel(connection)
        except PeerLost as error:
            LOG.warning("could not connect to the predecessor: starting without its calls", error=str(error))
            return None
        try:
            channel.send(wire.Hello(codec.VERSION))
            async with asyncio.timeout(seconds):
                message, descriptors = await channel.receive()
            if not isinstance(message, wire.PredecessorListener) or len(descriptors) != 1:
                wire.close_all(descriptors)
                raise PeerLost(f"its first message was not its listening socket but {type(message).__name__}")
        except (PeerLost, TimeoutError) as error:
            channel.close()
            LOG.warning("the predecessor did not answer: starting without its calls", error=str(error) or "timeout")
            return None
        return cls(channel, message.node, socket.socket(fileno=descriptors[0]))


@dataclass(slots=True)
class _Ready:
    """A call that this process is ready to continue."""

    shell: Shell
    moved_call: MovedCall
    sockets: list[WSTransport]


class HandoverReceiver:
    """The receiver of the predecessor's calls."""

    def __init__(self, predecessor: Predecessor, server: MediaServer) -> None:
        self._channel, self._node, self._server = predecessor.channel, predecessor.node, server
        self._ready: dict[int, _Ready] = {}
        #: Ids of calls that control does not yet know to be here.
        self._unreported: list[str] = []
        self._has_unreported, self._is_reported = asyncio.Event(), asyncio.Event()
        self._is_reported.set()
        self.moved_calls = 0
        self.predecessor_stopped = asyncio.Event()  # also if it is lost

    async def run(self) -> None:
        """Receive calls until the predecessor's connection ends and control knows which calls are here."""
        reporting = asyncio.create_task(self._report_calls(), name="handover reporting")
        try:
            self._channel.send(wire.Serving())
            while True:
                await self._dispatch(*await self._channel.receive())
        except PeerLost:
            await self._finalize()
            self.predecessor_stopped.set()
            LOG.info("the predecessor has closed the connection", taken=self.moved_calls)
            await self._is_reported.wait()
        finally:
            self._channel.close()
            reporting.cancel()
            await asyncio.gather(reporting, return_exceptions=True)

    async def _finalize(self) -> None:
        """Begin the ready calls if the predecessor has died; drop them if it lives, since it keeps them."""
        if not self._ready:
            return
        is_dead = await self._channel.is_dead()
        for number in tuple(self._ready):
            if is_dead:
                self._begin(number)
            else:
                self._discard(number)

    def _discard(self, number: int) -> None:
        ready = self._ready.pop(number)
        _drop(ready.shell, ready.sockets)

    async def _dispatch(self, message: wire.Message, descriptors: list[int]) -> None:
        match message:
            case wire.OfferedCall():
                await self._prepare(message, descriptors)
            case wire.Released(number) if number in self._ready:
                self._begin(number)
            case wire.Retained(number) if number in self._ready:
                self._discard(number)
            case wire.Command(command):
                self._server.command(pb.CallCommand.FromString(command))
            case wire.Stopping():
                self.predecessor_stopped.set()
            case _:
                pass  # for a call that was refused

    async def _prepare(self, call: wire.OfferedCall, descriptors: list[int]) -> None:
        """Make a call ready to continue, and answer Ready, or Refused if that fails.  Raises PeerLost."""
        shells: list[Shell] = []
        sockets: list[WSTransport] = []
        try:
            moved_call = self._unpack(descriptors.pop(0))
            await self._adopt(call, moved_call, descriptors, shells, sockets)
        except (codec.NotMovable, OSError, IndexError) as error:
            LOG.warning("could not receive a call: it stays in the predecessor", error=str(error))
            wire.close_all(descriptors)
            for shell in shells:
                _drop(shell, sockets)
            self._channel.send(wire.Refused(call.number, str(error)[:200]))
        else:
            self._ready[call.number] = _Ready(shells[0], moved_call, sockets)
            self._channel.send(wire.Ready(call.number))

    def _unpack(self, descriptor: int) -> MovedCall:
        """Return the state in a memory file, and close its descriptor.  Raises NotMovable, OSError."""
        ports = self._server.ports
        try:
            network = ports.silero.network if ports.silero else None
            moved_call = codec.unpack(wire.read_memory(descriptor), network, ports.files)
        finally:
            wire.close_all([descriptor])
        if not isinstance(moved_call, MovedCall):
            raise codec.NotMovable("the state is not a call's")
        return moved_call

    async def _adopt(
        self,
        call: wire.OfferedCall,
        moved_call: MovedCall,
        descriptors: list[int],
        shells: list[Shell],
        sockets: list[WSTransport],
    ) -> None:
        """Build the call's shell and sockets.

        Take over the descriptors; append to `shells` and `sockets`, which the caller drops on failure.  Raises OSError,
        IndexError.
        """
        ports, settings = self._server.ports, self._server.ports.settings

        def opened(leg: Leg, descriptor: int) -> Shell:  # noqa: ARG001 - the listening socket did not accept it
            shells.append(Shell(ports, leg, self._server))
            return shells[0]

        leg = TwilioLeg(opened, settings)
        frame_bytes = settings.max_frame_bytes
        sockets.append(await sockethandover.adopt_server(descriptors.pop(0), leg, max_frame_bytes=frame_bytes))
        leg.resume(call.stream_id)
        model: ModelSocket | None = None
        if call.has_socket and (spoken_to := moved_call.state.talk.model) is not None:
            model = ModelSocket(shells[0], wire_of(spoken_to))
            pings = settings.model_ping_seconds
            transport = await sockethandover.adopt_client(
                descriptors.pop(0), model, max_frame_bytes=MAX_FRAME_BYTES, ping_seconds=pings
            )
            sockets.append(transport)
            model.listen()
        for file in moved_call.state.record.files:
            file.adopt(descriptors.pop(0))
        shells[0].resume(moved_call.state, model)

    def _begin(self, number: int) -> None:
        """Begin to serve a call that is this process's now."""
        ready = self._ready.pop(number)
        shell, moved_call, link = ready.shell, ready.moved_call, self._server.ports.link
        # The predecessor may have sent some of these: control stores each report once.
        for report in moved_call.reports:
            link.outbox.report(pb.Report.FromString(report))
        self._server.resume(shell, moved_call.state.talk)
        for request in moved_call.tools:
            link.repeat_tool(pb.RunTool.FromString(request), shell.tool_answered)
        if moved_call.redials:
            shell.redial()
        for transport in ready.sockets:
            sockethandover.resume_reading(transport)
        self.moved_calls += 1
        self._unreported.append(shell.call_id)
        self._is_reported.clear()
        self._has_unreported.set()

    async def _report_calls(self) -> None:
        """Report to control which calls were handed over to this process, with back-off until it acknowledges."""
        link, retry_ms = self._server.ports.link, self._server.ports.settings.link_retry_ms
        while True:
            await self._has_unreported.wait()
            self._has_unreported.clear()
            batch = self._unreported[:MAX_REPORTED]
            try:
                await link.take_calls(self._node, batch)
            except ControlUnavailable as error:
                LOG.warning(
                    "could not report the calls that were handed over: retrying", calls=len(batch), error=str(error)
                )
                self._has_unreported.set()
                await asyncio.sleep(retry_ms / 1000)
                retry_ms = min(2 * retry_ms, RETRY_LIMIT_MS)
            else:
                del self._unreported[: len(batch)]
                if self._unreported:
                    self._has_unreported.set()
                else:
                    self._is_reported.set()


def _drop(shell: Shell, sockets: Sequence[WSTransport]) -> None:
    """Drop this process's copy of a call that stays in the predecessor."""
    shell.detach()
    for transport in sockets:
        sockethandover.close_copy(transport)
