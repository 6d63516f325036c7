"""Keeping the roll-ups."""

from collections.abc import Sequence
from uuid import UUID

from storage import analytics, events
from storage.db import Db, Tx
from storage.events import Event

#: Events after which a call counts, or counts differently.
#: (Releases before 0.2 wrote `call.ended`; readers may still meet one.)
CHANGES = frozenset({"call.completed", "call.summary", "call.ended"})


async def recount(tx: Tx, changed: Sequence[Event]) -> None:
    """Recount what these events changed."""
    await analytics.recount(tx, list({event.subject_id for event in changed}))


async def recount_one(db: Db, call: UUID) -> None:
    """Recount a call that grew without an event; once more changes nothing."""
    async with db.system() as tx:
        await events.hold(tx, analytics.READER)  # two that recount one quarter at once would break on its key
        await analytics.recount(tx, [call])


async def rebuild(db: Db) -> int:
    """Recount everything; return how many quarters of an hour hold calls."""
    async with db.system() as tx:
        return await analytics.rebuild(tx)
