"""Callers of a clinic in a process of its own: each wants one of ten times, and books it or is told other ones.

python -m tests.control.bookings.callers URL ORGANIZATION SERVICE FIRST COUNT
"""

import asyncio
import json
import sys
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from control.bookings import reserving
from control.bookings.reserving import WantedTime
from control.bookings.searching import TimeSearch, TimesWanted
from hum import ids
from hum.computing import ComputingTurns
from hum.contract.errors import TimeTaken
from storage.appointments import AppointmentPerson, Holding
from storage.booking_claims import EXCLUSIONS
from storage.db import Db

PATIENT = AppointmentPerson("Ann Lee")


async def call(db: Db, org: UUID, service: UUID, first: datetime, number: int) -> str:
    """Return how a call ended."""
    start = first + number % 10 * timedelta(minutes=30)
    try:
        async with db.tenant(org) as tx:
            held = await reserving.hold(tx, org, WantedTime(service, start), Holding(holder=f"call:{ids.new()}"))
    except TimeTaken:
        wanted = TimesWanted(service, first, first + timedelta(days=7), (), 4)
        async with db.tenant(org) as tx:
            others = (await TimeSearch(ComputingTurns()).find(tx, org, wanted)).times
        return "told others" if len(others) == 4 and start not in others else "lost"
    except asyncpg.PostgresError as error:
        return type(error).__name__
    async with db.tenant(org) as tx:
        row, _ = await reserving.book(tx, held.id, PATIENT, "caller", needs_approval=False)
    return row.state


async def main(url: str, org: str, service: str, first: str, count: str) -> None:
    db = await Db.open(url, size=6, lock_seconds=60, statement_seconds=60)
    calls = (call(db, UUID(org), UUID(service), datetime.fromisoformat(first), number) for number in range(int(count)))
    ends = Counter(await asyncio.gather(*calls))
    await db.close()
    [[exclusions]] = [
        [sample.value for sample in metric.samples if sample.name.endswith("_total")] for metric in EXCLUSIONS.collect()
    ]
    sys.stdout.write(json.dumps({**ends, "exclusions": exclusions}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
