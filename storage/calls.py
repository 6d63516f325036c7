"""Calls: created when the carrier rings, filled by the media plane's reports, closed once.

A transaction that changes a call locks its row first; each change that clients may see appends an event to the call's own
stream (`storage.call_events`) in the same transaction.  Clients read calls through `storage.call_records`.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from hum.contract.errors import NotFound
from storage.db import Tx

ROUTE = """
    SELECT n.id AS number_id, n.org_id, n.status, o.name AS organization, o.time_zone,
           coalesce(v.definition ->> 'business_hours_json', o.business_hours_json) AS business_hours_json,
           f.id AS flow_id, f.version AS flow_version, v.definition,
           EXISTS (SELECT FROM blocklist b WHERE b.org_id = n.org_id AND b.phone_e164 = $2) AS blocked, k.tags
      FROM numbers n
      JOIN organizations o ON o.org_id = n.org_id
      LEFT JOIN flows f ON f.id = n.flow_id AND f.deleted_at IS NULL
      LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
      LEFT JOIN contacts k ON k.org_id = n.org_id AND k.phone_e164 = $2
     WHERE n.e164 = $1 AND (n.account_sid IS NULL OR n.account_sid = $3)
"""
CREATE = """
    INSERT INTO calls (id, org_id, call_sid, direction, status, from_e164, to_e164, number_id, flow_id, flow_version,
                       contact_id, caller_verification, created_at, carrier_account)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, coalesce($13, now()), $14)
    ON CONFLICT (call_sid) DO NOTHING
    RETURNING id
"""
STATE = """
    SELECT id, org_id, call_sid, direction, to_e164, status, created_at, answered_at, ended_at, end_reason, carrier_ended_at,
           streams_offered, streams_opened, streams_left, node, next_step, next_step_due, carrier_account,
           coalesce(apologized_at > offered_at, false) AS heard_apology,
           (SELECT count(*) FROM call_streams s WHERE s.call_id = calls.id AND s.opened_at > now() - interval '1 minute')
               AS streams_lately
      FROM calls
"""
BY_SID = STATE + " WHERE call_sid = $1 FOR NO KEY UPDATE"
BY_ID = STATE + " WHERE id = $1"
# Rows that reference the call may be written meanwhile.
LOCK_BY_ID = BY_ID + " FOR NO KEY UPDATE"
STALE = """
    SELECT id FROM calls
     WHERE status IN ('ringing', 'in_progress') AND carrier_ended_at < now() - $1::interval
     ORDER BY carrier_ended_at LIMIT 100
"""
LOCK_IF_STALE = (
    STATE
    + """
     WHERE id = $1 AND status IN ('ringing', 'in_progress') AND carrier_ended_at < now() - $2::interval
       FOR NO KEY UPDATE SKIP LOCKED
"""
)
# The last report of the closed stream may still arrive: the stream was opened, and its media process is alive.
IS_REPORT_DUE = """
    SELECT c.status IN ('queued', 'ringing', 'in_progress') AND c.carrier_ended_at IS NULL AND c.token_hash IS NULL
           AND m.link IS NOT NULL AND m.seen_at > now() - $2::interval
      FROM calls c JOIN media_links m ON m.node = c.node
     WHERE c.id = $1
"""
LANGUAGE = """
    SELECT v.definition ->> 'language' FROM calls c
      JOIN flow_versions v ON v.flow_id = coalesce(c.agent_flow_id, c.flow_id)
                          AND v.version = coalesce(c.agent_flow_version, c.flow_version)
     WHERE c.id = $1
"""
LEG = """
    SELECT direction, from_e164, to_e164, number_id, flow_id, flow_version, contact_id FROM calls WHERE id = $1
"""
SPEND_TOKEN = """
    WITH before AS (SELECT id, token_expires_at, offered_at, lost_at FROM calls WHERE token_hash = $1 FOR NO KEY UPDATE)
    UPDATE calls c
       SET token_hash = NULL, token_expires_at = NULL, streams_opened = streams_opened + 1, node = $3,
           carrier_ended_at = NULL, lost_at = NULL, looked_at = NULL
      FROM before b
     WHERE c.id = b.id AND coalesce(c.call_sid, c.id::text) = $2 AND b.token_expires_at > now() AND c.ended_at IS NULL
    RETURNING c.id, c.org_id, c.flow_id, c.flow_version, c.contact_id, c.streams_opened AS stream_number,
              CASE WHEN c.next_step_due THEN c.next_step END AS due, b.offered_at, b.lost_at IS NOT NULL AS was_lost
"""
ADD_STREAM = "INSERT INTO call_streams (org_id, call_id, number, stream_sid, node) VALUES ($1, $2, $3, $4, $5)"
#: When stream `s` was opened, in ms since the call's first stream `f` was.
OFFSET_MS = "coalesce(extract(epoch FROM s.opened_at - f.opened_at) * 1000, 0)::integer AS offset_ms"
STREAM = f"""
    SELECT s.number, s.report_seq, {OFFSET_MS}
      FROM call_streams s
      LEFT JOIN call_streams f ON f.call_id = s.call_id AND f.number = 1
     WHERE s.call_id = $1 AND s.number = $2
"""
SET_REPORT_SEQ = "UPDATE call_streams SET report_seq = $3 WHERE call_id = $1 AND number = $2"
# A media process that reports this has the call.
ANSWER = """
    UPDATE calls SET status = 'in_progress', answered_at = coalesce(answered_at, $2), lost_at = NULL, looked_at = NULL
     WHERE id = $1
"""
END = """
    UPDATE calls SET status = $2, ended_at = $3, end_reason = $4, end_detail = $5, token_hash = NULL WHERE id = $1
"""
CORRECT_END = "UPDATE calls SET status = $2, end_reason = $3, end_detail = $4 WHERE id = $1"
SET_NEXT_STEP = "UPDATE calls SET next_step = $2, next_step_due = $3 WHERE id = $1"
LEAVE_STREAM = """
    UPDATE calls SET next_step_due = next_step IS NOT NULL, streams_left = streams_left + 1, node = NULL WHERE id = $1
"""
# A dial of a process of the last release sets no `offered_at`; a call that was offered a stream before there was this column
# counts as continued until the token expires or is spent.
IS_CONTINUED_SINCE = """
    SELECT coalesce(offered_at, token_expires_at) > $2
           OR EXISTS (SELECT FROM transfers t WHERE t.call_id = calls.id AND t.ended_at IS NULL AND t.started_at > $2)
      FROM calls WHERE id = $1
"""
SET_APOLOGIZED = "UPDATE calls SET apologized_at = $2 WHERE id = $1"
EXTEND_TOKEN = "UPDATE calls SET token_expires_at = token_expires_at + make_interval(secs => $2) WHERE id = $1"
CARRIER_ENDED = "UPDATE calls SET carrier_ended_at = coalesce(carrier_ended_at, now()) WHERE id = $1"
LOSE_STREAM = "UPDATE calls SET carrier_ended_at = coalesce(carrier_ended_at, now()), node = NULL WHERE id = $1"
NEW_TURN = """
    INSERT INTO call_turns (org_id, call_id, seq, role, text, heard_text, start_ms, end_ms, interrupted, item_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
ADD_TURN = (
    NEW_TURN
    + """
    ON CONFLICT (call_id, seq) DO UPDATE
       SET role = excluded.role, text = excluded.text, heard_text = excluded.heard_text, start_ms = excluded.start_ms,
           end_ms = excluded.end_ms, interrupted = excluded.interrupted, item_id = excluded.item_id
"""
)
ADD_MISSING_TURN = NEW_TURN + " ON CONFLICT (call_id, seq) DO NOTHING RETURNING seq"
SET_ANNOUNCED = "UPDATE calls SET announcement_played_ms = $2 WHERE id = $1"
ITEMS = "SELECT item_id FROM call_turns WHERE call_id = $1 AND item_id <> ''"


@dataclass(frozen=True, slots=True)
class CallRouteRow:
    """All that routing an inbound call needs from the database."""

    number_id: UUID
    org_id: UUID
    status: str
    organization: str
    time_zone: str
    business_hours_json: str | None
    flow_id: UUID | None
    flow_version: int | None
    definition: dict[str, Any]
    blocked: bool
    #: The caller's, if they are a contact.
    tags: list[str] | None


@dataclass(frozen=True, slots=True)
class CallStateRow:
    """A call's state; its row is locked if the call is to be changed."""

    id: UUID
    org_id: UUID
    call_sid: str | None
    direction: str
    to_e164: str
    status: str
    created_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    carrier_ended_at: datetime | None
    streams_offered: int
    streams_opened: int
    streams_left: int
    #: Streams opened within the last minute.
    streams_lately: int
    node: str | None
    #: The call's next step, JSON, and whether its stream was left for that.
    next_step: str | None
    next_step_due: bool
    #: The carrier account that holds the call; empty: ours.
    carrier_account: str
    #: Since its last stream or dial was offered, the caller has heard the gateway's apology.
    heard_apology: bool


@dataclass(frozen=True, slots=True)
class LegRow:
    """The parties of a call, and the agent that answers it."""

    direction: str
    from_e164: str
    to_e164: str
    number_id: UUID | None
    flow_id: UUID | None
    flow_version: int | None
    contact_id: UUID | None


@dataclass(frozen=True, slots=True)
class NewCall:
    id: UUID
    org_id: UUID
    #: None: the carrier does not have it yet.
    call_sid: str | None
    direction: str
    status: str
    from_e164: str
    to_e164: str
    number_id: UUID | None
    flow_id: UUID | None
    flow_version: int | None
    contact_id: UUID | None
    caller_verification: str | None = None
    created_at: datetime | None = None
    carrier_account: str = ""  # ours


@dataclass(frozen=True, slots=True)
class SpentToken:
    id: UUID
    org_id: UUID
    flow_id: UUID
    flow_version: int
    contact_id: UUID | None
    stream_number: int
    #: What the stream is for, JSON, if not for the agent.
    due: str | None
    #: None: offered by a process of the last release.
    offered_at: datetime | None
    #: The previous media process was known to be gone before the carrier reported its stream's end.
    was_lost: bool


@dataclass(frozen=True, slots=True)
class StreamState:
    """A stream of a locked call."""

    number: int
    report_seq: int
    #: Since the call's first stream was opened.
    offset_ms: int


@dataclass(frozen=True, slots=True)
class TurnRow:
    seq: int
    role: str
    text: str
    heard_text: str | None
    start_ms: int
    end_ms: int
    interrupted: bool
    #: Empty for turns of earlier releases.
    item_id: str = ""


# --- routing ------------------------------------------------------------------------------------------------------


async def route(tx: Tx, to_e164: str, from_e164: str, account_sid: str) -> CallRouteRow | None:
    """Return the route of a called number, or None if no organization has it at this account.  Runs as the system."""
    row = await tx.fetchrow(ROUTE, to_e164, from_e164, account_sid)
    if row is None:
        return None
    return CallRouteRow(**{**row, "definition": json.loads(row["definition"] or "{}")})


async def create(tx: Tx, call: NewCall) -> bool:
    """Store a new call; return False if its call_sid is stored already."""
    values = [getattr(call, name) for name in NewCall.__slots__]
    return await tx.fetchval(CREATE, *values) is not None


async def lock_by_sid(tx: Tx, call_sid: str) -> CallStateRow | None:
    """Lock the call with the carrier's id, and return its state."""
    row = await tx.fetchrow(BY_SID, call_sid)
    return CallStateRow(**row) if row else None


async def lock(tx: Tx, id: UUID) -> CallStateRow:
    """Lock a call, and return its state.  Raises NotFound."""
    return _state(await tx.fetchrow(LOCK_BY_ID, id))


async def get(tx: Tx, id: UUID) -> CallStateRow:
    """Return a call's state without locking it.  Raises NotFound."""
    return _state(await tx.fetchrow(BY_ID, id))


def _state(row: asyncpg.Record | None) -> CallStateRow:
    if row is None:
        raise NotFound("There is no such call.")
    return CallStateRow(**row)


async def stale(tx: Tx, seconds: float) -> list[UUID]:
    """Return live calls that the carrier ended so many seconds ago without a final report.  Runs as the system."""
    return [row["id"] for row in await tx.fetch(STALE, timedelta(seconds=seconds))]


async def lock_if_stale(tx: Tx, id: UUID, seconds: float) -> CallStateRow | None:
    """Lock a stale call; return None if it is no longer stale, or another transaction has locked it."""
    row = await tx.fetchrow(LOCK_IF_STALE, id, timedelta(seconds=seconds))
    return CallStateRow(**row) if row else None


async def is_report_due(tx: Tx, id: UUID, silent: timedelta) -> bool:
    """Return whether the stream's last report may still arrive: the call is live, and a media process has it."""
    return bool(await tx.fetchval(IS_REPORT_DUE, id, silent))


async def leg(tx: Tx, id: UUID) -> LegRow:
    """Return the parties of a locked call."""
    row = await tx.fetchrow(LEG, id)
    assert row is not None, "a call is locked before an event is appended"
    return LegRow(**row)


async def language(tx: Tx, id: UUID) -> str | None:
    """Return the language of the call's current flow (BCP 47)."""
    code: str | None = await tx.fetchval(LANGUAGE, id)
    return code


async def spend_token(tx: Tx, hash: bytes, call_sid: str, stream_sid: str, node: str) -> SpentToken | None:
    """Spend a token and open its call's stream; return None if it is unknown, spent, expired or another call's."""
    row = await tx.fetchrow(SPEND_TOKEN, hash, call_sid, node)
    if row is None:
        return None
    spent = SpentToken(**row)
    await tx.execute(ADD_STREAM, spent.org_id, spent.id, spent.stream_number, stream_sid, node)
    return spent


async def stream(tx: Tx, id: UUID, number: int) -> StreamState | None:
    """Return a stream of a locked call."""
    row = await tx.fetchrow(STREAM, id, number)
    return StreamState(**row) if row else None


# --- while the call is live ---------------------------------------------------------------------------------------


async def set_report_seq(tx: Tx, id: UUID, stream: int, seq: int) -> None:
    await tx.execute(SET_REPORT_SEQ, id, stream, seq)


async def answer(tx: Tx, id: UUID, at: datetime) -> None:
    await tx.execute(ANSWER, id, at)


async def end(tx: Tx, id: UUID, status: str, at: datetime, reason: str, detail: str | None) -> None:
    await tx.execute(END, id, status, at, reason, detail)


async def correct_end(tx: Tx, id: UUID, status: str, reason: str, detail: str | None) -> None:
    await tx.execute(CORRECT_END, id, status, reason, detail)


async def set_next_step(tx: Tx, id: UUID, step: str | None, *, due: bool = False) -> None:
    """Store the call's next step, JSON, due once its stream is left for it, or at once (`due`); None clears it."""
    await tx.execute(SET_NEXT_STEP, id, step, due)


async def leave_stream(tx: Tx, id: UUID) -> None:
    """Record that the stream was left for the next step, so that no media process has the call."""
    await tx.execute(LEAVE_STREAM, id)


async def is_continued_since(tx: Tx, id: UUID, at: datetime) -> bool:
    """Return whether the call was offered a stream or a dial after this time."""
    return bool(await tx.fetchval(IS_CONTINUED_SINCE, id, at))


async def set_apologized(tx: Tx, id: UUID, at: datetime) -> None:
    """Record that the caller heard the gateway's apology at this time, while a media process had the call."""
    await tx.execute(SET_APOLOGIZED, id, at)


async def extend_token(tx: Tx, id: UUID, seconds: int) -> None:
    """Extend the time within which the offered stream may be opened."""
    await tx.execute(EXTEND_TOKEN, id, seconds)


async def lose_stream(tx: Tx, id: UUID) -> None:
    """Record that the call's stream ended without a reason: the carrier requests the next step, or has ended the call."""
    await tx.execute(LOSE_STREAM, id)


async def set_carrier_ended(tx: Tx, id: UUID) -> None:
    await tx.execute(CARRIER_ENDED, id)


async def add_turn(tx: Tx, org: UUID, id: UUID, turn: TurnRow) -> None:
    """Store a final turn, replacing an unfinished one."""
    await tx.execute(ADD_TURN, org, id, *[getattr(turn, name) for name in TurnRow.__slots__])


async def items(tx: Tx, id: UUID) -> list[str]:
    """Return the item ids of the call's stored turns."""
    return [row["item_id"] for row in await tx.fetch(ITEMS, id)]


async def add_missing_turn(tx: Tx, org: UUID, id: UUID, turn: TurnRow) -> bool:
    """Store an unfinished turn; return False if a turn with its number exists."""
    values = [getattr(turn, name) for name in TurnRow.__slots__]
    return await tx.fetchval(ADD_MISSING_TURN, org, id, *values) is not None


async def set_announced(tx: Tx, id: UUID, at_ms: int) -> None:
    await tx.execute(SET_ANNOUNCED, id, at_ms)
