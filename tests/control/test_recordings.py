"""A call's recordings are heard as one, with every stream where it was in the call."""

import io
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest

from control.calls import recordings
from control.calls.recordings import Piece, RangeNotSatisfiable
from hum.contract.errors import NotFound
from hum.objects.files import CHUNK_BYTES, Files
from hum.wave import BLOCK, BYTES_PER_MS, HEADER, header
from storage.recordings import RecordingRow


def file(root: Path, name: str, sample: int, ms: int, *, header_ms: int | None = None, torn: int = 0) -> str:
    """A stream's recording of one value; `torn`: bytes of a frame that was being written."""
    size = ms * BYTES_PER_MS
    (root / name).write_bytes(
        header(size if header_ms is None else header_ms * BYTES_PER_MS) + bytes([sample]) * (size + torn)
    )
    return name


async def read(root: Path, pieces: Sequence[Piece], byte_range: str) -> list[bytes]:
    return [chunk async for chunk in recordings.part_of(pieces, byte_range).read(Files(root))]


async def heard(root: Path, streams: Sequence[RecordingRow], byte_range: str = "") -> bytes:
    return b"".join(await read(root, await recordings.joined(Files(root), streams), byte_range))


def runs(sound: bytes) -> list[tuple[int, int]]:
    """The values in a sound, and for how many ms each lasts."""
    found: list[tuple[int, int]] = []
    for value in sound[HEADER.size :: BLOCK]:
        if found and found[-1][0] == value:
            found[-1] = value, found[-1][1] + 1
        else:
            found.append((value, 1))
    return [(value, blocks * BLOCK // BYTES_PER_MS) for value, blocks in found]


async def test_one_stream_is_its_file(tmp_path: Path) -> None:
    streams = [RecordingRow(file(tmp_path, "c.wav", 1, 200), 0)]
    assert await heard(tmp_path, streams) == (tmp_path / "c.wav").read_bytes()


async def test_each_stream_is_where_it_was_in_the_call(tmp_path: Path) -> None:
    streams = [
        RecordingRow(file(tmp_path, "c.wav", 1, 300), 100),  # the first one recorded nothing
        RecordingRow(file(tmp_path, "c.2.wav", 2, 200, header_ms=50, torn=3), 1_000),  # its process was killed
        RecordingRow(file(tmp_path, "c.3.wav", 3, 500), 1_150),  # it began before the one before had closed
    ]
    sound = await heard(tmp_path, streams)
    assert runs(sound) == [(0, 100), (1, 300), (0, 600), (2, 150), (3, 500)]
    with wave.open(io.BytesIO(sound)) as opened:
        assert (opened.getframerate(), opened.getnchannels(), opened.getnframes()) == (8_000, 2, 1_650 * 8)


async def test_what_is_gone_is_silence_and_moves_nothing(tmp_path: Path) -> None:
    streams = [RecordingRow("c.wav", 0), RecordingRow(file(tmp_path, "c.2.wav", 2, 100), 400)]
    assert runs(await heard(tmp_path, streams)) == [(0, 400), (2, 100)]
    outside = [RecordingRow("../secret.wav", 0), streams[1]]
    (tmp_path.parent / "secret.wav").write_bytes(header(4_000) + b"\7" * 4_000)
    assert runs(await heard(tmp_path, outside)) == [(0, 400), (2, 100)]
    for lost in (streams[:1], outside[:1], []):
        with pytest.raises(NotFound):
            await recordings.joined(Files(tmp_path), lost)


async def test_every_range_is_that_part_of_the_whole(tmp_path: Path) -> None:
    streams = [RecordingRow(file(tmp_path, "c.wav", 1, 2), 0), RecordingRow(file(tmp_path, "c.2.wav", 2, 2), 5)]
    pieces = await recordings.joined(Files(tmp_path), streams)
    sound = await heard(tmp_path, streams)
    assert len(sound) == HEADER.size + 7 * BYTES_PER_MS
    edges = sorted({0, 1, 43, 44, 45, 107, 108, 109, 203, 204, 205, len(sound) - 1})
    for first in edges:
        assert b"".join(await read(tmp_path, pieces, f"bytes={first}-")) == sound[first:]
        assert b"".join(await read(tmp_path, pieces, f"bytes=-{first + 1}")) == sound[-first - 1 :]
        for last in (each for each in edges if each >= first):
            part = recordings.part_of(pieces, f"bytes={first}-{last}")
            assert b"".join([chunk async for chunk in part.read(Files(tmp_path))]) == sound[first : last + 1]
            facts = {name.rpartition("http-")[2]: value for name, value in part.metadata()}
            assert facts["content-length"] == str(last + 1 - first)
            assert facts["content-range"] == f"bytes {first}-{last}/{len(sound)}"
    with pytest.raises(RangeNotSatisfiable):
        recordings.part_of(pieces, f"bytes={len(sound)}-")
    for strange in ("pages=1-2", f"bytes=0-{'9' * 5_000}", f"bytes=-{'9' * 5_000}", "bytes=\u0661-\u0662"):
        assert b"".join(await read(tmp_path, pieces, strange)) == sound


async def test_a_long_silence_is_not_held_in_memory_and_a_file_that_shrinks_moves_nothing(tmp_path: Path) -> None:
    streams = [
        RecordingRow(file(tmp_path, "c.wav", 1, 100), 0),
        RecordingRow(file(tmp_path, "c.2.wav", 2, 100), 60_000),
    ]
    pieces = await recordings.joined(Files(tmp_path), streams)
    (tmp_path / "c.wav").write_bytes(header(0) + b"\1" * 40 * BYTES_PER_MS)
    chunks = await read(tmp_path, pieces, "")
    assert max(map(len, chunks)) <= CHUNK_BYTES
    assert runs(b"".join(chunks)) == [(1, 40), (0, 59_960), (2, 100)]
    (tmp_path / "c.2.wav").unlink()
    with pytest.raises(NotFound):
        await read(tmp_path, pieces, "")
