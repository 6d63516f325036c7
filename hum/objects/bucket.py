"""A bucket that speaks S3.  Requests are made, signed and repeated by obstore's own threads, beside the event loop."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from hum.errors import StoreUnavailable
from hum.settings import RecordingSettings
from hum.settings.recordings import BucketName
from hum.telemetry import log

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

LOG = log(__name__)
#: What is read at a time: whoever reads slowly holds no request open.
READ_BYTES = 1 << 20
LIST_CHUNK = 100
MAX_FAULT_CHARS = 300
#: Parts of one object under way at a time; each is in memory.
PARTS_AT_ONCE = 2
CHECKSUM = "SHA256"


class StoreFault(StoreUnavailable):
    """As clients see it; `fault` is what the store said, for the log."""

    def __init__(self, fault: str) -> None:
        super().__init__(StoreUnavailable.__doc__ or "")
        self.fault = fault

    def __str__(self) -> str:
        return self.fault


class Bucket:
    """Objects below a prefix.  Every method raises StoreFault when the store does not do what it should."""

    def __init__(self, store: "ObjectStore", prefix: str = "") -> None:
        self._store, self._prefix = store, prefix

    async def size(self, path: str) -> int | None:
        """None when there is no such object."""
        try:
            with _faults():
                return (await obstore.head_async(self._store, self._prefix + path))["size"]
        except FileNotFoundError:
            return None

    async def read(self, path: str, first: int, size: int) -> AsyncIterator[bytes]:
        """Bytes of an object, which has them: what is stored does not change.  Raises FileNotFoundError."""
        end = first + size
        while first < end:
            with _faults():
                piece = await obstore.get_range_async(
                    self._store, self._prefix + path, start=first, end=min(first + READ_BYTES, end)
                )
            if not len(piece):
                return
            yield bytes(piece)
            first += len(piece)

    async def load(self, path: str) -> bytes:
        """A whole object, which must be small.  Raises FileNotFoundError."""
        with _faults():
            found = await obstore.get_async(self._store, self._prefix + path)
            return bytes(await found.bytes_async())

    async def put(self, path: str, content: bytes) -> None:
        """Store an object, all of it or nothing; the store checks its sum."""
        with _faults():
            await obstore.put_async(self._store, self._prefix + path, content, use_multipart=False)

    async def put_parts(self, path: str, pieces: AsyncIterator[bytes], part_bytes: int) -> None:
        """As `put`, in parts; it is there once it is whole.  When `pieces` raise, so does this, and nothing is there."""
        with _faults():
            await obstore.put_async(
                self._store, self._prefix + path, pieces, chunk_size=part_bytes, max_concurrency=PARTS_AT_ONCE
            )

    async def delete(self, path: str) -> None:
        """Delete an object; one that is not there is none."""
        try:
            with _faults():
                await obstore.delete_async(self._store, self._prefix + path)
        except FileNotFoundError:
            return

    async def named(self, beginning: str) -> list[str]:
        """The paths that begin so, which has a folder in it."""
        folder = self._prefix + beginning.rpartition("/")[0]
        # What a path must be behind of: the least text that is before all that begin so.
        offset = self._prefix + beginning[:-1] + chr(ord(beginning[-1]) - 1)
        found: list[str] = []
        with _faults():
            async for chunk in obstore.list(self._store, folder, offset=offset, chunk_size=LIST_CHUNK):
                paths = [each["path"].removeprefix(self._prefix) for each in chunk]
                found += [path for path in paths if path.startswith(beginning)]
                if paths and paths[-1] > beginning and not paths[-1].startswith(beginning):
                    break
        return found


async def probe(bucket: Bucket) -> None:
    """Put an object, get it, and delete it, as recordings are.  Raises StoreFault."""
    path, content = f"hum-probe-{secrets.token_hex(8)}", secrets.token_bytes(64)
    await bucket.put(path, content)
    try:
        if await bucket.load(path) != content:
            raise StoreFault("what was put there is not what is read")
    except FileNotFoundError:
        raise StoreFault("what was put there is not there") from None
    finally:
        await bucket.delete(path)
    if await bucket.size(path) is not None:
        raise StoreFault("what was deleted there is still there")


@contextmanager
def _faults() -> Iterator[None]:
    """What obstore raises, as StoreFault; FileNotFoundError stays."""
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as error:
        fix = "check HUM_S3_ACCESS_KEY_ID, HUM_S3_SECRET_ACCESS_KEY and the bucket's policy"
        raise StoreFault(f"the store refuses our key: {_line(error)}; {fix}") from error
    except BaseError as error:
        raise StoreFault(_line(error)) from error


def _line(error: BaseError) -> str:
    """What the store said, in a line."""
    return " ".join(str(error).split())[:MAX_FAULT_CHARS]


def opened(settings: RecordingSettings, name: BucketName) -> Bucket:
    """The bucket of this deployment; nothing is asked of it yet."""
    config: S3Config = {"region": settings.s3_region, "checksum_algorithm": CHECKSUM}
    if settings.s3_access_key_id:
        config |= {"access_key_id": settings.s3_access_key_id, "secret_access_key": settings.s3_secret_access_key}
    if settings.s3_endpoint:
        config |= {"endpoint": settings.s3_endpoint, "virtual_hosted_style_request": False}
    if settings.s3_encryption:
        config["server_side_encryption"] = settings.s3_encryption
    if settings.s3_kms_key_id:
        config["sse_kms_key_id"] = settings.s3_kms_key_id
    client: ClientConfig = {
        "allow_http": settings.s3_endpoint.startswith("http://"),
        "connect_timeout": timedelta(seconds=settings.s3_connect_seconds),
        "timeout": timedelta(seconds=settings.s3_request_seconds),
    }
    retry: RetryConfig = {
        "max_retries": settings.s3_retries,
        "retry_timeout": timedelta(seconds=settings.s3_retry_seconds),
    }
    return Bucket(S3Store(name.bucket, config=config, client_options=client, retry_config=retry), name.prefix)
