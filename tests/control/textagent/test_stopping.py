"""Who says in words of their own that they want no more texts: at once, once, with the evidence, and one confirmation."""

import json
from datetime import timedelta

import pytest

from control.texts import writing
from control.texts.inboundtext import InboundTextLimits, Received, receive
from control.texts.writing import TextDraft
from hum.clock import now
from storage import conversations
from storage.conversations import ConversationState
from storage.db import Tx
from tests.control.textagent.conftest import Desk, call
from tests.control.texts.conftest import CONTACT, NUMBER

CONFIRMED = "Clinic: you are unsubscribed and will get no more texts from us. Reply START to get them again."


async def test_the_agent_understands_and_the_contact_is_told_once(desk: Desk) -> None:
    thread = await desk.hear("Look, I've moved to Oregon and this is really no use to me. Enough of these.")
    desk.model.answers = [[call("stop_texting", words="Enough of these")], "But we have a sale!"]
    assert await desk.take() == ["revoked"]
    assert await desk.sent() == [CONFIRMED] and len(desk.model.asked) == 1
    (row,) = await desk.rows("SELECT * FROM opt_outs")
    (heard,) = await desk.rows("SELECT id FROM messages WHERE direction = 'inbound'")
    assert (row["opted_out"], row["source"], row["keyword"], row["message_id"]) == (
        True,
        "agent",
        "Enough of these",
        heard["id"],
    )
    (event,) = await desk.rows("SELECT subject_id, data FROM events WHERE type = 'sms.opt_out'")
    assert event["subject_id"] == thread and json.loads(event["data"])["source"] == "agent"
    (message,) = await desk.rows("SELECT sent_by, status FROM messages WHERE direction = 'outbound'")
    assert tuple(message) == ("system", "queued")
    await desk.hear("Hello?")
    assert await desk.take() == ["opted_out"]


async def test_the_organizations_own_words_are_the_confirmation(desk: Desk) -> None:
    await desk.rows("""UPDATE organizations SET keyword_texts_json = '{"stop": "Adios."}' RETURNING org_id""")
    await desk.hear("Look, I've moved to Oregon and this is really no use to me. Enough of these.")
    desk.model.answers = [[call("stop_texting", words="Enough of these")]]
    assert await desk.take() == ["revoked"]
    assert await desk.sent() == ["Adios."]


@pytest.mark.parametrize("sets", ["ai_paused_reason = 'human'", "status = 'closed'"])
async def test_they_are_out_whatever_happens_meanwhile(desk: Desk, sets: str) -> None:
    await desk.hear("No more of this, I beg you")

    async def happens() -> None:
        await desk.rows(f"UPDATE conversations SET {sets} RETURNING id")

    desk.model.answers, desk.model.meanwhile = [[call("stop_texting", words="No more")]], happens
    assert await desk.take() == ["revoked"]
    assert len(await desk.rows("SELECT FROM opt_outs WHERE opted_out")) == 1


async def test_they_are_out_though_the_text_that_was_promised_too_can_not_be_scheduled(desk: Desk) -> None:
    await desk.hear("No more of this, I beg you")

    async def closed() -> None:
        await desk.rows("UPDATE conversations SET status = 'closed' RETURNING id")

    later = (now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    desk.model.answers = [
        [call("schedule_followup_sms", text="How are you?", send_at=later), call("stop_texting", words="No more")]
    ]
    desk.model.meanwhile = closed
    assert await desk.take() == ["revoked"]
    assert len(await desk.rows("SELECT FROM opt_outs WHERE opted_out")) == 1
    assert await desk.sent() == [CONFIRMED]


async def test_what_waits_is_not_sent(desk: Desk) -> None:
    await desk.hear("Write to me tomorrow")
    async with desk.db.tenant(desk.org) as tx:
        thread = await conversations.lock(tx, (await desk.thread(tx)).id)
        await _schedule(tx, thread)
    desk.model.answers = [[call("stop_texting", words="No")]]
    await desk.take()
    rows = await desk.rows("SELECT body, status FROM messages WHERE direction = 'outbound' ORDER BY created_at")
    assert [tuple(row) for row in rows] == [("Tomorrow.", "opted_out"), (CONFIRMED, "queued")]


@pytest.mark.parametrize(("blocked", "texts"), [(False, [CONFIRMED]), (True, [])])
async def test_a_sentence_is_enough_without_a_model(desk: Desk, blocked: bool, texts: list[str]) -> None:
    async with desk.db.system() as tx:
        if blocked:
            await tx.execute("INSERT INTO blocklist (org_id, phone_e164) VALUES ($1, $2)", desk.org, CONTACT)
        for sid in ("SM1", "SM2"):
            said = Received(sid, "AC1", CONTACT, NUMBER, "Wrong number. Please stop texting me!", (), "", False, None)
            assert await receive(tx, said, InboundTextLimits(timedelta(0), 0, 6, timedelta(hours=1)), now())
    assert await desk.take() == [] and desk.model.asked == []
    assert await desk.sent() == texts, "once, whatever they repeat"
    (row,) = await desk.rows("SELECT source, keyword, carrier_blocked FROM opt_outs WHERE opted_out")
    assert tuple(row) == ("keyword", "Please stop texting me", False)
    assert len(await desk.rows("SELECT FROM events WHERE type = 'sms.opt_out'")) == 1


async def _schedule(tx: Tx, thread: ConversationState) -> None:
    at = now()
    await writing.write(tx, thread, TextDraft("Tomorrow.", "ai", scheduled_at=at + timedelta(hours=3)), at)
