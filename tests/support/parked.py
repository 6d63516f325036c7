"""Sessions of PostgreSQL that outlive the test that opened them.

A new session costs the server 3 ms for its process and as much again for its first look at the catalog, and most tests need
three.  So asyncpg's connections to the tests' own databases are not ended: the socket is kept, the session is reset as a
pooler would do it, and the next connection with the same login and settings is told what the server once said to the first.

The next connection also gets the statements that asyncpg prepared for the first: to parse and plan them anew is most of what a
test's first queries cost.
"""

import asyncio
import os
import socket
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from asyncpg import connect_utils, protocol

TERMINATE = b"X\x00\x00\x00\x04"
#: Without DISCARD PLANS: what functions have planned is no test's own.
RESET = (
    "CLOSE ALL; RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; UNLISTEN *;"
    " SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES"
)
#: For a connection that keeps no statements.
FORGET = "; DEALLOCATE ALL"
READY = b"Z\x00\x00\x00\x05"
IDLE = READY + b"I"
NOTICES = (b"A", b"N")
#: Of each login to each database; what one test opens beyond is closed.
MOST = 12
#: How long a session may take to become as new.
RESET_SECONDS = 10.0
AUTHENTICATION_OK = b"R\x00\x00\x00\x08\x00\x00\x00\x00"
BACKEND_KEY_DATA = b"K\x00\x00\x00\x0c"


@dataclass(frozen=True, slots=True)
class Session:
    """A session that nobody uses: `greeting` is what the server said when it began, `statements` are asyncpg's, by key."""

    socket: socket.socket
    greeting: bytes
    pid: int
    statements: Mapping[Hashable, Any]

    def is_reset(self) -> bool:
        """Whether it is as new; else it has ended."""
        said = b""
        self.socket.settimeout(RESET_SECONDS)
        try:
            while not said.endswith(IDLE):
                if not (more := self.socket.recv(1 << 16)):
                    return False
                said += more
            self.socket.setblocking(False)
            self.socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False  # it was ended meanwhile, and may have said why


class Parked:
    """The sessions that are kept, by address, login and settings."""

    def __init__(self) -> None:
        #: Unix sockets by the port of the same server: a round trip is a third less work than through TCP.
        self.local: dict[int, str] = {}
        self._kept = defaultdict[Hashable, list[Session]](list)

    def keep(self, key: Hashable, session: Session) -> None:
        kept = self._kept[key]
        if len(kept) >= MOST:
            kept.pop(0).socket.close()
        kept.append(session)

    def take(self, key: Hashable) -> Session | None:
        kept = self._kept[key]
        while kept:
            session = kept.pop()
            if session.is_reset():
                return session
            session.socket.close()
        return None

    def pids(self) -> list[int]:
        """The server's processes of those that are kept."""
        return [session.pid for kept in self._kept.values() for session in kept]

    def forget(self, database: str) -> None:
        """End those of this database."""
        for key in [key for key in self._kept if database in key]:  # type: ignore[operator]
            for session in self._kept.pop(key):
                session.socket.close()

    def close(self) -> None:
        for kept in self._kept.values():
            for session in kept:
                session.socket.close()
        self._kept.clear()


class _Transport(asyncio.Transport):
    """What asyncpg writes to: it keeps back the first message of a session that has begun already, and each session's last."""

    def __init__(self, wire: "_Wire", inner: asyncio.Transport) -> None:
        super().__init__()
        self._wire, self._inner = wire, inner

    def write(self, data: Any) -> None:
        if not self._wire.keeps_back(data):
            self._inner.write(data)

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def abort(self) -> None:
        self._inner.abort()

    def close(self) -> None:
        self._inner.close()

    def is_closing(self) -> bool:
        return self._inner.is_closing()

    def pause_reading(self) -> None:
        self._inner.pause_reading()

    def resume_reading(self) -> None:
        self._inner.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._inner.get_extra_info(name, default)


class _Wire(asyncio.Protocol):
    """Between the socket and asyncpg's protocol: `session` is the one that goes on, or None."""

    def __init__(self, inner: Any, session: Session | None, keep: Callable[[Session], None]) -> None:
        self._inner, self._keep = inner, keep
        self._greeting = session.greeting if session else b""
        self._statements = session.statements if session else {}
        self._is_told, self._is_idle, self._is_parked = session is None, False, False

    def serve(self, connection: Any) -> None:
        """Begin to be this connection's."""
        self._connection = connection
        for key, statement in self._statements.items():
            connection._stmt_cache.put(key, statement)

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.outer = _Transport(self, transport)
        self._inner.connection_made(self.outer)

    def data_received(self, data: bytes) -> None:
        if not self._greeting.endswith(IDLE):
            self._greeting += data
        if not (self._is_idle and data.startswith(NOTICES)):
            self._is_idle = data.endswith(IDLE)
        self._inner.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def keeps_back(self, data: Any) -> bool:
        """Whether what asyncpg writes doesn't reach the server."""
        if self._is_parked:
            return True
        if not self._is_told:  # this is its StartupMessage
            self._is_told = self._is_idle = True
            asyncio.get_running_loop().call_soon(self._inner.data_received, self._greeting)
            return True
        if self._is_idle and bytes(data) == TERMINATE:
            self._park()
            return True
        self._is_idle = False
        return False

    def _park(self) -> None:
        self._is_parked = True
        greeting = self._greeting[self._greeting.index(AUTHENTICATION_OK) :]
        at = greeting.index(BACKEND_KEY_DATA) + len(BACKEND_KEY_DATA)
        pid = int.from_bytes(greeting[at : at + 4])
        kept = socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno()))
        self._transport.abort()
        statements = _taken_from(self._connection._stmt_cache)
        query = (RESET if statements else RESET + FORGET).encode() + b"\x00"
        with suppress(OSError):
            kept.send(b"Q" + (len(query) + 4).to_bytes(4) + query)
        self._keep(Session(kept, greeting, pid, statements))


def _taken_from(cache: Any) -> dict[Hashable, Any]:
    """Return the statements of a connection that closes, which would mark them as closed."""
    entries = cache._entries.copy()
    cache._entries.clear()
    for entry in entries.values():
        cache._clear_entry_callback(entry)
    return {key: entry._statement for key, entry in entries.items() if not entry._statement.closed}


async def _go_on(loop: asyncio.AbstractEventLoop, wire: Callable[[], _Wire], kept: socket.socket) -> tuple[Any, _Wire]:
    if kept.family == socket.AF_UNIX:
        return await loop.create_unix_connection(wire, sock=kept)
    return await loop.create_connection(wire, sock=kept)


def park(parked: Parked, is_kept: Callable[[str], bool]) -> None:
    """From now on keep asyncpg's sessions with databases of these names."""
    connects = vars(connect_utils)["__connect_addr"]

    async def connect(params: Any, retry: bool, addr: Any, loop: Any, config: Any, *rest: Any) -> Any:
        if isinstance(addr, str) or params.ssl or not is_kept(params.database or ""):
            return await connects(params, retry, addr, loop, config, *rest)
        connection_class, record_class, params_input = rest
        key = (
            addr,
            params.database,
            params.user,
            params.password,
            config.statement_cache_size,
            tuple(sorted((params.server_settings or {}).items())),
        )
        session = parked.take(key)
        connected = loop.create_future()

        def wire() -> _Wire:
            inner = protocol.Protocol(addr, connected, params, record_class, loop)
            return _Wire(inner, session, lambda session: parked.keep(key, session))

        if session is not None:
            transport, made = await _go_on(loop, wire, session.socket)
        elif (path := parked.local.get(addr[1])) is not None:
            transport, made = await loop.create_unix_connection(wire, path)
        else:
            transport, made = await loop.create_connection(wire, *addr)
        try:
            await connected
        except BaseException:
            transport.abort()
            raise
        connection = connection_class(made._inner, made.outer, loop, addr, config, params_input)
        made._inner.set_connection(connection)
        made.serve(connection)
        return connection

    setattr(connect_utils, "__connect_addr", connect)
