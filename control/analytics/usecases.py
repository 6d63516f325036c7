"""Keeping the roll-ups."""

from collections.abc import Sequence

from storage import analytics
from storage.db import Db, Tx
from storage.events import Event

#: After these a call counts, or counts as something else.
#: (`call.ended` is what releases before 0.2 wrote; readers may still come by one.)
CHANGES = frozenset({"call.completed", "call.summary", "call.ended"})


async def recount(tx: Tx, changed: Sequence[Event]) -> None:
    """Count anew what these events changed."""
    await analytics.recount(tx, list({event.subject_id for event in changed}))


async def rebuild(db: Db) -> int:
    """Count everything anew; return how many quarters of an hour hold calls."""
    async with db.system() as tx:
        return await analytics.rebuild(tx)
