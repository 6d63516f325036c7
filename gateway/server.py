"""The public socket: uvicorn's server, which drains when it is told, and its connections, with deadlines and a limit.

All that the gateway overrides and reads of uvicorn and h11 without their promise is here; `tests/gateway/test_server.py`
names each of these members.

uvicorn waits without limit for the rest of a head or a body and for a client to read its response, and at its limit on
connections refuses every new one.  Here every wait for a client has a deadline, and `ConnectionLimit` selects the
connection to close at the limit (docs/decisions/0019-the-public-socket.md).

A connection is in one `ConnectionPhase`: it waits for a head, for a body, for the rest of a body after the response, or
for nothing from its client.  Arriving bytes and sent responses change the phase.  Except for `BODY`, a phase that waits
has a timer of `head_seconds`.  A second timer of `send_seconds` runs while the client has bytes to read.  Example: a
client asks for a large file and stops reading.  `pause_writing` adds the connection to `SlowReaders` and starts the
send timer; when that fires with less than `PACE_BYTES` read meanwhile, the connection is aborted with the reason
`unread`.  Until the client has read the response, its next request stays unparsed, so one connection holds one response;
`MAX_UNREAD_BYTES` limits what all of them hold.  A connection whose requests are refused, or come before the answer to
the last, begins one a second in the end: so the carrier's webhooks wait for few of them.
"""

import asyncio
import itertools
import socket
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

import h11
import uvicorn
from prometheus_client import Counter, Gauge
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway import addresses, credentials
from gateway.addresses import Networks
from gateway.connectionlimit import ConnectionLimit
from hum.network import limit_key

OPEN = Gauge("hum_http_connections", "Open connections of the public socket")
CLOSED = Counter("hum_http_connections_closed", "Connections that the gateway closed, by reason", ["reason"])


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """How long a connection waits for its client, and how much it reads in vain.

    `head_seconds`: for a request's head, and for the rest of a body after its response, once the client has read what
    it was sent before.  `send_seconds`: for the client to read `PACE_BYTES` of a response.  `rest_bytes`: how much of a
    body is read and dropped after its response.
    """

    head_seconds: float
    send_seconds: float
    rest_bytes: int


MAX_HEAD_BYTES = 64 << 10
#: What a client must read within `send_seconds`, unless less is left: what is sent between two parts of a long
#: response.
PACE_BYTES = 48 << 10
#: What the kernel takes of a response ahead of the network.  It would take megabytes, of which no limit here knows.  It
#: takes more once half is sent: in steps of `PACE_BYTES`, so that the pace can be measured.
KERNEL_BYTES = 2 * PACE_BYTES
#: What responses to clients that have stopped reading may occupy together.
MAX_UNREAD_BYTES = 256 << 20
#: Chunks, or packets, of a body beyond which they must average `MIN_CHUNK_BYTES`: parsing one costs as much as 1 KiB.
FREE_CHUNKS, MIN_CHUNK_BYTES = 1_000, 256
#: Answers to whoever is not known or not allowed, and the headers with which one says who one is.
STRANGERS = frozenset({401, 403})
CREDENTIAL_HEADERS = frozenset({b"authorization", b"cookie"})
#: Requests in a row, refused or sent before the answer to the last, after which a connection rests before each further one: twice
#: as long each time, up to the longest.  No client sends so many; each costs what an answer to the carrier costs.
FREE_REQUESTS, REST_SECONDS, MAX_REST_SECONDS = 10, 0.05, 1.0
POLL_SECONDS = 0.02
#: uvicorn's own: it renews the Date header on its ticks.
TICK_SECONDS = 0.1


class _ChunksTooSmall(Exception):  # noqa: N818 - it says what came
    """A body arrives in chunks so small that parsing them costs more than the body."""


class _HttpParser(h11.Connection):
    """h11's connection, which begins no request while its client has a response to read or rests, and counts chunks of bodies."""

    def __init__(self, max_head_bytes: int) -> None:
        super().__init__(h11.SERVER, max_head_bytes)
        self.is_unread = self.is_resting = False
        self._status_code = self._hasty_requests = 0
        self._has_credential = False
        self._chunks = self._chunk_bytes = 0

    @property
    def must_defer(self) -> bool:
        return self.is_unread or self.is_resting

    def next_event(self) -> Any:
        """Return h11's next event.  Raises _ChunksTooSmall, RemoteProtocolError."""
        # Here and not before `handle_events`: uvicorn's loop goes on to the next request after a body that its response preceded.
        if self.their_state is h11.IDLE and self.must_defer:
            return h11.NEED_DATA
        try:
            event = super().next_event()
        except h11.RemoteProtocolError as error:
            # The frames in which h11 raised it hold the error: it would hold this connection until the collector runs.
            raise error.with_traceback(None) from None
        if isinstance(event, h11.Data):
            self._chunks += 1
            self._chunk_bytes += len(event.data)
            if self._chunks > FREE_CHUNKS + self._chunk_bytes / MIN_CHUNK_BYTES:
                raise _ChunksTooSmall
        elif isinstance(event, h11.Request):
            self._chunks = self._chunk_bytes = 0
            self._has_credential = any(name in CREDENTIAL_HEADERS for name, _ in event.headers)
        return event

    def send(self, event: Any) -> Any:
        if isinstance(event, h11.Response):
            self._status_code = event.status_code
        return super().send(event)

    def rest_seconds(self) -> float:
        """Return for how long to rest after a response: 0, unless the last requests were refused or came before an answer.

        A customer's program may look up many things that are not there; a stranger may not.
        """
        is_stranger = self._status_code in STRANGERS or not self._has_credential
        is_hasty = (is_stranger and 400 <= self._status_code < 500) or bool(self.trailing_data[0])
        self._hasty_requests = self._hasty_requests + 1 if is_hasty else 0
        further = min(self._hasty_requests - FREE_REQUESTS, 10)
        return min(REST_SECONDS * 2.0 ** (further - 1), MAX_REST_SECONDS) if further > 0 else 0.0


class ConnectionPhase(Enum):
    """What a connection waits for."""

    HEAD = "head"
    BODY = "body"  # `gateway/bodies.py` has the deadline
    REST = "rest"  # of a body, after the response
    NOTHING = "nothing"


class SlowReaders:
    """The connections with clients that have stopped reading a response, in the order in which they stopped.

    Their responses may occupy up to `max_bytes` together.  Beyond that, the address whose responses occupy most loses the
    connection that has been unread for longest, so one address takes nothing from others.
    """

    def __init__(self, max_bytes: int = MAX_UNREAD_BYTES) -> None:
        self._max_bytes, self._unread_bytes = max_bytes, 0
        self._bytes_of: dict[HttpConnection, int] = {}

    def add(self, connection: "HttpConnection", unread_bytes: int) -> None:
        """Add a connection, which occupies `unread_bytes` until it is removed; abort others, or this one, for space.

        What the client reads meanwhile frees nothing: the loop keeps a part of a response until all of it is sent.
        """
        self._bytes_of[connection] = unread_bytes
        self._unread_bytes += unread_bytes
        while self._unread_bytes > self._max_bytes:
            self._largest().abort("unread")

    def remove(self, connection: "HttpConnection") -> None:
        self._unread_bytes -= self._bytes_of.pop(connection, 0)

    def __contains__(self, connection: "HttpConnection") -> bool:
        return connection in self._bytes_of

    def __len__(self) -> int:
        return len(self._bytes_of)

    def evict_one(self) -> bool:
        """Close the connection that has been unread for longest; return False if there is none."""
        connection = next(iter(self._bytes_of), None)
        if connection is not None:
            connection.abort("unread")
        return connection is not None

    def _largest(self) -> "HttpConnection":
        """Return the connection that has been unread for longest of the address whose responses occupy most."""
        occupied = defaultdict[str, int](int)
        for connection, unread_bytes in self._bytes_of.items():
            occupied[connection.client_address] += unread_bytes
        address = max(occupied, key=occupied.__getitem__)
        return next(connection for connection in self._bytes_of if connection.client_address == address)


class HttpConnection(H11Protocol):
    """One connection.

    All connections share `limit` and `slow_readers`; those of `proxies` have no limit per address.
    """

    conn: _HttpParser

    def __init__(
        self,
        limit: "ConnectionLimit[HttpConnection]",
        slow_readers: SlowReaders,
        client_limits: ClientLimits,
        proxies: Networks,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.conn = _HttpParser(MAX_HEAD_BYTES)
        self._limit, self._slow_readers = limit, slow_readers
        self._client_limits, self._proxies = client_limits, proxies
        self._phase = ConnectionPhase.NOTHING
        self._rest_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._unsent_bytes = 0

    @property
    def client_address(self) -> str:
        """The address that the last request came from, which trusted proxies report, in the form of `limit_key`."""
        scope: Any = self.scope
        address: str = scope.get(credentials.ADDRESS, "")
        return address

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        evicted = self._limit.add(self, None if addresses.is_in(peer, self._proxies) else limit_key(peer))
        if evicted is not None:
            evicted.abort("crowded")
        self._set_phase(ConnectionPhase.HEAD)
        OPEN.set(len(self._limit))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._limit.remove(self)
        self._set_phase(ConnectionPhase.NOTHING)
        self._cancel_send_timer()
        OPEN.set(len(self._limit))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._phase is ConnectionPhase.REST:
            self._rest_bytes += len(data)
            if self._rest_bytes > self._client_limits.rest_bytes:
                self.abort("rest")
        self._update_phase()

    def handle_events(self) -> None:
        try:
            super().handle_events()
        except _ChunksTooSmall:
            self.abort("crumbs")
            return
        if self.conn.must_defer and self.conn.their_state is h11.IDLE:
            self._defer_request()

    def on_response_complete(self) -> None:
        self._rest_if_hasty()
        super().on_response_complete()
        self._update_phase()

    def _rest_if_hasty(self) -> None:
        """Let the next request wait if those before it were hasty; a proxy's connections carry many clients' requests."""
        peer = self.client[0] if self.client else ""
        if (seconds := self.conn.rest_seconds()) and not addresses.is_in(peer, self._proxies):
            self.conn.is_resting = True
            self.loop.call_later(seconds, self._end_rest)

    def _end_rest(self) -> None:
        self.conn.is_resting = False
        if self._phase is ConnectionPhase.HEAD and not self.conn.must_defer:
            self._handle_deferred_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.conn.is_unread = True
        self._start_send_timer()
        self._slow_readers.add(self, self._unsent_bytes)
        self._limit.mark_waiting(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.conn.is_unread = False
        self._cancel_send_timer()
        if self._phase is ConnectionPhase.NOTHING:
            self._limit.mark_complete(self)
        elif self._timer is not None:
            self._start_timer()
        if self._phase is ConnectionPhase.HEAD and self.flow.read_paused and not self.conn.must_defer:
            # Not at once: the transport is in the midst of a write, and the request may be answered by closing it.
            self.loop.call_soon(self._handle_deferred_request)
        self._watch_last_bytes()

    def abort(self, reason: str) -> None:
        """Close the connection at once."""
        CLOSED.labels(reason).inc()
        self._slow_readers.remove(self)
        self.transport.abort()

    def _defer_request(self) -> None:
        """Leave what arrived of the next request unparsed, and read no more, until the client has read its response."""
        if self.conn.trailing_data[0]:
            self._unset_keepalive_if_required()
            self.flow.pause_reading()

    def _handle_deferred_request(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self.handle_events()
            self._update_phase()

    def _update_phase(self) -> None:
        """Update the phase after bytes arrived or a response was sent."""
        match self.conn.their_state:
            case h11.IDLE:
                phase = ConnectionPhase.HEAD
            case h11.SEND_BODY:
                phase = ConnectionPhase.REST if self.cycle.response_complete else ConnectionPhase.BODY
            case _:
                phase = ConnectionPhase.NOTHING
        if phase is not self._phase:
            self._set_phase(phase)
        # Closing: after the last response, or after uvicorn's 400 for what is not HTTP.
        self._watch_last_bytes()

    def _set_phase(self, phase: ConnectionPhase) -> None:
        if self._phase is ConnectionPhase.HEAD:
            # A request has come.  The send timer, if any, was for a response before it.
            self._cancel_send_timer()
        self._phase, self._rest_bytes = phase, 0
        self._cancel_timer()
        if phase is ConnectionPhase.NOTHING:
            if self not in self._slow_readers:
                self._limit.mark_complete(self)
            return
        self._limit.mark_waiting(self)
        if phase is not ConnectionPhase.BODY:
            self._start_timer()

    def _start_timer(self) -> None:
        self._cancel_timer()
        self._timer = self.loop.call_later(self._client_limits.head_seconds, self._on_timeout)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        """Abort the connection, as its client sent nothing in time, unless the client still has a response to read."""
        if not self.transport.get_write_buffer_size():
            self.abort(self._phase.value)
            return
        self._start_timer()
        if self._send_timer is None:
            self._start_send_timer()

    def _watch_last_bytes(self) -> None:
        """Start the send timer of a connection that closes once all is sent: no other timer bounds it."""
        if self.transport.is_closing() and self._send_timer is None:
            self._start_send_timer()

    def _start_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._send_timer = self.loop.call_later(self._client_limits.send_seconds, self._on_send_timeout)

    def _on_send_timeout(self) -> None:
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes and self._unsent_bytes - unsent_bytes < PACE_BYTES:
            self.abort("unread")
        elif unsent_bytes:
            self._start_send_timer()
        else:
            self._send_timer = None

    def _cancel_send_timer(self) -> None:
        self._slow_readers.remove(self)
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None


def limit_kernel_buffers(listening: socket.socket) -> None:
    """Limit what the kernel takes of a response ahead of the network, on each connection of a listening socket."""
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, KERNEL_BYTES)


class GatewayServer(uvicorn.Server):
    """uvicorn without its own signal handlers: `run` decides when it drains, which begins at once, not at a tick.

    uvicorn closes idle connections as soon as it drains, and loses a request that is on its way over one of them.  This
    server stops accepting, and gives open connections `linger_seconds` for a last request, whose answer closes them.
    """

    def __init__(
        self,
        app: ASGIApp,
        connections: Any,
        *,
        drain_seconds: float,
        linger_seconds: float,
    ) -> None:
        """Serve an application; `connections` makes an `HttpConnection` of uvicorn's options."""
        config = uvicorn.Config(
            app,
            http=connections,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            # gateway/addresses.py reads X-Forwarded-For; uvicorn would trust any proxy on this machine.
            proxy_headers=False,
            timeout_graceful_shutdown=int(drain_seconds),
        )
        super().__init__(config)
        self._stopping = asyncio.Event()
        self._linger_seconds = linger_seconds

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        for tick in itertools.count():
            if await self.on_tick(tick):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_SECONDS)

    def end_now(self) -> None:
        self.force_exit = True
        self.stop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        with suppress(TimeoutError):
            async with asyncio.timeout(self._linger_seconds):
                while self.server_state.connections and not self.force_exit:  # noqa: ASYNC110 - as uvicorn does
                    await asyncio.sleep(POLL_SECONDS)
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
