"""SmsMediaService (proto/hum/v1/sms_media.proto)."""

from collections.abc import AsyncIterator

from google.api import httpbody_pb2

from control.base.wire import timestamp
from control.boundary import ActionContext, TenantContext, TransactionContext
from control.calls import recordings
from control.existencechecks import ExistenceChecks
from control.feature import Deps
from control.mms import files, mediatypes
from control.mms.usecases import TextUploads
from hum import ids
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import sms_media_pb2 as pb
from storage import message_media, sms_uploads

#: Digits of an index, more than any message has.
MOST_DIGITS = 3


class SmsMediaServicer:
    def __init__(self, deps: Deps, settings: CallsSettings, uploads: TextUploads) -> None:
        self._db, self._files, self._settings, self._uploads = deps.db, deps.files, settings, uploads

    async def GetMessageMedia(
        self, request: pb.GetMessageMediaRequest, ctx: TenantContext
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        id, index = ids.require(Kind.MESSAGE, request.message_id), _index(request.index)

        async def exists() -> bool:
            async with self._db.tenant(ctx.organization) as tx:
                await message_media.find(tx, id, index)  # NotFound ends the download
            return True

        async with self._db.tenant(ctx.organization) as tx:
            file = await message_media.find(tx, id, index)
        sending = recordings.send(
            ctx.context,
            self._files,
            await recordings.whole(self._files, file.path),
            request.range,
            ExistenceChecks(exists, self._settings.recheck_seconds),
            recordings.DownloadHeaders(
                file.content_type, mediatypes.headers(file.content_type, files.name_of(id, index))
            ),
        )
        async for body in sending:
            yield body

    async def CreateSmsUpload(
        self, request: pb.CreateSmsUploadRequest, ctx: ActionContext
    ) -> pb.CreateSmsUploadResponse:
        upload = await self._uploads.store(ctx.principal, request.content, ctx.request_id)
        return pb.CreateSmsUploadResponse(
            upload=pb.SmsUpload(
                id=ids.show(Kind.UPLOAD, upload.id),
                content_type=upload.content_type,
                size_bytes=len(request.content),
                created_at=timestamp(upload.created_at),
                expires_at=timestamp(upload.created_at + mediatypes.UPLOAD_LIFETIME),
            )
        )

    async def DeleteSmsUpload(
        self, request: pb.DeleteSmsUploadRequest, ctx: TransactionContext
    ) -> pb.DeleteSmsUploadResponse:
        if not await sms_uploads.delete(ctx.tx, ids.require(Kind.UPLOAD, request.id)):
            raise NotFound("There is no such file, or a text has sent it.")
        return pb.DeleteSmsUploadResponse()


def _index(text: str) -> int:
    """Parse the index of a file.  Raises NotFound."""
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise NotFound("There is no such file.")
    return int(text)
