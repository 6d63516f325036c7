"""Outbound calls: orders, their attempts, and the queue between them.

An order is a row beside its call's.  A transaction that changes either locks the call's row first; only the claim of the next
attempt locks the account's pace before it: attempts of one account begin one at a time, across processes.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

OPEN = "('dialling', 'under_way')"

# --- ordering
CREATE = """
    INSERT INTO outbound_calls (call_id, org_id, to_e164, account, task_context, scheduled_at, max_attempts,
                                retry_after_seconds, ring_seconds, honor_quiet_hours, test, due_at, waits_for, wanted_at)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
"""
CALLER = """
    SELECT id, e164, status, capabilities, coalesce(account_sid, '') AS account
      FROM numbers
     WHERE CASE WHEN $1::uuid IS NULL THEN status = 'active' AND 'voice' = ANY (capabilities) ELSE id = $1 END
     ORDER BY (flow_id = $2) DESC NULLS LAST, id
     LIMIT 1
"""
IS_OWN = "SELECT EXISTS (SELECT FROM numbers WHERE e164 = $1)"
IS_BLOCKED = "SELECT EXISTS (SELECT FROM blocklist WHERE phone_e164 = $1)"
HOURS = """
    SELECT time_zone, business_hours_json, voice_quiet_hours_enabled FROM organizations WHERE org_id = hum.org_id()
"""

# --- reading
LISTED = """
    SELECT o.call_id AS id, c.status, c.from_e164, c.to_e164, c.number_id, c.flow_id, c.flow_version, c.contact_id,
           k.name AS contact_name, k.phone_e164 AS contact_phone, k.company AS contact_company, o.task_context,
           c.created_at, o.scheduled_at, o.due_at, o.waits_for, c.answered_at, c.ended_at, c.end_reason, c.answered_by,
           o.max_attempts, o.retry_after_seconds, o.ring_seconds, o.honor_quiet_hours, o.test,
           coalesce((SELECT json_agg(latest ORDER BY latest.number)
                       FROM (SELECT a.number, a.status, a.started_at, a.ended_at, a.carrier_code
                               FROM outbound_attempts a
                              WHERE a.call_id = o.call_id ORDER BY a.number DESC LIMIT 20) latest), '[]') AS attempts
      FROM outbound_calls o
      JOIN calls c ON c.id = o.call_id
      LEFT JOIN contacts k ON k.id = c.contact_id
"""
PAGE = largerows.page(
    f"""
    {LISTED}
     WHERE o.call_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       AND ($3::text IS NULL OR c.status = $3)
       AND ($4::uuid IS NULL OR c.flow_id = $4)
       AND ($5::uuid IS NULL OR c.number_id = $5)
       AND ($6::text IS NULL OR o.to_e164 = $6)
     ORDER BY o.call_id DESC
     LIMIT $2
""",
    ["task_context", "attempts"],
    "id DESC",
)
GET = f"{LISTED} WHERE o.call_id = $1"

# --- placing, as the system
# Each account, and in NEXT each organization, is one index lookup, however many calls wait.
ACCOUNTS = """
    WITH RECURSIVE found AS (
        (SELECT account FROM outbound_calls WHERE due_at IS NOT NULL ORDER BY account LIMIT 1)
        UNION ALL
        SELECT (SELECT o.account FROM outbound_calls o
                 WHERE o.due_at IS NOT NULL AND o.account > found.account ORDER BY o.account LIMIT 1)
          FROM found WHERE found.account IS NOT NULL)
    SELECT account FROM found WHERE account IS NOT NULL
"""
ADD_ACCOUNT = "INSERT INTO carrier_paces (account, next_at) VALUES ($1, now()) ON CONFLICT DO NOTHING"
#: Seconds until the account accepts a request; no row while another process has the lock.
LOCK_PACE = """
    SELECT greatest(0, extract(epoch FROM next_at - clock_timestamp()))::float8 FROM carrier_paces
     WHERE account = $1 FOR UPDATE SKIP LOCKED
"""
PACE = """
    UPDATE carrier_paces SET next_at = greatest(next_at, clock_timestamp() + make_interval(secs => $2)) WHERE account = $1
"""
# The organization that has waited longest since its last call, and its first call that is due.
NEXT = f"""
    WITH RECURSIVE waiting AS (
        (SELECT org_id FROM outbound_calls WHERE account = $1 AND due_at IS NOT NULL ORDER BY org_id LIMIT 1)
        UNION ALL
        SELECT (SELECT o.org_id FROM outbound_calls o
                 WHERE o.account = $1 AND o.due_at IS NOT NULL AND o.org_id > waiting.org_id ORDER BY o.org_id LIMIT 1)
          FROM waiting WHERE waiting.org_id IS NOT NULL)
    SELECT head.call_id
      FROM waiting
      LEFT JOIN outbound_turns t ON t.org_id = waiting.org_id
     CROSS JOIN LATERAL (
           SELECT o.call_id, o.due_at FROM outbound_calls o
            WHERE o.account = $1 AND o.org_id = waiting.org_id AND o.due_at <= clock_timestamp()
              AND o.call_id <> ALL ($2::uuid[])
              AND NOT EXISTS (SELECT FROM outbound_attempts a
                               WHERE a.org_id = o.org_id AND a.to_e164 = o.to_e164 AND a.status IN {OPEN})
            ORDER BY o.due_at, o.call_id LIMIT 1) head
     WHERE coalesce(t.waits_until, '-infinity') <= clock_timestamp()
     ORDER BY coalesce(t.placed_at, '-infinity'), head.due_at, head.call_id
     LIMIT 1
"""
FACTS = f"""
    SELECT c.from_e164, c.to_e164, n.status = 'active' AS number_active, f.version AS flow_version, v.definition,
           EXISTS (SELECT FROM blocklist b WHERE b.org_id = o.org_id AND b.phone_e164 = o.to_e164) AS blocked,
           org.time_zone, org.business_hours_json,
           org.voice_quiet_hours_enabled AND o.honor_quiet_hours AS keeps_hours,
           o.wanted_at, o.ring_seconds, o.account,
           (SELECT c.created_at FROM restorations r WHERE c.created_at < r.restored_at LIMIT 1) AS doubtful_since,
           (SELECT count(*) FROM outbound_attempts a WHERE a.org_id = o.org_id AND a.status IN {OPEN}
               AND NOT EXISTS (SELECT FROM calls l WHERE l.id = a.call_id AND l.status IN ('ringing', 'in_progress')))
         + (SELECT count(*) FROM calls l WHERE l.org_id = o.org_id AND l.status IN ('ringing', 'in_progress') AND l.lost_at IS NULL) AS live_calls,
           (SELECT count(*) FROM outbound_attempts a WHERE a.org_id = o.org_id AND a.started_at > now() - interval '1 day')
               AS placed_in_a_day
      FROM outbound_calls o
      JOIN calls c ON c.id = o.call_id
      JOIN organizations org ON org.org_id = o.org_id
      LEFT JOIN numbers n ON n.id = c.number_id
      LEFT JOIN flows f ON f.id = c.flow_id AND f.deleted_at IS NULL AND f.channel = 'voice'
      LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE o.call_id = $1
"""
DEFER = """
    UPDATE outbound_calls SET due_at = $2, waits_for = $3, wanted_at = CASE WHEN $4 THEN $2 ELSE wanted_at END
     WHERE call_id = $1
"""
CLEAR_DUE = "UPDATE outbound_calls SET due_at = NULL, waits_for = NULL WHERE call_id = $1"
DELAY_ORGANIZATION = """
    INSERT INTO outbound_turns (org_id, waits_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
    ON CONFLICT (org_id) DO UPDATE SET waits_until = excluded.waits_until
"""
SET_PLACED_AT = """
    INSERT INTO outbound_turns (org_id, placed_at) VALUES ($1, clock_timestamp())
    ON CONFLICT (org_id) DO UPDATE SET placed_at = excluded.placed_at
"""
BEGIN = """
    INSERT INTO outbound_attempts (id, org_id, call_id, number, account, from_e164, to_e164, status)
    SELECT $1, o.org_id, o.call_id,
           1 + coalesce((SELECT max(a.number) FROM outbound_attempts a WHERE a.call_id = o.call_id), 0),
           o.account, c.from_e164, c.to_e164, 'dialling'
      FROM outbound_calls o JOIN calls c ON c.id = o.call_id
     WHERE o.call_id = $2
    RETURNING number
"""
SET_VERSION = "UPDATE calls SET flow_version = $2 WHERE id = $1"

# --- attempts
ATTEMPT = """
    SELECT a.id, a.org_id, a.call_id, a.number, a.account, a.from_e164, a.to_e164, a.status, a.call_sid, a.started_at,
           a.looked_at,
           (SELECT count(*) FROM outbound_attempts b WHERE b.call_id = a.call_id AND b.status <> 'not_placed') AS made,
           o.max_attempts, o.retry_after_seconds
      FROM outbound_attempts a JOIN outbound_calls o ON o.call_id = a.call_id
"""
BY_ID = f"{ATTEMPT} WHERE a.id = $1"
ACCEPT = """
    UPDATE outbound_attempts SET call_sid = $2, status = CASE WHEN status = 'dialling' THEN 'under_way' ELSE status END
     WHERE id = $1
"""
SET_SID = "UPDATE calls SET call_sid = $2 WHERE id = $1"
SET_STATUS = "UPDATE calls SET status = $2 WHERE id = $1"
END = f"UPDATE outbound_attempts SET status = $2, ended_at = $3, carrier_code = $4 WHERE id = $1 AND status IN {OPEN}"
WITHDRAW = "DELETE FROM outbound_attempts WHERE id = $1 AND status = 'dialling' AND call_sid IS NULL"
SET_LOOKED_AT = "UPDATE outbound_attempts SET looked_at = clock_timestamp() WHERE id = ANY ($1::uuid[])"
KNOWN_SIDS = "SELECT call_sid FROM outbound_attempts WHERE call_sid = ANY ($1::text[])"
#: Attempts without an answer from the carrier, for a look-up there: as many of each account, and any of them, since those whose look-up
#: fails stay here.
UNKNOWN = f"""
    {ATTEMPT}
      JOIN (SELECT id, row_number() OVER (PARTITION BY account ORDER BY random()) AS turn FROM outbound_attempts
             WHERE status = 'dialling' AND coalesce(looked_at, started_at) < clock_timestamp() - $1::interval
             ORDER BY turn, random() LIMIT 50) chosen ON chosen.id = a.id
     ORDER BY chosen.turn
"""
#: Attempts that should be over by now, without a stream, which the carrier has not reported.  They are marked before the carrier is asked:
#: those whose query fails must not be first again.
OVERDUE = f"""
    {ATTEMPT} JOIN calls c ON c.id = a.call_id
     WHERE a.status = 'under_way' AND c.streams_opened = 0
       AND a.started_at < clock_timestamp() - make_interval(secs => o.ring_seconds + $2)
       AND coalesce(a.looked_at, a.started_at) < clock_timestamp() - $1::interval
     ORDER BY coalesce(a.looked_at, a.started_at) LIMIT 50 FOR NO KEY UPDATE OF a SKIP LOCKED
"""
#: Ends attempts of ended calls, since the carrier's final status may be lost.
CLOSE_ENDED = f"""
    UPDATE outbound_attempts a SET status = 'completed', ended_at = c.ended_at
      FROM calls c
     WHERE a.status IN {OPEN} AND a.call_sid IS NOT NULL AND c.id = a.call_id AND c.streams_opened > 0
       AND c.ended_at < now() - $1::interval
"""
#: Attempts that may still become a call that needs capacity.
UNANSWERED = f"""
    SELECT count(*) FROM outbound_attempts a JOIN calls c ON c.id = a.call_id
     WHERE a.status IN {OPEN} AND c.streams_offered = 0 AND c.ended_at IS NULL
"""
SET_ANSWERED_BY = "UPDATE calls SET answered_by = coalesce(answered_by, $2) WHERE id = $1 RETURNING answered_by"
CALLER_TRANSCRIPT = "SELECT string_agg(text, ' ' ORDER BY seq) FROM call_turns WHERE call_id = $1 AND role = 'caller'"


@dataclass(frozen=True, slots=True)
class CallingNumberRow:
    """The organization's number that calls."""

    id: UUID
    e164: str
    status: str
    capabilities: list[str]
    account: str


@dataclass(frozen=True, slots=True)
class NewOrder:
    call_id: UUID
    to_e164: str
    account: str
    task_context: str | None
    scheduled_at: datetime | None
    max_attempts: int
    retry_after_seconds: int
    ring_seconds: int
    honor_quiet_hours: bool
    test: bool
    due_at: datetime
    waits_for: str
    wanted_at: datetime


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An outbound call as it is shown; `attempts` are JSON objects."""

    id: UUID
    status: str
    from_e164: str
    to_e164: str
    number_id: UUID | None
    flow_id: UUID | None
    flow_version: int | None
    contact_id: UUID | None
    contact_name: str | None
    contact_phone: str | None
    contact_company: str | None
    task_context: str | None
    created_at: datetime
    scheduled_at: datetime | None
    due_at: datetime | None
    waits_for: str | None
    answered_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    answered_by: str | None
    max_attempts: int
    retry_after_seconds: int
    ring_seconds: int
    honor_quiet_hours: bool
    test: bool
    attempts: list[dict[str, Any]]
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class OrderFilter:
    status: str | None = None
    flow_id: UUID | None = None
    number_id: UUID | None = None
    to_e164: str | None = None


@dataclass(frozen=True, slots=True)
class HoursRow:
    """An organization's hours."""

    time_zone: str
    business_hours_json: str | None
    voice_quiet_hours_enabled: bool


@dataclass(frozen=True, slots=True)
class FactsRow:
    """All that decides whether a due call is placed."""

    from_e164: str
    to_e164: str
    number_active: bool | None  # None: the number is gone
    flow_version: int | None
    definition: dict[str, Any]
    blocked: bool
    time_zone: str
    business_hours_json: str | None
    keeps_hours: bool
    wanted_at: datetime
    ring_seconds: int
    account: str
    #: The database was restored from a later backup: the call may have been placed already.
    doubtful_since: datetime | None
    live_calls: int
    placed_in_a_day: int


@dataclass(frozen=True, slots=True)
class CallAttemptRow:
    id: UUID
    org_id: UUID
    call_id: UUID
    number: int
    account: str
    from_e164: str
    to_e164: str
    status: str
    call_sid: str | None
    started_at: datetime
    looked_at: datetime | None
    made: int  # attempts so far, placed or open
    max_attempts: int
    retry_after_seconds: int


async def create(tx: Tx, order: NewOrder) -> None:
    """Store the order of a stored call."""
    await tx.execute(CREATE, *[getattr(order, name) for name in NewOrder.__slots__])


async def caller(tx: Tx, id: UUID | None, flow: UUID) -> CallingNumberRow | None:
    """Return the organization's number with this id; without one, an active number, preferably one that the flow answers."""
    row = await tx.fetchrow(CALLER, id, flow)
    return CallingNumberRow(**row) if row else None


async def is_own(tx: Tx, e164: str) -> bool:
    """Return whether the organization has this number."""
    return bool(await tx.fetchval(IS_OWN, e164))


async def is_blocked(tx: Tx, e164: str) -> bool:
    return bool(await tx.fetchval(IS_BLOCKED, e164))


async def hours(tx: Tx) -> HoursRow:
    row = await tx.fetchrow(HOURS)
    assert row is not None, "a tenant has an organization"
    return HoursRow(**row)


async def page(tx: Tx, by: OrderFilter, before: UUID | None, limit: int) -> list[OrderRow]:
    """Return outbound calls newest first, below `before`."""
    rows = await tx.fetch(PAGE, before, limit, by.status, by.flow_id, by.number_id, by.to_e164)
    return [OrderRow(**{**row, "attempts": json.loads(row["attempts"])}) for row in rows]


async def get(tx: Tx, id: UUID) -> OrderRow:
    """Return an outbound call.  Raises NotFound."""
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such outbound call.")
    return OrderRow(**{**row, "attempts": json.loads(row["attempts"])})


# --- placing ------------------------------------------------------------------------------------------------------


async def accounts(tx: Tx) -> list[str]:
    """Return the carrier accounts for which calls wait."""
    return [row["account"] for row in await tx.fetch(ACCOUNTS)]


async def lock_pace(tx: Tx, account: str) -> float | None:
    """Lock an account's pace; return the seconds until it accepts a request, or None if another process has the lock."""
    await tx.execute(ADD_ACCOUNT, account)
    seconds: float | None = await tx.fetchval(LOCK_PACE, account)
    return seconds


async def pace(tx: Tx, account: str, seconds: float) -> None:
    """Block the account's next request for `seconds`."""
    await tx.execute(PACE, account, seconds)


async def next_due(tx: Tx, account: str, but: Sequence[UUID] = ()) -> UUID | None:
    """Return the next call to place, `but` none of these, or None."""
    call: UUID | None = await tx.fetchval(NEXT, account, but)
    return call


async def facts(tx: Tx, id: UUID) -> FactsRow:
    row = await tx.fetchrow(FACTS, id)
    assert row is not None, "an order has a call"
    return FactsRow(**{**row, "definition": json.loads(row["definition"] or "{}")})


async def defer(tx: Tx, id: UUID, until: datetime, waits_for: str, *, wanted: bool) -> None:
    """Defer a call to a time.  `wanted`: it was not meant to be placed earlier."""
    await tx.execute(DEFER, id, until, waits_for, wanted)


async def clear_due(tx: Tx, id: UUID) -> None:
    """Record that no attempt is due."""
    await tx.execute(CLEAR_DUE, id)


async def organization_waits(tx: Tx, org: UUID, seconds: float) -> None:
    await tx.execute(DELAY_ORGANIZATION, org, seconds)


async def begin(tx: Tx, id: UUID, call: UUID, org: UUID, flow_version: int) -> CallAttemptRow:
    """Begin an attempt: its call is no longer due, and its organization goes to the end of the queue."""
    await tx.fetchval(BEGIN, id, call)
    await tx.execute(CLEAR_DUE, call)
    await tx.execute(SET_PLACED_AT, org)
    await tx.execute(SET_VERSION, call, flow_version)
    return await attempt(tx, id)


# --- attempts -----------------------------------------------------------------------------------------------------


async def attempt(tx: Tx, id: UUID) -> CallAttemptRow:
    """Return an attempt.  Raises NotFound."""
    row = await tx.fetchrow(BY_ID, id)
    if row is None:
        raise NotFound("There is no such attempt.")
    return CallAttemptRow(**row)


async def accept(tx: Tx, attempt: CallAttemptRow, call_sid: str) -> None:
    """Record the carrier's id of an attempt's call."""
    await tx.execute(ACCEPT, attempt.id, call_sid)
    await tx.execute(SET_SID, attempt.call_id, call_sid)


async def set_status(tx: Tx, call: UUID, status: str) -> None:
    await tx.execute(SET_STATUS, call, status)


async def end(tx: Tx, id: UUID, status: str, at: datetime, carrier_code: str | None = None) -> None:
    """End an open attempt."""
    await tx.execute(END, id, status, at, carrier_code)


async def requeue(tx: Tx, call: UUID) -> None:
    """Queue the call for another attempt."""
    await tx.execute(SET_SID, call, None)
    await tx.execute(SET_STATUS, call, "queued")


async def withdraw(tx: Tx, id: UUID) -> None:
    """Delete an attempt that the carrier refused for now: no call was placed."""
    await tx.execute(WITHDRAW, id)


async def record_lookup(tx: Tx, id: UUID) -> None:
    """Record that the carrier was searched for an attempt and does not have it."""
    await tx.execute(SET_LOOKED_AT, [id])


async def known_sids(tx: Tx, sids: Sequence[str]) -> set[str]:
    """Return those of the carrier's calls that belong to an attempt."""
    return {row["call_sid"] for row in await tx.fetch(KNOWN_SIDS, list(sids))}


async def unconfirmed(tx: Tx, after: timedelta) -> list[CallAttemptRow]:
    """Return attempts that the carrier did not confirm, if it was last asked so long ago."""
    return [CallAttemptRow(**row) for row in await tx.fetch(UNKNOWN, after)]


async def claim_silent(tx: Tx, after: timedelta, slack_seconds: float) -> list[CallAttemptRow]:
    """Claim the attempts that have rung for too long without a report, to ask the carrier about them; again after `after`."""
    rows = [CallAttemptRow(**row) for row in await tx.fetch(OVERDUE, after, slack_seconds)]
    await tx.execute(SET_LOOKED_AT, [row.id for row in rows])
    return rows


async def close_ended(tx: Tx, after: timedelta) -> None:
    """End the attempts of calls that ended so long ago."""
    await tx.execute(CLOSE_ENDED, after)


async def count_unanswered(tx: Tx) -> int:
    """Return how many open attempts have no answer yet."""
    return await tx.fetchval(UNANSWERED) or 0


async def set_answered_by(tx: Tx, call: UUID, word: str) -> str | None:
    """Store what answered the call, unless that is stored already; return what is stored, None if there is no such call."""
    stored: str | None = await tx.fetchval(SET_ANSWERED_BY, call, word)
    return stored


async def transcript(tx: Tx, call: UUID) -> str:
    """Return the other party's transcript so far."""
    return await tx.fetchval(CALLER_TRANSCRIPT, call) or ""
