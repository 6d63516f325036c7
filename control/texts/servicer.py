"""SmsService (proto/hum/v1/sms.proto)."""

from uuid import UUID

from control.base import paging, phone
from control.base.wire import moment, word
from control.boundary import TransactionContext
from control.texts import present, threads, usecases
from control.texts.usecases import TextRequest
from hum import ids
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import sms_pb2 as pb
from storage import conversations, inbox, usage
from storage.inbox import InboxFilter


class SmsServicer:
    """The service of conversations and messages.  `countries`: where texts may go besides the number's own country."""

    def __init__(self, cursors: paging.Cursors, countries: frozenset[str]) -> None:
        self._cursors, self._countries = cursors, countries

    async def ListConversations(
        self, request: pb.ListConversationsRequest, ctx: TransactionContext
    ) -> pb.ListConversationsResponse:
        place, count = self._cursors.read(request), paging.rows_to_fetch(request)
        before = (place[0], place[1]) if place else None
        by = _filter(request, ctx.principal)
        if request.q:
            page = await inbox.search(ctx.tx, request.q, phone.digits(request.q), by, before, count)
        else:
            page = await inbox.page(ctx.tx, by, before, count)
        rows, more = self._cursors.cut(request, page, lambda row: (row.active_at, row.id))
        return pb.ListConversationsResponse(conversations=[present.conversation(row) for row in rows], next_cursor=more)

    async def StartConversation(
        self, request: pb.StartConversationRequest, ctx: TransactionContext
    ) -> pb.StartConversationResponse:
        text_request = _text_request(request.initial_message) if request.HasField("initial_message") else None
        row, created = await usecases.start(
            ctx.tx, ctx.principal, request.twilio_number_id, request.contact_e164, text_request, self._countries
        )
        return pb.StartConversationResponse(conversation=present.conversation(row), created=created)

    async def GetConversation(
        self, request: pb.GetConversationRequest, ctx: TransactionContext
    ) -> pb.GetConversationResponse:
        return pb.GetConversationResponse(conversation=await _present(ctx, request.id))

    async def UpdateConversation(
        self, request: pb.UpdateConversationRequest, ctx: TransactionContext
    ) -> pb.UpdateConversationResponse:
        id = ids.require(Kind.CONVERSATION, request.id)
        row = await usecases.change(ctx.tx, ctx.principal, id, request.conversation, list(request.update_mask.paths))
        return pb.UpdateConversationResponse(conversation=present.conversation(row))

    async def ListMessages(self, request: pb.ListMessagesRequest, ctx: TransactionContext) -> pb.ListMessagesResponse:
        id = ids.require(Kind.CONVERSATION, request.conversation_id)
        page = await inbox.messages_of(ctx.tx, id, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,), lambda row: row.size)
        used = await usage.lines_of(ctx.tx, [row.id for row in rows])
        messages = [present.message(row, used.get(row.id, ())) for row in rows]
        return pb.ListMessagesResponse(messages=messages, next_cursor=more)

    async def SendMessage(self, request: pb.SendMessageRequest, ctx: TransactionContext) -> pb.SendMessageResponse:
        id = ids.require(Kind.CONVERSATION, request.conversation_id)
        return pb.SendMessageResponse(
            message=present.message(await usecases.send(ctx.tx, ctx.principal, id, _text_request(request)))
        )

    async def MarkConversationRead(
        self, request: pb.MarkConversationReadRequest, ctx: TransactionContext
    ) -> pb.MarkConversationReadResponse:
        await inbox.mark_read(ctx.tx, ids.require(Kind.CONVERSATION, request.id))
        return pb.MarkConversationReadResponse(conversation=await _present(ctx, request.id))

    async def CloseConversation(
        self, request: pb.CloseConversationRequest, ctx: TransactionContext
    ) -> pb.CloseConversationResponse:
        thread = await conversations.lock(ctx.tx, ids.require(Kind.CONVERSATION, request.id))
        await threads.close(ctx.tx, thread, threads.by(ctx.principal))
        return pb.CloseConversationResponse(conversation=await _present(ctx, request.id))

    async def ReopenConversation(
        self, request: pb.ReopenConversationRequest, ctx: TransactionContext
    ) -> pb.ReopenConversationResponse:
        thread = await conversations.lock(ctx.tx, ids.require(Kind.CONVERSATION, request.id))
        await threads.reopen(ctx.tx, thread, threads.by(ctx.principal))
        return pb.ReopenConversationResponse(conversation=await _present(ctx, request.id))

    async def ListScheduledMessages(
        self, request: pb.ListScheduledMessagesRequest, ctx: TransactionContext
    ) -> pb.ListScheduledMessagesResponse:
        place, count = self._cursors.read(request), paging.rows_to_fetch(request)
        after = (place[0], place[1]) if place else None
        thread, source = _id(Kind.CONVERSATION, request.conversation_id), word(pb.MessageSource, request.source)
        page = await inbox.scheduled(ctx.tx, thread, source, after, count)
        rows, more = self._cursors.cut(
            request, page, lambda row: (row.due_at or row.created_at, row.id), lambda row: row.size
        )
        return pb.ListScheduledMessagesResponse(messages=[present.message(row) for row in rows], next_cursor=more)

    async def CancelScheduledMessage(
        self, request: pb.CancelScheduledMessageRequest, ctx: TransactionContext
    ) -> pb.CancelScheduledMessageResponse:
        await usecases.cancel(ctx.tx, ids.require(Kind.MESSAGE, request.id))
        return pb.CancelScheduledMessageResponse()


async def _present(ctx: TransactionContext, id: str) -> pb.Conversation:
    return present.conversation(await inbox.get(ctx.tx, ids.require(Kind.CONVERSATION, id)))


def _filter(request: pb.ListConversationsRequest, principal: Principal) -> InboxFilter:
    return InboxFilter(
        status=word(pb.ConversationStatus, request.status),
        assignee_id=_assignee(request.assignee, principal),
        unassigned=request.assignee == "none",
        unread=request.unread if request.HasField("unread") else None,
        snoozed=request.snoozed if request.HasField("snoozed") else None,
        number_id=_id(Kind.NUMBER, request.number_id),
        campaign_only=request.campaign_only if request.HasField("campaign_only") else None,
    )


def _assignee(name: str, principal: Principal) -> UUID | None:
    """Return the assignee to filter by; `me` matches nothing for a key."""
    if name in ("", "none"):
        return None
    if name == "me":
        return principal.user_id if principal.session_id is not None and principal.user_id is not None else UUID(int=0)
    return _id(Kind.USER, name)


def _id(kind: Kind, text: str) -> UUID | None:
    """Parse an id to filter by; an invalid one matches nothing."""
    return (ids.parse(kind, text) or UUID(int=0)) if text else None


def _text_request(new: pb.NewMessage | pb.SendMessageRequest) -> TextRequest:
    return TextRequest(
        body=new.body,
        media_urls=tuple(new.media_urls),
        scheduled_at=moment(new.scheduled_at) if new.HasField("scheduled_at") else None,
        expires_at=moment(new.expires_at) if new.HasField("expires_at") else None,
        honors_hours=new.honor_quiet_hours if new.HasField("honor_quiet_hours") else None,
        uploads=tuple(new.upload_ids),
    )
