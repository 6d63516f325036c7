"""Members and invitations."""

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from control.billing import limits
from control.identity.usecases import require_valid_key
from hum import ids
from hum.contract import validation
from hum.contract.errors import AlreadyExists, FieldError, Forbidden, InvalidRequest, InvalidState
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import events, identity, team
from storage.db import Tx
from storage.team import InviteRow, MemberRow

ADMIN, VIEWER = "admin", "viewer"
#: Open invitations of an organization.  Deleting a key deletes its own, in one transaction.
MOST_INVITES = 500


async def change_role(tx: Tx, principal: Principal, user: UUID, role: str) -> MemberRow:
    """Change a member's role, which bounds their keys' roles too.  Invitations by a former admin are deleted.

    Raises NotFound, InvalidState for the last admin, and Forbidden as `invite` does.
    """
    admins = await _lock_admins(tx, principal)
    before = await team.member(tx, user)
    if before.role == role:
        return before
    if role == ADMIN and before.is_limited:
        raise InvalidState("An admin sees everything: let the member see all numbers and agents first (limited_to).")
    _require_another_admin(admins, user)
    await team.set_role(tx, user, role)
    if role != ADMIN:
        await team.delete_invites_of(tx, user)
    await events.append(tx, principal.org_id, user, events_pb2.MemberRoleChangedEvent(by=principal.name, role=role))
    return await team.member(tx, user)


async def limit(tx: Tx, principal: Principal, user: UUID, numbers: Sequence[UUID], flows: Sequence[UUID]) -> MemberRow:
    """Limit what a member sees to numbers and agents; without any, the member sees everything.

    The member's open streams end.  Raises NotFound, InvalidRequest for numbers and agents that the organization doesn't have, InvalidState
    for an admin, and Forbidden as `invite` does.
    """
    await _lock_admins(tx, principal)
    before = await team.member(tx, user)
    # What was deleted meanwhile may stay.
    await _require_known(tx, "member", numbers, flows, {*before.limited_numbers, *before.limited_flows})
    if before.role == ADMIN and (numbers or flows):
        raise InvalidState("An admin sees everything: give the member another role first.")
    await team.set_limits(tx, user, numbers, flows)
    return await team.member(tx, user)


async def _require_known(
    tx: Tx, whose: str, numbers: Sequence[UUID], flows: Sequence[UUID], kept: Collection[UUID] = ()
) -> None:
    """Raise InvalidRequest for numbers and agents that the organization doesn't have, besides those of `kept`."""
    unknown = {"number_ids": await team.unknown_numbers(tx, numbers), "flow_ids": await team.unknown_flows(tx, flows)}
    errors = [
        FieldError(f"{whose}.limited_to.{field}", f"the organization has no {noun} {ids.show(kind, id)}")
        for field, noun, kind in (("number_ids", "number", Kind.NUMBER), ("flow_ids", "agent", Kind.FLOW))
        for id in sorted(unknown[field].difference(kept))
    ]
    if errors:
        raise InvalidRequest(errors)


async def remove(tx: Tx, principal: Principal, user: UUID, *, keep_keys: bool) -> None:
    """Remove a member, and revoke their keys, or with `keep_keys` give them to the remover.

    Kept keys have at most the member's role.  If an operator's key removes the member, they get the viewer's, since no person
    answers for them.  Raises NotFound, InvalidState for the last admin, and Forbidden as `invite` does.
    """
    await _remove(tx, principal, user, await _lock_admins(tx, principal), keep_keys=keep_keys)


async def leave(tx: Tx, principal: Principal) -> None:
    """Remove the person who asks, whatever their role, and revoke their keys.

    Raises InvalidState for the last admin, and NotFound if the person was removed while this request waited.
    """
    assert principal.user_id is not None, "only a person's session may leave"
    await _remove(tx, principal, principal.user_id, await team.lock_admins(tx), keep_keys=False)


async def _remove(tx: Tx, principal: Principal, user: UUID, admins: Sequence[UUID], *, keep_keys: bool) -> None:
    # Before the invitations are locked: a key's revocation locks keys first.
    await identity.lock_keys(tx)
    member = await team.member(tx, user)
    role = member.role
    _require_another_admin(admins, user)
    if keep_keys and member.is_limited:
        raise InvalidState(
            "The API keys of a member who sees some numbers or agents only can't be kept: they would see everything."
        )
    await team.remove(tx, user)
    await team.delete_invites_of(tx, user)
    if keep_keys and principal.user_id != user:
        await team.inherit_keys_of(tx, user, principal.user_id, role if principal.user_id is not None else VIEWER)
    else:
        await team.revoke_keys_of(tx, user)
    await events.append(tx, principal.org_id, user, events_pb2.MemberRemovedEvent(by=principal.name))


async def _lock_admins(tx: Tx, principal: Principal) -> Sequence[UUID]:
    """Lock and return the admins.  Raises Forbidden if the person was demoted or removed while this request waited."""
    admins = await team.lock_admins(tx)
    if principal.user_id is not None and principal.user_id not in admins:
        raise Forbidden("Only an admin can change members, and you no longer are one.")
    return admins


def _require_another_admin(admins: Sequence[UUID], user: UUID) -> None:
    if list(admins) == [user]:
        raise InvalidState("The organization needs an admin; make somebody else an admin first.")


async def invite(
    tx: Tx,
    principal: Principal,
    email: str,
    role: str,
    lasts: timedelta,
    *,
    numbers: Sequence[UUID] = (),
    flows: Sequence[UUID] = (),
) -> InviteRow:
    """Invite a person by e-mail address; who joins is limited to the numbers and agents, if there are any.

    Raises AlreadyExists for a member's address, InvalidRequest for an invalid address or as `limit` does, BillingRequired, InvalidState
    for an admin with limits and at the limit of invitations, and Forbidden for an admin demoted or removed since this request was admitted, or a key revoked since: that has deleted
    their invitations.
    """
    if (complaint := validation.bad_account_email(email)) is not None:
        raise InvalidRequest([FieldError("invite.email", complaint)])
    if await team.has_address(tx, email):
        raise AlreadyExists("A member already has this address.")
    if principal.user_id is not None and not await team.is_still_admin(tx, principal.user_id):
        raise Forbidden("Only an admin can invite people, and you no longer are one.")
    await require_valid_key(tx, principal)
    await _require_known(tx, "invite", numbers, flows)
    if role == ADMIN and (numbers or flows):
        raise InvalidState("An admin sees everything: invite the person with another role.")
    await limits.require(tx, principal.org_id, "seats", besides=email)
    if await team.count_other_invites(tx, email) >= MOST_INVITES:
        raise InvalidState(
            f"An organization has at most {MOST_INVITES} open invitations: delete those that are not needed."
        )
    inviter = await _inviter(tx, principal)
    row = await team.invite(
        tx, ids.new(), email, role, inviter, principal.user_id, principal.key_id, lasts, numbers, flows
    )
    await events.append(tx, principal.org_id, row.id, events_pb2.MemberInvitedEvent(by=principal.name, role=role))
    return row


async def _inviter(tx: Tx, principal: Principal) -> str:
    """Return the inviter's name as shown to the invited person.  A key's name is left out: it may impersonate a person."""
    if principal.key_id is None:
        return principal.name
    maker = await identity.user(tx, principal.user_id) if principal.user_id is not None else None
    return f"API key of {maker.email}" if maker is not None else "API key"
