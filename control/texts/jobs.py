"""Periodic work on conversations: snoozes that end."""

from control.texts import inboxchecks
from storage import inbox
from storage.db import Db


async def wake(db: Db) -> int:
    """End the snoozes that are over; return how many."""
    woken = 0
    while True:
        async with db.system() as tx:
            count = await inbox.end_snoozes(tx, inboxchecks.WAKES)
        woken += count
        if count < inboxchecks.WAKES:
            return woken
