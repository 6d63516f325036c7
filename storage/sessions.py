"""Sign-ins in progress, people as their issuers know them, and sessions.

There is no tenant yet: unless noted, functions run as the system.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from hum.contract.errors import InvalidState, NotFound
from storage import revocations
from storage.db import Tx

BEGIN = """
    INSERT INTO sign_ins (state_hash, nonce, code_verifier, return_to, links_user_id, expires_at)
    VALUES ($1, $2, $3, $4, $5, now() + $6::interval)
"""
CLAIM_SIGN_IN = """
    DELETE FROM sign_ins WHERE state_hash = $1
    RETURNING nonce, code_verifier, return_to, links_user_id, expires_at > now() AS young
"""
BY_SUBJECT = """
    SELECT user_id FROM sign_in_subjects WHERE issuer = $1 AND subject = $2
"""
SESSION_OWNER = """
    SELECT user_id, created_at > now() - $2::interval AS young
      FROM sessions WHERE token_hash = $1 AND expires_at > now() AND last_seen_at > now() - idle
"""
IS_FRESH = "SELECT created_at > now() - $2::interval FROM sessions WHERE id = $1"
SUBJECTS = "SELECT issuer, subject FROM sign_in_subjects WHERE user_id = $1"
LINK = """
    INSERT INTO sign_in_subjects (issuer, subject, user_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id
"""
SET_USED = "UPDATE sign_in_subjects SET used_at = now(), email = coalesce($3, email) WHERE issuer = $1 AND subject = $2"
MY_ACCOUNTS = "SELECT id, issuer, email, linked_at, used_at FROM hum.my_sign_ins()"
REMOVE = "SELECT hum.remove_my_sign_in($1, $2)"
SET_SIGNED_IN = """
    UPDATE users
       SET signed_in_at = now(), name = coalesce(nullif($2, ''), name)
     WHERE id = $1
"""
# The email stays if another person has the new one, or if the user has several accounts, each with an email of its own.
SET_EMAIL = """
    UPDATE users SET email = $2
     WHERE id = $1 AND 1 >= (SELECT count(*) FROM sign_in_subjects WHERE user_id = $1)
       AND NOT EXISTS (SELECT FROM users other
                                    WHERE lower(other.email COLLATE "C") = lower($2::text COLLATE "C") AND other.id <> $1)
"""
UNLINK_PERSON = """
    WITH gone AS (DELETE FROM sign_in_subjects s USING users u
                   WHERE u.id = s.user_id AND lower(u.email COLLATE "C") = lower($1::text COLLATE "C")
                  RETURNING s.user_id),
         ended AS (DELETE FROM sessions WHERE user_id IN (SELECT user_id FROM gone))
    SELECT user_id FROM gone
"""
UNLINK_ISSUER = """
    WITH gone AS (DELETE FROM sign_in_subjects WHERE issuer = $1 RETURNING user_id),
         ended AS (DELETE FROM sessions WHERE user_id IN (SELECT user_id FROM gone))
    SELECT user_id FROM gone
"""
# The organization of the person's latest session, else the one joined first.
HOME = """
    SELECT m.org_id
      FROM memberships m LEFT JOIN sessions s ON s.org_id = m.org_id AND s.user_id = m.user_id
     WHERE m.user_id = $1
     ORDER BY s.last_seen_at DESC NULLS LAST, m.created_at, m.org_id
     LIMIT 1
"""
OPEN = """
    INSERT INTO sessions (id, token_hash, user_id, org_id, verified_email, idle, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6::interval, now() + $7::interval)
"""
CLOSE = "DELETE FROM sessions WHERE token_hash = $1 RETURNING id"
CLOSE_ALL_OF = "DELETE FROM sessions WHERE user_id = $1"
PRUNE_SIGN_INS = "DELETE FROM sign_ins WHERE expires_at < now()"
PRUNE_SESSIONS = "DELETE FROM sessions WHERE expires_at < now() OR last_seen_at < now() - idle"


@dataclass(frozen=True, slots=True)
class SignInRow:
    nonce: str
    code_verifier: str
    return_to: str
    links_user: UUID | None = None


@dataclass(frozen=True, slots=True)
class IssuerAccountRow:
    """An account at an issuer; columns are None for sign-ins from before they were stored."""

    id: UUID
    issuer: str
    email: str | None
    linked_at: datetime | None
    used_at: datetime | None


async def store_sign_in(tx: Tx, state_hash: bytes, row: SignInRow, lasts: timedelta) -> None:
    """Store a sign-in that begins."""
    await tx.execute(BEGIN, state_hash, row.nonce, row.code_verifier, row.return_to, row.links_user, lasts)


async def claim_sign_in(tx: Tx, state_hash: bytes) -> SignInRow | None:
    """Remove and return a sign-in; None if it is unknown, used or expired."""
    row = await tx.fetchrow(CLAIM_SIGN_IN, state_hash)
    if row is None or not row["young"]:
        return None
    return SignInRow(row["nonce"], row["code_verifier"], row["return_to"], row["links_user_id"])


async def owner(tx: Tx, token_hash: bytes, fresh: timedelta) -> tuple[UUID, bool] | None:
    """Return the person of an open session, and whether it was opened within `fresh`."""
    row = await tx.fetchrow(SESSION_OWNER, token_hash, fresh)
    return (row["user_id"], row["young"]) if row else None


async def person_of(tx: Tx, issuer: str, subject: str) -> UUID | None:
    """Return the user that this issuer has vouched for under this subject, or None."""
    user: UUID | None = await tx.fetchval(BY_SUBJECT, issuer, subject)
    return user


async def subjects_of(tx: Tx, user: UUID) -> set[tuple[str, str]]:
    """Return the person's linked accounts, as issuer and subject."""
    return {(row["issuer"], row["subject"]) for row in await tx.fetch(SUBJECTS, user)}


async def link(tx: Tx, issuer: str, subject: str, user: UUID) -> tuple[UUID, UUID | None]:
    """Link this account to the person unless it is linked; return its owner, and its id if the link is new."""
    id: UUID | None = await tx.fetchval(LINK, issuer, subject, user)
    owner = user if id else await person_of(tx, issuer, subject)
    # None: the account was unlinked between the two statements.
    return user if owner is None else owner, id


async def record_use(tx: Tx, issuer: str, subject: str, email: str | None) -> None:
    """Record a sign-in with this account, and the verified address that the issuer gives today."""
    await tx.execute(SET_USED, issuer, subject, email)


async def is_fresh(tx: Tx, session: UUID, fresh: timedelta) -> bool:
    """Return whether the person's own session was opened within `fresh`."""
    return bool(await tx.fetchval(IS_FRESH, session, fresh))


async def own_accounts(tx: Tx) -> list[IssuerAccountRow]:
    """Return the person's own linked accounts."""
    return [IssuerAccountRow(**row) for row in await tx.fetch(MY_ACCOUNTS)]


async def remove(tx: Tx, id: UUID, user: UUID, session: UUID) -> None:
    """Unlink one of the person's own accounts, and end the other sessions.  Raises NotFound, InvalidState for the only one."""
    outcome: str | None = await tx.fetchval(REMOVE, id, session)
    if outcome is None:
        raise NotFound("You have no such account.")
    if outcome == "last":
        raise InvalidState("It is the only account with which you sign in. Link another one first.")
    await revocations.publish(tx, user)


async def record_sign_in(tx: Tx, user: UUID, name: str, email: str | None) -> None:
    """Record a sign-in, with the name and the verified address that the issuer gives today."""
    await tx.execute(SET_SIGNED_IN, user, name)
    if email is not None:
        await tx.execute("SAVEPOINT moved")
        try:
            await tx.execute(SET_EMAIL, user, email)
        except asyncpg.UniqueViolationError:  # taken concurrently
            await tx.execute("ROLLBACK TO SAVEPOINT moved")


async def unlink(tx: Tx, *, email: str = "", issuer: str = "") -> int:
    """Unlink the accounts of the person with this address, or all of this issuer, and end those people's sessions.

    Returns how many accounts there were.
    """
    rows = await (tx.fetch(UNLINK_PERSON, email) if email else tx.fetch(UNLINK_ISSUER, issuer))
    for row in rows:
        await revocations.publish(tx, row["user_id"])
    return len(rows)


async def home_of(tx: Tx, user: UUID) -> UUID | None:
    """Return the organization in which a new session begins, or None without a membership."""
    org: UUID | None = await tx.fetchval(HOME, user)
    return org


async def open(
    tx: Tx,
    *,
    id: UUID,
    token_hash: bytes,
    user: UUID,
    org: UUID | None,
    verified_email: str | None = None,
    idle: timedelta,
    lasts: timedelta,
) -> None:
    """Open a session; its person sees the invitations to `verified_email`."""
    await tx.execute(OPEN, id, token_hash, user, org, verified_email, idle, lasts)


async def close(tx: Tx, token_hash: bytes) -> None:
    if (closed := await tx.fetchval(CLOSE, token_hash)) is not None:
        await revocations.publish(tx, closed)


async def close_all_of(tx: Tx, user: UUID) -> None:
    await tx.execute(CLOSE_ALL_OF, user)
    await revocations.publish(tx, user)


async def prune(tx: Tx) -> None:
    """Prune expired sign-ins and sessions."""
    await tx.execute(PRUNE_SIGN_INS)
    await tx.execute(PRUNE_SESSIONS)
