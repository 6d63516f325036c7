"""A thousand callers for ten times, from four processes."""

import asyncio
import json
import sys
from collections import Counter

import pytest

from tests.control.bookings.conftest import Clinic


async def call(clinic: Clinic, count: int) -> dict[str, int]:
    arguments = (clinic.url, clinic.org, clinic.service, clinic.morning.isoformat(), count)
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.control.bookings.callers"), *map(str, arguments), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await program.communicate()
    ends: dict[str, int] = json.loads(out)
    return ends


@pytest.mark.strain
async def test_of_a_thousand_callers_ten_book_and_the_others_are_told_of_other_times(clinic: Clinic) -> None:
    total = Counter[str]()
    for ends in await asyncio.gather(*(call(clinic, 250) for _ in range(4))):
        total.update(ends)
    assert total == Counter({"booked": 10, "told others": 990, "exclusions": 0})
    assert await clinic.states() == {"booked": 10}
    assert await clinic.overlaps() == 0
    [[deadlocks]] = await clinic.fetch("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert deadlocks == 0
