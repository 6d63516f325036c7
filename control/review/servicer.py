"""ReviewService (proto/hum/v1/review.proto)."""

from collections.abc import AsyncIterator
from uuid import UUID

from google.api import httpbody_pb2
from google.protobuf.message import Message

from control import jobs
from control.base import paging
from control.base.wire import timestamp
from control.boundary import TenantContext, TransactionContext
from control.calls import present, recordings
from control.calls.peaks import PeaksReader
from control.existencechecks import ExistenceChecks
from control.feature import Deps
from control.voicemail.messageparts import ERASE
from hum import ids
from hum.contract.errors import PlanLimit
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import events_pb2
from hum.v1 import review_pb2 as pb
from storage import call_records, calls, erasures, events, review, voicemails
from storage.review import BlockedRow

#: Tags of a call, as many as of a contact.
MAX_TAGS = 50


class ReviewServicer:
    def __init__(self, deps: Deps, settings: CallsSettings) -> None:
        self._db, self._cursors, self._settings = deps.db, deps.cursors, settings
        self._files, self._peaks = deps.files, PeaksReader(deps.files)

    async def ListCallTags(self, request: pb.ListCallTagsRequest, ctx: TransactionContext) -> pb.ListCallTagsResponse:
        return pb.ListCallTagsResponse(tags=await review.tags(ctx.tx, await _call(ctx, request.call_id)))

    async def AddCallTag(self, request: pb.AddCallTagRequest, ctx: TransactionContext) -> pb.AddCallTagResponse:
        id, tag = await _call(ctx, request.call_id), request.call_tag.tag
        before = await review.tags(ctx.tx, id)
        if tag not in before and len(before) >= MAX_TAGS:
            raise PlanLimit(f"The call has {len(before)} tags, and {MAX_TAGS} is the limit; remove one first.")
        if await review.add_tag(ctx.tx, id, tag):
            await _append(ctx, id, events_pb2.CallTaggedEvent(by=ctx.principal.name, tag=tag))
        return pb.AddCallTagResponse(tags=await review.tags(ctx.tx, id))

    async def RemoveCallTag(
        self, request: pb.RemoveCallTagRequest, ctx: TransactionContext
    ) -> pb.RemoveCallTagResponse:
        id = await _call(ctx, request.call_id)
        await review.remove_tag(ctx.tx, id, request.tag)
        await _append(ctx, id, events_pb2.CallUntaggedEvent(by=ctx.principal.name, tag=request.tag))
        return pb.RemoveCallTagResponse()

    async def ListCallNotes(
        self, request: pb.ListCallNotesRequest, ctx: TransactionContext
    ) -> pb.ListCallNotesResponse:
        id = await _call(ctx, request.call_id)
        page = await review.notes(ctx.tx, id, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,), lambda row: row.size)
        return pb.ListCallNotesResponse(notes=[present.note(row) for row in rows], next_cursor=more)

    async def AddCallNote(self, request: pb.AddCallNoteRequest, ctx: TransactionContext) -> pb.AddCallNoteResponse:
        id = await _call(ctx, request.call_id)
        row = await review.add_note(ctx.tx, ids.new(), id, request.note.body, ctx.principal.name)
        await _append(ctx, id, events_pb2.CallNotedEvent(by=ctx.principal.name, note_id=ids.show(Kind.NOTE, row.id)))
        return pb.AddCallNoteResponse(note=present.note(row))

    async def UpdateCallNote(
        self, request: pb.UpdateCallNoteRequest, ctx: TransactionContext
    ) -> pb.UpdateCallNoteResponse:
        id, note = await _call(ctx, request.call_id), ids.require(Kind.NOTE, request.id)
        body = request.note.body if request.note.HasField("body") else None
        row = await review.change_note(ctx.tx, id, note, body)
        await _append(ctx, id, events_pb2.CallNoteChangedEvent(by=ctx.principal.name, note_id=request.id))
        return pb.UpdateCallNoteResponse(note=present.note(row))

    async def DeleteCallNote(
        self, request: pb.DeleteCallNoteRequest, ctx: TransactionContext
    ) -> pb.DeleteCallNoteResponse:
        id = await _call(ctx, request.call_id)
        await review.delete_note(ctx.tx, id, ids.require(Kind.NOTE, request.id))
        await _append(ctx, id, events_pb2.CallNoteDeletedEvent(by=ctx.principal.name, note_id=request.id))
        return pb.DeleteCallNoteResponse()

    async def ListBlockedNumbers(
        self, request: pb.ListBlockedNumbersRequest, ctx: TransactionContext
    ) -> pb.ListBlockedNumbersResponse:
        place, count = self._cursors.read(request), paging.rows_to_fetch(request)
        page = await review.blocked(ctx.tx, (place[0], place[1]) if place else None, count)
        rows, more = self._cursors.cut(request, page, lambda row: (row.created_at, row.phone_e164))
        return pb.ListBlockedNumbersResponse(blocklist=[present_blocked(row) for row in rows], next_cursor=more)

    async def BlockNumber(self, request: pb.BlockNumberRequest, ctx: TransactionContext) -> pb.BlockNumberResponse:
        blocked = request.blocked_number
        row = await review.block(ctx.tx, blocked.phone_e164, blocked.reason if blocked.HasField("reason") else None)
        await _append(
            ctx, ctx.organization, events_pb2.NumberBlockedEvent(by=ctx.principal.name, phone_e164=row.phone_e164)
        )
        return pb.BlockNumberResponse(blocked_number=present_blocked(row))

    async def UnblockNumber(
        self, request: pb.UnblockNumberRequest, ctx: TransactionContext
    ) -> pb.UnblockNumberResponse:
        await review.unblock(ctx.tx, request.phone_e164)
        await _append(
            ctx,
            ctx.organization,
            events_pb2.NumberUnblockedEvent(by=ctx.principal.name, phone_e164=request.phone_e164),
        )
        return pb.UnblockNumberResponse()

    async def ListVoicemails(
        self, request: pb.ListVoicemailsRequest, ctx: TransactionContext
    ) -> pb.ListVoicemailsResponse:
        heard = request.heard if request.HasField("heard") else None
        count = paging.rows_to_fetch(request)
        page = await voicemails.page(ctx.tx, heard, self._cursors.after(request), count)
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,), lambda row: row.size)
        return pb.ListVoicemailsResponse(voicemails=[present.voicemail(row) for row in rows], next_cursor=more)

    async def GetVoicemail(self, request: pb.GetVoicemailRequest, ctx: TransactionContext) -> pb.GetVoicemailResponse:
        row = await voicemails.get(ctx.tx, ids.require(Kind.VOICEMAIL, request.id))
        return pb.GetVoicemailResponse(voicemail=present.voicemail(row))

    async def DeleteVoicemail(
        self, request: pb.DeleteVoicemailRequest, ctx: TransactionContext
    ) -> pb.DeleteVoicemailResponse:
        id = ids.require(Kind.VOICEMAIL, request.id)
        of_call = await voicemails.delete(ctx.tx, id)
        await call_records.index(ctx.tx, of_call)
        await erasures.empty_events(ctx.tx, [id])  # one contains the transcript
        await _append(ctx, id, events_pb2.VoicemailDeletedEvent(by=ctx.principal.name))
        await jobs.enqueue(ctx.tx, ERASE, ctx.organization, id)
        return pb.DeleteVoicemailResponse()

    async def UpdateVoicemail(
        self, request: pb.UpdateVoicemailRequest, ctx: TransactionContext
    ) -> pb.UpdateVoicemailResponse:
        before = await voicemails.get(ctx.tx, ids.require(Kind.VOICEMAIL, request.id))
        row, heard = before, request.voicemail.heard
        if request.voicemail.HasField("heard") and heard != (before.heard_at is not None):
            row = await voicemails.mark_heard(ctx.tx, before.id, ctx.principal.name, heard=heard)
            await _append(ctx, row.id, events_pb2.VoicemailHeardEvent(by=ctx.principal.name, heard=heard))
        return pb.UpdateVoicemailResponse(voicemail=present.voicemail(row))

    async def GetVoicemailAudio(
        self, request: pb.GetVoicemailAudioRequest, ctx: TenantContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        id = ids.require(Kind.VOICEMAIL, request.id)

        async def is_there() -> bool:
            async with self._db.tenant(ctx.organization) as tx:
                return (await voicemails.get(tx, id)).audio_path == path  # NotFound ends the download

        async with self._db.tenant(ctx.organization) as tx:
            row = await voicemails.get(tx, id)
        path = row.audio_path
        checks = ExistenceChecks(is_there, self._settings.recheck_seconds)
        pieces = await recordings.whole(self._files, path, row.created_at)
        async for body in recordings.send(ctx.context, self._files, pieces, request.range, checks):
            yield body

    async def GetVoicemailPeaks(
        self, request: pb.GetVoicemailPeaksRequest, ctx: TenantContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        async with self._db.tenant(ctx.organization) as tx:
            row = await voicemails.get(tx, ids.require(Kind.VOICEMAIL, request.id))
        packed = await self._peaks.of_message(row.audio_path, row.created_at)
        # A message may still be merged with another one, so its peaks are never final.
        async for body in recordings.send_bytes(ctx.context, packed, is_final=False):
            yield body


async def _call(ctx: TransactionContext, id: str) -> UUID:
    """Return the id of the call in a request.  Raises NotFound."""
    return (await calls.get(ctx.tx, ids.require(Kind.CALL, id))).id


async def _append(ctx: TransactionContext, subject: UUID, event: Message) -> None:
    await events.append(ctx.tx, ctx.organization, subject, event)


def present_blocked(row: BlockedRow) -> pb.BlockedNumber:
    return pb.BlockedNumber(phone_e164=row.phone_e164, reason=row.reason, created_at=timestamp(row.created_at))
