"""What triggers received does not stay for ever."""

from datetime import timedelta

from storage import triggers
from storage.db import Db

#: Rows of one transaction, and transactions of one step.
MOST, STEPS = 500, 200


async def forget(db: Db, keep_bodies: timedelta, keep_deliveries: timedelta) -> None:
    """Delete old bodies, old deliveries, and what deleted triggers left, a batch in each transaction."""
    for _ in range(STEPS):
        async with db.system() as tx:
            if not await triggers.forget(tx, keep_bodies, keep_deliveries, MOST):
                return
