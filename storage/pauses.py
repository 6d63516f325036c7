"""Pauses of a call's recording, a row for each."""

from dataclasses import dataclass
from uuid import UUID

from storage.db import Tx

# A later report of a pause replaces its end; the first one has its cause.
UPSERT = """
    INSERT INTO call_recording_pauses AS p (org_id, call_id, stream_number, report_seq, start_ms, end_ms, cause)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (call_id, start_ms) DO UPDATE
       SET stream_number = excluded.stream_number, report_seq = excluded.report_seq, end_ms = excluded.end_ms
     WHERE (p.stream_number, p.report_seq) < (excluded.stream_number, excluded.report_seq)
"""
#: Those of call `c`, in order; JSON objects in the contract's form.
OF_CALL = """
    ARRAY(SELECT json_build_object('start_ms', p.start_ms, 'end_ms', p.end_ms, 'cause', p.cause)
            FROM call_recording_pauses p
           WHERE p.call_id = c.id
           ORDER BY p.start_ms)
"""
#: Whether the last one of call `c` has no end.
IS_OPEN = """
    coalesce((SELECT p.end_ms IS NULL FROM call_recording_pauses p WHERE p.call_id = c.id ORDER BY p.start_ms DESC LIMIT 1), false)
"""


@dataclass(frozen=True, slots=True)
class PauseRow:
    """A pause, with the stream and the number of its report."""

    stream_number: int
    report_seq: int
    start_ms: int
    #: None: it is under way, or lasted to the end of its stream.
    end_ms: int | None
    cause: str


async def upsert(tx: Tx, org: UUID, call: UUID, row: PauseRow) -> None:
    """Store a pause of a locked call, unless a later report of it is stored."""
    await tx.execute(UPSERT, org, call, *(getattr(row, name) for name in PauseRow.__slots__))
