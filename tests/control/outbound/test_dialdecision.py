"""When a call is placed, whom it may reach, what follows from each attempt."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from control.base import hours, phone
from control.base.hours import first_open
from control.outbound import dialdecision
from control.outbound.dialdecision import DeferCall, DialFacts, End, OutboundLimits, Pass, PlaceCall, Retry

NOW = datetime(2026, 11, 26, 15, 0, tzinfo=UTC)
LIMITS = OutboundLimits(live_calls=5, a_day=10, a_day_to_one=3, patience=timedelta(hours=1))
OFFICE = '{"weekly": {"mon": [["09:00", "17:00"]], "thu": [["09:00", "12:00"], ["13:00", "17:00"]]}}'
INDIANA, BERLIN, BRITAIN, RUSSIA, NOWHERE = (
    "+13175550199", "+4930123456", "+447400123456", "+79161234567", "+15551234567",
)  # fmt: skip


def facts(**changes: object) -> DialFacts:
    usual = {
        "blocked": False, "has_flow": True, "number_active": True, "hours": (), "wanted_at": NOW,
        "live_calls": 0, "placed_in_a_day": 0,
    }  # fmt: skip
    return DialFacts(**{**usual, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "decision"),
    [
        ({}, PlaceCall()),
        ({"blocked": True}, End("blocked", "blocked")),
        ({"has_flow": False}, End("failed", "no_flow")),
        ({"number_active": False}, End("failed", "no_number")),
        ({"is_within_plan": False}, End("failed", "plan_limit")),
        ({"wanted_at": NOW - timedelta(hours=1)}, PlaceCall()),
        ({"wanted_at": NOW - timedelta(hours=1, seconds=1)}, End("failed", "too_late")),
        ({"live_calls": 4}, PlaceCall()),
        ({"live_calls": 5}, Pass(1.0)),
        ({"placed_in_a_day": 10}, Pass(1.0)),
        ({"callee_free_at": NOW}, PlaceCall()),
        ({"callee_free_at": NOW + timedelta(minutes=9)}, DeferCall(NOW + timedelta(minutes=9), "turn", wanted=False)),
        # It waits until it is too late, and no longer.
        ({"callee_free_at": NOW + timedelta(hours=9)}, DeferCall(NOW + timedelta(hours=1), "turn", wanted=False)),
        # A blocked number is not called, whatever else is the case.
        ({"blocked": True, "live_calls": 9, "wanted_at": NOW - timedelta(days=9)}, End("blocked", "blocked")),
    ],
)
def test_a_call_that_is_due(changes: dict[str, object], decision: dialdecision.Decision) -> None:
    assert dialdecision.decide(facts(**changes), NOW, LIMITS) == decision


def test_it_waits_for_the_hours_it_keeps() -> None:
    office = dialdecision.quiet_hours(OFFICE, "UTC", NOWHERE)
    lunch = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
    assert dialdecision.decide(facts(hours=office, wanted_at=lunch), lunch, LIMITS) == DeferCall(
        lunch + timedelta(hours=1), "quiet_hours"
    )
    evening = datetime(2026, 11, 26, 17, 0, tzinfo=UTC)
    monday = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
    assert dialdecision.decide(facts(hours=office, wanted_at=evening), evening, LIMITS) == DeferCall(
        monday, "quiet_hours"
    )
    never = dialdecision.quiet_hours('{"weekly": {}}', "UTC", NOWHERE)
    assert dialdecision.decide(facts(hours=never), NOW, LIMITS) == End("failed", "quiet_hours")


@pytest.mark.parametrize(
    ("to", "zones"),
    [
        (INDIANA, {"America/New_York"}),
        (BERLIN, {"Europe/Berlin"}),
        (BRITAIN, {"Europe/London", "Europe/Jersey", "Europe/Guernsey", "Europe/Isle_of_Man"}),
        (RUSSIA, {"Asia/Tokyo"}),  # one of sixteen: nobody knows, so the organization's
        (NOWHERE, {"Asia/Tokyo"}),
    ],
)
def test_hours_are_by_the_clock_of_whoever_is_called(to: str, zones: set[str]) -> None:
    assert {each.zone.key for each in dialdecision.quiet_hours(OFFICE, "Asia/Tokyo", to)} == zones


def test_without_hours_of_its_own_an_organization_calls_nobody_at_night() -> None:
    decent = dialdecision.quiet_hours(None, "UTC", BERLIN)
    at_night = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)  # 21:00 in Berlin
    assert first_open(decent, at_night - timedelta(minutes=1)) == at_night - timedelta(minutes=1)
    assert first_open(decent, at_night) == datetime(2026, 11, 27, 7, 0, tzinfo=UTC)


def test_two_zones_are_called_when_both_are_open() -> None:
    west, east = (
        hours.parse('{"weekly": {"thu": [["09:00", "13:00"]]}}', zone)
        for zone in ("America/Los_Angeles", "America/New_York")
    )
    # 09:00 to 13:00 there, 12:00 to 16:00 here: an hour is both.
    assert first_open((west, east), NOW) == datetime(2026, 11, 26, 17, 0, tzinfo=UTC)
    apart = hours.parse('{"weekly": {"fri": [["09:00", "13:00"]]}}', "America/New_York")
    assert first_open((west, apart), NOW) is None


def test_hours_open_when_a_clock_change_ends() -> None:
    # New York leaves 02:00 EST for 03:00 EDT on 8 March 2026, 07:00Z.
    early = hours.parse('{"weekly": {"sun": [["02:30", "05:00"]]}}', "America/New_York")
    saturday = datetime(2026, 3, 7, 18, 0, tzinfo=UTC)
    assert hours.next_open(early, saturday) == datetime(2026, 3, 8, 7, 0, tzinfo=UTC)
    # And has 01:30 twice on 1 November: the first counts.
    twice = hours.parse('{"weekly": {"sun": [["01:30", "05:00"]]}}', "America/New_York")
    assert hours.next_open(twice, datetime(2026, 10, 31, 18, 0, tzinfo=UTC)) == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)


def test_a_span_over_midnight_is_open_after_it() -> None:
    night = hours.parse('{"weekly": {"wed": [["22:00", "06:00"]]}, "holidays": ["2026-12-02"]}', "UTC")
    assert hours.next_open(night, datetime(2026, 11, 26, 5, 0, tzinfo=UTC)) == datetime(2026, 11, 26, 5, 0, tzinfo=UTC)
    # The next Wednesday is a holiday.
    assert hours.next_open(night, NOW) == datetime(2026, 12, 9, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("result", "made", "follows"),
    [
        ("busy", 1, Retry(NOW + timedelta(seconds=60))),
        ("no_answer", 2, Retry(NOW + timedelta(seconds=60))),
        ("no_answer", 3, End("no_answer", "no_answer")),
        ("busy", 3, End("busy", "busy")),
        ("failed", 1, End("failed", "carrier")),
        ("canceled", 1, End("canceled", "hang_up")),
        ("completed", 1, End("completed", "caller")),
    ],
)
def test_what_follows_from_an_attempt(result: str, made: int, follows: Retry | End) -> None:
    assert dialdecision.after_attempt(result, made, 3, 60, NOW) == follows


@pytest.mark.parametrize(
    ("to", "countries", "bad"),
    [
        (INDIANA, (), None),
        (NOWHERE, ("*",), "not known"),
        ("+14165550199", (), "country (CA)"),
        ("+14165550199", ("CA",), None),
        ("+18765550100", (), "country (JM)"),  # the same code, and not the same price
        (BERLIN, ("GB", "DE"), None),
        (BERLIN, ("*",), None),
        ("+881612345678", (), "country (unknown)"),
        ("+19005550100", ("*",), "premium-rate"),
        ("+447012345678", ("*",), "personal"),
        ("+4918112345", ("*",), "universal-access"),
        ("+443001234567", ("GB",), None),  # such numbers as well, at the price of others
        ("+41584652111", ("CH",), None),
        ("+4911", ("*",), "not known"),
        ("+4913712345678", ("*",), "not known"),  # televoting
        ("+12425550123", ("*",), "not known"),  # not allocated in the Bahamas, which share the US's country code
        ("+17105550123", ("*",), "not known"),
        ("+49110", ("*",), "emergency"),
        ("+33153000000", ("FR",), None),  # begins like an emergency number of its country
        ("+44999", ("*",), "emergency"),
    ],
)
def test_who_may_be_called(to: str, countries: tuple[str, ...], bad: str | None) -> None:
    found = phone.bad_callee(to, "+13175550100", frozenset(countries))
    assert (found is None) if bad is None else (found is not None and bad in found)


@pytest.mark.parametrize(
    ("to", "caller", "bad"),
    [
        ("+18005551234", "+14165550199", False),  # the same in the US, Canada and the islands
        ("+448001111111", "+14165550199", True),
        ("+881612345678", "+883510012345", True),  # neither has a country
        ("+441534123456", "+442079460958", True),  # Jersey
    ],
)
def test_the_country_of_a_number(to: str, caller: str, bad: bool) -> None:
    assert (phone.bad_callee(to, caller, frozenset()) is not None) is bad


def test_zones_of_a_number_are_real() -> None:
    assert all(isinstance(each.zone, ZoneInfo) for each in dialdecision.quiet_hours(None, "UTC", BRITAIN))
