"""Campaigns in the sender: each at its own pace, by turns, and none in the way of another."""

import asyncio
import itertools
from uuid import UUID

import pytest

from hum import ids
from storage import sends
from tests.control.texts.conftest import NUMBER, Texting
from tests.control.texts.desk import TextDesk
from tests.support.waits import patience


@pytest.fixture
async def desk(texting: Texting) -> TextDesk:
    return TextDesk(texting)


async def campaign_of(desk: TextDesk, per_minute: int, texts: int, first: int, next_at: str = "now()") -> UUID:
    """A campaign with a throttle, and texts of it that are due."""
    id = ids.new()
    async with desk.db.system() as tx:
        await tx.execute(f"INSERT INTO campaign_paces VALUES ($1, $2, {next_at})", id, per_minute)
    for n in range(texts):
        await desk.write("campaign", "campaign", contact=f"+1317555{first + n}", campaign_id=id)
    return id


async def test_a_campaigns_throttle_holds_over_processes_and_delays_no_other(desk: TextDesk) -> None:
    """A minute's worth passes at once here: texts must be as far apart as the throttle says, whichever process sends them."""
    throttled = await campaign_of(desk, 1200, 6, 2000)
    paused = await campaign_of(desk, 1200, 3, 3000, "'infinity'")
    free = [await desk.write("free", "campaign", contact=f"+1317555{4000 + n}") for n in range(5)]
    async with patience():
        while len(desk.bodies) < 11:
            await asyncio.gather(desk.send(quantum_seconds=0.05), desk.sender().send_due())
    async with desk.db.system() as tx:
        begun = await tx.fetch(
            "SELECT started_at FROM message_attempts a JOIN messages m ON m.id = a.message_id WHERE m.campaign_id = $1 ORDER BY 1",
            throttled,
        )
        assert (
            await tx.fetchval("SELECT count(*) FROM messages WHERE campaign_id = $1 AND status = 'queued'", paused) == 3
        )
    steps = [(b["started_at"] - a["started_at"]).total_seconds() for a, b in itertools.pairwise(begun)]
    assert len(begun) == 6 and min(steps) >= 60 / 1200
    assert {(await desk.state(each))[0] for each in free} == {"sent"}


# --- the gate, asked again ----------------------------------------------------------------------------------------


async def running(desk: TextDesk) -> UUID:
    """A campaign without a throttle."""
    campaign = ids.new()
    async with desk.db.tenant(desk.org) as tx:
        await tx.execute(
            "INSERT INTO campaigns (id, org_id, name, body_template, status) VALUES ($1, $2, 'News', 'Hi', 'running')",
            campaign,
            desk.org,
        )
    return campaign


async def test_a_second_try_of_a_paused_campaign_holds_up_no_other_text(desk: TextDesk) -> None:
    paused, other = await running(desk), await running(desk)
    await desk.write("News", "campaign", campaign_id=paused)
    await desk.send()
    (sid,) = desk.carrier.texted
    await desk.says(sid, "undelivered", "30003")
    await desk.later(3600)
    assert await desk.lookups.retry_due() == 1
    async with desk.db.tenant(desk.org) as tx:
        await tx.execute("UPDATE campaigns SET status = 'paused' WHERE id = $1", paused)
    await desk.write("Sale", "campaign", campaign_id=other)
    await desk.send()
    assert desk.bodies == ["News", "Sale"]
    async with desk.db.tenant(desk.org) as tx:
        await tx.execute("UPDATE campaigns SET status = 'running'")
    await desk.send()
    assert desk.bodies == ["News", "Sale", "News"]


async def test_campaigns_of_one_number_take_turns_by_what_waited_longest(desk: TextDesk) -> None:
    """Whoever has always more to send is not always first."""
    first, second = sorted([await running(desk), await running(desk)])
    for place, campaign in enumerate([second, first, first]):
        message = await desk.write(f"{place}", "campaign", f"+1317555020{place}", campaign_id=campaign)
        async with desk.db.system() as tx:
            await tx.execute(
                "UPDATE messages SET due_at = now() - $2 * interval '1 s' WHERE id = $1", message.id, 9 - place
            )
    async with desk.db.system() as tx:
        assert [each.id for each in await sends.campaigns(tx, NUMBER)] == [second, first]
        await tx.execute("UPDATE messages SET due_at = now() WHERE campaign_id = $1", second)
        assert [each.id for each in await sends.campaigns(tx, NUMBER)] == [first, second]


@pytest.mark.parametrize(
    ("status", "ends"), [("canceled", "undelivered"), ("paused", "sent"), ("running", "delivered")]
)
async def test_a_second_try_for_a_campaign_heeds_what_became_of_it(desk: TextDesk, status: str, ends: str) -> None:
    campaign = await running(desk)
    text = await desk.write("News", "campaign", campaign_id=campaign)
    await desk.send()
    (sid,) = desk.carrier.texted
    await desk.says(sid, "undelivered", "30003")  # out of reach: there is a second try
    await desk.later(3600)
    assert await desk.lookups.retry_due() == 1
    async with desk.db.tenant(desk.org) as tx:
        await tx.execute("UPDATE campaigns SET status = $1", status)
    await desk.send()
    if status == "running":
        _, again = desk.carrier.texted
        await desk.says(again, "delivered")
    assert (await desk.state(text))[0] == ends
    assert len(desk.carrier.texted) == (2 if status == "running" else 1)
