"""Flow switches: another flow's agent takes over a call."""

from uuid import UUID

from storage.db import Tx

ADD = """
    UPDATE calls
       SET agent_flow_id = $2, agent_flow_version = $3, flow_switches = (flow_switches::jsonb || $4::jsonb)::json
     WHERE id = $1
"""
CURRENT = "SELECT coalesce(agent_flow_id, flow_id) FROM calls WHERE id = $1"
COUNT = "SELECT json_array_length(flow_switches) FROM calls WHERE id = $1"


async def add(tx: Tx, id: UUID, flow_id: UUID, flow_version: int, switched: str) -> None:
    """Give the call to another flow's agent; `switched` describes the switch, a JSON object."""
    await tx.execute(ADD, id, flow_id, flow_version, f"[{switched}]")


async def count(tx: Tx, id: UUID) -> int:
    """Return how often the call was handed to another flow's agent."""
    return int(await tx.fetchval(COUNT, id) or 0)


async def current(tx: Tx, id: UUID) -> UUID | None:
    """Return the call's current flow, or its last one."""
    flow: UUID | None = await tx.fetchval(CURRENT, id)
    return flow
