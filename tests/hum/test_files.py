"""Files in a directory and in a bucket: here until they are there, and read from wherever they are."""

from datetime import timedelta
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from hum import ids, recordings
from hum.clock import now
from hum.contract.errors import NotFound, NotStoredYet
from hum.ids import Kind
from hum.objects.bucket import Bucket
from hum.objects.files import Files

ORG, CALL = ids.show(Kind.ORGANIZATION, ids.new()), ids.show(Kind.CALL, ids.new())
SOUND = bytes(range(256)) * 10_000  # more than is read at a time


@pytest.fixture
def bucket() -> Bucket:
    return Bucket(MemoryStore(), "hum/")


@pytest.fixture(params=["directory", "bucket"])
def files(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> Files:
    return Files(tmp_path, bucket if request.param == "bucket" else None, timedelta(hours=1))


async def read(files: Files, path: str, first: int, size: int) -> bytes:
    return b"".join([chunk async for chunk in files.read(path, first, size)])


async def test_what_is_added_is_read_found_and_removed(files: Files) -> None:
    paths = [await files.add(ORG, CALL, SOUND) for _ in range(3)]
    await files.put(paths[0] + recordings.PEAKS, b"peaks")
    await files.add(ORG, ids.show(Kind.CALL, ids.new()), b"another call's")
    await files.put(f"{ORG}/{CALL}0.wav", b"of a call whose id begins so")
    assert sorted(await files.of_call(ORG, CALL)) == sorted(paths)
    assert await files.load(paths[0] + recordings.PEAKS) == b"peaks"
    for path in paths:
        assert await files.size(path) == len(SOUND)
        assert await read(files, path, 0, len(SOUND)) == SOUND
        assert await read(files, path, 1_048_570, 12) == SOUND[1_048_570:1_048_582]
        assert await files.remove(path)
        assert await files.size(path) is None
    assert await files.size(paths[0] + recordings.PEAKS) is None
    assert await files.of_call(ORG, CALL) == []


async def test_what_is_gone_is_no_error_to_remove_and_one_to_read(files: Files) -> None:
    await files.put(f"{ORG}/x.wav", b"")
    await files.remove(f"{ORG}/{CALL}.wav")
    with pytest.raises(FileNotFoundError):
        await read(files, f"{ORG}/{CALL}.wav", 0, 1)
    with pytest.raises(FileNotFoundError):
        await files.load(f"{ORG}/{CALL}.wav")


async def test_no_path_leads_elsewhere(files: Files, tmp_path: Path) -> None:
    secret = tmp_path.parent / f"{tmp_path.name}.secret"
    secret.write_bytes(b"secret")
    for path in (f"../{secret.name}", str(secret)):
        assert await files.size(path) is None
        assert not await files.remove(path)
        with pytest.raises(FileNotFoundError):
            await read(files, path, 0, 6)
        with pytest.raises(FileNotFoundError):
            await files.load(path)
    assert secret.exists()


async def test_what_is_not_in_the_bucket_yet_is_read_here_and_never_deleted_here(
    tmp_path: Path, bucket: Bucket
) -> None:
    files, path = Files(tmp_path, bucket, timedelta(hours=1)), f"{ORG}/{CALL}.wav"
    (tmp_path / ORG).mkdir()
    (tmp_path / path).write_bytes(SOUND)
    assert await files.size(path) == len(SOUND)
    reading = files.read(path, 0, len(SOUND))
    first = await anext(reading)
    await bucket.put(path, SOUND)
    (tmp_path / path).unlink()  # it was stored while somebody listened
    assert first + b"".join([chunk async for chunk in reading]) == SOUND
    assert await read(files, path, 5, 5) == SOUND[5:10]
    (tmp_path / path).write_bytes(SOUND)
    await files.remove(path)
    assert (tmp_path / path).exists() and await bucket.size(path) is None, "the media plane's own"


async def test_what_is_in_neither_is_on_its_way_for_a_while(tmp_path: Path, bucket: Bucket) -> None:
    with_bucket, without = Files(tmp_path, bucket, timedelta(hours=1)), Files(tmp_path)
    assert isinstance(with_bucket.missing(None), NotStoredYet)
    assert isinstance(with_bucket.missing(now() - timedelta(minutes=59)), NotStoredYet)
    assert isinstance(with_bucket.missing(now() - timedelta(minutes=61)), NotFound)
    assert isinstance(without.missing(now()), NotFound)
