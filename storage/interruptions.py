"""Interruptions: the times at which the caller spoke over the agent, a row for each report."""

from dataclasses import dataclass
from uuid import UUID

from storage.db import Tx

ADD = """
    INSERT INTO call_interruptions (org_id, call_id, stream_number, report_seq, at_ms, heard_ms, reaction_ms, verdict,
                                    turn_seq, onset, reason, decided_ms, spoken_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT DO NOTHING
    RETURNING true
"""
#: Those of call `c`, in order, each with the turn that was spoken over; JSON objects in the contract's form.
OF_CALL = """
    ARRAY(SELECT json_build_object(
                     'at_ms', i.at_ms, 'heard_ms', i.heard_ms, 'reaction_ms', i.reaction_ms, 'verdict', i.verdict,
                     'turn_seq', i.turn_seq, 'turn_start_ms', t.start_ms, 'turn_end_ms', t.end_ms, 'onset', i.onset,
                     'reason', i.reason, 'decided_ms', i.decided_ms, 'spoken_ms', i.spoken_ms)
            FROM call_interruptions i LEFT JOIN call_turns t ON t.call_id = i.call_id AND t.seq = i.turn_seq
           WHERE i.call_id = c.id
           ORDER BY i.stream_number, i.report_seq)
"""
#: How many call `c` has.
COUNT_OF_CALL = "(SELECT count(*) FROM call_interruptions i WHERE i.call_id = c.id)"


@dataclass(frozen=True, slots=True)
class InterruptionRow:
    """An interruption, with the stream and the number of its report."""

    stream_number: int
    report_seq: int
    at_ms: int
    heard_ms: int
    reaction_ms: int
    verdict: str
    turn_seq: int | None
    onset: str | None
    reason: str | None
    decided_ms: int | None
    spoken_ms: int | None


async def add(tx: Tx, org: UUID, call: UUID, row: InterruptionRow) -> bool:
    """Store an interruption; return False if its report is stored already."""
    return bool(await tx.fetchval(ADD, org, call, *(getattr(row, name) for name in InterruptionRow.__slots__)))
