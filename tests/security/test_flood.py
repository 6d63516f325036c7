"""A gateway as production runs it, under a thousand strangers at once: what it holds, what it gives back, and whom it answers."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from hum import secrets
from hum.process import descriptors
from tests.contract.conftest import ACCOUNT, PUBLIC, TOKEN
from tests.control.conftest import Plane
from tests.security.conftest import Wire, carrier_is_answered, dial, head, wire
from tests.support.programs import running, variables
from tests.support.waits import patience

pytestmark = pytest.mark.strain
STRANGERS = 1_100
MB = 1 << 20


def free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


@dataclass
class Process:
    url: str
    metrics_url: str
    pid: int

    def rss(self) -> int:
        return psutil.Process(self.pid).memory_info().rss


@pytest.fixture
def limits() -> dict[str, Any]:
    return {}  # as they are


@pytest.fixture
async def gateway(plane: Plane, tmp_path: Path) -> AsyncIterator[Process]:
    public, metrics = free_ports(2)
    environment = {
        "PATH": os.environ["PATH"],
        "HUM_HOME": str(tmp_path),
        "HUM_GATEWAY_LISTEN": f"127.0.0.1:{public}",
        "HUM_METRICS_LISTEN": f"127.0.0.1:{metrics}",
        "HUM_CONTROL_ADDRESS": f"127.0.0.1:{plane.control.port}",
        "HUM_PUBLIC_URL": PUBLIC,
        "HUM_MEDIA_URL": "wss://media.example",
        "head_seconds": "3",
        "body_seconds": "3",
        "HUM_DRAIN_SECONDS": "0",
        "HUM_GATEWAY_WORKERS": "1",  # whose memory is measured
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
    }
    command = (sys.executable, "-m", "gateway.app")
    async with running(*command, env=variables(environment), stderr=subprocess.DEVNULL, patience_seconds=30) as process:
        made = Process(f"http://127.0.0.1:{public}", f"http://127.0.0.1:{metrics}", process.pid)
        async with httpx.AsyncClient(trust_env=False) as http, patience():
            while True:
                try:
                    if (await http.get(f"{made.url}/readyz")).status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.05)
        yield made


async def crowd(url: str, begin: Callable[[int], bytes]) -> list[Wire]:
    """So many strangers, each with this much of a request; those that are turned away at once are left out."""
    here, few = list[Wire](), asyncio.Semaphore(50)

    async def one(number: int) -> None:
        async with few:
            try:
                stranger = await dial(url)
                here.append(stranger)
                stranger.writer.write(begin(number))
                async with asyncio.timeout(2):
                    await stranger.writer.drain()
            except (ConnectionError, TimeoutError):
                pass

    await asyncio.gather(*(one(number) for number in range(STRANGERS)))
    return here


def half_head(_: int) -> bytes:
    return head("POST", "/api/flows", {"X-Pad": "y" * 30_000}).encode()[:-2]


def half_body(headers: dict[str, str], path: str = "/api/flows", size: int = MB) -> Callable[[int], bytes]:
    def begin(number: int) -> bytes:
        named = {"X-Forwarded-For": f"198.18.{number // 250}.{number % 250}", "Content-Type": "application/json"}
        return head("POST", path, {**named, **headers, "Content-Length": str(size)}).encode() + b"x" * (size - 10)

    return begin


GUESSED = {"Authorization": f"Bearer {secrets.new_api_key()}"}
ATTACKS: dict[str, Callable[[int], bytes]] = {
    "idle": lambda _: b"",
    "half heads": half_head,
    "half bodies without a credential": half_body({}),
    "half bodies with a guessed key": half_body(GUESSED),
    "half webhooks with a made-up signature": half_body(
        {"X-Twilio-Signature": "A" * 27 + "="}, "/twilio/voice", 60_000
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_thousand_strangers_cost_little_and_keep_nobody_out(gateway: Process, attack: str) -> None:
    descriptors.raise_limit()
    assert await carrier_is_answered(gateway.url)
    before, peak = gateway.rss(), 0
    strangers = await crowd(gateway.url, ATTACKS[attack])
    waits = []
    for _ in range(10):
        peak, began = max(peak, gateway.rss()), time.monotonic()
        assert await carrier_is_answered(gateway.url)
        waits.append(time.monotonic() - began)
    closed = await asyncio.gather(*(each.closed_within(30) for each in strangers))
    assert all(closed)  # nobody stays
    for each in strangers:
        each.writer.close()
    assert peak - before < 150 * MB, f"grew by {(peak - before) / MB:.0f} MB"
    assert max(waits) < 10, f"a webhook waited {max(waits):.1f} s"


async def test_a_thousand_invented_methods_are_one_label(gateway: Process) -> None:
    async with wire(gateway.url) as stranger:
        for number in range(1_000):
            await stranger.send(head(f"M{number:x}" + "A" * 1000, "/x"))
            assert (await stranger.answer())[0] == 404
    async with httpx.AsyncClient(trust_env=False) as http:
        page = (await http.get(f"{gateway.metrics_url}/metrics")).text
    assert len(page) < 200_000 and "AAAA" not in page
