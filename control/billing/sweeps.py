"""Sweeps of billing: write the plans to the database, warn organizations near a limit, prune Stripe's events."""

from uuid import UUID

from control.base.wire import timestamp, value
from control.billing import limits, subscriptionstate
from control.billing.account import KEEP_EVENTS
from control.rows import each_row
from hum.clock import now
from hum.plans import FREE, Plans
from hum.v1 import billing_pb2, events_pb2
from storage import billing, events
from storage.billing import PlanRow
from storage.db import Db, Tx

#: Organizations per sweep.
BATCH = 200


class PlanWriter:
    """The sweep that writes the plans to the database, once per process.  `plans`: None without billing."""

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


class LimitWarner:
    """The sweep that warns organizations near a limit, `BATCH` of them at a time, in turn."""

    def __init__(self, db: Db) -> None:
        self._db, self._after = db, UUID(int=0)

    async def warn_next(self) -> int:
        """Check the next organizations; return how many."""
        async with self._db.system() as tx:
            organizations = await billing.organizations(tx, self._after, BATCH)
            await billing.prune_events(tx, KEEP_EVENTS)
        self._after = organizations[-1] if len(organizations) == BATCH else UUID(int=0)

        async def check(org: UUID) -> bool:
            async with self._db.system() as tx:
                await warn(tx, org)
            return True

        return await each_row("plan limits", organizations, check)


async def warn(tx: Tx, org: UUID) -> None:
    """Append an event for each limit of which an organization was not warned yet in this period."""
    allowance = await billing.allowance(tx, org, FREE)
    if allowance is None:
        return
    period = subscriptionstate.period(allowance.period_starts_at, allowance.period_ends_at, now())
    for resource in subscriptionstate.RESOURCES:
        if not (limit := allowance.limit(resource)):
            continue
        used = await limits.used(tx, org, resource, period)
        reached = subscriptionstate.warnings(used, limit)
        new = [
            percent for percent in reached if await billing.record_warning(tx, org, resource, period.starts_at, percent)
        ]
        # Only the highest share: an organization over its limit needs no warning that it is near it.
        if new and new[-1] == reached[-1]:
            event = events_pb2.LimitWarningEvent(
                resource=value(billing_pb2.Resource, resource),
                used=used,
                limit=limit,
                percent=reached[-1],
                plan_id=allowance.plan_id,
                period_starts_at=timestamp(period.starts_at),
            )
            await events.append(tx, org, org, event)
