"""What a subscription means here, and what a plan allows.  Pure: facts in, decisions out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from control.base.subscriptions import Change, Contract
from hum.errors import FieldError, InvalidRequest
from hum.plans import Plan, Plans

#: Statuses of a subscription that is paid.
PAID = frozenset({"active", "trialing"})
#: Those of one whose payment fails.
OWING = frozenset({"past_due", "unpaid"})
#: Those of one that is over; all others may still come to life, so no second one is begun.
OVER = frozenset({"canceled", "incomplete_expired"})
#: Which of several counts, the first first.
PRECEDENCE = ("active", "trialing", "past_due", "unpaid", "paused", "incomplete", "canceled", "incomplete_expired")
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
RESOURCES = ("numbers", "minutes", "messages", "seats")
#: Shares of a limit, in percent, that are worth an event.
WARNINGS = (80, 100)
HOUR = timedelta(hours=1)


# --- what Stripe says ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """A subscription as we keep it: a function of what was fetched, and of nothing before."""

    subscription_id: str
    began_at: datetime
    status: str
    plan_id: str | None
    extra_seats: int
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    cancel_at_period_end: bool
    unpaid_since: datetime | None
    #: Its plan is in force until then; None: it is not.
    in_force_until: datetime | None


def counting(contracts: Sequence[Contract]) -> Contract | None:
    """Of all subscriptions that a customer ever had, the one that counts: the liveliest, and of those the latest."""
    known = [each for each in contracts if each.status in PRECEDENCE]
    return min(
        known,
        key=lambda each: (PRECEDENCE.index(each.status), -each.created_at.timestamp(), each.id),
        default=None,
    )


def standing(contract: Contract, plans: Plans, unpaid_since: datetime | None, grace: timedelta) -> Standing:
    """What a subscription means.  `unpaid_since`: of its oldest open invoice, for one that owes."""
    plan = plan_of(contract, plans)
    owed = (unpaid_since or contract.period_starts_at or contract.created_at) if contract.status in OWING else None
    until = FOREVER if contract.status in PAID else owed + grace if owed is not None else None
    return Standing(
        subscription_id=contract.id,
        began_at=contract.created_at,
        status=contract.status,
        plan_id=plan.id if plan else None,
        extra_seats=extra_seats(contract, plan),
        period_starts_at=contract.period_starts_at,
        period_ends_at=contract.period_ends_at,
        cancel_at_period_end=contract.cancel_at_period_end or contract.cancel_at is not None,
        unpaid_since=owed,
        in_force_until=until if plan else None,
    )


def plan_of(contract: Contract, plans: Plans) -> Plan | None:
    """The plan whose price it pays; one that pays another price, agreed with somebody, has the plan that it was made for."""
    prices = {item.price_id for item in contract.items}
    by_price = next((plan for plan in plans.plans if plan.price_id in prices), None)
    return by_price or plans.get(contract.plan_id)


def extra_seats(contract: Contract, plan: Plan | None) -> int:
    """Seats that are paid for besides the plan's own."""
    price = plan.seat_price_id if plan is not None else None
    return sum(item.quantity or 0 for item in contract.items if price is not None and item.price_id == price)


# --- what people ask for ------------------------------------------------------------------------------------------


def sold(plans: Plans, name: str, extra_seats: int) -> Plan:
    """A plan that somebody wants to pay for.  Raises InvalidRequest."""
    plan = plans.get(name)
    if plan is None or not plan.is_for_sale:
        offers = ", ".join(each.id for each in plans.plans if each.is_for_sale)
        raise InvalidRequest([FieldError("plan", f"must be one of {offers}" if offers else "no plan is for sale")])
    if extra_seats and plan.seat_price_id is None:
        raise InvalidRequest([FieldError("extra_seats", f"the plan {plan.id} sells no further seats")])
    return plan


def quantities(plan: Plan, extra_seats: int) -> dict[str, int | None]:
    """What a subscription to a plan consists of: how many of each price; None: it is metered."""
    assert plan.price_id is not None, "only what is sold is asked for"
    wanted: dict[str, int | None] = {plan.price_id: 1}
    if plan.seat_price_id is not None and extra_seats:
        wanted[plan.seat_price_id] = extra_seats
    return wanted | {price: None for price in plan.metered_price_ids if price is not None}


def change(
    contract: Contract, plans: Plans, plan: Plan | None, extra_seats: int | None, cancel_at_period_end: bool | None
) -> Change:
    """How a subscription becomes what somebody wants; None: that stays.  Prices that are in no plan stay, too."""
    items = None
    if plan is not None:
        items = _items(contract, plans, quantities(plan, extra_seats or 0))
    resumes = cancel_at_period_end is False and contract.cancel_at is not None and not contract.cancel_at_period_end
    return Change(
        plan_id=plan.id if plan is not None else None,
        items=items,
        cancel_at_period_end=cancel_at_period_end,
        clears_cancel_at=resumes,
    )


def _items(contract: Contract, plans: Plans, wanted: Mapping[str, int | None]) -> tuple[Mapping[str, Any], ...]:
    """Lines that change: those of the plans' prices become the wanted ones.  The main line keeps its id, and so its period."""
    ours = {
        price
        for plan in plans.plans
        for price in (plan.price_id, plan.seat_price_id, *plan.metered_price_ids)
        if price is not None
    }
    mains = {plan.price_id for plan in plans.plans if plan.price_id is not None}
    there = [item for item in contract.items if item.price_id in ours]
    main = next((item for item in there if item.price_id in mains), None)
    lines, missing = list[Mapping[str, Any]](), dict(wanted)
    for item in there:
        if item.price_id in missing:
            quantity = missing.pop(item.price_id)
            if quantity is not None and quantity != item.quantity:
                lines.append({"id": item.id, "quantity": quantity})
        elif item is main:
            price = next(price for price in wanted if price in mains)
            del missing[price]
            lines.append({"id": item.id, "price": price, "quantity": 1})
        else:
            # What a metered line has counted is still to be paid, so its usage stays.
            lines.append({"id": item.id, "deleted": True})
    for price, quantity in missing.items():
        lines.append({"price": price} if quantity is None else {"price": price, "quantity": quantity})
    return tuple(lines)


# --- limits -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Period:
    """What minutes and messages are counted in."""

    starts_at: datetime
    ends_at: datetime


def period(starts_at: datetime | None, ends_at: datetime | None, now: datetime) -> Period:
    """The subscription's period; the calendar's month, in UTC, without one.  Stripe may not have told of the next one yet."""
    if starts_at is None or ends_at is None or now < starts_at:
        first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return Period(first, (first + timedelta(days=32)).replace(day=1))
    if now >= ends_at:
        return Period(ends_at, ends_at + (ends_at - starts_at))
    return Period(starts_at, ends_at)


def full_hour(at: datetime) -> datetime:
    """The hour in which it is: usage is counted by hours."""
    return at.replace(minute=0, second=0, microsecond=0)


def warnings(used: int, limit: int | None) -> tuple[int, ...]:
    """Which shares of a limit are used.  A limit of nothing is no news."""
    if not limit:
        return ()
    return tuple(percent for percent in WARNINGS if used * 100 >= limit * percent)


# --- meters -------------------------------------------------------------------------------------------------------


#: How far back Stripe takes usage, less some days of our own slowness; and for how long an hour may grow.
FURTHEST, GROWS = timedelta(days=33), timedelta(days=3)


def hours_to_look_at(
    metered_from: datetime, metered_until: datetime | None, now: datetime, settle: timedelta
) -> tuple[datetime, datetime]:
    """From which hour on, and before which one, usage may be untold: those since the last look, and the days in which late reports
    still come.  `metered_from`: when the first subscription began.
    """
    until = full_hour(now - settle)
    since = max(full_hour(metered_from), full_hour(now - FURTHEST) + HOUR)
    if metered_until is not None:
        since = max(since, metered_until - GROWS)
    return since, max(since, until)


def identifier(org: str, resource: str, hour_at: datetime, number: int) -> str:
    """Of the `number`th thing that a meter is told of an hour."""
    return f"hum-{org}-{resource}-{hour_at.astimezone(UTC):%Y%m%dT%HZ}-{number}"
