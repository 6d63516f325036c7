"""Downloads of recordings, whole or as a byte range (RFC 9110, 14.1.2: a single range of bytes).

A call has a file for each of its streams.  They are sent as one, with each stream at its time in the call, so that a
turn's `start_ms` is its position.  Where there was no stream, or a file is gone, there is silence.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from google.api import httpbody_pb2
from grpc import aio

from control.existencechecks import ExistenceChecks
from hum import rpc
from hum.contract.errors import NotFound, NotStoredYet, RequestRefused
from hum.objects.files import CHUNK_BYTES, GONE, Files
from hum.wave import BLOCK, BYTES_PER_MS, ENDLESS, HEADER, header
from storage.recordings import RecordingRow

#: Cache for a year, only in the browser, and only for the credential of this request.
CACHED = {"cache-control": "private, max-age=31536000, immutable", "vary": "Authorization, Cookie"}
#: The time of files that were in the store before their row was written.
LONG_AGO = datetime.fromtimestamp(0, UTC)
#: Bounded digits: longer numbers are beyond any file, and expensive to parse.
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class RangeNotSatisfiable(RequestRefused):
    """The range is beyond the end of the recording."""

    code: ClassVar[str] = "OUT_OF_RANGE"
    reason = "RANGE_NOT_SATISFIABLE"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a download: `head`, or those of a file from `first` on, or silence without either."""

    size: int
    path: str | None = None
    first: int = 0
    head: bytes = b""

    def between(self, first: int, end: int) -> "Piece":
        """Return the bytes from `first` up to `end` (not included) of this piece."""
        return Piece(end - first, self.path, self.first + first, self.head[first:end])

    async def read(self, files: Files) -> AsyncIterator[bytes]:
        """Yield the piece in chunks.  Raises NotFound if its file is gone."""
        remaining = self.size
        if self.head:
            yield self.head
            return
        if self.path is not None:
            try:
                async for chunk in files.read(self.path, self.first, self.size):
                    remaining -= len(chunk)
                    yield chunk
            except FileNotFoundError:
                raise NotFound(GONE) from None
        # If the file was truncated, silence keeps the following pieces at their position.
        while remaining > 0:
            yield bytes(min(CHUNK_BYTES, remaining))
            remaining -= CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `first` to `last` (included) of a download."""

    pieces: Sequence[Piece]
    first: int
    last: int
    total: int
    partial: bool

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the HTTP status and headers with which the gateway answers."""
        headers = {
            "status": "206" if self.partial else "200",
            "content-length": str(self.last - self.first + 1),
            "accept-ranges": "bytes",
        }
        if self.partial:
            headers["content-range"] = f"bytes {self.first}-{self.last}/{self.total}"
        return tuple((rpc.HTTP_PREFIX + name, value) for name, value in headers.items())

    async def read(self, files: Files) -> AsyncIterator[bytes]:
        """Yield the part in chunks.  Raises NotFound if a file is gone."""
        position = 0
        for piece in self.pieces:
            first, end = max(self.first - position, 0), min(self.last + 1 - position, piece.size)
            if first < end:
                async for chunk in piece.between(first, end).read(files):
                    yield chunk
            position += piece.size


@dataclass(frozen=True, slots=True)
class DownloadHeaders:
    """The media type and the further headers of a download."""

    media_type: str = "audio/wav"
    headers: Sequence[tuple[str, str]] = ()


WAV = DownloadHeaders()


async def send(
    context: "aio.ServicerContext[Any, Any]",
    files: Files,
    pieces: Sequence[Piece],
    byte_range: str,
    checks: ExistenceChecks,
    presentation: DownloadHeaders = WAV,
) -> AsyncIterator[httpbody_pb2.HttpBody]:
    """Send the part that a `Range` header requests, as the response of an RPC.

    Raises RangeNotSatisfiable, and NotFound if the file is gone or `checks` ends the download.
    """
    part = part_of(pieces, byte_range)
    more = ((rpc.HTTP_PREFIX + name, value) for name, value in presentation.headers)
    await context.send_initial_metadata((*part.metadata(), *more))
    async for chunk in part.read(files):
        if not await checks.may_continue():
            raise NotFound(GONE)
        yield httpbody_pb2.HttpBody(content_type=presentation.media_type, data=chunk)


async def send_bytes(
    context: "aio.ServicerContext[Any, Any]", data: bytes, *, is_final: bool
) -> AsyncIterator[httpbody_pb2.HttpBody]:
    """Send a small file as the response of an RPC; `is_final`: it will not change, so browsers may cache it."""
    headers = {"status": "200", "content-length": str(len(data)), **(CACHED if is_final else {})}
    await context.send_initial_metadata(tuple((rpc.HTTP_PREFIX + name, value) for name, value in headers.items()))
    yield httpbody_pb2.HttpBody(content_type="application/octet-stream", data=data)


async def whole(files: Files, stored_path: str, since: datetime = LONG_AGO) -> list[Piece]:
    """Return a whole file as a piece; `since`: when it was written, unless it was stored at once.

    Raises NotFound if it is gone, NotStoredYet, StoreUnavailable.
    """
    size = await files.size(stored_path)
    if size is None:
        raise files.missing(since)
    return [Piece(size, stored_path)]


async def joined(files: Files, streams: Sequence[RecordingRow]) -> list[Piece]:
    """Join a call's recordings into one WAV, in which each stream lasts until the next one begins.

    Raises NotFound if all are gone, NotStoredYet, StoreUnavailable.
    """
    rows = await sizes(files, streams)
    sound: list[Piece] = []
    position = 0
    for n, (row, size) in enumerate(rows):
        start = row.offset_ms * BYTES_PER_MS
        # By the size, not by the header: a process that was killed may not have updated the header.
        end = start + max(0, size - HEADER.size) // BLOCK * BLOCK
        if n + 1 < len(rows):
            end = min(end, rows[n + 1][0].offset_ms * BYTES_PER_MS)
        sound += [Piece(start - position), Piece(end - start, row.path, HEADER.size)]
        position = end
    head = header(min(position, ENDLESS))
    return [Piece(len(head), head=head), *sound]


async def sizes(files: Files, streams: Sequence[RecordingRow]) -> list[tuple[RecordingRow, int]]:
    """Return the recordings with existing files, and their sizes, in the order of their offsets.

    Raises NotFound if all are gone, NotStoredYet, StoreUnavailable.
    """
    rows = [(row, await files.size(row.path)) for row in streams]
    for row in (row for row, size in rows if size is None):
        if isinstance(missing := files.missing(row.ended_at), NotStoredYet):
            raise missing
    existing = [(row, size) for row, size in rows if size is not None]
    if not existing:
        raise NotFound(GONE)
    return sorted(existing, key=lambda pair: pair[0].offset_ms)


def part_of(pieces: Sequence[Piece], byte_range: str) -> Part:
    """Return the part that a `Range` header requests, or everything if it is empty or not understood.

    Raises RangeNotSatisfiable.
    """
    total = sum(piece.size for piece in pieces)
    match = _RANGE.fullmatch(byte_range.strip())
    if match is None or match.group(1) == match.group(2) == "":
        return Part(pieces, 0, total - 1, total, partial=False)
    if not match.group(1):  # the last n bytes
        first, last = max(0, total - int(match.group(2))), total - 1
    else:
        first = int(match.group(1))
        last = min(int(match.group(2)) if match.group(2) else total - 1, total - 1)
    if first > last:
        raise RangeNotSatisfiable(total=str(total))
    return Part(pieces, first, last, total, partial=True)
