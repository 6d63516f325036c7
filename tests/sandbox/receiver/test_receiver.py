"""The stand-in for a customer's server, as a client of others' makes use of it."""

import asyncio

import aiohttp
import pytest

from sandbox.receiver import Receiver, ReceiverFault, Reply


async def test_records_requests_as_they_came_on_one_connection() -> None:
    async with Receiver.serve() as receiver, aiohttp.ClientSession() as client:
        for count in (1, 2):
            async with client.post(
                f"{receiver.url}/hook?n={count}", data=b"\x00\xff", headers={"X-One": "1"}
            ) as answer:
                assert (answer.status, await answer.read()) == (200, b"")
        first, second = await receiver.wait(2, "/hook")
        assert (first.method, first.path, first.body, first.headers["x-one"]) == ("POST", "/hook?n=1", b"\x00\xff", "1")
        assert second.at_seconds >= first.at_seconds
        assert receiver.connections == 1


async def test_answers_as_it_was_told_then_as_always() -> None:
    async with Receiver.serve() as receiver, aiohttp.ClientSession() as client:
        receiver.say("/a", Reply(503, {"Retry-After": "7"}, b"later"))
        receiver.always("/a", Reply(204))
        async with client.post(f"{receiver.url}/a") as answer:
            assert (answer.status, answer.headers["Retry-After"], await answer.read()) == (503, "7", b"later")
        for path, status in (("/a", 204), ("/b", 200)):
            async with client.post(f"{receiver.url}{path}") as answer:
                assert answer.status == status


@pytest.mark.parametrize("fault", [ReceiverFault.RESET, ReceiverFault.CUT, ReceiverFault.GARBAGE])
async def test_a_broken_answer_is_no_answer(fault: ReceiverFault) -> None:
    async with Receiver.serve() as receiver, aiohttp.ClientSession() as client:
        receiver.say("/", Reply(fault=fault))
        with pytest.raises(aiohttp.ClientError):
            async with client.post(f"{receiver.url}/") as answer:
                await answer.read()
        assert len(receiver.at("/")) == 1


@pytest.mark.parametrize("fault", [ReceiverFault.HANG, ReceiverFault.DRIP])
async def test_an_answer_that_never_ends_ends_with_the_client_or_the_server(fault: ReceiverFault) -> None:
    async with Receiver.serve() as receiver, aiohttp.ClientSession() as client:
        receiver.always("/", Reply(fault=fault))

        async def ask() -> None:
            async with client.post(f"{receiver.url}/") as answer:
                await answer.read()

        asking = asyncio.create_task(ask())
        await receiver.wait(1, "/")
        assert not asking.done()
    with pytest.raises((aiohttp.ClientError, RuntimeError)):  # the latter where the session is closed first
        await asking


async def test_a_huge_answer() -> None:
    async with Receiver.serve() as receiver, aiohttp.ClientSession() as client:
        receiver.say("/", Reply(fault=ReceiverFault.HUGE))
        async with client.post(f"{receiver.url}/") as answer:
            assert len(await answer.read()) == 10 << 20
