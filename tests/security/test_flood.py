"""Gateway and control as production runs them, under floods by strangers and by a tenant: what they hold, what they give back, and whom
they answer meanwhile.

Each test prints its row of the table of docs/benchmarks/faults.md: `make check-strain ARGS="-s tests/security/test_flood.py"`.
"""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from uuid import UUID

import httpx
import pytest

from control.identity import usecases as identity
from hum import secrets
from hum.settings import ControlSettings, GatewaySettings
from tests.security.deployment import Deployment, deployed
from tests.support import flooding
from tests.support.bystanders import MB, Bystanders, bystanders, percentile
from tests.support.flooding import Crowd
from tests.support.programs import Program, running
from tests.support.wires import head, wire

pytestmark = pytest.mark.strain
ALONE_S, FLOOD_S = 1.0, 8.0
HEALTH, CREATE = "/grpc.health.v1.Health", "/hum.v1.FlowsService/CreateFlow"


@dataclass
class Flooded:
    """A deployment with a tenant who is called, and with tenants who flood; how long a webhook takes without."""

    deployment: Deployment
    tenant: dict[str, str]
    orgs: Sequence[UUID]
    alone_s: float = 0.0

    async def keys(self, of_each: int) -> list[str]:
        """Return keys of those who flood: of each organization this many."""
        made = []
        for number in range(of_each):
            for org in self.orgs:
                _, secret = await identity.issue_key(self.deployment.db, org, f"k{number}", "admin", [])
                made.append(secret)
        return made

    @asynccontextmanager
    async def beside(self) -> AsyncIterator[Bystanders]:
        """Have a caller and a tenant ask while the block lasts."""
        callers = iter(range(10_000))

        async def webhook(http: httpx.AsyncClient) -> float:
            return await self.deployment.short_call(http, f"+1317777{next(callers):04d}")

        async def ask(http: httpx.AsyncClient) -> httpx.Response:
            return await http.get("/api/flows", headers=self.tenant)

        pids = {part: self.deployment.running[name].pid for part, name in PARTS.items()}
        async with bystanders(pids, webhook, ask, base_url=self.deployment.url) as seen:
            yield seen

    def living(self) -> bool:
        return all(process.returncode is None for process in self.deployment.running.values())


PARTS = {"gateway": "gateway.app", "control": "control"}
#: Each has as many streams as an organization may; together, more than a gateway has places.
FLOODERS = 6


@pytest.fixture
async def flooded(database_url: str, open_home: Path) -> AsyncIterator[Flooded]:
    settings = {"HUM_GATEWAY_WORKERS": "1", "head_seconds": "3", "body_seconds": "3"}  # one, whose memory is measured
    async with deployed(database_url, open_home, **settings) as deployment:
        org, key = await deployment.tenant("Quiet")
        await deployment.number(org, key)
        orgs = [(await deployment.tenant(f"Noisy{number}"))[0] for number in range(FLOODERS)]
        made = Flooded(deployment, key | {"X-Forwarded-For": "203.0.113.1"}, orgs)
        async with made.beside() as before:
            await asyncio.sleep(ALONE_S)
        made.alone_s = percentile(before.webhooks_s, 0.5)
        before.require(made.alone_s, {})
        yield made


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[Program]:
    """Run a program that floods until the block is left; it has begun."""
    async with running(sys.executable, "-m", *command, cwd=flooding.ROOT, stdout=subprocess.PIPE) as stranger:
        assert await stranger.line() == "begun"
        yield stranger


@dataclass(frozen=True)
class Attack:
    """What strangers do, how many, what they are answered, and how many megabytes the gateway may take for it."""

    kind: str
    count: int
    answered: frozenset[str]
    megabytes: int = 150
    #: Whose key they have: of nobody, or of a tenant; else they have none.
    key: Literal["", "guessed", "tenant's"] = ""


def answered(*statuses: int) -> frozenset[str]:
    return frozenset(map(str, statuses))


ATTACKS = {
    "1,100 idle connections": Attack("idle", 1_100, answered()),
    "1,100 half heads of 30 KB": Attack("half-head", 1_100, answered()),
    "1,100 half bodies of 1 MiB without a credential": Attack("half-body", 1_100, answered(401)),
    "1,100 half bodies of 1 MiB with a guessed key": Attack("half-body", 1_100, answered(401, 429, 503), key="guessed"),
    "1,100 half webhooks with a made-up signature": Attack("half-webhook", 1_100, answered(408)),
    "120 connections that send chunks of one byte after their 401": Attack("crumbs", 120, answered(401)),
    "four requests at once with a guessed key of which little is right, up to 1 MiB": Attack(
        "costly-1m", 4, answered(401, 429), key="guessed"
    ),
    "the same of a tenant, up to 250 KB, and imports of bad rows": Attack(
        "costly-250k", 4, answered(202, 400, 404, 408, 429), key="tenant's"
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
async def test_a_flood_of_requests_costs_little_and_keeps_nobody_out(flooded: Flooded, name: str) -> None:
    attack = ATTACKS[name]
    keys = {"": [], "guessed": [secrets.new_api_key()], "tenant's": (await flooded.keys(1))[:1]}[attack.key]
    async with flooded.beside() as others:
        answers = await flooding.run(flooded.deployment.url, attack.kind, Crowd(attack.count, FLOOD_S, keys))
    print(others.row(name), answers)  # noqa: T201 - what a run with `-s` is for
    assert set(answers) <= attack.answered and bool(answers) == bool(attack.answered), answers
    assert flooded.living()
    others.require(flooded.alone_s, {"gateway": attack.megabytes * MB, "control": 150 * MB})


async def test_a_gateways_streams_leave_a_quarter_of_its_places(flooded: Flooded) -> None:
    """Six tenants want 600: what a seventh asks, and the carrier, is answered."""
    keys = await flooded.keys(ControlSettings().streams_per_organization // ControlSettings().streams_per_credential)
    async with flooded.beside() as others:
        answers = await flooding.run(flooded.deployment.url, "stream", Crowd(600, FLOOD_S, keys))
    print(others.row("600 event streams of six tenants"), answers)  # noqa: T201
    settings = GatewaySettings()
    most = (settings.max_connections - settings.carrier_connections) * 3 // 4
    assert answers["200"] == most and set(answers) == answered(200, 503), answers
    assert flooded.living()
    others.require(flooded.alone_s, {"gateway": 150 * MB, "control": 150 * MB})


async def test_a_thousand_invented_methods_are_one_label(flooded: Flooded) -> None:
    async with wire(flooded.deployment.url) as stranger:
        for number in range(1_000):
            await stranger.send(head(f"M{number:x}" + "A" * 1000, "/x"))
            assert (await stranger.answer())[0] == 404
    async with httpx.AsyncClient(trust_env=False) as http:
        page = (await http.get(f"{flooded.deployment.metrics_url}/metrics")).text
    assert "hum_http_seconds" in page and len(page) < 200_000 and "AAAA" not in page


# --- control's port ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [f"{HEALTH}/Check", f"{HEALTH}/Watch", CREATE])
async def test_streams_that_are_opened_and_reset_keep_nobody_out(flooded: Flooded, path: str) -> None:
    connections, rate = 4, 2_500  # each; together, several times what Python takes
    port = flooded.deployment.environment["HUM_CONTROL_LISTEN"].rpartition(":")[2]
    command = ("tests.security.resetting", port, path, str(rate))
    async with flooded.beside() as others, AsyncExitStack() as stack:
        for _ in range(connections):
            await stack.enter_async_context(program(*command))
        await asyncio.sleep(FLOOD_S)
    print(others.row(f"gRPC: 10,000 streams a second of `{path[1:]}`, reset at once"))  # noqa: T201
    assert flooded.living()
    others.require(flooded.alone_s, {"control": 400 * MB})


@pytest.mark.parametrize(
    ("path", "whose"), [(CREATE, "a stranger"), (CREATE, "a tenant"), (f"{HEALTH}/Check", "a stranger")]
)
async def test_half_messages_take_little_memory(flooded: Flooded, path: str, whose: str) -> None:
    port = flooded.deployment.environment["HUM_CONTROL_LISTEN"].rpartition(":")[2]
    key = (await flooded.keys(1))[:1] if whose == "a tenant" else []
    command = ("tests.security.halfmessages", port, path, str(FLOOD_S), *key)
    async with flooded.beside() as others, program(*command) as stranger:
        counts: dict[str, int] = json.loads(await stranger.line())
    what = f"gRPC: 900 half messages of 15 MiB at once to `{path[1:]}` by {whose}, on one connection"
    print(others.row(what), counts)  # noqa: T201
    assert counts["begun"] >= 900 and counts["ended"] >= 900, counts
    assert flooded.living()
    others.require(flooded.alone_s, {"control": 250 * MB})
