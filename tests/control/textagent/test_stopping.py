"""Who says in words of their own that they want no more texts: at once, once, with the evidence, and one confirmation."""

import json
from datetime import timedelta

import pytest

from control.optouts import usecases as optouts
from control.textagent.stopping import stop_texting
from control.texts import writing
from control.texts.inboundtext import InboundTextLimits, Received, receive
from control.texts.writing import TextDraft
from control.tools import Situation, TextTurn, ToolContext
from hum import ids
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
    await desk.hear("Write to me tomorrow. No, I've had it with these")
    async with desk.db.tenant(desk.org) as tx:
        thread = await conversations.lock(tx, (await desk.thread(tx)).id)
        await _schedule(tx, thread)
    desk.model.answers = [[call("stop_texting", words="No, I've had it with these")]]
    await desk.take()
    rows = await desk.rows("SELECT body, status FROM messages WHERE direction = 'outbound' ORDER BY created_at")
    assert [tuple(row) for row in rows] == [("Tomorrow.", "opted_out"), (CONFIRMED, "queued")]


OUT = "SELECT opted_out, source, keyword, (SELECT body FROM messages m WHERE m.id = message_id) AS body FROM opt_outs"


async def test_the_agent_invents_nothing(desk: Desk) -> None:
    """It may quote the contact alone, and is told so; another contact's words, and its own, are not theirs."""
    await desk.hear("Enough of these!", "+13175559999")
    await desk.take()
    await desk.hear("Are you open?")
    async with desk.db.tenant(desk.org) as tx:
        await writing.write(tx, await desk.thread(tx), TextDraft("Say stop all that", "ai"), now())
    desk.model.answers = [
        [call("stop_texting", words=words)] for words in ("I want no more texts", "Enough of these!", "stop all that")
    ]
    assert await desk.take() == [None]
    assert (await desk.sent())[-1] == "Certainly."
    assert await desk.rows("SELECT FROM opt_outs") == []


async def test_it_may_quote_itself_right_after_a_mistake(desk: Desk) -> None:
    await desk.hear("I have HAD it, with all of this\u2026 goodbye")
    desk.model.answers = [
        [call("stop_texting", words="They have had it")],
        [call("stop_texting", words="i have had it with all of this")],
    ]
    assert await desk.take() == ["revoked"]
    assert await desk.sent() == [CONFIRMED]
    assert [tool["status"] for tool in await desk.tools()] == ["failed", "ok"]
    (row,) = await desk.rows(OUT)
    assert tuple(row)[:3] == (True, "agent", "I have HAD it, with all of this"), "in their own words"


async def test_the_evidence_is_the_latest_message_that_says_so(desk: Desk) -> None:
    await desk.hear("Enough of these, you hear")
    await desk.hear("ENOUGH OF THESE")
    await desk.hear("Hello?")
    desk.model.answers = [[call("stop_texting", words="Enough of these")]]
    assert await desk.take() == ["revoked"]
    assert tuple((await desk.rows(OUT))[0]) == (True, "agent", "ENOUGH OF THESE", "ENOUGH OF THESE")


async def test_a_sign_is_a_word_too(desk: Desk) -> None:
    await desk.hear("\U0001f6d1\U0001f6d1\U0001f6d1")
    desk.model.answers = [[call("stop_texting", words=" \U0001f6d1 ")]]
    assert await desk.take() == ["revoked"]
    assert tuple((await desk.rows(OUT))[0])[:3] == (True, "agent", "\U0001f6d1")


async def test_what_a_person_has_undone_is_not_done_again_for_the_same_words(desk: Desk) -> None:
    await desk.hear("Enough of these")
    desk.model.answers = [[call("stop_texting", words="Enough of these")]]
    assert await desk.take() == ["revoked"]
    async with desk.db.tenant(desk.org) as tx:
        assert await optouts.opt_in(tx, desk.org, CONTACT, "human")
    await desk.hear("I meant the sweets, sorry. Are you open?")
    desk.model.answers = [[call("stop_texting", words="Enough of these")], "Until six."]
    assert await desk.take() == [None]
    assert await desk.sent() == [CONFIRMED, "Until six."]
    await desk.hear("Now it is really enough")
    desk.model.answers = [[call("stop_texting", words="really enough")]]
    assert await desk.take() == ["revoked"]
    assert tuple((await desk.rows(OUT))[0])[:3] == (True, "agent", "really enough")


async def test_start_meanwhile_is_the_last_word(desk: Desk) -> None:
    await desk.hear("Enough of these")

    async def changes_their_mind() -> None:
        async with desk.db.tenant(desk.org) as tx:
            await optouts.opt_in(tx, desk.org, CONTACT, "keyword")

    desk.model.answers, desk.model.meanwhile = [[call("stop_texting", words="Enough of these")]], changes_their_mind
    await desk.take()
    assert await desk.rows("SELECT FROM opt_outs WHERE opted_out") == []
    assert CONFIRMED not in await desk.sent()


async def test_an_opt_out_outlives_its_message(desk: Desk) -> None:
    thread = await desk.hear("Enough of these")
    tool = stop_texting(desk.db, 5000)[0]
    context = ToolContext(desk.org, Situation({}, contact_e164=CONTACT), turn=TextTurn(ids.new(), thread))
    assert tool.run is not None
    result = await tool.run(context, {"words": "enough of these"})
    assert result.silences and result.at_end is not None
    async with desk.db.tenant(desk.org) as tx:
        await tx.execute("DELETE FROM messages")
        await result.at_end(tx)
    assert tuple((await desk.rows(OUT))[0]) == (True, "agent", "Enough of these", None)


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
