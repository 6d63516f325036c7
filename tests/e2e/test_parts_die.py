"""Parts of a running platform are killed while callers ring and talk: nobody is left in silence, no call stays open."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.platform import Platform
from control.calls.prompts import CallerPrompt, localized
from control.identity import usecases as identity
from sandbox.openai import Model
from sandbox.signin import Issuer
from sandbox.twilio import Call, Carrier, Person, farend
from storage.db import Db
from tests.e2e.conftest import ACCOUNT, CALLER, KEY, NUMBER, TOKEN
from tests.e2e.test_platform import free_sockets, started
from tests.support.patient import PATIENT
from tests.support.waits import patience

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]
DESK, DOCTOR = "+13175550142", "+13175550143"
STAY: dict[str, Any] = {"do": "wait", "ms": 120_000}


class Deployment:
    """A whole platform between a carrier and a model, and a client of its API."""

    def __init__(self, platform: Platform, carrier: Carrier, model: Model, http: httpx.AsyncClient) -> None:
        self.platform, self.carrier, self.model, self.http = platform, carrier, model, http

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
        return list(answer.json()["calls"]) if answer.status_code == 200 else []

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


@pytest.fixture
def more() -> dict[str, str]:
    """Settings of a test's own."""
    return {}


@pytest.fixture
async def deployment(
    monkeypatch: pytest.MonkeyPatch, database_url: str, open_home: Path, more: dict[str, str]
) -> AsyncIterator[Deployment]:
    async with AsyncExitStack() as stack:
        model = await stack.enter_async_context(Model.serve(api_key=KEY))
        carrier = await stack.enter_async_context(
            Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER], say_ms_per_char=1)
        )
        sockets = free_sockets(open_home)
        back = f"http://{sockets['HUM_GATEWAY_LISTEN']}/auth/callback"
        issuer = await stack.enter_async_context(Issuer.serve(client_secret="s", redirect_uri=back))
        settings = {
            "HUM_DATABASE_URL": database_url,
            "HUM_OIDC_ISSUER": issuer.url,
            "HUM_OIDC_CLIENT_ID": "hum",
            "HUM_OIDC_CLIENT_SECRET": "s",
            "HUM_HOME": str(open_home),
            "HUM_DRAIN_SECONDS": "1",
            "HUM_MEDIA_WORKERS": "1",  # which is killed
            **PATIENT,
            "sweep_seconds": "1",
            "link_silent_seconds": "6",
            "link_lost_seconds": "10",
            "room_seconds": "3",
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_API_BASE_URL": carrier.url,
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": model.url,
            **sockets,
            **more,
        }
        async with started(monkeypatch, settings) as platform:
            db = await Db.open(database_url, size=2)
            org = await identity.create_organization(db, "Clinic", "o@clinic.example")
            _, secret = await identity.issue_key(db, org, "k", "admin", [])
            await db.close()
            headers = {"Authorization": f"Bearer {secret}"}
            http = httpx.AsyncClient(
                base_url=platform.where["gateway_url"], headers=headers, trust_env=False, timeout=20
            )
            await stack.enter_async_context(http)
            flow = (await http.post("/api/flows", json={"name": "F", "greeting": "Hello.", "language": "de"})).json()
            assert (await http.post("/api/numbers", json={"e164": NUMBER, "flow_id": flow["id"]})).status_code == 201
            yield Deployment(platform, carrier, model, http)


@pytest.mark.timeout(600)
async def test_no_call_stays_open_whatever_dies_and_whoever_is_silent(deployment: Deployment) -> None:
    """The carrier sends no status, as when its tries met a gateway that was dead."""
    deployment.carrier.number(NUMBER).configure({"status_callback": ""})

    # The media process dies, and the caller hangs up at this moment.
    call = await deployment.talking()
    deployment.kill("media")
    call.hang_up()
    (first,) = await deployment.all_over(90)
    assert (first["status"], first["end_reason"]) == ("completed", "stream_lost")

    # Everything dies in a call.
    call = await deployment.talking()
    deployment.kill("media", "gateway", "control", "worker")
    call.hang_up()
    second, _ = await deployment.until(lambda found: len(found) == 2 and bool(found[0]["ended_at"]), 120)
    assert (second["status"], second["end_reason"]) == ("completed", "stream_lost")

    # The caller hangs up between the answer and the stream, and control dies.
    await deployment.until(lambda _: True, 20)
    deployment.kill("media", with_signal=signal.SIGSTOP)
    call = await deployment.ring()
    await call.journal.find("webhook.answered")
    call.hang_up()
    deployment.kill("control")
    deployment.kill("media", with_signal=signal.SIGCONT)
    third, *_ = await deployment.until(lambda found: len(found) == 3 and bool(found[0]["ended_at"]), 120)
    assert (third["status"], third["end_reason"]) == ("canceled", "caller")

    over = await deployment.http.post(f"/api/calls/{third['id']}/hangup")
    assert (over.status_code, over.json()["error"]["code"]) == (409, "invalid_state")
    (number,) = (await deployment.http.get("/api/numbers")).json()["numbers"]
    assert (await deployment.http.delete(f"/api/numbers/{number['id']}")).status_code == 204, "no call is on it"


def _is_heard_again(call: Call) -> bool:
    """Whether the agent is heard on a second stream, which the call has joined then."""
    names = [each["event"] for each in call.journal.events if each["event"] in {"stream.started", "agent.audio"}]
    starts = [place for place, name in enumerate(names) if name == "stream.started"]
    return len(starts) > 1 and "agent.audio" in names[starts[1] :]


async def test_a_media_process_that_dies_is_followed_at_once(deployment: Deployment) -> None:
    call = await deployment.talking()
    deployment.kill("media")
    killed_at = time.monotonic()
    async with patience():
        while len(call.verbs) < 2:
            await asyncio.sleep(0.01)
    took_seconds = time.monotonic() - killed_at
    assert [verb.name for verb in call.verbs] == ["Connect", "Connect"]
    assert took_seconds < 15, "as long as its program takes to come back, on a busy machine"
    async with patience():
        while not _is_heard_again(call):
            await asyncio.sleep(0.05)
    call.hang_up()
    (record,) = await deployment.all_over()
    assert record["status"] == "completed"


async def test_the_keys_of_an_entry_outlive_the_media_process_that_it_began_in(deployment: Deployment) -> None:
    typed = "0123456789" * 4
    listen = {"do": "wait_for_agent_to_finish", "quiet_ms": 300, "timeout_ms": 60_000}
    call = await deployment.carrier.ring(NUMBER, CALLER, [listen, {"do": "press", "digits": typed}, STAY])

    async def entries() -> list[str]:
        rows = await deployment.calls()
        answer = await deployment.http.get(f"/api/calls/{rows[0]['id']}") if rows else None
        return [entry["keys"] for entry in answer.json()["keypad_entries"]] if answer is not None else []

    def told() -> str:
        return str(
            [each for session in deployment.model.sessions for each in session.received("conversation.item.create")]
        )

    async with patience():
        while not (known := await entries()):
            await asyncio.sleep(0.05)
        deployment.kill("media")
        assert len(known[0]) < len(typed), "the caller is still typing"
        while not _is_heard_again(call) or known[0] not in told():
            await asyncio.sleep(0.05)
    call.hang_up()
    await deployment.all_over()
    assert (await entries())[0].startswith(known[0])


class TestRestart:
    @pytest.fixture
    def more(self) -> dict[str, str]:
        """A program that starts on a busy machine may take longer than the carrier waits for one attempt."""
        return {"ingress_seconds": "15"}

    async def test_callers_are_answered_while_control_restarts(self, deployment: Deployment) -> None:
        deployment.kill("control")
        callers = [await deployment.ring() for _ in range(8)]
        for caller in callers:
            assert (await caller.journal.find("twiml.verb"))["verb"] == "Connect"
            caller.hang_up()
        assert len(await deployment.all_over()) == 8


class TestFull:
    @pytest.fixture
    def more(self) -> dict[str, str]:
        return {"HUM_MAX_CALLS": "1", "room_seconds": "1"}

    async def test_a_caller_for_whom_there_is_no_room_hears_so_and_has_a_record(self, deployment: Deployment) -> None:
        first = await deployment.talking()
        await asyncio.sleep(1)  # control is told within a quarter of a second
        second = await deployment.ring()
        await second.ended()
        assert [verb.name for verb in second.verbs] == ["Say", "Hangup"]
        assert second.sentences == [localized(CallerPrompt.BUSY, "de")[0]]
        refused, _ = await deployment.calls()
        assert (refused["status"], refused["end_reason"]) == ("failed", "no_capacity")
        first.hang_up()
        await deployment.all_over()


class TestTransfer:
    """The call is in a dial: no media process has it, and each step is a question to whichever control is there."""

    @pytest.fixture
    def more(self) -> dict[str, str]:
        return {"ingress_seconds": "20"}

    @pytest.mark.timeout(400)
    async def test_every_part_dies_while_it_rings_and_while_they_talk(self, deployment: Deployment) -> None:
        call = await deployment.talking()
        (live,) = await deployment.calls()
        deployment.carrier.set_people(DESK, Person(ring_ms=600_000))
        answer = await deployment.http.post(f"/api/calls/{live['id']}/take-over", json={"to": DESK})
        assert answer.status_code == 200, answer.text
        await deployment.in_transfer(live["id"], "ringing")
        deployment.kill("media", "control", "worker")

        # It rings on; somebody else is rung instead by a control that knows of it from the database alone.
        await deployment.until(lambda _: True, 40)
        deployment.carrier.set_people(DOCTOR, farend.presses("1", after_ms=200, ring_ms=200))
        wish = {"to": DOCTOR, "accept_key": True}
        async with patience():
            while (await deployment.http.post(f"/api/calls/{live['id']}/transfer", json=wish)).status_code != 200:
                await asyncio.sleep(0.2)
        await call.journal.find("bridged")
        await deployment.in_transfer(live["id"], "connected")

        # They talk on, whatever dies, and longer than a lost call is kept.
        deployment.kill("media", "control", "worker")
        await deployment.until(lambda _: True, 40)
        await asyncio.sleep(12)  # link_lost_seconds is 10
        (still,) = await deployment.calls()
        assert (still["status"], call.is_over) == ("in_progress", False)
        deployment.kill("control")
        deployment.carrier.calls_to(DOCTOR)[-1].hang_up("caller")
        await call.ended()
        (record,) = await deployment.all_over()
        assert (record["status"], record["end_reason"]) == ("completed", "transferred")
        found = (await deployment.http.get(f"/api/calls/{live['id']}")).json()["transfers"]
        assert [each["state"] for each in found] == ["canceled", "completed"]
        assert [verb.name for verb in call.verbs] == ["Connect", "Dial", "Dial", "Hangup"]
