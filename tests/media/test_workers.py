"""`hum media --workers`: one port, several processes, one of which may die."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import websockets

from cli import _parser
from sandbox.twilio import sign
from tests.media.fakecontrol import FakeControl
from tests.media.fakemodel import FakeModel
from tests.media.planes import TOKEN, Line, MakeSettings, program_environment
from tests.support.processes import children
from tests.support.programs import Program, running
from tests.support.waits import until

TWO = (sys.executable, "-m", "media.app", "--workers", "2")


@pytest.fixture
async def supervised(settings: MakeSettings, model: FakeModel, tmp_path: Path) -> AsyncIterator[tuple[Program, str]]:
    """Two workers and their supervisor."""
    given = settings()
    environment = program_environment(given, model, tmp_path, successor_seconds=3)
    async with running(*TWO, env=environment, stderr=subprocess.DEVNULL) as process:
        yield process, f"{given.media_url}/media/twilio"


async def calls(stack: contextlib.AsyncExitStack, control: FakeControl, url: str, count: int) -> list[Line]:
    """Open `count` calls."""
    lines = []
    for _ in range(count):
        token = f"t{len(control.opened)}"
        control.offer(token)
        connection = await stack.enter_async_context(
            websockets.connect(url, additional_headers={"X-Twilio-Signature": sign(TOKEN, url)}, ping_interval=None)
        )
        lines.append(Line(connection))
        await lines[-1].start(token=token)
        await until(partial(lambda token: control.opened and control.opened[-1].token == token, token))
    return lines


@pytest.mark.chaos
async def test_two_answer_on_one_port_one_comes_back_and_both_drain(
    supervised: tuple[Program, str], control: FakeControl, model: FakeModel
) -> None:
    process, url = supervised
    await until(lambda: len(control.hellos) == 2)
    async with contextlib.AsyncExitStack() as stack:
        while len({each.node for each in control.opened}) < 2:
            assert len(control.opened) < 40, "the kernel distributes connections to both"
            lines = await calls(stack, control, url, 2)
        first = children(process.pid, wrapper=False)
        assert len(first) == 2

        os.kill(first[0], signal.SIGKILL)
        await until(lambda: len(control.hellos) == 3)
        assert len(children(process.pid, wrapper=False)) == 2
        assert first[1] in children(process.pid, wrapper=False)

        lines = await calls(stack, control, url, 4)
        process.send_signal(signal.SIGTERM)
        assert [await line.closed() for line in lines] == [1000] * 4
        assert await process.ended() == 0


@pytest.mark.chaos
async def test_workers_without_a_supervisor_take_calls_for_a_while(
    supervised: tuple[Program, str], control: FakeControl, model: FakeModel
) -> None:
    process, url = supervised
    await until(lambda: len(control.hellos) == 2)
    left = children(process.pid, wrapper=False)
    process.kill()
    await process.ended()
    async with contextlib.AsyncExitStack() as stack:
        await calls(stack, control, url, 2)
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in left))


@pytest.mark.chaos
async def test_settings_that_no_worker_can_use_end_it_at_once(settings: MakeSettings, tmp_path: Path) -> None:
    environment = {**os.environ, "HUM_HOME": str(tmp_path), "HUM_MAX_CALLS": "none"}
    async with running(*TWO, env=environment, stderr=subprocess.PIPE) as process:
        _, said = await process.outputs()
    assert process.returncode == 2
    assert b"HUM_MAX_CALLS" in said


def test_the_command_passes_the_number_on() -> None:
    assert _parser().parse_args(["media", "--workers", "3"]).options == ("--workers", "3")
    assert _parser().parse_args(["media"]).options == ()
    with pytest.raises(SystemExit):
        _parser().parse_args(["media", "--workers", "0"])
