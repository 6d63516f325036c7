"""The bus over NATS, for several machines: core NATS, nothing stored.

    hum.<channel>          a hint for every process
    hum.<channel>.<key>    a message for whoever listens for that key, as a command for a media process's link

A connection is made anew by our own loop, to the next of the servers, and not by the client library: over TLS that waits for a
goodbye from a server that has vanished.  A server is lost when it owes an answer for `silent_seconds`; what was sent meanwhile
is lost with it, and all listeners are told to look.
"""

import asyncio
import re
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from control.bus import DROPPED, UP, Channel, Listeners, encoded
from hum.telemetry import log

LOG = log(__name__)
#: What the client raises for a server that is away, or that refuses us.
AWAY = (OSError, nats.errors.Error, TimeoutError)
PREFIX = "hum"
#: Channels whose hints the database hands over (`storage.db.Hints`): all of ours, and not the job queue's own.
OURS = "hum_"
PENDING_BYTES = 1 << 20
CANCEL_AGAIN_SECONDS = 0.1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Servers:
    """Where NATS is, and how long a server that says nothing is waited for."""

    urls: Sequence[str]
    tls: ssl.SSLContext
    retry_seconds: float = 1.0
    ping_seconds: float = 1.0
    silent_seconds: float = 3.0


class Encrypted(Client):
    """Says nothing, least of all a password, to a server that does not speak TLS, or to whoever says so in its place."""

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and info.get("tls_required") is not True:
            raise nats.errors.Error("the server offers no TLS")
        await super()._process_info(info, initial_connection)


class NatsBus:
    """Listens on one connection, to whatever somebody here listens to."""

    def __init__(self, servers: Servers, *, look_seconds: float = 5.0) -> None:
        self._servers = servers
        self._waiting = deque(servers.urls)
        self._listeners = Listeners(look_seconds)
        self._client: Client | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._changed, self._ready = asyncio.Event(), asyncio.Event()
        self._up = UP.labels("nats")
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self, channels: Sequence[Channel[Any]]) -> None:
        """Return once messages arrive, or after `silent_seconds`: calls are taken without the bus, too."""
        self.begin(channels)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), self._servers.silent_seconds)

    def begin(self, channels: Sequence[Channel[Any]]) -> None:
        self._listeners.declare(channels)
        self._tasks = [
            asyncio.create_task(self._run(), name="bus"),
            asyncio.create_task(self._listeners.look_besides(), name="bus look"),
        ]

    async def stop(self) -> None:
        running = set(self._tasks)
        while running:  # the client library swallows a cancellation that comes while it connects
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._closing:
            await asyncio.wait(self._closing, timeout=self._servers.silent_seconds)

    def subscribe(self, channel: Channel[T], listener: Callable[[T | None], None], key: str = "") -> Callable[[], None]:
        leave = self._listeners.add(channel, listener, key)
        self._changed.set()

        def unsubscribe() -> None:
            leave()
            self._changed.set()

        return unsubscribe

    async def publish(self, channel: Channel[T], message: T) -> bool:
        if (payload := encoded(channel, message)) is None:
            return False
        await self._send(channel.name, channel.key(message) if channel.key else "", payload)
        return True

    def takes(self, channel: str) -> bool:
        return channel.startswith(OURS)

    async def send(self, channel: str, payload: str) -> None:
        await self._send(channel, "", payload)

    async def _send(self, channel: str, key: str, payload: str) -> None:
        try:
            if self._client is None:
                raise nats.errors.ConnectionClosedError
            async with asyncio.timeout(self._servers.silent_seconds):
                await self._client.publish(subject(channel, key), payload.encode())
        except AWAY:
            DROPPED.labels(channel, "away").inc()

    # The connection.

    async def _run(self) -> None:
        """Listen until cancelled, whatever is raised."""
        while True:
            url = self._waiting[0]
            try:
                await self._serve(url)
            except AWAY as error:
                LOG.warning(
                    "the bus has lost its server, or can't reach it", server=shown(url), error=repr(error)[:200]
                )
            except Exception:  # the boundary of one connection: without the bus, nobody is woken
                LOG.exception("the bus failed: this is a bug")
            self._waiting.rotate(-1)  # another server may be there
            if self._waiting[0] == self._servers.urls[0]:
                await asyncio.sleep(self._servers.retry_seconds)

    async def _serve(self, url: str) -> None:
        """Connect, and listen until the server is lost.  Raises what AWAY lists."""
        client = Encrypted() if url.startswith("tls:") else Client()
        try:
            await self._connect(client, url)
            self._client = client
            self._up.set(1)
            LOG.info("the bus is connected", server=shown(url))
            kept = asyncio.create_task(self._keep_subscribed(client), name="bus subscriptions")
            try:
                await self._watch(client, kept)
            finally:
                kept.cancel()
                await asyncio.gather(kept, return_exceptions=True)
        finally:
            self._client = None
            self._up.set(0)
            # It may wait for a server that has vanished.
            closing = asyncio.create_task(_close(client), name="bus close")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def _connect(self, client: Client, url: str) -> None:
        settings = self._servers
        async with asyncio.timeout(settings.silent_seconds):
            await client.connect(
                [url],
                allow_reconnect=False,
                error_cb=_ignore,
                tls=settings.tls,
                ping_interval=3600,  # ours says when it is lost
                pending_size=PENDING_BYTES,
                name="hum",
            )
        _limit_silence(client, settings.silent_seconds)

    async def _watch(self, client: Client, kept: "asyncio.Task[None]") -> None:
        """Ask the server again and again whether it is there.  Raises what AWAY lists, and what ended the subscriptions."""
        while True:
            await asyncio.wait([kept], timeout=self._servers.ping_seconds)
            if kept.done():
                kept.result()
            if client.is_closed:
                raise nats.errors.ConnectionClosedError
            async with asyncio.timeout(self._servers.silent_seconds):
                await client.flush(timeout=max(1, round(self._servers.silent_seconds)))

    async def _keep_subscribed(self, client: Client) -> None:
        """Subscribe to what is listened to, as that changes; a new connection's listeners may have missed something."""
        subscribed: dict[tuple[str, str], Any] = {}
        while True:
            self._changed.clear()
            wanted = self._listeners.places()
            for place in subscribed.keys() - wanted:
                await subscribed.pop(place).unsubscribe()
            fresh = wanted - subscribed.keys()
            for place in fresh:
                subscribed[place] = await client.subscribe(subject(*place), cb=self._received(place[0]))
            if fresh or not self._ready.is_set():
                await client.flush()  # whoever is told to look now, and then waits, misses nothing
                self._listeners.wake(fresh)
                self._ready.set()
            await self._changed.wait()

    def _received(self, name: str) -> Callable[[Msg], Any]:
        async def receive(message: Msg) -> None:
            try:
                payload = message.data.decode()
            except UnicodeDecodeError:
                payload = "\0"  # no channel can read that
            self._listeners.receive(name, payload)

        return receive


def tls(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Trusts `ca`, or whom this machine trusts; shows `certificate` to a server that asks for one."""
    context = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def subject(channel: str, key: str = "") -> str:
    """Where a channel's messages go, those for one key if it has keys."""
    place = f"{PREFIX}.{channel.removeprefix(OURS)}"
    return f"{place}.{_token(key)}" if key else place


def _token(key: str) -> str:
    """Any text as one token of a subject: no dot, space or wildcard."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda found: f"={ord(found[0]):x}=", key)


def shown(url: str) -> str:
    """A server's URL without user and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


async def _ignore(_: Exception) -> None:
    """What is wrong with a connection is raised where it is used."""


async def _close(client: Client) -> None:
    with suppress(*AWAY):
        await client.close()


def _limit_silence(client: Client, seconds: float) -> None:
    """Let the system give up a connection whose peer acknowledges nothing; the library gives no access to its socket."""
    connected: socket.socket = client._transport._bare_io_writer.get_extra_info("socket")  # type: ignore[union-attr]  # noqa: SLF001
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
