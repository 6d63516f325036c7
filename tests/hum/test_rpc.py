"""Channels between planes: quiet ones stay, and every option is one that gRPC knows."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc._cython import cygrpc  # type: ignore[attr-defined]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from hum import rpc
from hum.settings import Common
from tests.support.waits import patience

QUIET_SECONDS = 3.0
#: Its types know no method.
health_stub: Any = health_pb2_grpc.HealthStub


def common(port: int = 1, keepalive_seconds: float = 0.05) -> Common:
    """As short as C-core takes it, and a patience that outlasts a busy machine."""
    return Common(
        control_address=f"127.0.0.1:{port}", keepalive_seconds=keepalive_seconds, keepalive_timeout_seconds=20
    )


async def test_quiet_channels_and_streams_stay() -> None:
    """Sixty keepalives without data: a server that takes three for an attack sends GOAWAY with `too_many_pings`."""
    settings = common()
    server, port = rpc.server(settings, "127.0.0.1:0")
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await server.start()
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    async with rpc.channel(common(port)) as idle, rpc.channel(common(port)) as streaming:
        await health_stub(idle).Check(health_pb2.HealthCheckRequest(), timeout=60)
        assert idle.get_state() is grpc.ChannelConnectivity.READY
        watching = health_stub(streaming).Watch(health_pb2.HealthCheckRequest())
        assert isinstance(await watching.read(), health_pb2.HealthCheckResponse)

        changed = asyncio.create_task(idle.wait_for_state_change(grpc.ChannelConnectivity.READY))
        ended = asyncio.create_task(watching.read())
        done, _ = await asyncio.wait({changed, ended}, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        assert not done, (idle.get_state(), "the stream ended" if ended.done() else "")

        await health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
        answer = await asyncio.wait_for(ended, 60)
        assert isinstance(answer, health_pb2.HealthCheckResponse)
        assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
        changed.cancel()
    await server.stop(None)


async def test_a_server_that_does_not_agree_is_noticed() -> None:
    """What the test above rests on: with other options those channels die."""
    server = aio.server(options=[each for each in rpc.server_options(common()) if "ping_interval" not in each[0]])
    health_pb2_grpc.add_HealthServicer_to_server(HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with rpc.channel(common(port)) as idle:
        with pytest.raises(aio.AioRpcError):  # connects, and finds that nobody knows this service
            await health_stub(idle).Check(health_pb2.HealthCheckRequest(service="x"), timeout=60)
        await asyncio.wait_for(idle.wait_for_state_change(grpc.ChannelConnectivity.READY), 60)
    await server.stop(None)


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    """Serve the health service; yield the port."""
    server, port = rpc.server(common(keepalive_seconds=20), "127.0.0.1:0")
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    await server.start()
    await health.set("", health_pb2.HealthCheckResponse.SERVING)
    try:
        yield port
    finally:
        await server.stop(None)


async def check(channel: aio.Channel, *, wait: bool = True) -> None:
    await health_stub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60, wait_for_ready=wait)


PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", PREFACE[:10], PREFACE], ids=["nothing", "half a preface", "no settings"])
async def test_a_connection_that_agrees_on_nothing_is_closed(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rpc.HANDSHAKE_MS <= 10_000
    monkeypatch.setattr(rpc, "HANDSHAKE_MS", 100)
    async with serving() as port, rpc.channel(common(port, keepalive_seconds=20)) as channel:
        await check(channel)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        async with patience():
            with suppress(ConnectionError):
                while await reader.read(1000):
                    pass
        writer.close()
        await check(channel)
        assert channel.get_state() is grpc.ChannelConnectivity.READY


async def test_a_connection_too_many_is_closed_and_earlier_ones_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "MOST_CONNECTIONS", 2)
    async with serving() as port, AsyncExitStack() as stack:
        first, second, third = [
            await stack.enter_async_context(rpc.channel(common(port, keepalive_seconds=20))) for _ in range(3)
        ]
        await check(first)
        await check(second)
        with pytest.raises(aio.AioRpcError) as refused:
            await check(third, wait=False)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        await check(first)
        await second.close()
        async with patience():
            await check(third)


async def test_an_idle_connection_is_closed_and_its_client_connects_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "IDLE_MS", 100)
    async with serving() as port, AsyncExitStack() as stack:
        idle, streaming = [
            await stack.enter_async_context(rpc.channel(common(port, keepalive_seconds=20))) for _ in range(2)
        ]
        watching = health_stub(streaming).Watch(health_pb2.HealthCheckRequest())
        assert isinstance(await watching.read(), health_pb2.HealthCheckResponse)
        for _ in range(2):
            await check(idle)
            async with patience():
                await idle.wait_for_state_change(grpc.ChannelConnectivity.READY)
        assert idle.get_state() is grpc.ChannelConnectivity.IDLE
        assert streaming.get_state() is grpc.ChannelConnectivity.READY and not watching.done()
        await check(idle)


@pytest.mark.parametrize("connects", [True, False])
async def test_a_channel_is_kept_open_by_a_request_now_and_then(
    monkeypatch: pytest.MonkeyPatch, connects: bool
) -> None:
    assert 4_000 * rpc.KEEP_OPEN_SECONDS <= rpc.IDLE_MS
    monkeypatch.setattr(rpc, "KEEP_OPEN_SECONDS", 0.01)
    async with counting() as (port, peers), rpc.channel(common(port, keepalive_seconds=20)) as channel:
        await check(channel)
        async with kept_open(channel, connects), patience():
            while sum(peers.values()) < 5:
                await asyncio.sleep(0.01)
        assert len(peers) == 1, "one connection"


async def test_a_channel_that_is_not_connected_is_connected_or_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "KEEP_OPEN_SECONDS", 0.05)
    async with counting() as (port, _):
        pass
    async with AsyncExitStack() as stack:
        left, connected = [
            await stack.enter_async_context(rpc.channel(common(port, keepalive_seconds=20))) for _ in range(2)
        ]
        for channel in (left, connected):
            await stack.enter_async_context(kept_open(channel, connects=channel is connected))
        async with patience():
            while connected.get_state() is not grpc.ChannelConnectivity.TRANSIENT_FAILURE:
                await asyncio.sleep(0.01)
        _, peers = await stack.enter_async_context(counting(port))
        async with patience():
            while sum(peers.values()) < 3:
                await asyncio.sleep(0.01)
        assert len(peers) == 1 and left.get_state() is grpc.ChannelConnectivity.IDLE


@asynccontextmanager
async def kept_open(channel: aio.Channel, connects: bool) -> AsyncIterator[None]:
    keeping = asyncio.create_task(rpc.keep_open(channel, connects=connects))
    yield
    assert not keeping.done()
    keeping.cancel()


@asynccontextmanager
async def counting(port: int = 0) -> AsyncIterator[tuple[int, Counter[str]]]:
    """Serve the health service; yield the port, and the number of checks of each connection."""
    peers = Counter[str]()

    class Counting(HealthServicer):
        async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
            if peer := context.peer():  # a request that its client has given up by now has none
                peers[peer] += 1
            return health_pb2.HealthCheckResponse()

    server, port = rpc.server(common(keepalive_seconds=20), f"127.0.0.1:{port}")
    health_pb2_grpc.add_HealthServicer_to_server(Counting(), server)
    await server.start()
    try:
        yield port, peers
    finally:
        await server.stop(None)


async def test_work_runs_to_its_end_however_often_it_is_cancelled() -> None:
    begun, may_end, steps = asyncio.Event(), asyncio.Event(), list[str]()

    async def work() -> str:
        begun.set()
        await may_end.wait()
        steps.append("worked")
        return "result"

    async def run() -> None:
        try:
            steps.append(await rpc.run_to_completion(work()))
        finally:
            steps.append("left")

    cancelled = asyncio.create_task(run())
    await begun.wait()
    for _ in range(3):
        cancelled.cancel()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert steps == []
    may_end.set()
    await asyncio.wait((cancelled,))
    assert cancelled.cancelled() and steps == ["worked", "left"]
    await run()
    assert steps[2:] == ["worked", "result", "left"]


def names(options: rpc.Options) -> Iterator[str]:
    return (name for name, _ in options)


def known(name: str) -> bool:
    """Tell whether the compiled library holds the name as a string of its own."""
    return name.encode() + b"\0" in LIBRARY


LIBRARY = Path(cygrpc.__file__).read_bytes()


@pytest.mark.parametrize("name", sorted({*names(rpc.client_options(common())), *names(rpc.server_options(common()))}))
def test_grpc_knows_every_option(name: str) -> None:
    assert known(name)


def test_an_option_that_grpc_does_not_know_is_found() -> None:
    assert not known("grpc.http2.min_recv_ping_interval_without_data_ms")
    assert not known("grpc.keepalive_time")


def test_each_side_gets_its_own_options() -> None:
    client, server = set(names(rpc.client_options(common()))), set(names(rpc.server_options(common())))
    assert {each for each in client if "reconnect" in each}
    assert not {each for each in server if "reconnect" in each}
    assert {"grpc.so_reuseport", "grpc.http2.min_ping_interval_without_data_ms"} <= server - client
