"""Brings recordings to the bucket: written to this machine's disk first, and deleted there once the bucket has them whole.

    folder ─▶ wanted? ─▶ bucket ─▶ as long as here? ─▶ still wanted? ─▶ deleted here
                └─▶ no: deleted in the bucket, then here ◀── no ─┘

The local file is all the state there is: whatever dies where, the next look at the folder finds it and begins it again, and one that
is wanted no more is here until it is gone in the bucket.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from datetime import timedelta

from hum.clock import monotonic_ms, now
from hum.objects.bucket import Bucket, StoreFault, opened
from hum.objects.multipart import Uploads
from hum.settings import MediaSettings
from hum.settings.recordings import BucketName
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.io.control import Unavailable
from media.io.folder import Folder, PendingFile

LOG = log(__name__)
#: So many files are asked about, stored and asked about again before the next ones.
BATCH_FILES = 32
#: Read from disk at a time, in a thread; the event loop only hands it on.
PIECE_BYTES = 256 << 10
#: After so many failures in one look the bucket is left alone for a while.
MAX_FAILURES = 3
MOST_DOUBLINGS = 10

Check = Callable[[Sequence[str]], Awaitable[pb.CheckFilesResponse]]
"""Asks control which of these files are wanted no more, or unknown.  Raises Away."""


class RateLimit:
    """Lets so many bytes a second pass."""

    def __init__(self, bytes_per_second: int) -> None:
        self._per_ms, self._free_ms = bytes_per_second / 1000, 0.0

    async def acquire(self, size: int) -> None:
        """Wait until this many more bytes may be sent."""
        at_ms = monotonic_ms()
        begins_ms = max(at_ms, self._free_ms)
        self._free_ms = begins_ms + size / self._per_ms
        if begins_ms > at_ms:
            await asyncio.sleep((begins_ms - at_ms) / 1000)


class Backoff:
    """Files that are left alone for a while: those that failed, each time for longer, and those of which nothing is known."""

    def __init__(self, first_seconds: float, longest_seconds: float) -> None:
        self._first_ms, self._longest_ms = first_seconds * 1000, longest_seconds * 1000
        self._until_ms: dict[str, tuple[float, float]] = {}

    def __contains__(self, path: str) -> bool:
        return self._until_ms.get(path, (0.0, 0.0))[0] > monotonic_ms()

    def begin(self, path: str) -> bool:
        """This one rests from now on; returns whether that is the first time."""
        _, before_ms = self._until_ms.get(path, (0.0, 0.0))
        wait_ms = min(2 * before_ms or self._first_ms, self._longest_ms)
        self._until_ms[path] = monotonic_ms() + wait_ms, wait_ms
        return not before_ms

    def retain(self, paths: frozenset[str]) -> None:
        """Forget all but these."""
        self._until_ms = {path: rest for path, rest in self._until_ms.items() if path in paths}


class UploadHealth:
    """How it went lately, for the log and the metrics."""

    def __init__(self) -> None:
        self.failures = 0
        self._fault = ""

    def update(self, faults: Sequence[str], waiting: int) -> None:
        """Note how a look went; say so when that has changed."""
        fault = faults[-1] if faults else ""
        if fault and fault != self._fault:
            LOG.error("recordings can't be stored; they wait on this machine", error=fault, files=waiting)
        if not fault and self._fault:
            LOG.info("recordings are stored again", files=waiting)
        self._fault = fault
        self.failures = self.failures + 1 if fault else 0
        metrics.STORE_FAILURES.set(self.failures)


class Uploader:
    """`run` stores until it is cancelled; `finish` goes on for a while without it."""

    def __init__(self, settings: MediaSettings, bucket: Bucket, check: Check, uploads: Uploads | None) -> None:
        self._settings, self._bucket, self._check, self._uploads = settings, bucket, check, uploads
        self._folder = Folder(settings.recordings_dir)
        self._rate_limit = RateLimit(settings.store_bytes_per_second)
        self._concurrency = asyncio.Semaphore(settings.store_files)
        self._backoff = Backoff(settings.store_scan_seconds, settings.store_retry_seconds)
        self.health = UploadHealth()

    async def run(self) -> None:
        """Store what is there, again and again, while this process has the folder."""
        scan_seconds, swept_ms = self._settings.store_scan_seconds, float("-inf")
        every_ms = self._settings.store_abandoned_hours * 3_600_000 / 24
        while True:
            if await asyncio.to_thread(self._folder.acquire):
                try:
                    if monotonic_ms() - swept_ms > every_ms and await self._abort_abandoned():
                        swept_ms = monotonic_ms()
                    await self.scan()
                except Exception:  # whatever it was, recordings must not stay here for ever
                    LOG.exception("recordings could not be stored: this is a bug")
                    self.health.update(["this is a bug"], 0)
            doubled = scan_seconds * 2 ** min(self.health.failures, MOST_DOUBLINGS)
            await asyncio.sleep(min(doubled, max(scan_seconds, self._settings.store_retry_seconds)))

    async def finish(self, seconds: float) -> None:
        """Store what is left, for at most so long, and leave the folder: whoever has it next stores the rest."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._folder.acquire() and await self.scan() and not self.health.failures:  # noqa: ASYNC110 - once, at the end
                    await asyncio.sleep(self._settings.store_settle_seconds)
        self._folder.release()
        _update_gauges([])  # of the process that has it now

    async def scan(self) -> int:
        """Store what is there; return how many files could be stored and are not yet."""
        left, faults, has_tried = dict[str, PendingFile](), list[str](), False
        try:
            left = {each.path: each for each in await asyncio.to_thread(self._folder.pending)}
            self._backoff.retain(frozenset(left))
            settled_at = now().timestamp() - self._settings.store_settle_seconds
            ready = sorted(
                (each for each in left.values() if each.changed_at <= settled_at and each.path not in self._backoff),
                key=lambda each: each.changed_at,
            )
            _update_gauges(left.values())
            while ready and len(faults) < MAX_FAILURES:
                has_tried, batch, ready = True, ready[:BATCH_FILES], ready[BATCH_FILES:]
                for path in await self._store_batch(batch, faults):
                    del left[path]
                _update_gauges(left.values())
        except Unavailable as error:
            LOG.warning("recordings wait: control does not say which are wanted", error=str(error))
            has_tried = False
        except OSError as error:  # of this machine's disk
            faults.append(str(error))
        if has_tried or faults or not left:  # else those that failed rest, and nothing is known anew
            self.health.update(faults, len(left))
        return sum(path not in self._backoff for path in left)

    async def _store_batch(self, batch: Sequence[PendingFile], faults: list[str]) -> list[str]:
        """Store these, and delete what is stored or not wanted; which are gone here.  Raises Away, OSError."""
        unwanted, wanted = await self._classify([each.path for each in batch])
        sent = await asyncio.gather(*(self._attempt(path, self._upload, faults) for path in wanted))
        stored = [path for path, is_stored in zip(wanted, sent, strict=True) if is_stored]
        more, kept = await self._classify(stored) if stored else ([], [])
        await asyncio.to_thread(self._folder.delete, kept)
        forgotten = [*unwanted, *more]
        gone = await asyncio.gather(*(self._attempt(path, self._delete_unwanted, faults) for path in forgotten))
        return kept + [path for path, is_gone in zip(forgotten, gone, strict=True) if is_gone]

    async def _classify(self, paths: Sequence[str]) -> tuple[list[str], list[str]]:
        """Those that are wanted no more, and those that are; not those of which nothing is known.  Raises Away."""
        verdict = await self._check(paths)
        unwanted, unknown = frozenset(verdict.unwanted), frozenset(verdict.unknown)
        for path in unknown:
            if self._backoff.begin(path):
                LOG.warning("nothing is known of a recording's call; it stays on this machine", path=path)
        known = [path for path in paths if path not in unknown]
        return [path for path in known if path in unwanted], [path for path in known if path not in unwanted]

    async def _attempt(self, path: str, step: Callable[[str], Awaitable[str]], faults: list[str]) -> bool:
        """Take a step for a file; False if that failed, or there was nothing to do."""
        async with self._concurrency:
            try:
                how = await step(path)
            except FileNotFoundError:
                return False
            except (StoreFault, OSError) as error:
                faults.append(str(error))
                self._backoff.begin(path)
                metrics.STORED.labels("failed").inc()
                return False
        if how:
            metrics.STORED.labels(how).inc()
        return bool(how)

    async def _upload(self, path: str) -> str:
        """Store a file, unless it is being written.  Raises StoreFault, OSError."""
        with self._folder.open(path) as file:
            if file is None:
                return ""
            size, part_bytes = os.fstat(file).st_size, self._settings.store_part_bytes
            if size <= part_bytes:
                await self._rate_limit.acquire(size)
                await self._bucket.put(path, await asyncio.to_thread(os.pread, file, size, 0))
            else:
                await self._bucket.put_parts(path, self._pieces(file, size), part_bytes)
            if (there := await self._bucket.size(path)) != size:
                raise StoreFault(f"the store has {there} bytes of {size} that it has acknowledged")
        metrics.STORED_BYTES.inc(size)
        return "stored"

    async def _pieces(self, file: int, size: int) -> AsyncIterator[bytes]:
        at = 0
        while at < size and (piece := await asyncio.to_thread(os.pread, file, min(PIECE_BYTES, size - at), at)):
            await self._rate_limit.acquire(len(piece))
            yield piece
            at += len(piece)

    async def _delete_unwanted(self, path: str) -> str:
        """Delete what nobody wants, there and then here.  Raises StoreFault, OSError."""
        await self._bucket.delete(path)
        await asyncio.to_thread(self._folder.delete, [path])
        return "unwanted"

    async def _abort_abandoned(self) -> bool:
        """Give up uploads in parts that nobody will end; False if that failed.

        Those are old ones, and those of this folder's files: only this process stores these, and it has none under way now.
        """
        if self._uploads is None:
            return True
        old = now() - timedelta(hours=self._settings.store_abandoned_hours)
        try:
            here = {each.path for each in await asyncio.to_thread(self._folder.pending)}
            for upload in await self._uploads.open_ones():
                if upload.began_at < old or upload.path in here:
                    await self._uploads.abort(upload)
                    metrics.ABANDONED.inc()
                    LOG.info("an upload that nobody ended was given up", path=upload.path)
        except (StoreFault, OSError) as error:
            LOG.warning("uploads that nobody ended were not given up", error=str(error))
            return False
        return True


def _update_gauges(waiting: Iterable[PendingFile]) -> None:
    """What waits for the bucket."""
    files = list(waiting)
    metrics.UNSTORED_FILES.set(len(files))
    metrics.UNSTORED_BYTES.set(sum(each.size for each in files))
    oldest = min((each.changed_at for each in files), default=None)
    metrics.UNSTORED_SECONDS.set(0 if oldest is None else max(0.0, now().timestamp() - oldest))


def build(settings: MediaSettings, name: BucketName, check: Check) -> Uploader:
    """What brings this machine's recordings to the bucket.  With a machine's role, the bucket has to give up uploads itself."""
    uploads = Uploads(settings, name) if settings.s3_access_key_id else None
    return Uploader(settings, opened(settings, name), check, uploads)
