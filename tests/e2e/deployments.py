"""A whole platform between a carrier and a model, whose parts tests kill or stop: one for each test, or for all of a module."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from cli.platform import Platform
from control.identity import usecases as identity
from sandbox.openai import Model
from sandbox.twilio import Call, Carrier
from storage.db import Db
from tests.e2e.conftest import ACCOUNT, CALLER, KEY, NUMBER, TOKEN
from tests.e2e.platforms import served_issuer, settings_between, started
from tests.support.databases import Databases
from tests.support.waits import patience, until

STAY: dict[str, Any] = {"do": "wait", "ms": 120_000}


class Deployment:
    """The platform, the carrier and the model, and a client of its API."""

    def __init__(self, platform: Platform, carrier: Carrier, model: Model, http: httpx.AsyncClient) -> None:
        self.platform, self.carrier, self.model, self.http = platform, carrier, model, http
        #: The calls of tests before.
        self._earlier = set[str]()

    async def begin(self) -> None:
        """Wait until all parts serve; let a flow answer the number; forget earlier calls."""
        await until(self._is_ready, every_s=0.1)
        if not (await self.http.get("/api/numbers")).json()["numbers"]:
            # A number that is given up is no longer the account's.
            if self.carrier.exchange.numbers.find(NUMBER) is None:
                self.carrier.exchange.numbers.add(NUMBER)
            fields = {"name": "F", "greeting": "Hello.", "language": "de"}
            flow = (await self.http.post("/api/flows", json=fields)).raise_for_status().json()
            number = {"e164": NUMBER, "flow_id": flow["id"]}
            (await self.http.post("/api/numbers", json=number)).raise_for_status()
        self._earlier |= {each["id"] for each in await self.calls()}

    async def _is_ready(self) -> bool:
        for url in self.platform.where["metrics_urls"].values():
            try:
                if (await self.http.get(url.replace("/metrics", "/readyz"))).status_code != httpx.codes.OK:
                    return False
            except httpx.HTTPError:
                return False
        return True

    def pid(self, plane: str) -> int:
        program = next(each for each in self.platform.programs.all if each.name == plane)
        assert program.process is not None
        return program.process.pid

    def kill(self, *planes: str, with_signal: int = signal.SIGKILL) -> None:
        for plane in planes:
            os.kill(self.pid(plane), with_signal)

    async def ring(self) -> Call:
        return await self.carrier.ring(NUMBER, CALLER, [STAY])

    async def talking(self) -> Call:
        """A call whose stream is open, as its record says too."""
        call = await self.ring()
        async with patience():
            while not any(each["status"] == "in_progress" for each in await self.calls()):
                await asyncio.sleep(0.05)
        return call

    async def calls(self) -> list[dict[str, Any]]:
        """The records, newest first; none while the API is away."""
        try:
            answer = await self.http.get("/api/calls")
        except httpx.HTTPError:
            return []
        found = answer.json()["calls"] if answer.status_code == httpx.codes.OK else []
        return [each for each in found if each["id"] not in self._earlier]

    async def until(self, is_true: Callable[[list[dict[str, Any]]], bool], seconds: float) -> list[dict[str, Any]]:
        async with asyncio.timeout(seconds):
            while not (found := await self.calls()) or not is_true(found):
                await asyncio.sleep(0.1)
        return found

    async def in_transfer(self, id: str, state: str) -> None:
        """The call's last transfer is in this state."""
        async with patience():
            while True:
                answer = await self.http.get(f"/api/calls/{id}")
                rows = answer.json().get("transfers") if answer.status_code == 200 else []
                if rows and rows[-1]["state"] == state:
                    return
                await asyncio.sleep(0.1)

    async def all_over(self, seconds: float = 60.0) -> list[dict[str, Any]]:
        return await self.until(lambda found: all(each["ended_at"] for each in found), seconds)


@asynccontextmanager
async def deployed(
    monkeypatch: pytest.MonkeyPatch, database_url: str, home: Path, more: dict[str, str]
) -> AsyncIterator[Deployment]:
    """Run a platform; `more` are its further settings."""
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(Model.serve(api_key=KEY))
        carrier = await stack.enter_async_context(
            Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER], say_ms_per_char=1)
        )
        settings = settings_between(carrier, model, database_url=database_url, home=home)
        settings |= await stack.enter_async_context(served_issuer(settings))
        settings |= {
            "HUM_MEDIA_WORKERS": "1",  # which is killed
            "sweep_seconds": "1",
            "link_silent_seconds": "6",
            "link_lost_seconds": "10",
            "room_seconds": "3",
            **more,
        }
        async with started(monkeypatch, settings) as platform:
            db = await Db.open(database_url, size=2)
            org = await identity.create_organization(db, "Clinic", "o@clinic.example")
            _, secret = await identity.issue_key(db, org, "k", "admin", [])
            await db.close()
            headers = {"Authorization": f"Bearer {secret}"}
            url = platform.where["gateway_url"]
            # Meant to run out where the platform is down: whoever asks for the calls asks again.
            http = httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=20)
            await stack.enter_async_context(http)
            made = Deployment(platform, carrier, model, http)
            await made.begin()
            yield made


@pytest.fixture
def more() -> dict[str, str]:
    """Further settings; tests override it."""
    return {}


@pytest.fixture
async def deployment(
    monkeypatch: pytest.MonkeyPatch, database_url: str, open_home: Path, more: dict[str, str]
) -> AsyncIterator[Deployment]:
    async with deployed(monkeypatch, database_url, open_home, more) as made:
        yield made


# --- for all tests of a module ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lent_database_url(databases: Databases) -> Iterator[str]:
    name = databases.lend()
    yield f"{databases.base}/{name}"
    databases.take_back(name)


@pytest.fixture(scope="module")
def more_of_all() -> dict[str, str]:
    """Further settings; modules override it."""
    return {}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting(
    lent_database_url: str, more_of_all: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Deployment]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        home = tmp_path_factory.mktemp("home")
        async with deployed(monkeypatch, lent_database_url, home, more_of_all) as made:
            yield made


@pytest_asyncio.fixture(name="deployment", loop_scope="module")
async def deployment_of_all(lasting: Deployment) -> Deployment:
    """The module's platform, as if it were new."""
    await lasting.begin()
    return lasting
