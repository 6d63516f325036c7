"""TeamService (proto/hum/v1/team.proto)."""

from datetime import timedelta
from uuid import UUID

from control.base import paging
from control.base.wire import timestamp, value, word
from control.boundary import TransactionContext
from control.team import usecases
from hum import ids
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import options_pb2
from hum.v1 import team_pb2 as pb
from storage import team
from storage.team import InviteRow, MemberRow


class TeamServicer:
    def __init__(self, cursors: paging.Cursors, invite_lasts: timedelta) -> None:
        self._cursors, self._invite_lasts = cursors, invite_lasts

    async def ListMembers(self, request: pb.ListMembersRequest, ctx: TransactionContext) -> pb.ListMembersResponse:
        place, count = self._cursors.read(request), paging.rows_to_fetch(request)
        page = await team.page_members(ctx.tx, (place[0], place[1]) if place else None, count)
        rows, more = self._cursors.cut(request, page, lambda row: (row.joined_at, row.user_id))
        return pb.ListMembersResponse(members=[present(row, ctx.principal) for row in rows], next_cursor=more)

    async def UpdateMember(self, request: pb.UpdateMemberRequest, ctx: TransactionContext) -> pb.UpdateMemberResponse:
        user, role = ids.require(Kind.USER, request.user_id), word(options_pb2.Role, request.member.role)
        limits, row = _changed_limits(request), await team.member(ctx.tx, user)
        # An admin is never limited: what ends a limit goes before the role, and what sets one after it.
        if limits is not None and not any(limits):
            row = await usecases.limit(ctx.tx, ctx.principal, user, *limits)
        if role is not None:
            row = await usecases.change_role(ctx.tx, ctx.principal, user, role)
        if limits is not None and any(limits):
            row = await usecases.limit(ctx.tx, ctx.principal, user, *limits)
        return pb.UpdateMemberResponse(member=present(row, ctx.principal))

    async def RemoveMember(self, request: pb.RemoveMemberRequest, ctx: TransactionContext) -> pb.RemoveMemberResponse:
        user = ids.require(Kind.USER, request.user_id)
        await usecases.remove(ctx.tx, ctx.principal, user, keep_keys=request.keep_api_keys)
        return pb.RemoveMemberResponse()

    async def LeaveOrganization(
        self, _: pb.LeaveOrganizationRequest, ctx: TransactionContext
    ) -> pb.LeaveOrganizationResponse:
        await usecases.leave(ctx.tx, ctx.principal)
        return pb.LeaveOrganizationResponse()

    async def ListInvites(self, request: pb.ListInvitesRequest, ctx: TransactionContext) -> pb.ListInvitesResponse:
        page = await team.page_invites(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,))
        return pb.ListInvitesResponse(invites=[present_invite(row) for row in rows], next_cursor=more)

    async def CreateInvite(self, request: pb.CreateInviteRequest, ctx: TransactionContext) -> pb.CreateInviteResponse:
        invite = request.invite
        role = word(options_pb2.Role, invite.role) or ""
        numbers, flows = _limits(invite.limited_to)
        row = await usecases.invite(
            ctx.tx, ctx.principal, invite.email, role, self._invite_lasts, numbers=numbers, flows=flows
        )
        return pb.CreateInviteResponse(invite=present_invite(row))

    async def DeleteInvite(self, request: pb.DeleteInviteRequest, ctx: TransactionContext) -> pb.DeleteInviteResponse:
        await team.delete_invite(ctx.tx, ids.require(Kind.INVITE, request.id))
        return pb.DeleteInviteResponse()


def _changed_limits(request: pb.UpdateMemberRequest) -> tuple[list[UUID], list[UUID]] | None:
    """Return the numbers and agents that a request limits a member to; None if it leaves that as it is."""
    if not request.member.HasField("limited_to") and "limited_to" not in request.update_mask.paths:
        return None
    return _limits(request.member.limited_to)


def _limits(limited_to: pb.LimitedTo) -> tuple[list[UUID], list[UUID]]:
    numbers = [ids.require(Kind.NUMBER, id) for id in dict.fromkeys(limited_to.number_ids)]
    return numbers, [ids.require(Kind.FLOW, id) for id in dict.fromkeys(limited_to.flow_ids)]


def present(row: MemberRow, reader: Principal) -> pb.Member:
    """Return a member as the reader sees them: only admins see what others are limited to."""
    return pb.Member(
        limited_to=_limited_to(row) if reader.role == usecases.ADMIN or reader.user_id == row.user_id else None,
        user_id=ids.show(Kind.USER, row.user_id),
        email=row.email,
        name=row.name,
        role=value(options_pb2.Role, row.role),
        joined_at=timestamp(row.joined_at),
    )


def _limited_to(row: MemberRow | InviteRow) -> pb.LimitedTo:
    return pb.LimitedTo(
        number_ids=[ids.show(Kind.NUMBER, id) for id in row.limited_numbers],
        flow_ids=[ids.show(Kind.FLOW, id) for id in row.limited_flows],
    )


def present_invite(row: InviteRow) -> pb.Invite:
    return pb.Invite(
        id=ids.show(Kind.INVITE, row.id),
        email=row.email,
        role=value(options_pb2.Role, row.role),
        invited_by=row.invited_by,
        created_at=timestamp(row.created_at),
        expires_at=timestamp(row.expires_at),
        limited_to=_limited_to(row),
    )
