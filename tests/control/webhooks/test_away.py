"""The database is away for longer than a lease while deliveries are under way."""

import asyncio
from collections import Counter
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from sandbox.receiver import Reply
from storage.db import BUSY, UNAVAILABLE, Db
from tests.control.webhooks.conftest import Hooked, received
from tests.support.relay import relayed
from tests.support.waits import patience

DELIVERIES = 60
LEASE_SECONDS, AWAY_SECONDS = 1.5, 4.0


@pytest.mark.chaos
async def test_nothing_is_lost_and_nothing_comes_a_third_time(hooked: Hooked, database_url: str) -> None:
    webhook = await hooked.webhook()
    hooked.receiver.always("/hook", Reply(200, after_seconds=0.05))
    await hooked.happen(*(received(count) for count in range(DELIVERIES)))
    place = urlsplit(database_url)
    async with relayed(place.hostname or "", place.port or 5432) as relay:
        far = database_url.replace(place.netloc, place.netloc.replace(f":{place.port}", f":{relay.port}"))
        db = await Db.open(far, size=4)
        sender = replace(hooked, db=db).sender(endpoint_width=8, lease_seconds=LEASE_SECONDS, request_seconds=0.5)

        async def work() -> None:
            while True:  # as a worker begins its step again
                try:
                    await sender.send_due()
                except (*UNAVAILABLE, *BUSY):
                    await asyncio.sleep(0.1)
                await asyncio.sleep(0.02)

        working = asyncio.create_task(work())
        while len(hooked.receiver.requests) < DELIVERIES // 4:
            await asyncio.sleep(0.01)
        relay.cut()
        await asyncio.sleep(AWAY_SECONDS)
        assert len(await hooked.deliveries(webhook, "pending")) > DELIVERIES // 4, "it was away while they were sent"
        await relay.up()
        async with patience():
            while await hooked.deliveries(webhook, "pending"):
                await asyncio.sleep(0.05)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await db.close()
    assert {each.state for each in await hooked.deliveries(webhook)} == {"delivered"}
    times = Counter(each.headers["webhook-id"] for each in hooked.receiver.requests)
    assert len(times) == DELIVERIES and max(times.values()) <= 2, times
    assert len({(each.headers["webhook-id"], each.body) for each in hooked.receiver.requests}) == DELIVERIES
