"""The public socket's connections: uvicorn's, with what it leaves open.

uvicorn waits for ever for a head that was begun, for the rest of a body, and for a client that reads its answer; it
counts connections only to refuse all of them.  Here every wait for a client has a deadline, and `room` decides who goes
when it gets crowded ([decision 19](docs/decisions/0019-the-public-socket.md)).
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

OPEN = Gauge("hum_http_connections", "Connections of the public socket that are open")
CLOSED = Counter("hum_http_connections_closed", "Connections that were closed on their clients, by reason", ["reason"])


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a connection waits for its client.

    `head_seconds`: for a request's head, and for the rest of a body that nobody wants any more.
    `send_seconds`: until a client that reads nothing reads on.  `rest_bytes`: so much of such a rest.
    """

    head_seconds: float
    send_seconds: float
    rest_bytes: int


class Owes(Enum):
    """What a connection waits for."""

    HEAD = "head"
    BODY = "body"  # that somebody reads, who has a deadline of his own
    REST = "rest"  # of a body whose request was answered without it
    NOTHING = "nothing"


class Connection(H11Protocol):
    """One connection.  `room` and `patience` are all connections'; `proxies` speak for many clients each."""

    def __init__(self, room: "Room[Connection]", patience: Patience, proxies: Networks, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._room, self._patience, self._proxies = room, patience, proxies
        self._owes = Owes.NOTHING
        self._rest_bytes = 0
        self._due: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        crowded = self._room.enter(self, None if addresses.is_in(peer, self._proxies) else addresses.counted(peer))
        if crowded is not None:
            crowded.give_up("crowded")
        self._wait_for(Owes.HEAD)
        OPEN.set(len(self._room))

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._room.leave(self)
        self._wait_for(Owes.NOTHING)
        self._stop_waiting_for_reader()
        OPEN.set(len(self._room))

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._owes is Owes.REST:
            self._rest_bytes += len(data)
            if self._rest_bytes > self._patience.rest_bytes:
                self.give_up("rest")
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(self._patience.send_seconds, self.give_up, "unread")

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_waiting_for_reader()

    def give_up(self, reason: str) -> None:
        """Close it at once."""
        CLOSED.labels(reason).inc()
        self.transport.abort()

    def _look(self) -> None:
        """See what the client owes, now that bytes came or an answer went."""
        match self.conn.their_state:
            case h11.IDLE:
                owes = Owes.HEAD
            case h11.SEND_BODY:
                owes = Owes.REST if self.cycle.response_complete else Owes.BODY
            case _:
                owes = Owes.NOTHING
        if owes is not self._owes:
            self._wait_for(owes)

    def _wait_for(self, owes: Owes) -> None:
        self._owes, self._rest_bytes = owes, 0
        if self._due is not None:
            self._due.cancel()
            self._due = None
        if owes is Owes.NOTHING:
            self._room.whole(self)
            return
        self._room.owes(self)
        if owes is not Owes.BODY:
            self._due = self.loop.call_later(self._patience.head_seconds, self.give_up, owes.value)

    def _stop_waiting_for_reader(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None
