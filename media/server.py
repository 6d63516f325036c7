"""The media server: admission of the carrier's streams, and the calls of this process.

It answers signed WebSocket upgrades on `/media/twilio`, and plain requests for `/healthz` and `/readyz`.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from hum.observe.logs import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.core.talk import Talk, due
from media.earlycommands import EarlyCommands
from media.handovercalls import HandoverCalls
from media.leg import Leg
from media.legs import twilio
from media.listeningsocket import ListeningSocket, NoListeningSocket
from media.ports import Ports
from media.shell import Shell
from media.streams import Streams
from media.ticker import LoopLoad

LOG = log(__name__)
#: Reports that no call waits for are sent in batches: a batch costs as much as twenty reports.
FLUSH_MS = 100.0


class MediaServer:
    """All calls of this process."""

    def __init__(
        self, ports: Ports, load: Callable[[], LoopLoad], listening_socket: ListeningSocket | NoListeningSocket
    ) -> None:
        self.ports, self._load, self.listening_socket = ports, load, listening_socket
        self.leaving = self.draining = False
        self.streams = Streams()
        self.handover = HandoverCalls(ports.link.answer)
        self._talking: dict[Talk, Shell] = {}
        self._early_commands = EarlyCommands(ports.link.answer)
        self._flushed_ms = float("-inf")

    def __len__(self) -> int:
        """Return the number of open streams."""
        return len(self.streams.open)

    # HTTP.

    def upgrade(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        """Answer a request: with a listener for the carrier's WebSocket, or with a plain HTTP response."""
        match request.path.decode(errors="replace"):
            case twilio.PATH:
                return self._stream(request)
            case "/healthz":
                return _answer(200, b"ok\n")
            case "/readyz":
                return _answer(503, b"not ready\n") if self.missing() else _answer(200, b"ready\n")
            case _:
                return _answer(404, b"not found\n")

    def missing(self) -> list[str]:
        """Return the reasons why this process can't take the next call, as sentences; empty if it is ready."""
        if not self.ports.link.up:
            return ["the link to control is down"]
        return [f"no more calls are taken: {reason}"] if (reason := self.refuses()) else []

    def _stream(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        settings = self.ports.settings
        if not twilio.is_signed(request, settings):
            LOG.warning("stream refused: no valid signature; check TWILIO_AUTH_TOKEN and HUM_MEDIA_URL")
            metrics.STREAMS.labels("unsigned").inc()
            return _answer(403, b"the request is not signed by the carrier\n")
        if (reason := self._refusal()) is not None:
            LOG.warning("stream refused", reason=reason, calls=self.streams.calls)
            metrics.STREAMS.labels(reason).inc()
            return _answer(503, b"this process takes no more calls\n")
        return twilio.TwilioLeg(self.opened, settings)

    def refuses(self) -> str | None:
        """Return why control should offer this process no more calls, or None if it admits more."""
        return "draining" if self.leaving else self._refusal()

    def _refusal(self) -> str | None:
        if self.draining:
            return "draining"
        if self.streams.calls >= self.listening_socket.capacity.calls:
            return "full"
        if not self.ports.link.outbox.storing:
            return "disk"
        return "lagging" if self._is_overloaded() else None

    def _is_overloaded(self) -> bool:
        """Return whether the event loop is late because of this process's own load."""
        settings, load = self.ports.settings, self._load()
        loaded = max(load.used, self.streams.calls / self.listening_socket.capacity.calls) >= settings.loaded_share
        return loaded and (load.worst_ms > settings.max_lag_ms or load.usual_ms > settings.max_late_ms)

    def opened(self, leg: Leg, descriptor: int) -> Shell:
        """Admit a carrier's connection after its upgrade."""
        self.listening_socket.upgraded(descriptor)
        return self.admit(leg)

    def admit(self, leg: Leg) -> Shell:
        """Create the shell of a connected leg; its `start` will name the call."""
        shell = Shell(self.ports, leg, self)
        self.streams.add(shell, self.listening_socket.capacity.pending)
        return shell

    # Called by shells.

    def started(self, shell: Shell) -> str | None:
        """See `CallRegistry`."""
        self.streams.start(shell)
        return "full" if self.streams.calls > self.listening_socket.capacity.calls else None

    def joined(self, shell: Shell, talk: Talk) -> None:
        """See `CallRegistry`; deliver the commands that came while the session was being opened."""
        self._talking[talk] = shell
        for command in self._early_commands.joined(shell):
            asyncio.get_running_loop().call_soon(self.command, command)

    def released(self, shell: Shell, talk: Talk | None) -> None:
        """See `CallRegistry`; answer the commands that no call will receive any more."""
        self.streams.remove(shell)
        self._early_commands.released(shell)
        if talk is not None:
            self._talking.pop(talk, None)

    # From one process to another (media/handover/).

    def begin_move(self, shell: Shell, talk: Talk) -> None:
        """Suspend a call that is offered to the successor: no ticks, and its commands are queued."""
        self._talking.pop(talk, None)
        self.handover.calls[shell] = []

    def cancel_move(self, shell: Shell, talk: Talk) -> None:
        """Resume a call that does not move, and deliver the commands that were queued for it."""
        self._talking[talk] = shell
        for command in self.handover.calls.pop(shell):
            shell.command(command)

    def resume(self, shell: Shell, talk: Talk) -> None:
        """Register a call that another process has handed over."""
        self.streams.add(shell, self.listening_socket.capacity.pending)
        self.streams.start(shell)
        self._talking[talk] = shell

    # Time and control.

    def sweep(self, now_ms: float) -> None:
        """Tick every call that is due, then flush the link to control: called on each tick of the ticker."""
        talking = self._talking
        for shell in [talking[talk] for talk in due(talking, now_ms)]:
            shell.tick(now_ms)
        if len(talking) < len(self):
            for shell in self.streams.open.difference(talking.values(), self.handover.calls):
                shell.tick(now_ms)
        link = self.ports.link
        if link.outbox.awaited or now_ms >= self._flushed_ms + FLUSH_MS:
            self._flushed_ms = now_ms
            link.flush(now_ms)

    def command(self, command: pb.CallCommand) -> None:
        """Deliver a command from control to its call; queue it if the call may still be joining."""
        shells = [shell for shell in self.streams.open if shell.call_id == command.call_id]
        for shell in shells:
            if not self.handover.queue(shell, command):
                shell.command(command)
        if shells or self.handover.forward(command):
            return
        self._early_commands.add(command, {shell for shell in self.streams.open if not shell.call_id})

    async def linger(self, seconds: float, hurry: asyncio.Event) -> None:
        """Report "draining" to control, but still admit calls on connected sockets for `seconds`, or until `hurry` is set."""
        self.leaving = True
        with suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), seconds)

    async def drain(self, seconds: float, close_seconds: float, hurry: asyncio.Event | None = None) -> None:
        """Admit no more calls and wait for the open ones to end.

        After `seconds`, end them with a spoken goodbye; once `hurry` is set, end them without one.
        """
        self.leaving = self.draining = True
        hurry = hurry or asyncio.Event()
        if await self.streams.wait_until_empty(seconds, hurry):
            return
        LOG.info("ending the open calls", calls=len(self), at_once=hurry.is_set())
        if not hurry.is_set():
            for shell in self.streams.open.difference(self.handover.calls):
                shell.end("drained", spoken=True)
            if await self.streams.wait_until_empty(close_seconds, hurry):
                return
        for shell in self.streams.open.difference(self.handover.calls):
            shell.end("drained")
        await self.streams.wait_until_empty(close_seconds, asyncio.Event())


def _answer(status: int, body: bytes) -> WSUpgradeResponseWithListener:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    if status < 400:
        response = WSUpgradeResponse.create_ok_response(body, headers)
    else:
        response = WSUpgradeResponse.create_error_response(status, body, headers)
    return WSUpgradeResponseWithListener(response, None)
