"""The inbox: conversations as people see them, in lists and alone, and what people change about them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx
from storage.messages import COLUMNS as MESSAGE_COLUMNS
from storage.messages import MessageRow, read

SHOWN = """
    c.id, c.number_id, c.number_e164, c.contact_e164, c.contact_id, k.name AS contact_name, k.company AS contact_company,
    c.status, c.assignee_id, c.ai_paused_reason,
    CASE WHEN c.snoozed_until > now() THEN c.snoozed_until END AS snoozed_until,
    c.unread_count, c.last_message_at, c.last_message_preview, c.last_message_direction, c.flow_id,
    EXISTS (SELECT FROM opt_outs x
             WHERE x.org_id = c.org_id AND x.contact_e164 = c.contact_e164 AND x.opted_out) AS opted_out,
    c.active_at, c.created_at, c.campaign_only,
    CASE WHEN c.turn_pending_since = c.turn_due_at AND c.turn_due_at > now() THEN c.turn_due_at END AS ai_answers_at
"""
GET = f"SELECT {SHOWN} FROM conversations c LEFT JOIN contacts k ON k.id = c.contact_id WHERE c.id = $1"
# A plan for each set of filters: each has an index in the list's order, and a generic plan would use none.
PLAN_ANEW = "SET LOCAL plan_cache_mode = force_custom_plan"
PAGE = f"""
    SELECT {SHOWN}
      FROM conversations c
      LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE ($1::timestamptz IS NULL OR (c.active_at, c.id) < ($1, $2::uuid))
       AND ($4::text IS NULL OR c.status = $4)
       AND ($5::uuid IS NULL OR c.assignee_id = $5)
       AND ($6::boolean IS NOT TRUE OR c.assignee_id IS NULL)
       AND ($7::boolean IS NOT TRUE OR c.unread_count > 0)
       AND ($7::boolean IS NOT FALSE OR c.unread_count = 0)
       AND ($8::boolean IS NOT TRUE OR c.snoozed_until > now())
       AND ($8::boolean IS NOT FALSE OR c.snoozed_until IS NULL OR c.snoozed_until <= now())
       AND ($9::uuid IS NULL OR c.number_id = $9)
       AND ($10::boolean IS NOT TRUE OR c.campaign_only)
       AND ($10::boolean IS NOT FALSE OR NOT c.campaign_only)
     ORDER BY c.active_at DESC, c.id DESC
     LIMIT $3
"""
SEARCH = f"""
    SELECT {SHOWN}
      FROM hum.search_conversations($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS found (id)
      JOIN conversations c ON c.id = found.id
      LEFT JOIN contacts k ON k.id = c.contact_id
     ORDER BY c.active_at DESC, c.id DESC
"""
MESSAGES = largerows.page(
    f"""
    SELECT {MESSAGE_COLUMNS} FROM messages m
     WHERE m.conversation_id = $1 AND m.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY m.id DESC
     LIMIT $3
""",
    ["body", "media"],
    "id DESC",
)
SCHEDULED = largerows.page(
    f"""
    SELECT {MESSAGE_COLUMNS} FROM messages m
     WHERE m.status = 'scheduled' AND m.due_at IS NOT NULL
       AND ($1::timestamptz IS NULL OR (m.due_at, m.id) > ($1, $2::uuid))
       AND ($4::uuid IS NULL OR m.conversation_id = $4)
       AND ($5::text IS NULL OR m.source = $5)
     ORDER BY m.due_at, m.id
     LIMIT $3
""",
    ["body", "media"],
    "due_at, id",
)
# A message that is being sent is locked by its sender, and no longer scheduled afterwards.
CANCEL = """
    UPDATE messages SET status = 'canceled', error_code = $2, due_at = NULL
     WHERE id = $1 AND status = 'scheduled' AND due_at IS NOT NULL
    RETURNING id
"""
CANCEL_ALL = """
    UPDATE messages SET status = 'canceled', error_code = $2, due_at = NULL
     WHERE conversation_id = $1 AND status = 'scheduled' AND due_at IS NOT NULL
"""
READ = "UPDATE conversations SET unread_count = 0 WHERE id = $1 AND unread_count > 0"
CLOSE = """
    UPDATE conversations
       SET status = 'closed', snoozed_until = NULL, turn_due_at = NULL, turn_pending_since = NULL, campaign_only = false
     WHERE id = $1
"""
ASSIGN = "UPDATE conversations SET assignee_id = $2, campaign_only = false WHERE id = $1"
SNOOZE = "UPDATE conversations SET snoozed_until = $2, campaign_only = false WHERE id = $1"
RESUME_AI = "UPDATE conversations SET ai_paused_reason = NULL WHERE id = $1"
WAKE = """
    UPDATE conversations SET snoozed_until = NULL
     WHERE id IN (SELECT id FROM conversations WHERE snoozed_until <= now() ORDER BY snoozed_until LIMIT $1
                     FOR UPDATE SKIP LOCKED)
"""
SNOOZE_SECONDS = """
    SELECT extract(epoch FROM min(snoozed_until) - now())::float8 FROM conversations WHERE snoozed_until > now()
"""


@dataclass(frozen=True, slots=True)
class ThreadRow:
    """A conversation as it is shown; an expired snooze counts as none, even before the sweep ends it."""

    id: UUID
    number_id: UUID | None
    number_e164: str
    contact_e164: str
    contact_id: UUID | None
    contact_name: str | None
    contact_company: str | None
    status: str
    assignee_id: UUID | None
    ai_paused_reason: str | None
    snoozed_until: datetime | None
    unread_count: int
    last_message_at: datetime | None
    last_message_preview: str | None
    last_message_direction: str | None
    flow_id: UUID | None
    opted_out: bool
    active_at: datetime
    created_at: datetime
    #: Only a campaign has opened it, and nobody has answered since.
    campaign_only: bool
    #: A turn of the AI waits for hours until then.
    ai_answers_at: datetime | None


@dataclass(frozen=True, slots=True)
class InboxFilter:
    """The filters of a list of conversations; None matches all."""

    status: str | None = None
    assignee_id: UUID | None = None
    unassigned: bool = False
    unread: bool | None = None
    snoozed: bool | None = None
    number_id: UUID | None = None
    campaign_only: bool | None = None


async def get(tx: Tx, id: UUID) -> ThreadRow:
    """Return a conversation.  Raises NotFound."""
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound
    return ThreadRow(**row)


async def page(tx: Tx, by: InboxFilter, before: tuple[datetime, UUID] | None, limit: int) -> list[ThreadRow]:
    """Return conversations with the latest activity first, below `before`."""
    at, id = before or (None, None)
    await tx.execute(PLAN_ANEW)
    rows = await tx.fetch(
        PAGE,
        at,
        id,
        limit,
        by.status,
        by.assignee_id,
        by.unassigned,
        by.unread,
        by.snoozed,
        by.number_id,
        by.campaign_only,
    )
    return [ThreadRow(**row) for row in rows]


async def search(
    tx: Tx, words: str, digits: str | None, by: InboxFilter, before: tuple[datetime, UUID] | None, limit: int
) -> list[ThreadRow]:
    """Return conversations, as `page` does, with these words or digits in the contact's data or in a message."""
    at, id = before or (None, None)
    rows = await tx.fetch(
        SEARCH,
        words,
        digits,
        at,
        id,
        limit,
        by.status,
        by.assignee_id,
        by.unassigned,
        by.unread,
        by.snoozed,
        by.number_id,
        by.campaign_only,
    )
    return [ThreadRow(**row) for row in rows]


async def messages_of(tx: Tx, id: UUID, before: UUID | None, limit: int) -> Sequence[MessageRow]:
    """Return a conversation's messages, newest first.  Raises NotFound."""
    await get(tx, id)
    return [read(row) for row in await tx.fetch(MESSAGES, id, before, limit)]


async def scheduled(
    tx: Tx, thread: UUID | None, source: str | None, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[MessageRow]:
    """Return scheduled messages, the next one first."""
    at, id = after or (None, None)
    await tx.execute(PLAN_ANEW)
    return [read(row) for row in await tx.fetch(SCHEDULED, at, id, limit, thread, source)]


async def cancel(tx: Tx, id: UUID, reason: str | None = None) -> bool:
    """Cancel a scheduled message; return False if it is not scheduled."""
    return await tx.fetchval(CANCEL, id, reason) is not None


async def cancel_all(tx: Tx, thread: UUID, reason: str) -> None:
    """Cancel the scheduled messages of a conversation."""
    await tx.execute(CANCEL_ALL, thread, reason)


async def mark_read(tx: Tx, id: UUID) -> None:
    await tx.execute(READ, id)


async def close(tx: Tx, id: UUID) -> None:
    """Close a locked conversation, and cancel the AI's scheduled turn."""
    await tx.execute(CLOSE, id)


async def assign(tx: Tx, id: UUID, assignee: UUID | None) -> None:
    await tx.execute(ASSIGN, id, assignee)


async def snooze(tx: Tx, id: UUID, until: datetime | None) -> None:
    await tx.execute(SNOOZE, id, until)


async def resume_ai(tx: Tx, id: UUID) -> None:
    await tx.execute(RESUME_AI, id)


async def end_snoozes(tx: Tx, limit: int) -> int:
    """End expired snoozes; return how many.  Runs as the system."""
    return int((await tx.execute(WAKE, limit)).rpartition(" ")[2])


async def snooze_seconds(tx: Tx) -> float | None:
    """Return the seconds until the next snooze is over; None if there is none.  Runs as the system."""
    seconds: float | None = await tx.fetchval(SNOOZE_SECONDS)
    return seconds
