"""Gateway, control and worker, each a process of its own, as an operator runs them; and tenants whose numbers are called."""

import asyncio
import os
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from control.identity import usecases as identity
from hum import ids
from hum.process.sockets import free_port
from sandbox.twilio import sign
from storage.db import Db
from tests.support.bystanders import short_call
from tests.support.programs import variables
from tests.support.waits import patience

TOKEN, ACCOUNT = "carrier-token", "AC" + "1" * 32
NUMBER = "+13175550100"


@dataclass
class Deployment:
    """Gateway, control and worker, each a process of its own; and a tenant whose number is called."""

    url: str
    #: The gateway's.
    metrics_url: str
    db: Db
    environment: dict[str, str]
    running: dict[str, Process] = field(default_factory=dict)

    async def start(self, *command: str, **more: str) -> None:
        with Path(self.environment["HUM_HOME"], f"{command[-1]}.log").open("wb") as log:  # noqa: ASYNC230
            made = await asyncio.create_subprocess_exec(
                sys.executable, "-m", *command, env=variables(self.environment | more), stdout=log, stderr=log
            )
        self.running[command[-1]] = made

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

    async def short_call(self, http: httpx.AsyncClient, caller: str) -> float:
        """Call, and hang up; return the seconds until the agent was connected."""
        return await short_call(http, self.url, ACCOUNT, TOKEN, NUMBER, caller)


@asynccontextmanager
async def deployed(database_url: str, home: Path, **settings: str) -> AsyncIterator[Deployment]:
    control, gateway, metrics = (f"127.0.0.1:{free_port('127.0.0.1')}" for _ in range(3))
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
        made = Deployment(f"http://{gateway}", f"http://{metrics}", db, environment)
        try:
            await made.start("control.app", "control")
            await made.start("control.app", "worker")
            await made.start("gateway.app", HUM_METRICS_LISTEN=metrics)
            await made.ready()
            yield made
        finally:
            for process in made.running.values():
                if process.returncode is None:
                    process.terminate()
            await asyncio.gather(*(process.wait() for process in made.running.values()))
