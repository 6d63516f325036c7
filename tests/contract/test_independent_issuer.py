"""Sign-in against a third-party OpenID provider: nanoidp, in an environment of its own (`make peers`)."""

import asyncio
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from gateway import app as gateway
from tests.contract.conftest import PUBLIC, Browser, gateway_settings
from tests.control.conftest import Plane
from tests.support.programs import running
from tests.support.waits import patience

NANOIDP = Path(__file__).parents[2] / ".venv-oidc/bin/nanoidp"
PERSON = {"username": "grace", "password": "hopper"}
pytestmark = pytest.mark.interop


class Provider:
    """nanoidp as a process; its keys are whatever folder it is started with."""

    def __init__(self, folder: Path) -> None:
        assert NANOIDP.exists(), "run: make peers"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url, self._folder = f"http://127.0.0.1:{self.port}", folder

    @asynccontextmanager
    async def running(self, keys: str = "keys") -> AsyncIterator[None]:
        self._write(keys)
        command = (NANOIDP, "--config", self._folder, "--profile", "oauth21")
        async with running(*command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
            await self._ready()
            yield

    async def _ready(self) -> None:
        async with patience(), httpx.AsyncClient(trust_env=False) as http:
            while True:
                try:
                    await http.get(f"{self.url}/.well-known/openid-configuration")
                except httpx.TransportError:
                    await asyncio.sleep(0.1)
                else:
                    return

    def _write(self, keys: str) -> None:
        client = {"client_id": "hum", "client_secret": "s", "redirect_uris": [f"{PUBLIC}/auth/callback"]}
        settings = {
            "config_version": 1,
            "server": {"host": "127.0.0.1", "port": self.port},
            "oauth": {"issuer": self.url, "audience": "hum", "clients": [client]},
            "jwt": {"keys_dir": str(self._folder / keys)},
        }
        users = {PERSON["username"]: {"password": PERSON["password"], "email": "grace@example.com"}}
        (self._folder / "settings.yaml").write_text(yaml.safe_dump(settings))
        (self._folder / "users.yaml").write_text(yaml.safe_dump({"config_version": 1, "users": users}))


@pytest.fixture
def provider(tmp_path: Path) -> Provider:
    return Provider(tmp_path)


@pytest.fixture
async def url(plane: Plane, provider: Provider, tmp_path: Path) -> AsyncIterator[str]:
    async with gateway.serve(gateway_settings(plane, provider.url, tmp_path)) as ports:
        yield f"http://127.0.0.1:{ports.public}"


async def log_in(at_issuer: httpx.URL) -> str:
    """Fill in the provider's form; return the path and query that the browser is sent back with."""
    async with httpx.AsyncClient(trust_env=False) as http:
        page = await http.get(at_issuer)
        transaction = page.text.partition('name="transaction_id" value="')[2].partition('"')[0]
        assert transaction, page.text[:2000]
        answer = await http.post(at_issuer, data={**PERSON, "transaction_id": transaction})
    assert answer.status_code in (302, 303), answer.text[:2000]
    return str(answer.headers["location"]).removeprefix(PUBLIC)


async def test_a_person_signs_in(url: str, provider: Provider) -> None:
    async with provider.running():
        browser = Browser(url)
        answer = await browser.get(await log_in(await browser.begin("/dashboard")))
    assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard"), answer.text
    me = (await browser.get("/api/me")).json()
    assert me["user"]["email"] == "grace@example.com"
    assert (await browser.post("/api/organizations", {"name": "Clinic"})).status_code == 201


async def test_a_wrong_verifier_is_refused(url: str, provider: Provider, plane: Plane) -> None:
    async with provider.running():
        browser = Browser(url)
        back = await log_in(await browser.begin())
        async with plane.control.db.system() as tx:
            await tx.execute("UPDATE sign_ins SET code_verifier = repeat('a', 43)")
        answer = await browser.get(back)
    assert answer.status_code == 403, answer.text
    assert "__Host-hum_session" not in browser.cookies


async def test_a_replayed_state_and_a_replayed_code_are_refused(url: str, provider: Provider) -> None:
    async with provider.running():
        browser = Browser(url)
        back = await log_in(await browser.begin())
        kept = dict(browser.cookies)
        assert (await browser.get(back)).status_code == 303
        browser.cookies = kept
        assert (await browser.get(back)).status_code == 400
        thief = Browser(url)  # the code again, under a sign-in of the thief's own
        state = (await thief.begin()).params["state"]
        code = httpx.URL(f"{PUBLIC}{back}").params["code"]
        assert (await thief.get(f"/auth/callback?code={code}&state={state}")).status_code == 403


async def test_new_keys_are_found(url: str, provider: Provider) -> None:
    for keys in ("old", "new"):
        async with provider.running(keys):
            browser = Browser(url)
            answer = await browser.get(await log_in(await browser.begin()))
            assert answer.status_code == 303, answer.text


async def test_a_provider_that_is_away_is_said_to_be(url: str) -> None:
    answer = await Browser(url).get("/auth/login")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
