"""The pruning of triggers' deliveries."""

from datetime import timedelta

from storage import triggers
from storage.db import Db

#: Rows per transaction, and transactions per step.
MOST, STEPS = 500, 200


async def prune(db: Db, keep_bodies: timedelta, keep_deliveries: timedelta) -> None:
    """Delete old bodies, old deliveries, and those of deleted triggers, in a batch per transaction."""
    for _ in range(STEPS):
        async with db.system() as tx:
            if not await triggers.purge(tx, keep_bodies, keep_deliveries, MOST):
                return
