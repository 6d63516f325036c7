"""Idempotency keys: the first response to a request, committed in the transaction of its effect.

A key belongs to an organization, or to a person for personal requests made before there is an organization.  Its response is
replayed only to the actor who made the request: a narrower API key must not read an admin's response.
A request that acts outside the database has no such transaction: it claims its key first, and stores its response later.
"""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from storage.db import Tx

# A running duplicate holds this lock until it commits; no request waits for it.
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended(hum.org_id()::text || $1, 0))"
FIND = """
    SELECT actor, method, body_hash, answer, coalesce(leased_until > now(), false) AS leased
      FROM idempotency_keys
     WHERE key = $1 AND created_at > now() - $2::interval
"""
STORE = """
    INSERT INTO idempotency_keys (org_id, key, actor, method, body_hash, answer)
    VALUES (hum.org_id(), $1, $2, $3, $4, $5)
    ON CONFLICT (org_id, key) DO UPDATE
       SET actor = excluded.actor, method = excluded.method, body_hash = excluded.body_hash,
           answer = excluded.answer, created_at = now(),
           claim = NULL, claimed_by = NULL, leased_until = NULL
"""
CLAIM = """
    INSERT INTO idempotency_keys (org_id, key, actor, method, body_hash, claim, claimed_by, leased_until)
    VALUES (hum.org_id(), $1, $2, $3, $4, $5, $6, now() + $7::interval)
    ON CONFLICT (org_id, key) DO UPDATE
       SET actor = excluded.actor, method = excluded.method, body_hash = excluded.body_hash, answer = NULL, created_at = now(),
           claim = excluded.claim, claimed_by = excluded.claimed_by, leased_until = excluded.leased_until
"""
ANSWER = """
    UPDATE idempotency_keys SET answer = $3, claim = NULL, claimed_by = NULL, leased_until = NULL
     WHERE key = $1 AND claim = $2
"""
RELEASE = "DELETE FROM idempotency_keys WHERE key = $1 AND claim = $2"
PURGE = "DELETE FROM idempotency_keys WHERE created_at < now() - $1::interval"
TRY_LOCK_PERSONAL = "SELECT pg_try_advisory_xact_lock(hashtextextended(hum.user_id()::text || $1, 0))"
FIND_PERSONAL = """
    SELECT actor, method, body_hash, answer, false AS leased FROM personal_idempotency_keys
     WHERE key = $1 AND user_id = hum.user_id() AND created_at > now() - $2::interval
"""
STORE_PERSONAL = """
    INSERT INTO personal_idempotency_keys (user_id, key, actor, method, body_hash, answer)
    VALUES (hum.user_id(), $1, $2, $3, $4, $5)
    ON CONFLICT (user_id, key) DO UPDATE
       SET actor = excluded.actor, method = excluded.method, body_hash = excluded.body_hash, answer = excluded.answer, created_at = now()
"""
PURGE_PERSONAL = "DELETE FROM personal_idempotency_keys WHERE created_at < now() - $1::interval"


@dataclass(frozen=True, slots=True)
class KeyRow:
    """The request under a key.  Without an answer the key is claimed; `leased` while its claimant may still be running."""

    actor: str
    method: str
    body_hash: bytes
    answer: bytes | None
    leased: bool


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """A request with an idempotency key."""

    key: str
    actor: str
    method: str
    body_hash: bytes


async def try_lock(tx: Tx, key: str, *, personal: bool = False) -> bool:
    """Lock this key until the transaction ends; return False if another request holds it."""
    locked: bool = await tx.fetchval(TRY_LOCK_PERSONAL if personal else TRY_LOCK, key)
    return locked


async def find(tx: Tx, key: str, keep: timedelta, *, personal: bool = False) -> KeyRow | None:
    row = await tx.fetchrow(FIND_PERSONAL if personal else FIND, key, keep)
    return KeyRow(**row) if row else None


async def store(tx: Tx, keyed: KeyedRequest, answer: bytes, *, personal: bool = False) -> None:
    """Store an answer, in the transaction of its effect."""
    statement = STORE_PERSONAL if personal else STORE
    await tx.execute(statement, keyed.key, keyed.actor, keyed.method, keyed.body_hash, answer)


async def claim(tx: Tx, keyed: KeyedRequest, claim: UUID, by: str, lease: timedelta) -> None:
    """Claim a free key; the caller holds its lock."""
    await tx.execute(CLAIM, keyed.key, keyed.actor, keyed.method, keyed.body_hash, claim, by, lease)


async def answer(tx: Tx, key: str, claim: UUID, answer: bytes) -> bool:
    """Store the answer of a claim; return False if another request has taken the key over."""
    return await tx.execute(ANSWER, key, claim, answer) == "UPDATE 1"


async def release(tx: Tx, key: str, claim: UUID) -> None:
    """Release a claim: the key may be used again."""
    await tx.execute(RELEASE, key, claim)


async def purge(tx: Tx, keep: timedelta) -> None:
    """Purge the keys of all organizations that are older than `keep`.  Runs as the system."""
    await tx.execute(PURGE, keep)
    await tx.execute(PURGE_PERSONAL, keep)
