"""The recording: the file is correct whenever it is read."""

import io
import os
import signal
import stat
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from hum.wave import header as wave_header
from media import recorder
from media.core.audio import SILENCE_BYTE, to_linear
from media.recorder import Recorder
from media.reports import Recording
from tests.media.audio import tone
from tests.support.recordings import channels, closed

QUIET_MS = SILENCE_BYTE * 8


def linear(ulaw: bytes) -> np.ndarray:
    return np.frombuffer(to_linear(ulaw), "<i2")


def test_both_sides_lie_where_the_calls_clock_says(tmp_path: Path) -> None:
    made = Recorder.open(tmp_path, "org_1", "call_1")
    caller, agent = tone(40), tone(60, hz=900)
    made.caller(caller[:160], 100)
    made.caller(caller[160:], 120)
    made.agent(agent, 50)
    stored = closed(made)
    left, right = channels((tmp_path / stored.path).read_bytes())
    assert (stored.path, stored.duration_ms) == ("org_1/call_1.wav", 140)
    assert stored.size_bytes == (tmp_path / stored.path).stat().st_size == 44 + 140 * 8 * 4
    assert (left == linear(QUIET_MS * 100 + caller)).all()
    assert (right == linear(QUIET_MS * 50 + agent + QUIET_MS * 30)).all()


def test_rounded_stamps_make_neither_gap_nor_overlap(tmp_path: Path) -> None:
    made, said = Recorder.open(tmp_path, "o", "c"), tone(100)
    for number, at_ms in enumerate((0, 21, 39, 61, 80)):
        made.caller(said[160 * number : 160 * (number + 1)], at_ms)
    left, _ = channels((tmp_path / closed(made).path).read_bytes())
    assert (left == linear(said)).all()


def test_a_lost_frame_is_silence_and_a_repeated_one_is_not_heard_twice(tmp_path: Path) -> None:
    made, said = Recorder.open(tmp_path, "o", "c"), tone(80)
    made.caller(said[:320], 0)
    made.caller(said[480:], 60)
    made.caller(said[480:], 60)
    left, _ = channels((tmp_path / closed(made).path).read_bytes())
    assert (left == linear(said[:320] + QUIET_MS * 20 + said[480:])).all()


def test_stamps_that_nobody_can_believe_are_not_recorded(tmp_path: Path) -> None:
    made = Recorder.open(tmp_path, "o", "c")
    made.caller(tone(20), 0)
    made.caller(tone(20), 999_999_999_999)
    made.caller(tone(20), 20)
    assert closed(made).duration_ms == 40


def test_memory_does_not_grow_with_the_call(tmp_path: Path) -> None:
    made, frame = Recorder.open(tmp_path, "o", "c"), tone(20)
    most = 0
    for number in range(3_000):  # a minute
        made.caller(frame, 20 * number)
        if number % 3 == 0:
            made.agent(tone(20, hz=700), max(0, 20 * number - 400))
        most = max(most, len(made._left.audio) + len(made._right.audio))
    assert most <= 60_000
    assert closed(made).duration_ms == 60_000


def test_a_caller_who_sends_nothing_more_does_not_hold_the_agent_in_memory(tmp_path: Path) -> None:
    made = Recorder.open(tmp_path, "o", "c")
    for number in range(1_500):
        made.agent(tone(20), 20 * number)
    assert len(made._right.audio) <= 4 * recorder.LATE_BYTES
    assert closed(made).duration_ms == 30_000


KILLED = """
import os, signal, sys
from pathlib import Path
from media.recorder import Recorder
made = Recorder.open(Path(sys.argv[1]), "org_1", "call_1")
for number in range(500):
    made.caller(bytes([0x20]) * 160, 20 * number)
    made.agent(bytes([0x90]) * 160, 20 * number)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.chaos
def test_a_killed_process_leaves_a_file_that_plays(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    left, right = channels((tmp_path / "org_1/call_1.wav").read_bytes())
    assert 6_000 <= len(left) / 8 <= 10_000
    assert (left == linear(b"\x20")[0]).all()
    assert (right == linear(b"\x90")[0]).all()


def test_the_header_is_true_after_every_write(tmp_path: Path) -> None:
    made = Recorder.open(tmp_path, "o", "c")
    path = tmp_path / "o/c.wav"
    for number in range(400):
        made.caller(tone(20), 20 * number)
        with wave.open(io.BytesIO(path.read_bytes())) as file:
            assert 44 + file.getnframes() * 4 == path.stat().st_size
    closed(made)


def test_a_call_that_was_joined_before_keeps_what_it_had(tmp_path: Path) -> None:
    paths = []
    for _ in range(3):
        made = Recorder.open(tmp_path, "o", "c")
        made.caller(tone(20), 0)
        paths.append(closed(made).path)
    assert paths == ["o/c.wav", "o/c.2.wav", "o/c.3.wav"]


def test_a_disk_that_fails_ends_the_recording_and_keeps_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.pwrite, [200_000]

    def nearly_full(file: int, data: bytes, at: int) -> int:
        if at + len(data) <= room[0]:
            return write(file, data, at)
        if at < room[0]:
            return write(file, data[: room[0] - at], at)
        raise OSError(28, "No space left on device")

    made = Recorder.open(tmp_path, "o", "c")
    monkeypatch.setattr(os, "pwrite", nearly_full)
    for number in range(1_000):
        made.caller(tone(20), 20 * number)
        made.agent(tone(20), 20 * number)
    stored = closed(made)
    left, right = channels((tmp_path / stored.path).read_bytes())
    assert stored.fault == "No space left on device"
    assert stored.size_bytes == (tmp_path / stored.path).stat().st_size <= room[0]
    assert stored.duration_ms == len(left) / 8 == len(right) / 8 >= 3_000
    assert len(made._left.audio) == len(made._right.audio) == 0, "what will never be written is not gathered"


def test_a_recording_of_nothing_is_no_file_but_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    made = Recorder.open(tmp_path, "o", "c")
    made.caller(tone(20), 0)
    assert closed(made) == Recording("", 0, 0, "No space left on device")
    assert list((tmp_path / "o").iterdir()) == []


def test_a_folder_that_can_not_be_made_is_a_reason_too(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert closed(Recorder.open(tmp_path / "file", "o", "c")).fault == "File exists"


def test_a_recording_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = Recorder.open(tmp_path / "recordings", "o", "c")
        made.caller(tone(20), 0)
        path = tmp_path / "recordings" / closed(made).path
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, path.parent.parent)]
    assert modes == [0o600, 0o700, 0o700]


@pytest.mark.parametrize("size", [0, 4, 32_000])
def test_the_header_is_riffs(size: int) -> None:
    with wave.open(io.BytesIO(wave_header(size) + bytes(size))) as file:
        assert file.getnframes() == size // 4
