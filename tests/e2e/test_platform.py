"""`hum up` with real processes: settings are used, planes that die are restarted, everything stops."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from cli.platform import Platform
from control.identity import usecases as identity
from hum.process import home, production
from hum.process.processes import ProcessSpec
from hum.process.programs import Program, Programs, StartFailed
from hum.settings import UpSettings, environment
from sandbox.openai import Model
from sandbox.speech import Speech
from sandbox.twilio import Carrier, say
from storage.db import UNAVAILABLE, Db
from tests.e2e.conftest import ACCOUNT, CALLER, KEY, NUMBER, TOKEN
from tests.e2e.platforms import free_sockets, served_issuer, settings_between, started
from tests.hum.test_private import open_to_others
from tests.media.browsers import Caller
from tests.support.homes import postmaster_in
from tests.support.present import present
from tests.support.relay import relayed
from tests.support.waits import patience

pytestmark = pytest.mark.chaos
LISTEN = {"do": "wait_for_agent_to_finish", "quiet_ms": 500, "timeout_ms": 60_000}


@pytest.fixture
def media_workers() -> int:
    return 2


@pytest.fixture
async def given(
    monkeypatch: pytest.MonkeyPatch, database_url: str, open_home: Path, media_workers: int
) -> AsyncIterator[tuple[Platform, Carrier, Model]]:
    """A platform whose settings all point elsewhere."""
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(Model.serve(api_key=KEY))
        carrier = await stack.enter_async_context(
            Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER])
        )
        settings = settings_between(carrier, model, database_url=database_url, home=open_home)
        settings |= await stack.enter_async_context(served_issuer(settings))
        settings["HUM_MEDIA_WORKERS"] = str(media_workers)
        async with started(monkeypatch, settings) as platform:
            yield platform, carrier, model


async def browser_call(http: httpx.AsyncClient, flow: str) -> None:
    """Call from a browser, and leave as soon as the call has begun."""
    caller = Caller()
    try:
        answer = await http.post("/api/calls/browser", json={"flow_id": flow, "sdp": await caller.offer()}, timeout=60)
        assert answer.status_code == 201, answer.text
        await caller.take(answer.json()["sdp"])
        place = f"/api/calls/{answer.json()['call_id']}"
        async with patience():
            while (await http.get(place)).json()["status"] != "in_progress":
                await asyncio.sleep(0.05)
    finally:
        await caller.close()
    async with patience():
        while (call := (await http.get(place)).json())["status"] != "completed":
            await asyncio.sleep(0.05)
    assert (call["origin"], call["end_reason"]) == ("browser", "caller")


async def test_what_is_set_is_used_and_has_no_stand_in(
    given: tuple[Platform, Carrier, Model], database_url: str
) -> None:
    platform, carrier, model = given
    assert [each.name for each in platform.programs.all] == ["control", "worker", "gateway", "media", "browser"]
    assert "carrier_url" not in platform.where
    run = home.read_run(platform.settings.home)
    assert run["gateway_url"] == f"http://{os.environ['HUM_GATEWAY_LISTEN']}"
    async with httpx.AsyncClient(trust_env=False) as http:
        pages = {plane: (await http.get(url)).text for plane, url in run["metrics_urls"].items()}
    assert set(pages) == {"control", "worker", "gateway", "media", "browser"}
    assert "hum_media_calls" in pages["media"] and "hum_jobs_total" in pages["worker"]
    db = await Db.open(database_url, size=2)
    org = await identity.create_organization(db, "Clinic", "o@clinic.example")
    _, secret = await identity.issue_key(db, org, "k", "admin", [])
    await db.close()
    async with httpx.AsyncClient(
        base_url=run["gateway_url"], headers={"Authorization": f"Bearer {secret}"}, trust_env=False
    ) as http:
        flow = (await http.post("/api/flows", json={"name": "F", "greeting": "Hello and welcome."})).json()
        assert (await http.post("/api/numbers", json={"e164": NUMBER, "flow_id": flow["id"]})).status_code == 201
        call = await carrier.ring(NUMBER, CALLER, [LISTEN])
        await call.ended()
        assert len(model.sessions) == 1
        async with patience():
            while [each["status"] for each in (await http.get("/api/calls")).json()["calls"]] != ["completed"]:
                await asyncio.sleep(0.05)
        await browser_call(http, flow["id"])
        sent = await http.get("/auth/login")
        assert sent.headers["location"].startswith(os.environ["HUM_OIDC_ISSUER"])
        assert (await http.get(sent.headers["location"])).status_code == 200  # the issuer knows this redirect

        for plane in ("media", "browser", "control", "worker", "gateway"):
            program = next(each for each in platform.programs.all if each.name == plane)
            assert program.process is not None
            before = program.process.pid
            os.kill(before, signal.SIGKILL)
            async with patience():
                while program.process.pid == before or not program.process.is_ready:
                    await asyncio.sleep(0.05)
        async with patience():
            while (await http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.05)
        again = await carrier.ring(NUMBER, CALLER, [LISTEN])
        await again.ended()
        async with patience():
            while [each["status"] for each in (await http.get("/api/calls")).json()["calls"]] != ["completed"] * 3:
                await asyncio.sleep(0.1)


async def test_a_call_outlives_control_and_its_record_is_whole(
    given: tuple[Platform, Carrier, Model], database_url: str
) -> None:
    platform, carrier, _ = given
    db = await Db.open(database_url, size=2)
    org = await identity.create_organization(db, "Clinic", "o@clinic.example")
    _, secret = await identity.issue_key(db, org, "k", "admin", [])
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=platform.where["gateway_url"], headers=headers, trust_env=False) as http:
        flow = (await http.post("/api/flows", json={"name": "F", "greeting": "Hello and welcome."})).json()
        assert (await http.post("/api/numbers", json={"e164": NUMBER, "flow_id": flow["id"]})).status_code == 201
        speech = Speech()
        lines = [
            await speech.say(line, "caller") for line in ("I would like to book a visit.", "Tuesday would be better.")
        ]
        speech.close()
        call = await carrier.ring(NUMBER, CALLER, [LISTEN, say(lines[0]), LISTEN, say(lines[1]), LISTEN])
        await call.journal.find("caller.said", phase="begin", step=1)
        control = next(each for each in platform.programs.all if each.name == "control")
        assert control.process is not None
        os.kill(control.process.pid, signal.SIGKILL)
        await call.ended()
        assert [verb.name for verb in call.verbs] == ["Connect"], "the caller noticed nothing"
        async with patience():
            while True:
                answer = await http.get("/api/calls")
                found = answer.json().get("calls") if answer.status_code == 200 else None
                if found and found[0]["ended_at"]:
                    break
                await asyncio.sleep(0.2)
        record = (await http.get(f"/api/calls/{found[0]['id']}")).json()
    assert [turn["role"] for turn in record["transcript"]] == ["agent", "caller", "agent", "caller", "agent"]
    assert [turn["seq"] for turn in record["transcript"]] == [1, 2, 3, 4, 5]
    assert (record["status"], record["end_reason"]) == ("completed", "caller")
    async with db.system() as tx:
        rows = await tx.fetch("SELECT seq FROM call_events ORDER BY seq")
    await db.close()
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1)), "each event once, none missing"


async def test_a_database_that_is_killed_comes_back_where_it_was(
    monkeypatch: pytest.MonkeyPatch, open_home: Path
) -> None:
    for name, value in {"HUM_HOME": str(open_home), "HUM_DRAIN_SECONDS": "1", **free_sockets(open_home)}.items():
        monkeypatch.setenv(name, value)
    platform = Platform(UpSettings())
    try:
        await platform.start()
        worker = next(each for each in platform.programs.all if each.name == "worker")
        async with patience():
            while "worker is running" not in present(worker.command.log).read_text():
                await asyncio.sleep(0.1)
        running = {each.name: each.process.pid for each in platform.programs.all if each.process is not None}
        killed = postmaster_in(open_home)
        os.kill(killed, signal.SIGKILL)
        made = None
        async with patience():
            while made is None:
                try:
                    db = await Db.open(platform.where["database_url"], size=2)
                    made = await identity.create_organization(db, "Clinic", "o@clinic.example")
                    await db.close()
                except UNAVAILABLE:
                    await asyncio.sleep(0.1)
        assert postmaster_in(open_home) != killed
        async with (
            httpx.AsyncClient(base_url=platform.where["gateway_url"], trust_env=False) as http,
            patience(),
        ):
            while (await http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.1)
        await asyncio.sleep(3)  # longer than the worker's next retries
        now_running = {each.name: each.process.pid for each in platform.programs.all if each.process is not None}
        assert open_to_others(open_home) == [], "whatever this process's umask is"
        ended = [each for each in platform.programs.all if running[each.name] != now_running[each.name]]
        assert [each.name for each in ended] == ["postgres"], "\n".join(
            present(each.command.log).read_text() for each in ended
        )
    finally:
        await platform.stop()


async def test_who_needs_the_database_is_ready_while_it_answers(
    monkeypatch: pytest.MonkeyPatch, database_url: str, open_home: Path
) -> None:
    """Each operator's socket says so.  The media plane's calls need none."""
    url = urlsplit(database_url)
    assert url.hostname is not None and url.port is not None
    async with relayed(url.hostname, url.port) as relay:
        through = database_url.replace(f":{url.port}/", f":{relay.port}/")
        for name, value in {"HUM_DATABASE_URL": through, "HUM_HOME": str(open_home), **free_sockets(open_home)}.items():
            monkeypatch.setenv(name, value)
        platform = Platform(UpSettings())
        try:
            await platform.start()
            await ready(platform, {"control": 200, "worker": 200, "gateway": 200, "media": 200, "browser": 200})
            relay.cut()
            await ready(platform, {"control": 503, "worker": 503, "gateway": 503, "media": 200, "browser": 200})
            await relay.up()
            await ready(platform, dict.fromkeys(("control", "worker", "gateway", "media", "browser"), 200))
            relay.hold()  # it accepts connections, and answers nothing
            await ready(platform, {"control": 503, "worker": 503, "gateway": 503, "media": 200, "browser": 200})
            relay.release()
            await ready(platform, dict.fromkeys(("control", "worker", "gateway", "media", "browser"), 200))
        finally:
            await platform.stop()


async def ready(platform: Platform, statuses: dict[str, int]) -> None:
    """Wait until `/readyz` of every plane answers so."""
    seen: dict[str, int] = {}
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http, patience():
        while seen != statuses:
            await asyncio.sleep(0.1)
            for plane, url in platform.where["metrics_urls"].items():
                seen[plane] = (await http.get(url.replace("/metrics", "/readyz"))).status_code


async def test_a_program_that_can_not_start_says_why_and_is_gone(tmp_path: Path) -> None:
    for code, words in (
        ("import sys; sys.exit('the reason')", "the reason"),
        ("import time; time.sleep(60)", "was not ready after"),
    ):
        program = Program("p", ProcessSpec(("-c", code), environment(), tmp_path / "p.log"), start_seconds=1.0)
        with pytest.raises(StartFailed, match=words):
            await Programs(print).start(program)
        assert not any(each.is_alive() for each in program.processes)


async def test_production_refuses_stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HUM_ENV", "production")
    monkeypatch.setenv("HUM_HOME", str(tmp_path))
    public = {"HUM_PUBLIC_URL": "https://hum.example", "HUM_MEDIA_URL": "wss://media.example"}
    for name, value in {**free_sockets(tmp_path), **production.make_keys(), **public}.items():
        monkeypatch.setenv(name, value)
    for missing, rest in (
        ("HUM_DATABASE_URL", {}),
        ("TWILIO_ACCOUNT_SID", {"HUM_DATABASE_URL": "postgresql://x"}),
        ("OPENAI_API_KEY", {"TWILIO_ACCOUNT_SID": "AC", "TWILIO_AUTH_TOKEN": "t"}),
    ):
        for name, value in rest.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit, match=missing):
            Platform(UpSettings()).require_settings()
