"""SmsInboxService (proto/hum/v1/sms_inbox.proto)."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from control.base.principal import has_scope
from control.boundary import TenantContext, TransactionContext
from control.campaigns.live import CAMPAIGN
from control.changepoller import ChangePoller
from control.changestreams import ChangeStream, PollIntervals, StreamDependencies
from control.feature import Deps
from control.texts.live import CONVERSATION, MESSAGE
from hum import ids, rpc
from hum.ids import Kind
from hum.v1 import sms_inbox_pb2 as pb
from storage import inbox_changes

#: The scope that a key needs to receive campaigns as well.
CAMPAIGNS = "campaigns:read"
#: Limits of the counts: conversations, and members.
MOST, MEMBERS = 1000, 200


class SmsInboxServicer:
    def __init__(self, deps: Deps, intervals: PollIntervals) -> None:
        self._dependencies = StreamDependencies(
            deps.db, ChangePoller(deps.db, intervals.poll_seconds), intervals, deps.stopping
        )

    async def GetInbox(self, _: pb.GetInboxRequest, ctx: TransactionContext) -> pb.GetInboxResponse:
        counts = await inbox_changes.unread_counts(ctx.tx, MOST, MEMBERS)
        is_person = ctx.principal.session_id is not None and ctx.principal.user_id is not None
        return pb.GetInboxResponse(
            unread=_count(counts.total),
            mine=_count(counts.members.get(ctx.principal.user_id, 0) if is_person and ctx.principal.user_id else 0),
            unassigned=_count(counts.unassigned),
            assignees=[
                pb.AssigneeUnread(assignee_id=ids.show(Kind.USER, member), unread=_count(unread))
                for member, unread in counts.members.items()
            ],
        )

    async def StreamInbox(
        self, request: pb.StreamInboxRequest, ctx: TenantContext
    ) -> AsyncIterator[pb.StreamInboxResponse]:
        await ctx.context.send_initial_metadata(((rpc.STREAM, "open"),))
        may_see = ctx.principal.key_id is None or has_scope(ctx.principal.scopes, CAMPAIGNS)
        kinds = {"message": MESSAGE, "conversation": CONVERSATION}
        kinds |= {"campaign": CAMPAIGN} if may_see else {}
        inbox = ChangeStream(self._dependencies, ctx.organization, pb.StreamInboxResponse, kinds)
        async with aclosing(inbox.events(request.last_event_id)) as events:
            async for event in events:
                yield event


def _count(unread: int) -> pb.UnreadCount:
    return pb.UnreadCount(conversations=min(unread, MOST), more=unread > MOST)
