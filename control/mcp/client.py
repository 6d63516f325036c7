"""A process's pool of connections to MCP servers: one per server, shared, and closed when idle.

After a failure a connection is retired, and the next use opens another.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING
from uuid import UUID

from control.base import fairshare
from control.clients.http import GuardedClient
from control.mcp.endpoint import Endpoint, Unusable
from hum.clock import monotonic_ms
from hum.settings.mcp import McpSettings

if TYPE_CHECKING:
    from control.mcp.connection import Connection

BUSY = "Too many of the MCP server's tools run at the moment."
AT_CAPACITY = "Too many MCP servers are in use at the moment."


def _count(servers: Mapping[UUID, UUID], org: UUID) -> int:
    """Count an organization's servers; the mapping is from servers to organizations."""
    return sum(owner == org for owner in servers.values())


class Connections:
    """The pool of a process."""

    def __init__(self, web: GuardedClient, settings: McpSettings, stopping: asyncio.Event) -> None:
        self._web, self._settings, self._stopping = web, settings, stopping
        self._open: dict[UUID, Connection] = {}
        #: Retired connections that still have users.
        self._retired: list[Connection] = []
        self._tidying: asyncio.Task[None] | None = None
        self._has_sdk = False

    def __len__(self) -> int:
        return len([connection for connection in self._open.values() if not connection.is_over])

    @asynccontextmanager
    async def use(self, endpoint: Endpoint) -> AsyncIterator["Connection"]:
        """Use the connection to a server, opened if there is none.  Raises Unusable."""
        if not self._has_sdk:
            # Importing the SDK takes a seventh of a start's time, which callers would wait for.
            await asyncio.to_thread(import_module, "control.mcp.connection")
            self._has_sdk = True
        pool = (*self._open.values(), *self._retired)
        if (
            sum(connection.users for connection in pool if connection.endpoint.server == endpoint.server)
            >= self._settings.mcp_calls
        ):
            raise Unusable(BUSY)
        connection = self._connection(endpoint)
        connection.users += 1
        try:
            yield connection
        finally:
            connection.release()

    def _connection(self, endpoint: Endpoint) -> "Connection":
        connection = self._open.get(endpoint.server)
        if connection is not None and connection.endpoint.revision != endpoint.revision:
            connection.retire()
        self._remove_retired()
        if (connection := self._open.get(endpoint.server)) is not None:
            return connection
        self._make_room(endpoint)
        from control.mcp.connection import Connection

        self._open[endpoint.server] = opened = Connection(self._web, endpoint, self._settings)
        if self._tidying is None or self._tidying.done():
            self._tidying = asyncio.create_task(self._tidy(), name="mcp connections")
        return opened

    def _remove_retired(self) -> None:
        """Move retired connections out of the open ones, so that another one to their server can be opened."""
        for server, connection in list(self._open.items()):
            if connection.is_over:
                connection.retire()
                del self._open[server]
                self._retired.append(connection)
        self._retired = [connection for connection in self._retired if not connection.is_closed]

    def _make_room(self, endpoint: Endpoint) -> None:
        """Close an idle connection if the organization has its share of the places, or if the pool is full.

        Its own ones come first, then the one that has been idle longest.  Raises Unusable if it has its share without idle ones.
        """
        org, places = endpoint.org, self._settings.mcp_connections
        pool = [each for each in (*self._open.values(), *self._retired) if each.endpoint.server != endpoint.server]
        busy = {each.endpoint.server: each.endpoint.org for each in pool if each.users}
        if not fairshare.admits(_count(busy, org), places - len(busy)):
            raise Unusable(AT_CAPACITY)
        taken = {each.endpoint.server: each.endpoint.org for each in pool}
        free = places - len(taken)
        if fairshare.admits(_count(taken, org), free):
            return
        idle = [each for each in self._open.values() if not each.users]
        candidates = [each for each in idle if each.endpoint.org == org] or (idle if free <= 0 else [])
        if candidates:
            evicted = min(candidates, key=lambda each: each.used_ms).endpoint.server
            self._open.pop(evicted).close()

    async def _tidy(self) -> None:
        """Close idle and overdue connections; end with the last connection."""
        idle_ms = self._settings.mcp_idle_seconds * 1000
        while self._open or self._retired:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(self._settings.mcp_idle_seconds, 5.0)):
                    await self._stopping.wait()
            for connection in (*self._open.values(), *self._retired):
                is_idle = not connection.users and monotonic_ms() - connection.used_ms >= idle_ms
                if is_idle or connection.is_overdue or self._stopping.is_set():
                    connection.close()
            self._remove_retired()
