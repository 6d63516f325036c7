"""Nobody is refused for lateness that the process is not to blame for: 60 calls each, with the limits of production."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
import websockets
from websockets.asyncio.client import ClientConnection

from hum.settings import MediaSettings
from sandbox.twilio import sign
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import TOKEN, Line, MakeSettings, program_environment
from tests.support.programs import Program, running
from tests.support.waits import patience, until

pytestmark = pytest.mark.realtime
CALLS = 60
NEIGHBOURS = 4 * (os.cpu_count() or 1)
#: Beside busy programs the model of these tests is slow, too.
DIAL = {"dial_seconds": 60}
#: The product's own: those of tests are more patient.
OWN = {name: MediaSettings.model_fields[name].default for name in ("max_lag_ms", "max_late_ms")}
BUSY = "while True: pass"


@pytest.fixture
async def program(settings: MakeSettings, model: FakeModel, tmp_path: Path) -> AsyncIterator[tuple[Program, str]]:
    """A media process of its own, and its URL; its log is in the test's folder."""
    given = settings()
    environment = program_environment(given, model, tmp_path, **DIAL, **OWN)
    with (tmp_path / "media.log").open("wb") as log:
        async with running(sys.executable, "-m", "media.app", env=environment, stdout=log, stderr=log) as process:
            async with patience(), httpx.AsyncClient(trust_env=False) as http:
                while not await is_ready(http, given.media_url.replace("ws:", "http:")):
                    await asyncio.sleep(0.01)
            yield process, f"{given.media_url}/media/twilio"


async def is_ready(http: httpx.AsyncClient, url: str) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return (await http.get(f"{url}/readyz")).status_code == 200
    return False


@contextlib.contextmanager
def neighbours(count: int) -> Iterator[None]:
    """Busy programs, all of them ended: asyncio's own, in uvloop, runs Python in the child and may crash it there."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            program = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(program.kill)
        yield


async def refused(control: FakeControl, url: str) -> int:
    """How many of the calls that come now, one as soon as the one before has begun, are refused."""
    headers = {"X-Twilio-Signature": sign(TOKEN, url)}
    refusals = 0
    async with contextlib.AsyncExitStack() as stack:
        for number in range(CALLS):
            control.offer(f"t{number}")
            try:
                connection = await stack.enter_async_context(
                    websockets.connect(
                        url, additional_headers=headers, ping_interval=None, open_timeout=60, close_timeout=0.1
                    )
                )
            except websockets.InvalidStatus as answer:
                assert answer.response.status_code == 503
                refusals += 1
                continue
            await Line(connection).start(token=f"t{number}")
            await begun(control, f"t{number}", connection)
    return refusals


async def begun(control: FakeControl, token: str, connection: ClientConnection) -> None:
    """Wait until the call's session is open; a stream that the process closes instead fails the test with its code."""
    await until(lambda: (control.opened and control.opened[-1].token == token) or connection.close_code is not None)
    assert connection.close_code is None, f"closed with {connection.close_code} {connection.close_reason}"


async def test_the_first_calls_after_it_is_ready_are_taken(program: tuple[Program, str], control: FakeControl) -> None:
    assert await refused(control, program[1]) == 0


@pytest.mark.parametrize("stall_s", [0.2, 1.0])
async def test_calls_after_a_stall_are_taken(
    program: tuple[Program, str], control: FakeControl, stall_s: float
) -> None:
    process, url = program
    os.kill(process.pid, signal.SIGSTOP)
    await asyncio.sleep(stall_s)
    os.kill(process.pid, signal.SIGCONT)
    assert await refused(control, url) == 0


async def test_calls_beside_busy_programs_are_taken(program: tuple[Program, str], control: FakeControl) -> None:
    with neighbours(NEIGHBOURS):
        assert await refused(control, program[1]) == 0
