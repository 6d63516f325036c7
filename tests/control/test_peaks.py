"""Peaks of recordings: those that are written with them, those that are computed, and of several streams."""

import wave
from pathlib import Path

import numpy as np
import pytest

from control.calls import peaks as reading
from control.calls.peaks import PeaksReader
from control.retention import files
from hum import ids, peaks
from hum.clock import now
from hum.contract.errors import NotFound
from hum.objects.files import Files
from media.recorder import MessageRecorder, Recorder
from storage.erasures import FilesRow
from storage.recordings import RecordingRow
from tests.support.recordings import closed, closed_message


def of_wav(path: Path) -> np.ndarray:
    """From the samples, one after another."""
    with wave.open(str(path)) as file:
        channels = file.getnchannels()
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels)
    each = [np.abs(sound[at : at + 400].astype(int)).max(axis=0) >> 7 for at in range(0, len(sound), 400)]
    return np.array(each).T


def noise(seed: int, samples: int) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, samples, np.uint8).tobytes()


def recorded(root: Path, ms: int = 7_330, call: str = "c") -> str:
    """A call's recording, with sound of both sides that comes in pieces of odd sizes."""
    made = Recorder.open(root, "o", call)
    sound, size = noise(1, ms * 8), 160
    for at in range(0, len(sound), size):
        made.caller(sound[at : at + size], at // 8)
        if at % 480 == 0:
            made.agent(noise(at, 150), at // 8)
    return closed(made).path


async def test_the_recorder_writes_the_peaks_of_what_it_wrote(tmp_path: Path) -> None:
    path = tmp_path / recorded(tmp_path)
    kept = peaks.unpack(peaks.path_for(path).read_bytes())
    assert kept is not None and kept.shape == (2, 147)
    assert (kept == of_wav(path)).all()
    assert oct(peaks.path_for(path).stat().st_mode & 0o777) == "0o600"
    packed = await PeaksReader(Files(tmp_path)).of_call([RecordingRow("o/c.wav", 0)])
    assert packed == peaks.path_for(path).read_bytes()
    assert packed[:12] == b"HUMP\x01\x02\x14\x00\x93\x00\x00\x00"


@pytest.mark.parametrize("kept", [None, b"", b"HUMP", b"\0" * 400], ids=["none", "empty", "cut", "other"])
async def test_without_peaks_they_are_computed_once(
    tmp_path: Path, kept: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / recorded(tmp_path)
    beside = peaks.path_for(path)
    written = beside.read_bytes()
    beside.unlink() if kept is None else beside.write_bytes(kept)
    monkeypatch.setattr(reading, "CHUNK_BYTES", 4 * 1_111)
    reader, streams = PeaksReader(Files(tmp_path)), [RecordingRow("o/c.wav", 0)]
    assert await reader.of_call(streams) == written
    assert beside.read_bytes() == written
    monkeypatch.setattr(PeaksReader, "_compute", None)
    assert await reader.of_call(streams) == written
    assert sorted(each.name for each in (tmp_path / "o").iterdir()) == ["c.wav", "c.wav.peaks"]


async def test_peaks_that_do_not_fit_the_recording_are_computed_anew(tmp_path: Path) -> None:
    path = tmp_path / recorded(tmp_path)
    with path.open("ab") as file:  # a process that was killed leaves a header that is older than the audio
        file.write(b"\x00\x10" * 8_000)
    found = peaks.unpack(await PeaksReader(Files(tmp_path)).of_call([RecordingRow("o/c.wav", 0)]))
    assert found is not None and found.shape == (2, 157)


async def test_a_later_stream_stands_where_it_was_and_ends_the_one_before(tmp_path: Path) -> None:
    first, second = recorded(tmp_path, 2_000), recorded(tmp_path, 1_000)
    each = [of_wav(tmp_path / path) for path in (first, second)]
    reader = PeaksReader(Files(tmp_path))
    late = peaks.unpack(await reader.of_call([RecordingRow(first, 0), RecordingRow(second, 2_510)]))
    assert late is not None
    assert (late == np.concatenate((each[0], np.zeros((2, 10), int), each[1]), axis=1)).all()
    over = peaks.unpack(await reader.of_call([RecordingRow(first, 0), RecordingRow(second, 1_500)]))
    assert over is not None
    assert (over == np.concatenate((each[0][:, :30], each[1]), axis=1)).all()
    gone = peaks.unpack(await reader.of_call([RecordingRow(first, 0), RecordingRow("o/gone.wav", 2_500)]))
    assert gone is not None and (gone == each[0]).all()


async def test_no_file_outside_the_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    outside = recorded(tmp_path)
    for stored in (f"../{outside}", "gone.wav"):
        with pytest.raises(NotFound):
            await PeaksReader(Files(tmp_path / "in")).of_call([RecordingRow(stored, 0)])
        with pytest.raises(NotFound):
            await PeaksReader(Files(tmp_path / "in")).of_message(stored, now())


async def test_an_hour_is_small(tmp_path: Path) -> None:
    made = Recorder.open(tmp_path, "o", "c")
    for at_ms in range(0, 3_600_000, 1_000):
        made.caller(bytes([at_ms // 1000 % 256]) * 8_000, at_ms)
    size = len(await PeaksReader(Files(tmp_path)).of_call([RecordingRow(closed(made).path, 0)]))
    assert 140_000 < size <= 150_000


async def test_a_message_has_peaks_of_one_channel_and_none_that_was_not_kept(tmp_path: Path) -> None:
    made = MessageRecorder.open(tmp_path, "o", "c", 0)
    for at in range(0, 20_000, 160):
        made.caller(noise(at, 160), at // 8)
    path = closed_message(made).path
    found = peaks.unpack(await PeaksReader(Files(tmp_path)).of_message(path, now()))
    assert found is not None and (found == of_wav(tmp_path / path)).all()
    dropped = MessageRecorder.open(tmp_path, "o", "d", 0)
    dropped.caller(noise(1, 160), 0)
    closed_message(dropped, kept=False)
    assert sorted(each.name for each in (tmp_path / "o").iterdir()) == ["c.wav", "c.wav.peaks"]
    await Files(tmp_path).remove(path)
    assert list((tmp_path / "o").iterdir()) == []


def test_a_full_disk_costs_the_peaks_and_not_the_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: Path) -> Path:
        return tmp_path / "no/such/folder"

    monkeypatch.setattr(peaks, "path_for", full)
    path = recorded(tmp_path)
    assert [each.name for each in (tmp_path / "o").iterdir()] == [Path(path).name]


async def test_they_are_deleted_with_the_call(tmp_path: Path) -> None:
    row = FilesRow(ids.new(), ids.new(), ["o/c.wav"])
    recorded(tmp_path)
    assert await files.remove(Files(tmp_path), row) == 1
    assert list((tmp_path / "o").iterdir()) == []
