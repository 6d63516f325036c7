"""Maintenance of the roll-ups."""

from collections.abc import Sequence

from storage import analytics
from storage.db import Db, Tx
from storage.events import Event

#: Events after which a call's figures change.
#: (Releases before 0.2 wrote `call.ended`; old events may still be read.)
CHANGES = frozenset({"call.completed", "call.corrected", "call.summary", "call.ended"})


async def recount(tx: Tx, changed: Sequence[Event]) -> None:
    """Recount the calls of these events."""
    await analytics.recount(tx, list({event.subject_id for event in changed}))


async def rebuild(db: Db) -> int:
    """Recount everything; return how many quarters of an hour have calls."""
    async with db.system() as tx:
        return await analytics.rebuild(tx)
