"""Texts are deleted by age and with their contact, and the wish not to be texted stays."""

import asyncio
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from control.retention import deletionlimits, files, usecases
from control.texts import outbox, writing
from control.texts.writing import TextDraft
from hum import ids
from hum.clock import now
from hum.contract.errors import InvalidState
from hum.objects.files import Files
from storage import contacts, conversations, erasures, messages, text_erasures
from storage.db import Tx
from tests.control.texts.conftest import CONTACT, Texting

OTHER = "+13175551235"


async def conversation(texting: Texting, contact: str = CONTACT, age: timedelta = timedelta(0)) -> UUID:
    """A conversation with a text each way, a file, and an opt-out, so old."""
    at = now() - age
    async with texting.db.tenant(texting.org) as tx:
        met = await contacts.find_or_create(tx, ids.new(), texting.org, contact, None)
        thread, _ = await conversations.find_or_create(
            tx, ids.new(), texting.org, texting.number, "+12125550100", contact, met.id
        )
        sent = await writing.write(tx, thread, TextDraft("Secret of ours", "human", honors_hours=False), at)
        await tx.execute("UPDATE messages SET status = 'delivered', due_at = NULL WHERE id = $1", sent.id)
        received, media = ids.new(), [("https://api.twilio.com/x", "image/png")]
        await messages.receive(
            tx,
            received,
            texting.org,
            thread.id,
            "+12125550100",
            contact,
            "Secret of theirs",
            1,
            f"MM{ids.new().hex}",
            media,
        )
        await tx.execute(
            "UPDATE message_media SET status = 'stored', path = $2 WHERE message_id = $1", received, f"{received}.png"
        )
        await outbox.started(tx, thread, "inbound")
        await tx.execute(
            "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source, message_id) VALUES ($1, $2, true, 'keyword', $3)",
            texting.org, contact, received,
        )  # fmt: skip
        await tx.execute("UPDATE messages SET created_at = $2 WHERE conversation_id = $1", thread.id, at)
        await tx.execute("UPDATE conversations SET active_at = $2, created_at = $2 WHERE id = $1", thread.id, at)
    async with texting.db.system() as tx:
        await tx.execute("UPDATE events SET created_at = $2 WHERE subject_id = $1", thread.id, at)
    return thread.id


async def left(tx: Tx) -> dict[str, int]:
    tables = ("conversations", "messages", "message_media", "text_search")
    return {table: await tx.fetchval(f"SELECT count(*) FROM {table}") for table in tables}


NOTHING = dict.fromkeys(("conversations", "messages", "message_media", "text_search"), 0)


async def retain(texting: Texting) -> None:
    """Delete by age, as the job does."""
    async with texting.db.system() as tx:
        due = [org for org, _ in await erasures.overdue(tx)]
        assert due == [texting.org]
        id = ids.new()
        await erasures.begin_retention(tx, id, texting.org)
    for _ in range(20):
        async with texting.db.tenant(texting.org) as tx:
            row = await erasures.lock_open(tx, id)
            if row is None or await usecases.delete_batch(tx, row, now()):
                return
    raise AssertionError("it never ends")


async def test_by_age_with_files_and_events(texting: Texting, tmp_path: Path) -> None:
    await conversation(texting, age=timedelta(days=40))
    young = await conversation(texting, OTHER)
    async with texting.db.tenant(texting.org) as tx:
        thread = await texting.thread(tx, "+13175551236")  # a text that was scheduled long ago is still to be sent
        waits = await writing.write(
            tx, thread, TextDraft("Later", "human", honors_hours=False, scheduled_at=now() + timedelta(days=1)), now()
        )
        await tx.execute("UPDATE messages SET created_at = now() - interval '60 days' WHERE id = $1", waits.id)
        await tx.execute("UPDATE organizations SET retention_days = 30")
        paths = [row["path"] for row in await tx.fetch("SELECT path FROM message_media WHERE path IS NOT NULL")]
    for path in paths:
        (tmp_path / path).write_bytes(b"png")
    await retain(texting)
    async with texting.db.system() as tx:
        assert await left(tx) == {"conversations": 2, "messages": 3, "message_media": 1, "text_search": 5}
        assert await tx.fetchval("SELECT count(*) FROM conversations WHERE id = $1", young) == 1
        assert await erasures.overdue(tx) == [] or all(seconds <= 0 for _, seconds in await erasures.overdue(tx))
        assert await tx.fetchval("SELECT count(*) FROM events WHERE data::text LIKE $1", f"%{CONTACT}%") == 0
        assert await tx.fetchval("SELECT count(*) FROM opt_outs WHERE contact_e164 = $1", CONTACT) == 1
    assert await files.delete_files_of_messages(texting.db, Files(tmp_path), deletionlimits.FILES) == 1
    assert len(list(tmp_path.iterdir())) == 1  # noqa: ASYNC240
    assert await files.delete_files_of_messages(texting.db, Files(tmp_path), deletionlimits.FILES) == 0


async def test_a_person_goes_with_their_texts(texting: Texting) -> None:
    await conversation(texting)
    kept = await conversation(texting, OTHER)
    async with texting.db.tenant(texting.org) as tx:
        id = await tx.fetchval("SELECT id FROM contacts WHERE phone_e164 = $1", CONTACT)
        thread = await texting.thread(tx)
        await writing.write(tx, thread, TextDraft("Not sent yet", "human", honors_hours=False), now())
    async with texting.db.tenant(texting.org) as tx:
        assert await usecases.begin_of_contact(tx, id) is None
    async with texting.db.system() as tx:
        assert [row["id"] for row in await tx.fetch("SELECT id FROM conversations")] == [kept]
        assert await tx.fetchval("SELECT count(*) FROM messages WHERE contact_e164 = $1", CONTACT) == 0
        assert await tx.fetchval("SELECT count(*) FROM events WHERE data::text LIKE $1", f"%{CONTACT}%") == 0
        out = await tx.fetchrow("SELECT opted_out, message_id FROM opt_outs WHERE contact_e164 = $1", CONTACT)
        assert out is not None and tuple(out) == (True, None)


async def test_many_texts_go_step_by_step(texting: Texting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deletionlimits, "MESSAGES", 2)
    thread = await conversation(texting)
    async with texting.db.tenant(texting.org) as tx:
        locked = await conversations.lock(tx, thread)
        for n in range(5):
            await writing.write(tx, locked, TextDraft(f"m{n}", "human", honors_hours=False), now())
        id = await tx.fetchval("SELECT id FROM contacts WHERE phone_e164 = $1", CONTACT)
    async with texting.db.tenant(texting.org) as tx:
        row = await usecases.begin_of_contact(tx, id)
        assert row is not None
        assert await tx.fetchval("SELECT count(*) FROM hum.search_conversations"
                                 "('', '5551234', NULL, NULL, 9, NULL, NULL, false, NULL, NULL, NULL, NULL)") == 0  # fmt: skip
    steps = 0
    while True:
        steps += 1
        async with texting.db.tenant(texting.org) as tx:
            again = await erasures.lock_open(tx, row.id)
            assert again is not None
            if await usecases.delete_batch(tx, again, now()):
                break
    async with texting.db.system() as tx:
        assert await left(tx) == NOTHING
    assert steps >= 3


async def test_what_is_written_at_this_moment_stays(texting: Texting) -> None:
    async with texting.db.tenant(texting.org) as tx:
        thread = await texting.thread(tx)
        await tx.execute("UPDATE conversations SET active_at = now() - interval '60 days'")

    async def sweep() -> list[UUID]:
        async with texting.db.tenant(texting.org) as other:
            return await text_erasures.empty_old(other, now() - timedelta(days=30), 10)

    async with texting.db.tenant(texting.org) as tx:
        locked = await conversations.lock(tx, thread.id)
        later = now() + timedelta(days=1)
        text = await writing.write(
            tx, locked, TextDraft("Later", "human", honors_hours=False, scheduled_at=later), now()
        )
        sweeping = asyncio.create_task(sweep())
        await asyncio.wait({sweeping}, timeout=1)
    assert await sweeping == []
    async with texting.db.tenant(texting.org) as tx:
        assert (await messages.get(tx, text.id)).status == "scheduled"


async def test_a_text_on_its_way_is_waited_for(texting: Texting) -> None:
    thread = await conversation(texting)
    async with texting.db.tenant(texting.org) as tx:
        message = await tx.fetchval("SELECT id FROM messages WHERE conversation_id = $1 LIMIT 1", thread)
        await tx.execute(
            "INSERT INTO message_attempts (id, org_id, message_id, number, account, from_e164, to_e164, state)"
            " VALUES ($1, $2, $3, 1, '', '+12125550100', $4, 'posting')",
            ids.new(), texting.org, message, CONTACT,
        )  # fmt: skip
        id = await tx.fetchval("SELECT id FROM contacts WHERE phone_e164 = $1", CONTACT)
    with pytest.raises(InvalidState, match="on its way"):
        async with texting.db.tenant(texting.org) as tx:
            await usecases.begin_of_contact(tx, id)
