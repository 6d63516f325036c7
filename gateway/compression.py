"""Compression of answers with gzip, for clients that accept it."""

import asyncio
import random
import struct
import zlib

from starlette.datastructures import Headers

#: Below this size, compression is not worth its time.
MIN_BYTES = 1024
#: From this size on, compression runs in a thread, as it would block the event loop for too long.
THREAD_BYTES = 128 << 10
LEVEL = 1
#: The longest file name in the gzip header.  Its random length hides the exact length of the contents from an observer.
MAX_NAME_BYTES = 64
_HEAD = b"\x1f\x8b\x08\x08\0\0\0\0\x04\xff"  # deflate, with a name, without a time
_RANDOM = random.SystemRandom()


def is_accepted(headers: Headers) -> bool:
    """Tell whether the client accepts gzip (RFC 9110, 12.5.3)."""
    for element in headers.get("accept-encoding", "").split(","):
        coding, _, weight = element.partition(";")
        if coding.strip().lower() in {"gzip", "x-gzip"}:
            return weight.strip().replace(" ", "").rstrip(".0") not in {"q=", "q"}
    return False


async def compress(body: bytes) -> bytes:
    """Return the body compressed with gzip."""
    return await asyncio.to_thread(_gzip, body) if len(body) >= THREAD_BYTES else _gzip(body)


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
    name = b"x" * _RANDOM.randint(0, MAX_NAME_BYTES) + b"\0"
    tail = struct.pack("<II", zlib.crc32(body), len(body) & 0xFFFFFFFF)
    return b"".join((_HEAD, name, packer.compress(body), packer.flush(), tail))
