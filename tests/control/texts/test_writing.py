"""Outbound texts as they are written: at once, later, or not at all."""

from datetime import timedelta

import pytest

from control.texts import writing
from control.texts.writing import TextDraft
from hum.clock import now
from hum.contract.errors import ConversationClosed, InvalidState
from tests.control.texts.conftest import CONTACT, Texting
from tests.support.present import present


async def test_a_text_is_queued_and_is_the_threads_latest(texting: Texting) -> None:
    at = now()
    async with texting.db.tenant(texting.org) as tx:
        thread = await texting.thread(tx)
        written = await writing.write(tx, thread, TextDraft("Hello", "human", honors_hours=False), at)
        shown = await tx.fetchrow("SELECT last_message_preview, unread_count FROM conversations")
        (started,) = await tx.fetch("SELECT data FROM events WHERE type = 'conversation.started'")
    assert (written.status, written.due_at, written.segments, written.lane) == ("queued", at, 1, 0)
    assert tuple(present(shown)) == ("Hello", 0)
    assert CONTACT in started["data"]


async def test_an_opted_out_contact_gets_a_row_and_no_text(texting: Texting) -> None:
    async with texting.db.tenant(texting.org) as tx:
        thread = await texting.thread(tx)
        await tx.execute(
            "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) VALUES ($1, $2, true, 'keyword')",
            texting.org,
            CONTACT,
        )
        held = await writing.write(tx, thread, TextDraft("Offer", "api"), now())
        reply = await writing.write(tx, thread, TextDraft("You are unsubscribed.", "system"), now())
    assert (held.status, held.due_at, held.error_code) == ("opted_out", None, "opted_out")
    assert reply.status == "queued"


async def test_a_text_that_honors_hours_waits_for_them(texting: Texting) -> None:
    at = now().replace(hour=12, minute=0, second=0, microsecond=0)
    async with texting.db.tenant(texting.org) as tx:
        later = {day: [["13:00", "14:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
        await tx.execute("UPDATE organizations SET business_hours_json = $1", str({"weekly": later}).replace("'", '"'))
        thread = await texting.thread(tx)
        kept = await writing.write(tx, thread, TextDraft("Hi", "api"), at)
        urgent = await writing.write(tx, thread, TextDraft("Hi", "human", honors_hours=False), at)
    assert (kept.status, kept.source, kept.held_by) == ("scheduled", "quiet_hours", "organization_hours")
    assert kept.due_at == at + timedelta(hours=1)
    assert urgent.status == "queued"


async def test_a_scheduled_text_leaves_at_the_next_full_minute(texting: Texting) -> None:
    at = now().replace(second=30, microsecond=0)
    async with texting.db.tenant(texting.org) as tx:
        thread = await texting.thread(tx)
        draft = TextDraft("Later", "human", honors_hours=False, scheduled_at=at + timedelta(minutes=5))
        written = await writing.write(tx, thread, draft, at)
    assert (written.status, written.source) == ("scheduled", "manual")
    assert written.due_at == at + timedelta(minutes=5, seconds=30)


async def test_a_closed_thread_and_a_number_without_texts_refuse(texting: Texting) -> None:
    async with texting.db.tenant(texting.org) as tx:
        thread = await texting.thread(tx)
        await tx.execute("UPDATE conversations SET status = 'closed'")
        with pytest.raises(ConversationClosed):
            await writing.write(tx, thread, TextDraft("Hi", "human"), now())
        await tx.execute("UPDATE conversations SET status = 'open'")
        await tx.execute("UPDATE numbers SET sms_enabled = false")
        with pytest.raises(InvalidState, match="can't send texts"):
            await writing.write(tx, thread, TextDraft("Hi", "human"), now())
        assert await tx.fetchval("SELECT count(*) FROM messages") == 0


async def test_a_name_or_a_short_code_is_answered_by_nobody(texting: Texting) -> None:
    async with texting.db.tenant(texting.org) as tx:
        for sender in ("AMAZON", "22395", "whatsapp:+13175551234", "anonymous"):
            thread = await texting.thread(tx, sender)
            with pytest.raises(InvalidState, match="can't be texted"):
                await writing.write(tx, thread, TextDraft("Hi", "human"), now())
        assert await tx.fetchval("SELECT count(*) FROM messages") == 0
