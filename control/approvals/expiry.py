"""The expiry of approvals that were not decided in time."""

from collections.abc import Collection
from uuid import UUID

from control.approvals.usecases import decide
from hum import ids
from hum.clock import now
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.observe.logs import log
from storage import approvals, audit
from storage.db import UNAVAILABLE, Db

LOG = log(__name__)
#: The audit log's actor if no person decided.
SYSTEM = "system"
BATCH = 50


async def close_overdue(db: Db) -> None:
    """Expire approvals that were not decided in time, and void those of ended calls.

    Each is closed in a transaction of its own: one that fails is logged, and tried again by the next sweep.
    """
    failed = set[UUID]()
    while overdue := await _overdue(db, failed):
        for id, state in overdue.items():
            try:
                await _close(db, id, state)
            except UNAVAILABLE:
                raise
            # The boundary of one approval: the others are closed.
            except Exception:
                LOG.exception("could not close an overdue approval", approval=str(id), state=state)
                failed.add(id)


async def _overdue(db: Db, skipped: Collection[UUID]) -> dict[UUID, str]:
    """Return the next approvals to close, with their new states: void if the call is over, else expired."""
    async with db.system() as tx:
        expired = await approvals.expired(tx, now(), skipped, BATCH)
        void = await approvals.void(tx, skipped, BATCH)
    return dict.fromkeys(expired, "expired") | dict.fromkeys(void, "void")


async def _close(db: Db, id: UUID, state: str) -> None:
    """Close an approval, unless it is decided or deleted by now."""
    async with db.system() as tx:
        try:
            row = await approvals.get(tx, id, lock=True)
        except NotFound:
            return
        if row.state != "pending":
            return
        await decide(tx, id, state, None)
        subject = ids.show(Kind.APPROVAL, id)
        await audit.append(
            tx, row.org_id, actor=SYSTEM, actor_name=SYSTEM, action=f"{state}Approval", subject=subject, fields=[]
        )
