"""Fetching the files of a text.  It may run twice: what is stored stays, and what is left is fetched."""

from datetime import timedelta
from uuid import UUID

from prometheus_client import Counter

from control.clients.twilio import Carrier, MediaRefused
from control.mms import files, rules
from control.mms.rules import Keeping
from control.retention.files import sweep_media
from hum import ids
from hum.clock import now
from hum.errors import CarrierError
from hum.ids import Kind
from hum.objects.files import Files
from hum.telemetry import log
from storage import message_media, text_erasures
from storage.db import Db
from storage.message_media import FetchingRow

LOG = log(__name__)
#: Of files that are owed, so many are deleted at once; a sweep deletes the rest.
OWED = 10
FILES = Counter("hum_text_files_total", "Files of texts that came in, by what became of them", ["how"])


async def fetch(db: Db, carrier: Carrier, store: Files, keeping: Keeping, org: UUID, message: UUID) -> int:
    """Fetch a message's files; return how many were stored.  Raises CarrierError while the carrier gives one not, or not yet."""
    async with db.tenant(org) as tx:
        owed = await message_media.fetching(tx, message)
    left_bytes = keeping.message_bytes - (owed[0].stored_bytes if owed else 0)
    stored, later = 0, list[CarrierError]()
    for row in owed:
        try:
            size_bytes = await _fetch_one(db, carrier, store, keeping, org, message, row, left_bytes)
        except CarrierError as error:
            if now() - row.created_at < timedelta(hours=keeping.hours):
                later.append(error)  # the others may be had
            else:
                await _give_up(db, org, message, row, "lost", str(error))
            continue
        left_bytes -= size_bytes
        stored += size_bytes > 0
    if later:
        raise later[0]
    return stored


async def _fetch_one(
    db: Db,
    carrier: Carrier,
    store: Files,
    keeping: Keeping,
    org: UUID,
    message: UUID,
    row: FetchingRow,
    left_bytes: int,
) -> int:
    """Its size; 0 if it is not kept.  Raises CarrierError, OSError."""
    most_bytes = min(keeping.file_bytes, left_bytes)
    if most_bytes <= 0:
        return await _give_up(db, org, message, row, "refused", "the message's files are too large together")
    try:
        content_type, content = await carrier.fetch_media(row.url, row.account, most_bytes)
    except MediaRefused as error:
        status = "lost" if error.metadata.get("carrier_status") in rules.GONE else "refused"
        return await _give_up(db, org, message, row, status, str(error))
    media_type = rules.plain_type(content_type)
    if not content or len(content) > most_bytes or not rules.is_kept(media_type):
        return await _give_up(db, org, message, row, "refused", f"{len(content)} bytes of {media_type or 'no type'}")
    path = files.path_of(org, message, row.index)
    async with db.tenant(org) as tx:  # first: whoever dies before the file is stored has left its name
        is_there = await message_media.named(tx, message, row.index, path)
    if not is_there:
        return 0
    await store.put(path, content)
    async with db.tenant(org) as tx:
        is_there = await message_media.stored(tx, message, row.index, media_type, path, len(content))
    if not is_there:  # the message was deleted meanwhile, and with it whoever would have named the file
        async with db.system() as tx:
            await text_erasures.owe_file(tx, org, path)
        await sweep_media(db, store, OWED)
        return 0
    FILES.labels("stored").inc()
    return len(content)


async def _give_up(db: Db, org: UUID, message: UUID, row: FetchingRow, status: str, why: str) -> int:
    LOG.warning("a text's file is not kept", message=ids.show(Kind.MESSAGE, message), status=status, why=why[:200])
    FILES.labels(status).inc()
    async with db.tenant(org) as tx:
        await message_media.failed(tx, message, row.index, status)
    return 0
