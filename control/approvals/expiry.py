"""The expiry of approvals that were not decided in time."""

from control.approvals.usecases import decide
from hum import ids
from hum.clock import now
from hum.ids import Kind
from storage import approvals, audit
from storage.db import Db

#: The audit log's actor if no person decided.
SYSTEM = "system"
BATCH = 50


async def close_overdue(db: Db) -> None:
    """Expire approvals that were not decided in time, and void those of ended calls."""
    async with db.system() as tx:
        overdue = [(org, id, "void") for org, id in await approvals.lock_void(tx, BATCH)]
        overdue += [(org, id, "expired") for org, id in await approvals.lock_expired(tx, now(), BATCH)]
        for org, id, state in {id: (org, id, state) for org, id, state in reversed(overdue)}.values():
            await decide(tx, id, state, None)
            subject = ids.show(Kind.APPROVAL, id)
            await audit.append(
                tx, org, actor=SYSTEM, actor_name=SYSTEM, action=f"{state}Approval", subject=subject, fields=[]
            )
