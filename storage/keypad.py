"""Callers' keypad entries, in order; callers lock the call's row."""

import json
from typing import Any
from uuid import UUID

from storage.db import Tx

ENTRIES = "SELECT keypad_entries FROM calls WHERE id = $1"
SET_ENTRIES = "UPDATE calls SET keypad_entries = $2 WHERE id = $1"


async def upsert(tx: Tx, id: UUID, at_ms: int, entry: str, limit: int) -> bool:
    """Store a keypad entry, a JSON object; it replaces a shorter one that began at the same time, `at_ms`.

    Return False without a change if there is none shorter, or if the call has `limit` entries already.
    """
    entries = await _entries(tx, id)
    longer, known = json.loads(entry), entries.get(at_ms)
    if known is None and len(entries) >= limit:
        return False
    if known is not None and len(longer["keys"]) <= len(known["keys"]):
        return False
    entries[at_ms] = longer
    await _set_entries(tx, id, entries)
    return True


async def remove(tx: Tx, id: UUID, at_ms: int) -> None:
    """Remove the entry that began at this time, if there is one."""
    entries = await _entries(tx, id)
    if entries.pop(at_ms, None) is not None:
        await _set_entries(tx, id, entries)


async def _entries(tx: Tx, id: UUID) -> dict[int, dict[str, Any]]:
    return {entry.get("at_ms", 0): entry for entry in json.loads(await tx.fetchval(ENTRIES, id))}


async def _set_entries(tx: Tx, id: UUID, entries: dict[int, dict[str, Any]]) -> None:
    await tx.execute(SET_ENTRIES, id, json.dumps(list(entries.values())))
