"""The spool: what was appended comes back, in order, until it is done; a crash costs at most the record it cut."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hum.spool import Spool


def open_spool(path: Path, **options: int) -> Spool:
    return Spool(path, fsync=False, **options)  # type: ignore[arg-type]


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


class Machine(RuleBasedStateMachine):
    """Any order of appending, finishing and reopening leaves exactly what is not done."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.path = Path(tempfile.mkdtemp())
        self.spool = open_spool(self.path, segment_bytes=50)
        self.model: dict[int, bytes] = {}
        self.last = 0

    @rule(payload=st.binary(max_size=40))
    def append(self, payload: bytes) -> None:
        self.last += 1
        assert self.spool.append(payload) == self.last
        self.model[self.last] = payload

    @precondition(lambda self: self.last)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.last))
        self.spool.finish(number)
        self.model = {each: payload for each, payload in self.model.items() if each > number}

    @rule()
    def reopen(self) -> None:
        self.spool.close()
        self.spool = open_spool(self.path, segment_bytes=50)

    @invariant()
    def holds(self) -> None:
        assert dict(self.spool.pending()) == self.model
        assert len(self.spool) == len(self.model)

    def teardown(self) -> None:
        import shutil

        self.spool.close()
        shutil.rmtree(self.path)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_rubbish_on_disk_is_no_record(rubbish: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as home:
        (Path(home) / f"{1:020d}.seg").write_bytes(rubbish)
        spool = open_spool(Path(home))
        spool.append(b"after")
        assert list(spool.pending())[-1][1] == b"after"
        spool.close()
