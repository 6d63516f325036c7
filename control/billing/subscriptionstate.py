"""The meaning of subscriptions, changes to them, limits of plans, and hours to report to meters.  Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from control.base.subscriptions import Contract, SubscriptionChange
from hum.contract.errors import FieldError, InvalidRequest, InvalidState
from hum.plans import Plan, Plans

#: Statuses of a paid subscription.
PAID = frozenset({"active", "trialing"})
#: Statuses of a subscription with a failed payment.
OWING = frozenset({"past_due", "unpaid"})
#: Final statuses.  A subscription in any other may still become active, so no second one is begun.
OVER = frozenset({"canceled", "incomplete_expired"})
#: The precedence of a customer's subscriptions by status, highest first.
PRECEDENCE = ("active", "trialing", "past_due", "unpaid", "paused", "incomplete", "canceled", "incomplete_expired")
FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
RESOURCES = ("numbers", "minutes", "messages", "seats")
#: Shares of a limit, in percent, that cause a warning event.
WARNINGS = (80, 100)
HOUR = timedelta(hours=1)
INDIVIDUAL_PRICE = "The subscription has an individual price: ask the operator to change its plan or seats."
PAYMENT_DUE = "A payment of the subscription is due: settle it in the portal before you take more."


# --- subscriptions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """A subscription as we store it: a function of the fetch alone, not of earlier state."""

    subscription_id: str
    began_at: datetime
    status: str
    plan_id: str | None
    #: None of its prices is a plan's: the operator has agreed on it, or the plans' file has changed.
    is_individual: bool
    extra_seats: int
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    cancel_at_period_end: bool
    unpaid_since: datetime | None
    #: The end of the plan's validity; None: it is not in force.
    in_force_until: datetime | None


def effective(contracts: Sequence[Contract]) -> Contract | None:
    """Return the effective one of a customer's subscriptions: by precedence of the status, then the latest."""
    candidates = [contract for contract in contracts if contract.status in PRECEDENCE]
    return min(
        candidates,
        key=lambda contract: (PRECEDENCE.index(contract.status), -contract.created_at.timestamp(), contract.id),
        default=None,
    )


def standing(contract: Contract, plans: Plans, unpaid_since: datetime | None, grace: timedelta) -> SubscriptionState:
    """Derive a subscription's standing.  `unpaid_since`: the time of its oldest open invoice, if it owes."""
    plan = plan_of(contract, plans)
    since = (unpaid_since or contract.period_starts_at or contract.created_at) if contract.status in OWING else None
    until = FOREVER if contract.status in PAID else since + grace if since is not None else None
    return SubscriptionState(
        subscription_id=contract.id,
        began_at=contract.created_at,
        status=contract.status,
        plan_id=plan.id if plan else None,
        is_individual=_listed_plan(contract, plans) is None,
        extra_seats=paid_seats(contract, plan),
        period_starts_at=contract.period_starts_at,
        period_ends_at=contract.period_ends_at,
        cancel_at_period_end=contract.cancel_at_period_end or contract.cancel_at is not None,
        unpaid_since=since,
        in_force_until=until if plan else None,
    )


def plan_of(contract: Contract, plans: Plans) -> Plan | None:
    """Return the plan by a subscription's prices; if these belong to no plan, the one that it was created for."""
    return _listed_plan(contract, plans) or plans.get(contract.plan_id)


def listed_plan(contract: Contract, plans: Plans) -> Plan:
    """Return the plan by a subscription's prices.  Raises InvalidState for an individual price: a plan's would be charged
    besides it.
    """
    plan = _listed_plan(contract, plans)
    if plan is None:
        raise InvalidState(INDIVIDUAL_PRICE)
    return plan


def _listed_plan(contract: Contract, plans: Plans) -> Plan | None:
    prices = {item.price_id for item in contract.items}
    return next((plan for plan in plans.plans if plan.price_id in prices), None)


def paid_seats(contract: Contract, plan: Plan | None) -> int:
    """Return the number of paid seats beyond the plan's own."""
    price = plan.seat_price_id if plan is not None else None
    return sum(item.quantity or 0 for item in contract.items if price is not None and item.price_id == price)


# --- orders and changes -------------------------------------------------------------------------------------------


def plan_for_sale(plans: Plans, name: str, extra_seats: int) -> Plan:
    """Return a plan that can be ordered with these seats.  Raises InvalidRequest."""
    plan = plans.get(name)
    if plan is None or not plan.is_for_sale:
        offers = ", ".join(offer.id for offer in plans.plans if offer.is_for_sale)
        raise InvalidRequest([FieldError("plan", f"must be one of {offers}" if offers else "no plan is for sale")])
    if extra_seats and plan.seat_price_id is None:
        raise InvalidRequest([FieldError("extra_seats", f"the plan {plan.id} sells no further seats")])
    return plan


def quantities(plan: Plan, extra_seats: int) -> dict[str, int | None]:
    """Return a subscription's quantities by price; None for a metered price."""
    assert plan.price_id is not None, "the plan is for sale"
    lines: dict[str, int | None] = {plan.price_id: 1}
    if plan.seat_price_id is not None and extra_seats:
        lines[plan.seat_price_id] = extra_seats
    return lines | {price: None for price in plan.metered_price_ids if price is not None}


def change(
    contract: Contract, plans: Plans, name: str | None, extra_seats: int | None, cancel_at_period_end: bool | None
) -> SubscriptionChange:
    """Build the change of a subscription to the plan `name`; None leaves a value unchanged.

    Prices of no plan are left unchanged, too; a new plan keeps the extra seats, if it sells any.  Raises InvalidRequest
    for what is not for sale, and InvalidState for another plan or seats of an individual price, and for more while a
    payment is due: Stripe would count one invoice that is paid as the end of all debts.
    """
    plan, items, grows = None, None, False
    if name is not None or extra_seats is not None:
        present = listed_plan(contract, plans)
        plan = plan_for_sale(plans, present.id if name is None else name, extra_seats or 0)
        paid = paid_seats(contract, present)
        seats = extra_seats if extra_seats is not None else paid if plan.seat_price_id is not None else 0
        items = _items(contract, plans, quantities(plan, seats))
        # The file lists plans from small to large.
        order = plans.plans.index
        grows = order(plan) > order(present) or seats > paid
        if grows and contract.status not in PAID:
            raise InvalidState(PAYMENT_DUE)
    resumes = cancel_at_period_end is False and contract.cancel_at is not None and not contract.cancel_at_period_end
    return SubscriptionChange(
        plan_id=plan.id if plan is not None else None,
        items=items,
        is_paid_now=grows,
        cancel_at_period_end=cancel_at_period_end,
        clears_cancel_at=resumes,
    )


def smaller_plan(contract: Contract, plans: Plans, change: SubscriptionChange) -> Plan | None:
    """Return the plan of a change if it is smaller than the present one."""
    plan, present = plans.get(change.plan_id), _listed_plan(contract, plans)
    order = plans.plans.index
    return plan if plan is not None and present is not None and order(plan) < order(present) else None


def _items(contract: Contract, plans: Plans, target: Mapping[str, int | None]) -> tuple[Mapping[str, Any], ...]:
    """Return the changed lines of the plans' prices.  The main line keeps its id, and so its period."""
    ours = {
        price
        for plan in plans.plans
        for price in (plan.price_id, plan.seat_price_id, *plan.metered_price_ids)
        if price is not None
    }
    mains = {plan.price_id for plan in plans.plans if plan.price_id is not None}
    current = [item for item in contract.items if item.price_id in ours]
    main = next((item for item in current if item.price_id in mains), None)
    lines, missing = list[Mapping[str, Any]](), dict(target)
    for item in current:
        if item.price_id in missing:
            quantity = missing.pop(item.price_id)
            if quantity is not None and quantity != item.quantity:
                lines.append({"id": item.id, "quantity": quantity})
        elif item is main:
            price = next(price for price in target if price in mains)
            del missing[price]
            lines.append({"id": item.id, "price": price, "quantity": 1})
        else:
            # A deleted metered line keeps its usage, which is still to be paid.
            lines.append({"id": item.id, "deleted": True})
    for price, quantity in missing.items():
        lines.append({"price": price} if quantity is None else {"price": price, "quantity": quantity})
    return tuple(lines)


# --- limits -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Period:
    """The period in which minutes and messages are counted."""

    starts_at: datetime
    ends_at: datetime


def period(starts_at: datetime | None, ends_at: datetime | None, now: datetime) -> Period:
    """Return the subscription's present period, derived if Stripe has not sent it yet; else the calendar month in UTC."""
    if starts_at is None or ends_at is None or now < starts_at:
        first = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return Period(first, (first + timedelta(days=32)).replace(day=1))
    if now >= ends_at:
        return Period(ends_at, ends_at + (ends_at - starts_at))
    return Period(starts_at, ends_at)


def full_hour(at: datetime) -> datetime:
    """Return the start of the hour: usage is counted by hours."""
    return at.replace(minute=0, second=0, microsecond=0)


def warnings(used: int, limit: int | None) -> tuple[int, ...]:
    """Return the shares of `WARNINGS` that the use has reached; none without a limit, or for a limit of 0."""
    if not limit:
        return ()
    return tuple(percent for percent in WARNINGS if used * 100 >= limit * percent)


# --- meters -------------------------------------------------------------------------------------------------------


#: The oldest usage that Stripe accepts, with a margin for our own delays; and how long an hour's usage may still grow.
FURTHEST, GROWS = timedelta(days=33), timedelta(days=3)


def hours_to_check(
    metered_from: datetime, metered_until: datetime | None, now: datetime, settle: timedelta
) -> tuple[datetime, datetime]:
    """Return the first hour that may have unreported usage, and the one after the last: since the last sweep, and the
    days in which late reports of calls still arrive.  `metered_from`: the start of the first subscription.
    """
    until = full_hour(now - settle)
    since = max(full_hour(metered_from), full_hour(now - FURTHEST) + HOUR)
    if metered_until is not None:
        since = max(since, metered_until - GROWS)
    return since, max(since, until)


def identifier(org: str, resource: str, hour_at: datetime, number: int) -> str:
    """Return the identifier of an hour's `number`th report to a meter."""
    return f"hum-{org}-{resource}-{hour_at.astimezone(UTC):%Y%m%dT%HZ}-{number}"
