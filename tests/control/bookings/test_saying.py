"""Sentences of times in six languages, the days that callers wish for, and texts that claim a booking."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from control.bookings import promises, saying, wishes
from control.flows import phrases

NEW_YORK, BERLIN = ZoneInfo("America/New_York"), ZoneInfo("Europe/Berlin")
AT = datetime(2027, 3, 9, 14, 30, tzinfo=NEW_YORK)
BEFORE = AT - timedelta(days=8)


@pytest.mark.parametrize(
    ("language", "sentence", "early"),
    [
        ("en-US", "Tuesday, March 9, at 2:30 PM", "tomorrow, Monday, March 1, at 1 AM"),
        ("es", "martes 9 de marzo, a las 2:30 de la tarde", "mañana, lunes 1 de marzo, a la 1 de la mañana"),
        ("fr", "mardi 9 mars à 14 h 30", "demain, lundi 1er mars à 1 h"),
        ("de-AT", "Dienstag, 9. März, um 14:30 Uhr", "morgen, Montag, 1. März, um 1 Uhr"),
        ("it", "martedì 9 marzo alle 14:30", "domani, lunedì 1 marzo all'1"),
        ("pt-BR", "terça-feira, 9 de março, às 14h30", "amanhã, segunda-feira, 1 de março, à 1h"),
        ("xx", "Tuesday, March 9, at 2:30 PM", "tomorrow, Monday, March 1, at 1 AM"),
        (None, "Tuesday, March 9, at 2:30 PM", "tomorrow, Monday, March 1, at 1 AM"),
    ],
)
def test_a_time_is_said_in_each_language(language: str | None, sentence: str, early: str) -> None:
    assert saying.when(AT, NEW_YORK, BEFORE, language) == sentence
    first = datetime(2027, 3, 1, 1, tzinfo=NEW_YORK)
    assert saying.when(first, NEW_YORK, first - timedelta(hours=5), language) == early


def test_the_languages_are_those_of_the_prompts() -> None:
    assert saying._WORDINGS.keys() == phrases._PHRASES.keys()


def test_tomorrow_is_a_day_of_the_organization_and_not_24_hours() -> None:
    late = datetime(2027, 3, 8, 23, 50, tzinfo=NEW_YORK)
    assert saying.when(late + timedelta(minutes=20), NEW_YORK, late, "en").startswith("tomorrow, Tuesday")
    assert saying.when(late + timedelta(minutes=5), NEW_YORK, late, "en").startswith("today, Monday")
    assert saying.when(AT, NEW_YORK, AT - timedelta(days=360), "en") == "Tuesday, March 9 2027, at 2:30 PM"


def test_the_zone_is_named_only_to_who_is_elsewhere() -> None:
    assert saying.when(AT, NEW_YORK, BEFORE, "en", (BERLIN,)).endswith("PM, New York time")
    assert not saying.when(AT, NEW_YORK, BEFORE, "en", (BERLIN, ZoneInfo("America/Toronto"))).endswith("time")


def test_a_list_of_times_has_an_or() -> None:
    assert [saying.choice(list(each), "de") for each in ("", "a", "ab", "abc")] == [
        "",
        "a",
        "a; oder b",
        "a; b; oder c",
    ]


@pytest.mark.parametrize(
    ("day", "expected", "is_exact"),
    [
        ("today", date(2027, 3, 1), True),
        ("tomorrow", date(2027, 3, 2), True),
        ("mon", date(2027, 3, 1), True),
        ("sun", date(2027, 3, 7), True),
        ("2027-03-09", date(2027, 3, 9), True),
        ("2027-02-27", date(2027, 3, 1), False),
        ("2027-02-30", date(2027, 3, 1), False),
        ("2027-03-32", date(2027, 3, 31), False),
        ("9999-12-31", date(2027, 4, 30), False),
        ("9999-12-32", date(2027, 4, 30), False),
        ("0000-00-00", date(2027, 3, 1), False),
    ],
)
def test_the_day_of_a_wish(day: str, expected: date, is_exact: bool) -> None:
    now = datetime(2027, 3, 1, 23, 30, tzinfo=NEW_YORK)
    wish = wishes.window(day, NEW_YORK, now, now, now + timedelta(days=60))
    assert (wish.since.astimezone(NEW_YORK).date(), wish.is_exact) == (expected, is_exact)
    assert wish.until.astimezone(NEW_YORK).date() == expected + timedelta(days=1)


def test_the_day_of_a_clock_change_has_23_hours() -> None:
    wish = wishes.window("2027-03-14", NEW_YORK, BEFORE, BEFORE, BEFORE + timedelta(days=60))
    assert wish.until - wish.since == timedelta(hours=23)


def test_four_times_are_told_spread_over_all() -> None:
    starts = [datetime(2027, 3, 9, hour, tzinfo=UTC) for hour in range(8, 18)]
    assert [start.hour for start in wishes.told(starts, ())] == [8, 11, 14, 17]
    assert [start.hour for start in wishes.told(starts, starts[:7])] == [15, 16, 17]


def test_without_a_wish_for_a_day_the_soonest_two_are_told() -> None:
    starts = [datetime(2027, 3, day, hour, tzinfo=UTC) for day in (9, 10, 11) for hour in (14, 20)]
    assert wishes.soonest(starts, NEW_YORK) == starts[:4]


@pytest.mark.parametrize(
    "text",
    [
        "Ann Lee booked a check-up on Tuesday at 2:30 PM.",
        "The appointment was moved to Friday. She thanked us.",
        "The caller's cleaning is scheduled for Monday.",
        "Se agendó: la cita quedó reservada para el martes.",
        "Le rendez-vous est confirmé pour mardi.",
        "Der Termin wurde auf Freitag verschoben.",
        "L'appuntamento è stato fissato per martedì.",
        "A consulta foi marcada para terça-feira.",
    ],
)
def test_texts_that_claim_a_booking(text: str) -> None:
    assert promises.claims([text])


@pytest.mark.parametrize(
    "text",
    [
        "The caller asked about opening hours.",
        "The caller wants to book an appointment; somebody must call back.",
        "No appointment was booked.",
        "The appointment could not be booked since no time was free.",
        "She asked whether her appointment is confirmed.",
        "Der Termin konnte nicht gebucht werden.",
        "El turno no fue reservado.",
        "She left a message.",
        "",
    ],
)
def test_texts_that_claim_none(text: str) -> None:
    assert not promises.claims([text])
