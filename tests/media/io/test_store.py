"""Reports while the disk takes nothing: they wait in memory, go on to control, and are written when it takes them again."""

import asyncio
import errno
import os
import resource
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from hum.settings import MediaSettings
from hum.spool import Spool
from hum.v1 import runtime_pb2 as pb
from media import metrics
from media.io.filework import FileThread
from media.io.outbox import Outbox
from media.io.store import SAVE_BYTES, Store

LOOK_MS = 100.0


def store(path: Path, **changed: Any) -> Store:
    return Store(Spool(path, fsync=False), settings(**({"max_unsaved_bytes": 1_000} | changed)))


def settings(**changed: Any) -> MediaSettings:
    return MediaSettings(**({"min_free_bytes": 0, "disk_check_seconds": LOOK_MS / 1000} | changed))


@contextmanager
def full_disk() -> Iterator[None]:
    """No file grows or is written any more, as the system says."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with capture_logs():  # this process logs into a file
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def kept(path: Path) -> list[bytes]:
    """What the next process finds."""
    spool = Spool(path, fsync=False)
    try:
        return [payload for _, payload in spool.pending()]
    finally:
        spool.close()


def test_what_the_disk_does_not_take_waits_in_memory_and_is_written_later(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.append(b"one")
    with full_disk():
        made.append(b"two")
        made.append(b"three")
        assert made.fault
        made.check_disk()
        assert made.fault and made.released_bytes == 3
        assert list(made.pending(0)) == [(1, b"one"), (2, b"two"), (3, b"three")]
    made.check_disk()
    assert not made.fault and made.released_bytes == 11
    made.append(b"four")
    made.close()
    assert kept(tmp_path) == [b"one", b"two", b"three", b"four"]


def test_what_waits_is_written_in_pieces_and_in_order(tmp_path: Path) -> None:
    """All of it at once, up to 64 MiB, would keep every call waiting."""
    payloads = [bytes([number]) * (SAVE_BYTES // 2) for number in range(10)]
    made = store(tmp_path, max_unsaved_bytes=10 * SAVE_BYTES)
    with full_disk():
        for payload in payloads[:9]:
            made.append(payload)
        made.save()
    made.save()
    settled = [made.released_bytes]
    assert settled == [0], "the disk is looked at first"
    made.check_disk()
    made.append(payloads[9])
    while settled[-1] < 10 * SAVE_BYTES // 2:
        settled.append(made.released_bytes)
        made.save()
    assert not made.fault
    assert max(after - before for before, after in pairwise(settled)) <= SAVE_BYTES
    assert len(settled) > 4
    made.close()
    assert kept(tmp_path) == payloads


def test_an_outbox_writes_what_waits_piece_by_piece_with_its_ticks(tmp_path: Path) -> None:
    outbox = Outbox(store(tmp_path), settings(max_unsaved_bytes=10 * SAVE_BYTES))
    with full_disk():
        for tick in range(4):
            outbox.report(pb.Report(call_id="c" * SAVE_BYTES))
            outbox.flush(tick)
    left = []
    for tick in range(5):
        outbox.flush(LOOK_MS + tick)
        left.append(outbox._background.unsaved_bytes // SAVE_BYTES)
    assert left == [3, 2, 1, 0, 0]
    outbox.close()


def test_what_control_has_meanwhile_is_never_written(tmp_path: Path) -> None:
    made = store(tmp_path)
    made.append(b"one")
    with full_disk():
        for payload in (b"two", b"three", b"four"):
            made.append(payload)
        made.purge(3)
        assert list(made.pending(0)) == [(4, b"four")]
    made.check_disk()
    made.purge(3)
    made.append(b"five")
    assert (made.last, made.purged) == (5, 3)
    made.close()
    assert kept(tmp_path) == [b"four", b"five"]


def test_all_that_control_has_is_forgotten_though_the_disk_is_full(tmp_path: Path) -> None:
    made = store(tmp_path)
    with full_disk():
        made.append(b"one")
        made.purge(1)
        assert len(made) == 0
        made.append(b"two")
        assert made.last == 2
        made.purge(2)
    made.check_disk()
    made.purge(2)
    assert made.purged == 2
    made.append(b"three")
    made.close()
    assert kept(tmp_path) == [b"three"]


def test_little_space_is_told_before_there_is_none(tmp_path: Path) -> None:
    made = store(tmp_path, min_free_bytes=1 << 60)
    made.check_disk()
    assert "MiB are free" in made.fault
    made.append(b"one")
    assert made.released_bytes == 3, "what there is, is used"


def test_a_directory_that_is_deleted_is_made_again(tmp_path: Path) -> None:
    """Else no call is taken until somebody restarts the process."""
    made = store(tmp_path / "media" / "0")
    made.append(b"one")
    shutil.rmtree(tmp_path / "media")
    made.check_disk()
    assert not made.fault
    made.append(b"two")
    made.close()
    assert kept(tmp_path / "media" / "0") == [b"one", b"two"]


def test_without_descriptors_the_disk_has_a_fault_and_nothing_is_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store(tmp_path / "spool")

    def none(*_: object, **__: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", none)
        made.check_disk()
        assert "Too many open files" in made.fault
    made.check_disk()
    assert not made.fault


def digits(seq: int) -> pb.Report:
    return pb.Report(call_id="call_a", seq=seq, digits=pb.DigitsPressed(digits="1"))


def test_an_outbox_goes_on_through_a_full_disk_and_says_so(tmp_path: Path) -> None:
    outbox = Outbox(store(tmp_path), settings())
    outbox.flush(0)
    stored, storing = [], [outbox.storing]
    with full_disk():
        outbox.report(digits(1))
        assert outbox.flush(20)
        storing.append(outbox.storing)
        assert storing == [True, False]
        outbox.when_stored(lambda: stored.append(1))
        assert [batch.seq for batch in outbox.pending(0)] == [1]
        outbox.acknowledge(1)
        assert stored == [1]
        for tick in range(100):  # the note of what is done can't be written either
            outbox.flush(20 * tick)
    outbox.flush(10_000)
    assert outbox.storing
    outbox.report(digits(2))
    assert outbox.flush(10_020)
    assert [(batch.seq, batch.reports[0].seq) for batch in outbox.pending(1)] == [(2, 2)]
    outbox.close()
    assert len(kept(tmp_path)) == 1


def test_reports_beyond_the_cap_are_counted_and_nobody_waits_for_ever(tmp_path: Path) -> None:
    batch_bytes = len(pb.ReportBatch(reports=[digits(1)]).SerializeToString())
    outbox = Outbox(store(tmp_path), settings(max_unsaved_bytes=batch_bytes))
    before, stored = metrics.REPORTS_LOST._value.get(), []
    with full_disk():
        for seq, fits in ((1, True), (2, False)):
            outbox.report(digits(seq))
            assert outbox.flush(0) is fits
    assert metrics.REPORTS_LOST._value.get() == before + 1
    outbox.when_stored(lambda: stored.append(1))
    outbox.report(digits(3))
    assert outbox.flush(LOOK_MS)
    assert [batch.reports[0].seq for batch in outbox.pending(0)] == [1, 3]
    outbox.acknowledge(1)
    assert stored == [1]
    outbox.close()
    assert len(kept(tmp_path)) == 1


def test_a_batch_that_cannot_be_read_does_not_hold_up_those_after_it(tmp_path: Path) -> None:
    spool = Spool(tmp_path, fsync=False)
    spool.append(b"\xff\xff")
    outbox = Outbox(Store(spool, MediaSettings(min_free_bytes=0)), settings())
    outbox.report(digits(1))
    outbox.flush(0)
    assert [(batch.seq, len(batch.reports)) for batch in outbox.pending(0)] == [(1, 0), (2, 1)]
    outbox.close()


@pytest.mark.parametrize("number", [1, 3])
def test_a_spool_notes_what_is_done_when_the_disk_takes_it_again(tmp_path: Path, number: int) -> None:
    spool = Spool(tmp_path, fsync=False)
    for payload in (b"one", b"two", b"three"):
        spool.append(payload)
    with full_disk():
        with pytest.raises(OSError):
            spool.finish(number)
        assert (spool.done, spool.done_on_disk, len(spool)) == (number, 0, 3 - number)
    spool.finish(number)
    spool.close()
    assert len(kept(tmp_path)) == 3 - number


def acknowledged(path: Path, count: int, **changed: Any) -> Outbox:
    """An outbox whose batches control has, acknowledged at 0 ms; each about 1 KB."""
    outbox = Outbox(Store(Spool(path, fsync=False), settings(**changed)), settings(**changed))
    for number in range(count):
        outbox.report(pb.Report(call_id="c" * 1_000, seq=number))
        outbox.flush(0)
    outbox.acknowledge(count)
    return outbox


def test_no_more_is_kept_than_may_be(tmp_path: Path) -> None:
    outbox = acknowledged(tmp_path, 10, keep_acknowledged_bytes=4_500)
    outbox.flush(1_000)
    assert on_disk(outbox) == [7, 8, 9, 10]
    resume(outbox, 3)
    assert outbox.acknowledged == 6, "what is forgotten can't be sent again"
    outbox.report(pb.Report(call_id="d", seq=11))
    outbox.flush(2_000)
    assert [batch.seq for batch in outbox.pending(outbox.acknowledged)] == [7, 8, 9, 10, 11]
    outbox.flush(100_000)
    assert len(outbox._background._store) == 5, "control does not have them"


def test_what_control_lost_is_kept_until_it_has_it_again_for_a_minute(tmp_path: Path) -> None:
    outbox = acknowledged(tmp_path, 4)
    outbox.flush(1_000)
    resume(outbox, 2)
    outbox.flush(2_000)
    outbox.flush(62_500)  # so long ago was all of it acknowledged
    assert [batch.seq for batch in outbox.pending(0)] == on_disk(outbox) == [3, 4]
    outbox.acknowledge(4)
    outbox.flush(63_100)
    outbox.flush(122_000)
    assert on_disk(outbox) == [3, 4]
    outbox.flush(123_700)
    assert not on_disk(outbox)


def test_a_process_that_ends_leaves_only_what_control_lacks(tmp_path: Path) -> None:
    outbox = acknowledged(tmp_path, 3)
    outbox.report(pb.Report(call_id="d", seq=4))
    outbox.close()
    assert len(kept(tmp_path)) == 1


def test_a_full_disk_keeps_nothing_that_control_has(tmp_path: Path) -> None:
    outbox = acknowledged(tmp_path, 3)
    with full_disk():
        outbox.report(pb.Report(call_id="d", seq=4))
        outbox.flush(1_000)
        outbox.flush(2_000)
        assert on_disk(outbox) == [4]


def on_disk(outbox: Outbox) -> list[int]:
    """The numbers of what could be sent again."""
    return [number for number, _ in outbox._background._store.pending(0)]


def resume(outbox: Outbox, number: int) -> None:
    """Control says on a new link what it has."""
    asyncio.run(outbox.resume(number))


def test_what_control_has_takes_no_memory(tmp_path: Path) -> None:
    outbox = acknowledged(tmp_path, 4)
    outbox.flush(1_000)
    spool = outbox._background._store._spool
    assert [len(outbox._batches), len(spool._waiting), len(spool._shed)] == [0, 0, 4]
    resume(outbox, 1)
    assert [batch.seq for batch in outbox.pending(0)] == [2, 3, 4], "it is on disk"


def test_what_control_lost_and_the_disk_does_not_give_back_is_no_exception(tmp_path: Path) -> None:
    outbox = acknowledged(tmp_path, 4)
    outbox.flush(1_000)
    for path in outbox._background._store._spool.directory.glob("*.seg"):
        path.chmod(0)
        path.unlink()
        path.mkdir()
    resume(outbox, 0)
    assert not list(outbox.pending(0))


class Hanging:
    """A disk that does nothing until it is let."""

    def __init__(self) -> None:
        self._thread, self._let = FileThread("test"), threading.Event()
        self._thread.submit(self._let.wait)
        self.hangs = True
        self.submit, self.drain, self.close = self._thread.submit, self._thread.drain, self._thread.close

    def let(self) -> None:
        self.hangs = False
        self._let.set()


def test_while_the_disk_hangs_reports_go_to_control_and_are_written_later(tmp_path: Path) -> None:
    disk, stored = Hanging(), []
    outbox = Outbox(store(tmp_path), settings(), disk)
    for seq in (1, 2, 3):
        outbox.report(digits(seq))
        assert outbox.flush(1_000 * seq)
    assert not outbox.storing, "no new calls"
    outbox.when_stored(lambda: stored.append(1))
    assert [batch.seq for batch in outbox.pending(0)] == [1, 2, 3]
    outbox.acknowledge(2)
    outbox.flush(4_000)
    outbox.acknowledge(3)
    assert stored == [1], "a call can end"
    outbox.report(digits(4))
    outbox.flush(5_000)
    disk.let()
    outbox.close()
    assert (outbox.storing, outbox._background.unsaved_bytes) == (True, 0)
    assert len(kept(tmp_path)) == 1, "what control lacks"
