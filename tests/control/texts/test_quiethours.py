"""Hours where the contact lives, and the next opening over every clock change that there is."""

import json
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest

from control.base import hours as opening
from control.base.hours import Hours
from control.texts import quiethours, sendgate, writing
from control.texts.sendgate import SendFacts, Wait
from storage.messages import RulesRow

MINUTE = timedelta(minutes=1)
SPANS = (["08:00", "20:00"], ["22:00", "06:00"], ["01:30", "02:30"], ["00:00", "24:00"])


def rules(contact_e164: str, **more: object) -> RulesRow:
    row = {
        "time_zone": "America/New_York", "business_hours_json": None, "quiet_hours_enabled": True,
        "recipient_hours_enabled": True, "closed": False, "opted_out": False, "number_active": True, "sms_enabled": True,
        "capabilities": ["sms"], "account": "", "contact_e164": contact_e164, "last_inbound_at": None,
    }  # fmt: skip
    return RulesRow(**{**row, **more})  # type: ignore[arg-type]


def at(text: str) -> datetime:
    """A wall time in New York."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)


def may_leave(contact_e164: str, wished: str) -> datetime:
    """When a text that is wished at this time in New York leaves."""
    known = SendFacts(False, False, True, quiethours.honored(rules(contact_e164)), False, None, None)
    decision = sendgate.decide_send(known, at(wished))
    return decision.until if isinstance(decision, Wait) else at(wished)


@pytest.mark.parametrize(
    ("contact", "wished", "leaves"),
    [
        ("+12125550123", "2026-06-01T20:59", "2026-06-01T20:59"),  # New York, Monday
        ("+12125550123", "2026-06-01T21:00", "2026-06-02T08:00"),
        ("+12035550123", "2026-06-01T20:00", "2026-06-02T09:00"),  # Connecticut
        ("+13015550123", "2026-06-01T20:00", "2026-06-02T08:00"),  # Maryland
        ("+14015550123", "2026-06-06T09:00", "2026-06-06T10:00"),  # Rhode Island, Saturday
        ("+14015550123", "2026-06-05T18:00", "2026-06-06T10:00"),
        ("+12145550123", "2026-06-07T09:00", "2026-06-07T13:00"),  # Texas, Sunday: noon in Chicago
        ("+14155550123", "2026-06-01T09:00", "2026-06-01T11:00"),  # San Francisco
        ("+442079460123", "2026-06-01T15:59", "2026-06-01T15:59"),  # London, where it is 20:59
        ("+442079460123", "2026-06-01T16:00", "2026-06-02T03:00"),
        # A toll-free number may be anywhere: from Newfoundland to Guam it must be day.
        ("+18005551234", "2026-01-12T12:00", "2026-01-12T17:00"),
    ],
)
def test_recipients_hours(contact: str, wished: str, leaves: str) -> None:
    assert may_leave(contact, wished) == at(leaves)


def test_each_area_code_is_of_one_state() -> None:
    codes = [code for _, each in quiethours.STATES.values() for code in each.split()]
    assert len(codes) == len(set(codes)) and all(len(code) == 3 and code.isdecimal() for code in codes)


def test_both_kinds_of_hours_are_kept_and_the_one_that_holds_is_named() -> None:
    office = json.dumps({"weekly": {"mon": [["10:00", "12:00"]]}})
    found = quiethours.honored(rules("+14155550123", business_hours_json=office))
    known = SendFacts(False, False, True, found, False, None, None)
    assert sendgate.decide_send(known, at("2026-06-01T09:30")) == Wait(at("2026-06-01T11:00"), "organization_hours")
    assert sendgate.decide_send(known, at("2026-06-01T10:30")) == Wait(at("2026-06-01T11:00"), "recipient_hours")


@pytest.mark.parametrize(
    ("sent_by", "minutes", "leaves"),
    [
        ("ai", 1, None),
        ("human", 29, None),
        ("ai", 31, "2026-06-02T08:00"),
        ("campaign", 1, "2026-06-02T08:00"),
    ],
)
def test_a_contact_who_has_just_written_at_night_is_answered_and_gets_no_campaign(
    sent_by: str, minutes: int, leaves: str | None
) -> None:
    night = at("2026-06-01T23:00")
    row = rules("+12125550123", last_inbound_at=night - minutes * MINUTE)
    facts = writing.facts(row, sent_by, True, None, None)
    decision = sendgate.decide_send(facts, night)
    assert decision == (sendgate.SEND if leaves is None else Wait(at(leaves), "recipient_hours"))
    # The carrier may try until the contact counts as asleep again.
    if leaves is None:
        assert facts.open_until(night, night + timedelta(hours=4)) == night + quiethours.AWAKE - minutes * MINUTE


def test_a_late_answer_waits_for_both_hours() -> None:
    """The organization's hours end before the contact is answered: by the time they begin, the contact sleeps again."""
    night = at("2026-06-01T23:00")
    office = json.dumps({"weekly": {"tue": [["06:00", "18:00"]]}})
    row = rules("+12125550123", last_inbound_at=night, business_hours_json=office)
    facts = writing.facts(row, "ai", True, None, None)
    assert sendgate.decide_send(facts, night) == Wait(at("2026-06-02T08:00"), "organization_hours")


def test_an_answer_by_day_may_arrive_until_the_evening() -> None:
    evening = at("2026-06-01T20:30")
    facts = writing.facts(rules("+12125550123", last_inbound_at=evening), "ai", True, None, None)
    assert facts.open_until(evening, evening + timedelta(hours=4)) == at("2026-06-01T21:00")


@pytest.mark.parametrize("contact", ["72345", "ACME", "anonymous"])
def test_a_contact_that_is_no_phone_number_has_the_organizations_hours(contact: str) -> None:
    assert [hours.zone.key for hours in quiethours.of_recipient(contact, "America/New_York")] == ["America/New_York"]


# --- every clock change


def changes(zone: ZoneInfo, year: int) -> list[datetime]:
    """The clock changes of a year, to the day."""
    days = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(366)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    return [days[n] for n in range(365) if offsets[n] != offsets[n + 1]]


def check(zone: ZoneInfo, day: datetime, step: int) -> None:
    """`next_open` is not before, inside, and the first; and what is open closes where `open_until` says."""
    start = day - timedelta(days=1)
    minutes = [start + n * MINUTE for n in range(4 * 24 * 60)]
    for span in SPANS:
        week = {each: [span] for each in opening.WEEKDAYS}
        parsed = opening.parse(json.dumps({"time_zone": zone.key, "weekly": week}), "UTC")
        is_open = [opening.is_open(parsed, minute) for minute in minutes]
        for n in range(0, 3 * 24 * 60, step):
            first = next((m for m in range(n, len(minutes)) if is_open[m]), None)
            if first is not None:
                assert opening.next_open(parsed, minutes[n]) == minutes[first], (zone.key, span, minutes[n])
            if is_open[n]:
                closes_is_right(parsed, minutes, is_open, n)


def closes_is_right(parsed: Hours, minutes: list[datetime], is_open: list[bool], n: int) -> None:
    latest = minutes[n] + timedelta(hours=10)
    closed = next((m for m in range(n, n + 600) if not is_open[m]), n + 600)
    assert opening.open_until([parsed], minutes[n], latest) == minutes[closed], (parsed.zone.key, minutes[n])


ZONES = sorted(
    name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix", "right"))
)


def test_next_open_over_some_clock_changes() -> None:
    chosen = {"America/New_York", "Australia/Lord_Howe", random.choice(ZONES)}
    for zone in map(ZoneInfo, chosen):
        for day in changes(zone, 2026)[:2]:
            check(zone, day, step=97)


@pytest.mark.fuzz
@pytest.mark.timeout(1200)
def test_next_open_over_every_clock_change() -> None:
    behaviors: dict[tuple[datetime, tuple[timedelta | None, ...]], ZoneInfo] = {}
    for zone in map(ZoneInfo, ZONES):
        for day in changes(zone, 2026):
            behaviors.setdefault(
                (day, tuple((day + n * timedelta(hours=6)).astimezone(zone).utcoffset() for n in range(8))), zone
            )
    assert len(behaviors) > 20
    for (day, _), zone in behaviors.items():
        check(zone, day, step=13)
