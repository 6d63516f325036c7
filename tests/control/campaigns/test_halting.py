"""When a campaign may change, when it stops by itself, and when its texts would leave.  Pure."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from control.base.hours import parse
from control.campaigns import halting, transitions
from control.campaigns.forecasting import Group, plan
from control.campaigns.transitions import Launch
from control.texts.paces import Paces
from hum.contract.errors import InvalidState
from tests.control.campaigns.conftest import LIMITS

AT = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)
READY = Launch("draft", has_text=True, pending=1, can_send=True, starts_at=None, expires_at=None)
OFFICE = parse('{"weekly": {"fri": [["13:30", "14:00"]], "mon": [["09:00", "17:00"]]}}', "UTC")


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"status": "running"}, "is running"),
        ({"status": "canceled"}, "is canceled"),
        ({"has_text": False}, "neither a text"),
        ({"pending": 0}, "nobody"),
        ({"can_send": False}, "can't send"),
        ({"expires_at": AT}, "expires"),
        ({"starts_at": AT + timedelta(days=2), "expires_at": AT + timedelta(days=1)}, "expires"),
    ],
)
def test_what_can_not_be_launched_says_why(changed: dict[str, object], sentence: str) -> None:
    transitions.may_launch(READY, AT)
    transitions.may_launch(replace(READY, status="paused", pending=0), AT)  # those in hand are still to be told of
    with pytest.raises(InvalidState, match=sentence):
        transitions.may_launch(replace(READY, **changed), AT)  # type: ignore[arg-type]  # by the table


@pytest.mark.parametrize(
    ("outcomes", "stopped_code", "reason"),
    [
        ({None: 100}, None, None),
        ({None: 100, "30003": 50}, None, None),
        ({None: 100, "30034": 1}, None, "unregistered"),
        ({}, "30002", "account_suspended"),
        ({None: 100}, "21611", None),
        ({None: 2, "30007": 2}, None, None),
        ({None: 27, "30007": 3}, None, "filtered"),
        ({None: 28, "30007": 3}, None, None),
    ],
)
def test_when_a_campaign_stops(outcomes: dict[str | None, int], stopped_code: str | None, reason: str | None) -> None:
    assert halting.halt(outcomes, stopped_code, LIMITS) == reason


@pytest.mark.parametrize(("throttle", "window"), [(None, 100), (1, 2), (30, 5), (6000, 100)])
def test_how_many_texts_are_written_ahead(throttle: int | None, window: int) -> None:
    assert halting.window(LIMITS, throttle) == window


def test_a_pace_fills_the_hours() -> None:
    course = plan([Group(90, ())], AT, 0.01)  # 36 an hour
    assert course.hours == ((AT, 36), (AT + timedelta(hours=1), 36), (AT + timedelta(hours=2), 18))
    assert (course.deferred, course.finishes_at) == (0, AT + timedelta(seconds=9000))


def test_who_waits_for_hours_comes_after_who_does_not() -> None:
    course = plan([Group(10, (OFFICE,)), Group(5, ())], AT, 1.0)
    assert course.hours == ((AT, 5), (AT + timedelta(hours=1), 10))
    assert (course.deferred, course.finishes_at) == (10, AT + timedelta(hours=1, minutes=30, seconds=10))


def test_what_does_not_fit_waits_for_monday() -> None:
    course = plan([Group(3000, (OFFICE,))], AT, 1.0)
    assert [count for _, count in course.hours] == [1800, 1200]
    assert course.hours[1][0] == datetime(2026, 3, 9, 9, 0, tzinfo=UTC)


def test_hours_that_never_come_have_no_end() -> None:
    course = plan([Group(5, (parse("{}", "UTC"),)), Group(1, ())], AT, 1.0)
    assert (course.deferred, course.hours, course.finishes_at) == (5, ((AT, 1),), None)


def test_a_pace_is_a_numbers_own_or_its_accounts() -> None:
    pace = Paces(1.0, {"+13175550100": 3.0, "AC2": 10.0, "AC1": 5.0}, our_account="AC1")
    assert [pace.of("+13175550100", "AC2"), pace.of("+13175550101", "AC2"), pace.of("+13175550101", "")] == [
        3.0,
        10.0,
        5.0,
    ]
    assert pace.of(None, "AC3") == 1.0
