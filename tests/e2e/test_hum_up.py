"""`hum up` as its operator has it: a program that is signalled, killed and replaced while callers talk.

Everything is a process; the carrier, which is here, says what its callers heard.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.banner import LAST
from control.identity import usecases as identity
from hum.process import home
from hum.process.processes import ProcessIdentity
from hum.settings import environment
from sandbox.openai import Model
from sandbox.signin import Issuer
from sandbox.twilio import Call, Carrier
from storage.db import Db
from tests.e2e.conftest import ACCOUNT, CALLER, FAST, KEY, NUMBER, TOKEN
from tests.e2e.platforms import free_sockets
from tests.support.homes import pids_in, postmaster_in, programs_in
from tests.support.patient import PATIENT
from tests.support.programs import variables
from tests.support.waits import patience, until

pytestmark = pytest.mark.chaos
GREETING = "Hello and welcome to the clinic. We are glad that you call."
#: A caller who hears the agent, listens for a while, and hangs up.
LISTENS = (
    {"do": "wait_for_agent_to_talk", "for_ms": 200, "timeout_ms": 20_000},
    {"do": "wait", "ms": 1_500},
)
#: A caller who is there until the test hangs up: a key now and then keeps the agent from asking.
STAYS = (LISTENS[0], *({"do": "wait", "ms": 4_000}, {"do": "press", "digits": "1"}) * 100)
CALLERS, STEADY = 16, 10


@dataclass
class Up:
    """A `hum up`."""

    process: asyncio.subprocess.Process
    home: Path
    lines: list[str]

    @classmethod
    @asynccontextmanager
    async def started(cls, settings: dict[str, str], *arguments: str) -> AsyncIterator["Up"]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "cli", "up", *arguments),
            env=variables(environment() | settings),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        up = cls(process, Path(settings["HUM_HOME"]), [])
        reading = asyncio.create_task(up._read())
        try:
            yield up
        finally:
            reading.cancel()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.lines.append(line.decode().rstrip("\n"))

    async def is_up(self) -> dict[str, Any]:
        """What `run.json` says, once it is up."""
        await until(lambda: LAST in self.lines or self.process.returncode is not None)
        assert self.process.returncode is None, self.lines
        return home.read_run(self.home)

    def pids(self, name: str) -> list[int]:
        """The processes of a program, the one that serves last."""
        return pids_in(self.home, name)

    def says(self, part: str) -> bool:
        return any(part in line for line in self.lines)

    async def exits(self, seconds: float) -> int:
        return await asyncio.wait_for(self.process.wait(), seconds)


def arguments_of(program: dict[str, Any]) -> bytes:
    """What `ps` shows to everybody."""
    return Path(f"/proc/{program['pid']}/cmdline").read_bytes()


@pytest.fixture
def programs_end(open_home: Path) -> Iterator[None]:
    """Nothing that a test left running outlives it, here or in a folder in here."""
    yield
    for at in (open_home, *(each for each in open_home.iterdir() if each.is_dir())):
        for each in programs_in(at):
            if ProcessIdentity(each["pid"], each["began_ticks"]).is_alive():
                os.kill(each["pid"], signal.SIGTERM)
                with suppress(ProcessLookupError):
                    os.kill(each["pid"], signal.SIGKILL)
        with suppress(FileNotFoundError, ProcessLookupError, ValueError):
            os.kill(postmaster_in(at), signal.SIGQUIT)


@dataclass
class House:
    """Where `hum up` finds everything, and who calls it."""

    settings: dict[str, str]
    carrier: Carrier
    http: httpx.AsyncClient

    async def answer_with_a_flow(self) -> None:
        flow = (await self.http.post("/api/flows", json={"name": "F", "greeting": GREETING})).raise_for_status().json()
        made = await self.http.post("/api/numbers", json={"e164": NUMBER, "flow_id": flow["id"]})
        made.raise_for_status()

    async def ring(self, steps: tuple[dict[str, Any], ...] = LISTENS) -> Call:
        return await self.carrier.ring(NUMBER, CALLER, steps)

    async def ring_for(self, seconds: float, count: int = CALLERS) -> list[Call]:
        calls = []
        for _ in range(count):
            calls.append(await self.ring())
            await asyncio.sleep(seconds / count)
        return calls

    async def steady(self, count: int = STEADY) -> list[Call]:
        """Calls that go on until they are hung up, once each hears the agent."""
        calls = [await self.ring(STAYS) for _ in range(count)]
        await asyncio.gather(*(heard(call) for call in calls))
        return calls

    async def records(self) -> list[dict[str, Any]]:
        answer = await self.http.get("/api/calls", params={"limit": 200})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["calls"]
        return found

    async def all_over(self, count: int) -> list[dict[str, Any]]:
        async with patience():
            while True:
                found = await self.records()
                if len(found) == count and all(each["ended_at"] for each in found):
                    return found
                await asyncio.sleep(0.1)


async def heard(call: Call) -> None:
    await asyncio.wait_for(call.journal.find("agent.audible"), 30)


def was_served(call: Call) -> list[str]:
    """What was wrong with what a caller heard; nothing, if one agent talked for as long as the caller stayed."""
    wrong = [f"error {code}: {message}" for code, message in call.errors]
    wrong += [f"heard {sentence!r}" for sentence in call.sentences]
    if [verb.name for verb in call.verbs] != ["Connect"]:
        wrong.append(f"was sent {[verb.name for verb in call.verbs]}")
    if not any(stream.playout.segments for stream in call.streams):
        wrong.append("heard nothing")
    if call.hung_up_by != "caller":
        wrong.append(f"was cut by {call.hung_up_by}")
    return wrong


@pytest.fixture
async def house(database_url: str, open_home: Path, programs_end: None) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        model = await enter(Model.serve(api_key=KEY, settings=FAST))
        carrier = await enter(Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER], say_ms_per_char=0))
        sockets = free_sockets(open_home)
        issuer = await enter(
            Issuer.serve(client_secret="s", redirect_uri=f"http://{sockets['HUM_GATEWAY_LISTEN']}/auth/callback")
        )
        db = await Db.open(database_url, size=2)
        org = await identity.create_organization(db, "Clinic", "o@clinic.example")
        _, secret = await identity.issue_key(db, org, "k", "admin", [])
        await db.close()
        http = await enter(
            httpx.AsyncClient(
                base_url=f"http://{sockets['HUM_GATEWAY_LISTEN']}",
                headers={"Authorization": f"Bearer {secret}"},
                trust_env=False,
                timeout=60,
            )
        )
        settings = {
            "HUM_DATABASE_URL": database_url,
            "HUM_OIDC_ISSUER": issuer.url,
            "HUM_OIDC_CLIENT_ID": "hum",
            "HUM_OIDC_CLIENT_SECRET": "s",
            "HUM_HOME": str(open_home),
            "vad_confirm": "0",
            "max_calls_per_caller": "1000",
            **PATIENT,
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_API_BASE_URL": carrier.url,
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": model.url,
            **sockets,
        }
        yield House(settings, carrier, http)


@pytest.mark.timeout(180)
async def test_a_plane_that_is_asked_to_stop_is_followed_by_another_and_no_caller_notices(house: House) -> None:
    async with Up.started(house.settings) as up:
        await up.is_up()
        await house.answer_with_a_flow()
        steady = await house.steady()
        before = {plane: up.pids(plane)[-1] for plane in ("media", "control", "gateway", "worker")}
        calls: list[Call] = []
        for plane, pid in before.items():
            ringing = asyncio.create_task(house.ring_for(3.0))
            await asyncio.sleep(1.0)
            os.kill(pid, signal.SIGTERM)
            calls += await ringing
            await until(partial(lambda plane, pid: up.pids(plane)[-1] != pid, plane, pid))
        await asyncio.gather(*(call.ended(60) for call in calls))
        assert {n: wrong for n, call in enumerate(calls) if (wrong := was_served(call))} == {}
        assert not any(call.is_over for call in steady), "who talks with the one that leaves goes on talking"
        assert ProcessIdentity.of(before["media"]) is not None

        ringing = asyncio.create_task(house.ring_for(8.0))
        up.process.send_signal(signal.SIGHUP)
        await until(lambda: up.says("every plane has a successor"))
        renewed = await ringing
        await asyncio.gather(*(call.ended(60) for call in renewed))
        assert {n: wrong for n, call in enumerate(renewed) if (wrong := was_served(call))} == {}
        calls += renewed

        for call in steady:
            call.hang_up()
        await asyncio.gather(*(call.ended(30) for call in steady))
        assert [wrong for call in steady if (wrong := was_served(call))] == []
        await until(lambda: not any(ProcessIdentity.of(pid) for pid in before.values()))
        records = await house.all_over(len(calls) + len(steady))
        assert {each["status"] for each in records} == {"completed"}
        up.process.send_signal(signal.SIGTERM)
        assert await up.exits(30) == 0, up.lines


@pytest.mark.timeout(180)
async def test_a_stop_waits_for_calls_and_says_for_how_many(house: House) -> None:
    async with Up.started(house.settings) as up:
        await up.is_up()
        await house.answer_with_a_flow()
        steady = await house.steady()
        up.process.send_signal(signal.SIGTERM)
        await until(lambda: up.says(f"waiting for {STEADY} calls to end, for up to 3600 s"))
        await asyncio.sleep(17)  # it was 15 s after which everything was killed
        assert not any(call.is_over for call in steady)
        steady.pop().hang_up()
        await until(lambda: up.says(f"waiting for {STEADY - 1} calls"))
        for call in steady:
            call.hang_up()
        assert await up.exits(30) == 0, up.lines
        assert [wrong for call in steady if (wrong := was_served(call))] == []
        assert not home.read_run(up.home)
        stopped = [line.split(" has stopped")[0].strip() for line in up.lines if " has stopped " in line]
        assert set(stopped[:2]) == {"media", "browser"} and set(stopped[2:4]) == {"gateway", "worker"}
        assert stopped[4:] == ["control"]


@pytest.mark.timeout(180)
async def test_when_the_drain_is_over_callers_hear_a_goodbye_and_at_a_second_signal_all_ends_at_once(
    house: House,
) -> None:
    loop = asyncio.get_running_loop()
    async with Up.started(house.settings | {"HUM_DRAIN_SECONDS": "1"}) as up:
        await up.is_up()
        await house.answer_with_a_flow()
        call = (await house.steady(1))[0]
        played = call.stream.playout.played_bytes
        up.process.send_signal(signal.SIGINT)
        await call.ended(40)
        assert call.stream.closed_by == "agent"
        assert call.stream.playout.played_bytes > played + 8_000, "a goodbye of more than a second"
        assert await up.exits(30) == 0
    async with Up.started(house.settings) as up:
        await up.is_up()
        steady = await house.steady()
        up.process.send_signal(signal.SIGINT)
        await until(lambda: up.says(f"waiting for {STEADY} calls"))
        up.process.send_signal(signal.SIGINT)
        began = loop.time()
        await asyncio.gather(*(call.ended(10) for call in steady))
        assert await up.exits(15) == 0, up.lines
        assert loop.time() - began < 12
        assert {call.stream.closed_by for call in steady} == {"agent"}, "each got its close frame"
    async with Up.started(house.settings) as up:
        await up.is_up()
        records = await house.all_over(1 + STEADY)
        assert {each["end_reason"] for each in records} == {"drained"}, "none is left in progress"


@pytest.mark.timeout(180)
async def test_what_a_killed_hum_up_left_is_taken_over_and_no_call_is_cut(house: House) -> None:
    async with Up.started(house.settings) as first:
        await first.is_up()
        await house.answer_with_a_flow()
        steady = await house.steady()
        async with Up.started(house.settings) as second:
            assert await second.exits(20) == 2
            assert second.says(f"process {first.process.pid}, since 20")
            assert second.says(house.settings["HUM_GATEWAY_LISTEN"])
        before = {plane: first.pids(plane) for plane in ("media", "control", "gateway", "worker")}
        first.process.kill()
        await first.process.wait()
        calls = await house.ring_for(1.0)
        async with Up.started(house.settings) as second:
            ringing = asyncio.create_task(house.ring_for(8.0))
            await second.is_up()
            calls += await ringing
            await asyncio.gather(*(call.ended(60) for call in calls))
            assert {n: wrong for n, call in enumerate(calls) if (wrong := was_served(call))} == {}
            await until(lambda: not any(ProcessIdentity.of(pid) for name, (pid,) in before.items() if name != "media"))
            assert not any(call.is_over for call in steady)

            ringing = asyncio.create_task(house.ring_for(10.0))
            async with Up.started(house.settings, "--replace") as third:
                await third.is_up()
                assert await second.exits(10) == 0
                assert second.says("another `hum up` has taken over")
                calls = await ringing
                await asyncio.gather(*(call.ended(60) for call in calls))
                assert {n: wrong for n, call in enumerate(calls) if (wrong := was_served(call))} == {}
                for call in steady:
                    call.hang_up()
                await asyncio.gather(*(call.ended(30) for call in steady))
                assert [wrong for call in steady if (wrong := was_served(call))] == []
                await until(lambda: all(len(third.pids(plane)) == 1 for plane in before))
                third.process.send_signal(signal.SIGTERM)
                assert await third.exits(30) == 0, third.lines


@pytest.mark.timeout(180)
async def test_after_a_kill_of_everything_it_starts_again_at_once(open_home: Path, programs_end: None) -> None:
    settings = {"HUM_HOME": str(open_home), "HUM_DRAIN_SECONDS": "1", **free_sockets(open_home)}
    async with Up.started(settings) as up:
        run = await up.is_up()
        secrets = json.loads((open_home / "sandbox.keys").read_text())
        assert run["twilio_auth_token"] == secrets["TWILIO_AUTH_TOKEN"]
        found = programs_in(open_home)
        seen = b"".join(map(arguments_of, found))
        assert b"sandbox.twilio" in seen
        hidden = [value for name, value in secrets.items() if name != "TWILIO_ACCOUNT_SID"]
        assert [value for value in hidden if value.encode() in seen] == []
        postmaster = postmaster_in(open_home)
        for pid in (up.process.pid, postmaster, *(each["pid"] for each in found)):
            os.kill(pid, signal.SIGKILL)
    async with Up.started(settings) as up:
        again = await up.is_up()
        assert again["database_url"] == run["database_url"]
        async with httpx.AsyncClient(base_url=again["gateway_url"], trust_env=False) as http:
            assert (await http.get("/readyz")).status_code == 200
        up.process.send_signal(signal.SIGTERM)
        assert await up.exits(12) == 0, up.lines  # `test_stopping.py` has the figure
        assert up.says("stopping; no call is open")
        stopped = {line.split(" has stopped")[0].strip() for line in up.lines if " has stopped " in line}
        assert stopped >= {"media", "browser", "gateway", "worker", "control"}
