"""The proxies of deploy/proxies under strangers who begin and stop: the carrier and a tenant are answered meanwhile.

Each test prints its row of the table of docs/benchmarks/faults.md; `-s` shows it.
"""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest

from hum import secrets
from tests.e2e.conftest import ACCOUNT, NUMBER, TOKEN
from tests.e2e.frontproxies import House, answered, certificate, house, name
from tests.support import flooding
from tests.support.bystanders import bystanders, percentile, short_call
from tests.support.flooding import Crowd

__all__ = ["certificate", "house", "name"]
pytestmark = [pytest.mark.nodes, pytest.mark.timeout(600)]
ALONE_S, FLOOD_S = 2.0, 12.0
#: Debian's nginx has 768 connections.
MANY, MOST = 2_000, 9_000
#: Of a connection in the middle of its TLS or its request.
EACH_BYTES = 100_000


@dataclass(frozen=True)
class Flood:
    kind: str
    count: int
    #: Addresses of this machine; the carrier has another one.
    sources: int
    #: Whether they speak TLS.
    tls: bool = True
    #: Proxies that need not bear it: the reason.
    spared: dict[str, str] = field(default_factory=dict)


CADDY = {"caddy": "its example leaves this to Caddy"}
#: Not shown of HAProxy: it keeps a body that was refused early for longer than this test waits.
BODIES = CADDY | {"haproxy": "it keeps what is refused before its body for long"}
FLOODS = {
    "9,000 half TLS hellos from ten addresses": Flood("half-hello", MOST, 10, tls=False, spared=CADDY),
    "9,000 half TLS hellos from one address": Flood(
        "half-hello", MOST, 1, tls=False, spared=CADDY | {"nginx": "its example counts no address before a head"}
    ),
    "2,000 idle connections": Flood("idle", MANY, 4, tls=False, spared=CADDY),
    "2,000 half heads": Flood("short-half-head", MANY, 4, spared=CADDY),
    "2,000 half bodies": Flood("short-half-body", MANY, 4, spared=BODIES),
    "2,000 half webhooks": Flood("short-half-webhook", MANY, 4, spared=BODIES),
    "500 bodies of a byte a second": Flood("dripping-body", 500, 4, spared=BODIES),
}


@pytest.mark.parametrize("what", FLOODS)
async def test_whoever_floods_the_proxy_keeps_nobody_out(house: House, name: str, what: str, certificate: Path) -> None:
    flood = FLOODS[what]
    if reason := flood.spared.get(name):
        pytest.skip(reason)
    async with house.client() as http:
        await answered(http)
    callers = iter(range(10_000))

    async def webhook(http: httpx.AsyncClient) -> float:
        return await short_call(http, house.url, ACCOUNT, TOKEN, NUMBER, f"+1317777{next(callers):04d}")

    (worker,) = psutil.Process(house.proxy.process.pid).children()
    beside = partial(
        bystanders,
        {name: worker.pid},
        webhook,
        lambda http: http.get("/api/flows", headers=house.key),
        base_url=house.url,
        verify=house.trust,
    )
    async with beside() as before:
        await asyncio.sleep(ALONE_S)
    alone_s = percentile(before.webhooks_s, 0.5)
    sources, authority = [f"127.0.9.{number + 1}" for number in range(flood.sources)], certificate / "fullchain.pem"
    crowd = Crowd(flood.count, FLOOD_S, [secrets.new_api_key()], sources, str(authority) if flood.tls else "")
    async with beside() as others:
        answers = await flooding.run(house.url, flood.kind, crowd)
    print(others.row(f"{name}: {what}"), answers)  # noqa: T201 - what a run with `-s` is for
    others.require(alone_s, {name: flood.count * EACH_BYTES})
