"""Machines that answer machines: they stop within the cap, whatever they write, at a bounded price."""

import json
from dataclasses import replace

from control.textagent import turndecision
from hum import ids
from hum.clock import now
from storage import flows, identity, numbers
from storage.numbers import NumberRow
from tests.control.textagent.conftest import LIMITS, Desk
from tests.control.texts.conftest import CONTACT


async def test_a_partner_who_answers_for_ever_ends_at_the_cap(desk: Desk) -> None:
    await desk.configure(sms_config_json='{"max_turns_per_window": 4}')
    for number in range(20):
        await desk.hear(f"Thank you for your message number {number}")
        await desk.rows("UPDATE messages SET created_at = created_at + $1 * interval '10 seconds' RETURNING id", number)
        await desk.take()
    assert len(await desk.sent()) == len(desk.model.asked) == 4
    assert (await desk.run())["reason"] == "turn_cap"
    (event,) = await desk.rows("SELECT data FROM events WHERE type = 'conversation.assigned'")
    assert json.loads(event["data"])["reason"] == (await desk.run())["reason"]


async def test_a_partner_who_answers_at_once_is_found_out_before_the_cap(desk: Desk) -> None:
    for number in range(30):
        await desk.hear(f"You said something, number {number}")
        await desk.take()
    assert len(desk.model.asked) == turndecision.AT_ONCE
    assert (await desk.run())["reason"] == "loop"


async def test_a_partner_who_repeats_itself_is_found_out_sooner(desk: Desk) -> None:
    for _ in range(30):
        await desk.hear("Reply YES to confirm.")
        await desk.take()
    assert len(desk.model.asked) == turndecision.SAME_WORDS - 1
    assert (await desk.run())["reason"] == "loop"


async def test_a_machine_whose_owner_is_away_costs_nothing(desk: Desk) -> None:
    for _ in range(5):
        await desk.hear("Auto-reply: I'm on holiday.")
        await desk.take()
    assert desk.model.asked == [] and await desk.sent() == []
    async with desk.db.tenant(desk.org) as tx:
        assert (await desk.thread(tx)).ai_paused_reason is None, "its owner may write"


async def test_two_of_our_own_numbers_stop(desk: Desk) -> None:
    """The contact is a number of another organization, whose own agent answers."""
    other = ids.new()
    async with desk.db.system() as tx:
        await identity.create_organization(tx, other, "Other")
    async with desk.db.tenant(other) as tx:
        flow = ids.new()
        await flows.create(tx, flow, "sms", {"name": "Other"})
        row = NumberRow(ids.new(), CONTACT, "PN" + "1" * 32, None, None, None, True, ["sms"], "active", now(), None)
        await numbers.create(tx, row)
        await tx.execute("UPDATE numbers SET sms_flow_id = $1", flow)
    for number in range(30):
        await desk.hear(f"And what else, {number}?")
        await desk.rows("UPDATE messages SET created_at = created_at - interval '1 minute' RETURNING id")
        await desk.take()
    assert len(desk.model.asked) <= turndecision.TURNS_WITH_OUR_OWN
    assert (await desk.run())["reason"] == "loop"


async def test_the_organizations_day_ends_too(desk: Desk) -> None:
    desk.turns._limits = replace(LIMITS, turns_per_organization=3)
    for number in range(6):
        await desk.hear("Hello?", f"+131755512{number:02d}")
        await desk.take()
    assert len(desk.model.asked) == 3
    assert {row["ai_paused_reason"] for row in await desk.rows("SELECT ai_paused_reason FROM conversations")} == {
        None,
        "organization_cap",
    }


async def test_a_flood_from_one_number_is_one_turn_at_a_time(desk: Desk) -> None:
    for number in range(50):
        await desk.hear(f"flood {number}")
    await desk.take()
    assert len(desk.model.asked) == 1 and len(desk.model.asked[0].items) == 50
    async with desk.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM pgqueuer") == 1
