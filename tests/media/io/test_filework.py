"""What may wait for a disk that hangs: so many bytes, and so many pieces, however short; and what becomes of work that raises."""

import threading
from collections.abc import Iterator

import pytest

from media.io import filework
from media.io.filework import FileThread, FileWork, InlineFileWork, result
from tests.support.waits import patience


@pytest.fixture
def let() -> Iterator[threading.Event]:
    """Until it is set, the disk hangs."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def disk(let: threading.Event, monkeypatch: pytest.MonkeyPatch) -> FileThread:
    monkeypatch.setattr(filework, "MAX_QUEUED_BYTES", 1000)
    monkeypatch.setattr(filework, "MAX_QUEUED_JOBS", 10)
    thread = FileThread("test")
    thread.submit(let.wait)
    return thread


@pytest.mark.parametrize(("size_bytes", "taken"), [(300, 3), (1, 9)])
def test_what_waits_is_bounded_in_bytes_and_in_number(
    disk: FileThread, let: threading.Event, size_bytes: int, taken: int
) -> None:
    done = list[int]()
    handed = [disk.submit(lambda n=n: done.append(n), size_bytes=size_bytes) for n in range(100)]  # type: ignore[misc]
    assert handed == [True] * taken + [False] * (100 - taken)
    assert disk.submit(lambda: done.append(-1)), "what has no size ends what was begun"
    let.set()
    assert disk.drain(30)
    assert done == [*range(taken), -1]
    assert disk.submit(lambda: None, size_bytes=size_bytes), "there is room again"
    assert disk.close(30)
    assert (disk.queued_bytes, disk.queued_jobs) == (0, 0)


@pytest.mark.parametrize("files", [FileThread("test"), InlineFileWork()])
async def test_whoever_waits_for_work_that_raises_gets_the_error(files: FileWork) -> None:
    def fail() -> None:
        raise OSError("the disk is gone")

    async with patience():
        with pytest.raises(OSError, match="the disk is gone"):
            await result(files, fail)
        assert await result(files, lambda: 3) == 3, "and later work goes on"
    assert files.close(30)


def test_a_disk_that_is_slow_is_waited_for_once(disk: FileThread, let: threading.Event) -> None:
    """A call waits for the disk before it moves; hundreds of calls ask, again and again."""
    assert not disk.drain(0.0)
    queued = disk.queued_jobs
    assert not disk.drain(30) and disk.queued_jobs == queued
    let.set()
    assert disk.submit(lambda: None)
    while disk.queued_jobs:
        let.wait(0.001)
    assert disk.drain(30)
