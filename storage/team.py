"""Members of an organization, and invitations to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hum.contract.errors import NotFound
from storage import revocations
from storage.db import Tx

MEMBERS = """
    SELECT m.user_id, u.email, u.name, m.role, m.created_at AS joined_at, m.limited_numbers, m.limited_flows
      FROM memberships m JOIN users u ON u.id = m.user_id
     WHERE m.org_id = hum.org_id()
       AND ($1::timestamptz IS NULL OR (m.created_at, m.user_id) > ($1, $2::uuid))
     ORDER BY m.created_at, m.user_id
     LIMIT $3
"""
MEMBER = """
    SELECT m.user_id, u.email, u.name, m.role, m.created_at AS joined_at, m.limited_numbers, m.limited_flows
      FROM memberships m JOIN users u ON u.id = m.user_id
     WHERE m.org_id = hum.org_id() AND m.user_id = $1
"""
# Of two admins who demote each other at once, the second waits here, and then sees the first one's change.
LOCK_ADMINS = """
    SELECT user_id FROM memberships
     WHERE org_id = hum.org_id() AND role = 'admin'
     ORDER BY user_id
       FOR NO KEY UPDATE
"""
# Waits for a transaction that demotes or removes this admin, and then returns no row; later ones wait for this transaction.
IS_STILL_ADMIN = """
    SELECT true FROM memberships
     WHERE org_id = hum.org_id() AND user_id = $1 AND role = 'admin'
       FOR SHARE
"""
SET_ROLE = "UPDATE memberships SET role = $2 WHERE org_id = hum.org_id() AND user_id = $1"
SET_LIMITS = """
    UPDATE memberships SET limited_numbers = $2, limited_flows = $3 WHERE org_id = hum.org_id() AND user_id = $1
"""
LIMITED = """
    SELECT true FROM memberships
     WHERE org_id = hum.org_id() AND user_id = $1 AND cardinality(limited_numbers) + cardinality(limited_flows) > 0
"""
UNKNOWN_NUMBERS = "SELECT id FROM unnest($1::uuid[]) AS id WHERE id NOT IN (SELECT n.id FROM numbers n)"
UNKNOWN_FLOWS = """
    SELECT id FROM unnest($1::uuid[]) AS id WHERE id NOT IN (SELECT f.id FROM flows f WHERE f.deleted_at IS NULL)
"""
REMOVE = "DELETE FROM memberships WHERE org_id = hum.org_id() AND user_id = $1"
REVOKE_KEYS_OF = "UPDATE api_keys SET revoked_at = now() WHERE made_by = $1 AND revoked_at IS NULL"
# A retained key needs a creator who is a member.  It loses the scope that only a site admin can grant, and gets the lesser of both
# roles: the new creator's may be above the former one's, who still has the secret.
INHERIT_KEYS_OF = """
    UPDATE api_keys
       SET made_by = $2, scopes = array_remove(scopes, 'site:admin'),
           role = CASE WHEN 'viewer' IN (role, $3) THEN 'viewer' WHEN 'operator' IN (role, $3) THEN 'operator' ELSE 'admin' END
     WHERE made_by = $1 AND revoked_at IS NULL
"""
DELETE_INVITES_OF = "DELETE FROM invites WHERE made_by = $1"
HAS_ADDRESS = """
    SELECT EXISTS (SELECT FROM memberships m JOIN users u ON u.id = m.user_id
                    WHERE m.org_id = hum.org_id() AND lower(u.email COLLATE "C") = lower($1::text COLLATE "C"))
"""
INVITES = """
    SELECT id, email, role, invited_by, created_at, expires_at, limited_numbers, limited_flows
      FROM invites
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AND expires_at > now()
     ORDER BY id DESC
     LIMIT $2
"""
INVITE = """
    INSERT INTO invites (id, org_id, email, role, invited_by, made_by, made_by_key, expires_at, limited_numbers, limited_flows)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, now() + $7::interval, $8, $9)
    ON CONFLICT (org_id, lower(email COLLATE "C")) DO UPDATE
       SET id = excluded.id, role = excluded.role, invited_by = excluded.invited_by, made_by = excluded.made_by,
           made_by_key = excluded.made_by_key, created_at = now(), expires_at = excluded.expires_at,
           limited_numbers = excluded.limited_numbers, limited_flows = excluded.limited_flows
    RETURNING id, email, role, invited_by, created_at, expires_at, limited_numbers, limited_flows
"""
COUNT_OTHER_INVITES = """
    SELECT count(*) FROM invites WHERE expires_at > now() AND lower(email COLLATE "C") <> lower($1::text COLLATE "C")
"""
DELETE_INVITE = "DELETE FROM invites WHERE id = $1"


@dataclass(frozen=True, slots=True)
class MemberRow:
    user_id: UUID
    email: str
    name: str | None
    role: str
    joined_at: datetime
    #: Both empty: the member sees everything.
    limited_numbers: Sequence[UUID]
    limited_flows: Sequence[UUID]

    @property
    def is_limited(self) -> bool:
        return bool(self.limited_numbers or self.limited_flows)


@dataclass(frozen=True, slots=True)
class InviteRow:
    id: UUID
    email: str
    role: str
    invited_by: str
    created_at: datetime
    expires_at: datetime
    #: What the member will see; both empty: everything.
    limited_numbers: Sequence[UUID]
    limited_flows: Sequence[UUID]


async def page_members(tx: Tx, after: tuple[datetime, UUID] | None, limit: int) -> list[MemberRow]:
    """Return members in the order in which they joined, after `after`."""
    joined_at, user = after or (None, None)
    return [MemberRow(**row) for row in await tx.fetch(MEMBERS, joined_at, user, limit)]


async def member(tx: Tx, user: UUID) -> MemberRow:
    """Return a member.  Raises NotFound."""
    row = await tx.fetchrow(MEMBER, user)
    if row is None:
        raise NotFound("There is no such member.")
    return MemberRow(**row)


async def lock_admins(tx: Tx) -> Sequence[UUID]:
    """Lock and return the admins: none is removed or demoted before this transaction ends."""
    return [row["user_id"] for row in await tx.fetch(LOCK_ADMINS)]


async def is_still_admin(tx: Tx, user: UUID) -> bool:
    """Return whether the person is an admin; if so, they remain one until this transaction ends."""
    return await tx.fetchval(IS_STILL_ADMIN, user) is not None


async def set_role(tx: Tx, user: UUID, role: str) -> None:
    await tx.execute(SET_ROLE, user, role)
    await revocations.publish(tx, user)


async def set_limits(tx: Tx, user: UUID, numbers: Sequence[UUID], flows: Sequence[UUID]) -> None:
    """Limit a member, who is no admin, to these numbers and agents; without any, the member sees everything."""
    await tx.execute(SET_LIMITS, user, numbers, flows)
    await revocations.publish(tx, user)


async def is_limited(tx: Tx, user: UUID) -> bool:
    """Return whether a member sees some numbers and agents only."""
    return await tx.fetchval(LIMITED, user) is not None


async def unknown_numbers(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these ids that are no numbers of the organization."""
    return {row["id"] for row in await tx.fetch(UNKNOWN_NUMBERS, ids)}


async def unknown_flows(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these ids that are no agents of the organization."""
    return {row["id"] for row in await tx.fetch(UNKNOWN_FLOWS, ids)}


async def remove(tx: Tx, user: UUID) -> None:
    """End the membership; the person's sessions and keys lose access to the organization."""
    await tx.execute(REMOVE, user)
    await revocations.publish(tx, user)


async def revoke_keys_of(tx: Tx, user: UUID) -> None:
    await tx.execute(REVOKE_KEYS_OF, user)


async def inherit_keys_of(tx: Tx, user: UUID, heir: UUID | None, highest_role: str) -> None:
    """Make `heir` the creator of a member's keys, with at most the role `highest_role`; None: the keys have no creator."""
    await tx.execute(INHERIT_KEYS_OF, user, heir, highest_role)


async def delete_invites_of(tx: Tx, user: UUID) -> None:
    """Delete the invitations that a member sent."""
    await tx.execute(DELETE_INVITES_OF, user)


async def count_other_invites(tx: Tx, email: str) -> int:
    """Return how many open invitations there are to other addresses."""
    count: int = await tx.fetchval(COUNT_OTHER_INVITES, email)
    return count


async def has_address(tx: Tx, email: str) -> bool:
    """Return whether a member has this address."""
    exists: bool = await tx.fetchval(HAS_ADDRESS, email)
    return exists


async def page_invites(tx: Tx, before: UUID | None, limit: int) -> list[InviteRow]:
    """Return open invitations, newest first, below `before`."""
    return [InviteRow(**row) for row in await tx.fetch(INVITES, before, limit)]


async def invite(
    tx: Tx,
    id: UUID,
    email: str,
    role: str,
    invited_by: str,
    made_by: UUID | None,
    made_by_key: UUID | None,
    lasts: timedelta,
    numbers: Sequence[UUID],
    flows: Sequence[UUID],
) -> InviteRow:
    """Invite an address; replace an earlier invitation of it."""
    row = await tx.fetchrow(INVITE, id, email, role, invited_by, made_by, made_by_key, lasts, numbers, flows)
    assert row is not None
    return InviteRow(**row)


async def delete_invite(tx: Tx, id: UUID) -> None:
    """Delete an invitation.  Raises NotFound."""
    if await tx.execute(DELETE_INVITE, id) == "DELETE 0":
        raise NotFound("There is no such invitation.")
