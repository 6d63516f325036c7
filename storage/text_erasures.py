"""Deletion of texts: messages with all that belongs to them, empty conversations, and files that are to be deleted.

Runs as the tenant unless noted.  Opt-outs stay: the wish not to be texted outlives the conversation.  A contact that never opted
out leaves none, and one that is erased leaves none of its words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Tx

#: Messages that are neither waiting to be sent nor being sent.
OVER = """m.due_at IS NULL AND m.status NOT IN ('scheduled', 'queued')
       AND NOT EXISTS (SELECT FROM message_attempts a WHERE a.message_id = m.id AND a.state = 'posting')"""
OLD = f"""
    SELECT m.id, m.conversation_id, m.recipient_id FROM messages m
     WHERE m.org_id = hum.org_id() AND m.created_at < $1 AND coalesce(m.sent_at, m.created_at) < $1 AND {OVER}
     ORDER BY m.created_at, m.id
     LIMIT $2 FOR UPDATE OF m
"""
OF_CONTACT = """
    SELECT m.id, m.conversation_id, m.recipient_id
      FROM conversations c JOIN messages m ON m.conversation_id = c.id
     WHERE c.org_id = hum.org_id() AND c.contact_e164 = $1 AND m.created_at <= $2
     ORDER BY m.conversation_id, m.id
     LIMIT $3 FOR UPDATE OF m
"""
IS_SENDING_TO = """
    SELECT EXISTS (SELECT FROM message_attempts a JOIN messages m ON m.id = a.message_id
                     JOIN conversations c ON c.id = m.conversation_id
                    WHERE c.org_id = hum.org_id() AND c.contact_e164 = $1 AND a.state = 'posting')
"""
# Files, attempts, statuses and search words are deleted in cascade.
DELETE = "DELETE FROM messages WHERE id = ANY ($1)"
# With what their tools did.
DELETE_RUNS = """
    WITH gone AS (DELETE FROM text_runs WHERE conversation_id = ANY ($1) AND finished_at < $2 RETURNING id)
    DELETE FROM tool_runs r USING gone WHERE r.run_id = gone.id
"""
#: The recipient stays as an anonymous count.  Not one with a withdrawn text: it waits for another text, or has one.
ANONYMIZE_RECIPIENTS = """
    UPDATE campaign_recipients SET contact_e164 = 'deleted ' || id, body = NULL, variables = NULL
     WHERE id = ANY ($1) AND message_id = ANY ($2)
"""
ANONYMIZE_CONTACT = """
    UPDATE campaign_recipients
       SET contact_e164 = 'deleted ' || id, body = NULL, variables = NULL,
           status = CASE status WHEN 'pending' THEN 'canceled' ELSE status END
     WHERE org_id = hum.org_id() AND contact_e164 = $1
"""
DELETE_OPT_INS = (
    "DELETE FROM opt_outs WHERE org_id = hum.org_id() AND contact_e164 = $1 AND NOT (ever_out OR opted_out)"
)
ERASE_SENTENCES = """
    UPDATE opt_outs
       SET keyword = CASE WHEN keyword IN ('STOP', 'START') THEN keyword END,
           last_keyword = CASE WHEN last_keyword IN ('STOP', 'START') THEN last_keyword END
     WHERE org_id = hum.org_id() AND contact_e164 = $1
"""
# A gateway has delivered everything of a while ago by then.
DELETE_OLD_OPT_INS = """
    DELETE FROM opt_outs WHERE org_id = hum.org_id() AND NOT (ever_out OR opted_out) AND coalesce(last_at, changed_at) < $1
"""
# Locked and checked again, because a text that is being scheduled in one of them leaves `active_at` unchanged.
LOCK_EMPTY_OLD = """
    SELECT c.id FROM conversations c
     WHERE c.org_id = hum.org_id() AND c.active_at < $1
       AND NOT EXISTS (SELECT FROM messages m WHERE m.conversation_id = c.id)
     ORDER BY c.active_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
DELETE_EMPTY = """
    DELETE FROM conversations c
     WHERE c.id = ANY ($1) AND NOT EXISTS (SELECT FROM messages m WHERE m.conversation_id = c.id)
    RETURNING c.id
"""
EMPTY_WITH = """
    DELETE FROM conversations c
     WHERE c.org_id = hum.org_id() AND c.contact_e164 = $1 AND c.created_at <= $2
       AND NOT EXISTS (SELECT FROM messages m WHERE m.conversation_id = c.id)
    RETURNING c.id
"""
THREADS_WITH = "SELECT id FROM conversations WHERE org_id = hum.org_id() AND contact_e164 = $1"
# Files that could not be deleted go to the end of the queue.
CLAIM_FILES = """
    UPDATE erased_media SET tried_at = now()
     WHERE id IN (SELECT id FROM erased_media ORDER BY tried_at NULLS FIRST LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING id, org_id, path
"""
SCHEDULE_FILE = "INSERT INTO erased_media (org_id, path) VALUES ($1, $2)"
DELETE_FILE = "DELETE FROM erased_media WHERE id = $1"


@dataclass(frozen=True, slots=True)
class ErasedMessageRow:
    """A message that is to be deleted, locked."""

    id: UUID
    conversation_id: UUID
    recipient_id: UUID | None


@dataclass(frozen=True, slots=True)
class MediaFileRow:
    """A file of a deleted message."""

    id: int
    org_id: UUID
    path: str


async def lock_old(tx: Tx, before: datetime, limit: int) -> list[ErasedMessageRow]:
    """Lock and return the oldest messages from before a time."""
    return [ErasedMessageRow(**row) for row in await tx.fetch(OLD, before, limit)]


async def lock_of_contact(tx: Tx, phone_e164: str, until: datetime, limit: int) -> list[ErasedMessageRow]:
    """Lock and return messages from and to a number up to a time, including unsent ones."""
    return [ErasedMessageRow(**row) for row in await tx.fetch(OF_CONTACT, phone_e164, until, limit)]


async def is_sending_to(tx: Tx, phone_e164: str) -> bool:
    """Return whether a send to the number is in flight at the carrier."""
    return bool(await tx.fetchval(IS_SENDING_TO, phone_e164))


async def erase(tx: Tx, rows: Sequence[ErasedMessageRow], runs_before: datetime) -> None:
    """Delete locked messages, and the AI's turns in their conversations from before a time."""
    messages = [row.id for row in rows]
    await tx.execute(ANONYMIZE_RECIPIENTS, [row.recipient_id for row in rows if row.recipient_id], messages)
    await tx.execute(DELETE, messages)
    await tx.execute(DELETE_RUNS, list({row.conversation_id for row in rows}), runs_before)


async def empty_old(tx: Tx, before: datetime, limit: int) -> list[UUID]:
    """Delete conversations without messages and without activity since `before`; return which."""
    await tx.execute(DELETE_OLD_OPT_INS, before)
    threads = [row["id"] for row in await tx.fetch(LOCK_EMPTY_OLD, before, limit)]
    return [row["id"] for row in await tx.fetch(DELETE_EMPTY, threads)]


async def end_of_contact(tx: Tx, phone_e164: str, until: datetime) -> list[UUID]:
    """Delete the empty conversations with a number, and anonymize it in campaigns and opt-outs.  Return all conversations with it."""
    threads = [row["id"] for row in await tx.fetch(THREADS_WITH, phone_e164)]
    await tx.execute(DELETE_RUNS, threads, until)
    await tx.execute(EMPTY_WITH, phone_e164, until)
    await tx.execute(ANONYMIZE_CONTACT, phone_e164)
    await tx.execute(DELETE_OPT_INS, phone_e164)
    await tx.execute(ERASE_SENTENCES, phone_e164)
    return threads


async def claim_files(tx: Tx, limit: int) -> list[MediaFileRow]:
    """Claim files of deleted messages.  Runs as the system."""
    return [MediaFileRow(**row) for row in await tx.fetch(CLAIM_FILES, limit)]


async def schedule_file(tx: Tx, org: UUID, path: str) -> None:
    """Schedule the deletion of a file that belongs to no message.  Runs as the system."""
    await tx.execute(SCHEDULE_FILE, org, path)


async def record_file_deletion(tx: Tx, id: int) -> None:
    """Record that a file is deleted.  Runs as the system."""
    await tx.execute(DELETE_FILE, id)
