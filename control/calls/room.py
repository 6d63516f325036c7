"""Whether any media process takes one more call, as their links tell."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from control.bus import Bus
from control.calls.channels import LINKS
from hum.settings import CallsSettings
from storage import media_links
from storage.db import Db
from storage.media_links import Room


class Rooms:
    """Looks at the media processes, and waits for one that takes calls."""

    def __init__(self, db: Db, bus: Bus, settings: CallsSettings) -> None:
        self._db, self._bus = db, bus
        self._silent = timedelta(seconds=settings.link_silent_seconds)
        self._wait_seconds = settings.room_seconds

    async def before_a_call(self) -> Room:
        """As soon as some process may take a call, or `room_seconds` later.  Where none is known, none refuses."""
        return await self._wait_until(lambda room: not room.is_full)

    async def after_a_stream(self) -> Room:
        """As soon as some process takes calls, or `room_seconds` later: one that died may be back in a moment."""
        return await self._wait_until(lambda room: bool(room.taking))

    async def _wait_until(self, is_good: Callable[[Room], bool]) -> Room:
        changed = asyncio.Event()
        unsubscribe = self._bus.subscribe(LINKS, lambda _: changed.set())
        try:
            room = await self._look()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._wait_seconds):
                    while not is_good(room):
                        await changed.wait()
                        changed.clear()
                        room = await self._look()
            return room
        finally:
            unsubscribe()

    async def _look(self) -> Room:
        async with self._db.system() as tx:
            return await media_links.room(tx, self._silent)
