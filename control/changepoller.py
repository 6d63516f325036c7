"""One query for the changed organizations of all listeners in a process."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from uuid import UUID

from hum.observe.logs import log
from storage import inbox_changes
from storage.db import BUSY, UNAVAILABLE, Db

LOG = log(__name__)


class ChangePoller:
    """The wake-up of listeners when their organization's inbox has changed, and sometimes without a change."""

    def __init__(self, db: Db, poll_seconds: float) -> None:
        self._db, self._poll_seconds = db, poll_seconds
        self._subscribers: dict[UUID, set[asyncio.Event]] = defaultdict(set)
        self._since = "0"
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, org: UUID, wake: asyncio.Event) -> Callable[[], None]:
        """Set `wake` with each change from now on; return the function that ends this."""
        self._subscribers[org].add(wake)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="change poller")
        return lambda: self._remove(org, wake)

    def _remove(self, org: UUID, wake: asyncio.Event) -> None:
        self._subscribers[org].discard(wake)
        if not self._subscribers[org]:
            del self._subscribers[org]

    async def _run(self) -> None:
        try:
            while self._subscribers:
                try:
                    await self._read()
                except (*UNAVAILABLE, *BUSY) as error:
                    # Nothing is missed, since the next query begins at the same transaction.
                    LOG.warning("could not query changed inboxes; retrying", error=repr(error)[:200])
                await asyncio.sleep(self._poll_seconds)
        finally:
            self._task = None

    async def _read(self) -> None:
        async with self._db.system() as tx:
            orgs, self._since = await inbox_changes.changed_organizations(tx, list(self._subscribers), self._since)
        for org in orgs:
            for wake in self._subscribers.get(org, ()):
                wake.set()
