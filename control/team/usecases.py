"""Members and invitations."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from control.billing import limits
from hum import ids, validation
from hum.errors import AlreadyExists, FieldError, Forbidden, InvalidRequest, InvalidState
from hum.principal import Principal
from hum.v1 import events_pb2
from storage import events, identity, team
from storage.db import Tx
from storage.team import InviteRow, MemberRow

ADMIN, VIEWER = "admin", "viewer"


async def change_role(tx: Tx, who: Principal, user: UUID, role: str) -> MemberRow:
    """Also limits the member's keys, and deletes the invitations of a former admin.  Raises NotFound, and InvalidState for
    the last admin.
    """
    admins = await team.lock_admins(tx)
    before = await team.member(tx, user)
    if before.role == role:
        return before
    _leave_an_admin(admins, user)
    await team.set_role(tx, user, role)
    if role != ADMIN:
        await team.delete_invites_of(tx, user)
    await events.append(tx, who.org_id, user, events_pb2.MemberRoleChangedEvent(by=who.name, role=role))
    return await team.member(tx, user)


async def remove(tx: Tx, who: Principal, user: UUID, *, keep_keys: bool) -> None:
    """Remove a member.  Keys that are kept become the remover's, and have at most the role that the member had; a viewer's if an
    operator's key removes the member, since nobody answers for them then.  Raises NotFound, and InvalidState for the last admin.
    """
    admins = await team.lock_admins(tx)
    role = (await team.member(tx, user)).role
    _leave_an_admin(admins, user)
    await team.remove(tx, user)
    await team.delete_invites_of(tx, user)
    if keep_keys and who.user_id != user:
        await team.inherit_keys_of(tx, user, who.user_id, role if who.user_id is not None else VIEWER)
    else:
        await team.revoke_keys_of(tx, user)
    await events.append(tx, who.org_id, user, events_pb2.MemberRemovedEvent(by=who.name))


def _leave_an_admin(admins: Sequence[UUID], user: UUID) -> None:
    if list(admins) == [user]:
        raise InvalidState("The organization needs an admin; make somebody else an admin first.")


async def invite(tx: Tx, who: Principal, email: str, role: str, lasts: timedelta) -> InviteRow:
    """Raises AlreadyExists for a member's address, InvalidRequest for an address that is not ASCII, Forbidden for an admin
    who has been demoted or removed since this request was admitted: whoever did that has deleted the invitations.  And
    BillingRequired.
    """
    if (complaint := validation.bad_account_email(email)) is not None:
        raise InvalidRequest([FieldError("invite.email", complaint)])
    if await team.has_address(tx, email):
        raise AlreadyExists("A member already has this address.")
    if who.user_id is not None and not await team.is_still_admin(tx, who.user_id):
        raise Forbidden("Only an admin can invite people, and you no longer are one.")
    await limits.require(tx, who.org_id, "seats", besides=email)
    row = await team.invite(tx, ids.new(), email, role, await _inviter(tx, who), who.user_id, lasts)
    await events.append(tx, who.org_id, row.id, events_pb2.MemberInvitedEvent(by=who.name, role=role))
    return row


async def _inviter(tx: Tx, who: Principal) -> str:
    """Return the inviter as the invited person reads it.  A key's name is left out: it could be anybody's."""
    if who.key_id is None:
        return who.name
    maker = await identity.user(tx, who.user_id) if who.user_id is not None else None
    return f"API key of {maker.email}" if maker is not None else "API key"
