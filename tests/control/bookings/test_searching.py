"""A search computes week by week in turns, so that a large book holds neither the loop nor others' searches."""

import asyncio
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from unittest.mock import AsyncMock, Mock
from zoneinfo import ZoneInfo

import pytest

from control.bookings import searching, timetable
from control.bookings.searching import LONGEST_WINDOW, WEEK, TimeSearch, TimesWanted
from control.bookings.slots import ServiceTimes, Span
from control.bookings.timetable import Timetable
from hum import ids
from hum.clock import now
from hum.computing import ComputingTurns

HORIZON = timedelta(days=400)


class Book(Timetable):
    """A service that nobody can book, of an organization by its name."""

    def __init__(self, organization: str) -> None:
        super().__init__(
            Mock(), ServiceTimes(timedelta(minutes=30), horizon=HORIZON), ZoneInfo("UTC"), (), organization, None
        )

    async def occupied(self, *_: Any) -> list[list[Any]]:
        return []


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Span, bool]]:
    """The weeks that are searched: whose, which, and whether outside the loop's thread."""
    weeks = list[tuple[str, Span, bool]]()
    loops = threading.current_thread()

    def first(table: Timetable, _: Sequence[Any], week: Span, *__: Any) -> list[datetime]:
        weeks.append((table.organization_zone, week, threading.current_thread() is not loops))
        return []

    monkeypatch.setattr(searching, "_first", first)
    monkeypatch.setattr(timetable, "load", AsyncMock(side_effect=lambda _, organization, *__: Book(organization)))
    return weeks


async def test_a_search_of_a_year_gives_others_their_turn_after_each_week(
    searched: list[tuple[str, Span, bool]],
) -> None:
    search, since = TimeSearch(ComputingTurns()), now()

    def find(organization: Any, days: int) -> asyncio.Task[Any]:
        wanted = TimesWanted(ids.new(), since, since + timedelta(days=days), (), 50)
        return asyncio.create_task(search.find(Mock(), organization, wanted))

    large = [find("large", 31) for _ in range(3)]
    assert not (await find("small", 1)).times
    assert [name for name, *_ in searched].index("small") <= len(large)
    await asyncio.gather(*large)
    assert all(is_outside for *_, is_outside in searched)
    assert max(week[1] - week[0] for _, week, _ in searched) == WEEK


async def test_the_weeks_of_a_search_are_its_window_and_then_the_horizon(
    searched: list[tuple[str, Span, bool]],
) -> None:
    since = now()
    wanted = TimesWanted(ids.new(), since, since + LONGEST_WINDOW, (), 50)
    found = await TimeSearch(ComputingTurns()).find(Mock(), Mock(), wanted)
    assert (found.times, found.next, found.has_more) == ([], None, False)
    weeks = [week for _, week, _ in searched]
    assert weeks[0][0] >= since and all(one[1] == other[0] for one, other in pairwise(weeks))
    assert timedelta() < weeks[-1][1] - (since + HORIZON) < timedelta(minutes=2)


async def test_a_search_ends_with_the_week_that_has_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    weeks, at = list[Span](), datetime(2099, 1, 1, tzinfo=UTC)

    def first(_: Timetable, __: Sequence[Any], week: Span, ___: datetime, limit: int) -> list[datetime]:
        weeks.append(week)
        return [at] * min(limit, 3)

    monkeypatch.setattr(searching, "_first", first)
    monkeypatch.setattr(timetable, "load", AsyncMock(side_effect=lambda _, organization, *__: Book(organization)))
    since = now()
    found = await TimeSearch(ComputingTurns()).find(
        Mock(), Mock(), TimesWanted(ids.new(), since, since + 3 * WEEK, (), 4)
    )
    assert (len(found.times), found.has_more, len(weeks)) == (4, True, 2)
