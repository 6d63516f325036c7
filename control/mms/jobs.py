"""The job that fetches a text's files, and the sweep of uploads.

The job may run twice: it fetches only the files that are not stored.
"""

from datetime import timedelta
from uuid import UUID

from prometheus_client import Counter

from control.clients.twilio import CarrierClient, MediaRefused
from control.mms import files, mediatypes
from control.mms.mediatypes import FileLimits
from control.retention.files import delete_files_of_messages
from hum import ids
from hum.clock import now
from hum.contract.errors import CarrierError
from hum.ids import Kind
from hum.objects.files import Files
from hum.observe.logs import log
from storage import message_media, sms_uploads, text_erasures
from storage.db import Db
from storage.message_media import PendingFileRow

LOG = log(__name__)
#: Owed deletions of files done at once; a sweep does the rest.
OWED = 10
#: Uploads deleted per step of the sweep.
SWEPT = 500
FILES = Counter("hum_text_files_total", "Files of inbound texts, by outcome", ["how"])


async def fetch(db: Db, carrier: CarrierClient, store: Files, limits: FileLimits, org: UUID, message: UUID) -> int:
    """Fetch a message's files; return how many were stored.  Raises CarrierError if one could not be fetched yet."""
    async with db.tenant(org) as tx:
        pending = await message_media.pending(tx, message)
    left_bytes = limits.message_bytes - (pending[0].stored_bytes if pending else 0)
    stored, errors = 0, list[CarrierError]()
    for row in pending:
        try:
            size_bytes = await _fetch_one(db, carrier, store, limits, org, message, row, left_bytes)
        except CarrierError as error:
            if now() - row.created_at < timedelta(hours=limits.hours):
                errors.append(error)  # try the others first
            else:
                await _give_up(db, org, message, row, "lost", str(error))
            continue
        left_bytes -= size_bytes
        stored += size_bytes > 0
    if errors:
        raise errors[0]
    return stored


async def _fetch_one(
    db: Db,
    carrier: CarrierClient,
    store: Files,
    limits: FileLimits,
    org: UUID,
    message: UUID,
    row: PendingFileRow,
    left_bytes: int,
) -> int:
    """Fetch and store a file; return its size in bytes, 0 if it is not stored.  Raises CarrierError, OSError."""
    most_bytes = min(limits.file_bytes, left_bytes)
    if most_bytes <= 0:
        return await _give_up(db, org, message, row, "refused", "the message's files are too large together")
    try:
        content_type, content = await carrier.fetch_media(row.url, row.account, most_bytes)
    except MediaRefused as error:
        status = "lost" if error.metadata.get("carrier_status") in mediatypes.GONE else "refused"
        return await _give_up(db, org, message, row, status, str(error))
    media_type = mediatypes.plain_type(content_type)
    if not content or len(content) > most_bytes or not mediatypes.is_kept(media_type):
        return await _give_up(db, org, message, row, "refused", f"{len(content)} bytes of {media_type or 'no type'}")
    path = files.path_of(org, message, row.index)
    # Name the file before storing it, so a crash in between leaves no file without a row.
    async with db.tenant(org) as tx:
        exists = await message_media.set_path(tx, message, row.index, path)
    if not exists:
        return 0
    await store.put(path, content)
    async with db.tenant(org) as tx:
        exists = await message_media.record_stored(tx, message, row.index, media_type, path, len(content))
    # The message was deleted meanwhile, with the row that names the file: owe the file's deletion.
    if not exists:
        async with db.system() as tx:
            await text_erasures.schedule_file(tx, org, path)
        await delete_files_of_messages(db, store, OWED)
        return 0
    FILES.labels("stored").inc()
    return len(content)


async def _give_up(db: Db, org: UUID, message: UUID, row: PendingFileRow, status: str, why: str) -> int:
    LOG.warning("could not keep a text's file", message=ids.show(Kind.MESSAGE, message), status=status, why=why[:200])
    FILES.labels(status).inc()
    async with db.tenant(org) as tx:
        await message_media.record_failure(tx, message, row.index, status)
    return 0


async def sweep_uploads(db: Db) -> int:
    """Delete the uploads that no text has sent in time; the sweep of owed files deletes their files.  Return how many."""
    async with db.system() as tx:
        return await sms_uploads.sweep(tx, mediatypes.UPLOAD_LIFETIME, SWEPT)
