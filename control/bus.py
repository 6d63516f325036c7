"""The bus: short messages between control's processes, over PostgreSQL's LISTEN/NOTIFY.

A hint, never the truth: whoever is woken reads the database. After a lost connection everybody is woken.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import asyncpg

from hum.telemetry import log
from storage.calls import CHANNEL as CALLS
from storage.db import Db, notify

LOG = log(__name__)
DELTAS = "hum_deltas"  # transcript as it comes, for whoever reads along
COMMANDS = "hum_commands"  # for the process that has a media process's link
MAX_PAYLOAD = 7900  # PostgreSQL refuses 8000 bytes

Listener = Callable[[str], None]


class Bus:
    """Listens on one connection; each subscriber has a channel and is called with the payload, or "" after a loss."""

    def __init__(self, db: Db, *, retry_seconds: float) -> None:
        self._db = db
        self._retry_seconds = retry_seconds
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="bus")
        await self._ready.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def subscribe(self, channel: str, listener: Listener) -> Callable[[], None]:
        """Call `listener` for each message on a channel; returns what ends that."""
        self._listeners[channel].add(listener)
        return lambda: self._listeners[channel].discard(listener)

    async def publish(self, channel: str, message: dict[str, Any]) -> None:
        """Tell all processes, now.  A message that is too large is dropped: it was only a hint."""
        payload = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
        if len(payload.encode()) > MAX_PAYLOAD:
            LOG.warning("bus message too large", channel=channel)
            return
        async with self._db.system() as tx:
            await notify(tx, channel, payload)

    async def _run(self) -> None:
        while True:
            try:
                connection = await self._db.listen()
            except (OSError, asyncpg.PostgresError):
                LOG.warning("bus cannot listen")
                await asyncio.sleep(self._retry_seconds)
                continue
            lost = asyncio.Event()
            connection.add_termination_listener(lambda *_, lost=lost: lost.set())
            try:
                for channel in (CALLS, DELTAS, COMMANDS):
                    await connection.add_listener(channel, self._heard)
                self._wake_all()
                self._ready.set()
                await lost.wait()
                LOG.warning("bus lost its connection")
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                LOG.warning("bus lost its connection")
            finally:
                with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                    await connection.close(timeout=1)

    def _heard(self, _connection: Any, _pid: int, channel: str, payload: object) -> None:
        for listener in tuple(self._listeners[channel]):
            listener(str(payload))

    def _wake_all(self) -> None:
        for listeners in self._listeners.values():
            for listener in tuple(listeners):
                listener("")
