"""Members and invitations."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from hum import ids
from hum.errors import AlreadyExists, InvalidState
from hum.principal import Principal
from hum.v1 import events_pb2
from storage import events, team
from storage.db import Tx
from storage.team import InviteRow, MemberRow


async def change_role(tx: Tx, who: Principal, user: UUID, role: str) -> MemberRow:
    """Raises NotFound, and InvalidState for the last admin."""
    admins = await team.lock_admins(tx)
    before = await team.member(tx, user)
    if before.role == role:
        return before
    _leave_an_admin(admins, user)
    await team.set_role(tx, user, role)
    await events.append(tx, who.org_id, user, events_pb2.MemberRoleChangedEvent(by=who.name, role=role))
    return await team.member(tx, user)


async def remove(tx: Tx, who: Principal, user: UUID, *, keep_keys: bool) -> None:
    """Raises NotFound, and InvalidState for the last admin."""
    admins = await team.lock_admins(tx)
    await team.member(tx, user)
    _leave_an_admin(admins, user)
    await team.remove(tx, user, keep_keys=keep_keys)
    await events.append(tx, who.org_id, user, events_pb2.MemberRemovedEvent(by=who.name))


def _leave_an_admin(admins: Sequence[UUID], user: UUID) -> None:
    if list(admins) == [user]:
        raise InvalidState("The organization needs an admin; make somebody else an admin first.")


async def invite(tx: Tx, who: Principal, email: str, role: str, lasts: timedelta) -> InviteRow:
    """Raises AlreadyExists for a member's address."""
    if await team.has_address(tx, email):
        raise AlreadyExists("A member already has this address.")
    row = await team.invite(tx, ids.new(), email, role, who.name, lasts)
    await events.append(tx, who.org_id, row.id, events_pb2.MemberInvitedEvent(by=who.name, role=role))
    return row
