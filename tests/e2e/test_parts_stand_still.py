"""Parts of a running platform stand still, or die again and again, while callers talk, ring and hang up.

Nobody notices, each call is recorded as it ended, no turn is missing or there twice, and whoever follows a call has all of it
before its end.
"""

import asyncio
import os
import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from hum.process.processes import ProcessIdentity
from sandbox.twilio import Call
from tests.contract.test_live_stream import Sent, events
from tests.e2e.conftest import NUMBER
from tests.e2e.deployments import Deployment, deployment_of_all, lasting, lent_database_url
from tests.e2e.test_hum_up import LISTENS, was_served
from tests.support.homes import postmaster_in
from tests.support.processes import family, stopped
from tests.support.waits import patience, until

__all__ = ["deployment_of_all", "lasting", "lent_database_url"]
pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300), pytest.mark.asyncio(loop_scope="module")]
#: Longer than a media process may be silent (6 s here), and than a channel to control waits for an answer (7 s).
STILL_SECONDS = 9.0
#: A caller may wait for 4 s.
RING_SECONDS_BEFORE = 0.5
HEARS = {"do": "wait_for_agent_to_finish", "quiet_ms": 300, "timeout_ms": 60_000}
KILLS = 6
_callers = iter(range(1_000, 10_000))


@pytest.fixture(scope="module")
def more_of_all() -> dict[str, str]:
    """A job whose worker was killed is begun again soon."""
    return {"job_heartbeat_seconds": "3"}


async def record_of(deployment: Deployment, call: Call) -> dict[str, Any] | None:
    """The record of a call, if there is one and the API answers."""
    listed = [each for each in await deployment.calls() if each["from"] == call.from_]
    return listed[0] if listed else None


async def ring(deployment: Deployment, steps: Iterable[dict[str, Any]]) -> Call:
    return await deployment.carrier.ring(NUMBER, f"+1317555{next(_callers)}", list(steps))


@dataclass
class Talker:
    """A caller who presses keys, each once the agent has repeated the one before, and hangs up; and a client that follows."""

    call: Call
    keys: str
    told: list[Sent] = field(default_factory=list)
    following: "asyncio.Task[None]" = field(init=False)

    @classmethod
    async def begin(cls, deployment: Deployment, keys: str) -> "Talker":
        steps = (step for key in keys for step in ({"do": "press", "digits": f"{key}#"}, HEARS))
        talker = cls(await ring(deployment, [HEARS, *steps]), keys)
        record = await until(lambda: record_of(deployment, talker.call))
        talker.following = asyncio.create_task(talker.follow(deployment, record["id"]))
        await talker.call.journal.find("agent.audible")
        return talker

    async def follow(self, deployment: Deployment, id: str) -> None:
        """Take the call's events until its end, connecting again where a stream breaks off."""
        while not self.told or self.told[-1].event != "call.ended":
            last = max((each.id for each in self.told if each.id is not None), default=None)
            with suppress(httpx.HTTPError):
                async with aclosing(events(deployment.http, id, last)) as stream:
                    async for each in stream:
                        if isinstance(each, Sent):
                            self.told.append(each)
            await asyncio.sleep(0.1)

    async def assert_nothing_was_noticed(self, deployment: Deployment) -> None:
        await self.call.ended()
        assert was_served(self.call) == []
        async with patience():
            await self.following
        record = await recorded(deployment, self.call)
        whole = (await deployment.http.get(f"/api/calls/{record['id']}")).json()
        turns = whole["transcript"]
        said = " ".join(turn["text"] for turn in turns if turn["role"] == "agent")
        assert re.findall(r"entered (\d)", said) == list(self.keys), "each key was repeated once"
        assert [entry["keys"] for entry in whole["keypad_entries"]] == [f"{key}#" for key in self.keys]
        assert [turn["seq"] for turn in turns] == list(range(1, len(turns) + 1))
        stored = [each.id for each in self.told if each.id is not None]
        assert stored == list(range(1, len(stored) + 1)), "each event once, in its order"
        told = [(each.data["seq"], each.data["text"]) for each in self.told if each.event == "transcript.turn"]
        assert told == [(turn["seq"], turn["text"]) for turn in turns], "all turns, before the end"
        ended = self.told[-1]
        assert (ended.event, ended.data["status"], ended.data["reason"]) == ("call.ended", "completed", "caller")


async def recorded(deployment: Deployment, call: Call) -> dict[str, Any]:
    """The record of a call that its caller has ended."""

    async def over() -> dict[str, Any] | None:
        record = await record_of(deployment, call)
        return record if record is not None and record["ended_at"] else None

    record: dict[str, Any] = await until(over, every_s=0.1)
    assert (record["status"], record["end_reason"]) == ("completed", "caller")
    return record


async def assert_all_served(deployment: Deployment, talkers: Sequence[Talker], others: Sequence[Call]) -> None:
    """Wait until all have hung up."""
    await asyncio.gather(*(call.ended() for call in others))
    assert {call.from_: wrong for call in others if (wrong := was_served(call))} == {}
    for call in others:
        await recorded(deployment, call)
    for talker in talkers:
        await talker.assert_nothing_was_noticed(deployment)


def parts(name: str, deployment: Deployment, home: Path) -> Iterator[int]:
    """The processes of control, or all of PostgreSQL's."""
    return iter([deployment.pid(name)]) if name == "control" else family(postmaster_in(home))


@pytest.mark.parametrize("part", ["control", "postgres"])
async def test_while_a_part_stands_still(deployment: Deployment, shared_home: Path, part: str) -> None:
    """One caller hangs up meanwhile, one talks on, two ring shortly before it goes on."""
    leaves, stays = [await Talker.begin(deployment, keys) for keys in ("1", "23456")]
    with stopped(parts(part, deployment, shared_home)):
        standing = asyncio.create_task(asyncio.sleep(STILL_SECONDS))
        await until(lambda: leaves.call.is_over)
        await standing
        others = [await ring(deployment, LISTENS) for _ in range(2)]
        await asyncio.sleep(RING_SECONDS_BEFORE)
        assert not stays.call.is_over, "it talks on"
    await assert_all_served(deployment, [leaves, stays], others)


async def test_a_worker_that_is_killed_six_times_in_a_row(deployment: Deployment) -> None:
    """Its work is done in the end: each call is found by its words."""
    dead = set[int]()

    def worker() -> int | None:
        pid = deployment.pid("worker")
        return pid if pid not in dead and ProcessIdentity.of(pid) else None

    leaves, stays = [await Talker.begin(deployment, keys) for keys in ("7", "890")]
    others = list[Call]()
    for _ in range(KILLS):
        others.append(await ring(deployment, LISTENS))
        os.kill(pid := await until(worker), signal.SIGKILL)
        dead.add(pid)
    assert not stays.call.is_over, "it talks on"
    await assert_all_served(deployment, [leaves, stays], others)

    for talker in (leaves, stays):
        await until(partial(is_found, deployment, talker.call), every_s=0.2)


async def is_found(deployment: Deployment, call: Call) -> bool:
    """Whether a search finds the call by what the agent said in it."""
    found = (await deployment.http.get("/api/calls", params={"q": "keypad"})).raise_for_status().json()["calls"]
    return call.from_ in {each["from"] for each in found}
