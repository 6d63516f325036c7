"""Keeping the roll-ups."""

from storage import analytics
from storage.db import Db


async def roll_up(db: Db) -> int:
    """Count what the next events changed; return how many were read.  Any number of workers may try; one does it."""
    async with db.system() as tx:
        return await analytics.roll_up(tx)


async def rebuild(db: Db) -> int:
    """Count everything anew; return how many quarters of an hour hold calls."""
    async with db.system() as tx:
        return await analytics.rebuild(tx)
