"""The side of the process that has the calls.

    Hello ◀──               a successor, and what states it understands
    ──▶ Listener            the listening socket; both accept from now on
    Serving ◀──             this process accepts no more
    ──▶ Call                a call at rest is held: nothing is read, and nothing happens to it
    Runs ◀──                ... or Refused: it goes on here
    ──▶ Yours               let go of; only now the successor reads.  Or Kept: it goes on here
    ──▶ Over                this process leaves; what can't move yet is handed over later, or drains

Until Yours is sent, the call is whole here, and goes on here whatever becomes of the successor.  If this process dies before, the
successor goes on with what it has; if only the connection breaks, this one does.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from picows import WSTransport

from hum.settings import MediaSettings
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from media.carried import Leaving
from media.entrance import Entrance
from media.io import handing
from media.legs.twilio import TwilioLeg
from media.server import MediaServer
from media.shell import Shell
from media.takeover import channel as wire
from media.takeover import codec
from media.takeover.channel import Channel, Gone
from media.takeover.luggage import Luggage

LOG = log(__name__)
PACE_SECONDS = 0.002  # between looks at which calls are at rest
IDLE_PACE_SECONDS = 0.01  # while none of them is
LATE_PACE_SECONDS = 0.1  # once this process leaves


@dataclass(slots=True)
class _Way:
    """A call on its way."""

    shell: Shell
    leaving: Leaving
    sockets: list[WSTransport]
    tools: list[pb.RunTool]
    due_ms: float


class Giving:
    """`leave` is called once, when this process is to leave."""

    def __init__(self, server: MediaServer, entrance: Entrance, settings: MediaSettings) -> None:
        self.leave: Callable[[], None] = lambda: None
        self._server, self._entrance, self._settings = server, entrance, settings
        self._on_way: dict[int, _Way] = {}
        self._elsewhere: set[str] = set()  # the calls that have moved
        self._stays: set[Shell] = set()  # what can't be moved
        self._count = 0
        self._patient_until_ms = 0.0  # for calls that can't move yet
        self._left = False

    async def offer(self) -> None:
        """Wait for successors, one after another, until cancelled."""
        loop = asyncio.get_running_loop()
        try:
            waiting = wire.waiting_at(self._settings.takeover_path)
        except OSError as error:
            LOG.warning(
                "no successor can take live calls over", path=str(self._settings.takeover_path), error=str(error)
            )
            return
        with waiting:
            while True:
                connection, _ = await loop.sock_accept(waiting)
                try:
                    channel = Channel(connection)
                except Gone as error:
                    LOG.warning("refused to hand calls over", error=str(error))
                    continue
                try:
                    await self._serve(channel)
                except Gone as error:
                    LOG.warning("a successor is gone", error=str(error), given=len(self._elsewhere))
                finally:
                    channel.close()

    async def _serve(self, channel: Channel) -> None:
        """Raises Gone."""
        try:
            async with asyncio.timeout(self._settings.takeover_answer_ms / 1000):
                hello, _ = await channel.receive()
        except TimeoutError as error:
            raise Gone("it says nothing") from error
        if not isinstance(hello, wire.Hello):
            raise Gone("it did not say who it is")
        channel.send(wire.Listener(self._server.ports.link.node), [self._entrance.descriptor])
        serving, _ = await channel.receive()
        if not isinstance(serving, wire.Serving):
            raise Gone("it does not serve")
        leaves = self._server.leaving  # already, and not for this
        understood = hello.version == codec.VERSION
        LOG.info("a successor serves", calls=len(self._server), moves=understood)
        self._entrance.close()
        self._server.leaving = True
        answers = asyncio.create_task(self._answers(channel), name="takeover answers")
        try:
            await self._give(channel, answers, understood=understood)
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)
            self._all_stay(channel)
            if not (self._left or leaves):
                self._server.leaving = False
                self._entrance.open()

    async def _give(self, channel: Channel, answers: "asyncio.Task[None]", *, understood: bool) -> None:
        """Until the successor is gone.  Raises Gone."""
        server, clock = self._server, self._server.ports.clock
        server.held.forward = lambda command: self._forward(channel, command)
        self._wait_on()
        while True:
            if answers.done():
                answers.result()
            if any(way.due_ms <= clock() for way in self._on_way.values()):
                raise Gone("it does not answer")
            can_move = understood and self._begin_some(channel)
            if not self._left and not self._on_way and (not can_move or clock() >= self._patient_until_ms):
                self._left = True
                channel.send(wire.Over())
                LOG.info("calls were handed over", given=len(self._elsewhere), left=len(server))
                self.leave()
            pace_seconds = PACE_SECONDS if self._on_way else IDLE_PACE_SECONDS
            await asyncio.sleep(LATE_PACE_SECONDS if self._left else pace_seconds)

    def _wait_on(self) -> None:
        self._patient_until_ms = self._server.ports.clock() + self._settings.takeover_seconds * 1000

    def _begin_some(self, channel: Channel) -> bool:
        """Send a few calls on their way; returns whether any is left that may move soon.  Raises Gone."""
        remain = False
        for shell in self._server.streams.open.difference(self._server.held.calls, self._stays):
            if len(self._on_way) >= self._settings.takeover_calls:
                return True
            leaving = shell.leaving()
            if leaving is None or not self._begin(channel, shell, leaving):
                remain = True
        return remain

    def _begin(self, channel: Channel, shell: Shell, leaving: Leaving) -> bool:
        """Send a call on its way if it is at rest; returns whether that is settled.  Raises Gone."""
        leg, model = leaving.leg, leaving.socket
        if not isinstance(leg, TwilioLeg):
            self._stays.add(shell)
            return True
        sockets = [leg.idle] if model is None or model.is_secure else [leg.idle, model.idle]
        resting = [each for each in sockets if each is not None]
        if len(resting) < len(sockets):
            return False
        record, link = leaving.carried.record, self._server.ports.link
        self._server.hold(shell, leaving.carried.talk)
        tools = link.withdraw_tools(record.call_id)
        way = _Way(shell, leaving, resting, tools, self._server.ports.clock() + self._settings.takeover_answer_ms)
        reports = [each.SerializeToString() for each in link.outbox.unacknowledged(record.call_id)]
        redials = model is not None and model.is_secure
        luggage = Luggage(leaving.carried, [each.SerializeToString() for each in tools], reports, redials)
        self._count += 1
        self._on_way[self._count] = way
        descriptors = [handing.hold(each) for each in resting]
        try:
            state = wire.memory(codec.pack(luggage))
        except (codec.NotMovable, OSError) as error:
            LOG.exception("a call can't move", call=record.call_id, error=str(error))
            self._stay(self._count, for_good=True)
            return True
        try:
            has_socket = len(sockets) > 1
            files = [each.descriptor for each in record.files]
            channel.send(wire.Call(self._count, leg.stream_id, has_socket), [state, *descriptors, *files])
        finally:
            wire.close_all([state])
        return True

    async def _answers(self, channel: Channel) -> None:
        """Raises Gone."""
        while True:
            match (await channel.receive())[0]:
                case wire.Runs(number) if number in self._on_way:
                    channel.send(wire.Yours(number))
                    self._let_go(channel, self._on_way.pop(number))
                case wire.Refused(number, reason) if number in self._on_way:
                    LOG.warning("a successor does not take a call", reason=reason)
                    self._stay(number, for_good=True)
                case other:
                    raise Gone(f"it says {type(other).__name__} at the wrong time")

    def _let_go(self, channel: Channel, way: _Way) -> None:
        self._wait_on()
        self._elsewhere.add(way.leaving.carried.record.call_id)
        commands = self._server.held.calls.pop(way.shell)
        way.shell.let_go()
        handing.abandon(way.sockets[0])
        for command in commands:
            self._forward(channel, command)

    def _stay(self, number: int, *, for_good: bool = False) -> None:
        """The call goes on here."""
        way = self._on_way.pop(number)
        if for_good:
            self._stays.add(way.shell)
        for request in way.tools:
            self._server.ports.link.run_tool(request, way.shell.tool_answered)
        self._server.take_back(way.shell, way.leaving.carried.talk)
        for each in way.sockets:
            handing.go_on(each)

    def _all_stay(self, channel: Channel) -> None:
        for number in tuple(self._on_way):
            with suppress(Gone):
                channel.send(wire.Kept(number))
            self._stay(number)

    def _forward(self, channel: Channel, command: pb.CallCommand) -> bool:
        if command.call_id not in self._elsewhere:
            return False
        try:
            channel.send(wire.Command(command.SerializeToString()))
        except Gone:
            return False
        return True
