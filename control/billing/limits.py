"""The limits of plans, checked where a number, a seat, a call or a text is created.

A limit is checked before the creation, in its transaction: nothing that exists is taken away, and no call is cut.
Without billing the database has no plans, and nothing is limited.
"""

from dataclasses import dataclass
from uuid import UUID

from control.base.wire import rfc3339
from control.billing import subscriptionstate
from control.billing.subscriptionstate import Period
from hum.clock import now
from hum.contract.errors import BillingRequired
from hum.plans import FREE
from storage import billing
from storage.billing import AllowanceRow
from storage.db import Tx

#: Resources that are counted per period; the others by the present number.
BY_PERIOD = frozenset({"minutes", "messages"})
WORDS = {"numbers": "numbers", "minutes": "minutes of calls", "messages": "messages", "seats": "seats"}


@dataclass(frozen=True, slots=True)
class PlanQuota:
    """An organization's use of a resource that its plan limits."""

    allowance: AllowanceRow
    period: Period
    resource: str
    used: int
    limit: int

    @property
    def left(self) -> int:
        return max(0, self.limit - self.used)


async def find(tx: Tx, org: UUID, resource: str, *, besides: str | None = None, lock: bool = False) -> PlanQuota | None:
    """Return the quota of a resource; None if it is unlimited.  `besides`: an address that takes no seat.

    Counts of numbers and seats stay locked until the transaction ends, and others with `lock`: of texts after the conversations.
    """
    allowance = await billing.allowance(tx, org, FREE)
    if allowance is None or (limit := allowance.limit(resource)) is None:
        return None
    if lock or resource not in BY_PERIOD:
        await billing.lock_organization(tx, org)
    period = subscriptionstate.period(allowance.period_starts_at, allowance.period_ends_at, now())
    return PlanQuota(allowance, period, resource, await used(tx, org, resource, period, besides=besides), limit)


async def used(tx: Tx, org: UUID, resource: str, period: Period, *, besides: str | None = None) -> int:
    """Return the use of a resource, in the period if it is counted so.

    Texts count from when they are written, and minutes from when they begin: else calls at once would be unlimited.
    """
    since = subscriptionstate.full_hour(period.starts_at)
    match resource:
        case "numbers":
            return await billing.count_numbers(tx, org)
        case "seats":
            return await billing.count_seats(tx, org, besides)
        case "messages":
            return await billing.count_messages(tx, org, since, period.ends_at)
    return await billing.count_minutes(tx, org, since, period.ends_at)


async def require(tx: Tx, org: UUID, resource: str, more: int = 1, *, besides: str | None = None) -> None:
    """Check that the plan allows `more` of a resource.  Raises BillingRequired."""
    quota = await find(tx, org, resource, besides=besides)
    if quota is not None and quota.used + more > quota.limit:
        raise await refusal(tx, quota)


async def has_quota(tx: Tx, org: UUID, resource: str) -> bool:
    """Return whether the plan allows one more."""
    quota = await find(tx, org, resource)
    return quota is None or quota.left > 0


async def refusal(tx: Tx, quota: PlanQuota) -> BillingRequired:
    """Build the error of a used-up quota, with what would lift the limit."""
    plan, word = quota.allowance.plan_id, WORDS[quota.resource]
    facts = {"resource": quota.resource, "plan": plan, "limit": str(quota.limit), "used": str(quota.used)}
    message = f"The plan {plan} allows {quota.limit} {word}; {quota.used} are used."
    ways = list[str]()
    if quota.resource in BY_PERIOD:
        facts["resets_at"] = rfc3339(quota.period.ends_at)
        ways.append(f"the next period begins {quota.period.ends_at:%Y-%m-%d}")
    plans = await billing.plans(tx)
    present = next((row for row in plans if row.id == plan), None)
    if quota.resource == "seats" and present is not None and present.sells_seats and quota.allowance.by_subscription:
        facts["lifted_by"] = "extra_seats"
        ways.append("further seats can be paid for")
    bigger = next(
        (
            row
            for row in plans
            if row.for_sale
            and row.position > quota.allowance.position
            and _is_above(getattr(row, quota.resource), quota.used)
        ),
        None,
    )
    if bigger is not None:
        facts.setdefault("lifted_by", "plan")
        facts["upgrade_to"] = bigger.id
        ways.append(f"the plan {bigger.id} allows more")
    if ways:
        message += f" {ways[0].capitalize() if len(ways) == 1 else '; '.join(ways).capitalize()}."
    return BillingRequired(message, **facts)


def _is_above(limit: int | None, used: int) -> bool:
    return limit is None or limit > used
