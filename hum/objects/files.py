"""Recordings, voicemails and files of texts, as control accesses them: in a directory; or in a bucket, and in this
machine's directory until they are uploaded.

With a bucket, files in the directory belong to the media plane: control reads them, but writes and deletes in the
bucket only (`media/io/uploader.py` deletes local files that are not needed any more).
"""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hum import ids, peaks, recordings
from hum.clock import now
from hum.contract.errors import NotFound, NotStoredYet, RequestRefused
from hum.observe.logs import log
from hum.process import private
from hum.settings import RecordingSettings

if TYPE_CHECKING:
    from hum.objects.bucket import Bucket

LOG = log(__name__)
CHUNK_BYTES = 64 << 10
GONE = "The recording no longer exists."
#: The longest gap in a call's numbered names: messages are removed if nothing was said, and when they are joined.
MAX_GAP = 16
#: How long a recording that is not in the bucket counts as on its way there, and not as lost.
STORE_WAIT = timedelta(hours=24)


class Files:
    """Files by their paths below the root.  Every method raises OSError, and with a bucket StoreFault."""

    def __init__(self, directory: Path, bucket: "Bucket | None" = None, wait: timedelta = timedelta(0)) -> None:
        self._directory, self._bucket, self._wait = directory, bucket, wait

    @classmethod
    def of(cls, settings: RecordingSettings) -> "Files":
        """Return the files of this deployment."""
        if settings.bucket is None:
            return cls(settings.recordings_dir)
        # Imported late: the client is large, and only buckets need it.
        from hum.objects.bucket import open_bucket

        return cls(settings.recordings_dir, open_bucket(settings, settings.bucket), STORE_WAIT)

    # Reading.

    async def size(self, path: str) -> int | None:
        """Return a file's size in bytes, or None if it is deleted or not uploaded yet."""
        if not self._is_below(path):
            return None
        try:
            return (await asyncio.to_thread((self._directory / path).stat)).st_size
        except FileNotFoundError:
            return await self._bucket.size(path) if self._bucket else None

    async def read(self, path: str, first: int, size: int, chunk_bytes: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
        """Yield up to `size` bytes of a file from `first`.  Raises FileNotFoundError."""
        if not self._is_below(path):
            raise FileNotFoundError(path)
        try:
            file = await asyncio.to_thread((self._directory / path).open, "rb")
        except FileNotFoundError:
            if self._bucket is None:
                raise
            async for chunk in self._bucket.read(path, first, size):
                yield chunk
            return
        with file:
            file.seek(first)
            while size > 0 and (chunk := await asyncio.to_thread(file.read, min(chunk_bytes, size))):
                size -= len(chunk)
                yield chunk

    async def load(self, path: str) -> bytes:
        """Return a whole file, which must be small.  Raises FileNotFoundError."""
        if not self._is_below(path):
            raise FileNotFoundError(path)
        try:
            return await asyncio.to_thread((self._directory / path).read_bytes)
        except FileNotFoundError:
            if self._bucket is None:
                raise
            return await self._bucket.load(path)

    def missing(self, since: datetime | None) -> RequestRefused:
        """Return the error for a missing file: not uploaded yet, or deleted.

        `since` is when its recording ended; None if it is still being recorded.
        """
        if self._bucket is not None and (since is None or now() - since < self._wait):
            return NotStoredYet()
        return NotFound(GONE)

    # Writing.

    async def put(self, path: str, content: bytes) -> None:
        """Write a file atomically; replace an existing one."""
        if self._bucket is not None:
            await self._bucket.put(path, content)
        else:
            await asyncio.to_thread(_write, self._directory / path, content)

    async def add(self, organization_id: str, call_id: str, content: bytes) -> str:
        """Write one more file of a call, with a new name like its recordings'; return its path."""
        if self._bucket is not None:
            path = next(recordings.unique_names(organization_id, call_id))
            await self._bucket.put(path, content)
            return path
        return await asyncio.to_thread(_create, self._directory, organization_id, call_id, content)

    # Deleting.

    async def remove(self, path: str) -> bool:
        """Delete a file and its peaks; return whether it may have existed."""
        if not self._is_below(path):
            LOG.error("could not delete a recording: its path is not below the folder of recordings", path=path)
            return False
        if self._bucket is None:
            return await asyncio.to_thread(_remove, self._directory, path)
        for name in (path + recordings.PEAKS, path, path + recordings.PEAKS):
            await self._bucket.delete(name)
        return True

    async def of_call(self, organization_id: str, call_id: str) -> list[str]:
        """Return the paths of a call's existing recordings, in order."""
        if self._bucket is None:
            return await asyncio.to_thread(_existing, self._directory, recordings.names(organization_id, call_id))
        paths = await self._bucket.list_paths(recordings.prefix(organization_id, call_id))
        return list(dict.fromkeys(path.removesuffix(recordings.PEAKS) for path in paths))

    # Whole organizations, in a directory.  In a bucket, files without a row are for its owner to delete.

    async def organizations(self) -> list[str]:
        """Return the organizations that have a folder here."""
        return [] if self._bucket is not None else await asyncio.to_thread(_folders, self._directory)

    async def remove_some(self, organization_id: str, most: int) -> int:
        """Delete up to `most` files of an organization, and its folder with the last one; return how many."""
        return await asyncio.to_thread(_remove_some, self._directory / organization_id, most)

    def _is_below(self, path: str) -> bool:
        return (self._directory / path).resolve().is_relative_to(self._directory.resolve())


def _write(path: Path, content: bytes) -> None:
    private.directory(path.parent)
    part = path.with_name(f"{path.name}.{ids.new().hex}.part")
    try:
        with open(part, "wb", opener=private.opener) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _create(directory: Path, organization_id: str, call_id: str, content: bytes) -> str:
    for name in recordings.names(organization_id, call_id):
        private.directory((directory / name).parent)
        with suppress(FileExistsError):
            file = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, private.FILE)
            with os.fdopen(file, "wb") as raw:
                raw.write(content)
            return name
    raise AssertionError("there is always another name")


def _remove(directory: Path, path: str) -> bool:
    """Delete a file, and its peaks before and after: peaks that were being computed are written a moment later."""
    if not directory.is_dir():
        raise OSError(f"there are files to delete, but no folder {directory}: is its disk mounted?")
    peaks_path = peaks.path_for(directory / path)
    peaks_path.unlink(missing_ok=True)
    try:
        (directory / path).unlink()
    except FileNotFoundError:
        return False
    finally:
        peaks_path.unlink(missing_ok=True)
    return True


def _existing(directory: Path, names: Iterator[str]) -> list[str]:
    """Return the existing ones of an endless series of names."""
    existing, gap = [], 0
    for name in names:
        if (directory / name).exists():
            existing.append(name)
            gap = 0
        elif (gap := gap + 1) > MAX_GAP:
            break
    return existing


def _folders(directory: Path) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _remove_some(folder: Path, most: int) -> int:
    removed = 0
    for place, _, names in os.walk(folder, topdown=False):
        for name in names:
            if removed == most:
                return removed
            Path(place, name).unlink(missing_ok=True)
            removed += 1
        # Another worker was first, or a file was written meanwhile.
        with suppress(OSError):
            Path(place).rmdir()
    return removed
