"""Calls from browsers are hung up by their media process alone: what control does while that is silent, unlinked, or done."""

import asyncio
from functools import partial
from typing import Any

import httpx
import pytest

from control.calls.browsercallers import BrowserCallers
from control.livecall.commands import Commands
from hum import ids
from hum.ids import Kind
from hum.v1 import runtime_pb2 as pb
from tests.contract.conftest import Edge
from tests.contract.test_browser_calls import Node, ended, flow_of, linked, place
from tests.control.conftest import UNLIMITED
from tests.support.endings import ends_are_told
from tests.support.waits import until

__all__ = ["ends_are_told"]
pytestmark = pytest.mark.usefixtures("ends_are_told")

JOBS = "SELECT count(*) FROM pgqueuer WHERE entrypoint = 'after_call'"


@pytest.fixture
def command_seconds() -> float:
    """How long a person's command waits for its answer."""
    return 60.0


@pytest.fixture
def limits(command_seconds: float) -> dict[str, Any]:
    return {**UNLIMITED, "command_seconds": command_seconds, "link_silent_seconds": 60.0}


def callers(edge: Edge, command_seconds: float) -> BrowserCallers:
    settings = edge.plane.settings.model_copy(update={"command_seconds": command_seconds})
    return BrowserCallers(edge.plane.control.db, edge.plane.control.bus, edge.plane.carrier, settings)


async def joined(http: httpx.AsyncClient, node: Node, count: int = 1) -> list[str]:
    """Calls that are talked in."""
    flow = await flow_of(http)
    placed = [(await place(http, flow)).json()["call_id"] for _ in range(count)]
    for number, offer in enumerate(node.offers, 1):
        await node.open(offer)
        await node.report(offer.call_id, 1, batch_seq=number, started=pb.StreamStarted(stream_sid="browser:1"))
    for id in placed:
        await until(partial(is_live, http, id))
    return placed


async def is_live(http: httpx.AsyncClient, id: str) -> bool:
    return bool((await http.get(f"/api/calls/{id}")).json()["status"] == "in_progress")


async def expire(edge: Edge) -> None:
    """Let the calls be those of a caller who has no rights."""
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE browser_calls SET caller = 'key:' || $1", ids.show(Kind.API_KEY, ids.new()))


async def unlinked(edge: Edge, node: Node) -> None:
    """The process has lost its link; its streams go on."""
    node.call.cancel()

    async def is_down() -> bool:
        async with edge.plane.control.db.system() as tx:
            return bool(await tx.fetchval("SELECT link IS NULL FROM media_links WHERE node = $1", node.name))

    await until(is_down)


@pytest.mark.parametrize("is_linked", [True, False], ids=["silent", "unlinked"])
async def test_a_call_whose_process_does_not_answer_is_hung_up_by_the_next_sweep(
    edge: Edge, capsys: pytest.CaptureFixture[str], *, is_linked: bool
) -> None:
    async with linked(edge) as node, await edge.client() as http:
        (call,) = await joined(http, node)
        await expire(edge)
        if is_linked:
            node.outcome = None
        else:
            await unlinked(edge, node)
        # This deadline is meant to run out.
        assert await callers(edge, 0.05).check() == 0, "its stream goes on"
        assert await is_live(http, call) and "hung up" not in capsys.readouterr().out
        if not is_linked:
            await node.link()
        node.outcome = "done"
        assert await callers(edge, 60).check() == 1
        assert node.hung_up == [call] * (1 + is_linked) and "hung up" in capsys.readouterr().out


# This deadline is meant to run out.
@pytest.mark.parametrize("command_seconds", [0.05])
@pytest.mark.parametrize("is_linked", [True, False], ids=["silent", "unlinked"])
async def test_a_person_learns_that_a_call_may_not_be_hung_up(edge: Edge, *, is_linked: bool) -> None:
    async with linked(edge) as node, await edge.client() as http:
        (call,) = await joined(http, node)
        if is_linked:
            node.outcome = None
        else:
            await unlinked(edge, node)
        answer = await http.post(f"/api/calls/{call}/hangup")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert await is_live(http, call)


@pytest.mark.parametrize("by_person", [True, False])
async def test_a_call_that_has_just_ended_ends_as_its_process_reports(edge: Edge, *, by_person: bool) -> None:
    """The process has the report in its queue when it answers the command."""
    async with linked(edge) as node, await edge.client() as http:
        (call,) = await joined(http, node)
        node.outcome = "over"
        hanging_up: asyncio.Task[Any]
        if by_person:
            hanging_up = asyncio.create_task(http.post(f"/api/calls/{call}/hangup"))
        else:
            await expire(edge)
            hanging_up = asyncio.create_task(callers(edge, 60).check())
        await until(lambda: node.hung_up)
        await node.report(call, 2, ended=pb.StreamEnded(reason="connection_lost"))
        await hanging_up
        over = await ended(http, call)
        assert (over["status"], over["end_reason"]) == ("completed", "connection_lost")
        async with edge.plane.control.db.system() as tx:
            assert await tx.fetchval(JOBS) == 1


async def test_a_call_that_its_process_does_not_know_is_closed(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer with its session was lost: the process has nothing to report."""

    async def until_over(*_: object) -> None:
        """The wait has run out."""

    monkeypatch.setattr(Commands, "until_over", until_over)
    async with linked(edge) as node, await edge.client() as http:
        (call,) = await joined(http, node)
        await expire(edge)
        node.outcome = "over"
        assert await callers(edge, 60).check() == 1
        over = await ended(http, call)
        assert (over["status"], over["end_reason"]) == ("completed", "hang_up")


async def test_calls_are_hung_up_at_once(edge: Edge) -> None:
    async with linked(edge) as node, await edge.client() as http:
        calls = await joined(http, node, 3)
        await expire(edge)
        node.outcome = None
        checking = asyncio.create_task(callers(edge, 60).check())
        await until(lambda: len(node.hung_up) == 3)
        assert sorted(node.hung_up) == sorted(calls)
        checking.cancel()
        await asyncio.gather(checking, return_exceptions=True)
