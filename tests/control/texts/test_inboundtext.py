"""Texts that come in: once each, in one thread, whatever comes at the same time or again."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from control.clients.twilio import Lookup
from control.contacts.jobs import look_up_contact
from control.optouts import usecases as optouts
from control.texts import inboundtext, keywords, writing
from control.texts.inboundtext import InboundTextLimits, Received
from control.texts.writing import TextDraft
from hum import ids
from hum.clock import now
from hum.contract.errors import NotFound
from storage import contacts, flows
from tests.control.texts.conftest import CONTACT, NUMBER, Texting

LIMITS = InboundTextLimits(timedelta(days=30), 100, 6, timedelta(hours=1))
OPTED_OUT = """
    INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) VALUES (hum.org_id(), '+13175551234', true, 'api')
"""
TEXT = Received("SM1", "AC1", CONTACT, NUMBER, "Are you open?", (), "", False, None)


@pytest.fixture
async def texting(texting: Texting) -> Texting:
    """With an AI that answers texts."""
    flow = ids.new()
    async with texting.db.tenant(texting.org) as tx:
        await flows.create(tx, flow, "sms", {"name": "Desk"})
        await tx.execute("UPDATE numbers SET sms_flow_id = $1", flow)
    return texting


async def receive(texting: Texting, text: Received, limits: InboundTextLimits = LIMITS) -> bool:
    async with texting.db.system() as tx:
        return await inboundtext.receive(tx, text, limits, now())


async def types(texting: Texting) -> list[str]:
    async with texting.db.tenant(texting.org) as tx:
        return [
            row["type"] for row in await tx.fetch("SELECT type FROM events WHERE type <> 'usage.recorded' ORDER BY id")
        ]


async def one(texting: Texting, query: str) -> tuple[object, ...]:
    async with texting.db.tenant(texting.org) as tx:
        (row,) = await tx.fetch(query)
    return tuple(row)


async def test_a_text_opens_a_thread_and_is_owed_an_answer(texting: Texting) -> None:
    assert await receive(texting, TEXT)
    assert await types(texting) == ["conversation.started", "sms.received"]
    state = "SELECT status, unread_count, last_message_preview, last_message_direction FROM conversations"
    assert await one(texting, state) == ("open", 1, TEXT.body, "inbound")
    assert await one(texting, "SELECT turn_due_at IS NOT NULL, turn_generation FROM conversations") == (True, 1)
    assert await one(texting, "SELECT status, body, carrier_sid FROM messages") == ("received", TEXT.body, "SM1")
    assert await one(texting, "SELECT phone_e164 FROM contacts") == (CONTACT,)


async def test_fifty_at_once_are_one_thread_and_fifty_rows(texting: Texting) -> None:
    texts = [replace(TEXT, sid=f"SM{n}", body=str(n)) for n in range(50)]
    taken = await asyncio.gather(*(receive(texting, text) for text in texts for _ in range(2)))
    assert sum(taken) == 50
    assert await one(texting, "SELECT count(*) FROM conversations") == (1,)
    assert await one(texting, "SELECT count(*), count(DISTINCT body) FROM messages") == (50, 50)
    assert await one(texting, "SELECT unread_count FROM conversations") == (50,)
    assert await types(texting) == ["conversation.started", *["sms.received"] * 50]


async def test_told_again_nothing_changes(texting: Texting) -> None:
    await receive(texting, TEXT)
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute("UPDATE conversations SET status = 'closed', unread_count = 0, turn_due_at = NULL")
    before = await one(texting, "SELECT conversations::text FROM conversations")
    assert not await receive(texting, replace(TEXT, body="another body"))
    assert await one(texting, "SELECT conversations::text FROM conversations") == before
    assert await types(texting) == ["conversation.started", "sms.received"]


async def test_a_closed_thread_is_opened_and_a_snooze_ends(texting: Texting) -> None:
    await receive(texting, TEXT)
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute("UPDATE conversations SET snoozed_until = now() + interval '1 day'")
    await receive(texting, replace(TEXT, sid="SM2"))
    assert await one(texting, "SELECT status, snoozed_until FROM conversations") == ("open", None)
    assert "conversation.reopened" not in await types(texting)
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute("UPDATE conversations SET status = 'closed'")
    await receive(texting, replace(TEXT, sid="SM3"))
    assert await one(texting, "SELECT status FROM conversations") == ("open",)
    assert (await types(texting))[-2:] == ["conversation.reopened", "sms.received"]


async def test_a_number_that_is_nobodys_or_of_another_account(texting: Texting) -> None:
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute("UPDATE numbers SET account_sid = 'AC1'")
    for wrong in (replace(TEXT, to_e164="+12125550199"), replace(TEXT, account="AC2")):
        with pytest.raises(NotFound):
            await receive(texting, wrong)
    assert await one(texting, "SELECT count(*) FROM conversations") == (0,)
    assert await receive(texting, TEXT)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ("INSERT INTO blocklist (org_id, phone_e164) VALUES (hum.org_id(), '+13175551234')", TEXT),
        ("UPDATE numbers SET sms_enabled = false", TEXT),
        ("UPDATE numbers SET status = 'releasing'", TEXT),
        (OPTED_OUT, TEXT),
        ("SELECT", replace(TEXT, is_group=True)),
        ("SELECT", replace(TEXT, sender="AMAZON")),
        ("SELECT", replace(TEXT, sender="22395")),
        ("SELECT", replace(TEXT, sender="whatsapp:+13175551234")),
        ("SELECT", replace(TEXT, sender="rcs:brand_agent")),
    ],
)
async def test_stored_and_answered_by_nobody(texting: Texting, change: str, text: Received) -> None:
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute(change)
    assert await receive(texting, text)
    assert await one(texting, "SELECT count(*) FROM messages") == (1,)
    assert await one(texting, "SELECT turn_due_at, contact_e164 FROM conversations") == (None, text.sender)
    assert "sms.received" in await types(texting)


async def test_a_paused_thread_is_owed_nothing(texting: Texting) -> None:
    await receive(texting, TEXT)
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute(
            "UPDATE conversations SET ai_paused_reason = 'human', turn_due_at = NULL, turn_pending_since = NULL"
        )
    await receive(texting, replace(TEXT, sid="SM2"))
    assert await one(texting, "SELECT turn_due_at FROM conversations") == (None,)


async def test_a_text_of_a_while_ago_takes_its_own_place(texting: Texting) -> None:
    """Two gateways tell of what they kept in any order: the thread reads as it was written."""
    await receive(texting, replace(TEXT, sid="SM3", body="third"))
    for sid, body, minutes in (("SM2", "second", 1), ("SM1", "first", 2)):
        await receive(texting, replace(TEXT, sid=sid, body=body, at=now() - timedelta(minutes=minutes)))
    async with texting.db.tenant(texting.org) as tx:
        rows = await tx.fetch("SELECT body FROM messages ORDER BY id")
    assert [row["body"] for row in rows] == ["first", "second", "third"]
    assert await one(texting, "SELECT last_message_preview, unread_count FROM conversations") == ("third", 3)


# --- keywords -------------------------------------------------------------------------------------------------------


async def say(texting: Texting, *bodies: str, carrier_type: str = "", limits: InboundTextLimits = LIMITS) -> None:
    for body in bodies:
        await receive(texting, replace(TEXT, sid=f"SM{ids.new().hex}", body=body, carrier_type=carrier_type), limits)


OUT = "SELECT opted_out, source, keyword, carrier_blocked FROM opt_outs"
OWED = "SELECT turn_generation, turn_due_at IS NOT NULL FROM conversations"


async def answered_by(texting: Texting, who: str) -> None:
    async with texting.db.system() as tx:
        await tx.execute("UPDATE organizations SET keyword_replies = $1", who)


async def written(texting: Texting) -> list[str]:
    async with texting.db.tenant(texting.org) as tx:
        return [row["body"] for row in await tx.fetch("SELECT body FROM messages WHERE sent_by = 'system' ORDER BY id")]


async def test_stop_opts_out_once_with_its_evidence_and_reaches_no_ai(texting: Texting) -> None:
    await say(texting, " stop! ", "STOP")
    assert await one(texting, OUT) == (True, "keyword", "STOP", True)
    assert await one(texting, "SELECT body FROM messages JOIN opt_outs ON message_id = id") == (" stop! ",)
    assert await one(texting, OWED) == (0, False)
    assert await types(texting) == ["conversation.started", "sms.opt_out", "sms.received", "sms.received"]
    assert await written(texting) == [], "the carrier has answered"
    await say(texting, "Where are you?")
    assert await one(texting, OWED) == (0, False), "whoever is out is answered by nobody"


async def test_yes_of_a_contact_who_is_in_is_an_answer(texting: Texting) -> None:
    await say(texting, "YES")
    assert await one(texting, OWED) == (1, True)
    await say(texting, "STOP", "yes")
    assert await one(texting, OUT) == (False, "keyword", "START", False)
    assert await one(texting, OWED) == (1, True), "the opt-in is no answer, and takes none away"
    assert [type for type in await types(texting) if "opt" in type] == ["sms.opt_out", "sms.opt_in"]
    await say(texting, "Yes")
    assert await one(texting, OWED) == (2, True)


async def test_help_reaches_no_ai(texting: Texting) -> None:
    await say(texting, "HELP", "info?")
    assert await one(texting, OWED) == (0, False)
    assert await one(texting, "SELECT count(*) FROM opt_outs") == (0,)


async def test_the_carriers_word_counts_too(texting: Texting) -> None:
    await say(texting, "arrêt", carrier_type="STOP")
    assert await one(texting, OUT) == (True, "keyword", "STOP", True)
    await say(texting, "weiter", carrier_type="START")
    assert await one(texting, OUT) == (False, "keyword", "START", False)


async def test_start_lifts_the_carriers_block_of_a_contact_who_was_opted_in_here(texting: Texting) -> None:
    await say(texting, "STOP")
    async with texting.db.tenant(texting.org) as tx:
        assert await optouts.opt_in(tx, texting.org, CONTACT, "human")
        assert not await optouts.opt_in(tx, texting.org, CONTACT, "human")
    assert await one(texting, OUT) == (False, "human", None, True)
    await say(texting, "START")
    assert await one(texting, OUT) == (False, "human", None, False)
    assert (await types(texting)).count("sms.opt_in") == 1


async def test_where_we_answer_each_change_and_each_question_has_a_reply(texting: Texting) -> None:
    await answered_by(texting, "hum")
    await say(texting, "STOP", "STOP", "HELP", "START", "START")
    stop, help, start = await written(texting)
    assert all(text.startswith("Clinic: ") for text in (stop, help, start))
    assert "unsubscribed" in stop and "HELP" in start and "STOP" in help
    assert all(keywords.recognize(text) is None for text in (stop, help, start)), "two of ours don't answer each other"
    assert await one(texting, "SELECT count(*) FROM messages WHERE sent_by = 'system' AND status = 'queued'") == (3,)
    assert await one(texting, OUT) == (False, "keyword", "START", False)


async def test_an_organization_answers_in_its_own_words_unless_they_are_keywords(texting: Texting) -> None:
    await answered_by(texting, "hum")
    async with texting.db.system() as tx:
        await tx.execute("UPDATE organizations SET keyword_texts_json = $1", '{"help": " Call us. ", "stop": "STOP."}')
    await say(texting, "HELP", "STOP")
    help, stop = await written(texting)
    assert help == "Call us." and stop.startswith("Clinic: ")


@pytest.mark.parametrize("text", ["\\u0000 Bye.", "Bye \\ud83d"])
async def test_an_opt_out_counts_although_its_reply_cannot_be_stored(texting: Texting, text: str) -> None:
    await answered_by(texting, "hum")
    async with texting.db.system() as tx:
        stored = f'{{"stop": "{text}", "help": "{text}"}}'  # from before such texts were refused
        await tx.execute("UPDATE organizations SET keyword_texts_json = $1", stored)
    await say(texting, "HELP", "STOP")
    assert await one(texting, OUT) == (True, "keyword", "STOP", False)
    assert await one(texting, "SELECT count(*) FROM messages WHERE direction = 'inbound'") == (2,)
    assert await written(texting) == []


async def test_our_replies_are_bounded(texting: Texting) -> None:
    await answered_by(texting, "hum")
    await say(texting, *["HELP"] * 9, limits=replace(LIMITS, replies=3))
    assert len(await written(texting)) == 3


async def test_a_number_that_cannot_send_answers_no_keyword_and_takes_it(texting: Texting) -> None:
    await answered_by(texting, "hum")
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute("UPDATE numbers SET capabilities = '{voice}'")
    await say(texting, "STOP")
    assert await one(texting, OUT) == (True, "keyword", "STOP", False)
    assert await written(texting) == []


async def test_a_blocked_contacts_stop_counts_and_is_not_answered(texting: Texting) -> None:
    await answered_by(texting, "hum")
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute("INSERT INTO blocklist (org_id, phone_e164) VALUES (hum.org_id(), $1)", CONTACT)
    await say(texting, "STOP", "HELP")
    assert await one(texting, OUT) == (True, "keyword", "STOP", False)
    assert await written(texting) == []


async def test_keywords_that_are_told_late_undo_nothing_that_came_after_them(texting: Texting) -> None:
    """START was kept by one gateway and STOP, which came before it, by another: START is told first."""
    stop = replace(TEXT, sid="SM1", body="STOP", at=now() - timedelta(minutes=3))
    start = replace(TEXT, sid="SM2", body="START", at=now() - timedelta(minutes=2))
    await say(texting, "STOP")
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute(
            "UPDATE opt_outs SET (changed_at, carrier_at) = (SELECT h, h FROM (SELECT now() - interval '1 hour' AS h) x)"
        )
    await receive(texting, start)
    await receive(texting, stop)
    assert await one(texting, OUT) == (False, "keyword", "START", False)
    await say(texting, "STOP")
    assert await one(texting, OUT) == (True, "keyword", "STOP", True)


async def test_an_opt_out_ends_what_waits_for_the_contact_and_nothing_else(texting: Texting) -> None:
    at = now()
    async with texting.db.tenant(texting.org) as tx:
        for contact_e164 in (CONTACT, "+13175559999"):
            thread = await texting.thread(tx, contact_e164)
            for when in (None, at + timedelta(days=1)):
                await writing.write(tx, thread, TextDraft("Hi", "human", honors_hours=False, scheduled_at=when), at)
        thread = await texting.thread(tx)
        await writing.write(tx, thread, TextDraft("Reply HELP", "system"), at)
        asked = await writing.write(tx, thread, TextDraft("On its way", "human", honors_hours=False), at)
        await tx.execute("UPDATE messages SET due_at = NULL WHERE id = $1", asked.id)
    await say(texting, "STOP")
    async with texting.db.tenant(texting.org) as tx:
        rows = await tx.fetch(
            "SELECT contact_e164, body, status FROM messages WHERE direction = 'outbound' ORDER BY id"
        )
    assert [tuple(row) for row in rows] == [
        (CONTACT, "Hi", "opted_out"),
        (CONTACT, "Hi", "opted_out"),
        ("+13175559999", "Hi", "queued"),
        ("+13175559999", "Hi", "scheduled"),
        (CONTACT, "Reply HELP", "queued"),
        (CONTACT, "On its way", "queued"),
    ]


async def test_the_carriers_refusal_opts_out_once_and_not_who_came_back(texting: Texting) -> None:
    sent_at = now()
    async with texting.db.tenant(texting.org) as tx:
        assert await optouts.carrier_says_blocked(tx, texting.org, CONTACT)
        assert not await optouts.carrier_says_blocked(tx, texting.org, CONTACT, at=now())
    assert await one(texting, OUT) == (True, "carrier", None, True)
    await say(texting, "START")
    async with texting.db.tenant(texting.org) as tx:
        assert not await optouts.carrier_says_blocked(tx, texting.org, CONTACT, at=sent_at), "that was before"
    assert await one(texting, OUT) == (False, "keyword", "START", False)
    assert [type for type in await types(texting) if "opt" in type] == ["sms.opt_out", "sms.opt_in"]


async def test_ten_that_stop_at_once_are_one(texting: Texting) -> None:
    await asyncio.gather(*(say(texting, "STOP") for _ in range(10)))
    assert (await types(texting)).count("sms.opt_out") == 1


BLOCK = "INSERT INTO blocklist (org_id, phone_e164) VALUES (hum.org_id(), '+13175551234')"


async def test_a_blocked_contact_opens_no_thread_and_nothing_is_unread(texting: Texting) -> None:
    await receive(texting, TEXT)
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute(BLOCK)
        await tx.execute("UPDATE conversations SET status = 'closed', unread_count = 0, turn_due_at = NULL")
    await receive(texting, replace(TEXT, sid="SM2", body="Again"))
    assert await one(texting, "SELECT status, unread_count FROM conversations") == ("closed", 0)
    assert "conversation.reopened" not in await types(texting)
    assert await one(texting, "SELECT count(*) FROM messages") == (2,)


async def test_a_blocked_contacts_first_text_is_in_a_closed_thread(texting: Texting) -> None:
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute(BLOCK)
    await receive(texting, TEXT)
    assert await one(texting, "SELECT status, unread_count FROM conversations") == ("closed", 0)


class Directory:
    """Who looks numbers up, and knows nothing of them."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def look_up(self, e164: str) -> Lookup | None:
        self.asked.append(e164)
        return None


async def test_so_many_senders_are_looked_up_in_a_day_and_no_more(texting: Texting) -> None:
    limits = replace(LIMITS, lookups=1)
    directory = Directory()
    for n in range(3):
        await receive(texting, replace(TEXT, sid=f"SM{n}", sender=f"+1317555000{n}"), limits)
    async with texting.db.tenant(texting.org) as tx:
        found = [row["id"] for row in await tx.fetch("SELECT id FROM contacts ORDER BY phone_e164")]
    for id in found:  # three jobs were owed before the first of them was done
        await look_up_contact(texting.db, directory, limits.lookup, 1, texting.org, id)
    assert len(directory.asked) == 1
    assert await one(texting, "SELECT count(*) FROM contacts WHERE looked_up_at IS NOT NULL") == (1,)
    jobs = "SELECT (SELECT count(*) FROM pgqueuer) + (SELECT count(*) FROM parked_jobs)"
    async with texting.db.system() as tx:
        before = await tx.fetchval(jobs)
    await receive(texting, replace(TEXT, sid="SM9", sender="+13175550009"), limits)
    async with texting.db.system() as tx:
        assert await tx.fetchval(jobs) == before, "none is owed any more today"


async def test_who_writes_can_be_texted(texting: Texting) -> None:
    await receive(texting, TEXT)
    async with texting.db.system() as tx:
        await contacts.flag_untextable(tx, texting.org, CONTACT, "21614")
    await receive(texting, replace(TEXT, sid="SM2"))
    assert await one(texting, "SELECT untextable_code FROM contacts") == (None,)
