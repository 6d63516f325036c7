"""The commands of docs/backup.md, run while somebody calls, and restored in a second PostgreSQL."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from control import app as control
from control.identity import usecases as identity
from gateway import app as gateway
from hum.settings import ControlSettings, GatewaySettings, MediaSettings, environment
from media import app as media
from sandbox.openai import Model
from sandbox.twilio import Carrier
from storage.embedded import EmbeddedPostgres, find_binaries
from storage.migrate import CannotMigrate, migrate
from tests.e2e.conftest import ACCOUNT, CALLER, FAST, KEY, NUMBER, TOKEN, listen_settings
from tests.e2e.platforms import free_sockets
from tests.e2e.test_hum_up import Up, programs_end
from tests.support.template import FAST as FAST_DATABASE
from tests.support.waits import patience

__all__ = ["programs_end"]
pytestmark = pytest.mark.interop
PAGE = (Path(__file__).parents[2] / "docs/backup.md").read_text()
#: Whom a campaign texts that runs at the time of the backup: some before, some after it, and some only once it is restored.
RECIPIENTS = [f"+1317555{4000 + n}" for n in range(60)]
LISTENS = {"do": "wait_for_agent_to_talk", "for_ms": 200, "timeout_ms": 30_000}
STAYS: list[dict[str, Any]] = [LISTENS, *({"do": "wait", "ms": 2_000}, {"do": "press", "digits": "1"}) * 60]


def commands(heading: str, place: int = 0) -> str:
    """The commands of a part of the page: the first ones, or those in that place."""
    part = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found: list[str] = re.findall(r"^```sh\n(.*?)^```", part, re.DOTALL | re.MULTILINE)
    return found[place]


def run(script: str, **variables: str) -> None:
    path = f"{find_binaries(None)}:{environment()['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", script],
        env=environment() | {"PATH": path} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@asynccontextmanager
async def platform(home: Path, url: str, carrier: Carrier, model: Model) -> AsyncIterator[tuple[str, control.Control]]:
    """A whole platform on this database; the gateway's URL."""
    shared = listen_settings(home) | {"openai_base_url": model.url, "twilio_api_base_url": carrier.url}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        plane = await enter(control.build(ControlSettings(**shared), url))
        worker = await enter(control.build_worker(ControlSettings(**shared), url))
        stop = asyncio.Event()
        working = asyncio.create_task(worker.run(stop))
        await enter(gateway.serve(GatewaySettings(**shared)))
        await enter(media.build(MediaSettings(**shared)))
        yield shared["public_url"], plane
        stop.set()
        await working


async def status(http: httpx.AsyncClient, expected: str) -> dict[str, Any]:
    """The latest call, once it has this status."""
    async with patience():
        while True:
            found = (await http.get("/api/calls")).raise_for_status().json()["calls"]
            if found and found[0]["status"] == expected:
                call: dict[str, Any] = found[0]
                return call
            await asyncio.sleep(0.05)


async def counted(http: httpx.AsyncClient, calls: int) -> None:
    """Until the reader of analytics has seen so many calls."""
    async with patience():
        while (await http.get("/api/analytics")).raise_for_status().json()["totals"]["calls"] < calls:
            await asyncio.sleep(0.1)


async def audit(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    """The audit log, once all of it is chained: a sweep does that."""
    async with patience():
        while True:
            entries: list[dict[str, Any]] = (await http.get("/api/audit-log")).raise_for_status().json()["entries"]
            if all(each["seq"] is not None for each in entries):
                return entries
            await asyncio.sleep(0.1)


async def campaign_begun(http: httpx.AsyncClient, number: str) -> str:
    """A campaign that texts two contacts a second; its path."""
    (await http.patch(f"/api/numbers/{number}", json={"sms_enabled": True})).raise_for_status()
    recipients = [{"contact_e164": each} for each in RECIPIENTS]
    body = {"name": "News", "twilio_number_id": number, "body_template": "It is time.", "recipients": recipients}
    made = await http.post("/api/sms/campaigns", json={**body, "throttle_per_minute": 120})
    path = f"/api/sms/campaigns/{made.raise_for_status().json()['id']}"
    (await http.post(f"{path}/launch")).raise_for_status()
    return path


async def texted(carrier: Carrier, recipients: int) -> None:
    """Until so many of the campaign's recipients have their texts."""
    async with patience():
        while sum(bool(carrier.texts_to(each)) for each in RECIPIENTS) < recipients:
            await asyncio.sleep(0.02)


@pytest.mark.timeout(400)
async def test_a_backup_is_restored(open_home: Path) -> None:
    before, after, backup = open_home / "before", open_home / "after", open_home / "backup"
    first = EmbeddedPostgres(before, settings=FAST_DATABASE)
    second = EmbeddedPostgres(after, settings=FAST_DATABASE)
    url = await first.start()
    await migrate(url)
    backup.mkdir()
    etc = open_home / "etc"
    etc.mkdir()
    (etc / "hum.env").write_text("HUM_NODE_KEY=...\n")
    async with (
        Model.serve(api_key=KEY, settings=FAST) as model,
        Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER], say_ms_per_char=0) as carrier,
    ):
        async with platform(before, url, carrier, model) as (public_url, plane):
            org = await identity.create_organization(plane.db, "Clinic", "o@clinic.example")
            _, secret = await identity.issue_key(plane.db, org, "k", "admin", [])
            key = {"Authorization": f"Bearer {secret}"}
            async with httpx.AsyncClient(base_url=public_url, headers=key, trust_env=False) as http:
                flow = {"name": "F", "greeting": "Welcome.", "recording_enabled": True, "announce_recording": False}
                flow = (await http.post("/api/flows", json=flow)).raise_for_status().json()
                number = await http.post("/api/numbers", json={"e164": NUMBER, "flow_id": flow["id"]})
                await (await carrier.ring(NUMBER, CALLER, [LISTENS])).ended()
                whole = await status(http, "completed")
                await counted(http, 1)
                campaign = await campaign_begun(http, number.raise_for_status().json()["id"])
                audited = await audit(http)
                talks = await carrier.ring(NUMBER, CALLER, STAYS)
                await status(http, "in_progress")
                script = commands("Back up").replace("/etc/hum", str(etc))
                recordings = str(before / "recordings")
                await texted(carrier, 2)
                await asyncio.to_thread(run, script, BACKUP_URL=url, BACKUP=str(backup), HUM_RECORDINGS_URL=recordings)
                known = sum(bool(carrier.texts_to(each)) for each in RECIPIENTS)
                assert known < len(RECIPIENTS) - 2, "the backup was made while the campaign ran"
                await texted(carrier, known + 2)
                talks.hang_up()
                await talks.ended()
                heard = (await http.get(f"/api/calls/{whole['id']}/recording")).raise_for_status().content
        await first.stop()

        data = after / "postgres/data"
        for folder in (data, after / "recordings"):
            folder.mkdir(parents=True)
        data.chmod(0o700)
        script = commands("Restore").replace("/etc/hum/", f"{open_home}/etc-after/")
        (open_home / "etc-after").mkdir()
        run(script, BACKUP=str(backup), PGDATA=str(data), HUM_RECORDINGS_URL=str(after / "recordings"))
        (after / "postgres/password").write_bytes((before / "postgres/password").read_bytes())
        (after / "postgres/password").chmod(0o600)
        assert (open_home / "etc-after/hum.env").read_text() == "HUM_NODE_KEY=...\n"
        hum = f"{Path(sys.executable).parent}/hum"
        noted = commands("Restore", 1).replace("hum ", f"{hum} ")
        second_url = await second.start()
        await asyncio.to_thread(run, noted, HUM_DATABASE_URL=second_url)

        async with platform(after, second_url, carrier, model) as (public_url, _):
            async with httpx.AsyncClient(base_url=public_url, headers=key, trust_env=False) as http:
                # Before the recording is downloaded, which the log tells, too.
                assert (await http.get("/api/audit-log")).json()["entries"] == audited
                calls = (await http.get("/api/calls")).json()["calls"]
                assert [each["status"] for each in calls] == ["in_progress", "completed"]
                assert calls[1] == whole
                assert (await http.get(f"/api/calls/{whole['id']}/recording")).content == heard
                # And it goes on: a call is taken, and the readers of events count it.
                (await http.post("/api/numbers/sync")).raise_for_status()  # its webhooks lead here now
                await (await carrier.ring(NUMBER, CALLER, [LISTENS])).ended()
                await status(http, "completed")
                await counted(http, 2)
                async with patience():
                    while (await http.get(campaign)).json()["status"] != "completed":
                        await asyncio.sleep(0.1)
                await carrier.texts_settled()
                assert {each: carrier.texting.book.sent_to[each] for each in RECIPIENTS} == dict.fromkeys(RECIPIENTS, 1)
        await second.stop()


@pytest.mark.timeout(300)
async def test_hum_backup_copies_a_running_platform_and_hum_restore_brings_it_back(
    open_home: Path, programs_end: None
) -> None:
    before, after, backup = open_home / "before", open_home / "after", open_home / "backup"
    recording = before / "recordings/2026/call.flac"

    async def hum(home: Path, *arguments: str, status: int = 0) -> str:
        program = [sys.executable, "-m", "cli", *arguments]
        variables = environment() | {"HUM_HOME": str(home)}
        done = await asyncio.to_thread(
            subprocess.run, program, env=variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == status, done
        return str(done.stderr if status else done.stdout)

    def sockets(home: Path) -> dict[str, str]:
        return {"HUM_HOME": str(home), "HUM_DRAIN_SECONDS": "1", **free_sockets(home)}

    async with Up.started(sockets(before)) as up:
        await up.is_up()
        first = json.loads(await hum(before, "admin", "create-org", "--name", "Clinic", "--owner-email", "o@c.example"))
        recording.parent.mkdir(parents=True)
        recording.write_bytes(b"sound")
        assert await hum(before, "backup", str(backup)) == f"backed up {before} to {backup}\n"
        assert "exists" in await hum(before, "backup", str(backup), status=2)
        await hum(before, "admin", "create-org", "--name", "Later", "--owner-email", "l@c.example")
        assert "(HUM_HOME) is not empty" in await hum(before, "restore", str(backup), status=2)
        up.process.send_signal(signal.SIGTERM)
        assert await up.exits(60) == 0, up.lines
    assert backup.stat().st_mode & 0o077 == 0
    keys = {path.name: path.read_bytes() for pattern in ("*.key", "*.keys") for path in before.glob(pattern)}
    assert {"node.key", "secret.keys"} <= keys.keys()

    assert f"restored {backup} to {after}" in await hum(after, "restore", str(backup))
    assert {name: (after / name).read_bytes() for name in keys} == keys
    assert (after / "recordings/2026/call.flac").read_bytes() == b"sound"
    async with Up.started(sockets(after)) as up:
        await up.is_up()
        listed = json.loads(await hum(after, "admin", "list-orgs"))["organizations"]
        assert [each["id"] for each in listed] == [first["id"]]
        up.process.send_signal(signal.SIGTERM)
        assert await up.exits(60) == 0, up.lines


async def test_a_dump_into_another_server_is_refused(postgres: str, database_url: str, open_home: Path) -> None:
    """Its readers of events would wait for transaction numbers that the other server will not have for months."""
    import asyncpg

    other = EmbeddedPostgres(open_home, settings=FAST_DATABASE)
    url = await other.start()
    await migrate(url)
    connection = await asyncpg.connect(database_url)
    now = await connection.fetchval("SELECT pg_current_xact_id()::text::bigint")
    await connection.execute("UPDATE event_cursors SET xid = $1::text::xid8", str(now))
    await connection.close()
    assert await migrate(database_url) == [], "its own numbers are not refused"
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE event_cursors SET xid = $1::text::xid8", str(now + 1_000_000))
    await connection.close()
    with pytest.raises(CannotMigrate, match=r"restore a physical backup instead \(docs/backup.md\)"):
        await migrate(url)
    await other.stop()
