"""The proxies of deploy/proxies before a whole platform: fixtures of the tests that run them."""

import asyncio
import contextlib
import re
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp.connector
import httpx
import pytest

from control import app as control
from control.identity import usecases as identity
from gateway import app as gateway
from hum.process.sockets import free_port
from hum.settings import ControlSettings, GatewaySettings, MediaSettings, environment
from media import app as media
from sandbox.openai import Model
from sandbox.twilio import Carrier
from tests.e2e.conftest import ACCOUNT, FAST, KEY, NUMBER, TOKEN, listen_settings
from tests.support.waits import patience

PROXIES = Path(__file__).parents[2] / "deploy/proxies"
BURST = 5  # of unknown credentials from one address
NAMES = {"nginx": "nginx.conf", "caddy": "Caddyfile", "haproxy": "haproxy.cfg"}


@dataclass
class Proxy:
    """A proxy that runs, from its example with only names, ports and paths changed."""

    process: asyncio.subprocess.Process
    home: Path

    def reload(self, name: str) -> None:
        """As the package's own `reload` does."""
        self.process.send_signal({"nginx": signal.SIGHUP, "haproxy": signal.SIGUSR2}[name])


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a certificate for `localhost`, which is its own authority."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
        *("-addext", "subjectAltName=DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "fullchain.pem"),
    )
    subprocess.run(command, check=True, capture_output=True)
    both = (folder / "fullchain.pem").read_text() + (folder / "key.pem").read_text()
    (folder / "all.pem").write_text(both)
    return folder


def example(name: str, tls: Path, port: int, upstreams: dict[str, str]) -> str:
    text = (PROXIES / NAMES[name]).read_text()
    listens = {"nginx": ("listen 443", f"listen 127.0.0.1:{port}"), "haproxy": ("bind :443", f"bind 127.0.0.1:{port}"),
               "caddy": ("hum.example.com {", f"https://localhost:{port} {{\n\tbind 127.0.0.1")}[name]  # fmt: skip
    changes = [
        listens,
        ("/etc/hum/tls", str(tls)),
        ("127.0.0.1:8080", upstreams["gateway"]),
        ("127.0.0.1:8081", upstreams["media"]),
    ]
    if name == "nginx":
        changes.append(("hum.example.com", "localhost"))
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    return text


@asynccontextmanager
async def running(name: str, text: str, home: Path) -> AsyncIterator[Proxy]:
    config = home / NAMES[name]
    if name == "nginx":
        logs = f"pid {home}/nginx.pid; error_log {home}/error.log; daemon off;"
        paths = "".join(
            f"{each}_temp_path {home}/{each}; " for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        connections = re.findall(r"`(worker_connections \d+;)`", text)[0]  # as its first comment asks for
        text = f"{logs} events {{ {connections} }} http {{ access_log off; {paths}\n{text}\n}}"
        command = ["nginx", "-p", str(home), "-c", str(config)]
    elif name == "haproxy":
        command = ["haproxy", "-W", "-db", "-f", str(config)]
    else:
        text = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + text
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]
    config.write_text(text)
    with (home / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment() | {"HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)},
            stdout=log,
            stderr=log,
        )
    try:
        yield Proxy(process, home)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


@dataclass
class House:
    proxy: Proxy
    carrier: Carrier
    url: str
    trust: ssl.SSLContext
    key: dict[str, str]

    def client(self, address: str = "127.0.0.1", headers: dict[str, str] | None = None) -> httpx.AsyncClient:
        """A client with this address of its own."""
        transport = httpx.AsyncHTTPTransport(verify=self.trust, local_address=address, http1=True)
        return httpx.AsyncClient(base_url=self.url, transport=transport, headers=headers or self.key)


@pytest.fixture(params=NAMES)
async def name(request: pytest.FixtureRequest) -> str:
    if shutil.which(request.param, path=f"{environment()['PATH']}:/usr/sbin") is None:
        pytest.skip(f"{request.param} is not installed (apt-get install {request.param})")
    return str(request.param)


@pytest.fixture
async def house(
    name: str, database_url: str, open_home: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    """A platform behind the proxy, and a carrier that trusts its certificate."""
    trust = ssl.create_default_context(cafile=certificate / "fullchain.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "fullchain.pem"))  # for the carrier's media streams
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trust)  # for its webhooks
    port, shared = free_port("127.0.0.1"), listen_settings(open_home)
    upstreams = {"gateway": shared["gateway_listen"], "media": shared["media_listen"]}
    shared |= {"public_url": f"https://localhost:{port}", "media_url": f"wss://localhost:{port}"}
    shared |= {"unknown_rate_burst": BURST, "unknown_rate_per_second": 0.001}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        model = await enter(Model.serve(api_key=KEY, settings=FAST))
        carrier = await enter(Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER], say_ms_per_char=0))
        shared |= {"openai_base_url": model.url, "twilio_api_base_url": carrier.url}
        plane = await enter(control.build(ControlSettings(**shared), database_url))
        # Clients have addresses of this machine as well, so only one of those is the proxy's.
        await enter(gateway.serve(GatewaySettings(**shared, trusted_proxies="127.0.0.1/32")))
        await enter(media.build(MediaSettings(**shared)))
        proxy = await enter(running(name, example(name, certificate, port, upstreams), open_home))
        org = await identity.create_organization(plane.db, "Clinic", "owner@clinic.example")
        _, secret = await identity.issue_key(plane.db, org, "test", "admin", [])
        made = House(proxy, carrier, shared["public_url"], trust, {"Authorization": f"Bearer {secret}"})
        await serves(made)
        yield made


async def serves(house: House) -> None:
    async with patience(), house.client() as http:
        while house.proxy.process.returncode is None:
            with contextlib.suppress(httpx.TransportError):
                if (await http.get("/readyz")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
    said = (house.proxy.home / "log").read_text()
    pytest.fail(f"status {house.proxy.process.returncode}: {said}")


async def answered(http: httpx.AsyncClient) -> None:
    flow = (await http.post("/api/flows", json={"name": "F", "greeting": "Welcome."})).raise_for_status().json()
    (await http.post("/api/numbers", json={"e164": NUMBER, "flow_id": flow["id"]})).raise_for_status()
