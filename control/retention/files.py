"""The deletion of files: of deleted calls and messages, and those that calls have dropped.

A row is deleted before its files, and leaves a row that owes their deletion.  So no row lacks its file and no file is orphaned,
wherever a process crashes and however long the store is unavailable.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from prometheus_client import Counter

from control.rows import each_row
from hum import ids
from hum.ids import Kind
from hum.objects.files import Files
from storage import deleted_organizations, dropped_recordings, erasures, text_erasures
from storage.db import Db
from storage.dropped_recordings import DroppedRow
from storage.erasures import FilesRow
from storage.text_erasures import MediaFileRow

DELETED = Counter("hum_deleted_files_total", "Files of deleted calls and messages that were deleted")

T = TypeVar("T")


class FileDeletionError(Exception):
    """A failure to delete files.  It is no OSError, which would mean that the database is unavailable."""


async def sweep_all(db: Db, store: Files, most: int) -> int:
    """Do all owed deletions of files; return the number of calls, dropped files and messages."""
    swept = await sweep(db, store, most)
    swept += await sweep_dropped(db, store, most)
    return swept + await sweep_media(db, store, most)


async def sweep(db: Db, store: Files, most: int) -> int:
    """Delete the files of deleted calls; return the number of calls.  Failures are retried."""

    async def delete(row: FilesRow) -> bool:
        DELETED.inc(await _as_undeleted(remove, store, row))
        async with db.system() as tx:
            await erasures.record_deletion(tx, row.call_id)
        return True

    async with db.system() as tx:
        owed = await erasures.claim_files(tx, most)
    return await each_row("files of deleted calls", owed, delete)


async def sweep_dropped(db: Db, store: Files, most: int) -> int:
    """Delete the files that calls have dropped; return how many.  Failures are retried."""

    async def delete(row: DroppedRow) -> bool:
        DELETED.inc(await _as_undeleted(_remove_one, store, row.path))
        async with db.system() as tx:
            await dropped_recordings.record_deletion(tx, row)
        return True

    async with db.system() as tx:
        owed = await dropped_recordings.claim(tx, most)
    return await each_row("files that calls have dropped", owed, delete)


async def sweep_media(db: Db, store: Files, most: int) -> int:
    """Delete the files of deleted messages; return how many.  Failures are retried."""

    async def delete(row: MediaFileRow) -> bool:
        DELETED.inc(await _as_undeleted(_remove_one, store, row.path))
        async with db.system() as tx:
            await text_erasures.record_file_deletion(tx, row.id)
        return True

    async with db.system() as tx:
        owed = await text_erasures.claim_files(tx, most)
    return await each_row("files of deleted messages", owed, delete)


async def sweep_remaining(db: Db, store: Files, most: int) -> int:
    """Delete the remaining files of deleted organizations, such as those never reported; return how many.

    The folder of an unknown organization is kept: the database may have been restored from a backup.
    """
    folders = {
        org: name for name in await store.organizations() if (org := ids.parse(Kind.ORGANIZATION, name)) is not None
    }
    async with db.system() as tx:
        deleted = await deleted_organizations.ended(tx, list(folders))
    swept = 0

    async def delete(name: str) -> bool:
        nonlocal swept
        swept += await _as_undeleted(partial(_remove_some, most=most - swept), store, name)
        return True

    await each_row("files of deleted organizations", [folders[org] for org in deleted], delete)
    DELETED.inc(swept)
    return swept


async def remove(store: Files, row: FilesRow) -> int:
    """Delete the files of a call; return how many.  Raises OSError, StoreUnavailable."""
    named = await store.of_call(ids.show(Kind.ORGANIZATION, row.org_id), ids.show(Kind.CALL, row.call_id))
    # From the last to the first, so that a retry after a crash still finds the earlier ones.
    paths = reversed(list(dict.fromkeys([*named, *row.paths])))
    return sum([await store.remove(path) for path in paths])


async def _remove_one(store: Files, path: str) -> int:
    return await store.remove(path)


async def _remove_some(store: Files, organization_id: str, most: int) -> int:
    return await store.remove_some(organization_id, most)


async def _as_undeleted(step: Callable[[Files, T], Awaitable[int]], store: Files, subject: T) -> int:
    """Run a step, with OSError converted.  Raises FileDeletionError."""
    try:
        return await step(store, subject)
    except OSError as error:
        raise FileDeletionError(str(error)) from error
