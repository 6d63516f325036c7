"""A bucket that speaks S3.  obstore's own threads send, sign and retry requests, outside the event loop."""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from hum.contract.errors import StoreUnavailable
from hum.observe.logs import log
from hum.settings import RecordingSettings
from hum.settings.recordings import BucketName

if TYPE_CHECKING:
    from obstore.store import ClientConfig, ObjectStore, RetryConfig, S3Config

LOG = log(__name__)
#: Bytes of one read: a slow reader keeps no request open.
READ_BYTES = 1 << 20
#: The most bytes of an object that is loaded whole.
MOST_LOADED_BYTES = 64 << 20
LIST_CHUNK = 100
MAX_FAULT_CHARS = 300
#: Parts of one object in flight at a time; each is in memory.
PARTS_AT_ONCE = 2
CHECKSUM = "SHA256"
#: Encryption with a key of the store's key service; the setting may name the key after it.
KMS = "aws:kms"


class StoreFault(StoreUnavailable):
    """The store failed.  Clients see the generic message; `fault` is the store's own, for the log."""

    def __init__(self, fault: str) -> None:
        super().__init__(StoreUnavailable.__doc__ or "")
        self.fault = fault

    def __str__(self) -> str:
        return self.fault


class Bucket:
    """Objects below a prefix.  Every method raises StoreFault if the store fails."""

    def __init__(self, store: "ObjectStore", prefix: str = "") -> None:
        self._store, self._prefix = store, prefix

    async def size(self, path: str) -> int | None:
        """Return an object's size in bytes, or None if there is no such object."""
        try:
            with _faults():
                return (await obstore.head_async(self._store, self._prefix + path))["size"]
        except FileNotFoundError:
            return None

    async def read(self, path: str, first: int, size: int) -> AsyncIterator[bytes]:
        """Yield `size` bytes of an object from `first`; stored objects never change.  Raises FileNotFoundError."""
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
        """Return a whole object, which must be small.  Raises FileNotFoundError."""
        with _faults():
            answer = await obstore.get_async(self._store, self._prefix + path)
            if answer.meta["size"] > MOST_LOADED_BYTES:
                raise StoreFault(f"an object of {answer.meta['size']} bytes, which is not small")
            return bytes(await answer.bytes_async())

    async def put(self, path: str, content: bytes) -> None:
        """Store an object atomically; the store verifies its checksum."""
        with _faults():
            await obstore.put_async(self._store, self._prefix + path, content, use_multipart=False)

    async def put_parts(self, path: str, pieces: AsyncIterator[bytes], part_bytes: int) -> None:
        """Store an object in parts; it exists once it is whole.

        If `pieces` raises, so does this, and no object exists.
        """
        with _faults():
            await obstore.put_async(
                self._store, self._prefix + path, pieces, chunk_size=part_bytes, max_concurrency=PARTS_AT_ONCE
            )

    async def delete(self, path: str) -> None:
        """Delete an object; do nothing if it does not exist."""
        try:
            with _faults():
                await obstore.delete_async(self._store, self._prefix + path)
        except FileNotFoundError:
            return

    async def list_paths(self, prefix: str) -> list[str]:
        """Return the paths with this prefix, which must contain a folder."""
        folder = self._prefix + prefix.rpartition("/")[0]
        # List after this key: a text just before the first path with the prefix.
        offset = self._prefix + prefix[:-1] + chr(ord(prefix[-1]) - 1)
        matches: list[str] = []
        with _faults():
            async for chunk in obstore.list(self._store, folder, offset=offset, chunk_size=LIST_CHUNK):
                paths = [entry["path"].removeprefix(self._prefix) for entry in chunk]
                matches += [path for path in paths if path.startswith(prefix)]
                if paths and paths[-1] > prefix and not paths[-1].startswith(prefix):
                    break
        return matches


async def probe(bucket: Bucket) -> None:
    """Put an object, get it, and delete it, as is done with recordings.  Raises StoreFault."""
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
    """Convert obstore's errors to StoreFault, except FileNotFoundError."""
    try:
        yield
    except (PermissionDeniedError, UnauthenticatedError) as error:
        fix = "check HUM_S3_ACCESS_KEY_ID, HUM_S3_SECRET_ACCESS_KEY and the bucket's policy"
        raise StoreFault(f"the store refuses our key: {_line(error)}; {fix}") from error
    except BaseError as error:
        raise StoreFault(_line(error)) from error


def _line(error: BaseError) -> str:
    """Return the store's error in one line."""
    return " ".join(str(error).split())[:MAX_FAULT_CHARS]


def open_bucket(settings: RecordingSettings, name: BucketName) -> Bucket:
    """Return the bucket of this deployment, without a request to it."""
    config: S3Config = {"region": settings.s3_region, "checksum_algorithm": CHECKSUM}
    if settings.s3_access_key_id:
        config |= {"access_key_id": settings.s3_access_key_id, "secret_access_key": settings.s3_secret_access_key}
    if settings.s3_endpoint:
        config |= {"endpoint": settings.s3_endpoint, "virtual_hosted_style_request": False}
    is_kms = settings.s3_encryption.startswith(KMS)
    if settings.s3_encryption:
        config["server_side_encryption"] = KMS if is_kms else settings.s3_encryption
    if is_kms and (key := settings.s3_encryption.removeprefix(KMS).removeprefix(":")):
        config["sse_kms_key_id"] = key
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
