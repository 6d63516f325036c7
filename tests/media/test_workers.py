"""`hum media --workers`: one port, several processes, one of which may die."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import websockets

from cli import _parser
from hum.network import parse_listen
from hum.process.processes import ProcessIdentity
from hum.process.sockets import bind_socket
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
            websockets.connect(
                url, additional_headers={"X-Twilio-Signature": sign(TOKEN, url)}, ping_interval=None, close_timeout=0.3
            )
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
async def test_workers_without_a_supervisor_serve_until_there_are_others(
    settings: MakeSettings, control: FakeControl, model: FakeModel, tmp_path: Path
) -> None:
    """Under `hum up`, whose socket both supervisors inherit: no caller is refused, and no call is cut."""
    given, over = settings(), asyncio.Event()
    url = f"{given.media_url}/media/twilio"
    with bind_socket(parse_listen(given.media_listen), shared=True) as port:
        options: dict[str, Any] = {
            "env": program_environment(
                given, model, tmp_path, HUM_MEDIA_LISTEN=f"fd:{port.fileno()}", HUM_DRAIN_SECONDS=60, linger_seconds=1
            ),
            "pass_fds": [port.fileno()],
            "stderr": subprocess.DEVNULL,
        }

        async def keep_calling() -> None:
            """Open one call after the other, each for a moment.  Raises if one is refused."""
            while not over.is_set():
                async with contextlib.AsyncExitStack() as stack:
                    await calls(stack, control, url, 1)

        async with running(*TWO, **options) as first, contextlib.AsyncExitStack() as going_on:
            await until(lambda: len(control.hellos) == 2)
            left = children(first.pid, wrapper=False)
            held = await calls(going_on, control, url, 4)
            first.kill()
            await first.ended()
            calling = asyncio.create_task(keep_calling())
            begun = len(control.opened)
            await until(lambda: len(control.opened) > begun + 10 or calling.done())
            assert {process_of(each.node) for each in control.opened} <= set(left)
            async with running(*TWO, **options) as second:
                await until(lambda: process_of(control.opened[-1].node) not in left or calling.done())
                assert [pid for pid in left if ProcessIdentity.of(pid)], "they have calls"
                assert [line.connection.close_code for line in held] == [None] * 4
                await going_on.aclose()
                await until(lambda: not any(map(ProcessIdentity.of, left)) or calling.done())
                begun = len(control.opened)
                await until(lambda: len(control.opened) > begun + 10 or calling.done())
                over.set()
                await calling
                served = {process_of(each.node) for each in control.opened[begun + 1 :]}
                assert served <= set(children(second.pid, wrapper=False))


def process_of(node: str) -> int:
    return int(node.split("-")[-2])


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
