"""Several media processes, each with a URL of its own: calls are spread, a full one is offered none, one may die."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from hum.process.home import node_key
from hum.process.sockets import free_port
from hum.settings import MediaSettings
from media import app as media
from sandbox.twilio import Call
from tests.e2e.conftest import NUMBER, House
from tests.support.waits import patience

PLACES = 3


class Second:
    """A media process beside the house's, which may be stopped."""

    def __init__(self, stack: AsyncExitStack, running: media.MediaPlane, url: str) -> None:
        self.stack, self.media, self.url = stack, running, url


@pytest.fixture
async def second(house: House) -> AsyncIterator[Second]:
    first = house.media.link._settings
    port = free_port("127.0.0.1")
    url = f"ws://127.0.0.1:{port}"
    settings = first.model_copy(
        update={
            "home": house.home / "second",
            "media_listen": f"127.0.0.1:{port}",
            "media_url": url,
            "max_calls": PLACES,
            "node_key": node_key(first).decode(),
            "drain_seconds": 0.0,
        }
    )
    assert isinstance(settings, MediaSettings)
    house.media.link.beat.places = PLACES
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(media.build(settings))
        async with patience():
            while await told(house) != {url: PLACES, first.media_url: PLACES}:
                await asyncio.sleep(0.05)
        yield Second(stack, running, url)


async def told(house: House) -> dict[str, int]:
    """What control knows of the processes that are there."""
    async with house.control.db.system() as tx:
        return {
            row["url"]: row["places"]
            for row in await tx.fetch("SELECT url, places FROM media_links WHERE link IS NOT NULL")
        }


def sent_to(call: Call) -> list[str]:
    """Where the carrier was sent, one time after another; nowhere for a call that was refused."""
    streams = [verb.noun("Stream") for verb in call.verbs if verb.name == "Connect"]
    return [stream.get("url").removesuffix("/media/twilio") for stream in streams if stream]


async def ring(house: House, number: int) -> Call:
    return await house.carrier.ring(NUMBER, f"+1212555{number:04}", [{"do": "wait", "ms": 60_000}])


@pytest.mark.nodes
async def test_a_burst_is_spread_over_all_places_and_the_rest_hear_why(house: House, second: Second) -> None:
    await house.answer_with(greeting="Hello.", language="de")
    calls = await asyncio.gather(*(ring(house, n) for n in range(2 * PLACES + 2)))
    refused = [call for call in calls if call.verbs and call.verbs[0].name == "Say"]
    async with patience():
        while sum(len(sent_to(call)) for call in calls) + len(refused) < len(calls):
            await asyncio.sleep(0.05)
            refused = [call for call in calls if call.verbs and call.verbs[0].name == "Say"]
        for call in refused:
            await call.ended()
    first = house.media.link._settings.media_url
    assert Counter(url for call in calls for url in sent_to(call)) == {first: PLACES, second.url: PLACES}
    assert ["belegt" in call.truth.as_json()["said"][0] for call in refused] == [True, True]
    async with patience():
        while (len(house.media.server), len(second.media.server)) != (PLACES, PLACES):
            await asyncio.sleep(0.05)
    # One of them is gone: its calls are apologized for, since the other one has no place left for them.
    await second.stack.aclose()
    gone = [call for call in calls if sent_to(call)[:1] == [second.url]]
    for call in gone:
        await call.ended()
    for call in calls:
        if call not in gone:
            call.hang_up()
    records = (await house.http.get("/api/calls")).json()["calls"]
    assert Counter(each["end_reason"] for each in records)["no_capacity"] == 2
