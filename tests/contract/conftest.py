"""A running gateway in front of a running control plane, and a client with a key."""

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from control.boundary import RateLimits
from control.identity import usecases as identity
from gateway import app as gateway
from hum.settings import GatewaySettings
from sandbox.signin import Issuer
from sandbox.signin.people import People
from tests.control.conftest import Plane, limits, payments, plane

__all__ = ["limits", "payments", "plane"]
TOKEN = "carrier-token"
PUBLIC = "https://hum.example"
ACCOUNT, SUBACCOUNT = "AC" + "0" * 32, "AC" + "5" * 32


@dataclass
class Edge:
    plane: Plane
    url: str
    metrics_url: str

    async def client(
        self, name: str = "Clinic", role: str = "admin", scopes: tuple[str, ...] = ()
    ) -> httpx.AsyncClient:
        """A client with the key of a new organization."""
        org = await identity.create_organization(self.plane.control.db, name, f"owner@{name.lower()}.example")
        _, secret = await identity.issue_key(self.plane.control.db, org, "test", role, list(scopes))
        return httpx.AsyncClient(base_url=self.url, headers={"Authorization": f"Bearer {secret}"}, trust_env=False)

    async def key(self, http: httpx.AsyncClient, *scopes: str) -> httpx.AsyncClient:
        """A client with a further key of the same organization."""
        made = await http.post("/api/api-keys", json={"name": "test", "role": "admin", "scopes": scopes})
        assert made.status_code == 201, made.text
        bearer = {"Authorization": f"Bearer {made.json()['secret']}"}
        return httpx.AsyncClient(base_url=self.url, headers=bearer, trust_env=False)

    def browser(self) -> "Browser":
        return Browser(self.url)

    async def signed_in(self, email: str = "ada@example.com") -> "Browser":
        """A browser in which this person is signed in."""
        browser = self.browser()
        answer = await browser.sign_in(email)
        assert answer.status_code == 303, answer.text
        return browser


class Browser:
    """A person's browser in front of the gateway: keeps cookies as over https, and sends the `Origin` of its requests.

    The gateway runs as if behind a proxy that terminates TLS, so cookies are `Secure` though these sockets are plain.
    """

    def __init__(self, url: str) -> None:
        self.http = httpx.AsyncClient(base_url=url, trust_env=False)
        self.cookies: dict[str, str] = {}

    async def request(self, verb: str, path: str, **options: Any) -> httpx.Response:
        headers = {"Origin": PUBLIC, "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())}
        given = options.pop("headers", {})
        headers = {name: value for name, value in {**headers, **given}.items() if value is not None}
        answer = await self.http.request(verb, path, headers=headers, **options)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
            if "max-age=0" in line.lower():
                del self.cookies[name]
        return answer

    async def get(self, path: str, **options: Any) -> httpx.Response:
        return await self.request("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> httpx.Response:
        return await self.request("POST", path, json=json, **options)

    async def begin(self, return_to: str = "/docs") -> httpx.URL:
        """The URL at which the issuer is asked."""
        answer = await self.get("/auth/login", params={"return_to": return_to})
        assert answer.status_code == 302, answer.text
        return httpx.URL(answer.headers["location"])

    async def choose(self, at_issuer: httpx.URL, email: str) -> str:
        """Click a name at the sandbox's issuer; return the path and query that the browser is sent back with."""
        async with httpx.AsyncClient(trust_env=False) as http:
            page = await http.get(at_issuer)
            assert page.status_code == 200, page.text
            form = {**dict(at_issuer.params), "email": email}
            answer = await http.post(at_issuer.copy_with(query=None), data=form)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"]).removeprefix(PUBLIC)

    async def accept(self, organization: str = "") -> dict[str, Any]:
        """Accept the one invitation there is, or the one of this organization; who I am then."""
        open_ones = (await self.get("/api/me")).json()["invitations"]
        (mine,) = [each for each in open_ones if organization in ("", each["organization_name"])]
        answer = await self.post(f"/api/me/invitations/{mine['id']}/accept")
        assert answer.status_code == 200, answer.text
        me: dict[str, Any] = answer.json()
        return me

    async def sign_in(self, email: str, return_to: str = "/docs") -> httpx.Response:
        return await self.get(await self.choose(await self.begin(return_to), email))


@pytest.fixture(scope="session")
def running_issuer() -> Iterator[Issuer]:
    """One for all tests, on a loop of its own: starting and stopping it takes longer than most tests."""
    started, stopping = queue.Queue[Issuer](), threading.Event()

    async def serve() -> None:
        async with Issuer.serve(client_secret="s", redirect_uri=f"{PUBLIC}/auth/callback") as issuer:
            started.put(issuer)
            await asyncio.to_thread(stopping.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    yield started.get(timeout=60)
    stopping.set()
    thread.join()


@pytest.fixture
def issuer(running_issuer: Issuer) -> Issuer:
    """A fresh issuer."""
    running_issuer.people, running_issuer.mischief, running_issuer.claims = People(), "", {}
    return running_issuer


@pytest.fixture
def charged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each request has stored beyond its message."""
    charge, sizes = RateLimits.charge, list[int]()

    def recorded(self: RateLimits, organization: UUID, stored_bytes: int, now_ms: float) -> None:
        sizes.append(stored_bytes)
        charge(self, organization, stored_bytes, now_ms)

    monkeypatch.setattr(RateLimits, "charge", recorded)
    return sizes


@pytest.fixture
def public_socket() -> dict[str, Any]:
    """How the gateway's public socket differs from its defaults."""
    return {}


def gateway_settings(plane: Plane, issuer_url: str, home: Path, **others: Any) -> GatewaySettings:
    """Return settings of a gateway in front of `plane` that signs people in at an issuer; `others` are further ones."""
    own = {
        "home": home,
        "gateway_listen": "127.0.0.1:0",
        "control_address": f"127.0.0.1:{plane.control.port}",
        "public_url": PUBLIC,
        "twilio_auth_token": TOKEN,
        "drain_seconds": 1,
        "linger_seconds": 0,
        "oidc_issuer": issuer_url,
        "oidc_client_id": "hum",
        "oidc_client_secret": "s",
        "oidc_keys_seconds": 0,
    }
    return GatewaySettings(**{**own, **others})


@pytest.fixture
async def edge(plane: Plane, issuer: Issuer, tmp_path: Path, public_socket: dict[str, Any]) -> AsyncIterator[Edge]:
    """A gateway; with the console that a test put into `tmp_path / "console"`, mostly none."""
    settings = gateway_settings(
        plane,
        issuer.url,
        tmp_path,
        media_url="wss://media.example",
        twilio_account_sids=f"{ACCOUNT}, {SUBACCOUNT}",
        heartbeat_seconds=0.1,
        # A busy machine is no reason for an apology, unless a test is about that.
        **{"body_bytes": 64 << 10, "control_seconds": 60, "ingress_seconds": 30, **public_socket},
        console_dir=tmp_path / "console",
    )
    async with gateway.serve(settings) as ports:
        yield Edge(plane, f"http://127.0.0.1:{ports.public}", f"http://127.0.0.1:{ports.metrics}")
