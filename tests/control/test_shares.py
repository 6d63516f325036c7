"""What one organization may have under way at customers' URLs, so that the others find a connection."""

import asyncio
import threading
from uuid import UUID

import pytest

from control.base.egress import EgressError, Reason
from control.clients.http import HttpLimits
from control.clients.shares import FULL, QUEUE_FACTOR, Shares
from hum import ids
from tests.control.test_guarded_http import OK, ORG, client, says, server


async def test_one_organization_leaves_connections_to_the_others() -> None:
    release = asyncio.Event()

    async def held(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.write(OK)
        await writer.drain()

    limits = HttpLimits(total_seconds=10, connect_seconds=10, connections=3, organization_requests=2)
    async with server(held) as slow, server(says(OK)) as quick, client(limits=limits) as http:
        url = f"http://127.0.0.1:{slow.port}/"
        waiting = [asyncio.create_task(http.request("GET", url, org=ORG)) for _ in range(6)]
        while slow.open < 2:
            await asyncio.sleep(0.001)
        other = await http.request("GET", f"http://127.0.0.1:{quick.port}/", org=ids.new())
        assert (other.status, slow.most) == (200, 2)
        release.set()
        assert {each.status for each in await asyncio.gather(*waiting)} == {200}
        assert slow.most == 2 and http._shares._shares == {}


async def test_one_organization_leaves_a_host_that_many_use_to_the_others() -> None:
    """As at a provider of scenarios, where one of them hangs."""
    release, held = asyncio.Event(), ids.new()

    async def provider(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if b"/slow" in one.requests[-1]:
            await release.wait()
        writer.write(OK)
        await writer.drain()

    limits = HttpLimits(total_seconds=10, connect_seconds=10, connections=9, organization_requests=4, host_requests=2)
    async with server(provider) as one, server(says(OK)) as two, client(limits=limits) as http:
        url = f"http://127.0.0.1:{one.port}"
        waiting = [asyncio.create_task(http.request("GET", f"{url}/slow", org=held)) for _ in range(6)]
        while one.open < 2:
            await asyncio.sleep(0.001)
        assert (await http.request("GET", f"{url}/", org=ORG)).status == 200
        assert (await http.request("GET", f"http://127.0.0.1:{two.port}/", org=held)).status == 200, (
            "nor its own to others"
        )
        assert one.most == 3
        release.set()
        assert {each.status for each in await asyncio.gather(*waiting)} == {200}
        assert http._shares._shares == {} and http._host_shares._shares == {}


async def test_a_stream_keeps_its_slot_until_it_is_closed() -> None:
    limits = HttpLimits(total_seconds=10, connect_seconds=0.5, organization_requests=2)
    async with server(says(OK)) as one, client(limits=limits) as http:
        url = f"http://127.0.0.1:{one.port}/"
        streams = [await http.open_stream("GET", url, org=ORG) for _ in range(2)]
        for _ in range(2):
            with pytest.raises(EgressError) as error:
                await http.request("GET", url, org=ORG)
            assert (error.value.reason, error.value.message) == (Reason.CONNECT, FULL)
            streams[0].close()  # again: a slot is released once
            streams[0] = await http.open_stream("GET", url, org=ORG)
        assert (await http.request("GET", url, org=None)).status == 200
        for each in streams:
            each.close()
        assert http._shares._shares == {} and http._host_shares._shares == {}


class NameServer:
    """Never answers for names under `dead.test`, until released."""

    def __init__(self) -> None:
        self.asked = list[str]()
        self.released = threading.Event()

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host.endswith("dead.test"):
            self.released.wait(20)
        return ["127.0.0.1"]

    async def hangs(self, lookups: int) -> None:
        while sum(host.endswith("dead.test") for host in self.asked) < lookups:
            await asyncio.sleep(0.001)


async def test_one_organizations_dead_name_server_leaves_look_ups_to_the_others() -> None:
    """Its look-ups keep their slots when its requests have given up, since their threads go on."""
    names = NameServer()
    limits = HttpLimits(total_seconds=10, connect_seconds=10, lookups=4, organization_lookups=2)
    async with server(says(OK)) as one, client(limits=limits, lookup=names) as http:
        for turn in range(2):
            urls = [f"http://{turn}-{number}.dead.test:{one.port}/" for number in range(limits.lookups)]
            dead = [asyncio.create_task(http.request("GET", url, org=ORG)) for url in urls]
            await names.hangs(2)
            assert (await http.request("GET", f"http://other-{turn}.test:{one.port}/", org=ids.new())).status == 200
            for each in dead:
                each.cancel()
            await asyncio.gather(*dead, return_exceptions=True)
        assert sorted(names.asked) == ["0-0.dead.test", "0-1.dead.test", "other-0.test", "other-1.test"]
        names.released.set()
        assert (await http.request("GET", f"http://0-0.dead.test:{one.port}/", org=ORG)).status == 200
        while http._lookups._tasks:
            await asyncio.sleep(0.001)
        assert http._lookups._shares._shares == {}


async def test_a_host_that_many_requests_name_is_looked_up_once_at_a_time() -> None:
    """So an organization's dead host leaves look-ups to its others; the requests still wait each for their own time."""
    names = NameServer()
    limits = HttpLimits(total_seconds=10, connect_seconds=10, lookups=4, organization_lookups=2)
    async with server(says(OK)) as one, client(limits=limits, lookup=names) as http:
        url = f"http://dead.test:{one.port}/"
        waiting = [asyncio.create_task(http.request("GET", url, org=ORG)) for _ in range(6)]
        await names.hangs(1)
        assert (await http.request("GET", f"http://quick.test:{one.port}/", org=ORG)).status == 200
        waiting[0].cancel()
        names.released.set()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert [each.status for each in results if not isinstance(each, BaseException)] == [200] * 5
        assert names.asked == ["dead.test", "quick.test"] and http._lookups._tasks == {}


async def test_requests_whose_look_up_ends_with_the_client_fail_and_are_not_cancelled() -> None:
    names = NameServer()
    async with client(lookup=names) as http:
        waiting = [asyncio.create_task(http.request("GET", "http://dead.test/", org=ORG)) for _ in range(2)]
        await names.hangs(1)
        await http._lookups.close()
        results = await asyncio.gather(*waiting, return_exceptions=True)
        names.released.set()
    assert [each.reason for each in results if isinstance(each, EgressError)] == [Reason.CONNECT] * 2


async def test_the_queue_for_an_organizations_slots_is_bounded_and_may_be_left() -> None:
    shares = Shares[UUID](1)
    leave = await shares.acquire(ORG, 1)
    waiting = [asyncio.create_task(shares.acquire(ORG, 10)) for _ in range(QUEUE_FACTOR)]
    await asyncio.sleep(0)
    with pytest.raises(EgressError, match="Too many"):
        await shares.acquire(ORG, 10)
    for each in waiting[1:]:
        each.cancel()
    leave()
    (await waiting[0])()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert shares._shares == {}
