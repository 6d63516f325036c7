"""Maintenance of the roll-ups."""

from collections.abc import Sequence
from uuid import UUID

from storage import analytics, events
from storage.db import Db, Tx
from storage.events import Event

#: Events after which a call's figures change.
#: (Releases before 0.2 wrote `call.ended`; old events may still be read.)
CHANGES = frozenset({"call.completed", "call.summary", "call.ended"})


async def recount(tx: Tx, changed: Sequence[Event]) -> None:
    """Recount the calls of these events."""
    await analytics.recount(tx, list({event.subject_id for event in changed}))


async def recount_one(db: Db, call: UUID) -> None:
    """Recount a call that grew without an event; idempotent."""
    async with db.system() as tx:
        # Two concurrent recounts of a quarter of an hour would conflict on its key.
        await events.hold(tx, analytics.READER)
        await analytics.recount(tx, [call])


async def rebuild(db: Db) -> int:
    """Recount everything; return how many quarters of an hour have calls."""
    async with db.system() as tx:
        return await analytics.rebuild(tx)
