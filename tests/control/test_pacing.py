"""How often a step looks, in virtual time: a clock that the test moves."""

import asyncio

import pytest

from control.outlook import Outlook
from control.pacing import ACTIVE, HINT_MS, JITTER, NET_SECONDS, SHARE, Activity, ActivityHints, StepPace
from storage.db import Db
from tests.support.waits import until


class MovedClock:
    """Milliseconds, which pass when the test says so."""

    def __init__(self) -> None:
        self.ms = 0.0

    def __call__(self) -> float:
        return self.ms


class HintedBus:
    """A bus that counts what is published."""

    def __init__(self) -> None:
        self.channels: list[str] = []

    async def publish(self, channel: object, _: object) -> bool:
        assert channel is ACTIVE
        self.channels.append("hum_active")
        return True


@pytest.mark.parametrize(("every_seconds", "quiet_seconds", "waits_seconds"), [
    (0.1, 0.0, 0.1), (0.1, 1.0, 0.1), (0.1, 60.0, 6.0), (10.0, 60.0, 10.0), (10.0, 600.0, 60.0), (0.1, 1e6, NET_SECONDS),
    (3600.0, 1e6, 3600.0),
])  # fmt: skip
def test_a_step_waits_a_share_of_the_quiet_time(
    every_seconds: float, quiet_seconds: float, waits_seconds: float
) -> None:
    clock = MovedClock()
    activity = Activity(clock)
    pace = StepPace(activity, every_seconds, chance=lambda: 0.0)
    clock.ms += quiet_seconds * 1000
    assert pace.wait_seconds() == pytest.approx(waits_seconds)
    jittered = StepPace(activity, every_seconds, chance=lambda: 1.0).wait_seconds()
    assert jittered == pytest.approx(max(every_seconds, min(NET_SECONDS, SHARE * quiet_seconds) * (1 - JITTER)))
    activity.note()
    assert pace.wait_seconds() == every_seconds


async def test_what_happens_ends_a_long_wait() -> None:
    clock = MovedClock()
    activity, stop = Activity(clock), asyncio.Event()
    pace = StepPace(activity, 0.01, chance=lambda: 0.5)
    clock.ms += 3_600_000
    resting = asyncio.create_task(pace.rest(stop))
    await until(lambda: bool(activity._waiting))
    activity.note()
    assert await resting is False, "a hint told of it, and not the net"
    assert not activity._waiting

    clock.ms += 3_600_000
    resting = asyncio.create_task(pace.rest(stop))
    await until(lambda: bool(activity._waiting))
    stop.set()
    assert await resting is False

    activity.note()
    clock.ms += 200
    assert await StepPace(activity, 0.001, chance=lambda: 0.5).rest(asyncio.Event()) is True, "only the net"


async def test_control_hints_once_a_second() -> None:
    clock, bus = MovedClock(), HintedBus()
    hints = ActivityHints(bus, clock)  # type: ignore[arg-type]
    for _ in range(50):
        hints.note()
        await asyncio.sleep(0)
    assert len(bus.channels) == 1
    clock.ms += HINT_MS
    hints.note()
    await asyncio.sleep(0)
    assert len(bus.channels) == 2


async def test_an_idle_worker_sees_what_no_hint_told_of(database_url: str) -> None:
    clock = MovedClock()
    activity, db = Activity(clock), await Db.open(database_url, size=1)
    outlook = Outlook(db, activity, [])
    await outlook.look()
    clock.ms += 60_000
    await outlook.look()
    assert activity.quiet_seconds == 60
    async with db.system() as tx:
        await tx.fetchval("SELECT nextval('events_places')")
    await outlook.look()
    assert activity.quiet_seconds == 0
    await db.close()


async def test_a_due_time_is_kept(database_url: str) -> None:
    clock = MovedClock()
    activity, db = Activity(clock), await Db.open(database_url, size=1)

    async def due(_: object) -> float:
        return 0.05

    async def never(_: object) -> None:
        return None

    outlook = Outlook(db, activity, [never, due])
    await outlook.look()
    clock.ms += 60_000
    await until(lambda: activity.quiet_seconds == 0)
    outlook.close()
    await db.close()
