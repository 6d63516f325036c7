"""Dispatchers that are killed between any two of their steps: one text for each recipient, whoever carries on."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from control.campaigns.dispatching import Dispatcher
from hum.contract.errors import InvalidState
from storage.db import BUSY
from tests.control.campaigns.conftest import Campaigning, contact
from tests.support.examples import sample
from tests.support.kills import Killed, kill_after
from tests.support.waits import patience

RECIPIENTS = 60
#: Each function that a dispatcher calls between two of its steps, as `module:name`.
STEPS = (
    "storage.campaigns:lock_next",
    "storage.campaigns:set_pace",
    "storage.campaigns:start",
    "storage.recipients:outcomes",
    "storage.recipients:due",
    "storage.conversations:find_or_create_all",
    "storage.recipients:lock_pending",
    "storage.messages:write_all",
    "storage.conversations:touch_all",
    "storage.events:append_all",
    "control.texts.writing:write_all",
    "storage.recipients:record_results",
    "storage.recipients:end_erased",
    "storage.campaigns:schedule_visit",
    "storage.campaigns:complete",
)


async def worker(campaigning: Campaigning, id: Any, ended: asyncio.Event) -> None:
    """Dispatch until the campaign is over; a killed dispatcher is followed by another."""
    while not ended.is_set():
        try:
            await campaigning.due_now(id)
            await Dispatcher(campaigning.db, campaigning.limits).dispatch()
        except (Killed, *BUSY):
            continue
        await asyncio.sleep(0)


async def carrier(campaigning: Campaigning, id: Any, ended: asyncio.Event) -> None:
    """Send what is written, until the campaign is over."""
    while not ended.is_set():
        await campaigning.told(await campaigning.take(20), "delivered")
        if (await campaigning.get(id)).status == "completed":
            ended.set()


async def finish(campaigning: Campaigning, id: Any, workers: int) -> None:
    ended = asyncio.Event()
    async with patience(), asyncio.TaskGroup() as group:
        group.create_task(carrier(campaigning, id, ended))
        for _ in range(workers):
            group.create_task(worker(campaigning, id, ended))


async def require_each_once(campaigning: Campaigning, id: Any, count: int = RECIPIENTS) -> None:
    assert await campaigning.texted() == [contact(n) for n in range(count)]
    row = await campaigning.get(id)
    assert (row.status, row.delivered, row.total) == ("completed", count, count)


@pytest.mark.sampled
@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.chaos), 3])
@pytest.mark.parametrize("step", sample(STEPS, 3))
async def test_killed_after_a_step(
    campaigning: Campaigning, monkeypatch: pytest.MonkeyPatch, step: str, workers: int
) -> None:
    id = await campaigning.launched(RECIPIENTS, throttle_per_minute=6000)
    seen = kill_after(monkeypatch, step, frozenset({1, 2, 5, 30}))
    await finish(campaigning, id, workers)
    assert seen["kills"] > 0
    await require_each_once(campaigning, id)


async def test_killed_again_and_again_while_people_pause_and_resume(
    campaigning: Campaigning, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = await campaigning.launched(RECIPIENTS)
    for step in STEPS[4:12]:
        kill_after(monkeypatch, step, frozenset(range(3, 90, 7)))
    ended = asyncio.Event()

    async def person() -> None:
        for _ in range(5):
            if (await campaigning.get(id)).status in {"queued", "running"}:
                with suppress(InvalidState):  # it was completed this very moment
                    await campaigning.pause(id)
                    await campaigning.launch(id)
            await asyncio.sleep(0.02)

    async with patience(), asyncio.TaskGroup() as group:
        group.create_task(carrier(campaigning, id, ended))
        group.create_task(person())
        for _ in range(3):
            group.create_task(worker(campaigning, id, ended))
    await require_each_once(campaigning, id)


async def test_the_database_allows_no_second_text(campaigning: Campaigning) -> None:
    """Even a dispatcher that forgot everything could not write another."""
    id = await campaigning.launched(2)
    await campaigning.dispatch(id)
    async with campaigning.db.system() as tx:
        await tx.execute("UPDATE campaign_recipients SET status = 'pending', message_id = NULL")
    for _ in range(4):
        await campaigning.dispatch(id)
    async with campaigning.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM messages") == 2
