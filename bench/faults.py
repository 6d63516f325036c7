"""The command `python -m bench.faults`: kills the programs of a running `hum up` in turn while callers talk and others ring.

The carrier and the model are stand-ins in this process.  Some callers stay for the whole run and press a key now and then; others
ring, hear the agent, and hang up.  A caller who hears no agent was refused; a fault is over when no caller is refused any more.
At the end the record of each call that stayed is compared with the keys that its caller pressed.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import uvloop

from cli.banner import LAST
from hum.process import home
from hum.process.sockets import free_port
from hum.settings import environment
from sandbox.openai import Model
from sandbox.twilio import Call, Carrier
from tests.support import programs
from tests.support.homes import pids_in, postmaster_in

ACCOUNT, TOKEN, KEY, NUMBER, CALLER = "AC" + "1" * 32, "carrier-token", "sk-test", "+13175550100", "+13175550199"
UP_SECONDS, SETTLE_SECONDS, HEARD_SECONDS = 180.0, 5.0, 30.0
KEY_SECONDS = 6
HEARS: dict[str, Any] = {"do": "wait_for_agent_to_talk", "for_ms": 200, "timeout_ms": 20_000}
RINGS = (HEARS, {"do": "wait", "ms": 1_000})
STAYS = (
    HEARS,
    *(
        step
        for number in range(200)
        for step in ({"do": "wait", "ms": KEY_SECONDS * 1000}, {"do": "press", "digits": str(number % 10)})
    ),
)


@dataclass(frozen=True, slots=True)
class Row:
    """Effects of one fault on callers.  `normal_seconds`: from the fault to the last ring without an agent's answer."""

    fault: str
    rang: int
    refused: int
    cut: int
    normal_seconds: float


class Up:
    """A running `hum up`, and the processes of its programs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def program(self, name: str) -> int:
        """Return the process id of a program; of its supervisor, if it has several processes."""
        return pids_in(self._folder, name)[-1]

    def worker(self, plane: str) -> int:
        """Return the process id of one worker of a plane that has several."""
        (path, *_) = sorted(self._folder.glob(f"workers-{plane}-*.json"), key=lambda path: -path.stat().st_mtime)
        return int(home.read_facts(self._folder, path.name)["workers"][0]["pid"])

    def postgres(self) -> int:
        return postmaster_in(self._folder)


FAULTS: dict[str, Callable[[Up], int]] = {
    "worker": lambda up: up.program("worker"),
    "control": lambda up: up.program("control"),
    "media, one of two": lambda up: up.worker("media"),
    "gateway, one of two": lambda up: up.worker("gateway"),
    "supervisor of media": lambda up: up.program("media"),
    "supervisor of gateway": lambda up: up.program("gateway"),
    "PostgreSQL (embedded)": Up.postgres,
}


def served(call: Call) -> bool:
    """Return whether a caller who has hung up had heard an agent and nothing else."""
    agent = {verb.name for verb in call.verbs} == {"Connect"} and any(
        stream.playout.segments for stream in call.streams
    )
    return agent and call.hung_up_by == "caller" and not call.sentences


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
        steady = list[Call]()
        for _ in range(options.calls):
            steady.append(await carrier.ring(NUMBER, _caller_number(len(steady)), STAYS))
            await asyncio.sleep(0.2)
        for call in steady:
            await asyncio.wait_for(call.journal.find("agent.audible"), HEARD_SECONDS)
        up = Up(folder)
        rows = [await _fault(name, up, carrier, steady, options) for name in options.only or FAULTS]
        await asyncio.sleep(SETTLE_SECONDS)
        pressed = {_caller_number(at): _pressed(call) for at, call in enumerate(steady)}
        for call in steady:
            call.hang_up()
        await asyncio.gather(*(call.ended() for call in steady))
        return rows, await _compare(http, pressed)


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
            "max_calls_per_caller": "1000",
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


async def _fault(name: str, up: Up, carrier: Carrier, steady: list[Call], options: argparse.Namespace) -> Row:
    """Kill one program, let others ring, and wait until they have left."""
    rang = list[tuple[float, Call]]()
    over = sum(call.is_over for call in steady)
    begun = time.monotonic()
    for number in range(int(options.seconds * options.rings_per_second)):
        if number == int(options.rings_per_second):
            os.kill(FAULTS[name](up), signal.SIGKILL)
            begun = time.monotonic()
        rang.append((time.monotonic(), await carrier.ring(NUMBER, CALLER, RINGS)))
        await asyncio.sleep(1 / options.rings_per_second)
    await asyncio.gather(*(call.ended(90) for _, call in rang))
    refused = [at for at, call in rang if not served(call)]
    await asyncio.sleep(SETTLE_SECONDS)
    row = Row(
        name, len(rang), len(refused), sum(call.is_over for call in steady) - over, max(refused, default=begun) - begun
    )
    print(f"| {row.fault} | {row.rang} | {row.refused} | {row.cut} | {row.normal_seconds:.1f} s |", flush=True)
    return row


def _caller_number(at: int) -> str:
    """Return the telephone number of a caller who stays."""
    return f"+1415555{at:04d}"


def _pressed(call: Call) -> list[str]:
    return [press["digit"] for press in call.journal.of("caller.pressed")]


def unanswered(keys: Sequence[str], repeated: Sequence[str]) -> int:
    """Count the keys that are missing, in order, from those that were repeated."""
    left = list(repeated)
    return sum(not (left and left[0] == key and left.pop(0)) for key in keys)


async def _compare(http: httpx.AsyncClient, pressed: dict[str, list[str]]) -> dict[str, int]:
    """Count keys, turns and calls that the records lack or have twice.

    The agent repeats each key; the last key is excluded, since the call may end before its answer.  `said again` counts keys that
    another process repeated because the first repetition was interrupted.
    """
    counts = {"calls": 0, "keys": 0, "unanswered": 0, "turns": 0, "doubles": 0, "said again": 0, "not completed": 0}
    async with asyncio.timeout(60):
        while True:
            calls = [call for call in await _all(http, "/api/calls", "calls") if call["from"] in pressed]
            if len(calls) == len(pressed) and all(call["ended_at"] for call in calls):
                break
            await asyncio.sleep(0.5)
    for call in calls:
        turns = await _all(http, f"/api/calls/{call['id']}/turns", "turns")
        turns.sort(key=lambda turn: turn["seq"])
        said = " ".join(turn["text"] for turn in turns if turn["role"] == "agent")
        repeated = re.findall(r"entered (\d)", said)
        distinct = [key for key, before in zip(repeated, ["", *repeated], strict=False) if key != before]
        keys = pressed[call["from"]]
        counts["calls"] += 1
        counts["keys"] += len(keys)
        counts["unanswered"] += unanswered(keys[:-1], distinct)
        counts["said again"] += len(repeated) - len(distinct)
        counts["turns"] += len(turns)
        counts["doubles"] += len(turns) - len({turn["item_id"] for turn in turns})
        counts["not completed"] += call["status"] != "completed"
    return counts


async def _all(http: httpx.AsyncClient, path: str, name: str) -> list[dict[str, Any]]:
    """Return the items of every page of a list."""
    items: list[dict[str, Any]] = []
    params: dict[str, str] | None = {"limit": "100"}
    while params is not None:
        page = (await http.get(path, params=params)).raise_for_status().json()
        items += page[name]
        params = {"limit": "100", "cursor": page["next_cursor"]} if page["next_cursor"] else None
    return items


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--calls", type=int, default=50, help="callers who stay")
    parser.add_argument(
        "--seconds", type=float, default=12.0, help="for how long others ring, a second of it before the fault"
    )
    parser.add_argument("--rings-per-second", type=float, default=3.0)
    parser.add_argument("--only", nargs="*", choices=FAULTS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    print("| killed | rang | refused | of those that talked, cut | normal after |\n| --- | --- | --- | --- | --- |")
    rows, records = uvloop.run(measure(options))
    print(f"\nrecords of those that stayed: {records}")
    if options.json is not None:
        options.json.write_text(
            json.dumps({"rows": [asdict(row) for row in rows], "records": records}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
