"""Interventions: what people told the agent of a live call; JSON objects in the call's row."""

from uuid import UUID

from storage.db import Tx

ADD = "UPDATE calls SET interventions = (interventions::jsonb || $2::jsonb)::json WHERE id = $1"
FIND = """
    SELECT each::text FROM calls c, json_array_elements(c.interventions) each WHERE c.id = $1 AND each ->> 'id' = $2
"""


async def add(tx: Tx, call: UUID, intervention: str) -> None:
    """Append an intervention to a locked call."""
    await tx.execute(ADD, call, f"[{intervention}]")


async def find(tx: Tx, call: UUID, id: str) -> str | None:
    intervention: str | None = await tx.fetchval(FIND, call, id)
    return intervention
