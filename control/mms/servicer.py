"""SmsMediaService (proto/hum/v1/sms_media.proto)."""

from collections.abc import AsyncIterator

from google.api import httpbody_pb2

from control.boundary import TenantContext
from control.calls import recordings
from control.existencechecks import ExistenceChecks
from control.feature import Deps
from control.mms import files, mediatypes
from hum import ids
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import sms_media_pb2 as pb
from storage import message_media

#: Digits of an index, more than any message has.
MOST_DIGITS = 3


class SmsMediaServicer:
    def __init__(self, deps: Deps, settings: CallsSettings) -> None:
        self._db, self._files, self._settings = deps.db, deps.files, settings

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


def _index(text: str) -> int:
    """Parse the index of a file.  Raises NotFound."""
    if not (text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS):
        raise NotFound("There is no such file.")
    return int(text)
