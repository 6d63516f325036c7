"""Control knows its media processes by their links: where callers are sent, and how long `next` waits for a report."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from grpc import aio

from control.calls.rules import MAX_OFFERS
from control.calls.sentences import Sentence, sentence
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2, calls_pb2_grpc, flows_pb2, flows_pb2_grpc, numbers_pb2, numbers_pb2_grpc, runtime_pb2_grpc
from hum.v1 import runtime_pb2 as pb
from tests.control.conftest import Plane

NUMBER, CALLER, SID = "+13175550100", "+13175550199", "CA1"
SOON = 10.0  # far less than what is waited for in vain
MANY = 50
BUSY = sentence(Sentence.BUSY, "de")[0]


class Node:
    """A media process, as control sees it."""

    def __init__(self, plane: Plane, name: str, refuses: str) -> None:
        self.name, self._refuses, self._metadata = name, refuses, plane.node(name=name)
        self._stub = runtime_pb2_grpc.MediaServiceStub(plane.channel)

    async def link(self) -> None:
        self._call = self._stub.Link(metadata=self._metadata)
        await self._call.write(pb.LinkUp(hello=pb.LinkHello(state=pb.NodeState(refuses=self._refuses))))
        assert (await self._call.read()).WhichOneof("down") == "acknowledged_seq"

    async def say(self, refuses: str) -> None:
        await self._call.write(pb.LinkUp(state=pb.NodeState(refuses=refuses)))

    async def open(self, token: str) -> None:
        opening = pb.OpenSessionRequest(token=token, call_sid=SID, stream_sid="MZ", node=self.name)
        await self._stub.OpenSession(opening, metadata=self._metadata)

    def die(self) -> None:
        self._call.cancel()


@asynccontextmanager
async def linked(plane: Plane, name: str = "media-1", refuses: str = "") -> AsyncIterator[Node]:
    node = Node(plane, name, refuses)
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
