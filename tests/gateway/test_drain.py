"""The gateway's end: whoever is connected is answered, nobody is accepted any more."""

import asyncio
from pathlib import Path

import pytest

from gateway import app
from hum.process.sockets import free_port
from hum.settings import GatewaySettings
from tests.support.waits import patience

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: hum\r\n\r\n"


async def test_a_request_of_a_connection_from_before_the_drain_is_answered_as_its_last(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    settings = GatewaySettings(home=tmp_path, gateway_listen=f"127.0.0.1:{port}", linger_seconds=10, drain_seconds=10)
    serving = app.serve(settings)
    await serving.__aenter__()
    new_reader, new = await asyncio.open_connection("127.0.0.1", port)
    used_reader, used = await asyncio.open_connection("127.0.0.1", port)
    used.write(REQUEST)
    assert b"connection: close" not in (await used_reader.readuntil(b"ok\n")).lower()

    draining = asyncio.ensure_future(serving.__aexit__(None, None, None))
    async with patience():
        while True:
            try:
                (await asyncio.open_connection("127.0.0.1", port))[1].close()
            except ConnectionRefusedError:
                break
            await asyncio.sleep(0.02)
    for reader, writer in ((new_reader, new), (used_reader, used)):
        writer.write(REQUEST)
        answer = await asyncio.wait_for(reader.read(), 30)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer.lower()
        writer.close()
    await asyncio.wait_for(draining, 60)


async def test_a_connection_that_asks_for_nothing_is_not_waited_for(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    settings = GatewaySettings(home=tmp_path, gateway_listen=f"127.0.0.1:{port}", linger_seconds=0.2, drain_seconds=60)
    async with app.serve(settings):
        reader, _ = await asyncio.open_connection("127.0.0.1", port)
    assert await asyncio.wait_for(reader.read(), 30) == b""


async def test_a_socket_that_is_taken_is_a_sentence(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    settings = GatewaySettings(home=tmp_path, gateway_listen=f"127.0.0.1:{port}", drain_seconds=0)
    async with app.serve(settings):
        with pytest.raises(SystemExit, match=rf"can't listen on 127.0.0.1:{port} \(HUM_GATEWAY_LISTEN\)"):
            async with app.serve(settings):
                pass
