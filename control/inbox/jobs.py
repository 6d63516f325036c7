"""Periodic work on the inbox: changes that are pruned."""

from datetime import timedelta

from storage import inbox_changes
from storage.db import Db

#: Inbox changes pruned per transaction.
PRUNED_ROWS = 5000


async def prune_changes(db: Db, keep: timedelta) -> int:
    """Prune the changes of inboxes that are older than `keep`; return how many."""
    pruned = 0
    while True:
        async with db.system() as tx:
            count = await inbox_changes.purge(tx, keep, PRUNED_ROWS)
        pruned += count
        if count < PRUNED_ROWS:
            return pruned
