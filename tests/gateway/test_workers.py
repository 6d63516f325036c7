"""`hum gateway --workers`: one port, several processes, one of which may die."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli import _parser
from hum.process.processes import ProcessIdentity
from hum.process.sockets import free_port
from hum.settings import environment
from tests.support.processes import children
from tests.support.programs import variables
from tests.support.waits import patience, until

pytestmark = pytest.mark.chaos


def living(pids: list[int]) -> list[int]:
    return [pid for pid in pids if ProcessIdentity.of(pid)]


class Supervised:
    """Two gateways without a control: they serve `/healthz`."""

    def __init__(self, home: Path, successor_seconds: float) -> None:
        self.stops = False
        self.port = free_port("127.0.0.1")
        settings = {
            "HUM_HOME": str(home),
            "HUM_GATEWAY_LISTEN": f"127.0.0.1:{self.port}",
            "HUM_DRAIN_SECONDS": "2",
            "successor_seconds": str(successor_seconds),
        }
        self._environment = variables(environment() | settings)

    async def start(self) -> None:
        command = (sys.executable, "-m", "gateway.app", "--workers", "2")
        self.process = await asyncio.create_subprocess_exec(
            *command, env=self._environment, stderr=asyncio.subprocess.DEVNULL
        )
        await self.until(2)

    def children(self) -> list[int]:
        return children(self.process.pid, wrapper=False)

    def serving(self) -> set[int]:
        """The workers that listen on the port, by the sockets that they hold."""
        listening = {
            line.split()[9]
            for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
            if line.split()[1].endswith(f":{self.port:04X}") and line.split()[3] == "0A"
        }
        found = set()
        for pid in self.children():
            with contextlib.suppress(OSError):
                held = {str(each.readlink())[8:-1] for each in Path(f"/proc/{pid}/fd").iterdir()}
                if held & listening:
                    found.add(pid)
        return found

    async def until(self, count: int) -> None:
        async with patience():
            while len(self.serving()) < count:
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def keep_asking(self) -> list[bool]:
        """Ask again and again until `stops` is set."""
        asked = []
        while not self.stops:
            asked.append(await asyncio.to_thread(self.answers))
        return asked

    def answers(self) -> bool:
        """One request on a connection of its own, by the carrier's rules: five tries within 1.3 s."""
        for _ in range(5):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as made:
                made.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if made.recv(100).startswith(b"HTTP/1.1 200"):
                    return True
            time.sleep(0.25)
        return False


@pytest.fixture
def successor_seconds() -> float:
    """How long workers wait for a successor."""
    return 20.0


@pytest.fixture
async def supervised(tmp_path: Path, successor_seconds: float) -> AsyncIterator[Supervised]:
    made = Supervised(tmp_path, successor_seconds)
    await made.start()
    yield made
    with contextlib.suppress(ProcessLookupError):
        made.process.kill()
    await made.process.wait()


async def test_the_death_of_one_gateway_is_not_seen_from_outside(supervised: Supervised) -> None:
    for _ in range(2):
        before = supervised.serving()
        asking = asyncio.gather(*(asyncio.to_thread(supervised.answers) for _ in range(200)))
        await asyncio.sleep(0.05)
        os.kill(min(before), signal.SIGKILL)
        assert all(await asking)
        await supervised.until(2)
        assert min(before) not in supervised.children()
    supervised.process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(supervised.process.wait(), 30) == 0
    assert not supervised.answers()


async def test_gateways_without_a_supervisor_serve_until_there_are_others(supervised: Supervised) -> None:
    """No caller notices the death of the supervisor, and those that it left behind go once it has a successor."""
    orphans = supervised.children()
    await supervised.kill()
    assert all(await asyncio.gather(*(asyncio.to_thread(supervised.answers) for _ in range(50))))
    asking = asyncio.create_task(supervised.keep_asking())
    await supervised.start()
    await until(lambda: not living(orphans), every_s=0.05)
    supervised.stops = True
    asked = await asking
    assert len(asked) > 50 and all(asked)
    assert len(supervised.serving()) == 2


@pytest.mark.parametrize("successor_seconds", [2.0])
async def test_gateways_without_a_supervisor_go_after_a_while(supervised: Supervised) -> None:
    orphans = supervised.children()
    await supervised.kill()
    await until(lambda: not living(orphans), every_s=0.05)


async def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.app", "--workers", "1"),
            env=environment() | {"HUM_HOME": str(tmp_path), "HUM_GATEWAY_LISTEN": listen},
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert f"can't listen on {listen}" in said.decode()


def test_the_command_passes_the_number_on() -> None:
    arguments = _parser().parse_args(["gateway", "--workers", "3"])
    assert (arguments.plane, arguments.options) == ("gateway", ("--workers", "3"))
