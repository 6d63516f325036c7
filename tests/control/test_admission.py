"""Control knows its media processes by their links: where callers are sent, and how long `next` waits for a report."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from grpc import aio

from control.app import build
from control.calls import ending
from control.calls.callendings import MAX_OFFERS
from control.calls.prompts import CallerPrompt, localized
from hum import ids
from hum.clock import monotonic_ms, now
from hum.ids import Kind
from hum.v1 import calls_pb2, calls_pb2_grpc, flows_pb2, flows_pb2_grpc, numbers_pb2, numbers_pb2_grpc, runtime_pb2_grpc
from hum.v1 import runtime_pb2 as pb
from storage import calls
from tests.control.conftest import Plane, fake_clients

NUMBER, CALLER, SID = "+13175550100", "+13175550199", "CA1"
SOON = 20.0  # far less than what is waited for in vain
MANY = 50
BUSY = localized(CallerPrompt.BUSY, "de")[0]


class Node:
    """A media process, as control sees it."""

    def __init__(self, plane: Plane, name: str, state: pb.NodeState) -> None:
        self.name, self._state, self._metadata = name, state, plane.node(name=name)
        self._stub = runtime_pb2_grpc.MediaServiceStub(plane.channel)

    async def link(self) -> None:
        self._call = self._stub.Link(metadata=self._metadata)
        await self._call.write(pb.LinkUp(hello=pb.LinkHello(state=self._state)))
        assert cast("pb.LinkDown", await self._call.read()).WhichOneof("down") == "acknowledged_seq"

    async def say(self, refuses: str) -> None:
        await self.tell(pb.NodeState(refuses=refuses))

    async def tell(self, state: pb.NodeState) -> None:
        await self._call.write(pb.LinkUp(state=state))

    async def open(self, token: str) -> None:
        opening = pb.OpenSessionRequest(token=token, call_sid=SID, stream_sid="MZ", node=self.name)
        await self._stub.OpenSession(opening, metadata=self._metadata)

    def die(self) -> None:
        self._call.cancel()


@asynccontextmanager
async def linked(plane: Plane, name: str = "media-1", refuses: str = "", **state: Any) -> AsyncIterator[Node]:
    node = Node(plane, name, pb.NodeState(refuses=refuses, **state))
    await node.link()
    yield node
    node.die()


class Line:
    """The carrier's side of one call to a German flow."""

    def __init__(self, plane: Plane) -> None:
        self._plane, self._gateway = plane, plane.node("gateway", "gateway-1")
        self._stub = runtime_pb2_grpc.IngressServiceStub(plane.channel)

    async def set_up(self) -> None:
        self.who = who = await self._plane.tenant()
        flow = flows_pb2.Flow(name="F", language="de")
        made = await flows_pb2_grpc.FlowsServiceStub(self._plane.channel).CreateFlow(
            flows_pb2.CreateFlowRequest(flow=flow), metadata=who
        )
        number = numbers_pb2.Number(e164=NUMBER, flow_id=made.flow.id)
        await numbers_pb2_grpc.NumbersServiceStub(self._plane.channel).RegisterNumber(
            numbers_pb2.RegisterNumberRequest(number=number), metadata=who
        )

    async def ring(self) -> pb.CarrierStep:
        request = pb.RouteCallRequest(call_sid=SID, from_e164=CALLER, to_e164=NUMBER)
        return (await self._stub.RouteCall(request, metadata=self._gateway, timeout=60)).step

    async def next(self) -> pb.CarrierStep:
        async with self._plane.control.db.system() as tx:
            id = ids.show(Kind.CALL, await tx.fetchval("SELECT id FROM calls"))
        request = pb.NextStepRequest(call_id=id, call_sid=SID, to_e164=NUMBER)
        return (await self._stub.NextStep(request, metadata=self._gateway, timeout=60)).step

    async def record(self) -> calls_pb2.Call:
        stub: Any = calls_pb2_grpc.CallsServiceStub(self._plane.channel)
        (call,) = (await stub.ListCalls(calls_pb2.ListCallsRequest(), metadata=self.who)).calls
        assert isinstance(call, calls_pb2.Call)
        return call

    async def was_refused(self, step: pb.CarrierStep) -> bool:
        call = await self.record()
        return (step.say.text, step.say.language, call.status, call.end_reason) == (
            BUSY,
            "de-DE",
            calls_pb2.CALL_STATUS_FAILED,
            "no_capacity",
        )


@pytest.fixture
async def line(plane: Plane) -> Line:
    made = Line(plane)
    await made.set_up()
    return made


async def test_a_caller_for_whom_no_process_has_room_hears_so_in_the_flows_language(plane: Plane, line: Line) -> None:
    async with linked(plane, "media-1", "full"), linked(plane, "media-2", "draining"):
        assert await line.was_refused(await line.ring())


async def test_one_process_with_room_is_enough(plane: Plane, line: Line) -> None:
    async with linked(plane, "media-1", "full"), linked(plane, "media-2"):
        assert (await line.ring()).WhichOneof("step") == "connect"


async def test_where_no_process_is_known_the_carrier_finds_out(line: Line) -> None:
    assert (await line.ring()).WhichOneof("step") == "connect"


async def test_a_process_that_is_gone_refuses_nobody(plane: Plane, line: Line) -> None:
    async with linked(plane, "media-1", "full"):
        pass
    await nobody_is_there(plane)
    assert (await line.ring()).WhichOneof("step") == "connect"


async def test_each_of_many_processes_that_die_at_once_is_known_to_be_gone(plane: Plane) -> None:
    """Control learns of a death in several ways at once, and the second must not interrupt what the first one does."""

    async def live_and_die(name: str) -> None:
        async with linked(plane, name):
            pass

    await asyncio.gather(*(live_and_die(f"media-{number}") for number in range(MANY)))
    await nobody_is_there(plane)
    async with asyncio.timeout(SOON):  # and nothing of their links is left
        while any("media-" in task.get_name() for task in asyncio.all_tasks()):
            await asyncio.sleep(0.01)


async def nobody_is_there(plane: Plane) -> None:
    async with asyncio.timeout(SOON), plane.control.db.system() as tx:
        while await tx.fetchval("SELECT count(link) FROM media_links"):
            await asyncio.sleep(0.01)


async def test_a_stream_that_the_door_refuses_again_and_again_is_an_end(plane: Plane, line: Line) -> None:
    """One of two processes on a port has room, and the carrier always comes to the other one."""
    async with linked(plane):
        step, offers = await line.ring(), 1
        while step.WhichOneof("step") == "connect":
            step = await line.next()
            offers += step.WhichOneof("step") == "connect"
            assert offers <= MAX_OFFERS
        assert offers == MAX_OFFERS
        assert await line.was_refused(step)
        assert (await line.next()).WhichOneof("step") == "hang_up"


async def test_a_call_is_not_offered_to_a_full_house_again(plane: Plane, line: Line) -> None:
    async with linked(plane) as node:
        assert (await line.ring()).WhichOneof("step") == "connect"
        await node.say("full")
        async with asyncio.timeout(SOON):
            async with plane.control.db.system() as tx:
                while not await tx.fetchval("SELECT refuses FROM media_links"):
                    await asyncio.sleep(0.01)
        assert await line.was_refused(await line.next())


class TestWaiting:
    """What is worth waiting for is waited for, and nothing else."""

    @pytest.fixture
    def limits(self) -> dict[str, float]:
        return {"rate_burst": 10_000, "room_seconds": 30, "settle_seconds": 30}

    async def still_waits(self, answer: "asyncio.Task[pb.CarrierStep]") -> bool:
        done, _ = await asyncio.wait({answer}, timeout=0.3)
        return not done

    async def test_a_caller_waits_for_a_process_that_has_room_again(self, plane: Plane, line: Line) -> None:
        async with linked(plane, refuses="lagging") as node:
            answer = asyncio.create_task(line.ring())
            assert await self.still_waits(answer)
            await node.say("")
            assert (await asyncio.wait_for(answer, SOON)).WhichOneof("step") == "connect"

    async def test_next_waits_for_the_report_while_the_process_lives_and_not_when_it_is_gone(
        self, plane: Plane, line: Line
    ) -> None:
        async with linked(plane, "media-2"), linked(plane) as node:
            await node.open((await line.ring()).connect.token)
            answer = asyncio.create_task(line.next())
            assert await self.still_waits(answer), "its last report may be under way"
            node.die()
            assert (await asyncio.wait_for(answer, SOON)).WhichOneof("step") == "connect"

    async def test_next_does_not_wait_for_a_stream_that_never_opened(self, plane: Plane, line: Line) -> None:
        async with linked(plane):
            await line.ring()
            assert (await asyncio.wait_for(line.next(), SOON)).WhichOneof("step") == "connect"

    async def test_next_waits_for_a_process_that_comes_back(self, plane: Plane, line: Line) -> None:
        async with linked(plane) as node:
            await node.open((await line.ring()).connect.token)
        answer = asyncio.create_task(line.next())
        assert await self.still_waits(answer), "there is no process at all"
        async with linked(plane, "media-again"):
            assert (await asyncio.wait_for(answer, SOON)).WhichOneof("step") == "connect"


async def test_another_number_with_a_known_calls_id_is_refused(plane: Plane, line: Line) -> None:
    await line.ring()
    stub = runtime_pb2_grpc.IngressServiceStub(plane.channel)
    gateway = plane.node("gateway", "gateway-1")
    for ask in (
        stub.RouteCall(pb.RouteCallRequest(call_sid=SID, from_e164=CALLER, to_e164="+13175550101"), metadata=gateway),
        stub.ReportCallStatus(
            pb.ReportCallStatusRequest(call_sid=SID, to_e164="+13175550101", carrier_status="completed"),
            metadata=gateway,
        ),
    ):
        with pytest.raises(aio.AioRpcError):
            await ask
    assert (await line.record()).status == calls_pb2.CALL_STATUS_RINGING


class TestPlaces:
    """How many calls a media process carries is known before they are sent there."""

    @pytest.fixture
    def limits(self) -> dict[str, float]:
        return {"rate_burst": 10_000, "room_seconds": 0.2, "link_silent_seconds": 600}

    async def ring(self, plane: Plane, number: int) -> pb.CarrierStep:
        stub = runtime_pb2_grpc.IngressServiceStub(plane.channel)
        request = pb.RouteCallRequest(call_sid=f"CA{number}", from_e164=f"+1317555{number:04}", to_e164=NUMBER)
        return (await stub.RouteCall(request, metadata=plane.node("gateway", "gateway-1"), timeout=120)).step

    @pytest.mark.strain
    async def test_a_burst_fills_every_place_and_overfills_none(
        self, plane: Plane, line: Line, database_url: str, tmp_path: Path
    ) -> None:
        """200 webhooks at one instant, at two control processes, for two media processes with 50 places each."""
        settings = plane.settings.model_copy(update={"home": tmp_path, "control_listen": "127.0.0.1:0"})
        async with (
            build(settings, database_url, fake_clients(plane.carrier)) as second,
            aio.insecure_channel(f"127.0.0.1:{second.port}") as channel,
            linked(plane, "media-1", places=50, url="wss://one.example"),
            linked(plane, "media-2", places=50, url="wss://two.example"),
        ):
            others = Plane(second, plane.carrier, settings, channel)
            began = monotonic_ms()
            steps = await asyncio.gather(*(self.ring((plane, others)[n % 2], n) for n in range(200)))
            print(f"200 webhooks took {monotonic_ms() - began:.0f} ms")  # noqa: T201 - the figure of decision 82
        sent = Counter(step.connect.media_url for step in steps if step.WhichOneof("step") == "connect")
        assert sent == {"wss://one.example": 50, "wss://two.example": 50}
        said = [step.say.text for step in steps if step.WhichOneof("step") == "say"]
        assert said == [BUSY] * 100
        async with plane.control.db.system() as tx:
            told = await tx.fetch("SELECT status, end_reason, count(*) FROM calls GROUP BY 1, 2 ORDER BY 1")
        assert [tuple(row) for row in told] == [("failed", "no_capacity", 100), ("ringing", None, 100)]

    async def test_a_place_is_free_again_when_its_call_is_over(self, plane: Plane, line: Line) -> None:
        async with linked(plane, places=1, url="wss://one.example") as node:
            step = await self.ring(plane, 1)
            assert step.connect.media_url == "wss://one.example"
            assert (await self.ring(plane, 2)).WhichOneof("step") == "say", "it is on its way"
            again = await self.ring(plane, 1)
            assert again.connect.media_url == "wss://one.example", "asked again, the answer is the same"
            opening = pb.OpenSessionRequest(token=again.connect.token, call_sid="CA1", stream_sid="MZ", node=node.name)
            await runtime_pb2_grpc.MediaServiceStub(plane.channel).OpenSession(opening, metadata=plane.node())
            assert (await self.ring(plane, 3)).WhichOneof("step") == "say", "it is there"
            async with plane.control.db.system() as tx:
                await ending.end_call(tx, await calls.lock_by_sid(tx, "CA1"), "completed", now(), "caller")  # type: ignore[arg-type]
            assert (await self.ring(plane, 4)).WhichOneof("step") == "connect"

    async def test_a_token_that_nobody_used_holds_no_place(self, plane: Plane, line: Line) -> None:
        async with linked(plane, places=1, url="wss://one.example"):
            assert (await self.ring(plane, 1)).WhichOneof("step") == "connect"
            async with plane.control.db.system() as tx:
                await tx.execute("UPDATE calls SET token_expires_at = now() - interval '1 second'")
            assert (await self.ring(plane, 2)).WhichOneof("step") == "connect"

    async def test_one_dies_and_its_calls_go_to_the_other(self, plane: Plane, line: Line) -> None:
        async with linked(plane, "media-2", places=1, url="wss://two.example"):
            async with linked(plane, "media-1", places=9, url="wss://one.example"):
                assert (await line.ring()).connect.media_url == "wss://one.example"
            async with asyncio.timeout(SOON), plane.control.db.system() as tx:
                while await tx.fetchval("SELECT count(link) FROM media_links") > 1:
                    await asyncio.sleep(0.01)
            assert (await line.next()).connect.media_url == "wss://two.example"

    async def test_one_that_misses_its_heartbeat_is_sent_nobody(self, plane: Plane, line: Line) -> None:
        async with (
            linked(plane, "media-1", places=9, url="wss://frozen.example", beat_ms=20) as frozen,
            linked(plane, "media-2", places=2, url="wss://two.example"),
        ):
            await missed(plane, "media-1", 20)
            assert [(await self.ring(plane, n)).connect.media_url for n in (1, 2)] == ["wss://two.example"] * 2
            assert (await self.ring(plane, 3)).say.text == BUSY, "it is there, and takes nobody"
            await frozen.tell(pb.NodeState(places=9, url="wss://back.example", beat_ms=600_000))
            async with asyncio.timeout(SOON), plane.control.db.system() as tx:
                while not await tx.fetchval("SELECT true FROM media_links WHERE url = 'wss://back.example'"):
                    await asyncio.sleep(0.01)
            assert (await self.ring(plane, 4)).connect.media_url == "wss://back.example"

    async def test_a_node_that_died_with_its_control_is_offered_one_call_and_no_more(
        self, plane: Plane, line: Line
    ) -> None:
        """Nobody has noticed yet: its link is open still, and it has more places than all others."""
        async with (
            linked(plane, "media-1", places=900, url="wss://dead.example", beat_ms=600_000) as dead,
            linked(plane, "media-2", places=20, url="wss://two.example", beat_ms=600_000),
        ):
            assert (await line.ring()).connect.media_url == "wss://dead.example"
            assert (await line.next()).connect.media_url == "wss://two.example", "the carrier could not open it"
            found = [(await self.ring(plane, n)).connect.media_url for n in range(2, 7)]
            assert set(found) == {"wss://two.example"}, "and nobody else tries"
            await dead.tell(pb.NodeState(places=900, url="wss://dead.example", beat_ms=600_000))
            async with asyncio.timeout(SOON):
                while (await self.ring(plane, 8)).connect.media_url != "wss://dead.example":
                    async with plane.control.db.system() as tx:
                        await tx.execute(
                            "UPDATE calls SET token_hash = NULL, streams_offered = 0 WHERE call_sid = 'CA8'"
                        )
                    await asyncio.sleep(0.05)

    async def test_control_that_dies_in_the_middle_leaves_a_call_that_is_placed_when_asked_again(
        self, plane: Plane, line: Line
    ) -> None:
        """Its first transaction is committed, and its second never began."""
        async with linked(plane, places=1, url="wss://one.example"):
            await self.ring(plane, 1)
            async with plane.control.db.system() as tx:
                await tx.execute(
                    "UPDATE calls SET token_hash = NULL, token_expires_at = NULL, streams_offered = 0, media_url = NULL"
                )
            assert (await self.ring(plane, 1)).connect.media_url == "wss://one.example"
            assert (await line.record()).status == calls_pb2.CALL_STATUS_RINGING

    async def test_whoever_is_locked_by_another_keeps_nobody_waiting(self, plane: Plane, line: Line) -> None:
        async with linked(plane, places=5, url="wss://one.example"):
            await self.ring(plane, 1)
            async with plane.control.db.system() as tx:
                await calls.lock_by_sid(tx, "CA1")
                waiting = asyncio.create_task(self.ring(plane, 1))  # the first question of the carrier, once more
                assert (await asyncio.wait_for(self.ring(plane, 30), SOON)).WhichOneof("step") == "connect"
            assert (await asyncio.wait_for(waiting, SOON)).WhichOneof("step") == "connect"


class TestCaps:
    """One organization, and one caller, have only so many calls, however many ring at the same instant."""

    @pytest.fixture
    def limits(self) -> dict[str, float]:
        return {"rate_burst": 10_000, "max_calls_per_caller": 3, "max_calls_per_organization": 7}

    async def test_they_are_exact(self, plane: Plane, line: Line) -> None:
        stub = runtime_pb2_grpc.IngressServiceStub(plane.channel)

        async def ring(number: int, caller: str) -> pb.CarrierStep:
            request = pb.RouteCallRequest(call_sid=f"CA{number}", from_e164=caller, to_e164=NUMBER)
            return (await stub.RouteCall(request, metadata=plane.node("gateway", "gateway-1"), timeout=120)).step

        async with linked(plane, places=100):
            steps = await asyncio.gather(*(ring(n, CALLER) for n in range(20)))
            assert sum(step.WhichOneof("step") == "connect" for step in steps) == 3
            steps += await asyncio.gather(*(ring(n, "anonymous") for n in range(20, 40)))
            assert sum(step.WhichOneof("step") == "connect" for step in steps) == 7
            steps += await asyncio.gather(*(ring(n, f"+1415555{n:04}") for n in range(40, 45)))
            assert sum(step.WhichOneof("step") == "connect" for step in steps) == 7
            assert {step.say.text for step in steps if step.WhichOneof("step") == "say"} == {BUSY}
            refused = next(n for n, step in enumerate(steps) if step.WhichOneof("step") == "say")
            assert (await ring(refused, CALLER)).say.text == BUSY, "asked again, the answer is the same"
        async with plane.control.db.system() as tx:
            told = await tx.fetch("SELECT status, end_reason, count(*) FROM calls GROUP BY 1, 2 ORDER BY 2")
        assert [tuple(row) for row in told] == [
            ("busy", "calls_of_caller", 33),  # callers who withhold their number share half
            ("busy", "calls_of_organization", 5),
            ("ringing", None, 7),
        ]

    async def test_a_call_that_nobody_has_takes_no_place(self, plane: Plane, line: Line) -> None:
        """While lost calls are looked up at a carrier that hangs, others are not told that all lines are busy."""
        stub = runtime_pb2_grpc.IngressServiceStub(plane.channel)

        async def ring(number: int) -> str:
            request = pb.RouteCallRequest(call_sid=f"CA{number}", from_e164=CALLER, to_e164=NUMBER)
            answer = await stub.RouteCall(request, metadata=plane.node("gateway", "gateway-1"), timeout=120)
            return str(answer.step.WhichOneof("step"))

        async with linked(plane, places=100):
            assert [await ring(n) for n in range(4)] == ["connect"] * 3 + ["say"]
            async with plane.control.db.system() as tx:
                await tx.execute("UPDATE calls SET lost_at = now() WHERE call_sid IN ('CA0', 'CA1')")
            assert [await ring(n) for n in range(4, 7)] == ["connect", "connect", "say"]


async def missed(plane: Plane, node: str, beat_ms: int) -> None:
    """Wait until a process has missed its signs of life."""
    async with asyncio.timeout(SOON):
        while True:
            async with plane.control.db.system() as tx:
                if await tx.fetchval(
                    "SELECT seen_at < now() - $2 * interval '3 ms' FROM media_links WHERE node = $1", node, beat_ms
                ):
                    return
            await asyncio.sleep(0.01)
