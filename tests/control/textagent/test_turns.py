"""A turn from the text that owes it to the reply, and everything that may come between."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from control.clients.openai import ModelError
from control.identity.usecases import update_organization
from control.texts import turns, writing
from control.texts.writing import TextDraft
from hum import ids
from hum.clock import now
from hum.contract.principal import Principal
from hum.ids import Kind
from storage import conversations, flows, identity, inbox
from tests.control.textagent.conftest import Desk, call, closed_now
from tests.control.texts.conftest import CONTACT


async def test_a_text_is_answered_once(desk: Desk) -> None:
    thread = await desk.hear("Are you open?")
    await desk.hear("On Monday?")
    desk.model.answers = ["Yes, **from** nine."]
    assert await desk.take() == [None]
    assert await desk.sent() == ["Yes, from nine."]
    (question,) = desk.model.asked
    assert [each["content"] for each in question.items] == ["Are you open?", "On Monday?"]
    assert "You answer for the clinic." in question.instructions and "# Caller Context" not in question.instructions
    run = await desk.run()
    assert (run["status"], run["conversation_id"], run["flow_version"]) == ("replied", thread, 1)
    assert (run["input_tokens"], run["output_tokens"], run["model"]) == (100, 10, "fake")
    (message,) = await desk.rows("SELECT * FROM messages WHERE direction = 'outbound'")
    assert (message["id"], message["sent_by"], message["run_id"]) == (run["message_id"], "ai", run["id"])
    assert await desk.turns.turn(desk.org, run["id"]) is None, "a repeated job finds it done"
    assert await desk.take() == [] and len(desk.model.asked) == 1


async def test_an_answer_waits_until_nobody_has_written_for_a_while_but_not_for_ever(desk: Desk) -> None:
    at = now()
    async with desk.db.tenant(desk.org) as tx:
        thread = await desk.thread(tx)
        due = []
        for second in (0, 2, 4, 6, 8, 9):
            await turns.schedule(tx, thread, at + timedelta(seconds=second))
            due.append(await tx.fetchval("SELECT turn_due_at FROM conversations"))
    assert [(each - at).total_seconds() for each in due] == [3, 5, 7, 9, 10, 10]
    assert await desk.take() == [], "it is not due"
    await desk.configure(sms_config_json='{"debounce_ms": 0}')
    async with desk.db.tenant(desk.org) as tx:
        await conversations.pause_ai(tx, thread.id, "human")
        await turns.schedule(tx, await desk.thread(tx), at)
        assert await tx.fetchval("SELECT turn_due_at FROM conversations") is None, "nobody owes what a person answers"


async def _human(desk: Desk) -> None:
    async with desk.db.tenant(desk.org) as tx:
        await writing.write(tx, await desk.thread(tx), TextDraft("I take this.", "human", honors_hours=False), now())


async def _pause(desk: Desk) -> None:
    async with desk.db.tenant(desk.org) as tx:
        await conversations.pause_ai(tx, (await desk.thread(tx)).id, "human")


async def _write(desk: Desk, statement: str) -> None:
    async with desk.db.tenant(desk.org) as tx:
        await tx.execute(statement, desk.org, CONTACT)


OPT_OUT = "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) VALUES ($1, $2, true, 'keyword')"
BLOCK = "INSERT INTO blocklist (org_id, phone_e164) VALUES ($1, $2)"
CLOSE = "UPDATE conversations SET status = 'closed' WHERE org_id = $1 AND contact_e164 = $2"
OFF = "UPDATE numbers SET sms_enabled = false WHERE org_id = $1 AND e164 <> $2"


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (_human, "human_replied"),
        (_pause, "paused"),
        (lambda desk: _write(desk, OPT_OUT), "opted_out"),
        (lambda desk: _write(desk, BLOCK), "blocked"),
        (lambda desk: _write(desk, CLOSE), "closed"),
        (lambda desk: _write(desk, OFF), "number_off"),
    ],
)
async def test_what_happens_while_the_model_thinks_stops_its_answer_and_its_tools(
    desk: Desk, happens: Callable[[Desk], Awaitable[None]], reason: str
) -> None:
    await desk.hear("Can you call me tomorrow?")
    desk.model.answers = [[call("assign_to_human", reason="wants a call")], "Somebody will."]
    desk.model.meanwhile = lambda: happens(desk)
    assert await desk.take() == [reason]
    assert await desk.rows("SELECT FROM messages WHERE sent_by = 'ai'") == []
    run = await desk.run()
    assert (run["status"], run["reason"]) == ("silent", reason)
    assert await desk.rows("SELECT FROM events WHERE type = 'conversation.assigned'") == [], "no tool has done anything"
    (tool,) = await desk.tools()
    assert (tool["name"], tool["status"]) == ("assign_to_human", "ok")


async def test_the_same_before_the_model_asks_it_nothing(desk: Desk) -> None:
    for happens, reason in ((_human, "answered"), (lambda desk: _write(desk, BLOCK), "blocked")):
        await desk.hear("Hello?")
        await happens(desk)
        assert await desk.take() == [reason]
    assert desk.model.asked == []


async def test_a_text_that_comes_during_a_turn_gets_its_own(desk: Desk) -> None:
    await desk.hear("I'd like an appointment")
    desk.model.answers = ["When?", "Friday it is.", "You're welcome."]
    desk.model.meanwhile = lambda: desk.hear("on Friday")
    assert await desk.take() == ["newer_text"]
    desk.model.meanwhile = lambda: desk.hear("thanks")
    assert await desk.take() == [None], "somebody who goes on writing is answered all the same"
    assert await desk.take() == [None]
    assert await desk.sent() == ["Friday it is.", "You're welcome."]
    assert await desk.take() == []


async def test_a_worker_that_dies_between_the_model_and_the_end_sends_nothing_twice(desk: Desk) -> None:
    await desk.hear("Hello?")
    await desk.turns.start_due()
    (run,) = await desk.open_runs()
    desk.model.answers = [[call("assign_to_human", reason="r")], asyncio.CancelledError(), "Hi.", "Never."]
    with pytest.raises(asyncio.CancelledError):
        await desk.turns.turn(desk.org, run)
    assert await desk.sent() == [] and (await desk.run())["attempts"] == 1
    assert await desk.turns.start_due() == 0, "the thread has a turn going on"
    await asyncio.gather(*(desk.turns.turn(desk.org, run) for _ in range(2)))
    assert len(sent := await desk.sent()) == 1 and sent[0] in {"Hi.", "Never."}, "whoever was first at the end"
    assert await desk.rows("SELECT FROM events WHERE type = 'conversation.assigned'") == []


async def test_a_run_whose_job_is_lost_is_begun_again(desk: Desk) -> None:
    await desk.hear("Hello?")
    await desk.turns.start_due()
    async with desk.db.system() as tx:
        await tx.execute("DELETE FROM pgqueuer")
        await tx.execute("UPDATE text_runs SET touched_at = now() - interval '1 hour'")
    assert await desk.turns.start_due() == 1
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM pgqueuer") == 1


async def test_a_model_that_fails_is_asked_again_and_then_a_person_answers(desk: Desk) -> None:
    await desk.configure(sms_config_json='{"fallback_message": "We will get back to you."}')
    await desk.hear("Hello?")
    desk.model.answers = [ModelError("503")] * 3
    await desk.turns.start_due()
    (run,) = await desk.open_runs()
    for _ in range(2):
        with pytest.raises(ModelError):
            await desk.turns.turn(desk.org, run)
    assert await desk.turns.turn(desk.org, run) == "model_failed"
    assert await desk.sent() == ["We will get back to you."]
    (event,) = await desk.rows("SELECT data FROM events WHERE type = 'conversation.assigned'")
    assert json.loads(event["data"])["reason"] == "model_failed"
    assert (await desk.run())["status"] == "handed_over"
    async with desk.db.tenant(desk.org) as tx:
        assert (await desk.thread(tx)).ai_paused_reason == "model_failed"
    assert await desk.turns.turn(desk.org, run) is None
    await desk.hear("Anybody?")
    assert await desk.take() == [], "the AI is silent until a person lets it answer"


async def test_a_worker_that_dies_each_time_ends_with_a_person_too(desk: Desk) -> None:
    await desk.hear("Hello?")
    await desk.turns.start_due()
    (run,) = await desk.open_runs()
    desk.model.answers = [asyncio.CancelledError()] * 9
    for _ in range(3):
        with pytest.raises(asyncio.CancelledError):
            await desk.turns.turn(desk.org, run)
    assert await desk.turns.turn(desk.org, run) == "model_failed"
    assert len(desk.model.asked) == 3 and await desk.sent() == []


async def test_outside_the_hours_the_answer_waits_and_the_model_does_too(desk: Desk) -> None:
    opens = await closed_now(desk)
    await desk.hear("Hello?")
    assert await desk.take() == ["hours"]
    (thread,) = await desk.rows("SELECT turn_due_at FROM conversations")
    assert thread["turn_due_at"] == opens and desk.model.asked == []
    assert await desk.rows("SELECT FROM text_runs") == []


async def test_who_looks_sees_when_the_ai_answers_and_new_hours_hold_at_once(desk: Desk) -> None:
    opens = await closed_now(desk)
    thread = await desk.hear("Hello?")
    async with desk.db.tenant(desk.org) as tx:
        assert (await inbox.get(tx, thread)).ai_answers_at is None
    await desk.take()
    async with desk.db.tenant(desk.org) as tx:
        assert (await inbox.get(tx, thread)).ai_answers_at == opens
        held = await writing.write(tx, await desk.thread(tx), TextDraft("You are booked.", "human"), now())
        assert (held.held_by, held.due_at) == ("organization_hours", opens)
        told = "SELECT count(*) FROM inbox_changes WHERE conversation_id = $1"
        before = await tx.fetchval(told, thread)

    principal = Principal(desk.org, "admin", (), None, None, None, "test")

    async def change(**fields: Any) -> None:
        async with desk.db.tenant(desk.org) as tx:
            row = await identity.organization(tx, desk.org, lock=True)
            await update_organization(tx, principal, row, replace(row, **fields), now())

    # Another name changes no hours; other hours that are closed, too, let it wait on, until they open.
    await change(name="Lakeside")
    assert await desk.take() == []
    later = opens + timedelta(hours=2)
    span = [[f"{later:%H:%M}", f"{later + timedelta(minutes=30):%H:%M}"]]
    await change(
        business_hours_json=json.dumps(
            {"weekly": dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), span)}
        )
    )
    assert await desk.take() == ["hours"]
    async with desk.db.tenant(desk.org) as tx:
        assert (await inbox.get(tx, thread)).ai_answers_at == later
        assert await tx.fetchval(told, thread) > before
    await change(business_hours_json=None)
    assert await desk.take() == [None] and await desk.sent() == ["You are booked.", "Certainly."]
    (due,) = await desk.rows("SELECT due_at <= now() AS is_due FROM messages WHERE id = $1", held.id)
    assert due["is_due"]


async def test_a_reply_that_is_too_long_is_written_again_and_never_two_texts(desk: Desk) -> None:
    await desk.configure(sms_config_json='{"max_reply_chars": 40}')
    await desk.hear("Tell me everything")
    long = "We open at nine. " * 5
    desk.model.answers = [long, "We open at nine."]
    await desk.take()
    await desk.hear("And more")
    desk.model.answers = [long, long]
    await desk.take()
    assert await desk.sent() == ["We open at nine.", "We open at nine. We open at nine."]


async def test_the_agent_knows_who_writes_and_what_was_said(desk: Desk) -> None:
    async with desk.db.tenant(desk.org) as tx:
        await tx.execute(
            "INSERT INTO contacts (id, org_id, phone_e164, said_by_user, notes) VALUES ($1, $2, $3, '{\"name\": \"Ann\"}', 'prefers\nFriday')",
            ids.new(),
            desk.org,
            CONTACT,
        )
    await desk.hear("Hi")
    desk.model.answers = ["Hello Ann."]
    await desk.take()
    await desk.hear("Bye")
    await desk.take()
    question = desk.model.asked[-1]
    assert "# Caller Context\n- name: Ann\n- phone: +13175551234\n- notes: prefers Friday" in question.instructions
    assert [(each["role"], each["content"]) for each in question.items] == [
        ("user", "Hi"),
        ("assistant", "Hello Ann."),
        ("user", "Bye"),
    ]


async def test_another_flow_answers_in_the_same_turn_and_from_then_on(desk: Desk) -> None:
    billing, shown = ids.new(), ""
    async with desk.db.tenant(desk.org) as tx:
        await flows.create(tx, billing, "sms", {"name": "Billing", "system_prompt": "You do the bills."})
        shown = ids.show(Kind.FLOW, billing)
    await desk.configure(transfer_map_json=json.dumps({"billing": shown, "people": "+13175550111"}))
    await desk.hear("My bill?")
    desk.model.answers = [[call("transfer_sms_to_flow", target="billing")], "Twelve dollars.", "Really."]
    assert await desk.take() == [None]
    first, second = desk.model.asked
    assert "You answer for the clinic." in first.instructions and "You do the bills." in second.instructions
    assert "transfer_sms_to_flow" in {tool["name"] for tool in first.tools}
    assert "transfer_sms_to_flow" not in {tool["name"] for tool in second.tools}
    await desk.hear("Really?")
    await desk.take()
    assert "You do the bills." in desk.model.asked[-1].instructions
    assert await desk.sent() == ["Twelve dollars.", "Really."]
    async with desk.db.tenant(desk.org) as tx:
        await flows.delete(tx, billing)
    await desk.hear("And now?")
    await desk.take()
    assert "You answer for the clinic." in desk.model.asked[-1].instructions, "the colleague has left"


async def test_the_agent_knows_the_business_and_a_colleague_with_hours_of_its_own_those(desk: Desk) -> None:
    billing = ids.new()
    always = {"weekly": {day: [["00:00", "24:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}}
    async with desk.db.tenant(desk.org) as tx:
        bills = {"name": "Billing", "system_prompt": "You do the bills.", "business_hours_json": json.dumps(always)}
        await flows.create(tx, billing, "sms", bills)
        await tx.execute(
            "UPDATE organizations SET business_identity_json = $1, business_hours_json = $2",
            json.dumps({"address": "14 River Road"}),
            json.dumps(always),
        )
    await desk.configure(transfer_map_json=json.dumps({"billing": ids.show(Kind.FLOW, billing)}))
    await desk.hear("Where are you?")
    desk.model.answers = [[call("transfer_sms_to_flow", target="billing")], "At the river."]
    assert await desk.take() == [None]
    first, second = (question.instructions for question in desk.model.asked)
    assert first.startswith("You answer for the clinic.\n\n# About the business\n")
    assert "\n- Address: 14 River Road\nOpening hours of the business (UTC):\n- Monday to Sunday: all day\n" in first
    assert "Your own opening hours" not in first and "Your own opening hours" in second
    await desk.rows("UPDATE organizations SET business_identity_json = NULL, business_hours_json = NULL")
    await desk.hear("Where?")
    await desk.take()
    assert "14 River Road" not in desk.model.asked[-1].instructions


async def test_several_workers_take_a_turn_once(desk: Desk) -> None:
    for number in range(10):
        await desk.hear("Hello?", f"+131755512{number:02d}")
    await asyncio.gather(*(desk.turns.start_due() for _ in range(4)))
    assert len(await desk.open_runs()) == 10
    async with desk.db.system() as tx:
        assert (
            await tx.fetchval("SELECT count(*) FROM pgqueuer") + await tx.fetchval("SELECT count(*) FROM parked_jobs")
            == 10
        )
    await asyncio.gather(*(desk.turns.turn(desk.org, run) for run in await desk.open_runs()))
    assert len(await desk.sent()) == len(desk.model.asked) == 10


@pytest.mark.parametrize("status", ["scheduled", "canceled", "failed"])
async def test_a_text_of_a_program_that_was_not_sent_answers_nobody(desk: Desk, status: str) -> None:
    await desk.hear("Are you open on Sunday?")
    async with desk.db.tenant(desk.org) as tx:
        thread = await conversations.lock(tx, (await desk.thread(tx)).id)
        tomorrow = TextDraft("Your visit is today.", "api", scheduled_at=now() + timedelta(days=1))
        await writing.write(tx, thread, tomorrow, now())
        if status != "scheduled":
            await tx.execute("UPDATE messages SET status = $1, due_at = NULL WHERE sent_by = 'api'", status)
    assert await desk.take() == [None]
    assert len(desk.model.asked) == 1
