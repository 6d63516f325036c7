"""CallsService (proto/hum/v1/calls.proto)."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from uuid import UUID

from google.api import httpbody_pb2

from control.base import paging, phone
from control.base.wire import moment, word
from control.boundary import ActionContext, TenantContext, TransactionContext
from control.calls import present, recordings
from control.calls.browser import BrowserCalls
from control.calls.contextupdates import Callers
from control.calls.listenerstreams import ListenerStreams
from control.calls.listening import Listening
from control.calls.live import LiveCall
from control.calls.peaks import PeaksReader
from control.calls.supervision import CallSupervision
from control.existencechecks import ExistenceChecks
from control.feature import Deps
from control.retention import usecases as erasing
from control.transfers.usecases import TransferRequest, Transfers
from hum import ids, rpc
from hum.contract.errors import FieldError, InvalidRequest, NotFound
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import calls_pb2 as pb
from storage import call_records, calls
from storage import recordings as stored
from storage.call_records import CallFilter, Query
from storage.recordings import RecordingRow

#: Headers of an endless file: the gateway ends it when it drains, and proxies must not cache or buffer it.
ENDLESS = (
    (rpc.STREAM, "open"),
    (f"{rpc.HTTP_PREFIX}cache-control", "no-store"),
    (f"{rpc.HTTP_PREFIX}x-accel-buffering", "no"),
)


class CallsServicer:
    """The servicer of calls."""

    def __init__(self, deps: Deps, settings: CallsSettings, listeners: ListenerStreams, callers: Callers) -> None:
        self._db, self._cursors, self._settings = deps.db, deps.cursors, settings
        self._live = partial(LiveCall, deps.db, deps.bus, deps.stopping)
        self._transfers = Transfers(deps.db, deps.bus, deps.clients.carrier, settings)
        self._listening = Listening(deps, settings, listeners)
        self._supervision = CallSupervision(deps.db, deps.bus, deps.clients.carrier, settings)
        self._peaks = PeaksReader(deps.files)
        self._browsers = BrowserCalls(deps.db, deps.bus, settings, callers)

    async def ListCalls(self, request: pb.ListCallsRequest, ctx: TransactionContext) -> pb.ListCallsResponse:
        cursor, count = self._cursors.read(request), paging.rows_to_fetch(request)
        filters, before = _filter(request), (cursor[0], cursor[1]) if cursor else None
        if request.q:
            query = Query(request.q, phone.digits(request.q))
            rows = await call_records.search(ctx.tx, query, filters, before, count)
        else:
            rows = await call_records.page(ctx.tx, filters, before, count)
        page, more = self._cursors.cut(request, rows, lambda row: (row.created_at, row.id), lambda row: row.size)
        return pb.ListCallsResponse(calls=[present.listed(row) for row in page], next_cursor=more)

    async def GetCall(self, request: pb.GetCallRequest, ctx: TransactionContext) -> pb.GetCallResponse:
        max_turns = request.turns if request.HasField("turns") else None
        row = await call_records.detail(ctx.tx, ids.require(Kind.CALL, request.id), max_turns)
        first = row.turns[0].seq if row.turns else None
        before = pb.ListCallTurnsRequest(call_id=request.id)
        earlier = self._cursors.make(before, first) if row.has_earlier and first is not None else None
        return pb.GetCallResponse(call=present.detailed(row, earlier))

    async def ListCallTurns(
        self, request: pb.ListCallTurnsRequest, ctx: TransactionContext
    ) -> pb.ListCallTurnsResponse:
        id = (await calls.get(ctx.tx, ids.require(Kind.CALL, request.call_id))).id
        rows = await call_records.latest_turns(ctx.tx, id, self._cursors.after(request), paging.rows_to_fetch(request))
        page, more = self._cursors.cut(request, rows, lambda row: (row.seq,), lambda row: row.size)
        return pb.ListCallTurnsResponse(turns=[present.turn(row) for row in page], next_cursor=more)

    async def PlaceBrowserCall(
        self, request: pb.PlaceBrowserCallRequest, ctx: ActionContext
    ) -> pb.PlaceBrowserCallResponse:
        id, answer = await self._browsers.place(ctx.principal, request, ctx.request_id)
        return pb.PlaceBrowserCallResponse(call_id=id, sdp=answer)

    async def HangUpCall(self, request: pb.HangUpCallRequest, ctx: ActionContext) -> pb.HangUpCallResponse:
        id = ids.require(Kind.CALL, request.id)
        await self._supervision.hang_up(ctx, id)
        async with self._db.tenant(ctx.organization) as tx:
            return pb.HangUpCallResponse(call=present.detailed(await call_records.detail(tx, id)))

    async def InstructAgent(self, request: pb.InstructAgentRequest, ctx: ActionContext) -> pb.InstructAgentResponse:
        id = ids.require(Kind.CALL, request.id)
        return pb.InstructAgentResponse(
            intervention=await self._supervision.intervene(ctx, id, "instruct", request.text)
        )

    async def SayOnCall(self, request: pb.SayOnCallRequest, ctx: ActionContext) -> pb.SayOnCallResponse:
        id = ids.require(Kind.CALL, request.id)
        return pb.SayOnCallResponse(intervention=await self._supervision.intervene(ctx, id, "say", request.text))

    async def ListenToCall(
        self, request: pb.ListenToCallRequest, ctx: TenantContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        id = ids.require(Kind.CALL, request.id)
        await self._supervision.begin_listening(ctx, id)
        sound = self._listening.sound(ctx.organization, id)
        try:
            async with aclosing(sound) as pieces:
                head = await anext(pieces)
                await ctx.context.send_initial_metadata(ENDLESS)
                yield httpbody_pb2.HttpBody(content_type="audio/wav", data=head)
                async for pcm in pieces:
                    yield httpbody_pb2.HttpBody(content_type="audio/wav", data=pcm)
        finally:
            await rpc.run_to_completion(self._supervision.end_listening(ctx, id))

    async def DeleteCall(self, request: pb.DeleteCallRequest, ctx: TransactionContext) -> pb.DeleteCallResponse:
        await erasing.erase_call(ctx.tx, ids.require(Kind.CALL, request.id))
        return pb.DeleteCallResponse()

    async def TransferCall(self, request: pb.TransferCallRequest, ctx: ActionContext) -> pb.TransferCallResponse:
        if request.flow_id:
            return pb.TransferCallResponse(call=await self._switch_flow(request, ctx))
        return pb.TransferCallResponse(call=await self._transfer(request, ctx, "transferCall"))

    async def _switch_flow(self, request: pb.TransferCallRequest, ctx: ActionContext) -> pb.CallDetail:
        if request.to_e164 or request.label:
            raise InvalidRequest([FieldError("flow_id", "give either this, to or label")])
        id = ids.require(Kind.CALL, request.id)
        await self._supervision.switch_flow(ctx, id, request.flow_id)
        async with self._db.tenant(ctx.organization) as tx:
            return present.detailed(await call_records.detail(tx, id))

    async def TakeOverCall(self, request: pb.TakeOverCallRequest, ctx: ActionContext) -> pb.TakeOverCallResponse:
        return pb.TakeOverCallResponse(call=await self._transfer(request, ctx, "takeOverCall"))

    async def _transfer(
        self, request: pb.TransferCallRequest | pb.TakeOverCallRequest, ctx: ActionContext, action: str
    ) -> pb.CallDetail:
        id = ids.require(Kind.CALL, request.id)
        await self._transfers.command(ctx, action, id, TransferRequest.of(request))
        async with self._db.tenant(ctx.organization) as tx:
            return present.detailed(await call_records.detail(tx, id))

    async def StreamCall(
        self, request: pb.StreamCallRequest, ctx: TenantContext
    ) -> AsyncIterator[pb.StreamCallResponse]:
        id = ids.require(Kind.CALL, request.id)
        async with self._db.tenant(ctx.organization) as tx:
            over = await call_records.is_over(tx, id, request.last_event_id)
        await ctx.context.send_initial_metadata(((rpc.STREAM, "over" if over else "open"),))
        if over:
            return
        async with aclosing(self._live(ctx.organization, id).events(request.last_event_id)) as events:
            async for event in events:
                yield event

    async def GetRecording(
        self, request: pb.GetRecordingRequest, ctx: TenantContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        id = ids.require(Kind.CALL, request.id)

        async def streams() -> list[RecordingRow]:
            async with self._db.tenant(ctx.organization) as tx:
                return await stored.of_call(tx, id)

        async def exists() -> bool:
            return bool(await streams())

        rows = await streams()
        if not rows:
            raise NotFound("The call has no recording.")
        pieces = await recordings.joined(self._peaks.files, rows)
        checks = ExistenceChecks(exists, self._settings.recheck_seconds)
        async for body in recordings.send(ctx.context, self._peaks.files, pieces, request.range, checks):
            yield body

    async def GetCallPeaks(
        self, request: pb.GetCallPeaksRequest, ctx: TenantContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        id = ids.require(Kind.CALL, request.id)
        async with self._db.tenant(ctx.organization) as tx:
            rows, is_final = await stored.of_call(tx, id), await stored.is_final(tx, id)
        if not rows:
            raise NotFound("The call has no recording.")
        packed = await self._peaks.of_call(rows)
        async for body in recordings.send_bytes(ctx.context, packed, is_final=is_final):
            yield body


def _filter(request: pb.ListCallsRequest) -> CallFilter:
    contact_id, contact_e164 = _contact(request.contact)
    return CallFilter(
        direction=word(pb.CallDirection, request.direction),
        status=word(pb.CallStatus, request.status),
        flow_id=_id(Kind.FLOW, request.flow_id),
        number_id=_id(Kind.NUMBER, request.number_id),
        contact_id=contact_id,
        contact_e164=contact_e164,
        tag=request.tag or None,
        outcome=request.outcome or None,
        created_from=moment(request.created_from) if request.HasField("created_from") else None,
        created_to=moment(request.created_to) if request.HasField("created_to") else None,
    )


def _id(kind: Kind, text: str) -> UUID | None:
    """Return an id to filter by, None for an empty text; an invalid one matches nothing."""
    return (ids.parse(kind, text) or UUID(int=0)) if text else None


def _contact(text: str) -> tuple[UUID | None, str | None]:
    if not text:
        return None, None
    if (id := ids.parse(Kind.CONTACT, text)) is not None:
        return id, None
    return None, phone.e164_or_none(text) or text
