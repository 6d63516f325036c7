"""The proxies of deploy/proxies, run: TLS, signatures, media streams, events, and whose address the limits count."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp import web

from hum.process.sockets import free_port
from hum.secrets import API_KEY_CHARS, API_KEY_PREFIX
from tests.e2e.conftest import ACCOUNT, CALLER, NUMBER
from tests.e2e.frontproxies import BURST, House, Proxy, answered, certificate, example, house, name, running, serves
from tests.support.waits import patience, until

__all__ = ["certificate", "house", "name"]
pytestmark = pytest.mark.nodes
LISTENS = {"do": "wait_for_agent_to_talk", "for_ms": 200, "timeout_ms": 30_000}
STAYS: list[dict[str, Any]] = [LISTENS, *({"do": "wait", "ms": 2_000}, {"do": "press", "digits": "1"}) * 60]
UNKNOWN = {"Authorization": f"Bearer {API_KEY_PREFIX}{'0' * API_KEY_CHARS}"}


async def test_a_call_through_the_proxy(house: House, name: str) -> None:
    async with house.client() as http:
        await answered(http)
        call = await house.carrier.ring(NUMBER, CALLER, STAYS)
        record: dict[str, str] = {}
        async with patience():
            while record.get("status") != "in_progress":
                record = next(iter((await http.get("/api/calls")).json()["calls"]), {})
                await asyncio.sleep(0.05)

        # Events come while the call goes on: nothing on the way keeps them.
        async with http.stream("GET", f"/api/calls/{record['id']}/stream", headers={"Last-Event-ID": "0"}) as events:
            assert events.status_code == 200
            async for line in events.aiter_lines():
                if line.startswith("event: "):
                    break
        if name != "caddy":  # whose reload ends calls, as its example says
            house.proxy.reload(name)
            await asyncio.sleep(1)
            await serves(house)
        assert not call.is_over
        call.hang_up()
        await call.ended()
        async with patience():
            while record["status"] != "completed":
                record = (await http.get(f"/api/calls/{record['id']}")).json()
                await asyncio.sleep(0.05)
    assert record["end_reason"] == "caller"


async def test_a_stranger_can_not_sign(house: House) -> None:
    async with house.client() as http:
        unsigned = await http.post("/twilio/voice", data={"CallSid": "CA1", "AccountSid": ACCOUNT})
    assert unsigned.status_code == 403


async def test_limits_count_the_clients_address(house: House) -> None:
    async with house.client("127.0.0.2", UNKNOWN) as http:
        forged = [{"X-Forwarded-For": f"203.0.113.{number}"} for number in range(BURST + 1)]
        statuses = [(await http.get("/api/flows", headers=each)).status_code for each in forged]
    assert statuses == [401] * BURST + [429], "what a client writes of itself changes nothing"
    async with house.client("127.0.0.3", UNKNOWN) as http:
        assert (await http.get("/api/flows")).status_code == 401, "another client has limits of its own"


HALF = 60


async def test_whoever_stops_within_a_head_is_closed_soon(house: House, name: str) -> None:
    if name == "caddy":
        pytest.skip("its example leaves this to Caddy")
    port = int(house.url.rpartition(":")[2])

    async def half() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=house.trust, server_hostname="localhost")
        writer.write(b"POST /api/flows HTTP/1.1\r\nHost: localhost\r\nX-")
        with contextlib.suppress(ConnectionError):
            while await reader.read(1 << 16):
                pass
        writer.close()
        return True

    async with asyncio.timeout(45):  # a deadline that is meant to run out where the proxy waits for a minute
        strangers = [asyncio.create_task(half()) for _ in range(HALF)]
        async with house.client() as http:
            assert (await http.get("/api/flows")).status_code == 200
        assert all(await asyncio.gather(*strangers))


#: As somebody may write what a signature is over; a proxy that makes them tidy makes it a forged one.
TARGETS = (
    *("/twilio/%41", "/twilio//voice", "/twilio/./voice", "/twilio/a/../voice", "/twilio/a%2Fb", "/twilio/a;b=1"),
    *("/twilio/voice?a=%20+b", "/twilio/voice?", "/twilio/voice?a=1&a=2", "/twilio/%c3%a4", "/twilio/voice/"),
    *("/twilio/~a!$'()*,=:@", "/twilio/%25"),
)
SOCKETS, EVERY_SECONDS, RELOADS, END = 50, 0.02, 3, "end"


@dataclass
class Plain:
    """The proxy, and behind it servers that say what they were asked: gateway, media, and another media process."""

    proxy: Proxy
    port: int
    trust: ssl.SSLContext
    #: Streams that each media process has begun.
    begun: list[int]
    #: One of the media processes drains: it refuses what is new.
    drains: asyncio.Event

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"


async def say_target(request: web.Request) -> web.Response:
    return web.Response(text=request.raw_path)


def two_media(name: str, text: str, first: str, second: str) -> str:
    """As the examples say: one line for each."""
    line, more = {
        "nginx": (f"    server {first};", f"    server {second};"),
        "haproxy": (f"    server a {first} check", f"    server b {second} check"),
        "caddy": (f"reverse_proxy {first} {{", ""),
    }[name]
    assert line in text
    return text.replace(line, f"{line}\n{more}") if more else text.replace(line, f"reverse_proxy {first} {second} {{")


@pytest.fixture
async def plain(name: str, tmp_path: Path, certificate: Path) -> AsyncIterator[Plain]:
    trust = ssl.create_default_context(cafile=certificate / "fullchain.pem")
    begun, drains = [0, 0], asyncio.Event()

    def media(number: int) -> web.Application:
        async def echo(request: web.Request) -> web.StreamResponse:
            if number == 0 and drains.is_set():
                raise web.HTTPServiceUnavailable
            begun[number] += 1
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                await socket.send_str(message.data)
            return socket

        async def ready(_: web.Request) -> web.Response:
            return web.Response(status=503 if number == 0 and drains.is_set() else 200)

        made = web.Application()
        made.add_routes([web.get("/media/twilio", echo), web.get("/readyz", ready)])
        return made

    said = web.Application()
    said.add_routes([web.route("*", "/{any:.*}", say_target)])
    async with AsyncExitStack() as stack:
        ports = []
        for app in (said, media(0), media(1)):
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            ports.append(free_port("127.0.0.1"))
            await web.TCPSite(runner, "127.0.0.1", ports[-1]).start()
        gateway_at, *media_at = (f"127.0.0.1:{port}" for port in ports)
        port = free_port("127.0.0.1")
        text = example(name, certificate, port, {"gateway": gateway_at, "media": media_at[0]})
        proxy = await stack.enter_async_context(running(name, two_media(name, text, *media_at), tmp_path))
        made = Plain(proxy, port, trust, begun, drains)
        async with aiohttp.ClientSession() as http:
            await until(lambda: answers(http, f"{made.url}/", trust))
        yield made


async def answers(http: aiohttp.ClientSession, url: str, trust: ssl.SSLContext) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        async with http.get(url, ssl=trust) as response:
            return response.status == 200
    return False


async def test_what_is_signed_arrives_as_it_was_sent(plain: Plain) -> None:
    arrived = []
    for target in TARGETS:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", plain.port, ssl=plain.trust, server_hostname="localhost"
        )
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        async with patience():
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        writer.close()
        assert b" 200 " in head, (target, head)
        arrived.append(body.decode())
    assert arrived == list(TARGETS)


@dataclass
class Streams:
    """Sockets whose every frame has a number."""

    sockets: list[aiohttp.ClientWebSocketResponse]
    sent: int = 0

    async def talk(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            for socket in self.sockets:
                await socket.send_str(str(self.sent))
            self.sent += 1
            await asyncio.sleep(EVERY_SECONDS)
        for socket in self.sockets:
            await socket.send_str(END)


async def heard(socket: aiohttp.ClientWebSocketResponse) -> int:
    """How many frames came back, in order, until the last one, or until it is closed."""
    count = 0
    while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT and message.data != END:
        assert message.data == str(count)
        count += 1
    return count


async def ask(http: aiohttp.ClientSession, plain: Plain, stop: asyncio.Event) -> list[object]:
    """What failed of requests, one after another, each on a connection of its own."""
    failed = list[object]()
    while not stop.is_set():
        try:
            async with http.get(f"{plain.url}/", ssl=plain.trust, headers={"Connection": "close"}) as response:
                if response.status != 200:
                    failed.append(response.status)
        except aiohttp.ClientError as error:
            failed.append(repr(error))
    return failed


async def test_reloads_under_many_sockets_cut_none_and_refuse_nobody(plain: Plain, name: str) -> None:
    if name == "caddy":
        pytest.skip("its reload ends calls, as its example says")
    stop, master = asyncio.Event(), psutil.Process(plain.proxy.process.pid)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        url = f"wss://localhost:{plain.port}/media/twilio"
        streams = Streams([await http.ws_connect(url, ssl=plain.trust) for _ in range(SOCKETS)])
        talking = asyncio.create_task(streams.talk(stop))
        hearing = [asyncio.create_task(heard(socket)) for socket in streams.sockets]
        asking = asyncio.create_task(ask(http, plain, stop))
        for _ in range(RELOADS):
            before, sent = {each.pid for each in master.children()}, streams.sent
            plain.proxy.reload(name)
            await until(partial(lambda before: {each.pid for each in master.children()} - before, before))
            await until(
                partial(lambda sent: streams.sent > sent + 20 or talking.done(), sent)
            )  # beside the old workers
        stop.set()
        await talking
        async with patience():
            assert await asyncio.gather(*hearing) == [streams.sent] * SOCKETS
        assert await asking == []


async def test_whoever_comes_while_one_media_process_drains_is_answered_by_the_other(plain: Plain, name: str) -> None:
    if name == "caddy":
        pytest.skip("its example tries another one only if a process accepts no connection")
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        url = f"wss://localhost:{plain.port}/media/twilio"
        first = [await http.ws_connect(url, ssl=plain.trust) for _ in range(4)]
        assert all(plain.begun), "both take calls"
        plain.drains.set()
        before = list(plain.begun)
        later = await asyncio.gather(*(http.ws_connect(url, ssl=plain.trust) for _ in range(SOCKETS)))
        assert [now - then for now, then in zip(plain.begun, before, strict=True)] == [0, SOCKETS]
        assert not any(socket.closed for socket in (*first, *later))
