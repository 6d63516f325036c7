"""Lists of the carrier's calls, which answer for many orphaned calls at once."""

import asyncio
from datetime import datetime

import pytest

from control.calls import orphans
from control.clients.twilio import CarrierCall
from hum import ids
from hum.clock import now
from hum.contract.errors import CarrierError
from tests.control.test_orphans import Desk, desk
from tests.support.endings import ends_are_told
from tests.support.waits import until

__all__ = ["desk", "ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")


async def test_one_list_of_the_carrier_answers_for_all_calls_that_go_on(desk: Desk) -> None:
    many = 30
    for n in range(many):
        desk.call = ids.new()
        await desk.call_of("media-1", f"CA{n}")
        desk.carrier.calls[f"CA{n}"] = CarrierCall("in-progress", None)
    desk.carrier.calls[f"CA{many - 1}"] = CarrierCall("completed", now())
    for _ in range(2):
        await desk.sweep()
        await desk.later(desk.settings.link_lost_seconds + 1)
    assert (desk.carrier.listed, desk.carrier.asked) == (["", ""], [f"CA{many - 1}"] * 2)
    assert (await desk.record()).status == "completed"
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM calls WHERE status = 'in_progress'") == many - 1


async def test_two_lists_of_the_carrier_answer_for_all_calls_when_many_are_over(desk: Desk) -> None:
    many, over_at = 50, now().replace(microsecond=0)
    for n in range(many):
        desk.call = ids.new()
        await desk.call_of("media-1", f"CA{n}")
        is_over = n < many - 5
        desk.carrier.calls[f"CA{n}"] = CarrierCall(
            "completed" if is_over else "in-progress", over_at if is_over else None
        )
    asked_since = list[datetime]()
    completed = desk.carrier.completed_calls

    async def recorded(since: datetime, account: str = "") -> list[CarrierCall]:
        asked_since.append(since)
        return await completed(since, account)

    desk.carrier.completed_calls = recorded  # type: ignore[method-assign]
    assert await desk.sweep() == 0, "their media process may come back with what it has to report"
    await desk.later(desk.settings.link_lost_seconds + 1)
    assert await desk.sweep() == many - 5
    assert (desk.carrier.listed, desk.carrier.asked) == (["", "completed"] * 2, [])
    async with desk.db.system() as tx:
        rows = await tx.fetch("SELECT status, end_reason, ended_at, created_at FROM calls WHERE ended_at IS NOT NULL")
    assert {tuple(row)[:3] for row in rows} == {("completed", "stream_lost", over_at)}
    assert max(asked_since) < min(row["created_at"] for row in rows), "the carrier has a call before we do"


async def test_lists_that_the_carrier_does_not_answer_cost_one_time_out(desk: Desk) -> None:
    """All accounts' together; then each call is asked about."""
    many, hangs, listed = orphans.LISTED_FROM, asyncio.Event(), list[str]()
    for n in range(2 * many):
        desk.call = ids.new()
        await desk.call_of("media-1", f"CA{n}")
        desk.carrier.calls[f"CA{n}"] = CarrierCall("in-progress", None)
    async with desk.db.system() as tx:
        await tx.execute("UPDATE calls SET carrier_account = 'AC' || right(call_sid, 1)::integer % 2")

    async def hang(account: str = "") -> frozenset[str]:
        listed.append(account)
        await hangs.wait()
        raise CarrierError("The carrier did not respond: TimeoutError.")

    desk.carrier.calls_in_progress = hang  # type: ignore[method-assign]
    sweeping = asyncio.create_task(desk.sweep())
    await until(lambda: len(listed) == 2)
    assert desk.carrier.asked == []
    hangs.set()
    assert await sweeping == 0
    assert sorted(listed) == ["AC0", "AC1"] and desk.carrier.listed == []
    assert sorted(desk.carrier.asked) == sorted(desk.carrier.calls)


async def test_a_carrier_that_can_not_list_is_asked_singly(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(orphans.LISTED_FROM):
        desk.call = ids.new()
        await desk.call_of("media-1", f"CA{n}")
        desk.carrier.calls[f"CA{n}"] = CarrierCall("in-progress", None)

    async def refuse(_account: str) -> frozenset[str]:
        raise CarrierError("The carrier did not respond.")

    monkeypatch.setattr(desk.carrier, "calls_in_progress", refuse)
    await desk.sweep()
    assert len(desk.carrier.asked) == orphans.LISTED_FROM
