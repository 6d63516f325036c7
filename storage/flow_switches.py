"""Flow switches: the times at which another flow's agent took over a call, a row for each report."""

from dataclasses import dataclass
from uuid import UUID

from storage.db import Tx

# A switch that is reported late, after a later one, does not change who has the call.
ADD = """
    WITH added AS (
        INSERT INTO call_flow_switches (org_id, call_id, stream_number, report_seq, flow_id, flow_version, at_ms)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT DO NOTHING
        RETURNING *),
    given AS (
        UPDATE calls c SET agent_flow_id = a.flow_id, agent_flow_version = a.flow_version
          FROM added a
         WHERE c.id = a.call_id
           AND NOT EXISTS (SELECT FROM call_flow_switches s
                            WHERE s.call_id = a.call_id AND (s.stream_number, s.report_seq) > (a.stream_number, a.report_seq)))
    SELECT EXISTS (SELECT FROM added)
"""
CURRENT = "SELECT coalesce(agent_flow_id, flow_id) FROM calls WHERE id = $1"
COUNT = "SELECT count(*) FROM call_flow_switches WHERE call_id = $1"
#: Those of call `c`, in order; JSON objects in the contract's form, with UUIDs.
OF_CALL = """
    ARRAY(SELECT json_build_object('flow_id', s.flow_id, 'flow_version', s.flow_version, 'at_ms', s.at_ms)
            FROM call_flow_switches s
           WHERE s.call_id = c.id
           ORDER BY s.stream_number, s.report_seq)
"""


@dataclass(frozen=True, slots=True)
class SwitchRow:
    """A switch to a flow, with the stream and the number of its report."""

    stream_number: int
    report_seq: int
    flow_id: UUID
    flow_version: int
    at_ms: int


async def add(tx: Tx, org: UUID, call: UUID, row: SwitchRow) -> bool:
    """Give a locked call to another flow's agent; return False if the report of that is stored already."""
    return bool(await tx.fetchval(ADD, org, call, *(getattr(row, name) for name in SwitchRow.__slots__)))


async def count(tx: Tx, call: UUID) -> int:
    """Return how often the call was handed to another flow's agent."""
    return int(await tx.fetchval(COUNT, call))


async def current(tx: Tx, call: UUID) -> UUID | None:
    """Return the call's current flow, or its last one."""
    flow: UUID | None = await tx.fetchval(CURRENT, call)
    return flow
