"""The spool: what was appended comes back, in order, until it is done; a crash costs at most the record it cut."""

import errno
import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hum.spool import Spool
from tests.support.examples import examples

HEAD_BYTES = 8


def open_spool(path: Path, **options: int) -> Spool:
    return Spool(path, fsync=False, **options)


def test_records_come_back_after_a_restart_until_they_are_done(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    assert [spool.append(b"one"), spool.append(b""), spool.append(b"three")] == [1, 2, 3]
    spool.finish(1)
    spool.close()
    again = open_spool(tmp_path)
    assert list(again.pending()) == [(2, b""), (3, b"three")]
    assert again.append(b"four") == 4
    assert list(again.pending(after=3)) == [(4, b"four")]


def test_a_record_that_a_crash_cut_is_dropped_and_its_number_used_again(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.append(b"whole")
    spool.append(b"cut short")
    spool.close()
    (segment,) = tmp_path.glob("*.seg")
    os.truncate(segment, segment.stat().st_size - 3)
    again = open_spool(tmp_path)
    assert list(again.pending()) == [(1, b"whole")]
    assert again.append(b"next") == 2
    again.close()
    assert list(open_spool(tmp_path).pending()) == [(1, b"whole"), (2, b"next")]


def test_a_damaged_record_ends_what_can_be_trusted(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for payload in (b"aaaa", b"bbbb", b"cccc"):
        spool.append(payload)
    spool.close()
    (segment,) = tmp_path.glob("*.seg")
    data = bytearray(segment.read_bytes())
    data[data.index(b"bbbb")] ^= 1
    segment.write_bytes(data)
    assert [payload for _, payload in open_spool(tmp_path).pending()] == [b"aaaa"]


def test_one_process_owns_a_spool(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    with pytest.raises(BlockingIOError):
        open_spool(tmp_path)
    spool.close()
    open_spool(tmp_path).close()


def test_space_comes_back(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, segment_bytes=64)
    for _ in range(20):
        spool.append(b"x" * 30)
    before = len(list(tmp_path.glob("*.seg")))
    spool.finish(19)
    after = sorted(tmp_path.glob("*.seg"))
    assert before > 5
    assert len(after) == 1
    spool.close()
    assert [number for number, _ in open_spool(tmp_path).pending()] == [20]


@contextmanager
def full_disk(more_bytes: int, spool: Spool) -> Iterator[None]:
    """The disk accepts so many more bytes of the segment and then no more: the system cuts the write short."""
    size = max((path.stat().st_size for path in spool.directory.glob("*.seg")), default=0) if more_bytes else 0
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + more_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("taken", [0, 1, 8, 9, 20, 27])
def test_a_write_that_the_disk_cut_short_costs_nothing_that_comes_later(tmp_path: Path, taken: int) -> None:
    spool = open_spool(tmp_path)
    assert spool.append(b"first") == 1
    with full_disk(taken, spool), pytest.raises(OSError, match="File too large"):
        spool.append(b"x" * 20)
    assert list(spool.pending()) == [(1, b"first")]
    assert [spool.append(b"second"), spool.append(b"third")] == [2, 3]
    expected = [(1, b"first"), (2, b"second"), (3, b"third")]
    assert list(spool.pending()) == expected
    spool.close()
    again = open_spool(tmp_path)
    assert list(again.pending()) == expected
    assert again.append(b"fourth") == 4


def test_a_record_whose_sync_failed_is_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its bytes are in the segment and can't be truncated: the next record has its number."""
    spool = Spool(tmp_path, fsync=True)
    spool.append(b"first")
    spool.append(b"second")

    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        patch.setattr(os, "ftruncate", broken)
        with pytest.raises(OSError, match="I/O error"):
            spool.append(b"never acknowledged")
    assert spool.append(b"third") == 3
    spool.close()
    expected = [(1, b"first"), (2, b"second"), (3, b"third")]
    assert list(open_spool(tmp_path).pending()) == expected


@pytest.mark.parametrize("finished", [0, 1, 2])
def test_a_deleted_directory_is_made_again_with_what_waits(tmp_path: Path, finished: int) -> None:
    path = tmp_path / "spools" / "0"
    spool = open_spool(path)
    for payload in (b"one", b"two"):
        spool.append(payload)
    spool.finish(finished)
    spool.skip(7)
    shutil.rmtree(path.parent)
    assert spool.append(b"eight") == 8
    with pytest.raises(BlockingIOError):
        open_spool(path)
    spool.finish(finished)
    spool.close()
    again = open_spool(path)
    assert list(again.pending()) == [(1, b"one"), (2, b"two"), (8, b"eight")][finished:]
    assert again.done == finished
    again.close()


class Machine(RuleBasedStateMachine):
    """Any sequence of appends, failures, completions, crashes and reopens leaves exactly what is not done."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.path = Path(tempfile.mkdtemp())
        self.spool = open_spool(self.path, segment_bytes=50)
        self.model: dict[int, bytes] = {}
        self.written: dict[int, bytes] = {}
        self.last = 0

    @rule(payload=st.binary(max_size=40))
    def append(self, payload: bytes) -> None:
        self.last += 1
        assert self.spool.append(payload) == self.last
        self.model[self.last] = self.written[self.last] = payload

    @precondition(lambda self: self.last)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.last))
        self.spool.finish(number)
        self.model = {each: payload for each, payload in self.model.items() if each > number}

    @rule(data=st.data())
    def shed(self, data: st.DataObject) -> None:
        self.spool.shed(data.draw(st.integers(0, self.last)))

    @rule(payload=st.binary(min_size=1, max_size=40), data=st.data())
    def fail(self, payload: bytes, data: st.DataObject) -> None:
        taken = data.draw(st.integers(0, len(payload) + HEAD_BYTES - 1))
        with full_disk(taken, self.spool):
            try:
                self.spool.append(payload)
            except OSError:
                return
        self.last += 1  # another segment had room for it
        self.model[self.last] = self.written[self.last] = payload

    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """The machine loses the tail of the last write, from any byte on."""
        self.spool.close()
        segments = sorted(path for path in self.path.glob("*.seg") if path.stat().st_size)
        if segments:
            kept, end = data.draw(st.integers(0, segments[-1].stat().st_size)), 0
            os.truncate(segments[-1], kept)
            for number in range(int(segments[-1].stem), self.last + 1):
                end += HEAD_BYTES + len(self.written[number])
                if end > kept:
                    self.last = max(number - 1, self.spool.done)
                    break
        self.model = {number: payload for number, payload in self.model.items() if number <= self.last}
        self.spool = open_spool(self.path, segment_bytes=50)

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.spool = open_spool(self.path, segment_bytes=50)

    @invariant()
    def holds(self) -> None:
        assert dict(self.spool.pending()) == self.model
        assert len(self.spool) == len(self.model)

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.path)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=examples(100), stateful_step_count=25, deadline=None)


@given(st.binary(max_size=300))
@settings(max_examples=examples(60), deadline=None)
def test_rubbish_on_disk_is_no_record(rubbish: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as home:
        (Path(home) / f"{1:020d}.seg").write_bytes(rubbish)
        spool = open_spool(Path(home))
        spool.append(b"after")
        assert list(spool.pending())[-1][1] == b"after"
        spool.close()
