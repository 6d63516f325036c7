"""TextFilesIngressService (proto/hum/v1/runtime.proto): the carrier fetches a text's uploaded files, through the gateway."""

from control.base.filelinks import FileLinks
from control.boundary import NodeContext
from control.mms import mediatypes
from hum.clock import now
from hum.contract.errors import NotFound
from hum.objects.files import Files
from hum.v1 import runtime_pb2 as pb
from storage import sms_uploads
from storage.db import Db

NO_FILE = "There is no such file."


class TextFilesIngressServicer:
    def __init__(self, db: Db, store: Files, links: FileLinks) -> None:
        self._db, self._store, self._links = db, store, links

    async def GetTextFile(self, request: pb.GetTextFileRequest, _: NodeContext) -> pb.GetTextFileResponse:
        place = self._links.read(request.token, now())
        if place is None:
            raise NotFound(NO_FILE)
        message, index = place
        async with self._db.system() as tx:
            row = await sms_uploads.outbound_file(tx, message, index)
        if row is None:
            raise NotFound(NO_FILE)
        try:
            content = await self._store.load(row.path)
        except FileNotFoundError:
            raise NotFound(NO_FILE) from None
        name = f"file-{index + 1}.{mediatypes.EXTENSIONS[row.content_type]}"
        return pb.GetTextFileResponse(content_type=row.content_type, name=name, content=content)
