"""The bus over core NATS, for several machines; nothing is stored.

    hum.<channel>          a hint for every process
    hum.<channel>.<key>    a message for the listener of that key, such as a command for a media process's link

Our own loop reconnects, to the next server, and not the client library: over TLS that waits for a close from a server
that has vanished.  A server counts as lost when it has not answered for `silent_seconds`.  Messages sent in that time
are lost with it, and all listeners are woken after the reconnect.
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

from control.bus import DROPPED, UP, BusChannel, Listeners, encoded
from control.natsclient import client_of
from hum.observe.logs import log

LOG = log(__name__)
#: The client's errors for a server that is unavailable or refuses us.
AWAY = (OSError, nats.errors.Error, TimeoutError)
PREFIX = "hum"
#: Prefix of the channels that the database hands over to the bus (`storage.db.Hints`): not those of the job queue.
OURS = "hum_"
PENDING_BYTES = 1 << 20
CANCEL_AGAIN_SECONDS = 0.1

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of NATS, and the time limits for their answers."""

    urls: Sequence[str]
    tls: ssl.SSLContext
    retry_seconds: float = 1.0
    ping_seconds: float = 1.0
    silent_seconds: float = 3.0


class NatsBus:
    """A bus over NATS, with one connection and subscriptions for the listeners of this process."""

    def __init__(self, servers: Servers, *, poll_seconds: float = 5.0) -> None:
        self._servers = servers
        self._server_urls = deque(servers.urls)
        self._listeners = Listeners(poll_seconds)
        self._client: Client | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._changed, self._ready = asyncio.Event(), asyncio.Event()
        self._up = UP.labels("nats")
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self, channels: Sequence[BusChannel[Any]]) -> None:
        """Return once messages arrive, or after `silent_seconds`, since calls can be taken without the bus."""
        self.begin(channels)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ready.wait(), self._servers.silent_seconds)

    def begin(self, channels: Sequence[BusChannel[Any]]) -> None:
        self._listeners.declare(channels)
        self._tasks = [
            asyncio.create_task(self._run(), name="bus"),
            asyncio.create_task(self._listeners.wake_periodically(), name="bus poll"),
        ]

    async def stop(self) -> None:
        running = set(self._tasks)
        # Repeatedly, since the client library swallows a cancellation while it connects.
        while running:
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_SECONDS)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._closing:
            await asyncio.wait(self._closing, timeout=self._servers.silent_seconds)

    def subscribe(
        self, channel: BusChannel[T], listener: Callable[[T | None], None], key: str = ""
    ) -> Callable[[], None]:
        remove = self._listeners.add(channel, listener, key)
        self._changed.set()

        def unsubscribe() -> None:
            remove()
            self._changed.set()

        return unsubscribe

    async def publish(self, channel: BusChannel[T], message: T) -> bool:
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
        """Listen until cancelled, and connect again after every error."""
        while True:
            url = self._server_urls[0]
            try:
                await self._serve(url)
            except AWAY as error:
                LOG.warning(
                    "the bus has lost its server, or can't reach it",
                    server=without_credentials(url),
                    error=repr(error)[:200],
                )
            # A bug must not end the bus, without which no listener is woken in time.
            except Exception:
                LOG.exception("the bus failed: this is a bug")
            # Try the next server, and rest after the last.
            self._server_urls.rotate(-1)
            if self._server_urls[0] == self._servers.urls[0]:
                await asyncio.sleep(self._servers.retry_seconds)

    async def _serve(self, url: str) -> None:
        """Connect, and listen until the server is lost.  Raises AWAY."""
        client = client_of(url)
        try:
            await self._connect(client, url)
            self._client = client
            self._up.set(1)
            LOG.info("the bus is connected", server=without_credentials(url))
            subscriptions = asyncio.create_task(self._sync_subscriptions(client), name="bus subscriptions")
            try:
                await self._watch(client, subscriptions)
            finally:
                subscriptions.cancel()
                await asyncio.gather(subscriptions, return_exceptions=True)
        finally:
            self._client = None
            self._up.set(0)
            # In a task, since it may wait for a server that has vanished.
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
                ping_interval=3600,  # `_watch` pings
                pending_size=PENDING_BYTES,
                name="hum",
            )
        _limit_silence(client, settings.silent_seconds)

    async def _watch(self, client: Client, subscriptions: "asyncio.Task[None]") -> None:
        """Ping the server periodically.  Raises AWAY if it is lost, and the error that ended the subscriptions."""
        while True:
            await asyncio.wait([subscriptions], timeout=self._servers.ping_seconds)
            if subscriptions.done():
                subscriptions.result()
            if client.is_closed:
                raise nats.errors.ConnectionClosedError
            async with asyncio.timeout(self._servers.silent_seconds):
                await client.flush(timeout=max(1, round(self._servers.silent_seconds)))

    async def _sync_subscriptions(self, client: Client) -> None:
        """Keep the subscriptions equal to the listened channels, and wake the listeners of new subscriptions."""
        subscribed: dict[tuple[str, str], Any] = {}
        while True:
            self._changed.clear()
            listened = self._listeners.addresses()
            for address in subscribed.keys() - listened:
                await subscribed.pop(address).unsubscribe()
            added = listened - subscribed.keys()
            for address in added:
                subscribed[address] = await client.subscribe(subject(*address), cb=self._receiver(address[0]))
            if added or not self._ready.is_set():
                # Before waking, so that a listener misses nothing after it has read the database.
                await client.flush()
                self._listeners.wake(added)
                self._ready.set()
            await self._changed.wait()

    def _receiver(self, name: str) -> Callable[[Msg], Any]:
        async def receive(message: Msg) -> None:
            try:
                payload = message.data.decode()
            except UnicodeDecodeError:
                payload = "\0"  # no channel can decode that
            self._listeners.receive(name, payload)

        return receive


def tls(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    """Return a context that trusts `ca`, or else this machine's authorities, and presents `certificate` on request."""
    context = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def subject(channel: str, key: str = "") -> str:
    """Return the subject of a channel's messages, for a key if it has keys."""
    address = f"{PREFIX}.{channel.removeprefix(OURS)}"
    return f"{address}.{_token(key)}" if key else address


def _token(key: str) -> str:
    """Encode a text as a token of a subject, without dots, spaces and wildcards."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda match: f"={ord(match[0]):x}=", key)


def without_credentials(url: str) -> str:
    """Return a server's URL without user and password."""
    scheme, _, authority = url.partition("://")
    return f"{scheme}://{authority.rpartition('@')[2]}"


async def _ignore(_: Exception) -> None:
    """Ignore an error in the client's callback: it is raised where the connection is used."""


async def _close(client: Client) -> None:
    with suppress(*AWAY):
        await client.close()


def _limit_silence(client: Client, seconds: float) -> None:
    """Have the operating system give up a connection when its peer acknowledges nothing for so long."""
    # The library gives no access to its socket.
    connected: socket.socket = client._transport._bare_io_writer.get_extra_info("socket")  # type: ignore[union-attr]  # noqa: SLF001
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(seconds * 1000))
