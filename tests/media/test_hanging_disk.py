"""A media process whose disk answers nothing for longer than its watchdog waits: it lives, and its calls go on."""

import sys
from pathlib import Path

import pytest

from hum.v1 import runtime_pb2 as pb
from sandbox.twilio import say
from tests.media.audio import heard, tone, voice
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import MakeSettings, Ring, program_environment
from tests.media.test_exhausted import Program
from tests.support.programs import running
from tests.support.waits import until

pytestmark = pytest.mark.chaos
STUCK_SECONDS = 3
#: `hum media`, where each call on a file of its home waits while there is the file `hangs`, as on a network disk.
HANGING = """
import os, sys, time
import media.app
home, hangs = sys.argv[1:]
del sys.argv[1:]
exists, readlink = os.path.exists, os.readlink

def hanging(call):
    def wait(at, *args, **options):
        path = readlink(f"/proc/self/fd/{at}") if isinstance(at, int) else os.fsdecode(at)
        while path.startswith(home) and exists(hangs):
            time.sleep(0.01)
        return call(at, *args, **options)
    return wait

FILE_CALLS = "open pwrite fsync rename replace unlink mkdir truncate ftruncate stat statvfs scandir"
for name in FILE_CALLS.split():
    setattr(os, name, hanging(getattr(os, name)))
media.app.main()
"""


async def test_a_disk_that_hangs_for_long_ends_neither_the_process_nor_a_call(
    settings: MakeSettings, control: FakeControl, model: FakeModel, ring: Ring, tmp_path: Path
) -> None:
    home, hangs, log = tmp_path / "home", tmp_path / "hangs", tmp_path / "media.log"
    given, greeting = settings(), tone(200)
    control.offer("t1", recording_enabled=True, clips=[pb.Clip(kind="greeting", text="Hi.", audio_ulaw=greeting)])
    model.answer = tone(300)
    environment = program_environment(given, model, home, stuck_seconds=STUCK_SECONDS, vad_confirm=False)
    with log.open("ab") as file:
        async with running(sys.executable, "-c", HANGING, home, hangs, env=environment, stderr=file) as process:
            media = Program(process, given.media_url, log)
            await until(lambda: control.hellos)
            await until(media.is_ready)
            hear = {"do": "wait_for_agent_to_finish", "quiet_ms": 300}
            longer = {"do": "wait", "ms": 3_000 * STUCK_SECONDS}
            call = await ring(media, [hear, longer, say(voice(300)), {"do": "wait_for_agent_to_talk"}, hear])
            await until(lambda: "recording_started" in control.kinds())
            hangs.touch()
            await call.ended()
            assert process.poll() is None
            assert heard(call) == greeting + model.answer, "it answers while the disk hangs"
            await until(lambda: control.ended("call_t1"))
            assert "recording" not in control.kinds() and not await media.is_ready()
            hangs.unlink()
            await until(lambda: "recording" in control.kinds())
            await until(media.is_ready)
            await media.http.aclose()
            assert process.poll() is None
    (stored,) = [each.recording for each in control.reports() if each.WhichOneof("report") == "recording"]
    assert not stored.fault and stored.duration_ms > 1_000 * STUCK_SECONDS
    assert (home / "recordings" / stored.path).stat().st_size == stored.size_bytes
    assert b"is stuck" not in log.read_bytes() and b"Traceback" not in log.read_bytes()
