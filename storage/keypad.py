"""Callers' keypad entries."""

from uuid import UUID

from storage.db import Tx

ADD = """
    UPDATE calls SET keypad_entries = (keypad_entries::jsonb || $2::jsonb)::json
     WHERE id = $1 AND json_array_length(keypad_entries) < $3
    RETURNING true
"""


async def add(tx: Tx, id: UUID, entry: str, limit: int) -> bool:
    """Store a keypad entry, a JSON object; return False if the call has `limit` of them already."""
    return bool(await tx.fetchval(ADD, id, f"[{entry}]", limit))
