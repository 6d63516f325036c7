"""Keeping the roll-ups."""

from collections.abc import Sequence

from storage import analytics
from storage.db import Db, Tx
from storage.events import Event

#: Events after which a call counts, or counts differently.
#: (Releases before 0.2 wrote `call.ended`; readers may still meet one.)
CHANGES = frozenset({"call.completed", "call.summary", "call.ended"})


async def recount(tx: Tx, changed: Sequence[Event]) -> None:
    """Recount what these events changed."""
    await analytics.recount(tx, list({event.subject_id for event in changed}))


async def rebuild(db: Db) -> int:
    """Recount everything; return how many quarters of an hour hold calls."""
    async with db.system() as tx:
        return await analytics.rebuild(tx)
