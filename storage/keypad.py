"""Callers' keypad entries, a row for each; callers lock the call's row."""

from uuid import UUID

from storage.db import Tx

# Of an entry's reports, the one with the most keys is stored, whatever their order; none once the entry was removed.
STORE = """
    INSERT INTO call_keypad_entries AS e (org_id, call_id, at_ms, keys)
    SELECT $1, $2, $3, $4
     WHERE EXISTS (SELECT FROM call_keypad_entries WHERE call_id = $2 AND at_ms = $3)
        OR (SELECT count(*) FROM call_keypad_entries WHERE call_id = $2) < $5
    ON CONFLICT (call_id, at_ms) DO UPDATE SET keys = excluded.keys
     WHERE excluded.keys IS NULL OR length(e.keys) < length(excluded.keys)
    RETURNING true
"""
#: Those of call `c`, in order; JSON objects in the contract's form.
OF_CALL = """
    ARRAY(SELECT json_build_object('keys', k.keys, 'at_ms', k.at_ms)
            FROM call_keypad_entries k
           WHERE k.call_id = c.id AND k.keys IS NOT NULL
           ORDER BY k.at_ms)
"""


async def upsert(tx: Tx, org: UUID, call: UUID, at_ms: int, keys: str, limit: int) -> bool:
    """Store the keys of the entry that began at `at_ms`; they replace fewer keys.

    Return False without a change if the entry has as many, if it was removed, or if it is new and the call has `limit` entries.
    """
    return bool(await tx.fetchval(STORE, org, call, at_ms, keys, limit))


async def remove(tx: Tx, org: UUID, call: UUID, at_ms: int, limit: int) -> None:
    """Remove the keys of the entry that began at `at_ms`, so that no later report stores them again."""
    await tx.execute(STORE, org, call, at_ms, None, limit)
