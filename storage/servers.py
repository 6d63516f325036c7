"""Connections to a server that may go away, and come back elsewhere.

A URL may name several hosts; the primary is at one of them.  Each host is tried by an attempt of its own, the next one beside
it when it has not answered for a moment: one that vanished takes no time from the others.  Of an established connection, TCP
itself would wait for an answer for a quarter of an hour; here it is lost after `silent_seconds`.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

from hum.network import Listen, database_hosts

#: Keepalive's probes: so many in a row go unanswered before an idle connection is lost.
PROBES = 3


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server that says nothing is waited for: while connecting, for each host; before the next host is tried beside
    it; and on an established connection.
    """

    connect_seconds: float = 5.0
    next_host_seconds: float = 0.3
    silent_seconds: float = 3.0


class Server:
    """The database that a URL names, wherever its primary is."""

    def __init__(self, url: str, patience: Patience | None = None) -> None:
        """Raises ValueError for a URL whose hosts can't be read."""
        self.url, self._patience = url, patience or Patience()
        self._hosts = deque[Listen | None](database_hosts(url))
        if not self._hosts:
            self._hosts.append(None)  # wherever asyncpg looks by itself
        self._names_target = "target_session_attrs" in parse_qs(urlsplit(url).query)

    async def connect(self, *_: object, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection to the primary, as `asyncpg.connect` makes one.  Raises what that raises, for the last host that failed.

        Takes, and ignores, what a pool passes on before the options: the URL.
        """
        waiting, trying = deque(self._hosts), set["asyncio.Task[asyncpg.Connection[asyncpg.Record]]"]()
        failed: BaseException | None = None
        try:
            while waiting or trying:
                if waiting:
                    trying.add(asyncio.create_task(self._connect(waiting.popleft(), options), name="connect"))
                wait_seconds = self._patience.next_host_seconds if waiting else None
                done, _pending = await asyncio.wait(trying, timeout=wait_seconds, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (error := task.exception()) is None:
                        trying.discard(task)
                        return task.result()
                    trying.discard(task)
                    failed = _worse(failed, error)
        finally:
            await _abandon(trying)
        assert failed is not None, "there is at least one host"
        raise failed

    async def _connect(self, host: Listen | None, options: dict[str, Any]) -> "asyncpg.Connection[asyncpg.Record]":
        wanted = dict(options)
        if host is not None:
            wanted |= {"host": host.host, "port": host.port or None}
        if not self._names_target:
            wanted.setdefault("target_session_attrs", "read-write")
        wanted.setdefault("timeout", self._patience.connect_seconds)
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self.url, **wanted)
        _limit_silence(connection, self._patience.silent_seconds)
        if host is not None and self._hosts[0] != host:  # the next connection asks it first
            self._hosts.remove(host)
            self._hosts.appendleft(host)
        return connection


def far_side(seconds: float) -> dict[str, str]:
    """Settings of a session with which the server, too, counts a client as lost that acknowledges nothing for so long.

    What a client that vanished has locked is free then; else it would be when its transaction has been idle for too long.
    """
    every_seconds = max(1, round(seconds / PROBES))
    return {
        "tcp_user_timeout": str(round(seconds * 1000)),
        "tcp_keepalives_idle": str(every_seconds),
        "tcp_keepalives_interval": str(every_seconds),
        "tcp_keepalives_count": str(PROBES),
    }


def _worse(one: BaseException | None, other: BaseException) -> BaseException:
    """Which error to show: a host that is no primary, or is gone, says less than one that refuses the login."""
    says_little = (OSError, asyncpg.TargetServerAttributeNotMatched)
    return one if one is not None and isinstance(other, says_little) and not isinstance(one, says_little) else other


async def _abandon(trying: "set[asyncio.Task[asyncpg.Connection[asyncpg.Record]]]") -> None:
    for task in trying:
        task.cancel()
    for made in await asyncio.gather(*trying, return_exceptions=True):
        if isinstance(made, asyncpg.Connection):  # it was there before the cancellation
            made.terminate()


def _limit_silence(connection: "asyncpg.Connection[asyncpg.Record]", seconds: float) -> None:
    """Count the connection as lost when its other side acknowledges nothing for so long, sent or not."""
    transport: asyncio.Transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    every_seconds = max(1, round(seconds / PROBES))
    options: Sequence[tuple[int, int, int]] = (
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000)),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, every_seconds),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, every_seconds),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES),
    )
    for level, name, value in options:
        sock.setsockopt(level, name, value)
