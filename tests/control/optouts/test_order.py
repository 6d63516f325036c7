"""Opt-outs and opt-ins that are delivered in another order than they were said: the last word of the contact counts."""

import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from control.optouts import usecases as optouts
from control.optouts.usecases import Evidence
from control.texts import inboundtext, writing
from control.texts.inboundtext import InboundTextLimits, Received
from control.texts.writing import TextDraft
from hum import ids
from hum.clock import now
from hum.contract.errors import NotFound
from storage import opt_outs, text_erasures
from tests.control.texts.conftest import CONTACT, NUMBER, Texting
from tests.support.examples import examples

LIMITS = InboundTextLimits(timedelta(days=30), 0, 6, timedelta(hours=1))
STATE = """
    SELECT opted_out, ever_out, carrier_blocked, coalesce(last_at, changed_at) AS at FROM opt_outs WHERE contact_e164 = $1
"""


async def hear(texting: Texting, body: str, at: datetime, contact_e164: str = CONTACT, *, is_late: bool = True) -> None:
    """Deliver a text that arrived at a gateway then, kept since or delivered at once."""
    text = Received(f"SM{ids.new().hex}", "AC1", contact_e164, NUMBER, body, (), "", False, at if is_late else None, at)
    async with texting.db.system() as tx:
        assert await inboundtext.receive(tx, text, LIMITS, now())


async def change(texting: Texting, kind: str, at: datetime, contact_e164: str = CONTACT) -> None:
    """Deliver a text of that body, or what another source says."""
    async with texting.db.system() as tx:
        match kind:
            case "human out":
                await optouts.opt_out(tx, texting.org, contact_e164, "human", Evidence(at=at))
            case "api in":
                await optouts.opt_in(tx, texting.org, contact_e164, "api", Evidence(at=at))
            case "21610":
                await optouts.carrier_says_blocked(tx, texting.org, contact_e164, at=at)
            case _:
                await hear(texting, kind, at, contact_e164)


async def state(texting: Texting, contact_e164: str = CONTACT) -> tuple[object, ...]:
    async with texting.db.tenant(texting.org) as tx:
        (row,) = await tx.fetch(STATE, contact_e164)
    return tuple(row)


async def told(texting: Texting, contact_e164: str = CONTACT) -> list[str]:
    async with texting.db.tenant(texting.org) as tx:
        rows = await tx.fetch("SELECT type, data FROM events WHERE type IN ('sms.opt_out', 'sms.opt_in') ORDER BY id")
    return [row["type"] for row in rows if contact_e164 in str(row["data"])]


KINDS = ("STOP", "START", "please stop texting me", "human out", "api in", "21610")


async def test_every_order_of_delivery_ends_as_the_order_of_time(texting: Texting) -> None:
    began, dice = now() - timedelta(hours=1), random.Random(57)
    for n in range(examples(200, few=25)):
        words = [
            (dice.choice(KINDS), began + timedelta(minutes=minute))
            for minute in dice.sample(range(40), dice.randint(2, 5))
        ]
        in_time, mixed = f"+1317555{2 * n:04}", f"+1317555{2 * n + 1:04}"
        for kind, at in sorted(words, key=lambda word: word[1]):
            await change(texting, kind, at, in_time)
        for kind, at in words:
            await change(texting, kind, at, mixed)
        assert await state(texting, mixed) == await state(texting, in_time), words
        events = await told(texting, mixed)
        assert events == [("sms.opt_out", "sms.opt_in")[index % 2] for index in range(len(events))], "each is a change"
        assert (len(events) % 2 == 1) is (await state(texting, mixed))[0]


async def test_a_stop_that_was_overtaken_ends_nothing(texting: Texting) -> None:
    at = now()
    await hear(texting, "START", at, is_late=False)
    async with texting.db.tenant(texting.org) as tx:
        thread = await texting.thread(tx)
        draft = TextDraft("See you", "human", honors_hours=False, scheduled_at=at + timedelta(hours=1))
        await writing.write(tx, thread, draft, at)
    await hear(texting, "STOP", at - timedelta(minutes=1))
    await hear(texting, "Please stop texting me!", at - timedelta(minutes=1))
    assert (await state(texting))[:3] == (False, True, False)
    assert await told(texting) == []
    async with texting.db.tenant(texting.org) as tx:
        (row,) = await tx.fetch("SELECT array_agg(status) AS all FROM messages WHERE direction = 'outbound'")
        assert row["all"] == ["scheduled"], "neither ended, nor is an opt-out confirmed"
        # It opted out and in again: that is shown, as it would be had STOP come first.
        assert not (await opt_outs.get(tx, texting.org, CONTACT)).opted_out


async def test_a_start_that_was_overtaken_lifts_nothing(texting: Texting) -> None:
    at = now()
    await hear(texting, "STOP", at, is_late=False)
    await hear(texting, "START", at - timedelta(minutes=1))
    assert (await state(texting))[:3] == (True, True, True)
    assert await told(texting) == ["sms.opt_out"]


async def test_whoever_never_opted_out_is_not_listed_and_is_forgotten(texting: Texting) -> None:
    await hear(texting, "yes", now(), is_late=False)
    async with texting.db.tenant(texting.org) as tx:
        with pytest.raises(NotFound):
            await opt_outs.get(tx, texting.org, CONTACT)
        assert await opt_outs.page(tx, None, 10) == []
        await text_erasures.empty_old(tx, now() - timedelta(days=1), 10)
        assert len(await tx.fetch("SELECT FROM opt_outs")) == 1
        await text_erasures.end_of_contact(tx, CONTACT, now())
        assert len(await tx.fetch("SELECT FROM opt_outs")) == 0
    await hear(texting, "yes", now() - timedelta(days=3))
    async with texting.db.tenant(texting.org) as tx:
        await text_erasures.empty_old(tx, now() - timedelta(days=1), 10)
        assert len(await tx.fetch("SELECT FROM opt_outs")) == 0


async def test_an_erasure_leaves_the_opt_out_and_not_its_sentence(texting: Texting) -> None:
    await hear(texting, "Please stop texting me, I am Ana", now())
    await hear(texting, "Please stop texting me", now())
    async with texting.db.tenant(texting.org) as tx:
        await text_erasures.end_of_contact(tx, CONTACT, now())
        row = await opt_outs.get(tx, texting.org, CONTACT)
    assert (row.opted_out, row.keyword) == (True, None)


async def test_a_gateway_whose_clock_is_fast_outdates_nothing(texting: Texting) -> None:
    await hear(texting, "START", now() + timedelta(hours=1), is_late=False)
    await hear(texting, "STOP", now(), is_late=False)
    assert (await state(texting))[0] is True


async def test_the_time_at_the_gateway_counts_and_not_that_of_control(texting: Texting) -> None:
    """START waited for a lock in control, while STOP of after it was kept by another gateway."""
    at = now()
    await hear(texting, "START", at - timedelta(seconds=3), is_late=False)
    await hear(texting, "STOP", at - timedelta(seconds=2))
    assert (await state(texting))[0] is True


async def test_a_row_that_an_earlier_release_wrote_is_understood(texting: Texting) -> None:
    async with texting.db.tenant(texting.org) as tx:
        await tx.execute(
            """INSERT INTO opt_outs (org_id, contact_e164, opted_out, source, ever_out, last_at, last_source, changed_at)
               VALUES (hum.org_id(), $1, true, 'api', false, now() - interval '2 hours', 'human', now() - interval '1 hour')""",
            CONTACT,
        )
        assert (await opt_outs.get(tx, texting.org, CONTACT)).opted_out
    await hear(texting, "START", now() - timedelta(minutes=90))
    assert (await state(texting))[0] is True
    await hear(texting, "START", now() - timedelta(minutes=10))
    assert (await state(texting))[:2] == (False, True)


async def test_the_same_text_again_says_nothing_again(texting: Texting) -> None:
    text = Received("SM1", "AC1", CONTACT, NUMBER, "STOP", (), "", False, None, now() - timedelta(minutes=2))
    async with texting.db.system() as tx:
        assert await inboundtext.receive(tx, text, LIMITS, now())
        await optouts.opt_in(tx, texting.org, CONTACT, "human")
        assert not await inboundtext.receive(tx, replace(text, at=now(), arrived_at=now()), LIMITS, now())
    assert (await state(texting))[0] is False
