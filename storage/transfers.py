"""Transfers of calls to people's telephones, and their effects on the calls; callers lock the call."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from storage.db import Tx

COLUMNS = """
    id, call_id, label, to_e164, caller_id_e164, asked_by, summary, ring_seconds, whispers, needs_key, unanswered, state,
    started_at, answered_at, connected_at, ended_at
"""
BEGIN = """
    INSERT INTO transfers (id, org_id, call_id, label, to_e164, caller_id_e164, asked_by, summary, ring_seconds, whispers,
                           needs_key, unanswered, state, started_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'ringing', $13)
"""
GET = f"SELECT {COLUMNS} FROM transfers WHERE id = $1"
ACTIVE = f"SELECT {COLUMNS} FROM transfers WHERE call_id = $1 AND ended_at IS NULL"
OF_CALL = f"SELECT {COLUMNS} FROM transfers WHERE call_id = $1 ORDER BY started_at, id LIMIT $2"
COUNT = "SELECT count(*) FROM transfers WHERE call_id = $1"
ANSWERED = """
    UPDATE transfers SET answered_at = $2, state = CASE state WHEN 'ringing' THEN 'answered' ELSE state END
     WHERE id = $1 AND answered_at IS NULL AND ended_at IS NULL
    RETURNING id
"""
CONNECTED = """
    UPDATE transfers SET connected_at = $2, answered_at = coalesce(answered_at, $2), state = 'connected'
     WHERE id = $1 AND connected_at IS NULL AND ended_at IS NULL
    RETURNING id
"""
END = """
    UPDATE transfers
       SET state = $2, ended_at = $3, connected_at = CASE $2 WHEN 'completed' THEN coalesce(connected_at, answered_at, $3) END
     WHERE id = $1 AND ended_at IS NULL
    RETURNING id
"""
# Of a call that is over; its transfers are, too.
TAG_UNTAKEN = """
    INSERT INTO call_tags (org_id, call_id, tag, called_at)
    SELECT c.org_id, c.id, $2, c.created_at FROM calls c
     WHERE c.id = $1 AND EXISTS (SELECT FROM transfers t WHERE t.call_id = c.id)
       AND NOT EXISTS (SELECT FROM transfers t WHERE t.call_id = c.id AND t.connected_at IS NOT NULL)
    ON CONFLICT DO NOTHING
"""
UNTAG_REACHED = """
    DELETE FROM call_tags g USING calls c, calls reached
     WHERE reached.id = $1 AND g.org_id = reached.org_id AND g.tag = $2 AND c.id = g.call_id
       AND (c.id = reached.id OR (c.contact_e164 = reached.contact_e164))
"""

# No stream of the call is open, and none may open: reports of its media process about the last stream come too late.
DIALLED = """
    UPDATE calls
       SET node = NULL, token_hash = NULL, token_expires_at = NULL, carrier_ended_at = NULL, lost_at = NULL,
           looked_at = NULL, next_step_due = next_step IS NOT NULL, offered_at = clock_timestamp()
     WHERE id = $1
"""
# The system's turns come after those of the previous stream, which may still be reported, and before those of the next one; none
# begins before the end of a stored turn.
BETWEEN_STREAMS = """
    SELECT greatest((SELECT max(seq) FROM call_turns WHERE call_id = $1 AND seq <= $2), $2 - 100) + 1 AS seq,
           greatest(extract(epoch FROM $3 - (SELECT opened_at FROM call_streams WHERE call_id = $1 AND number = 1)) * 1000,
                    (SELECT max(end_ms) FROM call_turns WHERE call_id = $1), 0)::integer AS at_ms
"""
DEFINITION = """
    SELECT v.definition FROM calls c
      JOIN flow_versions v ON v.flow_id = coalesce(c.agent_flow_id, c.flow_id)
                          AND v.version = coalesce(c.agent_flow_version, c.flow_version)
     WHERE c.id = $1
"""


@dataclass(frozen=True, slots=True)
class NewTransfer:
    id: UUID
    org_id: UUID
    call_id: UUID
    label: str | None
    to_e164: str
    caller_id_e164: str
    asked_by: str
    summary: str
    ring_seconds: int
    whispers: bool
    needs_key: bool
    unanswered: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class TransferRow:
    id: UUID
    call_id: UUID
    label: str | None
    to_e164: str
    caller_id_e164: str
    asked_by: str
    summary: str
    ring_seconds: int
    whispers: bool
    needs_key: bool
    unanswered: str
    state: str
    started_at: datetime
    answered_at: datetime | None
    connected_at: datetime | None
    ended_at: datetime | None


async def begin(tx: Tx, transfer: NewTransfer) -> None:
    """Store a transfer, before the carrier is told to ring; the call has no other active transfer."""
    await tx.execute(BEGIN, *[getattr(transfer, name) for name in NewTransfer.__slots__])


async def get(tx: Tx, id: UUID) -> TransferRow | None:
    return _row(await tx.fetchrow(GET, id))


async def active(tx: Tx, call: UUID) -> TransferRow | None:
    """Return a call's active transfer."""
    return _row(await tx.fetchrow(ACTIVE, call))


async def of_call(tx: Tx, call: UUID, limit: int) -> list[TransferRow]:
    """Return a call's transfers, oldest first."""
    return [TransferRow(**row) for row in await tx.fetch(OF_CALL, call, limit)]


async def count(tx: Tx, call: UUID) -> int:
    number: int = await tx.fetchval(COUNT, call)
    return number


async def record_answer(tx: Tx, id: UUID, at: datetime) -> bool:
    """Record an answer; return False if it was recorded before, or the transfer is over."""
    return await tx.fetchval(ANSWERED, id, at) is not None


async def record_connection(tx: Tx, id: UUID, at: datetime) -> bool:
    """Record that both parties are connected; return False if it was recorded before, or the transfer is over."""
    return await tx.fetchval(CONNECTED, id, at) is not None


async def end(tx: Tx, id: UUID, state: str, at: datetime) -> bool:
    """End a transfer; return False if it was over."""
    return await tx.fetchval(END, id, state, at) is not None


async def tag_untaken(tx: Tx, call: UUID, tag: str) -> bool:
    """Add a tag to a call whose transfers nobody took; return whether it is one, and had no such tag."""
    return await tx.execute(TAG_UNTAKEN, call, tag) == "INSERT 0 1"


async def untag_reached(tx: Tx, call: UUID, tag: str) -> None:
    """Take a tag from the calls of somebody who has reached a person in this call."""
    await tx.execute(UNTAG_REACHED, call, tag)


async def record_dial(tx: Tx, id: UUID) -> None:
    """Record that the carrier is told to dial for the call, so that no media process has it."""
    await tx.execute(DIALLED, id)


async def between_streams(tx: Tx, id: UUID, next_stream_seq: int, at: datetime) -> tuple[int, int]:
    """Return the number of the next turn before `next_stream_seq`, and its time in ms since the call's first stream began."""
    row = await tx.fetchrow(BETWEEN_STREAMS, id, next_stream_seq, at)
    assert row is not None
    return row["seq"], row["at_ms"]


async def definition(tx: Tx, id: UUID) -> dict[str, Any]:
    """Return the definition of a call's current flow; empty if it has none."""
    stored: dict[str, Any] = json.loads(await tx.fetchval(DEFINITION, id) or "{}")
    return stored


def _row(row: asyncpg.Record | None) -> TransferRow | None:
    return TransferRow(**row) if row else None
