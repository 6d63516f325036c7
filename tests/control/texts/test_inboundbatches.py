"""Texts that come in together are what they would be one by one."""

import asyncio
import gc
import random
from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from control.texts import inboundbatches, inboundtext
from control.texts.inboundbatches import Arrivals
from control.texts.inboundtext import Received
from hum import ids
from hum.clock import now
from hum.contract.errors import NotFound
from storage import contacts, conversations, flows, identity, numbers
from storage.db import Db
from storage.numbers import NumberRow
from tests.control.texts.conftest import NUMBER, Texting
from tests.control.texts.test_inboundtext import LIMITS, TEXT, one
from tests.support.examples import sample
from tests.support.waits import patience

OTHER_NUMBER = "+12125550101"
BLOCKED, OUT, UNTEXTABLE, CLOSED, PAUSED = (f"+1317555{n:04}" for n in range(5))
STRANGERS = tuple(f"+1317555009{n}" for n in range(8))
SENDERS = (BLOCKED, OUT, UNTEXTABLE, CLOSED, PAUSED, *STRANGERS, inboundtext.ANONYMOUS)
BODIES = (
    "Hi",
    "Are you open?",
    "Is it ready?",
    "Thanks!",
    "STOP",
    "START",
    "HELP",
    "please stop texting me",
    "y" * 400,
    "",
)
CONVERSATIONS = """
    SELECT contact_e164, status, unread_count, last_message_preview, last_message_direction, turn_generation,
           turn_due_at IS NULL AS rests, snoozed_until, contact_id IS NULL AS anonymous FROM conversations ORDER BY 1
"""
MESSAGES = """
    SELECT contact_e164, direction, body, status, segments, sent_by, right(carrier_sid, 3) AS sid FROM messages ORDER BY 1, id
"""
EVENTS = "SELECT type, count(*) FROM events WHERE type <> 'usage.recorded' GROUP BY 1 ORDER BY 1"
USAGE = "SELECT meter, item, sum(quantity) AS quantity FROM usage_entries GROUP BY 1, 2 ORDER BY 1, 2"
CONTACTS = "SELECT phone_e164, untextable_code FROM contacts ORDER BY 1"
OPT_OUTS = "SELECT contact_e164, opted_out, source FROM opt_outs ORDER BY 1"
JOBS = """
    SELECT entrypoint, count(*) FROM (
        SELECT entrypoint FROM pgqueuer WHERE headers ->> 'organization' = $1::uuid::text
         UNION ALL SELECT job FROM parked_jobs WHERE org_id = $1::uuid) each GROUP BY 1 ORDER BY 1
"""


async def furnish(db: Db, org: UUID, number: str) -> UUID:
    """An organization that knows some of the senders, with an AI that answers."""
    flow, id = ids.new(), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    async with db.tenant(org) as tx:
        row = NumberRow(id, number, "PN" + org.hex, None, None, None, True, ["sms"], "active", now(), None)
        await numbers.create(tx, row)
        await flows.create(tx, flow, "sms", {"name": "Desk"})
        await tx.execute("UPDATE numbers SET sms_flow_id = $1", flow)
        await tx.execute("INSERT INTO blocklist (org_id, phone_e164) VALUES (hum.org_id(), $1)", BLOCKED)
        await tx.execute(
            "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) VALUES (hum.org_id(), $1, true, 'api')", OUT
        )
        for sender in (CLOSED, PAUSED):
            thread, _ = await conversations.find_or_create(tx, ids.new(), org, id, number, sender, None)
            if sender == CLOSED:
                await conversations.close(tx, thread.id)
            else:
                await conversations.pause_ai(tx, thread.id, "human")
    async with db.system() as tx:
        await contacts.find_or_create(tx, ids.new(), org, UNTEXTABLE, None)
        await contacts.flag_untextable(tx, org, UNTEXTABLE, "21614")
    return id


async def snapshot(db: Db, org: UUID) -> list[list[Any]]:
    async with db.tenant(org) as tx:
        found = [
            [tuple(row) for row in await tx.fetch(query)]
            for query in (CONVERSATIONS, MESSAGES, EVENTS, USAGE, CONTACTS, OPT_OUTS)
        ]
    async with db.system() as tx:
        return [*found, [tuple(row) for row in await tx.fetch(JOBS, org)]]


def script(seed: int) -> list[Received]:
    chance = random.Random(seed)
    texts = list[Received]()
    for n in range(48):
        if texts and chance.random() < 0.1:
            texts.append(chance.choice(texts))  # the carrier tells again
            continue
        text = replace(TEXT, sid=f"SM{n:03}", sender=chance.choice(SENDERS), body=chance.choice(BODIES))
        media = [("https://api.twilio.com/1", "image/png")] if chance.random() < 0.1 else []
        texts.append(replace(text, media=media, is_group=chance.random() < 0.05))
    return texts


@pytest.mark.sampled
@pytest.mark.parametrize("seed", sample(range(6), 3))
async def test_together_they_are_what_they_are_one_by_one(database_url: str, seed: int) -> None:
    db, alone, together = await Db.open(database_url, size=4), ids.new(), ids.new()
    try:
        await furnish(db, alone, NUMBER)
        await furnish(db, together, OTHER_NUMBER)
        texts, plain = script(seed), 0
        for text in texts:
            async with db.system() as tx:
                await inboundtext.receive(tx, replace(text, sid=f"A{text.sid}"), LIMITS, now())
        for begin in range(0, len(texts), 12):
            batch = [replace(text, sid=f"B{text.sid}", to_e164=OTHER_NUMBER) for text in texts[begin : begin + 12]]
            async with db.system() as tx:
                left = await inboundbatches.receive_plain(tx, batch, LIMITS, now())
            plain += len(batch) - len(left)
            for place in sorted(left):
                async with db.system() as tx:
                    await inboundtext.receive(tx, batch[place], LIMITS, now())
        assert plain >= 8, "most of these are plain"
        expected, found = await snapshot(db, alone), await snapshot(db, together)
        assert found == expected
    finally:
        await db.close()


async def test_whatever_comes_at_once_is_there_once(texting: Texting) -> None:
    arrivals = Arrivals(texting.db, LIMITS)
    texts = [replace(TEXT, sid=f"SM{n}", sender=f"+131755510{n % 20:02}", body=str(n)) for n in range(60)]
    nobodys = [replace(TEXT, sid=f"SN{n}", to_e164="+12125550999") for n in range(3)]
    taken = await asyncio.gather(*map(arrivals.receive, [*texts, *nobodys, *texts]), return_exceptions=True)
    assert Counter(type(each) for each in taken) == {type(None): 120, NotFound: 3}
    assert await one(texting, "SELECT count(*), count(DISTINCT body) FROM messages") == (60, 60)
    assert await one(texting, "SELECT count(*), sum(unread_count) FROM conversations") == (20, 60)
    order = "SELECT conversation_id, array_agg(body::int ORDER BY id) AS bodies FROM messages GROUP BY 1"
    async with texting.db.tenant(texting.org) as tx:
        assert all(row["bodies"] == sorted(row["bodies"]) for row in await tx.fetch(order))
    taken.clear()  # the exceptions refer to the batcher that raised them
    gc.collect()
    assert not arrivals._batchers, "batchers of idle numbers are released"


async def test_a_locked_conversation_delays_no_other_number(texting: Texting) -> None:
    other = ids.new()
    await furnish(texting.db, other, OTHER_NUMBER)
    arrivals = Arrivals(texting.db, LIMITS)
    async with texting.db.tenant(texting.org) as tx:
        await texting.thread(tx)
    async with texting.db.tenant(texting.org) as holder:
        await texting.thread(holder)  # locks it
        waiting = asyncio.create_task(arrivals.receive(TEXT))
        await asyncio.sleep(0.05)
        async with patience():
            await asyncio.gather(
                *(
                    arrivals.receive(replace(TEXT, sid=f"SM{n}", to_e164=OTHER_NUMBER, sender=f"+131755510{n:02}"))
                    for n in range(9)
                )
            )
        assert not waiting.done()
    await waiting
