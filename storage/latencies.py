"""Latencies: how long callers waited for the agent's turns, a row for each report."""

from dataclasses import dataclass
from uuid import UUID

from storage.db import Tx

MEASURES = ("first_sound_ms", "first_answer_ms", "ours_ms", "model_ms")
#: The items of each array in OF_CALL.
ITEMS = ("turn_seq", *MEASURES)

ADD = """
    INSERT INTO call_turn_latencies (org_id, call_id, stream_number, report_seq, turn_seq, first_sound_ms, first_answer_ms,
                                     ours_ms, model_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
    ON CONFLICT DO NOTHING
"""
#: Those of call `c`, in order; arrays, since a call has one for each turn of its agent.
OF_CALL = f"""
    ARRAY(SELECT ARRAY[{", ".join(f"l.{name}" for name in ITEMS)}]
            FROM call_turn_latencies l
           WHERE l.call_id = c.id
           ORDER BY l.stream_number, l.report_seq)
"""


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """A turn's latency by its parts, with the stream and the number of its report."""

    stream_number: int
    report_seq: int
    turn_seq: int
    first_sound_ms: int
    first_answer_ms: int
    ours_ms: int
    model_ms: int


async def add(tx: Tx, org: UUID, call: UUID, row: LatencyRow) -> None:
    """Store a latency, unless its report is stored already."""
    await tx.execute(ADD, org, call, *(getattr(row, name) for name in LatencyRow.__slots__))
