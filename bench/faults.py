"""The command `python -m bench.faults`: disturbs the programs of a running `hum up` in turn while callers talk and others ring.

The carrier and the model are stand-ins in this process.  Some callers stay for the whole run and press a key now and then; others
ring while a fault lasts and for a while longer, hear the agent, and hang up.  A caller who hears no agent was refused; a fault is
over when no caller is refused any more.  After each fault the record of each call is compared with what its caller heard and
pressed.
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvloop

from bench.faults_truth import Turns, has_true_end, is_served
from cli.banner import LAST
from hum.process import home
from hum.process.processes import ProcessIdentity
from hum.process.sockets import free_port
from hum.settings import environment
from sandbox.openai import Model
from sandbox.twilio import Call, Carrier
from sandbox.twilio import Fault as CarrierFault
from sandbox.twilio.faults import On
from tests.support import programs
from tests.support.homes import pids_in, postmaster_in
from tests.support.processes import family, stopped
from tests.support.waits import until

ACCOUNT, TOKEN, KEY, NUMBER = "AC" + "1" * 32, "carrier-token", "sk-test", "+13175550100"
UP_SECONDS, SETTLE_SECONDS, HEARD_SECONDS, ENDED_SECONDS = 180.0, 5.0, 30.0, 90.0
#: How long records may lack what happened before they count as wrong.
RECORDED_SECONDS = 40.0
KEY_SECONDS = 6
#: The carrier's API for calls, and how often its requests fail while they do.
CALLS_API: tuple[On, ...] = ("create", "update", "fetch", "list")
EVER = 1 << 30
HEARS: dict[str, Any] = {"do": "wait_for_agent_to_talk", "for_ms": 200, "timeout_ms": 20_000}
RINGS = (HEARS, {"do": "wait", "ms": 1_000})
STAYS = (
    HEARS,
    *(
        step
        for number in range(400)
        for step in ({"do": "wait", "ms": KEY_SECONDS * 1000}, {"do": "press", "digits": str(number % 10)})
    ),
)


# --- faults -----------------------------------------------------------------------------------------------------------


class Up:
    """A running `hum up`, and the processes of its programs; none while a program has no process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def program(self, name: str) -> Iterable[int]:
        """Return the process of a program that serves; its supervisor, if it has several."""
        return pids_in(self._folder, name)[-1:]

    def worker(self, plane: str) -> Iterable[int]:
        """Return one worker of a plane that has several."""
        (path, *_) = sorted(self._folder.glob(f"workers-{plane}-*.json"), key=lambda path: -path.stat().st_mtime)
        return [int(worker["pid"]) for worker in home.read_facts(self._folder, path.name)["workers"][:1]]

    def postgres(self) -> Iterable[int]:
        """Return PostgreSQL's processes, the one that starts the others first."""
        return family(postmaster_in(self._folder))


@dataclass(frozen=True, slots=True)
class Platform:
    """What faults act on: a running `hum up`, and its carrier."""

    up: Up
    carrier: Carrier


Find = Callable[[Up], Iterable[int]]
Act = Callable[[Platform, float], Awaitable[None]]
"""Disturbs the platform for so many seconds, and returns when that is over."""


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    act: Act
    seconds: float = 0.0


def killed(find: Find, times: int = 1) -> Act:
    """Kill a process and those that follow it, farther and farther apart, as the supervisor's back-off grows."""

    async def act(platform: Platform, seconds: float) -> None:
        begun, dead = time.monotonic(), set[int]()

        def living() -> int | None:
            return next((pid for pid in find(platform.up) if pid not in dead and ProcessIdentity.of(pid)), None)

        for number in range(times):
            due = begun + seconds * (number / max(1, times - 1)) ** 2
            await asyncio.sleep(due - time.monotonic())
            pid = await until(living)
            os.kill(pid, signal.SIGKILL)
            dead.add(pid)

    return act


def standing(find: Find) -> Act:
    """Stop processes (SIGSTOP), and let them go on."""

    async def act(platform: Platform, seconds: float) -> None:
        with stopped(find(platform.up)):
            await asyncio.sleep(seconds)

    return act


async def carrier_fails(platform: Platform, seconds: float) -> None:
    """Answer one half of all requests about calls with 503, and the other half not at all."""
    for on in CALLS_API:
        platform.carrier.inject_faults(
            CarrierFault(on, "hang", stage="before", share=0.5, times=EVER),
            CarrierFault(on, "error", stage="before", times=EVER),
        )
    await asyncio.sleep(seconds)
    platform.carrier.exchange.faults.pending.clear()


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("worker", killed(lambda up: up.program("worker"))),
        Fault("control", killed(lambda up: up.program("control"))),
        Fault("media, one of two", killed(lambda up: up.worker("media"))),
        Fault("gateway, one of two", killed(lambda up: up.worker("gateway"))),
        Fault("supervisor of media", killed(lambda up: up.program("media"))),
        Fault("supervisor of gateway", killed(lambda up: up.program("gateway"))),
        Fault("PostgreSQL (embedded)", killed(lambda up: list(up.postgres())[:1])),
        Fault("worker, six times", killed(lambda up: up.program("worker"), times=6), 4),
        Fault("control, six times", killed(lambda up: up.program("control"), times=6), 34),
        Fault("control, stopped", standing(lambda up: up.program("control")), 20),
        Fault("PostgreSQL, stopped", standing(Up.postgres), 20),
        Fault("carrier's API, failing", carrier_fails, 60),
    )
}


# --- callers and records ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """Effects of one fault on callers.  `normal_seconds`: from the fault to the last ring without an agent's answer."""

    fault: str
    seconds: float
    rang: int
    refused: int
    #: Of the refused, those who heard a sentence.
    apologies: int
    cut: int
    #: Records with another status or reason than the call's, and calls without a record.
    wrong: int
    turns_lost: int
    turns_doubled: int
    normal_seconds: float


class Callers:
    """Those who stay, those who ring, and the records of both; each caller has a number."""

    def __init__(self, carrier: Carrier, http: httpx.AsyncClient) -> None:
        self.steady = list[Call]()
        self._carrier, self._http, self._rang = carrier, http, 0
        #: Of those who stay: the ids of their records, in the same order.
        self._ids = list[str]()

    async def begin(self, count: int) -> None:
        """Let callers ring who stay."""
        since = datetime.now(UTC)
        for number in range(count):
            self.steady.append(await self._carrier.ring(NUMBER, f"+1415555{number:04d}", STAYS))
            await asyncio.sleep(0.2)
        for call in self.steady:
            await asyncio.wait_for(call.journal.find("agent.audible"), HEARD_SECONDS)
        records = await self.records(self.steady, since, ended=False)
        self._ids = [records[call.from_]["id"] for call in self.steady]

    async def ring(self, per_second: float, over: asyncio.Event) -> list[tuple[float, Call]]:
        """Let others ring until `over` is set; return when each did."""
        rang = list[tuple[float, Call]]()
        while not over.is_set():
            self._rang += 1
            rang.append((time.monotonic(), await self._carrier.ring(NUMBER, f"+1317556{self._rang:04d}", RINGS)))
            await asyncio.sleep(1 / per_second)
        return rang

    async def records(self, calls: Sequence[Call], since: datetime, *, ended: bool = True) -> dict[str, dict[str, Any]]:
        """Return the records of these calls by their callers, once all are there (and ended), or what there is in time."""
        callers, records = {call.from_ for call in calls}, dict[str, dict[str, Any]]()

        async def complete() -> bool:
            listed = await self._all("/api/calls", "calls", {"from": since.isoformat()})
            records.update({call["from"]: call for call in listed if call["from"] in callers})
            return len(records) == len(callers) and (not ended or all(call["ended_at"] for call in records.values()))

        with suppress(TimeoutError):
            await until(complete, every_s=0.5, within_s=RECORDED_SECONDS)
        return records

    async def turns(self, before: Turns) -> Turns:
        """Return how the records of those who stay compare with their keys, once no more are lost than before, or in time."""
        compared = before
        # The agent may not have answered the last key yet.
        due = [max(0, len(_keys(call)) - 1) for call in self.steady]

        async def complete() -> bool:
            nonlocal compared
            compared = Turns()
            for call, id, count in zip(self.steady, self._ids, due, strict=True):
                compared += Turns.of(_keys(call), count, await self._all(f"/api/calls/{id}/turns", "turns"))
            return compared.lost <= before.lost

        with suppress(TimeoutError):
            await until(complete, every_s=1, within_s=RECORDED_SECONDS)
        return compared

    async def _all(self, path: str, name: str, params: dict[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the items of every page of a list, asking again while the platform is unavailable."""
        items, cursor = list[dict[str, Any]](), ""
        while True:
            query = {"limit": "100", **(params or {}), **({"cursor": cursor} if cursor else {})}
            try:
                page = (await self._http.get(path, params=query)).raise_for_status().json()
            except httpx.HTTPError:
                await asyncio.sleep(0.5)
                continue
            items += page[name]
            if not (cursor := page["next_cursor"]):
                return items


def _keys(call: Call) -> list[str]:
    """Return the keys that a caller has pressed so far."""
    return [press["digit"] for press in call.journal.of("caller.pressed")]


async def suffer(fault: Fault, platform: Platform, callers: Callers, before: Turns, options: Any) -> tuple[Row, Turns]:
    """Disturb the platform, let others ring, and wait until they have left."""
    since, over = datetime.now(UTC), asyncio.Event()
    already = sum(call.is_over for call in callers.steady)
    ringing = asyncio.create_task(callers.ring(options.rings_per_second, over))
    await asyncio.sleep(1)
    begun = time.monotonic()
    await fault.act(platform, fault.seconds)
    await asyncio.sleep(options.seconds - 1)
    over.set()
    rang = await ringing
    await asyncio.gather(*(call.ended(ENDED_SECONDS) for _, call in rang))
    refused = [at for at, call in rang if not is_served(call)]
    await asyncio.sleep(SETTLE_SECONDS)
    records = await callers.records([call for _, call in rang], since)
    wrong = [call for _, call in rang if not has_true_end(call, records.get(call.from_))]
    turns = await callers.turns(before)
    for call in wrong:
        record = records.get(call.from_, {})
        print(
            f"wrong: {fault.name}: {call.sid} was ended by {call.hung_up_by} after {[verb.name for verb in call.verbs]}; "
            f"recorded {record.get('status')}, {record.get('end_reason')}",
            file=sys.stderr,
        )
    row = Row(
        fault=fault.name,
        seconds=fault.seconds,
        rang=len(rang),
        refused=len(refused),
        apologies=sum(bool(call.sentences) for _, call in rang if not is_served(call)),
        cut=sum(call.is_over for call in callers.steady) - already,
        wrong=len(wrong),
        turns_lost=turns.lost - before.lost,
        turns_doubled=turns.doubled - before.doubled,
        normal_seconds=round(max(refused, default=begun) - begun, 1),
    )
    print(f"| {' | '.join(str(value) for value in asdict(row).values())} |", flush=True)
    return row, turns


# --- the run ----------------------------------------------------------------------------------------------------------


async def measure(options: argparse.Namespace) -> tuple[list[Row], dict[str, int]]:
    """Return a row for each fault, and the comparison of the records of calls that stayed with their keys."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults.")))
        model = await stack.enter_async_context(Model.serve(api_key=KEY))
        carrier = await stack.enter_async_context(
            Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER], say_ms_per_char=0)
        )
        http = await stack.enter_async_context(_running(folder, carrier, model))
        flow = {"name": "F", "greeting": "Hello and welcome to the clinic. We are glad that you call."}
        created = (await http.post("/api/flows", json=flow)).raise_for_status().json()
        (await http.post("/api/numbers", json={"e164": NUMBER, "flow_id": created["id"]})).raise_for_status()
        callers, platform, since = Callers(carrier, http), Platform(Up(folder), carrier), datetime.now(UTC)
        await callers.begin(options.calls)
        rows, turns = list[Row](), Turns()
        for name in options.only or FAULTS:
            row, turns = await suffer(FAULTS[name], platform, callers, turns, options)
            rows.append(row)
        turns = await callers.turns(Turns())
        for call in callers.steady:
            call.hang_up()
        await asyncio.gather(*(call.ended() for call in callers.steady))
        records = await callers.records(callers.steady, since)
        wrong = sum(not has_true_end(call, records.get(call.from_)) for call in callers.steady)
        return rows, {"calls": len(callers.steady), "wrong": wrong, **asdict(turns)}


@asynccontextmanager
async def _running(folder: Path, carrier: Carrier, model: Model) -> AsyncIterator[httpx.AsyncClient]:
    """Run `hum up`; yield a client of it with an admin key."""
    gateway = f"127.0.0.1:{free_port('127.0.0.1')}"
    settings = programs.variables(
        environment()
        | {
            "HUM_HOME": str(folder),
            "HUM_GATEWAY_LISTEN": gateway,
            "HUM_CONTROL_LISTEN": f"127.0.0.1:{free_port('127.0.0.1')}",
            "HUM_MEDIA_LISTEN": f"127.0.0.1:{free_port('127.0.0.1')}",
            # The records are read at once.
            **dict.fromkeys(("rate_per_second", "organization_rate_per_second"), "1000"),
            **dict.fromkeys(("rate_burst", "organization_rate_burst"), "2000"),
            "TWILIO_ACCOUNT_SID": ACCOUNT,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_API_BASE_URL": carrier.url,
            "OPENAI_API_KEY": KEY,
            "OPENAI_BASE_URL": model.url,
        }
    )
    hum = [sys.executable, "-m", "cli"]
    log = (folder / "up.log").open("wb")
    async with programs.running(*hum, "up", env=settings, stdout=log, stderr=log, patience_seconds=60) as process:
        async with asyncio.timeout(UP_SECONDS):
            while LAST not in (folder / "up.log").read_text():
                if process.poll() is not None:
                    raise SystemExit((folder / "up.log").read_text())
                await asyncio.sleep(0.2)

        async def admin(*arguments: str) -> dict[str, Any]:
            done = await asyncio.to_thread(
                subprocess.run, [*hum, "admin", *arguments], env=settings, check=True, capture_output=True
            )
            answer: dict[str, Any] = json.loads(done.stdout)
            return answer

        org = await admin("create-org", "--name", "Clinic", "--owner-email", "o@clinic.example")
        key = await admin("create-api-key", "--org", org["id"], "--role", "admin")
        headers = {"Authorization": f"Bearer {key['key']}"}
        async with httpx.AsyncClient(
            base_url=f"http://{gateway}", headers=headers, trust_env=False, timeout=60
        ) as http:
            yield http


HEADINGS = (
    "fault",
    "for, s",
    "rang",
    "refused",
    "of these, heard an apology",
    "of those that talked, cut",
    "wrong status or reason",
    "turns lost",
    "turns doubled",
    "normal after, s",
)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--calls", type=int, default=50, help="callers who stay")
    parser.add_argument(
        "--seconds",
        type=float,
        default=12.0,
        help="for how long others ring, besides the fault's own duration; a second of it before the fault",
    )
    parser.add_argument("--rings-per-second", type=float, default=3.0)
    parser.add_argument("--only", nargs="*", choices=FAULTS, metavar="FAULT", help="; ".join(FAULTS))
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    print(f"| {' | '.join(HEADINGS)} |\n|{' --- |' * len(HEADINGS)}", flush=True)
    rows, records = uvloop.run(measure(options))
    print(f"\nrecords of those that stayed: {records}")
    if options.json is not None:
        options.json.write_text(
            json.dumps({"rows": [asdict(row) for row in rows], "records": records}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
