"""Recordings as they are sent, whole or a byte range of them (RFC 9110, 14.1.2: one range of bytes).

A call has a file for each of its streams.  It is heard as one: every stream where it was in the call, so that a turn's
`start_ms` is its position, with silence where there was no stream, or where a file is gone.
"""

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from google.api import httpbody_pb2
from grpc import aio

from control.rechecks import Rechecks
from hum import rpc
from hum.errors import NotFound, NotStoredYet, Refused
from hum.objects.files import CHUNK_BYTES, GONE, Files
from hum.wave import BLOCK, BYTES_PER_MS, ENDLESS, HEADER, header
from storage.recordings import RecordingRow

#: For a year, by the browser alone, and for whoever is signed in now.
KEPT = {"cache-control": "private, max-age=31536000, immutable", "vary": "Authorization, Cookie"}
#: Of what was in the store before anybody knew of it.
LONG_AGO = datetime.fromtimestamp(0, UTC)
#: Numbers of more digits are no place in a file, and cost more to read than they are worth.
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class RangeNotSatisfiable(Refused):
    """The range is beyond the end of the recording."""

    code: ClassVar[str] = "OUT_OF_RANGE"
    reason = "RANGE_NOT_SATISFIABLE"


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a sound: `head`, or those of a file from `first` on, or else silence."""

    size: int
    path: str | None = None
    first: int = 0
    head: bytes = b""

    def between(self, first: int, end: int) -> "Piece":
        return Piece(end - first, self.path, self.first + first, self.head[first:end])

    async def read(self, files: Files) -> AsyncIterator[bytes]:
        """Raises NotFound when the file is gone."""
        left = self.size
        if self.head:
            yield self.head
            return
        if self.path is not None:
            try:
                async for chunk in files.read(self.path, self.first, self.size):
                    left -= len(chunk)
                    yield chunk
            except FileNotFoundError:
                raise NotFound(GONE) from None
        while left > 0:  # what follows stays in its place, though the file has lost its end
            yield bytes(min(CHUNK_BYTES, left))
            left -= CHUNK_BYTES


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `first` to `last` (included) of a sound."""

    pieces: Sequence[Piece]
    first: int
    last: int
    total: int
    partial: bool

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """The HTTP status and headers that the gateway answers with."""
        headers = {
            "status": "206" if self.partial else "200",
            "content-length": str(self.last - self.first + 1),
            "accept-ranges": "bytes",
        }
        if self.partial:
            headers["content-range"] = f"bytes {self.first}-{self.last}/{self.total}"
        return tuple((rpc.HTTP_PREFIX + name, value) for name, value in headers.items())

    async def read(self, files: Files) -> AsyncIterator[bytes]:
        """Raises NotFound when a file is gone."""
        at = 0
        for piece in self.pieces:
            first, end = max(self.first - at, 0), min(self.last + 1 - at, piece.size)
            if first < end:
                async for chunk in piece.between(first, end).read(files):
                    yield chunk
            at += piece.size


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client is told of a file besides its size."""

    media_type: str = "audio/wav"
    headers: Sequence[tuple[str, str]] = ()


WAV = Shown()


async def send(
    context: "aio.ServicerContext[Any, Any]",
    files: Files,
    pieces: Sequence[Piece],
    byte_range: str,
    rechecks: Rechecks,
    shown: Shown = WAV,
) -> AsyncIterator[httpbody_pb2.HttpBody]:
    """The part of a file that a `Range` header asks for, as the answer of an RPC.  Raises as `part_of`, and NotFound when
    the download may no longer go on.
    """
    part = part_of(pieces, byte_range)
    more = ((rpc.HTTP_PREFIX + name, value) for name, value in shown.headers)
    await context.send_initial_metadata((*part.metadata(), *more))
    async for chunk in part.read(files):
        if not await rechecks.may_go_on():
            raise NotFound(GONE)
        yield httpbody_pb2.HttpBody(content_type=shown.media_type, data=chunk)


async def send_bytes(
    context: "aio.ServicerContext[Any, Any]", data: bytes, *, is_final: bool
) -> AsyncIterator[httpbody_pb2.HttpBody]:
    """A small file as the answer of an RPC.  `is_final`: it stays as it is, so that a browser keeps it, for this credential."""
    headers = {"status": "200", "content-length": str(len(data)), **(KEPT if is_final else {})}
    await context.send_initial_metadata(tuple((rpc.HTTP_PREFIX + name, value) for name, value in headers.items()))
    yield httpbody_pb2.HttpBody(content_type="application/octet-stream", data=data)


async def whole(files: Files, stored_path: str, since: datetime = LONG_AGO) -> list[Piece]:
    """A file as it is; `since`: when it was written, unless it was stored at once.  Raises NotFound when it is gone, NotStoredYet,
    StoreUnavailable.
    """
    size = await files.size(stored_path)
    if size is None:
        raise files.missing(since)
    return [Piece(size, stored_path)]


async def joined(files: Files, streams: Sequence[RecordingRow]) -> list[Piece]:
    """One WAV of a call's recordings.  A stream is heard until the next one begins.  Raises NotFound when all are gone, and
    NotStoredYet, StoreUnavailable.
    """
    found = await sizes(files, streams)
    sound: list[Piece] = []
    at = 0
    for n, (each, size) in enumerate(found):
        start = each.offset_ms * BYTES_PER_MS
        # By its size, not by its header: a process that was killed may have written one without the other.
        end = start + max(0, size - HEADER.size) // BLOCK * BLOCK
        if n + 1 < len(found):
            end = min(end, found[n + 1][0].offset_ms * BYTES_PER_MS)
        sound += [Piece(start - at), Piece(end - start, each.path, HEADER.size)]
        at = end
    head = header(min(at, ENDLESS))
    return [Piece(len(head), head=head), *sound]


async def sizes(files: Files, streams: Sequence[RecordingRow]) -> list[tuple[RecordingRow, int]]:
    """The recordings that there are, by when they begin, and their sizes.  Raises as `joined`."""
    found = [(each, await files.size(each.path)) for each in streams]
    for each in (each for each, size in found if size is None):
        if isinstance(missing := files.missing(each.ended_at), NotStoredYet):
            raise missing
    there = [(each, size) for each, size in found if size is not None]
    if not there:
        raise NotFound(GONE)
    return sorted(there, key=lambda each: each[0].offset_ms)


def part_of(pieces: Sequence[Piece], byte_range: str) -> Part:
    """The part that a `Range` header asks for; all of it without one, or for one that isn't understood.

    Raises RangeNotSatisfiable.
    """
    total = sum(piece.size for piece in pieces)
    found = _RANGE.fullmatch(byte_range.strip())
    if found is None or found.group(1) == found.group(2) == "":
        return Part(pieces, 0, total - 1, total, partial=False)
    if not found.group(1):  # the last n bytes
        first, last = max(0, total - int(found.group(2))), total - 1
    else:
        first = int(found.group(1))
        last = min(int(found.group(2)) if found.group(2) else total - 1, total - 1)
    if first > last:
        raise RangeNotSatisfiable(total=str(total))
    return Part(pieces, first, last, total, partial=True)
