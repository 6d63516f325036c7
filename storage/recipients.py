"""Recipients of campaigns.  Their statuses follow their texts' by triggers (0034_campaigns.sql), and so do the counts.

Locks are taken in one order: conversations, then recipients, then counts; messages come before recipients.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Tx

ADD = """
    INSERT INTO campaign_recipients (id, org_id, campaign_id, contact_e164, body, variables, status, reason)
    SELECT id, $1, $2, contact, body, variables, CASE WHEN reason IS NULL THEN 'pending' ELSE 'skipped' END, reason
      FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[])
           WITH ORDINALITY AS given (id, contact, body, variables, reason, index)
     ORDER BY index
    ON CONFLICT (campaign_id, contact_e164) DO NOTHING
    RETURNING reason IS NOT NULL AS bad
"""
TAGGED = "SELECT count(*) FROM contact_tags WHERE org_id = $1 AND tag = $2"
ADD_TAGGED = """
    INSERT INTO campaign_recipients (id, org_id, campaign_id, contact_e164)
    SELECT gen_random_uuid(), $1, $2, k.phone_e164
      FROM contact_tags t JOIN contacts k ON k.id = t.contact_id
     WHERE t.org_id = $1 AND t.tag = $3
     ORDER BY t.contact_id
    ON CONFLICT (campaign_id, contact_e164) DO NOTHING
"""
COLUMNS = (
    "r.id, r.position, r.contact_e164, r.body, r.variables, r.status, r.reason, r.due_at, r.message_id, r.changed_at"
)
PAGE = f"""
    SELECT {COLUMNS} FROM campaign_recipients r
     WHERE r.campaign_id = $1 AND r.position > $2
     ORDER BY r.position
     LIMIT $3
"""
PAGE_OF_STATUS = f"""
    SELECT {COLUMNS} FROM campaign_recipients r
     WHERE r.campaign_id = $1 AND r.position > $2 AND r.status = $4
     ORDER BY r.position
     LIMIT $3
"""

# --- dispatching, as the system
#: Not locked: no other dispatcher has the campaign, and who locked a conversation may wait for its recipient.
DUE = """
    SELECT r.id, r.contact_e164, r.body, r.variables, k.id AS contact_id, k.name AS contact_name, k.company AS contact_company,
           k.email AS contact_email, k.untextable_code IS NOT NULL AS untextable,
           coalesce(x.opted_out, false) AS opted_out, b.phone_e164 IS NOT NULL AS blocked,
           EXISTS (SELECT FROM numbers n WHERE n.org_id = r.org_id AND n.e164 = r.contact_e164) AS own,
           EXISTS (SELECT FROM conversations c WHERE c.org_id = r.org_id AND c.contact_e164 = r.contact_e164) AS known
      FROM campaign_recipients r
      LEFT JOIN contacts k ON k.org_id = r.org_id AND k.phone_e164 = r.contact_e164
      LEFT JOIN opt_outs x ON x.org_id = r.org_id AND x.contact_e164 = r.contact_e164
      LEFT JOIN blocklist b ON b.org_id = r.org_id AND b.phone_e164 = r.contact_e164
     WHERE r.campaign_id = $1 AND r.status = 'pending' AND r.due_at <= clock_timestamp()
     ORDER BY r.due_at, r.position
     LIMIT $2
"""
LOCK_PENDING = """
    SELECT id FROM campaign_recipients WHERE id = ANY ($1) AND status = 'pending' ORDER BY id FOR NO KEY UPDATE
"""
SETTLE = """
    UPDATE campaign_recipients r
       SET status = given.status, reason = given.reason, message_id = given.message,
           due_at = coalesce(given.due_at, r.due_at), changed_at = clock_timestamp()
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[]) AS given (id, status, reason, message, due_at)
     WHERE r.id = given.id AND r.status = 'pending'
"""
WAITING = """
    SELECT count(*) FROM messages WHERE campaign_id = $1 AND due_at IS NOT NULL AND status = 'queued'
"""
NEXT_DUE_SECONDS = """
    SELECT extract(epoch FROM min(due_at) - clock_timestamp())::float8
      FROM campaign_recipients WHERE campaign_id = $1 AND status = 'pending'
"""
# Those that the sender has in hand are locked, or not due any more: they are on their way.
WITHDRAW = """
    UPDATE messages SET status = 'canceled', error_code = $2, due_at = NULL
     WHERE id IN (SELECT id FROM messages WHERE campaign_id = $1 AND due_at IS NOT NULL AND status IN ('queued', 'scheduled')
                   ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED)
"""
END_PENDING = """
    UPDATE campaign_recipients SET status = $2, reason = $3, changed_at = clock_timestamp()
     WHERE id IN (SELECT id FROM campaign_recipients WHERE campaign_id = $1 AND status = 'pending'
                   ORDER BY position LIMIT $4 FOR NO KEY UPDATE SKIP LOCKED)
"""
# A person's texts may be deleted at any time, with their conversation.
END_ERASED = """
    UPDATE campaign_recipients r SET status = 'canceled', reason = 'erased', changed_at = clock_timestamp()
     WHERE r.campaign_id = $1 AND r.status = 'sending' AND NOT EXISTS (SELECT FROM messages m WHERE m.id = r.message_id)
"""
# --- a text that was taken back, and of which the carrier tells after all
LOCK_OF_MESSAGE = """
    SELECT r.id, r.message_id FROM campaign_recipients r
     WHERE r.id = (SELECT m.recipient_id FROM messages m WHERE m.id = $1) FOR NO KEY UPDATE
"""
# One that the sender has in hand is locked, or not due any more.
TAKE_BACK = """
    UPDATE messages SET status = 'canceled', error_code = 'superseded', due_at = NULL
     WHERE id IN (SELECT m.id FROM messages m
                   WHERE m.id = $1 AND m.due_at IS NOT NULL AND m.status IN ('queued', 'scheduled')
                     AND NOT EXISTS (SELECT FROM message_attempts a WHERE a.message_id = m.id) FOR NO KEY UPDATE SKIP LOCKED)
"""
RELINK = """
    UPDATE campaign_recipients SET message_id = $2, status = 'sending', reason = NULL, changed_at = clock_timestamp() WHERE id = $1
"""
UNLINK = "UPDATE messages SET recipient_id = NULL WHERE id = $1"
OUTCOMES = """
    SELECT reason, count(*) AS count
      FROM (SELECT reason FROM campaign_recipients
             WHERE campaign_id = $1 AND status IN ('sent', 'delivered', 'failed') AND changed_at >= $2
             ORDER BY changed_at DESC LIMIT $3) latest
     GROUP BY reason
"""


@dataclass(frozen=True, slots=True)
class NewRecipient:
    id: UUID
    #: E.164; what was given, if that is no number.
    contact_e164: str
    body: str | None
    variables: Mapping[str, str]
    #: Why it is not texted; None: it is.
    reason: str | None


@dataclass(frozen=True, slots=True)
class RecipientRow:
    id: UUID
    position: int
    contact_e164: str
    body: str | None
    variables: Mapping[str, str]
    status: str
    reason: str | None
    due_at: datetime
    message_id: UUID | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class DueRow:
    """A recipient whose turn it is, and what decides whether it is texted."""

    id: UUID
    contact_e164: str
    body: str | None
    variables: Mapping[str, str]
    contact_id: UUID | None
    contact_name: str | None
    contact_company: str | None
    contact_email: str | None
    opted_out: bool
    blocked: bool
    own: bool
    #: The carrier said that its number can't be texted.
    untextable: bool
    #: There is a conversation with it.
    known: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a recipient whose turn it was."""

    id: UUID
    status: str
    reason: str | None = None
    message_id: UUID | None = None
    due_at: datetime | None = None


async def add(tx: Tx, org: UUID, campaign: UUID, people: Sequence[NewRecipient]) -> tuple[int, int]:
    """Add those who are no recipients yet; return how many that were, and how many of them are not texted."""
    made = await tx.fetch(
        ADD,
        org,
        campaign,
        [each.id for each in people],
        [each.contact_e164 for each in people],
        [each.body for each in people],
        [json.dumps(dict(each.variables)) if each.variables else None for each in people],
        [each.reason for each in people],
    )
    return len(made), sum(row["bad"] for row in made)


async def tagged(tx: Tx, org: UUID, tag: str) -> int:
    """How many contacts have a tag."""
    return int(await tx.fetchval(TAGGED, org, tag))


async def add_tagged(tx: Tx, org: UUID, campaign: UUID, tag: str) -> int:
    """Add the contacts that have a tag and are no recipients yet; return how many."""
    return _count(await tx.execute(ADD_TAGGED, org, campaign, tag))


async def page(tx: Tx, campaign: UUID, status: str | None, after: int, limit: int) -> list[RecipientRow]:
    """In the order in which they were given, above `after`."""
    rows = await (
        tx.fetch(PAGE_OF_STATUS, campaign, after, limit, status) if status else tx.fetch(PAGE, campaign, after, limit)
    )
    return [RecipientRow(**{**row, "variables": _variables(row["variables"])}) for row in rows]


def _variables(stored: str | None) -> dict[str, str]:
    return dict(json.loads(stored)) if stored else {}


def _count(done: str) -> int:
    return int(done.rpartition(" ")[2])


# --- dispatching --------------------------------------------------------------------------------------------------


async def due(tx: Tx, campaign: UUID, limit: int) -> list[DueRow]:
    """Whose turn it is."""
    rows = await tx.fetch(DUE, campaign, limit)
    return [DueRow(**{**row, "variables": _variables(row["variables"])}) for row in rows]


async def lock_pending(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Lock those that still wait for a text.  Whoever writes texts has locked their conversations before."""
    return {row["id"] for row in await tx.fetch(LOCK_PENDING, ids)}


async def settle(tx: Tx, settled: Sequence[Settled]) -> None:
    """Record what became of pending recipients: in one statement, since it locks the counts."""
    await tx.execute(
        SETTLE,
        [each.id for each in settled],
        [each.status for each in settled],
        [each.reason for each in settled],
        [each.message_id for each in settled],
        [each.due_at for each in settled],
    )


async def waiting(tx: Tx, campaign: UUID) -> int:
    """How many texts are written and wait for the sender; those that wait for their hours don't count."""
    return int(await tx.fetchval(WAITING, campaign))


async def next_due_seconds(tx: Tx, campaign: UUID) -> float | None:
    """In how many seconds the next recipient is due; None if none is pending."""
    found: float | None = await tx.fetchval(NEXT_DUE_SECONDS, campaign)
    return found


async def withdraw(tx: Tx, campaign: UUID, error_code: str, limit: int) -> int:
    """Take texts back that wait for the sender; return how many."""
    return _count(await tx.execute(WITHDRAW, campaign, error_code, limit))


async def end_pending(tx: Tx, campaign: UUID, status: str, reason: str | None, limit: int) -> int:
    """Give up on recipients that wait for a text; return how many."""
    return _count(await tx.execute(END_PENDING, campaign, status, reason, limit))


async def end_erased(tx: Tx, campaign: UUID) -> None:
    """Give up on recipients whose texts were deleted before they were sent."""
    await tx.execute(END_ERASED, campaign)


async def outcomes(tx: Tx, campaign: UUID, since: datetime, limit: int) -> dict[str | None, int]:
    """What became of the latest texts since then, at most `limit`: how many failed for which reason, None for those that did not."""
    return {row["reason"]: row["count"] for row in await tx.fetch(OUTCOMES, campaign, since, limit)}


async def reclaim(tx: Tx, message: UUID) -> bool:
    """A campaign's text that was taken back, and is locked, has left after all: its recipient has it, and gets no other.

    False if another one is on its way already: that is the recipient's, and this one is nobody's.
    """
    row = await tx.fetchrow(LOCK_OF_MESSAGE, message)
    if row is None or row["message_id"] == message:
        return True
    other = row["message_id"]
    if other is not None and not _count(await tx.execute(TAKE_BACK, other)):
        await tx.execute(UNLINK, message)
        return False
    await tx.execute(RELINK, row["id"], message)
    return True
