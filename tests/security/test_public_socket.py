"""The public socket under strangers who idle, stop in the midst, invent, and never read."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway import app as gateway
from hum import secrets
from hum.settings import GatewaySettings
from tests.security.conftest import Edge, carrier_is_answered
from tests.support.metrics import sample
from tests.support.waits import patience
from tests.support.wires import Wire, dial, head, wire

FRESH_KEY = {"Authorization": f"Bearer {secrets.new_api_key()}"}
UNSIGNED = {"Stripe-Signature": "t=1,v1=00"}


FEW_PLACES = {
    "max_connections": 16,
    "carrier_connections": 6,
    "connections_per_address": 8,
    "bodies_bytes": 150_000,
    "bodies_bytes_per_address": 100_000,
    "body_bytes": 70_000,
    "import_bytes": 70_000,
}


@pytest.fixture
def public_socket() -> dict[str, Any]:
    """Little patience."""
    return {"head_seconds": 0.5, "body_seconds": 1.0, "send_seconds": 0.5}


def closed(reason: str) -> float:
    """How many connections the gateways of this process have closed for this reason."""
    return sample("hum_http_connections_closed_total", {"reason": reason}) or 0.0


async def drip(wire: Wire, seconds: float) -> None:
    """A byte now and then, until it is closed."""
    async with asyncio.timeout(seconds):
        try:
            while not wire.reader.at_eof():
                await wire.send("x")
                await asyncio.sleep(0.05)
        except ConnectionError:
            pass


# --- what metrics keep ---------------------------------------------------------------------------------------------


async def test_metrics_keep_no_word_of_a_stranger(edge: Edge) -> None:
    async with wire(edge.url) as stranger:
        for count in range(300):
            await stranger.send(head(f"INVENTED{count}", f"/nowhere/{count}"))
            assert (await stranger.answer())[0] == 404
    async with httpx.AsyncClient(trust_env=False) as http:
        page = (await http.get(f"{edge.metrics_url}/metrics")).text
    assert "INVENTED" not in page and "/nowhere" not in page
    assert 'method="other",route="none",status="404"' in page
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        assert (await http.get("/metrics")).status_code == 404


# --- patience ------------------------------------------------------------------------------------------------------


async def test_idle_connections_and_half_heads_are_closed(edge: Edge) -> None:
    before = closed("head")
    async with wire(edge.url) as idle, wire(edge.url) as half, wire(edge.url) as used:
        await half.send("POST /api/flows HTTP/1.1\r\nHost: x\r\nX-")
        await used.send(head("GET", "/healthz"))
        assert (await used.answer())[0] == 200
        await used.send("GET /heal")
        for each in (idle, half, used):
            assert await each.closed_within(10)
    async with wire(edge.url) as slow:
        await slow.send("GET / HTTP/1.1\r\nX-")
        await drip(slow, 10)  # its bytes buy no time
    assert closed("head") == before + 4


async def test_half_a_body_has_a_deadline(edge: Edge) -> None:
    http = await edge.client()
    headers = {**http.headers, "Content-Type": "application/json", "Content-Length": "5000"}
    for dripping in (False, True):
        async with wire(edge.url) as half:
            await half.send(head("POST", "/api/flows", headers) + '{"name": "')
            dripper = asyncio.create_task(drip(half, 20)) if dripping else None
            status, body = await half.answer()
            assert status == 408 and "did not arrive within 1 s." in body and "request_timeout" in body
            assert await half.closed_within(10)  # and what comes after that is waited for no longer either
            if dripper:
                await dripper


async def test_without_a_credential_no_body_is_read(edge: Edge) -> None:
    for headers, code in (
        ({}, "session_required"),
        ({"Authorization": "Bearer hum_live_short"}, "api_key_required"),
        ({"Authorization": "Bearer " + "x" * 16_384}, "api_key_required"),
        ({"Cookie": "__Host-hum_session=" + "x" * 16_384}, "session_required"),
    ):
        async with wire(edge.url) as stranger:
            # Its head is enough for an answer, and the server does not say that it wants to have the rest.
            more = {"Content-Type": "application/json", "Content-Length": "60000", "Expect": "100-continue"}
            origin = {"Origin": "https://hum.example"}
            await stranger.send(head("POST", "/api/flows", {**headers, **more, **origin}))
            status, body = await stranger.answer()
            assert status == 401 and f'"code":"{code}"' in body, body


async def test_the_rest_of_a_refused_body_is_not_swallowed_for_ever(edge: Edge) -> None:
    length = {"Content-Length": str(1 << 30)}
    async with wire(edge.url) as dripping:
        await dripping.send(head("POST", "/api/flows", length))
        assert (await dripping.answer())[0] == 401
        await drip(dripping, 10)
    async with wire(edge.url) as flooding:
        await flooding.send(head("POST", "/api/flows", length))
        with pytest.raises(ConnectionError):
            async with patience():
                for _ in range(10_000):
                    await flooding.send(b"x" * 65_536)
    async with wire(edge.url) as polite:  # sends its whole body, and may ask again
        await polite.send(head("POST", "/api/flows", {"Content-Length": "60000"}) + "x" * 60_000)
        assert (await polite.answer())[0] == 401
        await polite.send(head("GET", "/healthz"))
        assert (await polite.answer())[0] == 200


@pytest.mark.parametrize("named", [{}, FRESH_KEY], ids=["after its answer", "before it"])
async def test_a_body_of_crumbs_is_not_read(edge: Edge, named: dict[str, str]) -> None:
    before = closed("crumbs")
    async with wire(edge.url) as stranger:
        chunked = {**named, "Transfer-Encoding": "chunked", "Content-Type": "application/json"}
        await stranger.send(head("POST", "/api/flows", chunked))
        if not named:
            assert (await stranger.answer())[0] == 401
        with suppress(ConnectionError):
            await stranger.send("1\r\nx\r\n" * 20_000)
        assert await stranger.closed_within(10)
    assert closed("crumbs") == before + 1
    async with wire(edge.url) as polite:
        await polite.send(head("POST", "/api/flows", chunked) + "4000\r\n" + "x" * 16_384 + "\r\n0\r\n\r\n")
        assert (await polite.answer())[0] in {400, 401}


async def test_a_cookie_costs_no_more_than_it_is_long(edge: Edge) -> None:
    async with httpx.AsyncClient(base_url=edge.url, trust_env=False) as http:
        await http.get("/api/flows")
        for value in ('"' + "\\" * 60_000 + '"', ";" * 60_000, "=" * 60_000):
            began = time.process_time()
            answer = await http.get("/api/flows", headers={"Cookie": f"__Host-hum_session={value}"})
            assert answer.status_code == 401 and time.process_time() - began < 1


async def test_who_never_reads_is_left(edge: Edge) -> None:
    before, stranger = closed("unread"), socket.socket()
    stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stranger.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(stranger, ("127.0.0.1", int(edge.url.rpartition(":")[2])))
    # Less than the kernel would take if it might.
    await loop.sock_sendall(stranger, head("GET", "/openapi.json").encode())
    async with patience():
        while closed("unread") == before:
            await asyncio.sleep(0.05)
    stranger.close()


async def refused(edge: Edge, address: str, status: int) -> str:
    """The body of a refusal with this status, once requests that were sent before are in progress."""
    async with patience():
        while True:
            async with wire(edge.url) as one_more:
                await one_more.send(head("GET", "/api/flows", {"X-Forwarded-For": address, **FRESH_KEY}))
                seen, body = await one_more.answer()
                if seen == status:
                    assert "x-request-id" in one_more.head.lower()
                    return body
            await asyncio.sleep(0.05)


# --- room for all, and for the carrier -----------------------------------------------------------------------------


class TestCrowd:
    """Nobody's time runs out while these tests last."""

    @pytest.fixture
    def public_socket(self) -> dict[str, Any]:
        return FEW_PLACES | {"stripe_webhook_secret": "whsec_x", "head_seconds": 60.0, "body_seconds": 60.0}

    async def test_idle_crowds_make_room_for_the_carrier(self, edge: Edge) -> None:
        async with AsyncExitStack() as stack:
            before = closed("crowded")
            crowd = [await stack.enter_async_context(wire(edge.url)) for _ in range(60)]
            for each in crowd[30:]:
                each.writer.write(b"POST /twilio/voice HTTP/1.1\r\nX-")
            for _ in range(5):
                assert await carrier_is_answered(edge.url)
            assert closed("crowded") >= before + 60 - 16

    async def test_half_bodies_take_no_room_from_the_carrier(self, edge: Edge) -> None:
        half = {"Content-Length": "5000", "X-Twilio-Signature": "A" * 27 + "=", "Content-Type": "text/plain"}
        async with AsyncExitStack() as stack:
            crowd = [await stack.enter_async_context(wire(edge.url)) for _ in range(40)]
            for each in crowd:
                each.writer.write((head("POST", "/twilio/voice", half) + "CallSid=").encode())
            assert await carrier_is_answered(edge.url)

    async def test_an_unsigned_webhook_is_refused_before_its_body(self, edge: Edge) -> None:
        for signature in ({}, {"X-Twilio-Signature": "x"}):
            async with wire(edge.url) as stranger:
                await stranger.send(head("POST", "/twilio/voice", {"Content-Length": "5000", **signature}))
                assert (await stranger.answer())[0] == 403
        async with wire(edge.url) as large:
            signed = {"Content-Length": "100000", "X-Twilio-Signature": "A" * 27 + "="}
            await large.send(head("POST", "/twilio/voice", signed))
            assert (await large.answer())[0] in {403, 413}

    @pytest.mark.parametrize("path", ["/api/flows", "/stripe/webhook"])
    async def test_requests_under_way_leave_the_carriers_places_free(self, edge: Edge, path: str) -> None:
        async with AsyncExitStack() as stack:
            half = []
            for count in range(10):  # as many as may be under way, of two addresses, each with half a body
                each = await stack.enter_async_context(wire(edge.url))
                named = {"X-Forwarded-For": f"203.0.113.{count % 2}", **FRESH_KEY, **UNSIGNED, "Content-Length": "5000"}
                await each.send(head("POST", path, named))
                half.append(each)
            async with patience():  # until all of them are there, another request costs none of them its place
                while not half[0].reader.at_eof() and not half[0].reader._buffer:  # type: ignore[attr-defined]
                    async with wire(edge.url) as neighbour:
                        await neighbour.send(head("GET", "/api/flows", {"X-Forwarded-For": "203.0.113.9", **FRESH_KEY}))
                        assert (await neighbour.answer())[0] == 401
            status, body = await half[0].answer()
            assert status == 503 and "Another request needed the place of this one" in body
            async with wire(edge.url) as operator:
                await operator.send(head("GET", "/healthz"))
                assert (await operator.answer())[0] == 200
            assert await carrier_is_answered(edge.url)

    async def test_one_address_takes_only_its_share(self, edge: Edge) -> None:
        async with AsyncExitStack() as stack:
            for count in range(8):
                each = await stack.enter_async_context(wire(edge.url))
                # A client may claim anything on the left: the proxy's own entry is on the right.
                named = {"X-Forwarded-For": f"198.51.100.{count}, 203.0.113.7", **FRESH_KEY, "Content-Length": "5000"}
                await each.send(head("POST", "/api/flows", named))
            assert "8 requests from your address are in progress" in await refused(edge, "203.0.113.7", 429)
            async with wire(edge.url) as neighbour:
                await neighbour.send(head("GET", "/api/flows", {"X-Forwarded-For": "203.0.113.8", **FRESH_KEY}))
                assert (await neighbour.answer())[0] == 401

    async def test_bodies_together_have_a_limit(self, edge: Edge) -> None:
        http = await edge.client()
        headers = {**http.headers, "Content-Type": "application/json", "Content-Length": "60000"}
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(wire(edge.url)) for _ in range(3)]
            for count, each in enumerate(wires):
                named = {**headers, "X-Forwarded-For": f"203.0.113.{count}"}
                await each.send(head("POST", "/api/flows", named) + " " * 59_000)
            answering = [asyncio.create_task(each.answer(50)) for each in wires]
            done, waiting = await asyncio.wait(answering, return_when=asyncio.FIRST_COMPLETED)
            assert [each.result()[0] for each in done] == [503]
            filling = await stack.enter_async_context(wire(edge.url))
            await filling.send(head("POST", "/api/flows", headers) + " " * 31_990)
            assert await carrier_is_answered(edge.url)
            for task in waiting:
                task.cancel()

    async def test_bodies_of_one_address_take_nothing_from_others(self, edge: Edge) -> None:
        http = await edge.client()
        headers = {**http.headers, "Content-Type": "application/json", "Content-Length": "60000"}
        flow = '{"name": "F"}'
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(wire(edge.url)) for _ in range(2)]
            for each in wires:
                named = {**headers, "X-Forwarded-For": "203.0.113.7"}
                await each.send(head("POST", "/api/flows", named) + " " * 59_000)
            answering = [asyncio.create_task(each.answer(50)) for each in wires]
            done, waiting = await asyncio.wait(answering, return_when=asyncio.FIRST_COMPLETED)
            assert [each.result()[0] for each in done] == [429]
            assert "from your address" in done.pop().result()[1]
            neighbour = await stack.enter_async_context(wire(edge.url))
            named = {**headers, "X-Forwarded-For": "203.0.113.8"}
            await neighbour.send(head("POST", "/api/flows", named) + flow + " " * (60_000 - len(flow)))
            assert (await neighbour.answer())[0] == 201
            for task in waiting:
                task.cancel()

    async def test_one_address_keeps_none_of_stripes_events_out(self, edge: Edge) -> None:
        sizes = [*[1 << 20] * 4, 5000]
        async with AsyncExitStack() as stack:
            wires = [await stack.enter_async_context(wire(edge.url)) for _ in range(5)]
            for each, size in zip(wires, sizes, strict=True):
                named = {**UNSIGNED, "Content-Length": str(size), "X-Forwarded-For": "203.0.113.7"}
                await each.send(head("POST", "/stripe/webhook", named) + "x" * (size - 1))
            answering = [asyncio.create_task(each.answer(50)) for each in wires]
            done, waiting = await asyncio.wait(answering, return_when=asyncio.FIRST_COMPLETED)
            assert [each.result()[0] for each in done] == [429]
            neighbour = await stack.enter_async_context(wire(edge.url))
            named = {**UNSIGNED, "Content-Length": "2000", "X-Forwarded-For": "203.0.113.8"}
            await neighbour.send(head("POST", "/stripe/webhook", named) + "x" * 2000)
            assert (await neighbour.answer())[0] == 403, "it was read"
            for task in waiting:
                task.cancel()


# --- an address without a proxy ------------------------------------------------------------------------------------


class TestDirect:
    """Nobody's proxy stands before this gateway."""

    @pytest.fixture
    def public_socket(self) -> dict[str, Any]:
        return {"connections_per_address": 4, "trusted_proxies": "10.0.0.0/8", "head_seconds": 30.0}

    async def test_of_one_address_the_oldest_idle_ones_are_closed(self, edge: Edge) -> None:
        wires = [await dial(edge.url) for _ in range(7)]
        for each in wires[:3]:
            assert await each.closed_within(5)
        await wires[3].send(head("GET", "/healthz"))
        assert (await wires[3].answer())[0] == 200
        for each in wires:
            each.writer.close()


async def test_more_connections_than_files_do_not_start(tmp_path: Path) -> None:
    settings = GatewaySettings(home=tmp_path, gateway_listen="127.0.0.1:0", max_connections=10_000_000)
    with pytest.raises(SystemExit, match="max_connections=10000000 exceeds the limit of"):
        async with gateway.serve(settings):
            pass
