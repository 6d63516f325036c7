"""TeamService (proto/hum/v1/team.proto)."""

from datetime import timedelta

from control.base import paging
from control.base.wire import timestamp, value, word
from control.boundary import TransactionContext
from control.team import usecases
from hum import ids
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
        return pb.ListMembersResponse(members=[present(row) for row in rows], next_cursor=more)

    async def UpdateMember(self, request: pb.UpdateMemberRequest, ctx: TransactionContext) -> pb.UpdateMemberResponse:
        user, role = ids.require(Kind.USER, request.user_id), word(options_pb2.Role, request.member.role)
        row = (
            await usecases.change_role(ctx.tx, ctx.principal, user, role)
            if role is not None
            else await team.member(ctx.tx, user)
        )
        return pb.UpdateMemberResponse(member=present(row))

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
        row = await usecases.invite(ctx.tx, ctx.principal, invite.email, role, self._invite_lasts)
        return pb.CreateInviteResponse(invite=present_invite(row))

    async def DeleteInvite(self, request: pb.DeleteInviteRequest, ctx: TransactionContext) -> pb.DeleteInviteResponse:
        await team.delete_invite(ctx.tx, ids.require(Kind.INVITE, request.id))
        return pb.DeleteInviteResponse()


def present(row: MemberRow) -> pb.Member:
    return pb.Member(
        user_id=ids.show(Kind.USER, row.user_id),
        email=row.email,
        name=row.name,
        role=value(options_pb2.Role, row.role),
        joined_at=timestamp(row.joined_at),
    )


def present_invite(row: InviteRow) -> pb.Invite:
    return pb.Invite(
        id=ids.show(Kind.INVITE, row.id),
        email=row.email,
        role=value(options_pb2.Role, row.role),
        invited_by=row.invited_by,
        created_at=timestamp(row.created_at),
        expires_at=timestamp(row.expires_at),
    )
