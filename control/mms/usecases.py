"""The use case of uploads: a file is stored for a text that is to be sent.

The row goes first, so a crash leaves no file without a row: the sweep deletes the row, which owes the file.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from control.actors import actor
from control.audit.usecases import append_action
from control.mms import files, mediatypes
from hum import ids
from hum.contract.errors import FieldError, InvalidRequest, InvalidState, StoreUnavailable
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.objects.files import Files
from storage import sms_uploads, text_erasures
from storage.db import Db

#: The action in the audit log.
ACTION = "createSmsUpload"


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """The most uploads that wait for their texts: of one principal, and of an organization."""

    own_files: int
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StoredUpload:
    id: UUID
    content_type: str
    created_at: datetime


class TextUploads:
    """The uploads of texts' files."""

    def __init__(self, db: Db, store: Files, limits: UploadLimits) -> None:
        self._db, self._store, self._limits = db, store, limits

    async def store(self, principal: Principal, content: bytes, request_id: str) -> StoredUpload:
        """Store a file.  Raises InvalidRequest, InvalidState if too many wait, StoreUnavailable."""
        if (bad := mediatypes.bad_upload(content)) is not None:
            raise InvalidRequest([FieldError("content", bad)])
        media_type = mediatypes.sent_type(content)
        assert media_type is not None, "checked above"
        org, id = principal.org_id, ids.new()
        path = files.path_of_upload(org, id)
        async with self._db.tenant(org) as tx:
            pending = await sms_uploads.lock_pending(tx, actor(principal))
            self._require_capacity(pending, len(content))
            created_at = await sms_uploads.add(tx, id, actor(principal), media_type, len(content), path)
            await append_action(tx, org, principal, ACTION, ids.show(Kind.UPLOAD, id), ["content"], request_id)
        try:
            await self._store.put(path, content)
        except (OSError, StoreUnavailable) as error:
            async with self._db.tenant(org) as tx:
                await sms_uploads.delete(tx, id)
            raise StoreUnavailable from error
        async with self._db.tenant(org) as tx:
            exists = await sms_uploads.record_stored(tx, id)
        # The row was deleted meanwhile, and the file that it owed perhaps before it was written: owe it again.
        if not exists:
            async with self._db.system() as tx:
                await text_erasures.schedule_file(tx, org, path)
            raise InvalidState("The file was deleted while it was stored.")
        return StoredUpload(id, media_type, created_at)

    def _require_capacity(self, pending: sms_uploads.PendingUploads, size_bytes: int) -> None:
        limits = self._limits
        if pending.own_files >= limits.own_files:
            raise InvalidState(
                f"{limits.own_files} of your files wait for their texts: send or remove some; after a day they are deleted."
            )
        if pending.files >= limits.files or pending.bytes + size_bytes > limits.bytes:
            raise InvalidState(
                "The organization's files that wait for their texts are as many as may be; send some first."
            )
