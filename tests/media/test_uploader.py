"""Recordings go to a real object store, whatever that does, and wherever the process that stores them is killed."""

import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cli.doctor import probes
from hum import ids, recordings
from hum.ids import Kind
from hum.objects.bucket import Bucket, StoreFault, open_bucket
from hum.objects.files import Files
from hum.objects.multipart import Uploads
from hum.settings import MediaSettings, UpSettings
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.io.uploader import Uploader, build_uploader
from tests.support import objectstore
from tests.support.objectstore import Store, Trouble
from tests.support.programs import running
from tests.support.waits import patience

pytestmark = pytest.mark.nodes
MB = 1 << 20


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with objectstore.serving(tmp_path_factory.mktemp("weed")) as store:
        yield store


@pytest.fixture
async def trouble(store: Store) -> AsyncIterator[Trouble]:
    async with objectstore.troubled(store) as trouble:
        yield trouble


async def wanted(_: object) -> pb.CheckFilesResponse:
    return pb.CheckFilesResponse()


def media(home: Path, store: Store, endpoint: str = "", **more: Any) -> MediaSettings:
    fast = {"store_settle_seconds": 0, "store_scan_seconds": 0.1, "store_retry_seconds": 0.3}
    impatient = {"s3_request_seconds": 2, "s3_retries": 4, "s3_retry_seconds": 8, "s3_connect_seconds": 1}
    return MediaSettings(home=home, **(store.settings(endpoint, prefix=home.name) | fast | impatient | more))


def stores(settings: MediaSettings) -> tuple[Uploader, Bucket]:
    assert settings.bucket is not None
    return build_uploader(settings, settings.bucket, wanted), open_bucket(settings, settings.bucket)


def recorded(settings: MediaSettings, size: int) -> tuple[str, bytes]:
    """A file as the media plane leaves it: its path, and what is in it."""
    org, call = ids.show(Kind.ORGANIZATION, ids.new()), ids.show(Kind.CALL, ids.new())
    path, content = next(recordings.unique_names(org, call)), os.urandom(size)
    full = settings.recordings_dir / path
    full.parent.mkdir(parents=True)
    full.write_bytes(content)
    return path, content


async def until_stored(uploader: Uploader, settings: MediaSettings, path: str) -> None:
    running = asyncio.create_task(uploader.run())
    async with patience():
        while (settings.recordings_dir / path).exists():
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    uploader._folder.release()


@pytest.mark.parametrize("size", [0, 44, 3 * MB, 12 * MB + 1], ids=["empty", "small", "whole", "parts"])
async def test_it_is_there_byte_for_byte_and_any_part_of_it(store: Store, tmp_path: Path, size: int) -> None:
    settings = media(tmp_path, store)
    path, content = recorded(settings, size)
    running, bucket = stores(settings)
    await until_stored(running, settings, path)
    files = Files.of(settings)
    assert await files.size(path) == size
    assert b"".join([chunk async for chunk in files.read(path, 0, size)]) == content
    for first, length in ((0, 1), (size // 2, 1_000_000), (max(0, size - 10), 10)):
        part = b"".join([chunk async for chunk in files.read(path, first, min(length, size - first))])
        assert part == content[first : first + length]
    assert await bucket.list_paths(path.rpartition(".wav")[0][:-10]) == [path]


@pytest.mark.parametrize(
    ("mode", "times"),
    [("500", 2), ("abort", 2), ("lost", 1), ("silent", 1), ("slow", 3), ("flip", 2)],
    ids=lambda each: str(each),
)
async def test_a_store_in_trouble_has_it_in_the_end(
    store: Store, trouble: Trouble, tmp_path: Path, mode: str, times: int
) -> None:
    settings = media(tmp_path, store, trouble.url)
    path, content = recorded(settings, 6 * MB)  # two parts
    trouble.begin(mode, times, "PUT")
    running, _ = stores(settings)
    await until_stored(running, settings, path)
    assert trouble.seen == times
    _, bucket = stores(media(tmp_path, store))
    assert b"".join([chunk async for chunk in bucket.read(path, 0, len(content))]) == content
    assert not await open_uploads(settings)


async def test_the_doctor_puts_gets_and_deletes_and_says_what_is_wrong(store: Store, tmp_path: Path) -> None:
    good = store.settings(prefix=tmp_path.name)
    assert await probes.store_fault(UpSettings(**good), 10) == ""
    _, bucket = stores(media(tmp_path, store))
    assert await bucket.list_paths("hum-probe-") == []
    for wrong, why in (
        ({"s3_secret_access_key": "x" * 40}, "check HUM_S3_ACCESS_KEY_ID"),
        ({"s3_endpoint": "http://127.0.0.1:1"}, "http://127.0.0.1:1"),
    ):
        assert re.search(why, await probes.store_fault(UpSettings(**good | wrong), 5))


async def test_the_store_is_asked_to_check_and_to_encrypt(store: Store, trouble: Trouble, tmp_path: Path) -> None:
    keys = {"s3_encryption": "aws:kms:arn:aws:kms:us-east-1:1:key/2"}
    settings = media(tmp_path, store, trouble.url, **keys)
    recorded(settings, 1000)
    running, _ = stores(settings)
    await running.scan()  # this store has no keys to encrypt with, and may refuse it
    (put,) = [head.lower() for head in trouble.heads if head.startswith("PUT")][:1]
    assert "x-amz-server-side-encryption: aws:kms\r\n" in put
    assert "x-amz-server-side-encryption-aws-kms-key-id: arn:aws:kms:us-east-1:1:key/2\r\n" in put
    assert "x-amz-checksum-sha256: " in put


async def open_uploads(settings: MediaSettings) -> list[str]:
    assert settings.bucket is not None
    return [each.path for each in await Uploads(settings, settings.bucket).open_ones()]


async def test_a_wrong_secret_is_said_counted_and_loses_nothing(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = media(tmp_path, store, s3_secret_access_key="x" * 40)
    path, _ = recorded(settings, 1000)
    running, bucket = stores(settings)
    await running.scan()
    await running.scan()
    said = capsys.readouterr().out
    assert said.count("could not store recordings in the bucket: they stay on this machine") == 1
    assert "check HUM_S3_ACCESS_KEY_ID" in said and "x" * 40 not in said
    assert metrics.STORE_FAILURES._value.get() >= 1 and metrics.UNSTORED_BYTES._value.get() == 1000
    assert (settings.recordings_dir / path).exists()
    with pytest.raises(StoreFault, match="refuses our key"):
        await bucket.size(path)
    right, _ = stores(media(tmp_path, store))
    running._folder.release()
    await until_stored(right, settings, path)


KILLED = """
import asyncio, sys
from pathlib import Path
import tests.media.test_uploader as t
from tests.support.objectstore import Store
settings = t.media(Path(sys.argv[1]), Store(int(sys.argv[2])), store_bytes_per_second=4 << 20)
asyncio.run(t.stores(settings)[0].run())
"""


async def test_a_process_that_is_killed_in_the_middle_is_followed_by_one_that_stores_all(
    store: Store, tmp_path: Path
) -> None:
    settings = media(tmp_path, store)
    path, content = recorded(settings, 40 * MB)
    for _ in range(2):
        async with running(sys.executable, "-c", KILLED, str(tmp_path), str(store.port)) as process:
            async with patience():
                while not await open_uploads(settings):
                    assert process.poll() is None
                    await asyncio.sleep(0.1)
            await asyncio.sleep(1.5)  # some parts of it are there
        assert (settings.recordings_dir / path).stat().st_size == len(content)
        assert await Files.of(settings).size(path) == len(content), "it is heard from this machine"
    storing_now, bucket = stores(settings)
    assert await bucket.size(path) is None
    await until_stored(storing_now, settings, path)
    assert b"".join([chunk async for chunk in bucket.read(path, 0, len(content))]) == content
    assert not await open_uploads(settings), "what the killed ones had begun is given up"


async def test_the_loop_is_hardly_held_up(store: Store, tmp_path: Path, stalls: Any) -> None:
    """60 MB at full speed: nothing that this process does itself takes longer than a frame."""
    settings = media(tmp_path, store, store_bytes_per_second=1 << 30)
    path, _ = recorded(settings, 60 * MB)
    running, _ = stores(settings)
    worst, done = 0.0, False

    async def watch() -> None:
        nonlocal worst
        while not done:
            at, cpu = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.002)
            # Of this thread's own time, which others on the machine can't take.
            worst = max(worst, min(time.perf_counter() - at - 0.002, time.thread_time() - cpu))

    watching = asyncio.create_task(watch())
    await until_stored(running, settings, path)
    done = True
    await watching
    assert worst < 0.02, f"{worst * 1000:.1f} ms"
