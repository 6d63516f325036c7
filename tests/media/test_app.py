"""The program: starts from its environment, serves, drains on SIGTERM."""

import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import websockets

from sandbox.twilio import sign
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import TOKEN, Line, MakeSettings, program_environment
from tests.support.present import present
from tests.support.programs import Program, running
from tests.support.waits import until


@pytest.fixture
async def program(
    settings: MakeSettings, control: FakeControl, model: FakeModel, tmp_path: Path
) -> AsyncIterator[tuple[Program, str]]:
    """A media plane as a process; it does not outlive the test."""
    configured = settings()
    environment = program_environment(configured, model, tmp_path)
    async with running(sys.executable, "-m", "media.app", env=environment, stderr=subprocess.PIPE) as process:
        yield process, configured.media_url


@pytest.mark.chaos
async def test_it_serves_until_it_is_told_to_stop_and_drains(
    program: tuple[Program, str], control: FakeControl, model: FakeModel
) -> None:
    process, media_url = program
    control.offer("t1")
    await until(lambda: control.hellos)
    url = f"{media_url}/media/twilio"
    async with httpx.AsyncClient(base_url=media_url.replace("ws:", "http:")) as http:
        assert (await http.get("/healthz")).text == "ok\n"
    async with websockets.connect(url, additional_headers={"X-Twilio-Signature": sign(TOKEN, url)}) as connection:
        line = Line(connection)
        await line.start(token="t1")
        await until(lambda: model.dials)
        process.send_signal(signal.SIGTERM)
        assert await line.closed() == 1000
    _, logged = await process.outputs()
    assert process.returncode == 0
    assert present(control.ended("call_t1")).reason == "drained"
    assert b"media is serving" in logged
    assert b"sk-secret" not in logged
    assert b"Traceback" not in logged
