"""Idempotency keys: the first answer to a request, kept in the transaction of its effect.

A key belongs to an organization; to a person where the request is the person's own and no organization is at work yet.
"""

from dataclasses import dataclass
from datetime import timedelta

from storage.db import Tx

# A twin that is at work holds this lock until it commits; nobody waits for it.
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(hum.org_id()::text || $1, 0))"
FIND = """
    SELECT method, body_hash, answer FROM idempotency_keys WHERE key = $1 AND created_at > now() - $2::interval
"""
STORE = """
    INSERT INTO idempotency_keys (org_id, key, method, body_hash, answer) VALUES (hum.org_id(), $1, $2, $3, $4)
    ON CONFLICT (org_id, key) DO UPDATE
       SET method = excluded.method, body_hash = excluded.body_hash, answer = excluded.answer, created_at = now()
"""
FORGET = "DELETE FROM idempotency_keys WHERE created_at < now() - $1::interval"
TRY_LOCK_PERSONAL = "SELECT pg_try_advisory_xact_lock(hashtextextended(hum.user_id()::text || $1, 0))"
FIND_PERSONAL = """
    SELECT method, body_hash, answer FROM personal_idempotency_keys
     WHERE key = $1 AND user_id = hum.user_id() AND created_at > now() - $2::interval
"""
STORE_PERSONAL = """
    INSERT INTO personal_idempotency_keys (user_id, key, method, body_hash, answer)
    VALUES (hum.user_id(), $1, $2, $3, $4)
    ON CONFLICT (user_id, key) DO UPDATE
       SET method = excluded.method, body_hash = excluded.body_hash, answer = excluded.answer, created_at = now()
"""
FORGET_PERSONAL = "DELETE FROM personal_idempotency_keys WHERE created_at < now() - $1::interval"


@dataclass(frozen=True, slots=True)
class Remembered:
    method: str
    body_hash: bytes
    answer: bytes


async def try_lock(tx: Tx, key: str, *, personal: bool = False) -> bool:
    """Be the only one that works on this key, until the transaction ends; False if another is."""
    locked: bool = await tx.fetchval(TRY_LOCK_PERSONAL if personal else TRY_LOCK, key)
    return locked


async def find(tx: Tx, key: str, keep: timedelta, *, personal: bool = False) -> Remembered | None:
    row = await tx.fetchrow(FIND_PERSONAL if personal else FIND, key, keep)
    return Remembered(row["method"], bytes(row["body_hash"]), bytes(row["answer"])) if row else None


async def store(tx: Tx, key: str, seen: Remembered, *, personal: bool = False) -> None:
    await tx.execute(STORE_PERSONAL if personal else STORE, key, seen.method, seen.body_hash, seen.answer)


async def forget(tx: Tx, keep: timedelta) -> None:
    """Drop what is older; as the system, for all organizations."""
    await tx.execute(FORGET, keep)
    await tx.execute(FORGET_PERSONAL, keep)
