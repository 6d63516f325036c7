"""What is told in a pause of the recording is on no disk, at no moment: a process that is killed then leaks nothing."""

import asyncio
import wave
from pathlib import Path

from tests.media.audio import voice
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import StartPlane
from tests.support.waits import until

KEYS = "41115"
RULES = '{"pause_on":{"keys":true}}'


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_is_pressed_and_said_in_a_pause_is_on_no_disk(
    plane: StartPlane, control: FakeControl, model: FakeModel, tmp_path: Path
) -> None:
    control.acknowledges = False  # so that the spool keeps all of its reports
    control.offer("t1", recording_enabled=True, recording_rules_json=RULES)
    media = await plane(under_way_ms=20, pause_keys_seconds=3_600, pause_seconds=3_600)
    async with media.joined() as line:
        sound = b"\x90" * 160
        for _ in range(100):
            await line.media(sound)
        await until(lambda: model.heard())
        for digit in KEYS:
            await line.say("dtmf", dtmf={"track": "inbound_track", "digit": digit})
        await until(lambda: "pause" in str(control.kinds("call_t1")))
        for frame in range(0, 160 * 60, 160):  # the caller says something, too
            await line.media(voice(1_200)[frame : frame + 160])
            await asyncio.sleep(0.005)
        for _ in range(300):
            await line.media()
        await until(lambda: f"Caller entered {KEYS}" in str(model.received))
        await until(lambda: "turn" in control.kinds("call_t1"))
        (file,) = media.given.recordings_dir.rglob("*.wav")
        await until(lambda: file.stat().st_size > 44 + 4 * 8 * 4_000)
        # The process may die now: this is all that is on disk.
        kept = files(tmp_path)
        assert any("spool" in str(path) for path in kept)
        for path in kept:
            written = path.read_bytes()
            assert KEYS.encode() not in written and b"hello there" not in written, path
        with wave.open(str(file)) as stored:
            samples = memoryview(stored.readframes(stored.getnframes())).cast("h")
        pauses = [each.recording_pause for each in control.reports("call_t1") if each.HasField("recording_pause")]
        start = pauses[0].start_ms * 8
        assert len(pauses) == 1 and not pauses[0].HasField("end_ms")
        left, right = samples[::2].tolist(), samples[1::2].tolist()
        assert all(left[: start - 160]) and len(left) > start + 8_000
        assert not any(left[start:]) and not any(right[start:])
    told = str(control.batches) + str(control.deltas)
    assert KEYS not in told and "hello there" not in told and "[not recorded]" in told
