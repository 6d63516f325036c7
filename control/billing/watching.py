"""What workers look at: the plans in the database, organizations near a limit, and events that may be forgotten."""

from uuid import UUID

from control.base.wire import timestamp, value
from control.billing import limits, rules
from control.billing.account import KEEP_EVENTS
from control.rows import each_row
from hum.clock import now
from hum.plans import FREE, Plans
from hum.v1 import billing_pb2, events_pb2
from storage import billing, events
from storage.billing import PlanRow
from storage.db import Db, Tx

#: Organizations in one look.
BATCH = 200


class PlanWriter:
    """Writes the plans into the database, once for each process; None: there is no billing."""

    def __init__(self, db: Db, plans: Plans | None) -> None:
        self._db, self._plans, self._written = db, plans, False

    async def write(self) -> None:
        if self._written:
            return
        async with self._db.system() as tx:
            await billing.set_plans(tx, rows(self._plans) if self._plans else [])
        self._written = True


def rows(plans: Plans) -> list[PlanRow]:
    return [
        PlanRow(
            id=plan.id,
            position=position,
            numbers=plan.numbers,
            minutes=plan.minutes,
            messages=plan.messages,
            seats=plan.seats,
            for_sale=plan.is_for_sale,
            sells_seats=plan.seat_price_id is not None,
        )
        for position, plan in enumerate(plans.plans)
    ]


class Watch:
    """Goes round the organizations, some at a time, and tells those that are near a limit."""

    def __init__(self, db: Db) -> None:
        self._db, self._after = db, UUID(int=0)

    async def look(self) -> int:
        """Look at the next organizations; return how many."""
        async with self._db.system() as tx:
            found = await billing.organizations(tx, self._after, BATCH)
            await billing.forget_events(tx, KEEP_EVENTS)
        self._after = found[-1] if len(found) == BATCH else UUID(int=0)

        async def tell(org: UUID) -> bool:
            async with self._db.system() as tx:
                await warn(tx, org)
            return True

        return await each_row("plan limits", found, tell)


async def warn(tx: Tx, org: UUID) -> None:
    """Append the warnings that an organization has not had in this period."""
    allowance = await billing.allowance(tx, org, FREE)
    if allowance is None:
        return
    period = rules.period(allowance.period_starts_at, allowance.period_ends_at, now())
    for resource in rules.RESOURCES:
        if not (limit := allowance.limit(resource)):
            continue
        used = await limits.used(tx, org, resource, period)
        due = rules.warnings(used, limit)
        fresh = [each for each in due if await billing.warn(tx, org, resource, period.starts_at, each)]
        if fresh and fresh[-1] == due[-1]:  # who is over the limit needs no word of having been near it
            event = events_pb2.LimitWarningEvent(
                resource=value(billing_pb2.Resource, resource),
                used=used,
                limit=limit,
                percent=due[-1],
                plan_id=allowance.plan_id,
                period_starts_at=timestamp(period.starts_at),
            )
            await events.append(tx, org, org, event)
