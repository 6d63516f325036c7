"""Searches for free times: week by week, each in a turn of its own, since a service may take hundreds of resources."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from uuid import UUID

from control.bookings import slots, timetable
from control.bookings.slots import ResourceTimes, Span
from control.bookings.timetable import Timetable
from control.bookings.usecases import require_order
from hum.clock import now
from hum.computing import ComputingTurns
from storage.db import Tx

#: The longest window of a search.
LONGEST_WINDOW = timedelta(days=31)
#: What is searched in one turn.
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class FreeTimes:
    """The starts that a search found."""

    times: Sequence[datetime]
    duration: timedelta
    zone: str
    has_more: bool
    #: Without a start in the window: the first one after it, if there is one up to the horizon.
    next: datetime | None


@dataclass(frozen=True, slots=True)
class TimesWanted:
    """A search for the starts of a service."""

    service_id: UUID
    since: datetime
    until: datetime
    resources: Sequence[UUID]
    limit: int


class TimeSearch:
    """Searches, whose turns all organizations share."""

    def __init__(self, turns: ComputingTurns) -> None:
        self._turns = turns

    async def find(self, tx: Tx, organization: UUID, wanted: TimesWanted) -> FreeTimes:
        """Return the starts of a service in a window.  Raises NotFound, InvalidRequest."""
        require_order("until", (wanted.since, wanted.until), LONGEST_WINDOW)
        table = await timetable.load(tx, organization, wanted.service_id, wanted.resources)
        at = now()
        found = await self._starts(tx, table, (wanted.since, wanted.until), at, wanted.limit + 1)
        following = () if found else await self._starts(tx, table, (wanted.until, table.times.last(at) + WEEK), at, 1)
        return FreeTimes(
            times=found[: wanted.limit],
            duration=table.times.duration,
            zone=table.zone.key,
            has_more=len(found) > wanted.limit,
            next=next(iter(following), None),
        )

    async def _starts(self, tx: Tx, table: Timetable, window: Span, at: datetime, limit: int) -> list[datetime]:
        """Return the first starts in a window."""
        since = max(window[0], table.times.first(at))
        until = min(window[1], table.times.last(at) + timedelta(minutes=1))
        found = list[datetime]()
        while since < until and len(found) < limit:
            week = since, min(since + WEEK, until)
            groups = await table.occupied(tx, timetable.window(table.times, *week))
            found += await self._turns.take(partial(_first, table, groups, week, at, limit - len(found)))
            since = week[1]
        return found


def _first(
    table: Timetable, groups: Sequence[Sequence[ResourceTimes]], window: Span, at: datetime, limit: int
) -> list[datetime]:
    return list(islice(slots.starts(table.times, groups, table.zone, window, at), limit))
