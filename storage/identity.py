"""Organizations, people, memberships and API keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from hum.contract.errors import AlreadyExists, NotFound
from storage import revocations
from storage.db import Tx

ORGANIZATION = """
    SELECT org_id AS id, name, time_zone, business_hours_json, business_identity_json, quiet_hours_enabled,
           recipient_hours_enabled, voice_quiet_hours_enabled, keyword_replies, retention_days, created_at,
           keyword_texts_json, notify_transcripts
      FROM organizations
     WHERE org_id = $1
"""
LOCK_ORGANIZATION = f"{ORGANIZATION} FOR NO KEY UPDATE"
ORGANIZATIONS = """
    SELECT org_id AS id, name, created_at
      FROM organizations
     WHERE org_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY org_id DESC
     LIMIT $2
"""
ORGANIZATION_NAMED = "SELECT org_id FROM organizations WHERE name = $1 ORDER BY org_id LIMIT 1"
CREATE_ORGANIZATION = "INSERT INTO organizations (org_id, name) VALUES ($1, $2)"
UPDATE_ORGANIZATION = """
    UPDATE organizations
       SET name = $2, time_zone = $3, business_hours_json = $4, business_identity_json = $5,
           quiet_hours_enabled = $6, recipient_hours_enabled = $7, voice_quiet_hours_enabled = $8,
           keyword_replies = $9, retention_days = $10, keyword_texts_json = $11,
           notify_transcripts = $12
     WHERE org_id = $1
"""
UPSERT_USER = """
    INSERT INTO users (id, email) VALUES ($1, $2)
    ON CONFLICT (lower(email COLLATE "C")) DO UPDATE SET email = users.email
    RETURNING id
"""
ADD_MEMBER = "INSERT INTO memberships (org_id, user_id, role) VALUES ($1, $2, $3)"
MY_ORGANIZATIONS = "SELECT id, name, time_zone, role FROM hum.my_organizations()"
SWITCH = "SELECT hum.switch_organization($1, $2)"
FOUND_ORGANIZATION = "SELECT hum.found_organization($1, $2, $3, $4, $5)"
COUNT_FOUNDED = "SELECT hum.founded_organizations()"
REQUEST_ORGANIZATION = """
    INSERT INTO organization_requests (id, user_id, name) VALUES ($1, hum.user_id(), $2) RETURNING created_at
"""
MY_REQUESTS = """
    SELECT id, name, created_at FROM organization_requests WHERE user_id = hum.user_id() ORDER BY id LIMIT 100
"""
REQUESTS = """
    SELECT id, name, user_id, email, user_name, created_at FROM hum.organization_requests($1, $2)
"""
DECIDE = "SELECT hum.decide_organization($1, $2)"
MY_INVITATIONS = """
    SELECT id, org_id, org_name, role, invited_by, created_at, expires_at FROM hum.my_invitations()
"""
ACCEPT = "SELECT hum.accept_invitation($1, $2)"
DECLINE = "SELECT hum.decline_invitation($1)"
PERSON_FOR_SITE_ADMIN = "SELECT hum.person_for_site_admin($1)"
SET_SITE_ADMIN = "UPDATE users SET site_admin = $2 WHERE id = $1"
USER = "SELECT id, email, name FROM users WHERE id = $1"
CREATE_KEY = """
    INSERT INTO api_keys (id, org_id, hash, prefix, name, role, scopes, made_by, made_by_key, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    RETURNING created_at
"""
KEYS = """
    SELECT id, prefix, name, role, scopes, created_at, expires_at, last_used_at, revoked_at
      FROM api_keys
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $2
"""
# Waits for a transaction that revokes this key, and then returns no row; later ones wait for this transaction.
VALID_KEY = "SELECT expires_at FROM api_keys WHERE id = $1 AND revoked_at IS NULL FOR SHARE"
LOCK_KEYS = "SELECT pg_advisory_xact_lock(hashtextextended('api keys ' || hum.org_id()::text, 0))"
REVOKE_KEY = "UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE id = $1"
COUNT_VALID_KEYS = "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL AND coalesce(expires_at > now(), true)"


def _with_made(statement: str) -> str:
    """Precede a statement with `made`: the keys that $1 made, and those that they made, revoked ones too; without $2 and its own."""
    return f"""
    WITH RECURSIVE made AS (
        SELECT id FROM api_keys WHERE made_by_key = $1 AND id IS DISTINCT FROM $2
        UNION
        SELECT k.id FROM api_keys k JOIN made m ON k.made_by_key = m.id WHERE k.id IS DISTINCT FROM $2)
    {statement}
"""


REVOKE_KEYS_MADE_BY = _with_made(
    "UPDATE api_keys SET revoked_at = now() WHERE id IN (SELECT id FROM made) AND revoked_at IS NULL RETURNING id"
)
DELETE_INVITES_MADE_BY = _with_made(
    "DELETE FROM invites WHERE made_by_key = $1 OR made_by_key IN (SELECT id FROM made) RETURNING id"
)
DESCENDS = """
    WITH RECURSIVE makers AS (
        SELECT id, made_by_key FROM api_keys WHERE id = $1
        UNION ALL
        SELECT k.id, k.made_by_key FROM api_keys k JOIN makers m ON k.id = m.made_by_key)
    SELECT EXISTS (SELECT FROM makers WHERE id = $2)
"""
KEEP_KEYS_MADE_BY = """
    UPDATE api_keys SET made_by_key = (SELECT made_by_key FROM api_keys WHERE id = $1) WHERE made_by_key = $1
"""


@dataclass(slots=True)
class OrganizationRow:
    id: UUID
    name: str
    time_zone: str
    business_hours_json: str | None
    business_identity_json: str | None
    quiet_hours_enabled: bool
    recipient_hours_enabled: bool
    voice_quiet_hours_enabled: bool
    keyword_replies: str
    retention_days: int | None
    created_at: datetime
    keyword_texts_json: str | None
    notify_transcripts: bool


@dataclass(frozen=True, slots=True)
class OrganizationSummaryRow:
    """An organization, as an operator sees it."""

    id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MembershipRow:
    id: UUID
    name: str
    time_zone: str
    role: str


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """An invitation, as the invited person sees it."""

    id: UUID
    org_id: UUID
    org_name: str
    role: str
    invited_by: str
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OwnRequestRow:
    """A requested organization."""

    id: UUID
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A requested organization and the person who requested it."""

    id: UUID
    name: str
    user_id: UUID
    email: str
    user_name: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UserRow:
    id: UUID
    email: str
    name: str | None


@dataclass(frozen=True, slots=True)
class ApiKeyRow:
    id: UUID
    prefix: str
    name: str
    role: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


async def organization(tx: Tx, id: UUID, *, lock: bool = False) -> OrganizationRow:
    """Return an organization.  Raises NotFound."""
    row = await tx.fetchrow(LOCK_ORGANIZATION if lock else ORGANIZATION, id)
    if row is None:
        raise NotFound("There is no such organization.")
    return OrganizationRow(**row)


async def page_organizations(tx: Tx, before: UUID | None, limit: int) -> list[OrganizationSummaryRow]:
    """Return the deployment's organizations, newest first, below `before`.  Runs as the system."""
    return [OrganizationSummaryRow(**row) for row in await tx.fetch(ORGANIZATIONS, before, limit)]


async def create_organization(tx: Tx, id: UUID, name: str) -> None:
    await tx.execute(CREATE_ORGANIZATION, id, name)


async def organization_named(tx: Tx, name: str) -> UUID | None:
    """Return the oldest organization of this name, or None.  Runs as the system."""
    org: UUID | None = await tx.fetchval(ORGANIZATION_NAMED, name)
    return org


async def update_organization(tx: Tx, row: OrganizationRow) -> None:
    values: list[Any] = [
        row.name,
        row.time_zone,
        row.business_hours_json,
        row.business_identity_json,
        row.quiet_hours_enabled,
        row.recipient_hours_enabled,
        row.voice_quiet_hours_enabled,
        row.keyword_replies,
        row.retention_days,
        row.keyword_texts_json,
        row.notify_transcripts,
    ]
    await tx.execute(UPDATE_ORGANIZATION, row.id, *values)


async def upsert_user(tx: Tx, id: UUID, email: str) -> UUID:
    """Return the id of the person with this e-mail address; create the person with `id` if there is none."""
    user: UUID = await tx.fetchval(UPSERT_USER, id, email)
    return user


async def add_member(tx: Tx, org: UUID, user: UUID, role: str) -> None:
    """Add a member.  Raises AlreadyExists."""
    try:
        await tx.execute(ADD_MEMBER, org, user, role)
    except asyncpg.UniqueViolationError as error:
        raise AlreadyExists("This person is already a member.") from error


async def my_organizations(tx: Tx) -> list[MembershipRow]:
    """Return the organizations of which this transaction's person is a member, by name."""
    return [MembershipRow(**row) for row in await tx.fetch(MY_ORGANIZATIONS)]


async def switch(tx: Tx, session: UUID, org: UUID) -> None:
    """Switch the session, and this transaction, to another of the person's organizations.  Raises NotFound."""
    if not await tx.fetchval(SWITCH, session, org):
        raise NotFound("You are not a member of this organization.")


async def create_own_organization(
    tx: Tx, org: UUID, name: str, first_admin: UUID, plan: str, notes: str | None
) -> None:
    """Create an organization as this transaction's person, and switch the transaction to it."""
    await tx.execute(FOUND_ORGANIZATION, org, name, first_admin, plan, notes)


async def count_created(tx: Tx) -> int:
    """Return how many organizations the person has created or requested; locked until the transaction ends."""
    count: int = await tx.fetchval(COUNT_FOUNDED)
    return count


async def request_organization(tx: Tx, id: UUID, name: str) -> datetime:
    """Request an organization with this id as this transaction's person; return the time."""
    at: datetime = await tx.fetchval(REQUEST_ORGANIZATION, id, name)
    return at


async def my_requests(tx: Tx) -> list[OwnRequestRow]:
    return [OwnRequestRow(**row) for row in await tx.fetch(MY_REQUESTS)]


async def page_requests(tx: Tx, after: UUID | None, limit: int) -> list[RequestRow]:
    """Return the requested organizations, oldest first, after `after`.  Only for a site admin."""
    return [RequestRow(**row) for row in await tx.fetch(REQUESTS, after, limit)]


async def decide(tx: Tx, id: UUID, *, approved: bool) -> str:
    """Create a requested organization and switch the transaction to it, or drop the request.  Only for a site admin.

    Returns the name.  Raises NotFound.
    """
    name: str | None = await tx.fetchval(DECIDE, id, approved)
    if name is None:
        raise NotFound("There is no such request for an organization.")
    return name


async def my_invitations(tx: Tx) -> list[InvitationRow]:
    """Return the invitations to the session's verified address, newest first."""
    return [InvitationRow(**row) for row in await tx.fetch(MY_INVITATIONS)]


async def accept(tx: Tx, session: UUID, invitation: UUID) -> UUID:
    """Join the inviting organization, and switch session and transaction to it.  Raises NotFound."""
    return _invited(await tx.fetchval(ACCEPT, session, invitation))


async def decline(tx: Tx, invitation: UUID) -> UUID:
    """Delete an invitation to the person, and switch the transaction to its organization.  Raises NotFound."""
    return _invited(await tx.fetchval(DECLINE, invitation))


def _invited(org: UUID | None) -> UUID:
    if org is None:
        raise NotFound("There is no such invitation to your address.")
    return org


async def person_for_site_admin(tx: Tx, email: str) -> UUID:
    """Return the person with this address.  Raises NotFound for one who never signed in.  Only for a site admin."""
    person: UUID | None = await tx.fetchval(PERSON_FOR_SITE_ADMIN, email)
    if person is None:
        raise NotFound(f"Nobody with the address {email} has signed in yet.")
    return person


async def user(tx: Tx, id: UUID) -> UserRow | None:
    row = await tx.fetchrow(USER, id)
    return UserRow(**row) if row else None


async def create_key(
    tx: Tx,
    *,
    id: UUID,
    org: UUID,
    hash: bytes,
    prefix: str,
    name: str,
    role: str,
    scopes: list[str],
    made_by: UUID | None,
    made_by_key: UUID | None = None,
    expires_at: datetime | None,
) -> datetime:
    """Store a key; return when it was created.  Raises NotFound for an unknown organization."""
    try:
        made_at: datetime = await tx.fetchval(
            CREATE_KEY, id, org, hash, prefix, name, role, scopes, made_by, made_by_key, expires_at
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound("There is no such organization.") from error
    return made_at


async def page_keys(tx: Tx, before: UUID | None, limit: int) -> list[ApiKeyRow]:
    """Return API keys newest first, below `before`."""
    return [ApiKeyRow(**row) for row in await tx.fetch(KEYS, before, limit)]


async def revoke_key(tx: Tx, id: UUID) -> None:
    """Revoke an API key.  Raises NotFound."""
    if await tx.execute(REVOKE_KEY, id) == "UPDATE 0":
        raise NotFound("There is no such API key.")
    await revocations.publish(tx, id)


async def lock_keys(tx: Tx) -> None:
    """Serialize the transactions that change several of the organization's keys.

    Each locks a key's row and then those of others; two that lock the same rows in different orders would deadlock.
    """
    await tx.execute(LOCK_KEYS)


async def valid_key(tx: Tx, id: UUID) -> tuple[bool, datetime | None]:
    """Return whether a key is not revoked, and when it expires; a valid one is not revoked before this transaction ends."""
    row = await tx.fetchrow(VALID_KEY, id)
    return (False, None) if row is None else (True, row["expires_at"])


async def count_valid_keys(tx: Tx) -> int:
    count: int = await tx.fetchval(COUNT_VALID_KEYS)
    return count


async def revoke_keys_made_by(tx: Tx, maker: UUID, besides: UUID | None) -> list[UUID]:
    """Revoke the keys that a revoked one made, and those that they made, except `besides` and its own; return those that were valid.

    Keys that are being made meanwhile are found by the next call: it has to be repeated until it finds none.
    """
    revoked = [row["id"] for row in await tx.fetch(REVOKE_KEYS_MADE_BY, maker, besides)]
    for id in revoked:
        await revocations.publish(tx, id)
    return revoked


async def delete_invites_made_by(tx: Tx, maker: UUID, besides: UUID | None) -> list[UUID]:
    """Delete the invitations of a revoked key and of those that `revoke_keys_made_by` revokes; return their IDs."""
    return [row["id"] for row in await tx.fetch(DELETE_INVITES_MADE_BY, maker, besides)]


async def descends(tx: Tx, id: UUID, maker: UUID) -> bool:
    """Return whether a key is `maker`, or was made by it, or by a key that was."""
    does: bool = await tx.fetchval(DESCENDS, id, maker)
    return does


async def keep_keys_made_by(tx: Tx, maker: UUID) -> None:
    """Let the keys that a key made be those of the key that made it; of nobody's, if a person or an operator did."""
    await tx.execute(KEEP_KEYS_MADE_BY, maker)


async def set_site_admin(tx: Tx, user: UUID, *, site_admin: bool) -> None:
    """Set whether this person administers the whole deployment.  Runs as the system."""
    await tx.execute(SET_SITE_ADMIN, user, site_admin)
    await revocations.publish(tx, user)
