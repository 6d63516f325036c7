"""An event's agent that may not do everything alone: its run waits for a person, and goes on with what was decided."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from control.approvals import expiry, present, usecases
from control.approvals import summaries as approval_rules
from control.approvals.executor import DecisionExecutor
from control.bus import PostgresBus
from control.eventagents import eventmatching
from control.livecall.commands import Commands
from hum import ids
from hum.ids import Kind
from storage import approvals, erasures
from storage.approvals import ApprovalRow
from tests.control.eventagents.conftest import SETTINGS, Floor
from tests.control.textagent.conftest import call
from tests.support.waits import patience

WAITS = "waiting_for_approval"


async def wishes(floor: Floor) -> list[ApprovalRow]:
    """The oldest first."""
    async with floor.db.tenant(floor.org) as tx:
        return (await approvals.page(tx, None, None, (None, None), 50))[::-1]


async def decide(floor: Floor, id: UUID, approved: bool = True) -> None:
    async with floor.db.tenant(floor.org) as tx:
        await (usecases.approve(tx, id, "Ada", None) if approved else usecases.deny(tx, id, "Ada", "Too old."))


def executor(floor: Floor) -> DecisionExecutor:
    commands = Commands(floor.db, PostgresBus(floor.db, retry_seconds=1), SETTINGS)
    return DecisionExecutor(floor.db, floor.registry, commands, SETTINGS)


async def work(floor: Floor, id: UUID) -> None:
    """What a worker does once it is decided."""
    await executor(floor).execute(floor.org, id)


async def asked(floor: Floor, *orders: int) -> list[ApprovalRow]:
    """An event's agent has shipped, asked for refunds, and written what waits."""
    await floor.flow("external.paid")
    await floor.happen()
    floor.model.answers = [
        [call("ship", order=7)],
        [call("refund", order=order) for order in orders],
        "Shipped; the refund waits.",
    ]
    assert await floor.take() == [None]
    return await wishes(floor)


async def waits_for_a_lock(floor: Floor) -> bool:
    async with floor.db.system() as tx:
        return bool(await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))


def developer(question: Any) -> list[str]:
    return [item["content"] for item in question.items if item.get("role") == "developer"]


async def completed(floor: Floor) -> list[dict[str, Any]]:
    rows = await floor.rows("SELECT data FROM events WHERE type = 'agent.run_completed' ORDER BY id")
    return [json.loads(row["data"]) for row in rows]


async def test_a_run_waits_for_a_person_and_goes_on_with_what_came_of_it(floor: Floor) -> None:
    (wish,) = await asked(floor, 7)
    (run,) = await floor.all_runs()
    assert (run["status"], run["finished_at"], run["result"]) == (WAITS, None, "Shipped; the refund waits.")
    assert (wish.subject.event_run_id, wish.subject.call_id, wish.state) == (run["id"], None, "pending")
    shown, named = present.approval(wish), ids.show(Kind.RUN, run["id"])
    assert (shown.run_id, shown.summary) == (named, "Shipping wants to use refund: Refunds an order.")
    (told,) = await floor.rows("SELECT data FROM events WHERE type = 'approval.requested'")
    assert json.loads(told["data"])["run_id"] == named
    assert floor.refunded == [] and await completed(floor) == [] and await floor.take() == [], "it holds nothing"

    await decide(floor, wish.id)
    assert await floor.take() == [] and floor.refunded == [], "the tool comes first"
    await work(floor, wish.id)
    await work(floor, wish.id)  # its job came twice
    assert floor.refunded == [{"order": 7}]
    floor.model.answers = ["Order 7 is shipped and refunded."]
    assert await floor.take() == [None]
    assert floor.shipped == [{"order": 7}] and floor.refunded == [{"order": 7}], "nothing is done again"
    last = floor.model.asked[-1]
    kinds = [item.get("type") or item["role"] for item in last.items]
    calls = ["function_call", "function_call_output"] * 2
    assert kinds == ["user", *calls, "assistant", "developer"], "its own words, and what its tools did"
    (news,) = developer(last)
    assert "a person approved it" in news and '"refunded": 7' in news and "tok-77" not in news
    (run,) = await floor.all_runs()
    assert (run["status"], run["result"]) == ("completed", "Order 7 is shipped and refunded.")
    assert (run["input_tokens"], run["output_tokens"]) == (400, 40), "of both parts"
    assert [each["status"] for each in await completed(floor)] == ["completed"]
    tools = await floor.rows(
        "SELECT name, channel, approval_id FROM tool_runs WHERE run_id = $1 ORDER BY id", run["id"]
    )
    assert [tuple(each) for each in tools] == [
        ("ship", "event", None),
        ("refund", "event", None),
        ("refund", "event", wish.id),
    ]
    (row,) = await wishes(floor)
    assert row.state == "done" and row.told_at is not None
    assert await floor.take() == []


@pytest.mark.parametrize("end", ["denied", "expired"])
async def test_a_denial_is_told_too(floor: Floor, end: str) -> None:
    (wish,) = await asked(floor, 7)
    if end == "denied":
        await decide(floor, wish.id, approved=False)
    else:
        await floor.rows("UPDATE approvals SET expires_at = now() - interval '1 second' RETURNING id")
        await expiry.close_overdue(floor.db)
    assert await floor.take() == [None]
    (news,) = developer(floor.model.asked[-1])
    assert ("Too old." if end == "denied" else "nobody decided in time") in news and floor.refunded == []
    assert [run["status"] for run in await floor.all_runs()] == ["completed"]


async def test_it_goes_on_once_when_all_is_decided_even_at_the_same_moment(floor: Floor) -> None:
    one, other = await asked(floor, 7, 8)
    async with floor.db.tenant(floor.org) as first:
        await usecases.deny(first, one.id, "Ada", None)
        second = asyncio.create_task(decide(floor, other.id, approved=False))
        async with patience():
            while not second.done() and not await waits_for_a_lock(floor):
                await asyncio.sleep(0.01)
    await second
    async with floor.db.system() as tx:
        jobs = await tx.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", eventmatching.RUN.name)
    assert jobs == 2, "the first, and one to go on"
    assert await floor.take() == [None] and await floor.take() == []
    assert len(developer(floor.model.asked[-1])) == 2


async def test_while_one_is_undecided_it_waits(floor: Floor) -> None:
    one, other = await asked(floor, 7, 8)
    await decide(floor, one.id)
    await decide(floor, other.id, approved=False)
    assert await floor.take() == [], "the tool has not run yet"
    await work(floor, one.id)
    assert await floor.take() == [None]


async def test_an_agent_that_asks_again_and_again_comes_to_an_end(floor: Floor) -> None:
    (first,) = await asked(floor, 7)
    await decide(floor, first.id, approved=False)
    floor.model.answers = [[call("refund", order=8)], "I ask once more."]
    assert await floor.take() == [None]
    assert [run["status"] for run in await floor.all_runs()] == [WAITS]
    await decide(floor, (await wishes(floor))[1].id, approved=False)
    floor.model.answers = [[call("refund", order=9)], "Then not."]
    assert await floor.take() == [None]
    output = json.loads(floor.model.asked[-1].items[-1]["output"])
    assert "Too much waits" in output["error"] and len(await wishes(floor)) == 2
    assert [(run["status"], run["result"]) for run in await floor.all_runs()] == [("completed", "Then not.")]


async def test_a_run_that_comes_to_nothing_has_asked_for_nothing(floor: Floor) -> None:
    floor.limit(attempts=1)
    await floor.flow("external.paid")
    await floor.happen()
    floor.model.answers = [[call("refund", order=7)], RuntimeError("gone")]
    with pytest.raises(RuntimeError):
        await floor.take()
    assert await wishes(floor) == []


async def test_a_worker_that_dies_while_it_goes_on_loses_nothing(floor: Floor) -> None:
    """What the tools did before it waited does not count as done by the attempt that was lost."""
    (wish,) = await asked(floor, 7)
    await decide(floor, wish.id)
    await work(floor, wish.id)
    entered, never = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        entered.set()
        await never.wait()

    floor.model.meanwhile = hang
    (run,) = await floor.all_runs()
    dying = asyncio.create_task(floor.runs.run(floor.org, run["id"]))
    await entered.wait()
    dying.cancel()
    await asyncio.gather(dying, return_exceptions=True)
    floor.stuck = timedelta()
    assert await floor.runs.requeue_stuck() == 1
    assert await floor.take() == [None]
    (run,) = await floor.all_runs()
    assert (run["status"], run["attempts"], len(floor.refunded)) == ("completed", 2, 1)
    assert len(developer(floor.model.asked[-1])) == 1, "it is told again, for nobody knew it yet"


async def test_what_was_approved_after_a_day_and_whose_worker_died_is_taken_up(floor: Floor) -> None:
    (wish,) = await asked(floor, 7)
    await floor.rows("UPDATE approvals SET created_at = created_at - interval '25 hours' RETURNING id")
    await decide(floor, wish.id)
    async with floor.db.tenant(floor.org) as tx:
        assert await approvals.begin(tx, wish.id)
    ago = "interval '2 minutes'"
    await floor.rows(f"UPDATE approvals SET begun_at = begun_at - {ago}, touched_at = touched_at - {ago} RETURNING id")
    await executor(floor).requeue_stalled()
    async with floor.db.system() as tx:
        jobs = await tx.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", approval_rules.WORK.name)
    assert jobs == 2, "of the decision, and of the look"
    await work(floor, wish.id)
    assert await floor.take() == [None]
    (news,) = developer(floor.model.asked[-1])
    assert "not known whether" in news and floor.refunded == []


async def test_what_waits_goes_with_its_flow_and_with_its_event(floor: Floor) -> None:
    (wish,) = await asked(floor, 7)
    await floor.rows("UPDATE flows SET deleted_at = now() RETURNING id")
    await decide(floor, wish.id, approved=False)
    assert await floor.take() == ["no_flow"]
    (run,) = await floor.all_runs()
    assert (run["status"], run["reason"]) == ("failed", "no_flow")
    assert [each["status"] for each in await completed(floor)] == ["failed"]
    async with floor.db.tenant(floor.org) as tx:
        subject = await tx.fetchval("SELECT subject_id FROM events WHERE public_id = $1", run["event_id"])
        assert await erasures.empty_events(tx, [subject]) == 1
    assert await floor.all_runs() == [] and await wishes(floor) == []
