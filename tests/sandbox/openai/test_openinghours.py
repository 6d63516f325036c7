"""The hours that the stand-in reads."""

from datetime import date

import pytest

from sandbox.openai import openinghours
from sandbox.openai.openinghours import DAYS

TODAY = date(2026, 12, 2)
WEEKDAYS = DAYS[:5]


def weekly(*of: tuple[tuple[str, ...], list[list[str]]]) -> dict[str, list[list[str]]]:
    return {day: spans for days, spans in of for day in days}


LUNCH = [["08:00", "12:00"], ["13:00", "17:00"]]
NINE_TO_FIVE = [["09:00", "17:00"]]


@pytest.mark.parametrize(
    ("text", "week", "holidays"),
    [
        ("8am to 12pm and 1pm to 5pm, Monday to Friday, closed December 25", weekly((WEEKDAYS, LUNCH)), ["2026-12-25"]),
        ("Open Monday to Friday 8 to 12 and 1 to 5.", weekly((WEEKDAYS, LUNCH)), []),
        ("Mon-Fri 8-12, 13-17, Sat 9-noon; closed Sundays.", weekly((WEEKDAYS, LUNCH), (("sat",), [["09:00", "12:00"]])), []),
        ("Open weekdays 8 to 5. Closed for lunch from 12 to 1.", weekly((WEEKDAYS, LUNCH)), []),
        ("Open 9 to 5 on weekdays, weekends closed.", weekly((WEEKDAYS, NINE_TO_FIVE)), []),
        ("Every day 9 a.m. to 5 p.m. Closed Christmas and New Year's Day.", weekly((DAYS, NINE_TO_FIVE)), ["2026-12-25", "2027-01-01"]),
        ("Monday 9-5. Closed 24 December 2026, closed July 4th.", weekly((("mon",), NINE_TO_FIVE)), ["2026-12-24", "2027-07-04"]),
        ("Closed February 30. Monday 9-5.", weekly((("mon",), NINE_TO_FIVE)), []),
        ("Fri to Sun, 6pm - midnight", weekly((DAYS[4:], [["18:00", "24:00"]])), []),
        ("Monday 8 to 12, Monday 10 to 2", weekly((("mon",), [["08:00", "12:00"]])), []),
        ("Call 317-555-0188 on Monday. Visits take 2 to 3 weeks.", {}, []),
        ("open all week", {}, []),
    ],
)  # fmt: skip
def test_hours_are_read(text: str, week: dict[str, list[list[str]]], holidays: list[str]) -> None:
    hours = openinghours.read(text, TODAY)
    assert (hours.weekly, hours.holidays) == (week, holidays)


def test_without_a_day_only_dates_with_a_year_are_known() -> None:
    assert openinghours.read("Closed December 24, 2026 and December 25.", None).holidays == ["2026-12-24"]
