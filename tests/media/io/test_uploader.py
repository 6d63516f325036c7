"""Recordings go to the bucket once nobody writes them, and stay here until it has them and control still wants them."""

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from hum import ids, recordings
from hum.clock import now
from hum.ids import Kind
from hum.objects.bucket import Bucket, StoreFault
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.io.control import ControlUnavailable
from media.io.folder import LOCK, Folder
from media.io.uploader import RateLimit, Uploader
from media.recorder import Recorder
from tests.support.recordings import closed

ORG = ids.show(Kind.ORGANIZATION, ids.new())


class Control:
    """Says of each file what it is told to say, and remembers what it was asked."""

    def __init__(self) -> None:
        self.unwanted, self.unknown = set[str](), set[str]()
        self.asked: list[Sequence[str]] = []
        self.is_away = False
        #: Files that are not wanted any more once they were asked about.
        self.soon: set[str] = set()

    async def check(self, paths: Sequence[str]) -> pb.CheckFilesResponse:
        if self.is_away:
            raise ControlUnavailable("UNAVAILABLE")
        self.asked.append(list(paths))
        said = pb.CheckFilesResponse(
            unwanted=[path for path in paths if path in self.unwanted],
            unknown=[path for path in paths if path in self.unknown],
        )
        self.unwanted |= self.soon & set(paths)
        return said


class Flaky(Bucket):
    """A bucket that fails as often as it is told to, and may lose the end of what it takes."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), "prefix/")
        self.failures: dict[str, int] = {}
        self.all_fail, self.is_short = False, False

    async def put(self, path: str, content: bytes) -> None:
        if self.all_fail or self.failures.get(path, 0):
            self.failures[path] = self.failures.get(path, 0) - 1
            raise StoreFault("HTTP 500")
        await super().put(path, content[:-1] if self.is_short else content)


class Machine:
    def __init__(self, root: Path) -> None:
        self.settings = MediaSettings(
            home=root, recordings_url="s3://bucket/prefix", store_settle_seconds=0, store_scan_seconds=30
        )
        self.root = self.settings.recordings_dir
        self.control, self.bucket = Control(), Flaky()
        self.uploader = Uploader(self.settings, self.bucket, self.control.check, None)

    def begun(self, at_ms: int = 3_000) -> Recorder:
        """A recording that is being written."""
        made = Recorder.open(self.root, ORG, ids.show(Kind.CALL, ids.new()), self.settings.recording_names)
        made.caller(os.urandom(8 * at_ms), 0)
        return made

    def recorded(self) -> str:
        return closed(self.begun()).path

    def here(self) -> list[str]:
        return sorted(
            each.relative_to(self.root).as_posix()
            for each in self.root.rglob("*")
            if each.is_file() and each.name != LOCK
        )

    async def there(self) -> list[str]:
        return sorted(await self.bucket.list_paths(f"{ORG}/call_"))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def test_a_recording_and_its_peaks_go_to_the_bucket_and_are_gone_here(machine: Machine) -> None:
    path = machine.recorded()
    sound = (machine.root / path).read_bytes()
    assert machine.here() == [path, path + recordings.PEAKS]
    assert await machine.uploader.scan() == 0
    assert machine.here() == []
    assert await machine.there() == [path, path + recordings.PEAKS]
    assert await machine.bucket.load(path) == sound
    assert metrics.UNSTORED_FILES._value.get() == metrics.UNSTORED_BYTES._value.get() == 0


async def test_names_do_not_meet_though_the_first_file_is_gone(machine: Machine) -> None:
    call = ids.show(Kind.CALL, ids.new())
    paths = []
    for _ in range(3):
        made = Recorder.open(machine.root, ORG, call, machine.settings.recording_names)
        made.caller(b"\x10" * 800, 0)
        paths.append(closed(made).path)
        await machine.uploader.scan()
    assert len(set(paths)) == 3
    assert [path for path in await machine.there() if path.endswith(".wav")] == sorted(paths)
    assert all(recordings.owner(path) == recordings.owner(paths[0]) is not None for path in paths)


async def test_what_is_being_written_is_left_alone_until_its_process_is_gone(machine: Machine) -> None:
    made = machine.begun()
    assert await machine.uploader.scan() == 0
    assert (len(machine.here()), await machine.there(), machine.control.asked) == (1, [], [])
    os.close(made._file._file)  # as the kernel does for a process that is killed
    await machine.uploader.scan()
    assert machine.here() == [] and len(await machine.there()) == 1


async def test_what_has_changed_a_moment_ago_waits(machine: Machine) -> None:
    path = machine.recorded()
    machine.uploader._settings = machine.settings.model_copy(update={"store_settle_seconds": 60.0})
    assert await machine.uploader.scan() == 2
    then = now().timestamp() - 100
    for each in machine.here():
        os.utime(machine.root / each, (then, then))
    assert await machine.uploader.scan() == 0 and path in await machine.there()


async def test_it_stays_here_while_the_store_fails_and_is_whole_in_the_end(machine: Machine) -> None:
    path = machine.recorded()
    sound = (machine.root / path).read_bytes()
    machine.bucket.failures = {path: 1}
    failed = metrics.STORED.labels("failed")._value.get()
    await machine.uploader.scan()
    assert machine.here() == [path] and machine.uploader.health.failures == 1
    assert metrics.STORED.labels("failed")._value.get() == failed + 1
    assert metrics.UNSTORED_BYTES._value.get() == len(sound)
    await machine.uploader.scan()
    assert machine.uploader.health.failures == 1, "while it rests, nothing is well again"
    machine.uploader._backoff.retain(frozenset())
    await machine.uploader.scan()
    assert machine.here() == [] and await machine.bucket.load(path) == sound
    assert machine.uploader.health.failures == 0


async def test_a_store_that_has_lost_the_end_has_not_stored_it(machine: Machine) -> None:
    machine.recorded()
    machine.bucket.is_short = True
    await machine.uploader.scan()
    assert len(machine.here()) == 2 and machine.uploader.health.failures == 1


async def test_one_that_always_fails_does_not_stop_the_others(machine: Machine) -> None:
    poison, others = machine.recorded(), [machine.recorded() for _ in range(5)]
    machine.bucket.failures = {poison: 1000}
    await machine.uploader.scan()
    assert machine.here() == [poison]
    assert set(others) <= set(await machine.there())


async def test_a_store_that_takes_nothing_is_left_alone_soon(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(8):
        machine.recorded()
    monkeypatch.setattr("media.io.uploader.BATCH_FILES", 2)
    machine.bucket.all_fail = True
    await machine.uploader.scan()
    assert len(machine.here()) == 16
    assert -sum(machine.bucket.failures.values()) <= 4, "tried"


async def test_what_is_not_wanted_is_deleted_there_and_here(machine: Machine) -> None:
    path = machine.recorded()
    await machine.bucket.put(path, b"an upload that was finished before its process was killed")
    machine.control.unwanted = {path, path + recordings.PEAKS}
    await machine.uploader.scan()
    assert machine.here() == [] and await machine.there() == []


async def test_a_call_that_is_deleted_while_its_recording_is_stored_leaves_nothing(machine: Machine) -> None:
    path = machine.recorded()
    machine.control.soon = {path, path + recordings.PEAKS}
    await machine.uploader.scan()
    assert machine.here() == [] and await machine.there() == []
    assert metrics.STORED.labels("unwanted")._value.get() >= 2


async def test_what_is_not_wanted_stays_here_until_it_is_gone_there(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = machine.recorded()
    machine.control.soon = {path, path + recordings.PEAKS}

    async def away(self: Bucket, path: str) -> None:
        raise StoreFault("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(Bucket, "delete", away)
        await machine.uploader.scan()
        assert len(machine.here()) == len(await machine.there()) == 2, (
            "the local file is what owes the other's deletion"
        )
    machine.uploader._backoff.retain(frozenset())
    await machine.uploader.scan()
    assert machine.here() == await machine.there() == []


async def test_nothing_happens_while_control_is_away_or_knows_nothing(machine: Machine) -> None:
    path = machine.recorded()
    machine.control.is_away = True
    await machine.uploader.scan()
    assert len(machine.here()) == 2 and await machine.there() == [] and machine.uploader.health.failures == 0
    machine.control.is_away = False
    machine.control.unknown = {path}
    await machine.uploader.scan()
    assert machine.here() == [path] and path not in await machine.there()
    assert metrics.UNSTORED_FILES._value.get() == 1
    asked = len(machine.control.asked)
    assert await machine.uploader.scan() == 0 and len(machine.control.asked) == asked, "it rests"


async def test_one_process_has_the_folder(machine: Machine) -> None:
    second = Folder(machine.root)
    assert machine.uploader._folder.acquire() and not second.acquire()
    machine.uploader._folder.release()
    assert second.acquire()


async def test_a_link_and_a_strangers_file_are_left_alone(machine: Machine) -> None:
    path = machine.recorded()
    call = ids.show(Kind.CALL, ids.new())
    (machine.root / ORG / f"{call}.wav").symlink_to("/etc/passwd")
    (machine.root / "notes.txt").write_text("mine")
    (machine.root / ORG / "x.wav").write_text("mine")
    await machine.uploader.scan()
    assert path in await machine.there() and len(await machine.there()) == 2
    assert (machine.root / "notes.txt").exists() and (machine.root / ORG / "x.wav").exists()


async def test_the_pace_is_kept(stalls: object) -> None:
    pace, began = RateLimit(1_000_000), now()
    for _ in range(5):
        await pace.acquire(50_000)
    assert now() - began >= timedelta(seconds=0.19)
