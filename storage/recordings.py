"""Recordings of calls: each recorded stream of a call has a file of its own."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.calls import OFFSET_MS
from storage.db import Tx

#: The recording of stream `s` is complete: it was stored, or its process has lost the call.
DONE = "(s.recording_ms IS NOT NULL OR s.number < c.streams_opened OR c.ended_at IS NOT NULL)"
#: Whether the call `c` has a recording.
HAS_ANY = f"""
    (c.recording_path IS NOT NULL
     OR EXISTS (SELECT FROM call_streams s WHERE s.call_id = c.id AND s.recording_path IS NOT NULL AND {DONE}))
"""
OF_CALL = f"""
    WITH recorded AS (
           SELECT s.recording_path AS path, {OFFSET_MS}, s.number, c.ended_at
             FROM call_streams s
             JOIN calls c ON c.id = s.call_id
             LEFT JOIN call_streams f ON f.call_id = s.call_id AND f.number = 1
            WHERE s.call_id = $1 AND s.recording_path IS NOT NULL AND {DONE})
    SELECT path, offset_ms, ended_at FROM (
           SELECT path, offset_ms, number, ended_at FROM recorded
           UNION ALL
           SELECT recording_path, 0, 0, ended_at FROM calls
            WHERE id = $1 AND recording_path IS NOT NULL AND NOT EXISTS (SELECT FROM recorded)) found
     ORDER BY number
"""
# A recording that was not stored may still be: its process may be unavailable, with its report in the spool.
FINAL = """
    SELECT ended_at IS NOT NULL AND NOT EXISTS (
               SELECT FROM call_streams s WHERE s.call_id = c.id AND s.recording_path IS NOT NULL AND s.recording_ms IS NULL)
      FROM calls c WHERE id = $1
"""
BEGIN = "UPDATE call_streams SET recording_path = $3 WHERE call_id = $1 AND number = $2"
STORE = """
    UPDATE call_streams SET recording_path = $3, recording_ms = $4, recording_bytes = $5 WHERE call_id = $1 AND number = $2
"""
DROP = """
    UPDATE call_streams SET recording_path = NULL WHERE call_id = $1 AND number = $2 AND recording_ms IS NULL
"""
FAULT = "UPDATE calls SET recording_fault = $2 WHERE id = $1"


@dataclass(frozen=True, slots=True)
class RecordingRow:
    """A stream's recording; `offset_ms`: since the call's first stream was opened."""

    path: str
    offset_ms: int
    #: When its call ended; None: the call is live.
    ended_at: datetime | None = None


async def of_call(tx: Tx, call: UUID) -> list[RecordingRow]:
    """Return the recordings of a call, in order, without that of a live stream."""
    return [RecordingRow(**row) for row in await tx.fetch(OF_CALL, call)]


async def is_final(tx: Tx, call: UUID) -> bool:
    """Return whether the recordings of a call no longer change."""
    return bool(await tx.fetchval(FINAL, call))


async def begin(tx: Tx, call: UUID, stream_number: int, path: str) -> None:
    """Record that a stream's recording is being written."""
    await tx.execute(BEGIN, call, stream_number, path)


async def store(tx: Tx, call: UUID, stream_number: int, path: str, duration_ms: int, size_bytes: int) -> None:
    """Record that a stream's recording is stored."""
    await tx.execute(STORE, call, stream_number, path, duration_ms, size_bytes)


async def drop(tx: Tx, call: UUID, stream_number: int) -> None:
    """Drop the path of a stream's recording of which nothing was stored."""
    await tx.execute(DROP, call, stream_number)


async def fail(tx: Tx, call: UUID, fault: str) -> None:
    """Record why a stream's recording ends early or is missing; files remain."""
    await tx.execute(FAULT, call, fault)
