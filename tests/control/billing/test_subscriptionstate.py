"""What a subscription means, how it changes, and which periods and hours count."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from control.base.subscriptions import Contract, SubscriptionItem
from control.billing import subscriptionstate
from control.billing.subscriptionstate import FOREVER, Period
from hum.contract.errors import InvalidRequest, InvalidState
from tests.support.billing import known

PLANS = known()
START, END = datetime(2026, 11, 10, 9, 30, tzinfo=UTC), datetime(2026, 12, 10, 9, 30, tzinfo=UTC)
GRACE = timedelta(days=14)
STARTER = (SubscriptionItem("si_1", "price_starter", 1),)


def contract(items: tuple[SubscriptionItem, ...] = STARTER, **changes: Any) -> Contract:
    return replace(Contract("sub_1", "active", START, items, START, END, False, None, None), **changes)


@pytest.mark.parametrize(
    ("status", "in_force_until"),
    [
        ("active", FOREVER),
        ("trialing", FOREVER),
        ("past_due", START + GRACE),
        ("unpaid", START + GRACE),
        ("incomplete", None),
        ("incomplete_expired", None),
        ("paused", None),
        ("canceled", None),
    ],
)
def test_how_long_a_plan_is_in_force(status: str, in_force_until: datetime | None) -> None:
    found = subscriptionstate.standing(
        contract(status=status), PLANS, START if status in subscriptionstate.OWING else None, GRACE
    )
    assert (found.plan_id, found.in_force_until) == ("starter", in_force_until)


def test_grace_begins_with_the_oldest_debt() -> None:
    """Not anew with each period that is not paid either."""
    later = contract(status="past_due", period_starts_at=END)
    assert subscriptionstate.standing(later, PLANS, START, GRACE).in_force_until == START + GRACE
    assert subscriptionstate.standing(later, PLANS, None, GRACE).in_force_until == END + GRACE


@pytest.mark.parametrize(
    ("items", "metadata", "plan"),
    [
        (STARTER, None, "starter"),
        (STARTER, "business", "starter"),  # what is paid counts
        ((SubscriptionItem("si_1", "price_agreed", 1),), "business", "business"),
        ((SubscriptionItem("si_1", "price_agreed", 1),), "gone", None),
        ((SubscriptionItem("si_1", "price_agreed", 1),), None, None),
    ],
)
def test_which_plan_it_is(items: tuple[SubscriptionItem, ...], metadata: str | None, plan: str | None) -> None:
    found = subscriptionstate.standing(contract(items, plan_id=metadata), PLANS, None, GRACE)
    assert found.plan_id == plan
    assert (found.in_force_until is None) is (plan is None)


def test_of_several_the_liveliest_counts_and_then_the_latest() -> None:
    old, new = contract(id="sub_old"), contract(id="sub_new", created_at=START + timedelta(days=1))
    assert subscriptionstate.effective([]) is None
    assert subscriptionstate.effective([new, replace(old, status="canceled")]) == new
    assert subscriptionstate.effective([replace(new, status="canceled"), old]) == old
    assert subscriptionstate.effective([old, new]) == subscriptionstate.effective([new, old]) == new
    assert subscriptionstate.effective([replace(old, status="a word that Stripe makes up later")]) is None


@pytest.mark.parametrize(
    ("items", "plan", "seats", "lines"),
    [
        (STARTER, "starter", 0, ()),
        (STARTER, "starter", 2, ({"price": "price_seat", "quantity": 2},)),
        (
            STARTER,
            "business",
            0,
            ({"id": "si_1", "price": "price_business", "quantity": 1}, {"price": "price_minutes"}),
        ),
        (
            (*STARTER, SubscriptionItem("si_2", "price_seat", 2)),
            "business",
            0,
            (
                {"id": "si_1", "price": "price_business", "quantity": 1},
                {"id": "si_2", "deleted": True},
                {"price": "price_minutes"},
            ),
        ),
        ((*STARTER, SubscriptionItem("si_2", "price_seat", 2)), "starter", 5, ({"id": "si_2", "quantity": 5},)),
        (
            (
                SubscriptionItem("si_1", "price_business", 1),
                SubscriptionItem("si_2", "price_minutes", None),
                SubscriptionItem("si_3", "price_agreed", 1),
            ),
            "starter",
            0,
            ({"id": "si_1", "price": "price_starter", "quantity": 1}, {"id": "si_2", "deleted": True}),
        ),
    ],
)
def test_how_a_subscription_becomes_another(
    items: tuple[SubscriptionItem, ...], plan: str, seats: int, lines: tuple[dict[str, Any], ...]
) -> None:
    change = subscriptionstate.change(contract(items), PLANS, plan, seats, None)
    assert (change.items, change.plan_id, change.cancel_at_period_end) == (lines, plan, None)


SEATS = (*STARTER, SubscriptionItem("si_2", "price_seat", 2))
BUSINESS = (SubscriptionItem("si_1", "price_business", 1), SubscriptionItem("si_2", "price_minutes", None))
AGREED = (SubscriptionItem("si_1", "price_agreed", 1), SubscriptionItem("si_2", "price_seat", 2))


@pytest.mark.parametrize(
    ("items", "plan", "seats", "is_paid_now"),
    [
        (STARTER, "starter", 0, False),
        (STARTER, "starter", 1, True),
        (STARTER, "business", 0, True),
        (SEATS, "starter", 2, False),
        (SEATS, "starter", 1, False),
        (SEATS, "business", 0, True),
        (BUSINESS, "starter", 0, False),
        (BUSINESS, "starter", 1, True),
    ],
)
def test_what_is_more_is_paid_at_once_and_not_while_a_payment_is_due(
    items: tuple[SubscriptionItem, ...], plan: str, seats: int, is_paid_now: bool
) -> None:
    order = plan, seats, None
    assert subscriptionstate.change(contract(items), PLANS, *order).is_paid_now is is_paid_now
    for status in ("past_due", "unpaid", "incomplete", "paused"):
        owing = contract(items, status=status)
        if is_paid_now:
            with pytest.raises(InvalidState, match="due"):
                subscriptionstate.change(owing, PLANS, *order)
        else:
            assert subscriptionstate.change(owing, PLANS, *order).items is not None


@pytest.mark.parametrize(
    ("items", "plan", "seats", "lines"),
    [
        (SEATS, None, 5, ({"id": "si_2", "quantity": 5},)),
        (SEATS, "starter", None, ()),
        (SEATS, None, None, None),
        (BUSINESS, None, 0, ()),
    ],
)
def test_a_change_of_plan_or_seats_keeps_the_other(
    items: tuple[SubscriptionItem, ...], plan: str | None, seats: int | None, lines: tuple[dict[str, Any], ...] | None
) -> None:
    assert subscriptionstate.change(contract(items), PLANS, plan, seats, None).items == lines


@pytest.mark.parametrize("metadata", ["starter", "business", "gone", None])
def test_an_individual_price_has_only_its_end_changed(metadata: str | None) -> None:
    """Whether a plan is known for it or not."""
    agreed = contract(AGREED, plan_id=metadata)
    assert subscriptionstate.standing(agreed, PLANS, None, GRACE).is_individual
    for plan, seats in (("starter", 2), ("starter", 5), ("business", 0)):
        with pytest.raises(InvalidState, match="operator"):
            subscriptionstate.change(agreed, PLANS, plan, seats, True)
    assert subscriptionstate.change(agreed, PLANS, None, None, True).cancel_at_period_end is True
    assert not subscriptionstate.standing(contract(SEATS), PLANS, None, GRACE).is_individual


def test_it_goes_on_after_all() -> None:
    """Also if the portal has set the day of its end, which Stripe keeps apart."""
    assert not subscriptionstate.change(
        contract(cancel_at_period_end=True, cancel_at=END), PLANS, None, None, False
    ).clears_cancel_at
    assert subscriptionstate.change(contract(cancel_at=END), PLANS, None, None, False).clears_cancel_at
    assert not subscriptionstate.change(contract(cancel_at=END), PLANS, None, None, True).clears_cancel_at


@pytest.mark.parametrize(("name", "seats"), [("free", 0), ("none", 0), ("", 0), ("business", 1)])
def test_what_is_not_sold(name: str, seats: int) -> None:
    with pytest.raises(InvalidRequest):
        subscriptionstate.plan_for_sale(PLANS, name, seats)


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "now", "expected"),
    [
        (START, END, END - timedelta(seconds=1), Period(START, END)),
        (START, END, END, Period(END, END + (END - START))),  # Stripe has not told of the next one yet
        (
            None,
            None,
            datetime(2026, 12, 31, 23, 59, tzinfo=UTC),
            Period(datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ),
        (
            None,
            None,
            datetime(2026, 2, 1, tzinfo=UTC),
            Period(datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        ),
    ],
)
def test_periods(starts_at: datetime | None, ends_at: datetime | None, now: datetime, expected: Period) -> None:
    assert subscriptionstate.period(starts_at, ends_at, now) == expected


@pytest.mark.parametrize(
    ("used", "limit", "due"),
    [(0, 10, ()), (7, 10, ()), (8, 10, (80,)), (10, 10, (80, 100)), (99, 10, (80, 100)), (9, 0, ()), (9, None, ())],
)
def test_warnings(used: int, limit: int | None, due: tuple[int, ...]) -> None:
    assert subscriptionstate.warnings(used, limit) == due


def test_hours_to_look_at() -> None:
    now, settle = datetime(2026, 11, 26, 10, 5, tzinfo=UTC), timedelta(minutes=10)
    began = datetime(2026, 11, 20, 8, 40, tzinfo=UTC)
    nine = datetime(2026, 11, 26, 9, tzinfo=UTC)
    assert subscriptionstate.hours_to_check(began, None, now, settle) == (datetime(2026, 11, 20, 8, tzinfo=UTC), nine)
    assert subscriptionstate.hours_to_check(began, nine, now, settle) == (nine - subscriptionstate.GROWS, nine)
    long_ago = datetime(2020, 1, 1, tzinfo=UTC)
    since, _ = subscriptionstate.hours_to_check(long_ago, None, now, settle)
    assert now - timedelta(days=34) < since  # Stripe takes nothing older than 35 days
    assert subscriptionstate.hours_to_check(now, None, now, settle) == (now.replace(minute=0), now.replace(minute=0))
