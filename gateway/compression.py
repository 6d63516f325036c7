"""Answers in gzip, for clients that take it."""

import asyncio
import random
import struct
import zlib

from starlette.datastructures import Headers

#: Below this, what is saved is not worth the time.
LEAST_BYTES = 1024
#: What takes longer than a request should hold the loop is compressed beside it.
BESIDE_BYTES = 128 << 10
LEVEL = 1
#: A name in the header, which nobody reads, of a length that nobody can guess: whoever sees lengths alone learns less of what is inside.
MOST_NAME_BYTES = 64
_HEAD = b"\x1f\x8b\x08\x08\0\0\0\0\x04\xff"  # deflate, with a name, without a time
_NOISE = random.SystemRandom()


def is_taken(headers: Headers) -> bool:
    """Whether the client takes gzip (RFC 9110, 12.5.3)."""
    for each in headers.get("accept-encoding", "").split(","):
        coding, _, weight = each.partition(";")
        if coding.strip().lower() in {"gzip", "x-gzip"}:
            return weight.strip().replace(" ", "").rstrip(".0") not in {"q=", "q"}
    return False


async def compressed(body: bytes) -> bytes:
    """The body in gzip."""
    return await asyncio.to_thread(_gzip, body) if len(body) >= BESIDE_BYTES else _gzip(body)


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(LEVEL, wbits=-zlib.MAX_WBITS)
    name = b"x" * _NOISE.randint(0, MOST_NAME_BYTES) + b"\0"
    tail = struct.pack("<II", zlib.crc32(body), len(body) & 0xFFFFFFFF)
    return b"".join((_HEAD, name, packer.compress(body), packer.flush(), tail))
