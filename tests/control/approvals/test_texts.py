"""A text's agent asks and its turn ends; the decision starts another, which knows what came of it, once."""

import asyncio
import json
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from control.approvals import expiry, present, usecases
from control.clients.openai import ModelError, Question
from hum.contract.errors import InvalidState
from hum.settings import ControlSettings
from storage.approvals import ApprovalRow
from storage.db import Tx
from tests.control.approvals.conftest import Office, age
from tests.control.textagent.conftest import call
from tests.support.waits import patience


def developer(question: Question) -> list[str]:
    return [each["content"] for each in question.items if each.get("role") == "developer"]


async def ask(office: Office, order: int = 7, **more: str) -> None:
    """The contact wants something, and the agent asks for it."""
    await office.desk.hear("I want my money back.")
    office.desk.model.answers[:] = [[call("refund", order=order, **more)], "Somebody has to look at that first."]
    assert await office.desk.take() == [None]


async def test_the_turn_ends_and_the_decision_starts_another_with_the_result(office: Office) -> None:
    desk = office.desk
    await ask(office)
    row = await office.only()
    assert (row.state, row.tool_call.tool, row.tool_call.summary) == (
        "pending",
        "refund",
        "Desk wants to use refund: Refunds an order.",
    )
    assert office.ran == [] and await desk.open_runs() == [] and await desk.take() == [], "nothing is held"
    await office.approve(row.id)
    await office.work(row.id)
    assert office.ran == [{"order": 7}]
    desk.model.answers[:] = ["It is done."]
    assert await desk.take() == [None]
    (news,) = developer(desk.model.asked[-1])
    assert "a person approved it" in news and '{"refunded": 7}' in news
    assert await desk.sent() == ["Somebody has to look at that first.", "It is done."]
    row = await office.only()
    assert row.state == "done" and row.told_at is not None
    await desk.hear("Thanks")
    await desk.take()
    assert developer(desk.model.asked[-1]) == [], "each result once"


@pytest.mark.parametrize(("decision", "words"), [("denied", "It is too old."), ("expired", "nobody decided in time")])
async def test_a_denial_starts_a_turn_too(office: Office, decision: str, words: str) -> None:
    desk = office.desk
    await ask(office)
    row = await office.only()
    if decision == "denied":
        await office.deny(row.id, "It is too old.")
    else:
        await desk.rows("UPDATE approvals SET expires_at = now() - interval '1 s' RETURNING id")
        await expiry.close_overdue(desk.db)
    assert await desk.take() == [None]
    assert words in developer(desk.model.asked[-1])[0] and office.ran == []
    assert (await office.only()).state == decision


async def test_a_turn_that_fails_and_is_begun_again_asks_once_and_is_told_once(office: Office) -> None:
    desk = office.desk
    await desk.hear("I want my money back.")
    desk.model.answers[:] = [[call("refund", order=7)], ModelError("away")]
    with pytest.raises(ModelError):
        await desk.take()
    assert await office.all() == [], "a turn that came to nothing asked for nothing"
    desk.model.answers[:] = [[call("refund", order=7)], "Wait."]
    (run,) = await desk.open_runs()
    await desk.turns.turn(desk.org, run)
    row = await office.only()
    await office.approve(row.id)
    await office.work(row.id)
    desk.model.answers[:] = [ModelError("away")]
    with pytest.raises(ModelError):
        await desk.take()
    assert (await office.only()).told_at is None, "it was not told yet"
    (run,) = await desk.open_runs()
    await desk.turns.turn(desk.org, run)
    assert len(developer(desk.model.asked[-1])) == 1 and (await office.only()).told_at is not None


async def test_what_fails_before_a_tool_runs_is_tried_again(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    await ask(office)
    row = await office.only()
    await office.approve(row.id)
    with monkeypatch.context() as broken:

        async def away(*_: object) -> None:
            raise ConnectionError("the database is away")

        broken.setattr(office.executor, "_context", away)
        with pytest.raises(ConnectionError):
            await office.work(row.id)
    row = await office.only()
    assert (row.state, row.begun_at, office.ran) == ("approved", None, [])
    await office.work(row.id)
    assert office.ran == [{"order": 7}] and (await office.only()).state == "done"


async def test_jobs_that_come_twice_run_a_tool_once(office: Office) -> None:
    await ask(office)
    row = await office.only()
    await office.approve(row.id)
    office.gate.clear()
    jobs = [asyncio.create_task(office.work(row.id)) for _ in range(5)]
    async with patience():
        while not office.ran:
            await asyncio.sleep(0.01)
    office.gate.set()
    await asyncio.gather(*jobs)
    await office.work(row.id)
    assert office.ran == [{"order": 7}] and (await office.only()).state == "done"


async def test_a_worker_that_dies_while_the_tool_runs_leaves_what_nobody_knows_and_no_second_run(
    office: Office,
) -> None:
    desk = office.desk
    await ask(office)
    row = await office.only()
    await office.approve(row.id)
    office.gate.clear()
    job = asyncio.create_task(office.work(row.id))
    async with patience():
        while not office.ran:
            await asyncio.sleep(0.01)
    job.cancel()
    with suppress(asyncio.CancelledError):
        await job
    await office.work(row.id)
    assert (await office.only()).state == "approved", "its worker may still be at it"
    await age(office, timedelta(minutes=1))
    await office.executor.requeue_stalled()
    await office.work(row.id)
    row = await office.only()
    assert row.state == "failed" and "not known whether" in (row.result or "") and len(office.ran) == 1
    assert await desk.take() == [None]
    assert "not known whether" in developer(desk.model.asked[-1])[0]


async def test_two_who_decide_at_once_are_told_apart(office: Office) -> None:
    await ask(office)
    row = await office.only()
    outcomes = await asyncio.gather(
        *(office.approve(row.id) if n % 2 else office.deny(row.id) for n in range(8)), return_exceptions=True
    )
    assert sum(each is None for each in outcomes) == 1
    assert all(isinstance(each, InvalidState) for each in outcomes if each is not None)


async def test_a_person_who_has_the_conversation_is_not_spoken_over(office: Office) -> None:
    desk = office.desk
    await ask(office)
    row = await office.only()
    await desk.rows("UPDATE conversations SET ai_paused_reason = 'person' RETURNING id")
    await office.approve(row.id)
    await office.work(row.id)
    assert await desk.take() == [] and office.ran == [{"order": 7}]
    assert (await office.only()).state == "done", "whoever has it sees the result"


async def test_of_what_opens_something_nothing_is_shown_or_kept_but_the_tool_gets_it(office: Office) -> None:
    desk, kept = office.desk, "SELECT concat(arguments, result) FROM approvals ORDER BY id"
    office.more.update(access_token="tok-77", paid_with="4111 1111 1111 1111")
    await ask(office, pin="9876")
    row = await office.only()
    assert json.loads(present.approval(row).arguments_json) == {"order": 7, "pin": "[secret]"}
    await office.approve(row.id)
    await office.work(row.id)
    assert office.ran == [{"order": 7, "pin": "9876"}]
    (text,) = [each[0] for each in await desk.rows(kept)]
    assert text == (
        '{"order": 7, "pin": "[secret]"}{"refunded": 7, "access_token": "[secret]", "paid_with": "[card ...1111]"}'
    )
    await desk.take()
    (news,) = developer(desk.model.asked[-1])
    assert '"refunded": 7' in news and "tok-77" not in news and "9876" not in news


@pytest.mark.parametrize("decision", ["denied", "expired"])
async def test_of_what_is_never_done_no_secret_is_kept(office: Office, decision: str) -> None:
    await ask(office, pin="9876")
    row = await office.only()
    if decision == "denied":
        await office.deny(row.id)
    else:
        await office.desk.rows("UPDATE approvals SET expires_at = now() - interval '1 s' RETURNING id")
        await expiry.close_overdue(office.desk.db)
    row = await office.only()
    assert (row.state, row.tool_call.arguments, row.decision.edited) == (
        decision,
        '{"order": 7, "pin": "[secret]"}',
        False,
    )


async def expire_two(office: Office) -> tuple[UUID, UUID]:
    """Request two approvals and let their time go by; return the one that expired first, and the other."""
    await office.desk.hear("I want all my money back.")
    office.desk.model.answers[:] = [[call("refund", order=order) for order in (7, 8)], "Wait."]
    assert await office.desk.take() == [None]
    rows = await office.desk.rows(
        "UPDATE approvals SET expires_at = now() - CASE WHEN arguments LIKE '%7%' THEN 2 ELSE 1 END * interval '1 s'"
        " RETURNING id, expires_at"
    )
    first, second = sorted(rows, key=lambda row: row["expires_at"])
    return first["id"], second["id"]


async def test_deep_arguments_expire_like_others(office: Office) -> None:
    deep, _ = await expire_two(office)
    arguments = '{"order": 7, "note": ' + "[" * 1_000 + "]" * 1_000 + "}"
    await office.desk.rows("UPDATE approvals SET arguments = $2 WHERE id = $1 RETURNING id", deep, arguments)
    assert all(present.approval(row).arguments_json for row in await office.all())
    await expiry.close_overdue(office.desk.db)
    assert [row.state for row in await office.all()] == ["expired", "expired"]


@pytest.mark.parametrize("bug", [RecursionError, KeyError, AssertionError])
async def test_an_approval_that_cannot_be_closed_holds_up_no_other(
    office: Office, monkeypatch: pytest.MonkeyPatch, bug: type[Exception]
) -> None:
    broken, other = await expire_two(office)

    async def decide(tx: Tx, id: UUID, *decision: Any) -> ApprovalRow:
        if id == broken:
            await tx.execute("UPDATE approvals SET reason = 'half done' WHERE id = $1", id)
            raise bug
        return await usecases.decide(tx, id, *decision)

    with monkeypatch.context() as patch:
        patch.setattr(expiry, "decide", decide)
        patch.setattr(expiry, "BATCH", 1)
        await expiry.close_overdue(office.desk.db)
    states = {row.id: (row.state, row.decision.reason) for row in await office.all()}
    assert states == {broken: ("pending", None), other: ("expired", None)}
    await expiry.close_overdue(office.desk.db)
    assert {row.state for row in await office.all()} == {"expired"}


async def test_a_turn_that_asks_many_times_asks_once_for_the_same_and_not_for_too_much(office: Office) -> None:
    desk, most = office.desk, ControlSettings().approvals_pending_each
    await desk.hear("I want all my money back.")
    orders = [7, 7, *range(8, 8 + most)]
    desk.model.answers[:] = [[call("refund", order=order) for order in orders], "Somebody has to look at that first."]
    assert await desk.take() == [None]
    rows = await office.all()
    assert [json.loads(row.tool_call.arguments)["order"] for row in reversed(rows)] == list(range(7, 7 + most))
    assert len(await desk.rows("SELECT id FROM events WHERE type = 'approval.requested'")) == most
