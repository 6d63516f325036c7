"""Interventions: what people told the agent of a live call, and news of approvals; a row for each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Tx

ADD = """
    INSERT INTO call_interventions (org_id, call_id, stream_number, report_seq, id, kind, text, by, at, at_ms)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT DO NOTHING
    RETURNING true
"""
FIND = """
    SELECT stream_number, report_seq, id, kind, text, by, at, at_ms FROM call_interventions WHERE call_id = $1 AND id = $2
"""
#: Those of call `c`, in order; JSON objects in the contract's form, with UUIDs.
OF_CALL = """
    ARRAY(SELECT json_build_object('id', v.id, 'kind', v.kind, 'text', v.text, 'by', v.by, 'at', v.at, 'at_ms', v.at_ms)
            FROM call_interventions v
           WHERE v.call_id = c.id
           ORDER BY v.stream_number, v.report_seq)
"""


@dataclass(frozen=True, slots=True)
class InterventionRow:
    """An intervention, with the stream and the number of its report."""

    stream_number: int
    report_seq: int
    id: UUID
    kind: str
    text: str
    by: str
    at: datetime | None
    at_ms: int | None


async def add(tx: Tx, org: UUID, call: UUID, row: InterventionRow) -> bool:
    """Store an intervention; return False if it is stored already."""
    return bool(await tx.fetchval(ADD, org, call, *(getattr(row, name) for name in InterventionRow.__slots__)))


async def find(tx: Tx, call: UUID, id: UUID) -> InterventionRow | None:
    row = await tx.fetchrow(FIND, call, id)
    return InterventionRow(**row) if row else None
