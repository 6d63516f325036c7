"""A media process without disk or descriptors, from outside: calls go on, new ones are refused, and all is as before soon after.

A limit on the size of files is the full disk: whatever the process writes fails, its log included, as on a disk that it
shares with its log.
"""

import asyncio
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import websockets

from hum.v1 import runtime_pb2 as pb
from sandbox.twilio import sign
from tests.hum.test_private import open_to_others
from tests.media.audio import tone, voice
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import TOKEN, Line, MakeSettings, program_environment
from tests.support.present import present
from tests.support.programs import Program as Process
from tests.support.programs import running
from tests.support.waits import until

pytestmark = [pytest.mark.strain, pytest.mark.timeout(180)]
BACK_SECONDS = 2.0
GREETING = pb.Clip(kind="greeting", text="Hello there.", audio_ulaw=tone(800))


class Program:
    """A media plane as a program, its log in a file."""

    def __init__(self, process: Process, media_url: str, log: Path) -> None:
        self.process, self.log = process, log
        self.url = f"{media_url}/media/twilio"
        self.http = httpx.AsyncClient(base_url=media_url.replace("ws:", "http:"), timeout=60)

    def limit(self, which: int, most: int | None) -> None:
        _, hard = resource.prlimit(self.process.pid, which)
        resource.prlimit(self.process.pid, which, (hard if most is None else most, hard))

    @contextlib.asynccontextmanager
    async def line(self) -> AsyncIterator[Line]:
        async with websockets.connect(
            self.url,
            additional_headers={"X-Twilio-Signature": sign(TOKEN, self.url)},
            ping_interval=None,
            compression=None,
            close_timeout=0.3,
        ) as connection:
            yield Line(connection)

    async def refused(self) -> int | None:
        try:
            async with self.line():
                return None
        except websockets.InvalidStatus as refusal:
            return refusal.response.status_code

    async def is_ready(self) -> bool:
        return (await self.http.get("/readyz")).status_code == 200

    async def becomes(self, ready: bool, seconds: float = 10.0) -> float:
        """Wait until `/readyz` says so; how long it took."""
        began = time.monotonic()
        async with asyncio.timeout(seconds):
            while await self.is_ready() != ready:
                await asyncio.sleep(0.02)
        return time.monotonic() - began


StartProgram = Callable[..., Awaitable[Program]]


@pytest.fixture
async def program(
    settings: MakeSettings, control: FakeControl, model: FakeModel, tmp_path: Path
) -> AsyncIterator[StartProgram]:
    """Starts it, with a limit of descriptors if one is named."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(descriptors: int | None = None, root: Path = tmp_path) -> Program:
            given = settings()
            limit = f"ulimit -n {descriptors};" if descriptors else ""
            log = stack.enter_context((root / "media.log").open("ab"))
            command = ("sh", "-c", f'umask 0; {limit} exec "$0" -m media.app', sys.executable)
            environment = program_environment(given, model, root / "home", vad_confirm=False)
            process = await stack.enter_async_context(running(*command, env=environment, stderr=log))
            made = Program(process, given.media_url, Path(log.name))
            stack.push_async_callback(made.http.aclose)
            await until(lambda: control.hellos)
            await made.becomes(ready=True, seconds=30)
            return made

        yield start


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a few MB, where this is allowed."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def fill(disk: Path) -> Path:
    """Take all space that is left; the file that has it."""
    taken = disk / "taken"
    with taken.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(b"x" * 4_096) == 4_096:
            pass
    return taken


class Caller:
    """One call, whose caller keeps talking and listens."""

    def __init__(self, program: Program, control: FakeControl, token: str) -> None:
        self.program, self.control, self.token = program, control, token
        self.heard = 0
        self.line: Line | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def ring(self, stack: contextlib.AsyncExitStack) -> "Caller":
        self.control.offer(self.token, recording_enabled=True, clips=[GREETING])
        self.line = await stack.enter_async_context(self.program.line())
        await self.line.start(token=self.token)
        self._tasks = [asyncio.create_task(each) for each in (self._talk(), self._listen())]
        stack.callback(lambda: [task.cancel() for task in self._tasks])
        await until(lambda: "started" in self.control.kinds(f"call_{self.token}"))
        return self

    async def _talk(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                await present(self.line).media(voice(20, seed=present(self.line).frames % 50))
                await asyncio.sleep(0.02)

    async def _listen(self) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            async for text in present(self.line).connection:
                self.heard += json.loads(text)["event"] == "media"

    @property
    def is_connected(self) -> bool:
        return present(self.line).connection.state is websockets.State.OPEN

    async def press(self, digits: str) -> None:
        for digit in digits:
            await present(self.line).say("dtmf", dtmf={"digit": digit})

    def digits(self) -> list[str]:
        """Each entry's longest report: keys are reported as they are pressed."""
        reports = (each.digits for each in self.control.reports(f"call_{self.token}"))
        return list({each.at_ms: each.digits for each in reports if each.digits}.values())

    async def hang_up(self) -> pb.StreamEnded:
        await present(self.line).say("stop")
        return await until(lambda: self.control.ended(f"call_{self.token}"))

    def recording(self) -> pb.RecordingStored:
        return next(each.recording for each in self.control.reports(f"call_{self.token}") if each.HasField("recording"))


async def test_a_full_disk_costs_recordings_and_new_calls_and_nothing_else(
    program: StartProgram, control: FakeControl, model: FakeModel, tmp_path: Path
) -> None:
    media = await program()
    async with contextlib.AsyncExitStack() as stack:
        stays, leaves = [await Caller(media, control, token).ring(stack) for token in ("t1", "t2")]
        await until(lambda: stays.heard and leaves.heard)
        await asyncio.sleep(5)  # some of the recordings is on disk

        media.limit(resource.RLIMIT_FSIZE, 0)
        assert await media.becomes(ready=False) < BACK_SECONDS
        assert await media.refused() == 503
        await stays.press("12#")
        await until(lambda: stays.digits() == ["12#"])
        ended = await leaves.hang_up()
        assert ended.reason == "caller"
        await asyncio.sleep(3)  # the rest of a recording would be written
        assert stays.is_connected
        assert media.process.poll() is None
        assert (await media.http.get("/healthz")).status_code == 200

        media.limit(resource.RLIMIT_FSIZE, None)
        assert await media.becomes(ready=True) < BACK_SECONDS
        fresh = await Caller(media, control, "t3").ring(stack)
        await until(lambda: fresh.heard)
        for caller in (fresh, stays):
            assert (await caller.hang_up()).reason == "caller"
    for caller in (leaves, stays):
        assert caller.recording().fault == "File too large", "as this system calls a full disk here"
        assert caller.recording().duration_ms > 1_000, "what was there before is kept"
    assert not fresh.recording().HasField("fault")
    for token in ("t1", "t2", "t3"):
        reports = control.reports(f"call_{token}")
        assert [each.seq for each in reports] == list(range(1, len(reports) + 1))
    assert b"Traceback" not in media.log.read_bytes()
    assert open_to_others(tmp_path / "home") == []


async def test_a_disk_that_fills_up_and_is_emptied(
    program: StartProgram, control: FakeControl, model: FakeModel, small_disk: Path
) -> None:
    media = await program(root=small_disk)
    async with contextlib.AsyncExitStack() as stack:
        stays, leaves = [await Caller(media, control, token).ring(stack) for token in ("t1", "t2")]
        await until(lambda: stays.heard and leaves.heard)
        await asyncio.sleep(5)

        taken = fill(small_disk)
        assert await media.becomes(ready=False) < BACK_SECONDS
        assert await media.refused() == 503
        await stays.press("12#")
        assert (await leaves.hang_up()).reason == "caller"
        await until(lambda: stays.digits() == ["12#"])
        await asyncio.sleep(3)
        assert stays.is_connected and media.process.poll() is None

        taken.unlink()
        assert await media.becomes(ready=True) < BACK_SECONDS
        fresh = await Caller(media, control, "t3").ring(stack)
        for caller in (fresh, stays):
            assert (await caller.hang_up()).reason == "caller"
    assert stays.recording().fault == leaves.recording().fault == "No space left on device"
    assert not fresh.recording().HasField("fault")
    for token in ("t1", "t2", "t3"):
        reports = control.reports(f"call_{token}")
        assert [each.seq for each in reports] == list(range(1, len(reports) + 1))


async def test_a_full_disk_while_control_is_away_too_loses_no_report(
    program: StartProgram, control: FakeControl, model: FakeModel
) -> None:
    media = await program()
    async with contextlib.AsyncExitStack() as stack:
        caller = await Caller(media, control, "t1").ring(stack)
        await control.stop()
        media.limit(resource.RLIMIT_FSIZE, 0)
        await media.becomes(ready=False)
        await caller.press("1#")
        await asyncio.sleep(1)
        assert caller.is_connected
        await control.start()
        await until(lambda: caller.digits() == ["1#"])
        media.limit(resource.RLIMIT_FSIZE, None)
        assert await media.becomes(ready=True) < BACK_SECONDS + 5, "the link's longest wait, and the disk's"
        assert (await caller.hang_up()).reason == "caller"
    reports = control.reports("call_t1")
    assert [each.seq for each in reports] == list(range(1, len(reports) + 1))


async def test_few_descriptors_are_few_calls_and_no_harm(
    program: StartProgram, control: FakeControl, model: FakeModel
) -> None:
    media = await program(descriptors=128)
    watched = psutil.Process(media.process.pid)
    async with contextlib.AsyncExitStack() as stack:
        callers: list[Caller] = []
        while (status := await media.refused()) is None:
            assert len(callers) < 60, "the door closes before descriptors run out"
            callers.append(await Caller(media, control, f"t{len(callers)}").ring(stack))
        assert status == 503
        assert len(callers) >= 10
        assert not await media.is_ready()
        assert watched.num_fds() <= 128 - 16

        strangers, most = [], 0
        address = "127.0.0.1", httpx.URL(media.url).port
        for _ in range(5):
            strangers += [socket.create_connection(address) for _ in range(100)]
            most = max(most, *(watched.num_fds() for _ in range(20)))
        assert most <= 128 - 8, "what calls may still need is never taken by strangers"
        before, log_before = sum(watched.cpu_times()[:2]), media.log.stat().st_size
        await asyncio.sleep(3)
        assert media.log.stat().st_size - log_before < 10_000
        assert watched.num_fds() < 128
        assert all(caller.is_connected for caller in callers)
        spent = sum(watched.cpu_times()[:2]) - before
        assert spent < 2.5, f"{spent:.1f} s of processor time in 3 s"
        for caller in callers:
            await caller.press("7#")
        await until(lambda: all(caller.digits() == ["7#"] for caller in callers))
        for stranger in strangers:
            stranger.close()

        for caller in callers:
            assert (await caller.hang_up()).reason == "caller"
            assert not caller.recording().HasField("fault")
        assert await media.becomes(ready=True) < BACK_SECONDS
        again = await Caller(media, control, "again").ring(stack)
        await until(lambda: again.heard)
        await again.hang_up()
    assert b"Traceback" not in media.log.read_bytes()


async def test_a_process_whose_loop_is_stuck_ends_by_itself(
    settings: MakeSettings, control: FakeControl, model: FakeModel, tmp_path: Path
) -> None:
    given = settings()
    code = (
        "import threading, time, media.app as app\n"
        "from media.server import MediaServer\n"
        "began = time.monotonic()\n"
        "sweep = MediaServer.sweep\n"
        "def stuck(self, now_ms):\n"
        "    sweep(self, now_ms)\n"
        "    time.sleep(60 if time.monotonic() - began > 4 else 0)\n"
        "MediaServer.sweep = stuck\n"
        "app.main()\n"
    )
    environment = program_environment(given, model, tmp_path, stuck_seconds=1, vad_confirm=False)
    async with running(sys.executable, "-c", code, env=environment, stderr=subprocess.PIPE) as process:
        _, logged = await process.outputs()
    assert process.returncode == 70
    assert b"is stuck" in logged and b"in stuck" in logged


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
async def test_a_log_that_takes_nothing_is_no_reason_to_end_a_call(
    settings: MakeSettings, control: FakeControl, model: FakeModel, tmp_path: Path
) -> None:
    given = settings()
    full = os.open("/dev/full", os.O_WRONLY)
    environment = program_environment(given, model, tmp_path)
    async with running(sys.executable, "-m", "media.app", env=environment, stderr=full) as process:
        os.close(full)
        media = Program(process, given.media_url, tmp_path)
        await until(lambda: control.hellos)
        assert await media.refused() is None
        async with contextlib.AsyncExitStack() as stack:
            caller = await Caller(media, control, "t1").ring(stack)
            await until(lambda: caller.heard)
            assert (await caller.hang_up()).reason == "caller"
        await media.http.aclose()
