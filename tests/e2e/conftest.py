"""The whole platform in one process: carrier, gateway, control, worker, media, model; all connected by real sockets."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from control import app as control
from control.flows.flowchecks import RENDER_CLIPS
from control.identity import usecases as identity
from gateway import app as gateway
from hum.process.sockets import free_port
from hum.settings import ControlSettings, GatewaySettings, MediaSettings
from media import app as media
from sandbox.openai import Model, Script, Settings
from sandbox.speech import Speech
from sandbox.twilio import Call, Carrier
from tests.support import endings
from tests.support.patient import PATIENT
from tests.support.waits import patience

ACCOUNT, TOKEN, KEY = "AC" + "1" * 32, "carrier-token", "sk-test"
NUMBER, CALLER = "+13175550100", "+13175550199"
FAST = Settings(
    latency_ms=60, transcription_delay_ms=40, eagerness_ms=dict.fromkeys(("low", "medium", "high", "auto"), 250)
)


@dataclass
class House:
    """The whole platform, and a client of the public API."""

    carrier: Carrier
    model: Model
    http: httpx.AsyncClient
    control: control.Control
    media: media.MediaPlane
    home: Path
    database_url: str
    flow: dict[str, Any] = field(default_factory=dict)

    async def answer_with(self, **fields: Any) -> None:
        """Let a new flow answer the number."""
        self.flow = (await self.http.post("/api/flows", json={"name": "F", **fields})).raise_for_status().json()
        made = await self.http.post("/api/numbers", json={"e164": NUMBER, "flow_id": self.flow["id"]})
        made.raise_for_status()

    async def ring(self, *steps: dict[str, Any], **options: Any) -> Call:
        return await self.carrier.ring(NUMBER, CALLER, list(steps), **options)

    async def record(self, *, summarized: bool = False) -> dict[str, Any]:
        """The call's record, once it is over (and summarized)."""
        async with patience():
            while True:
                (call,) = (await self.http.get("/api/calls")).json()["calls"]
                found: dict[str, Any] = (await self.http.get(f"/api/calls/{call['id']}")).json()
                if found["ended_at"] and (found["summary"] or not summarized):
                    return found
                await asyncio.sleep(0.03)

    async def call_that_is(self, status: str) -> dict[str, Any]:
        """The call, once it has this status: the media plane's reports arrive a tick later."""
        async with patience():
            while True:
                calls: list[dict[str, Any]] = (await self.http.get("/api/calls", params={"limit": 1})).json()["calls"]
                if calls and calls[0]["status"] == status:
                    return calls[0]
                await asyncio.sleep(0.01)

    async def clips_rendered(self) -> None:
        """Wait until every sentence of the flows is rendered."""
        async with patience():
            while True:
                async with self.control.db.system() as tx:
                    if not await tx.fetchval("SELECT count(*) FROM pgqueuer WHERE entrypoint = $1", RENDER_CLIPS.name):
                        return
                await asyncio.sleep(0.02)


def listen_settings(home: Path) -> dict[str, Any]:
    ports = {plane: free_port("127.0.0.1") for plane in ("control", "gateway", "media")}
    return {
        "home": home,
        "control_listen": f"127.0.0.1:{ports['control']}",
        "control_address": f"127.0.0.1:{ports['control']}",
        "gateway_listen": f"127.0.0.1:{ports['gateway']}",
        "media_listen": f"127.0.0.1:{ports['media']}",
        "public_url": f"http://127.0.0.1:{ports['gateway']}",
        "media_url": f"ws://127.0.0.1:{ports['media']}",
        "twilio_account_sid": ACCOUNT,
        "twilio_auth_token": TOKEN,
        "openai_api_key": KEY,
        "egress_allow": "127.0.0.0/8",
        "drain_seconds": 1.0,
        "linger_seconds": 0.0,
        "worker_idle_seconds": 0.05,
        "ingress_seconds": 60.0,
        "control_seconds": 60.0,
        **PATIENT,
    }


@pytest.fixture
def script() -> Script:
    """The model's script; tests override it."""
    return Script()


@pytest.fixture(scope="session")
def speech() -> Speech:
    return Speech()


@pytest.fixture
def media_settings() -> dict[str, Any]:
    """Settings of the media plane; tests override it."""
    return {}


@pytest.fixture
def shared_settings() -> dict[str, Any]:
    """Settings of all planes; tests override it."""
    return {}


@pytest.fixture
async def house(
    database_url: str,
    tmp_path: Path,
    script: Script,
    media_settings: dict[str, Any],
    shared_settings: dict[str, Any],
) -> AsyncIterator[House]:
    shared = {**listen_settings(tmp_path), **shared_settings}
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        model = await enter(Model.serve(api_key=KEY, script=script, settings=FAST))
        carrier = await enter(Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER], say_ms_per_char=0))
        shared |= {"openai_base_url": model.url, "twilio_api_base_url": carrier.url}
        plane = await enter(control.build(ControlSettings(**shared, tool_seconds=5), database_url))
        worker = await enter(control.build_worker(ControlSettings(**shared), database_url))
        stop = asyncio.Event()
        working = asyncio.create_task(worker.run(stop))
        await enter(gateway.serve(GatewaySettings(**{**shared, "heartbeat_seconds": 1.0})))
        voice = await enter(media.build(MediaSettings(**{**shared, **media_settings})))
        org = await identity.create_organization(plane.db, "Clinic", "owner@clinic.example")
        _, secret = await identity.issue_key(plane.db, org, "test", "admin", [])
        http = httpx.AsyncClient(
            # The server ends a connection that was idle for 5 s, and httpx, by itself, would use it again at that very moment.
            limits=httpx.Limits(keepalive_expiry=2),
            base_url=shared["public_url"],
            headers={"Authorization": f"Bearer {secret}"},
            trust_env=False,
        )
        await enter(http)
        yield House(carrier, model, http, plane, voice, tmp_path, database_url)
        stop.set()
        await working
        assert await endings.violations(database_url) == []
