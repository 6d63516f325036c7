"""Requests that are cut off: each is logged and measured once, and its servicer's resources are released."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import grpc
import pytest
import structlog
from google.rpc import error_details_pb2
from grpc import aio
from grpc_status import rpc_status
from hypothesis import example, given
from hypothesis import strategies as st

from control.audit.usecases import append_read, append_request
from control.base.rates import Rates
from control.base.streams import StreamLimits
from control.boundary import (
    AuditLog,
    Boundary,
    NodeContext,
    RateLimits,
    RequestContext,
    TenantContext,
    TransactionContext,
    incoming,
)
from control.boundary.context import require_fit
from control.boundary.method import Method
from control.boundary.requestconcurrency import ConcurrencyLimits
from control.boundary.status import status
from hum.contract.errors import FieldError, InvalidRequest
from hum.v1 import calls_pb2, calls_pb2_grpc, flows_pb2, flows_pb2_grpc
from tests.control.conftest import UNLIMITED, Plane
from tests.support.cases import in_turn
from tests.support.databases import blocked
from tests.support.metrics import sample
from tests.support.waits import until

LIST, STREAM = "/hum.v1.FlowsService/ListFlows", "/hum.v1.CallsService/StreamCall"


def measured(method: str, code: str) -> float:
    return sample("hum_rpc_seconds_count", {"method": method, "code": code}) or 0


@pytest.fixture
def limits() -> dict[str, float]:
    """A request that is cut while it waits for a lock is not to be refused for that first."""
    return {**UNLIMITED, "lock_seconds": 60}


@pytest.fixture
def transit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request may be on its way for long: on a busy machine it is."""
    monkeypatch.setattr(incoming, "IN_TRANSIT_SECONDS", 60)


@pytest.fixture
def logged() -> Iterator[Callable[[str], list[str]]]:
    """The codes that were logged for a method."""
    with structlog.testing.capture_logs() as lines:
        yield lambda method: [line.get("code", line["event"]) for line in lines if line.get("method") == method]


class Talker:
    """A servicer whose stream sends one message, then others for as long as it is read."""

    def __init__(self, *, pause_seconds: float = 0) -> None:
        self.pause_seconds, self.closed = pause_seconds, asyncio.Event()

    def __getattr__(self, _: str) -> Any:
        return self.StreamCall  # for the service's other methods, which are never called

    async def StreamCall(self, _: calls_pb2.StreamCallRequest, ctx: RequestContext) -> AsyncIterator[Any]:
        try:
            while True:
                yield calls_pb2.StreamCallResponse(delta=calls_pb2.TranscriptDelta(text="word " * 1000))
                await asyncio.sleep(self.pause_seconds)
        finally:
            self.closed.set()


@asynccontextmanager
async def stream(plane: Plane, talker: Talker, *, recheck_seconds: float = 60, **options: Any) -> AsyncIterator[Any]:
    """The first message of the talker's stream has been read."""
    boundary = Boundary(
        plane.control.db,
        [b"k"],
        RateLimits(Rates(100, 100), Rates(100, 100), Rates(100, 100), Rates(100, 100)),
        StreamLimits(100, 100),
        ConcurrencyLimits(4, 5),
        keep_keys=timedelta(hours=1),
        lease=timedelta(minutes=1),
        bus=plane.control.bus,
        audit=AuditLog(append_request, append_read),
        recheck_seconds=recheck_seconds,
    )
    server, me = aio.server(), await plane.tenant()
    server.add_generic_rpc_handlers(
        tuple(boundary.handlers({calls_pb2.DESCRIPTOR.services_by_name["CallsService"]: talker}))
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = calls_pb2_grpc.CallsServiceStub(channel).StreamCall(
                calls_pb2.StreamCallRequest(id="x"), metadata=me, **options
            )
            await call.read()
            yield call
    finally:
        await server.stop(0)


@pytest.mark.usefixtures("transit")
@pytest.mark.parametrize("code", ["CANCELLED", "DEADLINE_EXCEEDED"])
async def test_a_cut_request_is_logged_and_measured(plane: Plane, logged: Any, code: str) -> None:
    stub, me, before = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant(), measured(LIST, code)
    await stub.ListFlows(flows_pb2.ListFlowsRequest(), metadata=me)
    async with plane.control.db.system() as tx:
        await tx.execute("LOCK TABLE flows IN ACCESS EXCLUSIVE MODE")
        call = stub.ListFlows(
            flows_pb2.ListFlowsRequest(), metadata=me, timeout=5 if code == "DEADLINE_EXCEEDED" else 600
        )
        await until(lambda: blocked(tx))
        if code == "CANCELLED":
            call.cancel()
        with pytest.raises((aio.AioRpcError, asyncio.CancelledError)):
            await call
        assert (await call.code()).name == code
        await until(lambda: measured(LIST, code) > before)
    assert measured(LIST, code) == before + 1
    assert logged(LIST) == ["OK", code]
    await stub.ListFlows(flows_pb2.ListFlowsRequest(), metadata=me)  # and no connection was lost with it


@pytest.mark.usefixtures("transit")
@pytest.mark.parametrize("pause_seconds", [0, 30], ids=["while it writes", "while it waits"])
@pytest.mark.parametrize("code", ["CANCELLED", "DEADLINE_EXCEEDED"])
async def test_a_cut_stream_is_logged_measured_and_closed(
    plane: Plane, logged: Any, code: str, pause_seconds: float
) -> None:
    talker, before = Talker(pause_seconds=pause_seconds), measured(STREAM, code)
    async with stream(plane, talker, timeout=5 if code == "DEADLINE_EXCEEDED" else 600) as call:
        await asyncio.sleep(0.2)  # nobody reads: the stream is full, or has nothing to say
        if code == "CANCELLED":
            call.cancel()
        await asyncio.wait_for(talker.closed.wait(), 30)
        await until(lambda: measured(STREAM, code) > before)
        assert grpc.StatusCode[code] is await call.code()
    assert measured(STREAM, code) == before + 1
    assert logged(STREAM) == [code]


async def test_a_reader_that_goes_in_the_middle_closes_the_stream(plane: Plane, logged: Any) -> None:
    talker, before = Talker(), measured(STREAM, "CANCELLED")
    async with stream(plane, talker) as call:
        del call
    await asyncio.wait_for(talker.closed.wait(), 30)  # its channel is closed
    await until(lambda: measured(STREAM, "CANCELLED") > before)
    assert logged(STREAM) == ["CANCELLED"]


@given(st.lists(st.tuples(st.text(max_size=400), st.text(max_size=400)), max_size=120))
@example([("a", "b")] * 2000)
@example([("\U0001f600" * 300, "\U0001f600" * 300)] * 50)
@example([('a["\ud800"]', "\udfff")])
def test_a_status_fits_into_what_grpc_carries(problems: list[tuple[str, str]]) -> None:
    made = status(InvalidRequest([FieldError(*each) for each in problems]), "req_1")
    carried = rpc_status.to_status(made)
    size = len(quote(carried.details or "")) + sum(len(value) * 4 / 3 for _, value in carried.trailing_metadata)
    assert size < 7_500, "the rest is for rates and request ids"
    bad = [each for each in made.details if each.Is(error_details_pb2.BadRequest.DESCRIPTOR)]
    assert len(bad) == bool(problems)
    for each in bad:
        shown = error_details_pb2.BadRequest.FromString(each.value).field_violations
        assert len(shown) == len(problems) or shown[-1].description == f"and {len(problems) - len(shown) + 1} more"


# --- what arrives is not always what a client of ours sends ----------------------------------------------------------

GARBAGE = b"\xff\xff\xff\xff\x0f\x08"


async def refused(call: Any) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_bytes_that_are_no_message_are_the_clients_mistake(plane: Plane) -> None:
    me, node = await plane.tenant(), plane.node("gateway")
    for method, metadata in (
        (LIST, me),
        ("/hum.v1.NumbersService/BuyNumber", me),
        ("/hum.v1.IngressService/RouteCall", node),
    ):
        raw: aio.UnaryUnaryMultiCallable[bytes, bytes] = plane.channel.unary_unary(method)
        error = await refused(raw(GARBAGE, metadata=metadata))
        assert (error.code().name, "wire format" in str(error.details())) == ("INVALID_ARGUMENT", True), method
    raw = plane.channel.unary_unary(LIST)
    error = await refused(raw(GARBAGE))
    assert error.code().name == "UNAUTHENTICATED", "who isn't known learns nothing of the message"
    for method, metadata in ((STREAM, me), ("/hum.v1.MediaService/Link", plane.node())):
        open_call: Any = plane.channel.unary_stream if method == STREAM else plane.channel.stream_stream
        message = GARBAGE if method == STREAM else iter([GARBAGE])
        call = open_call(method)(message, metadata=metadata)
        error = await refused(asyncio.wait_for(anext(aiter(call)), 60))
        assert error.code().name == "INVALID_ARGUMENT", method


@in_turn(("seconds",), [2**62, -(2**62), 253402300800, -62135596801])
async def test_a_time_that_no_calendar_has_is_the_clients_mistake(plane: Plane, seconds: int) -> None:
    me, request = await plane.tenant(), calls_pb2.ListCallsRequest()
    request.created_from.seconds = seconds
    error = await refused(calls_pb2_grpc.CallsServiceStub(plane.channel).ListCalls(request, metadata=me))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert str(error.details()).startswith("created_from: is not a time from 0001")


@in_turn(("sent", "kept"), [("req-1.a_B", True), ("x" * 129, False), ("a b", False), ("{evil}", False), ("", False)])
async def test_a_request_id_is_echoed_when_it_is_one(plane: Plane, sent: str, kept: bool) -> None:
    me = ((await plane.tenant()), (("x-request-id", sent),) if sent else ())
    metadata = tuple(pair for part in me for pair in part)
    stub = flows_pb2_grpc.FlowsServiceStub(plane.channel)

    async def told(call: Any) -> str:
        with suppress(aio.AioRpcError):
            await call
        return str(dict(await call.trailing_metadata())["x-request-id"])

    for request in (flows_pb2.ListFlowsRequest(), flows_pb2.ListFlowsRequest(limit=0)):
        echoed = await told(stub.ListFlows(request, metadata=metadata))
        assert (echoed == sent) is kept
        assert kept or echoed.startswith("req_")


@pytest.mark.parametrize(
    ("annotation", "fits"),
    [
        (RequestContext, True),
        (TenantContext, True),
        (TransactionContext, False),
        (NodeContext, False),
        (None, False),
    ],
)
def test_a_servicer_states_a_context_that_its_method_gets(annotation: type | None, fits: bool) -> None:
    def stream_call(request: Any, ctx: Any) -> None:
        pytest.fail("only its signature is read")

    stream_call.__annotations__["ctx"] = annotation
    options = Method.of(calls_pb2.DESCRIPTOR.services_by_name["CallsService"].methods_by_name["StreamCall"], Talker())
    method = replace(options, handler=stream_call)
    if fits:
        require_fit(method)
        return
    with pytest.raises(AssertionError, match="StreamCall gets a TenantContext, but its servicer states"):
        require_fit(method)
