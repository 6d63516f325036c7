"""The server for the carrier: who may open a stream, and which calls are open.

Answers `/media/twilio` to signed WebSocket upgrades, and `/healthz`, `/readyz` to plain requests.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from picows import WSListener, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener

from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.admission import Admission
from media.core.conversation import Conversation, due
from media.legs import twilio
from media.shell import Leg, Ports, Shell

LOG = log(__name__)
MAX_EARLY_COMMANDS = 1_000
FLUSH_MS = 100.0  # reports that are not urgent are sent in batches: a batch costs as much as twenty reports


class MediaServer:
    """All calls of this process."""

    def __init__(self, ports: Ports, admission: Admission) -> None:
        self.ports, self.admission = ports, admission
        self.on_calls: Callable[[int], None] = lambda _: None
        self._shells: set[Shell] = set()
        self._waiting: dict[Shell, None] = {}  # those without a `start`, oldest first; not calls yet
        self._talking: dict[Conversation, Shell] = {}
        #: For calls whose session is being opened; the oldest are dropped first, as the likeliest to be obsolete.
        self._early: deque[pb.CallCommand] = deque(maxlen=MAX_EARLY_COMMANDS)
        self._empty = asyncio.Event()
        self._empty.set()
        self._flushed_ms = float("-inf")

    def __len__(self) -> int:
        """How many streams are open."""
        return len(self._shells)

    @property
    def calls(self) -> int:
        """How many streams have started."""
        return len(self._shells) - len(self._waiting)

    # HTTP.

    def upgrade(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        """The answer to a request: a socket for the carrier, or a plain HTTP response."""
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
        """What keeps this process from taking the next call, a sentence each."""
        if not self.ports.link.up:
            return ["The link to control is down."]
        return [f"No more calls are taken: {reason}."] if (reason := self.refuses()) else []

    def _stream(self, request: WSUpgradeRequest) -> WSListener | WSUpgradeResponseWithListener:
        settings = self.ports.settings
        if not twilio.is_signed(request, settings):
            LOG.warning("stream refused: no valid signature; check TWILIO_AUTH_TOKEN and HUM_MEDIA_URL")
            metrics.STREAMS.labels("unsigned").inc()
            return _answer(403, b"the request is not signed by the carrier\n")
        if (reason := self.admission.full(self.calls)) is not None:
            LOG.warning("stream refused", reason=reason, calls=self.calls)
            metrics.STREAMS.labels(reason).inc()
            return _answer(503, b"this process takes no more calls\n")
        return twilio.TwilioLeg(self.opened, settings)

    def refuses(self) -> str | None:
        """Why this process should be sent no more calls; None if it takes more."""
        return self.admission.refuses(self.calls)

    def opened(self, leg: Leg, descriptor: int) -> Shell:
        self.admission.door.upgraded(descriptor)
        shell = Shell(self.ports, leg, self)
        self._shells.add(shell)
        self._empty.clear()
        self._waiting[shell] = None
        if len(self._waiting) > self.admission.door.room.waiting:
            next(iter(self._waiting)).crowd_out()
        return shell

    # Called by shells.

    def started(self, shell: Shell) -> str | None:
        self._waiting.pop(shell, None)
        self._counted()
        return "full" if self.calls > self.admission.door.room.calls else None

    def joined(self, shell: Shell, talk: Conversation) -> None:
        self._talking[talk] = shell
        for command in [each for each in self._early if each.call_id == shell.call_id]:
            self._early.remove(command)
            asyncio.get_running_loop().call_soon(self.command, command)

    def released(self, shell: Shell, talk: Conversation | None) -> None:
        self._shells.discard(shell)
        self._waiting.pop(shell, None)
        if talk is not None:
            self._talking.pop(talk, None)
        self._counted()
        if not self._shells:
            self._early.clear()
            self._empty.set()

    def _counted(self) -> None:
        metrics.CALLS.set(self.calls)
        self.on_calls(self.calls)

    # Time and control.

    def sweep(self, now_ms: float) -> None:
        """One tick of the pacer: tick every call that has something to do, then flush the link."""
        talking = self._talking
        for shell in [talking[talk] for talk in due(talking, now_ms)]:
            shell.tick(now_ms)
        if len(talking) < len(self._shells):
            for shell in self._shells.difference(talking.values()):
                shell.tick(now_ms)
        link = self.ports.link
        if link.outbox.awaited or now_ms >= self._flushed_ms + FLUSH_MS:
            self._flushed_ms = now_ms
            link.flush(now_ms)

    def command(self, command: pb.CallCommand) -> None:
        """A command from control for a call; kept if the call may still be joining."""
        known = [shell for shell in self._shells if shell.call_id == command.call_id]
        for shell in known:
            shell.command(command)
        if not known and any(not shell.call_id for shell in self._shells):
            self._early.append(command)

    async def linger(self, seconds: float, hurry: asyncio.Event) -> None:
        """Nobody listens any more; whoever is connected already may still begin a call."""
        self.admission.leaving = True
        with suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), seconds)

    async def drain(self, seconds: float, close_seconds: float, hurry: asyncio.Event | None = None) -> None:
        """Take no more calls and wait for the open ones.

        After `seconds` they end with a spoken goodbye, and without one as soon as `hurry` is set.
        """
        self.admission.leaving = self.admission.draining = True
        hurry = hurry or asyncio.Event()
        if await self._emptied(seconds, hurry):
            return
        LOG.info("ending the open calls", calls=len(self._shells), at_once=hurry.is_set())
        if not hurry.is_set():
            for shell in tuple(self._shells):
                shell.end("drained", spoken=True)
            if await self._emptied(close_seconds, hurry):
                return
        for shell in tuple(self._shells):
            shell.end("drained")
        await self._emptied(close_seconds, asyncio.Event())

    async def _emptied(self, seconds: float, hurry: asyncio.Event) -> bool:
        """Whether the last call ended within `seconds`, and before `hurry` was set."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._empty, hurry)]
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in waiting:
            each.cancel()
        return self._empty.is_set()


def _answer(status: int, body: bytes) -> WSUpgradeResponseWithListener:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    if status < 400:
        response = WSUpgradeResponse.create_ok_response(body, headers)
    else:
        response = WSUpgradeResponse.create_error_response(status, body, headers)
    return WSUpgradeResponseWithListener(response, None)
