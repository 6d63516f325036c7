"""The public socket's connections: uvicorn's protocol with deadlines and a limit.

uvicorn waits without limit for the rest of a head or a body and for a client to read its response, and its limit on
connections refuses everybody.  Here every wait for a client has a deadline, and `Room` decides which connection is
closed at the limit (docs/decisions/0019-the-public-socket.md).
"""

import asyncio
from dataclasses import dataclass
from enum import Enum
from typing import Any

import h11
from prometheus_client import Counter, Gauge
from uvicorn.protocols.http.h11_impl import H11Protocol

from gateway import addresses
from gateway.addresses import Networks
from gateway.room import Room
from hum.network import counted

OPEN = Gauge("hum_http_connections", "Open connections of the public socket")
CLOSED = Counter("hum_http_connections_closed", "Connections that the gateway closed, by reason", ["reason"])


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection waits for its client.

    `head_seconds`: for a request's head, and for the rest of a body after its response, once the client has read what it
    was sent before.  `rest_bytes`: how much of such a rest is read and dropped.  `send_seconds`: for a client to read
    `PACE_BYTES` of an answer.
    """

    head_seconds: float
    send_seconds: float
    rest_bytes: int


MOST_HEAD_BYTES = 64 << 10
#: What a client reads within `send_seconds`, or all that is left: as much as goes out between two pieces of a long answer.
PACE_BYTES = 48 << 10
#: A client's chunks, or packets, beyond which they must have `LEAST_CHUNK_BYTES` on average: each costs as much as a kilobyte.
MOST_CHUNKS, LEAST_CHUNK_BYTES = 1_000, 256


class _Crumbs(Exception):  # noqa: N818 - it says what came
    """A body comes in so small pieces that they cost more than it does."""


class _Parser(h11.Connection):
    """h11's, which counts the pieces of a body."""

    def __init__(self, most_head_bytes: int) -> None:
        super().__init__(h11.SERVER, most_head_bytes)
        self._chunks = self._chunk_bytes = 0

    def next_event(self) -> Any:
        """As h11.  Raises _Crumbs."""
        event = super().next_event()
        if isinstance(event, h11.Data):
            self._chunks += 1
            self._chunk_bytes += len(event.data)
            if self._chunks > MOST_CHUNKS + self._chunk_bytes / LEAST_CHUNK_BYTES:
                raise _Crumbs
        elif isinstance(event, h11.Request):
            self._chunks = self._chunk_bytes = 0
        return event


class Phase(Enum):
    """What a connection waits for."""

    HEAD = "head"
    BODY = "body"  # `gateway/bodies.py` has the deadline
    REST = "rest"  # of a body, after its response
    NOTHING = "nothing"


class Unread:
    """The connections whose clients have stopped reading an answer, those that stopped first before the others."""

    def __init__(self) -> None:
        self._connections: dict[Connection, None] = {}

    def add(self, connection: "Connection") -> None:
        self._connections[connection] = None

    def remove(self, connection: "Connection") -> None:
        self._connections.pop(connection, None)

    def __contains__(self, connection: "Connection") -> bool:
        return connection in self._connections

    def __len__(self) -> int:
        return len(self._connections)

    def give_way(self) -> bool:
        """Close the one whose client has not read for longest; False if there is none."""
        connection = next(iter(self._connections), None)
        if connection is not None:
            connection.give_up("unread")
        return connection is not None


class Connection(H11Protocol):
    """One connection.  All connections share `room` and `unread`; those of `proxies` have no limit per address."""

    def __init__(
        self, room: "Room[Connection]", unread: Unread, patience: Patience, proxies: Networks, **uvicorns: Any
    ) -> None:
        super().__init__(**uvicorns)
        self.conn = _Parser(MOST_HEAD_BYTES)
        self._room, self._unread, self._patience, self._proxies = room, unread, patience, proxies
        self._phase = Phase.NOTHING
        self._rest_bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._send_timer: asyncio.TimerHandle | None = None
        self._unsent_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        crowded = self._room.enter(self, None if addresses.is_in(peer, self._proxies) else counted(peer))
        if crowded is not None:
            crowded.give_up("crowded")
        self._wait_for(Phase.HEAD)
        OPEN.set(len(self._room))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._room.leave(self)
        self._wait_for(Phase.NOTHING)
        self._is_read()
        OPEN.set(len(self._room))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._phase is Phase.REST:
            self._rest_bytes += len(data)
            if self._rest_bytes > self._patience.rest_bytes:
                self.give_up("rest")
        self._note_phase()

    def handle_events(self) -> None:
        try:
            super().handle_events()
        except _Crumbs:
            self.give_up("crumbs")

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._note_phase()
        self._await_last_bytes()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reading()
        self._unread.add(self)
        self._room.wait(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._is_read()
        if self._phase is Phase.NOTHING:
            self._room.complete(self)
        elif self._timer is not None:
            self._begin_waiting()
        self._await_last_bytes()

    def give_up(self, reason: str) -> None:
        """Close it at once."""
        CLOSED.labels(reason).inc()
        self._unread.remove(self)
        self.transport.abort()

    def _note_phase(self) -> None:
        """Note what the connection waits for, after bytes arrived or a response was sent."""
        match self.conn.their_state:
            case h11.IDLE:
                phase = Phase.HEAD
            case h11.SEND_BODY:
                phase = Phase.REST if self.cycle.response_complete else Phase.BODY
            case _:
                phase = Phase.NOTHING
        if phase is not self._phase:
            self._wait_for(phase)

    def _wait_for(self, phase: Phase) -> None:
        self._phase, self._rest_bytes = phase, 0
        self._end_waiting()
        if phase is Phase.NOTHING:
            if self not in self._unread:
                self._room.complete(self)
            return
        self._room.wait(self)
        if phase is not Phase.BODY:
            self._begin_waiting()

    def _begin_waiting(self) -> None:
        self._end_waiting()
        self._timer = self.loop.call_later(self._patience.head_seconds, self._is_late)

    def _end_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_late(self) -> None:
        """Nothing came of what the connection waits for: its client is left, unless it still has an answer to read."""
        if not self.transport.get_write_buffer_size():
            self.give_up(self._phase.value)
            return
        self._begin_waiting()
        if self._send_timer is None:
            self._await_reading()

    def _await_last_bytes(self) -> None:
        """A connection that closes when all is sent has nothing else to wait for."""
        if self.transport.is_closing() and self._send_timer is None:
            self._await_reading()

    def _await_reading(self) -> None:
        self._unsent_bytes = self.transport.get_write_buffer_size()
        self._send_timer = self.loop.call_later(self._patience.send_seconds, self._look_whether_it_reads)

    def _look_whether_it_reads(self) -> None:
        unsent_bytes = self.transport.get_write_buffer_size()
        if unsent_bytes and self._unsent_bytes - unsent_bytes < PACE_BYTES:
            self.give_up("unread")
        elif unsent_bytes:
            self._await_reading()
        else:
            self._send_timer = None

    def _is_read(self) -> None:
        self._unread.remove(self)
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None
