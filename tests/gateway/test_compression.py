"""Compression: what comes out is what went in, for whoever takes it, and its length tells little."""

import gzip
import random

import pytest
from starlette.datastructures import Headers

from gateway import compression


@pytest.mark.parametrize(
    ("sent", "takes"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("deflate,GZIP ; q=1.0", True),
        ("x-gzip", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("br", False),
        ("*", False),
        ("", False),
        (None, False),
    ],
)
def test_who_takes_it(sent: str | None, takes: bool) -> None:
    assert compression.is_accepted(Headers({} if sent is None else {"Accept-Encoding": sent})) is takes


@pytest.mark.parametrize("size", [0, 1, 1024, compression.THREAD_BYTES, 3 * compression.THREAD_BYTES])
async def test_what_comes_out_is_what_went_in(size: int) -> None:
    body = random.Random(size).choices(b"calls and texts", k=size)
    assert gzip.decompress(await compression.compress(bytes(body))) == bytes(body)


async def test_the_same_has_many_lengths() -> None:
    body = b'{"status": "in_progress"}' * 100
    lengths = {len(await compression.compress(body)) for _ in range(300)}
    assert len(lengths) > 40
    assert max(lengths) < len(body) / 4
