"""One organization does not take another's calls: programs as an operator runs them, attacked from outside."""

import asyncio
import math
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from control.contacts import csvfiles
from control.identity import usecases as identity
from hum import ids
from hum.process.sockets import free_port
from sandbox.twilio import sign
from storage.db import Db
from tests.support.programs import variables
from tests.support.waits import patience

TOKEN, ACCOUNT = "carrier-token", "AC" + "1" * 32
NUMBER = "+13175550100"
IMPORTS, ROWS = 10, 10_000
P99_MS = 250.0
#: On a machine whose cores are busy with other things: so many times what it is without imports.
SLOWER = 10


@dataclass
class Deployment:
    """Gateway, control and worker, each a process of its own; and a tenant whose number is called."""

    url: str
    db: Db
    environment: dict[str, str]
    running: list[Process] = field(default_factory=list)

    async def start(self, *command: str) -> None:
        with Path(self.environment["HUM_HOME"], f"{command[-1]}.log").open("wb") as log:  # noqa: ASYNC230
            made = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *command, env=variables(self.environment), stdout=log, stderr=log
            )
        self.running.append(made)

    async def ready(self) -> None:
        async with patience(), httpx.AsyncClient(base_url=self.url, trust_env=False) as http:
            while True:
                try:
                    if (await http.get("/readyz")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)

    async def tenant(self, name: str) -> tuple[UUID, dict[str, str]]:
        """A new organization, and the headers of its key."""
        org = await identity.create_organization(self.db, name, f"owner@{name.lower()}.example")
        _, secret = await identity.issue_key(self.db, org, "test", "admin", [])
        return org, {"Authorization": f"Bearer {secret}"}

    async def number(self, org: UUID, headers: dict[str, str], e164: str = NUMBER, **flow: Any) -> None:
        """A number of the organization, answered by a flow."""
        async with httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False) as http:
            made = await http.post("/api/flows", json={"name": "F", "greeting": "Hi", **flow})
            assert made.status_code == 201, made.text
        async with self.db.system() as tx:
            await tx.execute(
                """INSERT INTO numbers (id, org_id, e164, carrier_sid, friendly_name, capabilities, status, flow_id)
                   SELECT $1, $2, $3, $4, $3, '{voice}', 'active', id FROM flows WHERE org_id = $2 LIMIT 1""",
                ids.new(),
                org,
                e164,
                f"PN{e164}",
            )

    async def ring(self, http: httpx.AsyncClient, caller: str, call_sid: str, number: str = NUMBER) -> str:
        """The TwiML that a call is answered with."""
        form = {"CallSid": call_sid, "AccountSid": ACCOUNT, "From": caller, "To": number, "CallStatus": "ringing"}
        signature = sign(TOKEN, f"{self.url}/twilio/voice", list(form.items()))
        answer = await http.post(
            f"{self.url}/twilio/voice", data=form, headers={"X-Twilio-Signature": signature}, timeout=30
        )
        assert answer.status_code == 200, answer.text
        return answer.text


@asynccontextmanager
async def deployed(database_url: str, home: Path, **settings: str) -> AsyncIterator[Deployment]:
    control, gateway = (f"127.0.0.1:{free_port('127.0.0.1')}" for _ in range(2))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("HUM_", "TWILIO_", "OPENAI_"))},
        "HUM_HOME": str(home),
        "HUM_DATABASE_URL": database_url,
        "HUM_CONTROL_LISTEN": control,
        "HUM_CONTROL_ADDRESS": control,
        "HUM_GATEWAY_LISTEN": gateway,
        "HUM_PUBLIC_URL": f"http://{gateway}",
        "HUM_MEDIA_URL": "ws://127.0.0.1:1",
        "HUM_NODE_KEY": "neighbours-neighbours-neighbours-neighbours",
        "lookup_days": "0",
        "HUM_DRAIN_SECONDS": "0",
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_API_BASE_URL": "http://127.0.0.1:1",
        "OPENAI_BASE_URL": "http://127.0.0.1:1",
        **settings,
    }
    async with AsyncExitStack() as stack:
        db = await Db.open(database_url, size=4)
        stack.push_async_callback(db.close)
        made = Deployment(f"http://{gateway}", db, environment)
        try:
            await made.start("control.app", "control")
            await made.start("control.app", "worker")
            await made.start("gateway.app")
            await made.ready()
            yield made
        finally:
            for process in made.running:
                if process.returncode is None:
                    process.terminate()
            await asyncio.gather(*(process.wait() for process in made.running))


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[math.ceil(share * len(values)) - 1]


async def calls_for(deployment: Deployment, seconds: float) -> list[float]:
    took_ms, stop = list[float](), asyncio.Event()
    calls = asyncio.create_task(listen(deployment, stop, took_ms))
    await asyncio.sleep(seconds)
    stop.set()
    await calls
    return took_ms


async def listen(deployment: Deployment, stop: asyncio.Event, took_ms: list[float]) -> None:
    """Somebody else's callers, ten a second, each from a number of its own; a call that is answered is hung up."""
    async with httpx.AsyncClient(trust_env=False) as http:
        ringing = set[asyncio.Task[None]]()
        while not stop.is_set():
            ringing.add(asyncio.create_task(_one_call(deployment, http, len(took_ms) + len(ringing), took_ms)))
            await asyncio.sleep(0.1)
        await asyncio.gather(*ringing)


async def _one_call(deployment: Deployment, http: httpx.AsyncClient, number: int, took_ms: list[float]) -> None:
    call_sid, began = f"CA{ids.new().hex}", time.monotonic()
    twiml = await deployment.ring(http, f"+1317777{number % 10_000:04d}", call_sid)
    took_ms.append((time.monotonic() - began) * 1000)
    assert "<Connect" in twiml, twiml
    form = {"CallSid": call_sid, "CallStatus": "completed", "AccountSid": ACCOUNT, "To": NUMBER}
    signature = sign(TOKEN, f"{deployment.url}/twilio/voice/status", list(form.items()))
    await http.post(
        f"{deployment.url}/twilio/voice/status", data=form, headers={"X-Twilio-Signature": signature}, timeout=30
    )


def people(batch: int) -> bytes:
    rows = [
        (
            f"+1{2_020_000_000 + batch * ROWS + n}",
            f"Ann Number {n}",
            f"ann{n}@clinic.example",
            f"Company {n % 97}",
            "vip;new",
        )
        for n in range(ROWS)
    ]
    return csvfiles.write([("phone", "name", "email", "company", "tags"), *rows])


@pytest.mark.strain
async def test_ten_imports_of_ten_thousand_rows_are_not_heard_by_others(database_url: str, open_home: Path) -> None:
    async with deployed(database_url, open_home) as deployment:
        quiet, quiet_key = await deployment.tenant("Quiet")
        await deployment.number(quiet, quiet_key)
        tenants = [await deployment.tenant(f"Noisy{n}") for n in range(IMPORTS // 2)]
        files = [people(n) for n in range(IMPORTS)]
        alone_ms = await calls_for(deployment, 5)
        took_ms, stop = list[float](), asyncio.Event()
        calls = asyncio.create_task(listen(deployment, stop, took_ms))
        async with httpx.AsyncClient(base_url=deployment.url, trust_env=False, timeout=60) as http:

            def send(number: int) -> str:
                """In a thread, or the callers here would wait for it."""
                headers = {**tenants[number // 2][1], "Content-Type": "text/csv"}
                with httpx.Client(base_url=deployment.url, trust_env=False, timeout=60) as sender:
                    answer = sender.post("/api/contacts/import", content=files[number], headers=headers)
                assert answer.status_code == 202, answer.text
                return str(answer.json()["id"])

            sent = await asyncio.gather(*(asyncio.to_thread(send, number) for number in range(IMPORTS)))
            began, rows = time.monotonic(), 0
            done: list[dict[str, Any]] = []
            # A busy machine imports slowly: what others hear is measured while a good part of the rows comes.
            while len(done) < IMPORTS and time.monotonic() - began < (25 if rows > ROWS / 5 else 180):
                await asyncio.sleep(1)
                answers = [
                    (await http.get(f"/api/contacts/imports/{id}", headers=tenants[n // 2][1])).json()
                    for n, id in enumerate(sent)
                ]
                done = [each for each in answers if each["ended_at"]]
                rows = sum(each["created"] for each in answers)
        stop.set()
        await calls
        deployment.running[1].kill()  # the worker
        alone_ms += await calls_for(deployment, 5)
        before_ms, p99_ms = percentile(alone_ms, 0.99), percentile(took_ms, 0.99)
        print(  # noqa: T201 - what a run with `-s` is for
            f"p99 {before_ms:.0f} ms alone; {len(took_ms)} calls beside {rows} rows: "
            f"p50 {percentile(took_ms, 0.5):.0f} ms, p99 {p99_ms:.0f} ms, worst {max(took_ms):.0f} ms"
        )
        assert rows > ROWS / 5, "the imports went on meanwhile"
        assert all(each["status"] == "completed" and each["created"] == ROWS for each in done)
        assert p99_ms <= max(P99_MS, SLOWER * before_ms)


@pytest.mark.strain
async def test_one_caller_and_one_organization_take_only_their_share(database_url: str, open_home: Path) -> None:
    """320 calls at once from one number: all but ten hear a sentence, their records say why, and others get through."""
    caps = {"max_calls_per_caller": "10", "HUM_MAX_CALLS_PER_ORGANIZATION": "40"}
    async with deployed(database_url, open_home, **caps) as deployment:
        flooded, key = await deployment.tenant("Flooded")
        await deployment.number(flooded, key, language="de-DE")
        other, other_key = await deployment.tenant("Other")
        await deployment.number(other, other_key, "+13175550101")
        async with httpx.AsyncClient(trust_env=False, limits=httpx.Limits(max_connections=64)) as http:
            answers = await asyncio.gather(
                *(deployment.ring(http, "+13175550199", f"CA{ids.new().hex}") for _ in range(320))
            )
            connected = [each for each in answers if "<Connect" in each]
            refused = [each for each in answers if "<Connect" not in each]
            assert len(connected) == 10
            assert all('language="de-DE"' in each and "alle unsere Leitungen belegt" in each for each in refused)
            assert "<Connect" in await deployment.ring(http, "+13175550198", "CA2"), "another caller gets through"
            withheld = [await deployment.ring(http, "anonymous", f"CA{ids.new().hex}") for _ in range(60)]
            assert sum("<Connect" in each for each in withheld) == 40 // 2, "withheld numbers share half of the calls"
            strangers = [await deployment.ring(http, f"+1317555{8000 + n}", f"CA{ids.new().hex}") for n in range(20)]
            assert sum("<Connect" in each for each in strangers) == 40 - 10 - 1 - 20, "and others have the rest"
            assert "<Connect" in await deployment.ring(http, "+13175550199", "CA3", "+13175550101")
            calls = (
                await http.get(f"{deployment.url}/api/calls", headers=key, params={"status": "busy", "limit": 200})
            ).json()["calls"]
        reasons = {each["end_reason"] for each in calls}
        assert reasons == {"calls_of_caller", "calls_of_organization"}
