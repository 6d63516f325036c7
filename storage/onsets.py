"""Refused onsets: sounds over the agent that passed for a voice and did not stop it, a row for each report."""

from dataclasses import dataclass
from uuid import UUID

from storage.db import Tx

# Beyond the limit, an onset is only counted.
ADD = """
    INSERT INTO call_refused_onsets (org_id, call_id, stream_number, report_seq, at_ms, until_ms, onset, reason, more)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, (count(*) >= $9)::integer
      FROM call_refused_onsets WHERE call_id = $2 AND more = 0
    ON CONFLICT DO NOTHING
    RETURNING more = 0
"""
ADD_MORE = """
    INSERT INTO call_refused_onsets (org_id, call_id, stream_number, report_seq, more)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT DO NOTHING
"""
#: The listed ones of call `c`, in order; JSON objects in the contract's form.
OF_CALL = """
    ARRAY(SELECT json_build_object('at_ms', o.at_ms, 'until_ms', o.until_ms, 'onset', o.onset, 'reason', o.reason)
            FROM call_refused_onsets o
           WHERE o.call_id = c.id AND o.more = 0
           ORDER BY o.stream_number, o.report_seq)
"""
#: How many call `c` has beside them.
MORE_OF_CALL = "(SELECT coalesce(sum(o.more), 0) FROM call_refused_onsets o WHERE o.call_id = c.id)"


@dataclass(frozen=True, slots=True)
class OnsetRow:
    """A refused onset, with the stream and the number of its report."""

    stream_number: int
    report_seq: int
    at_ms: int
    until_ms: int
    onset: str
    reason: str


async def add(tx: Tx, org: UUID, call: UUID, row: OnsetRow, limit: int) -> bool:
    """Store a refused onset of a locked call; return False if its report is stored already, or if the call lists `limit` others."""
    return bool(await tx.fetchval(ADD, org, call, *(getattr(row, name) for name in OnsetRow.__slots__), limit))


async def add_more(tx: Tx, org: UUID, call: UUID, stream_number: int, report_seq: int, count: int) -> None:
    """Count onsets that are not stored one by one, unless the report of their number is stored already."""
    await tx.execute(ADD_MORE, org, call, stream_number, report_seq, count)
