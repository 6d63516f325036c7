"""Conversations: the thread of each of an organization's numbers with a contact."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum import ids
from hum.contract.errors import NotFound
from storage.db import Tx

PREVIEW_CHARS = 160
COLUMNS = """
    c.id, c.org_id, c.number_e164, c.contact_e164, c.number_id, c.contact_id, c.status, c.assignee_id,
    c.ai_paused_reason, c.snoozed_until, c.flow_id, c.unread_count, c.last_message_at
"""
LOCK = f"SELECT {COLUMNS} FROM conversations c WHERE c.id = $1 FOR NO KEY UPDATE"
# The upsert locks the row even if it exists: of many transactions that begin a thread at once, one creates it.
FIND_OR_CREATE = f"""
    INSERT INTO conversations AS c (id, org_id, number_e164, contact_e164, number_id, contact_id)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (org_id, number_e164, contact_e164)
    DO UPDATE SET number_id = excluded.number_id, contact_id = coalesce(excluded.contact_id, c.contact_id)
    RETURNING {COLUMNS}, c.id = $1 AS created
"""
# The same for many contacts, always locked in the order of their numbers.
FIND_OR_CREATE_ALL = f"""
    INSERT INTO conversations AS c (id, org_id, number_e164, contact_e164, number_id, contact_id)
    SELECT id, $1, $2, contact_e164, $3, contact_id
      FROM unnest($4::uuid[], $5::text[], $6::uuid[]) AS given (id, contact_e164, contact_id)
     ORDER BY contact_e164
    ON CONFLICT (org_id, number_e164, contact_e164)
    DO UPDATE SET number_id = excluded.number_id, contact_id = coalesce(excluded.contact_id, c.contact_id)
    RETURNING {COLUMNS}
"""
CLOSE = "UPDATE conversations SET status = 'closed' WHERE id = $1"
OPEN = "UPDATE conversations SET status = 'open', snoozed_until = NULL WHERE id = $1"
# A message that arrived earlier than the latest does not replace it.
TOUCH = """
    UPDATE conversations
       SET last_message_preview = CASE WHEN last_message_at > $2 THEN last_message_preview ELSE left($3, 160) END,
           last_message_direction = CASE WHEN last_message_at > $2 THEN last_message_direction ELSE $4 END,
           last_message_at = greatest(last_message_at, $2), active_at = greatest(active_at, $2),
           last_inbound_at = CASE WHEN $4 = 'inbound' THEN greatest(last_inbound_at, $2) ELSE last_inbound_at END,
           unread_count = unread_count + CASE WHEN $5 THEN 1 ELSE 0 END,
           status = CASE WHEN $5 THEN 'open' ELSE status END, snoozed_until = CASE WHEN $5 THEN NULL ELSE snoozed_until END
     WHERE id = $1
"""
# The same for many threads.
TOUCH_ALL = """
    UPDATE conversations c
       SET last_message_preview = CASE WHEN c.last_message_at > $3 THEN c.last_message_preview ELSE left(each.body, 160) END,
           last_message_direction = CASE WHEN c.last_message_at > $3 THEN c.last_message_direction ELSE $4 END,
           last_message_at = greatest(c.last_message_at, $3), active_at = greatest(c.active_at, $3),
           last_inbound_at = CASE WHEN $4 = 'inbound' THEN greatest(c.last_inbound_at, $3) ELSE c.last_inbound_at END,
           unread_count = c.unread_count + CASE WHEN $5 THEN 1 ELSE 0 END,
           status = CASE WHEN $5 THEN 'open' ELSE c.status END, snoozed_until = CASE WHEN $5 THEN NULL ELSE c.snoozed_until END
      FROM unnest($1::uuid[], $2::text[]) AS each (id, body)
     WHERE c.id = each.id
"""
ANSWER_WITH = "UPDATE conversations SET flow_id = $2 WHERE id = ANY ($1)"
PAUSE_AI = "UPDATE conversations SET ai_paused_reason = $2, turn_due_at = NULL, turn_pending_since = NULL WHERE id = $1"


@dataclass(frozen=True, slots=True)
class ConversationState:
    """A locked conversation."""

    id: UUID
    org_id: UUID
    number_e164: str
    contact_e164: str
    number_id: UUID | None
    contact_id: UUID | None
    status: str
    assignee_id: UUID | None
    ai_paused_reason: str | None
    snoozed_until: datetime | None
    flow_id: UUID | None
    unread_count: int
    last_message_at: datetime | None


async def lock(tx: Tx, id: UUID) -> ConversationState:
    """Lock a conversation; every write in its thread needs this lock.  Raises NotFound."""
    row = await tx.fetchrow(LOCK, id)
    if row is None:
        raise NotFound
    return ConversationState(**row)


async def find_or_create(
    tx: Tx, id: UUID, org: UUID, number_id: UUID, number_e164: str, contact_e164: str, contact_id: UUID | None
) -> tuple[ConversationState, bool]:
    """Lock the conversation of a number with a contact, or create it with this id; return it, and whether it is new."""
    row = dict(await tx.fetchrow(FIND_OR_CREATE, id, org, number_e164, contact_e164, number_id, contact_id) or {})
    created = row.pop("created")
    return ConversationState(**row), created


async def find_or_create_all(
    tx: Tx, org: UUID, number_id: UUID, number_e164: str, contacts: Mapping[str, UUID | None]
) -> dict[str, ConversationState]:
    """Lock the conversations of a number with these contacts, and create the missing ones; return them by the contact's number."""
    new_ids = [ids.new() for _ in contacts]
    rows = await tx.fetch(
        FIND_OR_CREATE_ALL, org, number_e164, number_id, new_ids, list(contacts), list(contacts.values())
    )
    return {row["contact_e164"]: ConversationState(**row) for row in rows}


async def open(tx: Tx, id: UUID) -> None:
    """Open a conversation and end its snooze."""
    await tx.execute(OPEN, id)


async def close(tx: Tx, id: UUID) -> None:
    """Close a conversation, without other effects."""
    await tx.execute(CLOSE, id)


async def touch(tx: Tx, id: UUID, at: datetime, body: str, direction: str, *, opens: bool = False) -> None:
    """Update a thread for a message that was stored in it: it is the latest, unless it arrived before another.

    `opens`: the thread becomes open and unread, and its snooze ends.
    """
    await tx.execute(TOUCH, id, at, body, direction, opens)


async def touch_all(tx: Tx, bodies: Mapping[UUID, str], at: datetime, direction: str, *, opens: bool = False) -> None:
    """Update several locked threads, as `touch` does."""
    await tx.execute(TOUCH_ALL, list(bodies), list(bodies.values()), at, direction, opens)


async def pause_ai(tx: Tx, id: UUID, reason: str) -> None:
    """Pause the AI in a conversation until a person resumes it; a scheduled turn is canceled."""
    await tx.execute(PAUSE_AI, id, reason)


async def answer_with(tx: Tx, threads: Sequence[UUID], flow: UUID) -> None:
    """Let this SMS flow answer in these threads, instead of the number's."""
    await tx.execute(ANSWER_WITH, threads, flow)
