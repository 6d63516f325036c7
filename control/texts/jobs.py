"""What is done about conversations by the clock."""

from datetime import timedelta

from control.texts import rules
from storage import inbox, inbox_changes
from storage.db import Db


async def wake(db: Db) -> int:
    """End the snoozes whose time has come, however long ago; return how many."""
    woken = 0
    while True:
        async with db.system() as tx:
            found = await inbox.wake(tx, rules.WAKES)
        woken += found
        if found < rules.WAKES:
            return woken


async def forget_changes(db: Db, keep: timedelta) -> int:
    """Forget what changed in inboxes so long ago; return how many changes."""
    forgotten = 0
    while True:
        async with db.system() as tx:
            found = await inbox_changes.forget(tx, keep, rules.FORGETS)
        forgotten += found
        if found < rules.FORGETS:
            return forgotten
