"""The bus over NATS on three machines, encrypted: a server is cut off, then a process of control, and neither is told."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.net import ROOT, Network
from tests.support.natsservers import Cluster
from tests.support.stalls import Stalls

pytestmark = pytest.mark.nodes
#: How long news may be away when a server falls silent, and when the network is back.
AWAY_SECONDS, BACK_SECONDS = 6.0, 6.0


class Process:
    """What a process of control on this machine hears, which asks the server of machine `first` first."""

    def __init__(self, network: Network, machine: str, cluster: Cluster, first: int, home: Path) -> None:
        self._machine = machine
        urls = ",".join([*cluster.urls[first:], *cluster.urls[:first]])
        command = [sys.executable, "-m", "tests.chaos.gossip", machine, str(cluster.folder), urls]
        with (home / f"{machine}.log").open("w") as log:
            self._process = network.start(machine, command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=ROOT)

    async def hears(self, name: str, after: float) -> float:
        """When it first heard this name after that time.  Raises TimeoutError."""
        async with asyncio.timeout(60):
            while True:
                match (await asyncio.to_thread(self._process.stdout.readline)).split():
                    case ["heard", at, heard] if heard == name and float(at) > after:
                        return float(at)
                    case []:
                        raise EOFError(f"the process on {self._machine} has ended")


async def test_who_is_cut_off_hears_again_and_the_others_go_on(
    machines: Network, open_home: Path, stalls: Stalls, record_property: Callable[[str, object], None]
) -> None:
    names = ("a", "b", "c")
    hosts = [machines.address(name) for name in names]
    with Cluster(
        open_home, hosts=hosts, start=lambda number, command: machines.start(names[number], command)
    ) as servers:
        machines.slow(delay_ms=5)
        b = Process(machines, "b", servers, 1, open_home)
        c = Process(machines, "c", servers, 0, open_home)  # its server is a's
        for process, other in ((b, "c"), (c, "b")):
            await process.hears(other, time.monotonic())

        cut_at = time.monotonic()
        machines.cut("a")
        away = await c.hears("b", cut_at + 0.5) - cut_at  # what was under way may still arrive
        await b.hears("c", cut_at + away)
        machines.heal()

        machines.cut("c")
        await asyncio.sleep(AWAY_SECONDS)  # until both sides have given one another up
        healed_at = time.monotonic()
        machines.heal()
        back = await c.hears("b", healed_at) - healed_at
        await b.hears("c", healed_at)
    record_property("a server that is cut off, s without news", round(away, 1))
    record_property("a process that was cut off, s until it hears", round(back, 1))
    late = stalls.longest_ms / 1000
    assert away <= AWAY_SECONDS + late, away
    assert back <= BACK_SECONDS + late, back
