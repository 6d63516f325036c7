"""The uploader of recordings: from this machine's disk to the bucket, and deleted here once the bucket has them whole.

    folder ─▶ wanted? ─▶ bucket ─▶ same size? ─▶ still wanted? ─▶ deleted here
                └─▶ no: deleted in the bucket, then here ◀── no ─┘

The local file is the only state.  Whatever crashes at any point, the next scan of the folder finds the file and begins again;
and an unwanted file stays here until it is deleted in the bucket.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta

from hum.clock import monotonic_ms, now
from hum.objects.bucket import Bucket, StoreFault, open_bucket
from hum.objects.multipart import Uploads
from hum.observe.logs import log
from hum.settings import MediaSettings
from hum.settings.recordings import BucketName
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.io.control import ControlUnavailable
from media.io.folder import Folder, PendingFile

#: Recordings that are sent to the bucket at the same time.
STORE_FILES = 4
#: Bytes of a part; a longer recording is sent in several, each with its checksum.
STORE_PART_BYTES = 5 << 20
#: Hours after which an upload in parts that nobody has ended is given up, so that its parts cost nothing.
STORE_ABANDONED_HOURS = 24.0

LOG = log(__name__)
#: Files that are checked with control, stored, and checked again, before the next ones.
BATCH_FILES = 32
#: Read from disk at a time, in a thread; the event loop only hands it on.
PIECE_BYTES = 256 << 10
#: A scan stops after this many failures.
MAX_FAILURES = 3
MOST_DOUBLINGS = 10

Check = Callable[[Sequence[str]], Awaitable[pb.CheckFilesResponse]]
"""Asks control which of these files are no longer wanted, or unknown.  Raises ControlUnavailable."""


class RateLimit:
    """A rate limit in bytes per second."""

    def __init__(self, bytes_per_second: int) -> None:
        self._per_ms, self._free_ms = bytes_per_second / 1000, 0.0

    async def acquire(self, size: int) -> None:
        """Wait until `size` more bytes may be sent."""
        at_ms = monotonic_ms()
        begins_ms = max(at_ms, self._free_ms)
        self._free_ms = begins_ms + size / self._per_ms
        if begins_ms > at_ms:
            await asyncio.sleep((begins_ms - at_ms) / 1000)


class Backoff:
    """The files that are skipped for a while, longer each time: those that failed, and those that control does not know."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first_ms, self._longest_ms = first_seconds * 1000, longest_seconds * 1000
        self._until_ms: dict[str, tuple[float, float]] = {}

    def __contains__(self, path: str) -> bool:
        return self._until_ms.get(path, (0.0, 0.0))[0] > monotonic_ms()

    def begin(self, path: str) -> bool:
        """Begin a file's next back-off; return whether it is the first."""
        _, before_ms = self._until_ms.get(path, (0.0, 0.0))
        wait_ms = min(2 * before_ms or self._first_ms, self._longest_ms)
        self._until_ms[path] = monotonic_ms() + wait_ms, wait_ms
        return not before_ms

    def retain(self, paths: frozenset[str]) -> None:
        """Forget the back-off of all other files."""
        self._until_ms = {path: entry for path, entry in self._until_ms.items() if path in paths}


class UploadHealth:
    """The state of recent scans, for the log and the metrics."""

    def __init__(self) -> None:
        self.failures = 0
        self._fault = ""

    def update(self, faults: Sequence[str], waiting: int) -> None:
        """Record the faults of a scan; log a change."""
        fault = faults[-1] if faults else ""
        if fault and fault != self._fault:
            LOG.error("could not store recordings in the bucket: they stay on this machine", error=fault, files=waiting)
        if not fault and self._fault:
            LOG.info("recordings are stored in the bucket again", files=waiting)
        self._fault = fault
        self.failures = self.failures + 1 if fault else 0
        metrics.STORE_FAILURES.set(self.failures)


class Uploader:
    """The uploader: `run` stores recordings until cancelled; `finish` stores the rest at shutdown."""

    def __init__(self, settings: MediaSettings, bucket: Bucket, check: Check, uploads: Uploads | None) -> None:
        self._settings, self._bucket, self._check, self._uploads = settings, bucket, check, uploads
        self._folder = Folder(settings.recordings_dir)
        self._rate_limit = RateLimit(settings.store_bytes_per_second)
        self._concurrency = asyncio.Semaphore(STORE_FILES)
        self._backoff = Backoff(settings.store_scan_seconds, settings.store_retry_seconds)
        self.health = UploadHealth()

    async def run(self) -> None:
        """Scan repeatedly while this process holds the folder's lock; after failures, with back-off."""
        scan_seconds, swept_ms = self._settings.store_scan_seconds, float("-inf")
        every_ms = STORE_ABANDONED_HOURS * 3_600_000 / 24
        while True:
            if await asyncio.to_thread(self._folder.acquire):
                try:
                    if monotonic_ms() - swept_ms > every_ms and await self._abort_abandoned():
                        swept_ms = monotonic_ms()
                    await self.scan()
                # The loop must survive a bug: otherwise all recordings would stay on this machine.
                except Exception:
                    LOG.exception("could not store recordings: this is a bug")
                    self.health.update(["this is a bug"], 0)
            doubled = scan_seconds * 2 ** min(self.health.failures, MOST_DOUBLINGS)
            await asyncio.sleep(min(doubled, max(scan_seconds, self._settings.store_retry_seconds)))

    async def finish(self, seconds: float) -> None:
        """Store the remaining recordings, for at most `seconds`, and release the folder to the next process."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._folder.acquire() and await self.scan() and not self.health.failures:  # noqa: ASYNC110 - once, at the end
                    await asyncio.sleep(self._settings.store_settle_seconds)
        self._folder.release()
        # The gauges are up to the process that acquires the folder next.
        _update_gauges([])

    async def scan(self) -> int:
        """Store the files in the folder; return the number of remaining ones that could be stored now."""
        left, faults, has_tried = dict[str, PendingFile](), list[str](), False
        try:
            left = {file.path: file for file in await asyncio.to_thread(self._folder.pending)}
            self._backoff.retain(frozenset(left))
            settled_at = now().timestamp() - self._settings.store_settle_seconds
            ready = sorted(
                (file for file in left.values() if file.changed_at <= settled_at and file.path not in self._backoff),
                key=lambda file: file.changed_at,
            )
            _update_gauges(left.values())
            while ready and len(faults) < MAX_FAILURES:
                has_tried, batch, ready = True, ready[:BATCH_FILES], ready[BATCH_FILES:]
                for path in await self._store_batch(batch, faults):
                    del left[path]
                _update_gauges(left.values())
        except ControlUnavailable as error:
            LOG.warning(
                "could not ask control which recordings are wanted: they stay on this machine", error=str(error)
            )
            has_tried = False
        except OSError as error:  # of this machine's disk
            faults.append(str(error))
        # Otherwise all files are in back-off, and this scan says nothing about the bucket.
        if has_tried or faults or not left:
            self.health.update(faults, len(left))
        return sum(path not in self._backoff for path in left)

    async def _store_batch(self, batch: Sequence[PendingFile], faults: list[str]) -> list[str]:
        """Store the wanted files and delete the stored or unwanted ones here; return the deleted ones.

        Raises ControlUnavailable, OSError.
        """
        unwanted, wanted = await self._classify([file.path for file in batch])
        sent = await asyncio.gather(*(self._attempt(path, self._upload, faults) for path in wanted))
        stored = [path for path, is_stored in zip(wanted, sent, strict=True) if is_stored]
        more, kept = await self._classify(stored) if stored else ([], [])
        await asyncio.to_thread(self._folder.delete, kept)
        unwanted = [*unwanted, *more]
        deleted = await asyncio.gather(*(self._attempt(path, self._delete_unwanted, faults) for path in unwanted))
        return kept + [path for path, is_deleted in zip(unwanted, deleted, strict=True) if is_deleted]

    async def _classify(self, paths: Sequence[str]) -> tuple[list[str], list[str]]:
        """Return the unwanted files and the wanted ones; put the unknown ones in back-off.  Raises ControlUnavailable."""
        verdict = await self._check(paths)
        unwanted, unknown = frozenset(verdict.unwanted), frozenset(verdict.unknown)
        for path in unknown:
            if self._backoff.begin(path):
                LOG.warning("control does not know a recording's call: the recording stays on this machine", path=path)
        wanted = [path for path in paths if path not in unknown and path not in unwanted]
        return [path for path in paths if path in unwanted and path not in unknown], wanted

    async def _attempt(self, path: str, step: Callable[[str], Awaitable[str]], faults: list[str]) -> bool:
        """Run a step for a file; return False if it failed, or there was nothing to do."""
        async with self._concurrency:
            try:
                outcome = await step(path)
            except FileNotFoundError:
                return False
            except (StoreFault, OSError) as error:
                faults.append(str(error))
                self._backoff.begin(path)
                metrics.STORED.labels("failed").inc()
                return False
        if outcome:
            metrics.STORED.labels(outcome).inc()
        return bool(outcome)

    async def _upload(self, path: str) -> str:
        """Upload a file; return "stored", or "" if it is being written.  Raises StoreFault, OSError."""
        with self._folder.open(path) as file:
            if file is None:
                return ""
            size, part_bytes = os.fstat(file).st_size, STORE_PART_BYTES
            if size <= part_bytes:
                await self._rate_limit.acquire(size)
                await self._bucket.put(path, await asyncio.to_thread(os.pread, file, size, 0))
            else:
                await self._bucket.put_parts(path, self._pieces(file, size), part_bytes)
            if (stored_bytes := await self._bucket.size(path)) != size:
                raise StoreFault(f"the bucket has {stored_bytes} bytes of {size} that it has acknowledged")
        metrics.STORED_BYTES.inc(size)
        return "stored"

    async def _pieces(self, file: int, size: int) -> AsyncIterator[bytes]:
        at = 0
        while at < size and (piece := await asyncio.to_thread(os.pread, file, min(PIECE_BYTES, size - at), at)):
            await self._rate_limit.acquire(len(piece))
            yield piece
            at += len(piece)

    async def _delete_unwanted(self, path: str) -> str:
        """Delete an unwanted file in the bucket, then here; return "unwanted".  Raises StoreFault, OSError."""
        await self._bucket.delete(path)
        await asyncio.to_thread(self._folder.delete, [path])
        return "unwanted"

    async def _abort_abandoned(self) -> bool:
        """Abort abandoned multipart uploads; return False if that failed.

        Those are the old ones, and those of files in this folder: only this process stores these, and none is in flight now.
        """
        if self._uploads is None:
            return True
        old = now() - timedelta(hours=STORE_ABANDONED_HOURS)
        try:
            local = {file.path for file in await asyncio.to_thread(self._folder.pending)}
            for upload in await self._uploads.open_ones():
                if upload.began_at < old or upload.path in local:
                    await self._uploads.abort(upload)
                    metrics.ABANDONED.inc()
                    LOG.info("aborted an abandoned multipart upload", path=upload.path)
        except (StoreFault, OSError) as error:
            LOG.warning("could not abort abandoned multipart uploads", error=str(error))
            return False
        return True


def _update_gauges(pending: Iterable[PendingFile]) -> None:
    """Set the gauges of the files that are not in the bucket yet."""
    files = list(pending)
    metrics.UNSTORED_FILES.set(len(files))
    metrics.UNSTORED_BYTES.set(sum(file.size for file in files))
    oldest = min((file.changed_at for file in files), default=None)
    metrics.UNSTORED_SECONDS.set(0 if oldest is None else max(0.0, now().timestamp() - oldest))


def build_uploader(settings: MediaSettings, name: BucketName, check: Check) -> Uploader:
    """Return the uploader of this machine's recordings.

    Without keys, with a machine's role, it can't abort abandoned uploads: the bucket needs a lifecycle rule for that.
    """
    uploads = Uploads(settings, name) if settings.s3_access_key_id else None
    return Uploader(settings, open_bucket(settings, name), check, uploads)
