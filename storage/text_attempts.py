"""Attempts at sending texts, and the carrier's status reports on each.

A transaction that changes an attempt locks it together with its message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hum.contract.errors import NotFound
from storage import largerows, messages
from storage.db import Tx
from storage.messages import MessageRow

ATTEMPT = """
    SELECT a.id, a.org_id, a.message_id, a.number, a.account, a.from_e164, a.to_e164, a.state, a.carrier_sid, a.carrier_status,
           a.error_code, a.started_at, a.looked_at, a.sought_at, a.retry_at, m.conversation_id, m.body, m.sent_by, m.segments,
           m.campaign_id, m.status, m.error_code AS message_error_code, m.due_at, m.sent_at, m.delivered_at,
           (SELECT c.number_id FROM conversations c WHERE c.id = m.conversation_id) AS number_id
      FROM message_attempts a JOIN messages m ON m.id = a.message_id
"""
LOCK = f"{ATTEMPT} WHERE a.id = $1 FOR NO KEY UPDATE OF m, a"
LOCK_LATEST = f"""
    {ATTEMPT} WHERE m.id = $1 AND a.number = (SELECT max(b.number) FROM message_attempts b WHERE b.message_id = $1)
      FOR NO KEY UPDATE OF m, a
"""
REPORTS = """
    SELECT carrier_status, error_code FROM message_statuses WHERE attempt_id = $1 ORDER BY id LIMIT $2
"""
HAS_LATER = "SELECT EXISTS (SELECT FROM message_attempts WHERE message_id = $1 AND number > $2)"
FAILED_BEFORE = "SELECT count(*) FROM message_attempts WHERE message_id = $1 AND number < $2 AND state = 'failed'"
ADD_REPORT = """
    INSERT INTO message_statuses (org_id, attempt_id, carrier_status, error_code, told_by) VALUES ($1, $2, $3, $4, $5)
"""
# --- of many attempts; locked in the order of their messages, in every transaction
LOCK_ALL = f"{ATTEMPT} WHERE a.id = ANY ($1::uuid[]) ORDER BY m.id, a.id FOR NO KEY UPDATE OF m, a"
REPORTS_OF = """
    SELECT attempt_id, carrier_status, error_code FROM message_statuses WHERE attempt_id = ANY ($1::uuid[]) ORDER BY id
"""
SUPERSEDED = """
    SELECT a.id FROM message_attempts a
     WHERE a.id = ANY ($1::uuid[])
       AND EXISTS (SELECT FROM message_attempts b WHERE b.message_id = a.message_id AND b.number > a.number)
"""
ADD_REPORTS = """
    INSERT INTO message_statuses (org_id, attempt_id, carrier_status, error_code, told_by)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[])
"""
ACCEPT_ALL = """
    UPDATE message_attempts a
       SET state = 'accepted', carrier_sid = each.sid, carrier_status = each.status, error_code = NULL, retry_at = NULL, ended_at = NULL
      FROM unnest($1::uuid[], $2::text[], $3::text[]) AS each (id, sid, status)
     WHERE a.id = each.id
"""
SET_MESSAGES = """
    UPDATE messages m
       SET status = each.status, error_code = NULL, due_at = NULL, carrier_sid = each.sid, segments = each.segments,
           sent_at = coalesce(m.sent_at, clock_timestamp()),
           delivered_at = CASE WHEN each.status = 'delivered' THEN coalesce(m.delivered_at, clock_timestamp()) END
      FROM unnest($1::uuid[], $2::text[], $3::text[], $4::integer[]) AS each (id, status, sid, segments)
     WHERE m.id = each.id
    RETURNING m.id, m.sent_at, m.delivered_at
"""
SET = """
    UPDATE message_attempts
       SET state = $2, carrier_sid = coalesce($3, carrier_sid), carrier_status = coalesce($4, carrier_status), error_code = $5,
           retry_at = $6, ended_at = CASE WHEN $2 IN ('posting', 'accepted') THEN NULL ELSE coalesce(ended_at, clock_timestamp()) END
     WHERE id = $1
"""
SET_MESSAGE = """
    UPDATE messages
       SET status = $2, error_code = $3, due_at = $4, carrier_sid = coalesce($5, carrier_sid), segments = coalesce($6, segments),
           sent_at = CASE WHEN $7 THEN coalesce(sent_at, clock_timestamp()) ELSE sent_at END,
           delivered_at = CASE WHEN $2 = 'delivered' THEN coalesce(delivered_at, clock_timestamp()) END
     WHERE id = $1
    RETURNING sent_at, delivered_at
"""
#: Due as before, unless the message is final.
DUE_AGAIN = """
    UPDATE messages m SET due_at = coalesce(a.due_at, now())
      FROM message_attempts a
     WHERE a.id = $1 AND m.id = a.message_id AND m.due_at IS NULL AND m.status IN ('queued', 'sent')
"""
DELETE_WITHDRAWN = "DELETE FROM message_attempts WHERE message_id = $1 AND id <> $2 AND state = 'withdrawn'"
SET_LOOKED_AT = """
    UPDATE message_attempts SET looked_at = clock_timestamp(), sought_at = coalesce(sought_at, clock_timestamp()) WHERE id = $1
"""
SET_SOUGHT_AT = """
    UPDATE message_attempts SET sought_at = coalesce(sought_at, clock_timestamp()) WHERE id = $1
    RETURNING clock_timestamp() - sought_at
"""
KNOWN_SIDS = "SELECT carrier_sid FROM message_attempts WHERE carrier_sid = ANY ($1::text[])"
#: Attempts without an answer from the carrier, for a look-up there: as many of each account, and any of them, since those whose look-up
#: fails stay here.
UNKNOWN = f"""
    {ATTEMPT}
      JOIN (SELECT id, row_number() OVER (PARTITION BY account ORDER BY random()) AS turn FROM message_attempts
             WHERE state = 'posting' AND coalesce(looked_at, started_at) < clock_timestamp() - $1::interval
             ORDER BY turn, random() LIMIT $2) chosen ON chosen.id = a.id
     ORDER BY chosen.turn
"""
#: Attempts without a new status from the carrier for so long.  They are marked before the carrier is asked, as if queried earlier:
#: those whose query fails or is never made are due again soon, but behind those that were due before.
QUIET = f"""
    {ATTEMPT}
     WHERE a.state = 'accepted' AND a.carrier_status IN ('accepted', 'scheduled', 'queued', 'sending', 'sent')
       AND coalesce(a.looked_at, a.started_at) < clock_timestamp() - $1::interval
       AND a.started_at > clock_timestamp() - $2::interval
     ORDER BY coalesce(a.looked_at, a.started_at) LIMIT $3 FOR NO KEY UPDATE OF a SKIP LOCKED
"""
SET_QUERIED = "UPDATE message_attempts SET looked_at = clock_timestamp() - $2::interval WHERE id = ANY ($1::uuid[])"
RETRIES = "SELECT id FROM message_attempts WHERE retry_at <= now() ORDER BY retry_at LIMIT $1"
RETRY = "UPDATE message_attempts SET retry_at = NULL WHERE id = $1"
SEND_AGAIN = """
    UPDATE messages SET status = 'queued', error_code = NULL, due_at = $2, expires_at = greatest(expires_at, $3) WHERE id = $1
"""
SET_DUE = "UPDATE messages SET due_at = now() WHERE id = $1"
OF_MESSAGE = f"{ATTEMPT} WHERE m.id = $1 ORDER BY a.number DESC LIMIT $2"
LEDGER = """
    SELECT s.attempt_id, s.carrier_status, s.error_code, s.told_by, s.received_at
      FROM message_statuses s
     WHERE s.attempt_id = ANY ($1::uuid[]) ORDER BY s.id
"""
COUNT_UNKNOWN = "SELECT count(*) FROM messages WHERE status = 'unknown'"
PAGE_UNKNOWN = largerows.page(
    f"""
    SELECT {messages.COLUMNS} FROM messages m
     WHERE m.org_id = hum.org_id() AND m.status = 'unknown' AND m.id < coalesce($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid)
     ORDER BY m.id DESC LIMIT $2
""",
    ["body", "media"],
    "id DESC",
)
RETRY_SECONDS = """
    SELECT extract(epoch FROM min(retry_at) - now())::float8 FROM message_attempts WHERE retry_at > now()
"""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """An attempt with its message: the columns from `conversation_id` on are the message's, or its conversation's."""

    id: UUID
    org_id: UUID
    message_id: UUID
    number: int
    account: str
    from_e164: str
    to_e164: str
    state: str
    carrier_sid: str | None
    carrier_status: str | None
    error_code: str | None
    started_at: datetime
    looked_at: datetime | None
    #: When the carrier was first searched for it.
    sought_at: datetime | None
    retry_at: datetime | None
    conversation_id: UUID
    body: str
    sent_by: str
    segments: int
    campaign_id: UUID | None
    status: str
    message_error_code: str | None
    due_at: datetime | None
    sent_at: datetime | None
    delivered_at: datetime | None
    number_id: UUID | None


@dataclass(frozen=True, slots=True)
class StatusReportRow:
    """A status that the carrier reported on an attempt."""

    attempt_id: UUID
    carrier_status: str
    error_code: str | None
    told_by: str
    received_at: datetime


async def lock(tx: Tx, id: UUID) -> AttemptRow:
    """Lock an attempt and its message.  Raises NotFound."""
    return _attempt(await tx.fetchrow(LOCK, id))


async def lock_latest(tx: Tx, message: UUID) -> AttemptRow:
    """Lock a message and the latest attempt at it.  Raises NotFound if there is none."""
    return _attempt(await tx.fetchrow(LOCK_LATEST, message))


def _attempt(row: object) -> AttemptRow:
    if row is None:
        raise NotFound("There is no such attempt.")
    return AttemptRow(**row)  # type: ignore[arg-type]


async def reports(tx: Tx, id: UUID, limit: int) -> list[tuple[str, str | None]]:
    """Return what the carrier has reported on an attempt: statuses and codes."""
    return [(row["carrier_status"], row["error_code"]) for row in await tx.fetch(REPORTS, id, limit)]


async def append_report(tx: Tx, attempt: AttemptRow, carrier_status: str, error_code: str | None, told_by: str) -> None:
    await tx.execute(ADD_REPORT, attempt.org_id, attempt.id, carrier_status, error_code, told_by)


async def lock_all(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, AttemptRow]:
    """Lock attempts and their messages; return the existing ones by id."""
    return {row["id"]: AttemptRow(**row) for row in await tx.fetch(LOCK_ALL, ids)}


async def reports_of(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, list[tuple[str, str | None]]]:
    """Return the reports on several locked attempts, as `reports` does."""
    by_attempt: dict[UUID, list[tuple[str, str | None]]] = {id: [] for id in ids}
    for row in await tx.fetch(REPORTS_OF, ids):
        by_attempt[row["attempt_id"]].append((row["carrier_status"], row["error_code"]))
    return by_attempt


async def superseded(tx: Tx, ids: Sequence[UUID]) -> frozenset[UUID]:
    """Return those of these attempts that were followed by another one."""
    return frozenset(row["id"] for row in await tx.fetch(SUPERSEDED, ids))


async def append_reports(tx: Tx, reports: Sequence[tuple[AttemptRow, str, str | None, str]]) -> None:
    """Store several reports, as `append_report` does: attempt, status, code, and source."""
    if reports:
        columns = zip(*((attempt.org_id, attempt.id, *report) for attempt, *report in reports), strict=True)
        await tx.execute(ADD_REPORTS, *(list(column) for column in columns))


async def accept_all(tx: Tx, accepted: Sequence[tuple[UUID, str, str]]) -> None:
    """Record that the carrier has accepted attempts: their ids, its ids, and its statuses."""
    if accepted:
        await tx.execute(ACCEPT_ALL, *(list(column) for column in zip(*accepted, strict=True)))


async def set_messages(
    tx: Tx, accepted: Sequence[tuple[UUID, str, str, int]]
) -> dict[UUID, tuple[datetime | None, datetime | None]]:
    """Set the status of messages that the carrier has: id, status, its SID, segments; return when each was sent and delivered."""
    if not accepted:
        return {}
    rows = await tx.fetch(SET_MESSAGES, *(list(column) for column in zip(*accepted, strict=True)))
    return {row["id"]: (row["sent_at"], row["delivered_at"]) for row in rows}


async def is_latest(tx: Tx, attempt: AttemptRow) -> bool:
    return not await tx.fetchval(HAS_LATER, attempt.message_id, attempt.number)


async def failed_before(tx: Tx, attempt: AttemptRow) -> int:
    """Return how many earlier attempts at the message failed at the carrier."""
    return await tx.fetchval(FAILED_BEFORE, attempt.message_id, attempt.number) or 0


async def set(
    tx: Tx,
    id: UUID,
    state: str,
    *,
    carrier_sid: str | None = None,
    carrier_status: str | None = None,
    error_code: str | None = None,
    retry_at: datetime | None = None,
) -> None:
    await tx.execute(SET, id, state, carrier_sid, carrier_status, error_code, retry_at)


async def set_message(
    tx: Tx,
    message: UUID,
    status: str,
    *,
    error_code: str | None = None,
    due_at: datetime | None = None,
    carrier_sid: str | None = None,
    segments: int | None = None,
    sent: bool = False,
) -> tuple[datetime | None, datetime | None]:
    """Set a message's status; return when it was sent and delivered.  `sent`: the carrier has, or had, it."""
    row = await tx.fetchrow(SET_MESSAGE, message, status, error_code, due_at, carrier_sid, segments, sent)
    assert row is not None, "the message is locked"
    return row["sent_at"], row["delivered_at"]


async def make_due(tx: Tx, id: UUID) -> None:
    """Make the message of an attempt that came to nothing due as before."""
    await tx.execute(DUE_AGAIN, id)


async def delete_withdrawn(tx: Tx, attempt: AttemptRow) -> None:
    """Delete all but the latest of the attempts that the carrier did not accept: there may be very many."""
    await tx.execute(DELETE_WITHDRAWN, attempt.message_id, attempt.id)


async def record_lookup(tx: Tx, id: UUID) -> None:
    await tx.execute(SET_LOOKED_AT, id)


async def lookup_age(tx: Tx, id: UUID) -> timedelta:
    """Return for how long the carrier has been searched for an attempt, even in vain."""
    return await tx.fetchval(SET_SOUGHT_AT, id) or timedelta(0)


async def known_sids(tx: Tx, sids: Sequence[str]) -> frozenset[str]:
    """Return those of the carrier's texts that belong to an attempt."""
    return frozenset(row["carrier_sid"] for row in await tx.fetch(KNOWN_SIDS, list(sids)))


async def unconfirmed(tx: Tx, after: timedelta, limit: int) -> list[AttemptRow]:
    """Return attempts that the carrier did not confirm, if it was last asked so long ago."""
    return [AttemptRow(**row) for row in await tx.fetch(UNKNOWN, after, limit)]


async def claim_quiet(tx: Tx, after: timedelta, age: timedelta, lease: timedelta, limit: int) -> list[AttemptRow]:
    """Claim attempts of at most this age without a final status, if the carrier was last asked so long ago, to ask it.

    They are due again when the lease ends, unless `record_query` records that the carrier answered.
    """
    rows = [AttemptRow(**row) for row in await tx.fetch(QUIET, after, age, limit)]
    await tx.execute(SET_QUERIED, [row.id for row in rows], after - min(lease, after))
    return rows


async def record_query(tx: Tx, id: UUID) -> None:
    """Record that the carrier answered a query of an accepted attempt's status."""
    await tx.execute(SET_QUERIED, [id], timedelta(0))


async def retries(tx: Tx, limit: int) -> list[UUID]:
    """Return failed attempts that are due for a retry."""
    return [row["id"] for row in await tx.fetch(RETRIES, limit)]


async def retry(tx: Tx, attempt: AttemptRow) -> None:
    """Make the attempt's message due now."""
    await tx.execute(RETRY, attempt.id)
    await tx.execute(SET_DUE, attempt.message_id)


async def reschedule(tx: Tx, message: UUID, at: datetime, expires_at: datetime) -> None:
    """Make a failed message due at `at` again; it expires at the later of `expires_at` and its own expiry."""
    await tx.execute(SEND_AGAIN, message, at, expires_at)


async def of_message(tx: Tx, message: UUID, limit: int) -> list[AttemptRow]:
    """Return the latest attempts at a message, oldest first."""
    return [AttemptRow(**row) for row in reversed(await tx.fetch(OF_MESSAGE, message, limit))]


async def ledger(tx: Tx, attempts: Sequence[UUID]) -> list[StatusReportRow]:
    """Return all reports of the carrier on these attempts, in the order of arrival."""
    return [StatusReportRow(**row) for row in await tx.fetch(LEDGER, attempts)]


async def count_unknown(tx: Tx) -> int:
    return await tx.fetchval(COUNT_UNKNOWN) or 0


async def page_unknown(tx: Tx, before: UUID | None, limit: int) -> list[MessageRow]:
    """Return the tenant's messages with status `unknown`, newest first."""
    return [messages.read(row) for row in await tx.fetch(PAGE_UNKNOWN, before, limit)]


async def retry_seconds(tx: Tx) -> float | None:
    """Return the seconds until the next attempt that is not due yet is; None if there is none.  Runs as the system."""
    seconds: float | None = await tx.fetchval(RETRY_SECONDS)
    return seconds
