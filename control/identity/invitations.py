"""Invitations, as those who were invited accept or decline them."""

from uuid import UUID

from control.audit.usecases import append_action
from control.billing import limits
from control.boundary import SessionContext
from hum import ids
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import events, identity
from storage.db import Tx


async def accept_invitation(ctx: SessionContext, id: UUID) -> UUID:
    """Join the inviting organization, and switch the session to it.  Raises NotFound, BillingRequired."""
    tx, principal = ctx.tx, ctx.principal
    org = await identity.accept(tx, ctx.session_id, id)
    # An invitation already counts as a seat, but the organization may have moved to a smaller plan since.
    await limits.require(tx, org, "seats", more=0)
    await events.append(tx, org, ctx.user_id, events_pb2.MemberJoinedEvent(email=principal.name))
    await append_action(tx, org, principal, "acceptInvitation", ids.show(Kind.INVITE, id), (), ctx.request_id)
    return org


async def decline_invitation(tx: Tx, principal: Principal, id: UUID, request_id: str) -> None:
    """Delete an invitation to the person.  Raises NotFound."""
    org = await identity.decline(tx, id)
    await events.append(tx, org, id, events_pb2.MemberDeclinedEvent(email=principal.name))
    await append_action(tx, org, principal, "declineInvitation", ids.show(Kind.INVITE, id), (), request_id)
