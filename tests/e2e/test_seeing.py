"""A real Prometheus scrapes a running platform: its alerts evaluate and are silent, and every panel of the dashboard has an answer."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from cli.platform import Platform
from control.identity import usecases as identity
from hum.process.sockets import free_port
from sandbox.openai import Model
from sandbox.twilio import Carrier
from storage.db import Db
from tests.deploy.test_monitoring_files import FOLDER, HISTOGRAMS, expressions
from tests.e2e.conftest import ACCOUNT, CALLER, KEY, NUMBER, TOKEN
from tests.e2e.platforms import settings_between, started
from tests.support.waits import patience

pytestmark = pytest.mark.interop
LISTEN = {"do": "wait_for_agent_to_finish", "quiet_ms": 500, "timeout_ms": 60_000}
#: Of the machine that runs the tests, whose disk may well be full.
OTHERS = {"HumDiskFull"}
#: A standby, and planes with TLS, are not here.
NOT_HERE = {"hum_database_replication_lag_bytes", "hum_certificate_expires_seconds"}


@pytest.fixture
async def platform(
    monkeypatch: pytest.MonkeyPatch, database_url: str, open_home: Path
) -> AsyncIterator[tuple[Platform, Carrier]]:
    async with (
        Model.serve(api_key=KEY) as model,
        Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER]) as carrier,
    ):
        settings = {
            **settings_between(carrier, model, database_url=database_url, home=open_home),
            "sweep_seconds": "1",
            "retention_seconds": "1",
        }
        async with started(monkeypatch, settings) as platform:
            yield platform, carrier


@asynccontextmanager
async def prometheus(targets: list[str], home: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Debian's, with our configuration; only its targets and its pace are changed."""
    assert shutil.which("prometheus"), "it is in Debian's package prometheus"
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(FOLDER / "alerts.yml")]
    config["scrape_configs"][0]["static_configs"] = [{"targets": targets}]
    (home / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port('127.0.0.1')}"
    options = (f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/tsdb")
    with (home / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "prometheus", *options, f"--web.listen-address={address}", cwd=home, stdout=log, stderr=log
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}/api/v1", trust_env=False) as http:
            async with patience():
                while not await is_ready(http, f"http://{address}/-/ready"):
                    await asyncio.sleep(0.2)
            yield http
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def is_ready(http: httpx.AsyncClient, url: str) -> bool:
    """Tell whether Prometheus answers questions: while it starts, it refuses them with 503."""
    try:
        return (await http.get(url)).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


async def answered(http: httpx.AsyncClient, path: str, **parameters: str) -> dict[str, Any]:
    answer = await http.get(path, params=parameters)
    assert answer.status_code == 200, (parameters, answer.text)
    data: dict[str, Any] = answer.json()["data"]
    return data


async def call_once(platform: Platform, carrier: Carrier, database_url: str) -> None:
    db = await Db.open(database_url, size=2)
    org = await identity.create_organization(db, "Clinic", "o@clinic.example")
    _, secret = await identity.issue_key(db, org, "k", "admin", [])
    await db.close()
    key = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=platform.where["gateway_url"], headers=key, trust_env=False) as http:
        flow = (await http.post("/api/flows", json={"name": "F", "greeting": "Welcome."})).raise_for_status().json()
        (await http.post("/api/numbers", json={"e164": NUMBER, "flow_id": flow["id"]})).raise_for_status()
        call = await carrier.ring(NUMBER, CALLER, [LISTEN])
        await call.ended()


@pytest.mark.timeout(240)
async def test_alerts_and_dashboard_on_a_running_platform(
    platform: tuple[Platform, Carrier], database_url: str, tmp_path: Path
) -> None:
    running, carrier = platform
    targets = [urlsplit(url).netloc for url in running.where["metrics_urls"].values()]
    async with prometheus(targets, tmp_path) as http:
        async with patience():
            while True:
                active = (await answered(http, "/targets"))["activeTargets"]
                if len(active) == len(targets) and all(each["health"] == "up" for each in active):
                    break
                await asyncio.sleep(0.2)
        await call_once(running, carrier, database_url)
        names = {name for text in expressions() for name in re.findall(r"\bhum_\w+", text)}
        wanted = {f"max({name})" for name in names - NOT_HERE if not name.endswith((*HISTOGRAMS, "_total"))}
        async with patience():
            while wanted:  # each has a value, once sweeps have measured and the call has been scraped
                missing = min(wanted)
                if (await answered(http, "/query", query=missing))["result"]:
                    wanted.discard(missing)
                else:
                    await asyncio.sleep(0.2)
        families = await answered(http, "/metadata")
        for name in names:
            base = re.sub(r"_(total|bucket|count|sum)$", "", name)
            assert {name, base, f"{base}_total"} & set(families), f"no process has {name}"
        for expression in expressions():
            await answered(http, "/query", query=expression)
        async with patience():
            while True:
                rules = [rule for group in (await answered(http, "/rules"))["groups"] for rule in group["rules"]]
                if all(rule["health"] != "unknown" for rule in rules):
                    break
                await asyncio.sleep(0.2)
    assert {rule["name"]: rule.get("lastError", "") for rule in rules if rule["health"] != "ok"} == {}
    assert {rule["name"] for rule in rules if rule["state"] == "firing"} <= OTHERS
