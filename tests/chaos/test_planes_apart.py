"""Gateway and media on one machine, control on another, encrypted; nothing gets through between them for a while, or control dies."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.chaos.net import ROOT, Network
from tests.chaos.servers import Postgres, url
from tests.support.present import present
from tests.support.programs import variables
from tests.support.stalls import Stalls

pytestmark = pytest.mark.nodes
#: A plane that nobody answers says so, and says when it is over.
NOTICED_SECONDS, BACK_SECONDS = 5.0, 5.0
READY, NOT_READY = 200, 503
MEDIA, GATEWAY = 0, 1


class Probe:
    """What `/readyz` of media and of the gateway say, as it comes."""

    def __init__(self, network: Network) -> None:
        urls = ["http://127.0.0.1:8082/readyz", "http://127.0.0.1:8080/readyz"]
        command = [sys.executable, "-m", "tests.chaos.probe", *urls]
        self._process = network.start("a", command, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    async def until(self, *wanted: int, seconds: float = 60) -> list[float]:
        """Wait until both say this; the times at which each did first."""
        since = dict[int, float]()
        async with asyncio.timeout(seconds):
            while len(since) < len(wanted):
                at, number, status = (await asyncio.to_thread(present(self._process.stdout).readline)).split()
                if int(status) == wanted[int(number)]:
                    since.setdefault(int(number), float(at))
        return [since[number] for number in range(len(wanted))]


@dataclass(frozen=True, slots=True)
class Planes:
    probe: Probe
    start: Callable[[str], "subprocess.Popen[Any]"]
    control: "subprocess.Popen[Any]"


def certificates(home: Path, address: str) -> dict[str, str]:
    """Settings for one certificate that every plane shows, and wants to see."""
    ca = trustme.CA()
    made = ca.issue_cert(address)
    ca.cert_pem.write_to_path(home / "ca.pem")
    made.private_key_and_cert_chain_pem.write_to_path(home / "planes.pem")
    planes = str(home / "planes.pem")
    return {"HUM_TLS_CA": str(home / "ca.pem"), "HUM_TLS_CERT": planes, "HUM_TLS_KEY": planes}


@asynccontextmanager
async def planes(network: Network, home: Path) -> AsyncIterator[Planes]:
    """The database and control on `b`, media and the gateway on `a`."""
    server = Postgres(network, "b", home)
    await asyncio.to_thread(server.create)
    await asyncio.to_thread(server.start)
    roles = [f"CREATE ROLE {role} NOLOGIN" for role in ("hum_owner", "hum_app", "hum_system")]
    await asyncio.to_thread(server.sql, *roles, "CREATE DATABASE hum OWNER hum_owner")
    common = {
        "PATH": os.environ["PATH"],
        "HUM_NODE_KEY": "0123456789abcdefghijklmnopqrstuvwxyz",
        "HUM_CONTROL_ADDRESS": f"{network.address('b')}:50051",
        "HUM_DATABASE_URL": url(server),
        "OPENAI_API_KEY": "sk-secret",
        "TWILIO_AUTH_TOKEN": "token",
        "min_free_bytes": "0",
        **certificates(home, network.address("b")),
    }
    programs = {
        "control": ("b", {"HUM_CONTROL_LISTEN": "0.0.0.0:50051"}),
        "media": ("a", {"HUM_MEDIA_LISTEN": "127.0.0.1:8082"}),
        "gateway": ("a", {"HUM_GATEWAY_LISTEN": "127.0.0.1:8080"}),
    }

    def start(plane: str) -> "subprocess.Popen[Any]":
        machine, own = programs[plane]
        environment = variables({**common, **own, "HUM_HOME": str(home / plane)})
        with (home / f"{plane}.log").open("a") as output:
            command = [sys.executable, "-m", f"{plane}.app"]
            return network.start(machine, command, env=environment, stdout=output, stderr=output, cwd=ROOT)

    control, *_ = [start(plane) for plane in programs]
    yield Planes(Probe(network), start, control)


async def test_planes_that_are_cut_off_say_so_and_come_back(
    machines: Network, open_home: Path, stalls: Stalls, record_property: Callable[[str, object], None]
) -> None:
    async with planes(machines, open_home) as made:
        probe = made.probe
        await probe.until(READY, READY)
        cut_at = time.monotonic()
        machines.cut("a")
        noticed = [at - cut_at for at in await probe.until(NOT_READY, NOT_READY)]
        healed_at = time.monotonic()
        machines.heal()
        back = [at - healed_at for at in await probe.until(READY, READY)]

        killed_at = time.monotonic()
        made.control.kill()
        killed = [at - killed_at for at in await probe.until(NOT_READY, NOT_READY)]
        made.start("control")
        await probe.until(READY, READY)
    record_property("cut off: noticed after, s", round(max(noticed), 1))
    record_property("back after, s", round(max(back), 1))
    record_property("control killed: noticed after, s", round(max(killed), 1))
    late = stalls.longest_ms / 1000
    assert max(noticed) <= NOTICED_SECONDS + late, noticed
    assert max(back) <= BACK_SECONDS + late, back
    assert max(killed) <= NOTICED_SECONDS + late, killed
