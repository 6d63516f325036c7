"""Recordings on disk, whole or a byte range of them (RFC 9110, 14.1.2: one range of bytes)."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from google.api import httpbody_pb2
from grpc import aio

from hum import rpc
from hum.errors import NotFound, Refused

CHUNK_BYTES = 64 << 10
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class RangeNotSatisfiable(Refused):
    """The range is beyond the end of the recording."""

    code: ClassVar[str] = "OUT_OF_RANGE"
    reason = "RANGE_NOT_SATISFIABLE"


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes `first` to `last` (included) of a file."""

    path: Path
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

    def __iter__(self) -> Iterator[bytes]:
        left = self.last - self.first + 1
        with self.path.open("rb") as file:
            file.seek(self.first)
            while left > 0 and (chunk := file.read(min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk


async def send(
    context: "aio.ServicerContext[Any, Any]", directory: Path, stored_path: str, byte_range: str
) -> AsyncIterator[httpbody_pb2.HttpBody]:
    """The part of a WAV that a `Range` header asks for, as the answer of an RPC.  Raises as `open_part`."""
    part = open_part(directory, stored_path, byte_range)
    await context.send_initial_metadata(part.metadata())
    for chunk in part:
        yield httpbody_pb2.HttpBody(content_type="audio/wav", data=chunk)


def open_part(directory: Path, stored_path: str, byte_range: str) -> Part:
    """The part of a recording that a `Range` header asks for; all of it without one, or for one that isn't understood.

    Raises NotFound when the file is gone, RangeNotSatisfiable.
    """
    path = (directory / stored_path).resolve()
    if not path.is_relative_to(directory.resolve()) or not path.is_file():
        raise NotFound("The recording no longer exists.")
    total = path.stat().st_size
    found = _RANGE.fullmatch(byte_range.strip())
    if found is None or found.group(1) == found.group(2) == "":
        return Part(path, 0, total - 1, total, partial=False)
    if not found.group(1):  # the last n bytes
        first, last = max(0, total - int(found.group(2))), total - 1
    else:
        first = int(found.group(1))
        last = min(int(found.group(2)) if found.group(2) else total - 1, total - 1)
    if first > last:
        raise RangeNotSatisfiable(total=str(total))
    return Part(path, first, last, total, partial=True)
