"""CallsService (proto/hum/v1/calls.proto)."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from uuid import UUID

from google.api import httpbody_pb2

from control.audit.usecases import note
from control.base import paging, phone
from control.base.wire import moment, word
from control.boundary import Call
from control.calls import ending, present, recordings
from control.calls.channels import COMMANDS
from control.calls.live import LiveCall
from control.feature import Deps
from hum import authorization, ids, rpc
from hum.errors import NotFound
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import calls_pb2 as pb
from hum.v1 import runtime_pb2
from storage import call_records, media_links
from storage.call_records import Filter, Query

_STREAM = authorization.access_of(pb.DESCRIPTOR.services_by_name["CallsService"].methods_by_name["StreamCall"])


class CallsServicer:
    def __init__(self, deps: Deps, settings: CallsSettings) -> None:
        self._db, self._bus, self._boundary, self._cursors = deps.db, deps.bus, deps.boundary, deps.cursors
        self._carrier, self._stopping, self._settings = deps.outside.carrier, deps.stopping, settings

    async def ListCalls(self, request: pb.ListCallsRequest, call: Call) -> pb.ListCallsResponse:
        place, count = self._cursors.read(request), paging.rows_to_fetch(request)
        by, before = _filter(request), (place[0], place[1]) if place else None
        if request.q:
            found = await call_records.search(call.tx, Query(request.q, phone.digits(request.q)), by, before, count)
        else:
            found = await call_records.page(call.tx, by, before, count)
        rows, more = self._cursors.cut(request, found, lambda row: (row.created_at, row.id))
        return pb.ListCallsResponse(calls=[present.listed(row) for row in rows], next_cursor=more)

    async def GetCall(self, request: pb.GetCallRequest, call: Call) -> pb.GetCallResponse:
        row = await call_records.detail(call.tx, ids.require(Kind.CALL, request.id))
        return pb.GetCallResponse(call=present.detailed(row))

    async def HangUpCall(self, request: pb.HangUpCallRequest, call: Call) -> pb.HangUpCallResponse:
        """Ends a call.  No transaction is open during the carrier's request: its webhooks need the call's row."""
        async with self._db.tenant(call.who.org_id) as tx:
            state = await ending.require_live(tx, ids.require(Kind.CALL, request.id))
            await note(tx, call.who.org_id, call.who, "hangUpCall", request.id, (), call.request_id)
        if state.node is not None and await self._is_there(state.node):
            command = runtime_pb2.CallCommand(call_id=request.id, hang_up=runtime_pb2.HangUpNow())
            await self._bus.publish(COMMANDS, runtime_pb2.NodeCommand(node=state.node, command=command))
        else:
            await ending.hang_up(self._db, self._carrier, state)
        async with self._db.tenant(call.who.org_id) as tx:
            return pb.HangUpCallResponse(call=present.detailed(await call_records.detail(tx, state.id)))

    async def _is_there(self, node: str) -> bool:
        async with self._db.system() as tx:
            return await media_links.is_there(tx, node, timedelta(seconds=self._settings.link_silent_seconds))

    async def StreamCall(self, request: pb.StreamCallRequest, call: Call) -> AsyncIterator[pb.StreamCallResponse]:
        id = ids.require(Kind.CALL, request.id)
        async with self._db.tenant(call.who.org_id) as tx:
            over = await call_records.is_over(tx, id, request.last_event_id)
        await call.context.send_initial_metadata(((rpc.STREAM, "over" if over else "open"),))
        if over:
            return
        live = LiveCall(self._db, self._bus, self._settings, self._stopping, call.who.org_id, id)
        happening = live.events(request.last_event_id, lambda: self._boundary.still_admitted(_STREAM, call))
        async with aclosing(happening) as events:
            async for event in events:
                yield event

    async def GetRecording(self, request: pb.GetRecordingRequest, call: Call) -> AsyncIterator[httpbody_pb2.HttpBody]:
        async with self._db.tenant(call.who.org_id) as tx:
            row = await call_records.detail(tx, ids.require(Kind.CALL, request.id))
        if row.recording_path is None:
            raise NotFound("The call has no recording.")
        async for body in recordings.send(
            call.context, self._settings.recordings_dir, row.recording_path, request.range
        ):
            yield body


def _filter(request: pb.ListCallsRequest) -> Filter:
    contact_id, contact_e164 = _contact(request.contact)
    return Filter(
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
    """An id to filter by; an invalid one matches nothing."""
    return (ids.parse(kind, text) or UUID(int=0)) if text else None


def _contact(text: str) -> tuple[UUID | None, str | None]:
    if not text:
        return None, None
    if (id := ids.parse(Kind.CONTACT, text)) is not None:
        return id, None
    return None, phone.e164_or_none(text) or text
