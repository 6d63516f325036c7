"""Periodic work on conversations: snoozes that end, and changes that are pruned."""

from datetime import timedelta

from control.texts import rules
from storage import inbox, inbox_changes
from storage.db import Db


async def wake(db: Db) -> int:
    """End the snoozes that are over; return how many."""
    woken = 0
    while True:
        async with db.system() as tx:
            count = await inbox.wake(tx, rules.WAKES)
        woken += count
        if count < rules.WAKES:
            return woken


async def forget_changes(db: Db, keep: timedelta) -> int:
    """Prune the changes of inboxes that are older than `keep`; return how many."""
    pruned = 0
    while True:
        async with db.system() as tx:
            count = await inbox_changes.forget(tx, keep, rules.FORGETS)
        pruned += count
        if count < rules.FORGETS:
            return pruned
