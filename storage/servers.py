"""Connections to a database server that may fail over to another host.

A URL may name several hosts; one of them is the primary.  Each host gets its own connection attempt, and the next one starts
beside it after `next_host_seconds` without an answer, so a dead host delays no other.  An established connection counts as
lost after `silent_seconds` without an acknowledgement; TCP's default is a quarter of an hour.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg

from hum.network import SocketAddress, database_hosts

#: Unanswered keepalive probes in a row after which an idle connection is lost.
PROBES = 3


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Timeouts of a silent server: to connect, for each host; before the next host is tried in parallel; and on an established
    connection.
    """

    connect_seconds: float = 5.0
    next_host_seconds: float = 0.3
    silent_seconds: float = 3.0


class DatabaseServer:
    """The database of a URL, on whichever of its hosts is the primary."""

    def __init__(self, url: str, timeouts: Timeouts | None = None) -> None:
        """Parse the URL's hosts.  Raises ValueError if they can't be read."""
        self.url, self._timeouts = url, timeouts or Timeouts()
        self._hosts = deque[SocketAddress | None](database_hosts(url))
        if not self._hosts:
            # asyncpg's default host.
            self._hosts.append(None)
        self._names_target = "target_session_attrs" in parse_qs(urlsplit(url).query)

    async def connect(self, *_: object, **options: Any) -> "asyncpg.Connection[asyncpg.Record]":
        """Connect to the primary, as `asyncpg.connect` does.  Raises that function's errors: the most telling one of all hosts.

        Positional arguments are ignored: a pool passes the URL before the options.
        """
        untried, attempts = deque(self._hosts), set["asyncio.Task[asyncpg.Connection[asyncpg.Record]]"]()
        failure: BaseException | None = None
        try:
            while untried or attempts:
                if untried:
                    attempts.add(asyncio.create_task(self._connect(untried.popleft(), options), name="connect"))
                wait_seconds = self._timeouts.next_host_seconds if untried else None
                done, _pending = await asyncio.wait(attempts, timeout=wait_seconds, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    if (error := task.exception()) is None:
                        attempts.discard(task)
                        return task.result()
                    attempts.discard(task)
                    failure = _more_telling(failure, error)
        finally:
            await _cancel(attempts)
        assert failure is not None, "there is at least one host"
        raise failure

    async def _connect(
        self, host: SocketAddress | None, options: dict[str, Any]
    ) -> "asyncpg.Connection[asyncpg.Record]":
        arguments = dict(options)
        if host is not None:
            arguments |= {"host": host.host, "port": host.port or None}
        if not self._names_target:
            arguments.setdefault("target_session_attrs", "read-write")
        arguments.setdefault("timeout", self._timeouts.connect_seconds)
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(self.url, **arguments)
        _limit_silence(connection, self._timeouts.silent_seconds)
        # The next connection tries this host first.
        if host is not None and self._hosts[0] != host:
            self._hosts.remove(host)
            self._hosts.appendleft(host)
        return connection


def far_side(seconds: float) -> dict[str, str]:
    """Return the session settings with which the server drops a client that acknowledges nothing for `seconds`.

    That frees the locks of a vanished client before its idle-in-transaction limit does.
    """
    interval_seconds = max(1, round(seconds / PROBES))
    return {
        "tcp_user_timeout": str(round(seconds * 1000)),
        "tcp_keepalives_idle": str(interval_seconds),
        "tcp_keepalives_interval": str(interval_seconds),
        "tcp_keepalives_count": str(PROBES),
    }


def _more_telling(one: BaseException | None, other: BaseException) -> BaseException:
    """Return the error to show: a refused login says more than an unreachable host or one that is no primary."""
    vague = (OSError, asyncpg.TargetServerAttributeNotMatched)
    return one if one is not None and isinstance(other, vague) and not isinstance(one, vague) else other


async def _cancel(attempts: "set[asyncio.Task[asyncpg.Connection[asyncpg.Record]]]") -> None:
    for task in attempts:
        task.cancel()
    for result in await asyncio.gather(*attempts, return_exceptions=True):
        # The attempt succeeded before its cancellation.
        if isinstance(result, asyncpg.Connection):
            result.terminate()


def _limit_silence(connection: "asyncpg.Connection[asyncpg.Record]", seconds: float) -> None:
    """Make TCP drop the connection when its peer acknowledges nothing for `seconds`, whether data or keepalive probes."""
    transport: asyncio.Transport = connection._transport  # type: ignore[attr-defined]  # noqa: SLF001 - no public way
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    interval_seconds = max(1, round(seconds / PROBES))
    options: Sequence[tuple[int, int, int]] = (
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000)),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, interval_seconds),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, interval_seconds),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES),
    )
    for level, name, value in options:
        sock.setsockopt(level, name, value)
