"""Control's own port under strangers: they are refused before their messages are read, and hold nothing."""

import asyncio
import base64
import gc
import json
from collections.abc import AsyncIterator
from itertools import product
from typing import Any
from unittest.mock import Mock

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from control import server
from control.boundary import boundary, requestconcurrency
from control.boundary.incoming import IncomingRequest
from hum import rpc, secrets
from hum.v1 import flows_pb2, flows_pb2_grpc
from tests.control.conftest import Plane
from tests.support.cases import in_turn
from tests.support.waits import patience, until

UNARY, STREAM, NODES = (
    "/hum.v1.FlowsService/CreateFlow",
    "/hum.v1.ContactsService/ExportContacts",
    "/hum.v1.IngressService/RouteCall",
)
CHECK, REFLECT = (
    "/grpc.health.v1.Health/Check",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)


async def never() -> AsyncIterator[bytes]:
    """A message that doesn't come."""
    await asyncio.Event().wait()
    yield b""


async def code_of(plane: Plane, method: str, metadata: tuple[tuple[str, str], ...]) -> grpc.StatusCode:
    """How a request is answered whose message never comes."""
    async with patience():
        if method == STREAM:
            both: aio.StreamStreamMultiCallable[bytes, bytes] = plane.channel.stream_stream(method)
            return await both(never(), metadata=metadata).code()
        one: aio.StreamUnaryMultiCallable[bytes, bytes] = plane.channel.stream_unary(method)
        return await one(never(), metadata=metadata).code()


@in_turn(
    ("method", "credential"),
    list(product((UNARY, STREAM), ("", rpc.BEARER_SCHEME + secrets.new_api_key(), "nonsense"))),
)
async def test_strangers_are_refused_before_their_message(plane: Plane, method: str, credential: str) -> None:
    metadata = ((rpc.CREDENTIAL, credential),) if credential else ()
    assert await code_of(plane, method, metadata) is grpc.StatusCode.UNAUTHENTICATED


@in_turn(("head",), [{"crit": 1}, {"crit": [1]}, {"alg": []}, {}, [], None])
async def test_made_up_node_tokens_are_refused_before_their_message(plane: Plane, head: object) -> None:
    head = {"alg": "HS256", **head} if isinstance(head, dict) else head
    token = ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in (json.dumps(head).encode(), b"{}"))
    made_up = ((rpc.CREDENTIAL, f"{rpc.NODE_SCHEME}{token}.AAAA"),)
    assert await code_of(plane, NODES, made_up) is grpc.StatusCode.PERMISSION_DENIED


async def test_no_message_is_no_request(plane: Plane) -> None:
    async def nothing() -> AsyncIterator[bytes]:
        for each in tuple[bytes, ...]():
            yield each

    async with patience():
        unary: aio.StreamUnaryMultiCallable[bytes, bytes] = plane.channel.stream_unary(UNARY)
        code = await unary(nothing(), metadata=await plane.tenant()).code()
    assert code is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", [UNARY, STREAM])
async def test_half_a_message_of_a_tenant_ends_soon(plane: Plane, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert boundary.MESSAGE_SECONDS <= 5
    monkeypatch.setattr(boundary, "MESSAGE_SECONDS", 0.1)
    assert await code_of(plane, method, await plane.tenant()) is grpc.StatusCode.INVALID_ARGUMENT


async def test_health_is_asked_and_not_watched(plane: Plane) -> None:
    stub: Any = health_pb2_grpc.HealthStub(plane.channel)
    answer = await stub.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with pytest.raises(aio.AioRpcError) as refused:
        async with patience():
            await stub.Watch(health_pb2.HealthCheckRequest()).read()
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_health_check_waits_for_no_message(plane: Plane) -> None:
    check: aio.StreamUnaryMultiCallable[bytes, bytes] = plane.channel.stream_unary(CHECK)
    async with patience():
        answer = await check(never())
    assert health_pb2.HealthCheckResponse.FromString(answer).status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_is_for_few_at_a_time_and_ends(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_REFLECTIONS", 2)
    reflect: aio.StreamStreamMultiCallable[bytes, bytes] = plane.channel.stream_stream(REFLECT)
    kept = [reflect(never()) for _ in range(2)]
    async with patience():
        for each in kept:
            await each.wait_for_connection()
        assert await reflect(never()).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for each in kept:
            each.cancel()
        monkeypatch.setattr(server, "REFLECTION_SECONDS", 0.1)
        while (code := await reflect(never()).code()) is grpc.StatusCode.RESOURCE_EXHAUSTED:
            await asyncio.sleep(0.01)
    assert code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_reflection_that_is_refused_or_ends_leaves_nothing_behind(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    reflect: aio.StreamStreamMultiCallable[bytes, bytes] = plane.channel.stream_stream(REFLECT)
    monkeypatch.setattr(server, "REFLECTION_SECONDS", 0.01)
    gc.collect()
    gc.disable()
    try:
        before = contexts_in_memory()
        for most in (0, 8):
            monkeypatch.setattr(server, "MOST_REFLECTIONS", most)
            for _ in range(5):
                async with patience():
                    await reflect(never()).code()
        await until(lambda: contexts_in_memory() <= before)
    finally:
        gc.enable()


def contexts_in_memory() -> int:
    return sum(type(each).__name__ == "_ServicerContext" for each in gc.get_objects())


async def test_reflection_that_a_client_does_not_read_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    is_closed = False

    async def answers(*_: object) -> AsyncIterator[bytes]:
        nonlocal is_closed
        try:
            yield b""
        finally:
            is_closed = True

    monkeypatch.setattr(reflection.aio.ReflectionServicer, "ServerReflectionInfo", answers)
    monkeypatch.setattr(server, "REFLECTION_SECONDS", 0.01)
    context = Mock(write=lambda _: asyncio.Event().wait())
    await server._Reflection([]).ServerReflectionInfo(never(), context)  # type: ignore[arg-type]
    assert is_closed
    context.set_code.assert_called_once_with(grpc.StatusCode.DEADLINE_EXCEEDED)


async def test_an_organizations_messages_are_read_few_at_a_time(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    """And another's at once."""
    monkeypatch.setattr(boundary, "MESSAGE_SECONDS", 3600.0)
    only, reading = boundary._only, 0

    async def counted(sent: AsyncIterator[bytes]) -> bytes:
        nonlocal reading
        reading += 1
        try:
            return await only(sent)
        finally:
            reading -= 1

    monkeypatch.setattr(boundary, "_only", counted)
    tenant, other = await plane.tenant("Many"), await plane.tenant("Other")
    create: aio.StreamUnaryMultiCallable[bytes, bytes] = plane.channel.stream_unary(UNARY)
    halves = [create(never(), metadata=tenant) for _ in range(20)]
    await until(lambda: reading == boundary.MESSAGES_AT_ONCE)
    flows = flows_pb2_grpc.FlowsServiceStub(plane.channel)
    async with patience():
        answer = await flows.CreateFlow(flows_pb2.CreateFlowRequest(flow=flows_pb2.Flow(name="F")), metadata=other)
    assert answer.flow.name == "F" and reading == boundary.MESSAGES_AT_ONCE
    monkeypatch.setattr(requestconcurrency, "QUEUED_PER_SLOT", 0)
    async with patience():
        assert "More than 4 incoming messages" in await create(never(), metadata=tenant).details()
    for half in halves:
        half.cancel()
    await until(lambda: not reading)


def requests_in_memory() -> list[IncomingRequest]:
    return [each for each in gc.get_objects() if isinstance(each, IncomingRequest)]


async def test_a_refused_request_leaves_nothing_behind(plane: Plane) -> None:
    """Whatever has arrived of its message would stay with it, until Python collects garbage."""
    assert await code_of(plane, UNARY, ()) is grpc.StatusCode.UNAUTHENTICATED
    gc.collect()
    gc.disable()
    others = {id(request) for request in requests_in_memory()}
    try:
        for method in (UNARY, STREAM):
            for _ in range(20):
                await code_of(plane, method, ())
        await until(lambda: all(id(request) in others for request in requests_in_memory()))
    finally:
        gc.enable()


UNKNOWN_FIELD = b"\xa2\x1f" + b"\xf0\xa2\x04" + b"x" * 70_000


async def test_a_question_is_short(plane: Plane) -> None:
    """Of fields that nobody knows as well: only what is stored is counted."""
    ask: aio.UnaryUnaryMultiCallable[bytes, bytes] = plane.channel.unary_unary("/hum.v1.FlowsService/ListFlows")
    async with patience():
        assert await ask(UNKNOWN_FIELD, metadata=await plane.tenant()).code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("method", ["ChangesService/StreamChanges", "StudioService/PreviewVoice"])
async def test_so_is_the_request_of_a_stream_which_keeps_it(plane: Plane, method: str) -> None:
    ask: aio.UnaryStreamMultiCallable[bytes, bytes] = plane.channel.unary_stream(f"/hum.v1.{method}")
    call = ask(UNKNOWN_FIELD, metadata=await plane.tenant())
    async with patience():
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "is longer than 64 KiB" in str(await call.trailing_metadata())


async def test_one_connection_has_only_so_many_requests(plane: Plane) -> None:
    """Whoever opens and resets them without end is held up by C-core, and not by Python."""
    reader, writer = await asyncio.open_connection("127.0.0.1", plane.control.port)
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    async with patience():
        head = await reader.readexactly(9)
        settings = await reader.readexactly(int.from_bytes(head[:3], "big"))
    writer.close()
    assert head[3] == 4, "the first frame has the settings"
    pairs = {int.from_bytes(settings[n : n + 2], "big"): settings[n + 2 : n + 6] for n in range(0, len(settings), 6)}
    assert int.from_bytes(pairs[3], "big") == rpc.MOST_STREAMS
