"""Recipients of campaigns.  Triggers keep their statuses in line with their texts', and the counts (0010_campaigns.sql).

Locks are taken in one order: messages or conversations, then recipients, then counts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage import largerows
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
_PAGE = f"""
    SELECT {COLUMNS} FROM campaign_recipients r
     WHERE r.campaign_id = $1 AND r.position > $2
     ORDER BY r.position
     LIMIT $3
"""
_PAGE_OF_STATUS = f"""
    SELECT {COLUMNS} FROM campaign_recipients r
     WHERE r.campaign_id = $1 AND r.position > $2 AND r.status = $4
     ORDER BY r.position
     LIMIT $3
"""
PAGE, PAGE_OF_STATUS = (largerows.page(query, ["body", "variables"], "position") for query in (_PAGE, _PAGE_OF_STATUS))

# --- dispatching, as the system
#: Without locks: no other dispatcher has the campaign, and a transaction with a locked conversation may wait for its recipient.
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
RECORD_RESULTS = """
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
# Texts that the sender has in hand are locked, or no longer due: they are in flight.
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
# --- a withdrawn text that the carrier reports as sent after all
LOCK_OF_MESSAGE = """
    SELECT r.id, r.message_id FROM campaign_recipients r
     WHERE r.id = (SELECT m.recipient_id FROM messages m WHERE m.id = $1) FOR NO KEY UPDATE
"""
# A text that the sender has in hand is locked, or no longer due.
WITHDRAW_ONE = """
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
    #: E.164, or the input if that is no number.
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
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class DueRecipientRow:
    """A due recipient, and what decides whether it is texted."""

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
    #: The carrier reported that its number can't be texted.
    untextable: bool
    #: There is a conversation with it.
    known: bool


@dataclass(frozen=True, slots=True)
class RecipientOutcome:
    """The result of a due recipient."""

    id: UUID
    status: str
    reason: str | None = None
    message_id: UUID | None = None
    due_at: datetime | None = None


async def add(tx: Tx, org: UUID, campaign: UUID, people: Sequence[NewRecipient]) -> tuple[int, int]:
    """Add recipients that are not in the campaign yet; return how many were added, and how many of them are not texted."""
    rows = await tx.fetch(
        ADD,
        org,
        campaign,
        [person.id for person in people],
        [person.contact_e164 for person in people],
        [person.body for person in people],
        [json.dumps(dict(person.variables)) if person.variables else None for person in people],
        [person.reason for person in people],
    )
    return len(rows), sum(row["bad"] for row in rows)


async def count_tagged(tx: Tx, org: UUID, tag: str) -> int:
    """Return how many contacts have a tag."""
    return int(await tx.fetchval(TAGGED, org, tag))


async def add_tagged(tx: Tx, org: UUID, campaign: UUID, tag: str) -> int:
    """Add the contacts that have a tag and are not in the campaign yet; return how many."""
    return _count(await tx.execute(ADD_TAGGED, org, campaign, tag))


async def page(tx: Tx, campaign: UUID, status: str | None, after: int, limit: int) -> list[RecipientRow]:
    """Return recipients in the order in which they were added, above `after`."""
    rows = await (
        tx.fetch(PAGE_OF_STATUS, campaign, after, limit, status) if status else tx.fetch(PAGE, campaign, after, limit)
    )
    return [RecipientRow(**{**row, "variables": _variables(row["variables"])}) for row in rows]


def _variables(stored: str | None) -> dict[str, str]:
    return dict(json.loads(stored)) if stored else {}


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])


# --- dispatching --------------------------------------------------------------------------------------------------


async def due(tx: Tx, campaign: UUID, limit: int) -> list[DueRecipientRow]:
    """Return the next due recipients."""
    rows = await tx.fetch(DUE, campaign, limit)
    return [DueRecipientRow(**{**row, "variables": _variables(row["variables"])}) for row in rows]


async def lock_pending(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Lock and return those that are still pending; the caller has locked their conversations before."""
    return {row["id"] for row in await tx.fetch(LOCK_PENDING, ids)}


async def record_results(tx: Tx, results: Sequence[RecipientOutcome]) -> None:
    """Store the results of pending recipients, in one statement, since it locks the counts."""
    await tx.execute(
        RECORD_RESULTS,
        [result.id for result in results],
        [result.status for result in results],
        [result.reason for result in results],
        [result.message_id for result in results],
        [result.due_at for result in results],
    )


async def count_waiting(tx: Tx, campaign: UUID) -> int:
    """Return how many texts wait for the sender; those that wait for their hours don't count."""
    return int(await tx.fetchval(WAITING, campaign))


async def next_due_seconds(tx: Tx, campaign: UUID) -> float | None:
    """Return the seconds until the next recipient is due, or None if none is pending."""
    seconds: float | None = await tx.fetchval(NEXT_DUE_SECONDS, campaign)
    return seconds


async def withdraw(tx: Tx, campaign: UUID, error_code: str, limit: int) -> int:
    """Withdraw texts that wait for the sender; return how many."""
    return _count(await tx.execute(WITHDRAW, campaign, error_code, limit))


async def end_pending(tx: Tx, campaign: UUID, status: str, reason: str | None, limit: int) -> int:
    """End pending recipients; return how many."""
    return _count(await tx.execute(END_PENDING, campaign, status, reason, limit))


async def end_erased(tx: Tx, campaign: UUID) -> None:
    """End recipients after the deletion of their unsent texts."""
    await tx.execute(END_ERASED, campaign)


async def outcomes(tx: Tx, campaign: UUID, since: datetime, limit: int) -> dict[str | None, int]:
    """Return the results of the latest texts since then, at most `limit`: counts by reason of failure, None for no failure."""
    return {row["reason"]: row["count"] for row in await tx.fetch(OUTCOMES, campaign, since, limit)}


async def reclaim(tx: Tx, message: UUID) -> bool:
    """Restore the recipient of a locked, withdrawn text that was sent after all, and cancel the text that replaced it.

    Returns False if the replacement is in flight already: then it stays the recipient's, and this text belongs to none.
    """
    row = await tx.fetchrow(LOCK_OF_MESSAGE, message)
    if row is None or row["message_id"] == message:
        return True
    replacement = row["message_id"]
    if replacement is not None and not _count(await tx.execute(WITHDRAW_ONE, replacement)):
        await tx.execute(UNLINK, message)
        return False
    await tx.execute(RELINK, row["id"], message)
    return True
