"""Refused onsets: sounds over the agent that passed for a voice and did not stop it."""

from uuid import UUID

from storage.db import Tx

ADD = """
    UPDATE calls SET refused_onsets = CASE WHEN json_array_length(refused_onsets) < $3
                                           THEN (refused_onsets::jsonb || $2::jsonb)::json ELSE refused_onsets END,
                     more_refused_onsets = more_refused_onsets + (json_array_length(refused_onsets) >= $3)::integer
     WHERE id = $1
    RETURNING more_refused_onsets = 0
"""
ADD_MORE = "UPDATE calls SET more_refused_onsets = more_refused_onsets + $2 WHERE id = $1"


async def add(tx: Tx, id: UUID, onset: str, limit: int) -> bool:
    """Store a refused onset, a JSON object; beyond `limit`, only count it and return False."""
    return bool(await tx.fetchval(ADD, id, f"[{onset}]", limit))


async def add_more(tx: Tx, id: UUID, count: int) -> None:
    """Count onsets that are not stored one by one."""
    await tx.execute(ADD_MORE, id, count)
