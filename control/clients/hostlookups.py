"""Look-ups of customers' hosts, in threads of their own, of which each organization has a share.

A look-up can't be cancelled: its thread waits for the name server, for seconds if that never answers.  So a look-up is
a task that lasts as long as its thread and holds its slot of the share until then, whether or not the request that
began it still waits.  Requests of an organization for the same host and port join the look-up in flight: one dead host
holds one thread, however many requests name it.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol
from uuid import UUID

from control.base.egress import EgressError, Reason
from control.clients.shares import Shares

CLOSED = "The client is closed."


class HostLookup(Protocol):
    """A blocking look-up of a host's addresses.  Raises OSError."""

    def __call__(self, host: str, port: int) -> list[str]: ...


def system_lookup(host: str, port: int) -> list[str]:
    """Look a host up with the system's resolver."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in infos))


class HostLookups:
    """The look-ups in flight of one client; `close` them."""

    def __init__(self, lookup: HostLookup, threads: int, organization_lookups: int, seconds: float) -> None:
        self._lookup, self._seconds = lookup, seconds
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="lookup")
        self._shares = Shares[UUID](organization_lookups)
        self._tasks: dict[tuple[UUID | None, str, int], asyncio.Task[list[str]]] = {}

    async def addresses(self, org: UUID | None, host: str, port: int) -> list[str]:
        """Return a host's addresses.

        Raises OSError, UnicodeError, and EgressError if the organization has too many look-ups, or the client is closed meanwhile.
        """
        key = org, host, port
        task = self._tasks.get(key)
        if task is None:
            task = self._tasks[key] = asyncio.create_task(self._run(org, host, port), name="look-up")
            task.add_done_callback(lambda done: self._ended(key, done))
        # Unlike an await of the task, this does not cancel it with the request.
        await asyncio.wait((task,))
        if task.cancelled():  # by `close`
            raise EgressError(Reason.CONNECT, CLOSED)
        return task.result()

    async def close(self) -> None:
        """Cancel the look-ups; threads that still wait for a name server are left to end by themselves."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, org: UUID | None, host: str, port: int) -> list[str]:
        # The deployment's own hosts, such as the carrier's, need no share: their client has threads of its own.
        release = await self._shares.acquire(org, self._seconds) if org is not None else None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._lookup, host, port)
        finally:
            if release is not None:
                release()

    def _ended(self, key: tuple[UUID | None, str, int], task: asyncio.Task[list[str]]) -> None:
        del self._tasks[key]
        # Mark its error as seen: the requests may be gone.
        if not task.cancelled():
            task.exception()
