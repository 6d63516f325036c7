"""Campaigns from launch to end: who is texted, who is not, and why; stopped and carried on at every place."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from control.campaigns.dispatching import Dispatcher
from hum import ids
from hum.clock import now
from hum.contract.errors import InvalidState
from hum.ids import Kind
from hum.v1 import campaigns_pb2 as pb
from storage import billing, flows, recipients, text_erasures
from storage.billing import PlanRow
from storage.db import Tx
from tests.control.campaigns.conftest import Campaigning, contact
from tests.support.present import present


async def test_everybody_is_texted_once(campaigning: Campaigning) -> None:
    id = await campaigning.launched(60)
    row = await campaigning.dispatch(id)
    assert (row.status, row.sending, row.pending) == ("running", 60, 0)
    async with campaigning.db.tenant(campaigning.org) as tx:
        lanes = await tx.fetchval("SELECT array_agg(DISTINCT (lane, sent_by, status)) FROM messages")
        assert str(lanes) == "[(1, 'campaign', 'queued')]"
    row = await campaigning.run(id)
    assert (row.status, row.delivered, row.total) == ("completed", 60, 60)
    assert await campaigning.texted() == [contact(n) for n in range(60)]
    async with campaigning.db.tenant(campaigning.org) as tx:
        told = [
            each["type"] for each in await tx.fetch("SELECT type FROM events WHERE type LIKE 'campaign.%' ORDER BY id")
        ]
    assert told == ["campaign.launched", "campaign.completed"]


async def test_only_a_window_is_written_ahead(campaigning: Campaigning) -> None:
    id = await campaigning.launched(250)
    assert (await campaigning.dispatch(id)).sending == 100
    assert (await campaigning.dispatch(id)).sending == 100
    await campaigning.told(await campaigning.take(30), "sent")
    row = await campaigning.dispatch(id)
    assert (row.sent, row.sending, row.pending) == (30, 100, 120)


async def test_campaigns_at_once_write_no_more_than_the_plan_allows(campaigning: Campaigning) -> None:
    """Both have read the same rest of the plan before either has written."""
    async with campaigning.db.system() as tx:
        await billing.set_plans(tx, [PlanRow("free", 0, None, None, 30, None, False, False)])
    people = [[pb.NewRecipient(contact_e164=contact(n)) for n in range(first, first + 25)] for first in (0, 25)]
    both = [await campaigning.launched(each) for each in people]
    for id in both:
        await campaigning.due_now(id)
    barrier = asyncio.Barrier(2)
    find = recipients.count_waiting

    async def meet(tx: Tx, id: UUID) -> int:
        waiting = await find(tx, id)
        with suppress(TimeoutError):  # meant to run out when the other one waits for the first
            await asyncio.wait_for(barrier.wait(), 5)
        return waiting

    dispatchers = [Dispatcher(campaigning.db, campaigning.limits) for _ in both]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipients, "count_waiting", meet)
        assert await asyncio.gather(*(each.dispatch_next() for each in dispatchers)) == [True, True]
    rows = [await campaigning.get(id) for id in both]
    assert sorted(row.sending for row in rows) == [5, 25]
    assert sum(row.pending for row in rows) == 20


async def test_a_throttled_campaign_has_a_pace_and_a_small_window(campaigning: Campaigning) -> None:
    id = await campaigning.launched(50, throttle_per_minute=30)
    assert (await campaigning.dispatch(id)).sending == 5
    async with campaigning.db.system() as tx:
        assert await tx.fetchval("SELECT per_minute FROM campaign_paces WHERE campaign_id = $1", id) == 30


async def test_who_is_not_texted_has_a_reason(campaigning: Campaigning) -> None:
    given = [
        pb.NewRecipient(contact_e164="+13175550001"),
        pb.NewRecipient(contact_e164="+13175550002"),
        pb.NewRecipient(contact_e164="+13175550003", body="Hello {{first}}"),
        pb.NewRecipient(contact_e164="+13175550004", body="x" * 1500 + "{{long}}", variables={"long": "y" * 200}),
        pb.NewRecipient(contact_e164="+12125550100"),
        pb.NewRecipient(contact_e164="+19005550123"),
        pb.NewRecipient(contact_e164="call me"),
        pb.NewRecipient(contact_e164="+13175550008"),
    ]
    async with campaigning.db.tenant(campaigning.org) as tx:
        await tx.execute("INSERT INTO blocklist (org_id, phone_e164) VALUES ($1, '+13175550001')", campaigning.org)
        await tx.execute(
            "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) VALUES ($1, '+13175550002', true, 'api')",
            campaigning.org,
        )
    id = await campaigning.launched(given)
    row = await campaigning.run(id)
    async with campaigning.db.tenant(campaigning.org) as tx:
        rows = await tx.fetch("SELECT status, reason FROM campaign_recipients ORDER BY position")
        assert await tx.fetchval("SELECT count(*) FROM conversations") == 1
    assert [tuple(each) for each in rows] == [
        ("skipped", "blocked"),
        ("opted_out", "opted_out"),
        ("skipped", "missing_variable"),
        ("skipped", "too_long"),
        ("skipped", "own_number"),
        ("skipped", "costly_number"),
        ("skipped", "invalid_number"),
        ("delivered", None),
    ]
    assert (row.status, row.delivered, row.opted_out, row.skipped) == ("completed", 1, 1, 6)


async def test_texts_have_their_values(campaigning: Campaigning) -> None:
    async with campaigning.db.tenant(campaigning.org) as tx:
        await tx.execute(
            "INSERT INTO contacts (id, org_id, phone_e164, said_by_user) VALUES (gen_random_uuid(), $1, $2, $3)",
            campaigning.org,
            contact(0),
            '{"name": "Ada"}',
        )
    given = [
        pb.NewRecipient(contact_e164=contact(0), variables={"dose": "{{org.name}}"}),
        pb.NewRecipient(contact_e164=contact(1), body="Just you"),
    ]
    id = await campaigning.launched(given, body_template="Hi {{contact.name|there}}, {{ dose }} of {{org.name}}")
    await campaigning.dispatch(id)
    async with campaigning.db.tenant(campaigning.org) as tx:
        bodies = [each["body"] for each in await tx.fetch("SELECT body FROM messages ORDER BY contact_e164")]
    assert bodies == ["Hi Ada, {{org.name}} of Clinic", "Just you"]


async def test_a_closed_thread_is_opened_and_gets_the_flow(campaigning: Campaigning) -> None:
    async with campaigning.db.tenant(campaigning.org) as tx:
        flow = (await flows.create(tx, ids.new(), "sms", {"name": "F"})).id
    first = await campaigning.launched(1)
    await campaigning.run(first)
    async with campaigning.db.tenant(campaigning.org) as tx:
        await tx.execute("UPDATE conversations SET status = 'closed'")
    second = await campaigning.launched(1, flow=ids.show(Kind.FLOW, flow))
    await campaigning.run(second)
    async with campaigning.db.tenant(campaigning.org) as tx:
        assert tuple(present(await tx.fetchrow("SELECT status, flow_id FROM conversations"))) == ("open", flow)
        assert await tx.fetchval("SELECT data FROM events WHERE type = 'conversation.reopened'")


async def test_a_campaign_waits_for_its_time(campaigning: Campaigning) -> None:
    id = await campaigning.launched(3, scheduled_start_at=now() + timedelta(hours=1))
    await campaigning.dispatcher.dispatch()
    assert (await campaigning.get(id)).status == "queued"
    async with campaigning.db.system() as tx:
        waits = await tx.fetchval("SELECT look_at > now() + interval '59 minutes' FROM campaigns")
    assert waits
    assert (await campaigning.run(id)).status == "completed"


async def test_an_opt_out_in_the_middle_changes_one_row_only(campaigning: Campaigning) -> None:
    id = await campaigning.launched(150)
    await campaigning.dispatch(id)
    async with campaigning.db.tenant(campaigning.org) as tx:
        for index in (7, 140):  # one whose text is written, one who waits
            await tx.execute(
                "INSERT INTO opt_outs (org_id, contact_e164, opted_out, source) VALUES ($1, $2, true, 'keyword')",
                campaigning.org,
                contact(index),
            )
    row = await campaigning.get(id)
    assert (row.opted_out, row.sending, row.pending) == (1, 100, 49)
    taken = await campaigning.take()
    async with campaigning.db.system() as tx:  # the gate, just before the carrier is asked
        (stopped,) = [
            each["id"] for each in await tx.fetch("SELECT id FROM messages WHERE contact_e164 = $1", contact(7))
        ]
    await campaigning.told([stopped], "opted_out", "opted_out")
    await campaigning.told([each for each in taken if each != stopped], "delivered")
    row = await campaigning.run(id)
    assert (row.status, row.delivered, row.opted_out) == ("completed", 148, 2)


# --- hours --------------------------------------------------------------------------------------------------------


async def test_nobody_is_texted_out_of_the_organizations_hours(campaigning: Campaigning) -> None:
    opens = (now() + timedelta(hours=2)).replace(minute=0)
    day = f"{opens:%a}".lower()
    async with campaigning.db.tenant(campaigning.org) as tx:
        await tx.execute(
            "UPDATE organizations SET business_hours_json = $1",
            f'{{"weekly": {{"{day}": [["{opens:%H:%M}", "24:00"]]}}}}',
        )
    patient, urgent = await campaigning.launched(3), await campaigning.launched(3, honor_quiet_hours=False)
    row = await campaigning.dispatch(patient)
    assert (row.status, row.pending) == ("running", 3)
    assert (await campaigning.dispatch(urgent)).sending == 3


async def test_who_sleeps_waits_and_who_is_awake_is_texted(
    campaigning: Campaigning, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The next time it is 08:00 or 09:00 in New York, 05:00 or 06:00 in Seattle.  One that is over would let the sleeping be
    # due at once, by the database's clock, and again and again before the others.
    at = (now() + timedelta(hours=11)).replace(hour=13, minute=0, second=0, microsecond=0)
    monkeypatch.setattr("control.campaigns.dispatching.now", lambda: at)
    async with campaigning.db.tenant(campaigning.org) as tx:
        await tx.execute("UPDATE organizations SET recipient_hours_enabled = true")
    sleeping = [pb.NewRecipient(contact_e164=f"+1206555{n:04d}") for n in range(60)]
    awake = [pb.NewRecipient(contact_e164=f"+1212555{n:04d}") for n in range(30)]
    id = await campaigning.launched([*sleeping, *awake])
    row = await campaigning.dispatch(id)
    assert (row.sending, row.pending) == (30, 60)
    async with campaigning.db.tenant(campaigning.org) as tx:
        (held,) = await tx.fetch("SELECT DISTINCT reason, due_at FROM campaign_recipients WHERE status = 'pending'")
    assert held["reason"] == "quiet_hours" and at < held["due_at"] <= at + timedelta(hours=3)


async def test_a_campaign_that_expires_texts_nobody_else(campaigning: Campaigning) -> None:
    id = await campaigning.launched(150, expires_at=now() + timedelta(hours=1))
    await campaigning.dispatch(id)
    async with campaigning.db.tenant(campaigning.org) as tx:
        await tx.execute("UPDATE campaigns SET expires_at = now() - interval '1 second'")
    await campaigning.told(await campaigning.take(60), "sent")
    await campaigning.told(await campaigning.take(40), "expired", "expired")
    row = await campaigning.run(id)
    assert (row.status, row.sent, row.skipped) == ("completed", 60, 90)


# --- pause, resume, cancel ----------------------------------------------------------------------------------------


async def test_a_pause_takes_back_what_waits_and_resuming_repeats_nobody(campaigning: Campaigning) -> None:
    id = await campaigning.launched(80)
    await campaigning.dispatch(id)
    in_hand = await campaigning.take(20)
    row = await campaigning.pause(id)
    row = await campaigning.get(id)
    assert (row.status, row.reason, row.sending, row.pending) == ("paused", "person", 20, 60)
    row = await campaigning.dispatch(id)
    assert (row.sending, row.pending) == (20, 60) and await campaigning.take() == []
    await campaigning.told(in_hand[:15], "delivered")
    await campaigning.put_back(in_hand[15:])  # which the carrier did not take: the sender would send them later
    row = await campaigning.dispatch(id)
    assert (row.delivered, row.sending, row.pending) == (15, 0, 65)
    await campaigning.launch(id)
    row = await campaigning.run(id)
    assert (row.status, row.reason, row.delivered) == ("completed", None, 80)
    assert await campaigning.texted() == [contact(n) for n in range(80)]


async def test_a_canceled_campaign_sends_no_more(campaigning: Campaigning) -> None:
    id = await campaigning.launched(150)
    await campaigning.dispatch(id)
    in_hand = await campaigning.take(20)
    await campaigning.cancel(id)
    row = await campaigning.get(id)
    assert (row.status, row.sending, row.canceled) == ("canceled", 20, 130)
    await campaigning.put_back(in_hand[:5])
    row = await campaigning.dispatch(id)
    assert (row.sending, row.canceled) == (15, 135)
    await campaigning.told(in_hand[5:], "delivered")
    row = await campaigning.dispatch(id)
    assert (row.status, row.delivered, row.canceled) == ("canceled", 15, 135)
    async with campaigning.db.system() as tx:
        assert await tx.fetchval("SELECT look_at FROM campaigns") is None
    with pytest.raises(InvalidState, match="is canceled"):
        await campaigning.launch(id)
    assert (await campaigning.cancel(id)).status == "canceled"


async def test_a_pause_keeps_the_pace(campaigning: Campaigning) -> None:
    id = await campaigning.launched(10, throttle_per_minute=1)
    await campaigning.dispatch(id)
    async with campaigning.db.system() as tx:
        await tx.execute("UPDATE campaign_paces SET next_at = '2030-01-01'")
    await campaigning.take(1)
    await campaigning.pause(id)
    await campaigning.dispatch(id)
    async with campaigning.db.system() as tx:
        assert (await tx.fetchval("SELECT next_at FROM campaign_paces")).year == 3030
    await campaigning.launch(id)
    await campaigning.dispatch(id)
    async with campaigning.db.system() as tx:
        assert (await tx.fetchval("SELECT next_at FROM campaign_paces")).year == 2030


async def test_a_text_whose_thread_was_closed_is_written_again(campaigning: Campaigning) -> None:
    id = await campaigning.launched(1)
    await campaigning.dispatch(id)
    await campaigning.told(await campaigning.take(), "canceled", "closed")
    assert (await campaigning.get(id)).pending == 1
    assert (await campaigning.run(id)).delivered == 1


async def test_a_deleted_text_leaves_no_recipient_behind(campaigning: Campaigning) -> None:
    id = await campaigning.launched(2)
    await campaigning.dispatch(id)
    async with campaigning.db.system() as tx:
        await tx.execute("DELETE FROM conversations WHERE contact_e164 = $1", contact(0))
    row = await campaigning.run(id)
    assert (row.status, row.canceled, row.delivered) == ("completed", 1, 1)


async def test_old_texts_that_were_taken_back_take_no_recipient_along(campaigning: Campaigning) -> None:
    id = await campaigning.launched(2)
    await campaigning.dispatch(id)
    await campaigning.pause(id)
    async with campaigning.db.tenant(campaigning.org) as tx:  # as retention does, while the campaign is paused for long
        later = now() + timedelta(minutes=1)
        found = await text_erasures.lock_old(tx, later, 10)
        assert len(found) == 2
        await text_erasures.erase(tx, found, later)
    await campaigning.launch(id)
    row = await campaigning.run(id)
    assert (row.status, row.delivered, row.failed) == ("completed", 2, 0)
    assert await campaigning.texted() == [contact(0), contact(1)]


# --- what goes wrong at the carrier -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason"), [("30002", "account_suspended"), ("30034", "unregistered"), ("30023", "carrier_cap")]
)
async def test_a_grave_error_pauses(campaigning: Campaigning, code: str, reason: str) -> None:
    id = await campaigning.launched(10)
    await campaigning.dispatch(id)
    await campaigning.told(await campaigning.take(1), "failed", code)
    row = await campaigning.dispatch(id)
    assert (row.status, row.reason, row.failed, row.pending, row.sending) == ("paused", reason, 1, 9, 0)
    await campaigning.launch(id)
    assert (await campaigning.run(id)).status == "completed"  # what was before the launch counts no more


async def test_a_number_that_the_carrier_stopped_pauses(campaigning: Campaigning) -> None:
    id = await campaigning.launched(3)
    await campaigning.dispatch(id)
    async with campaigning.db.system() as tx:  # as the sender, whose text waits as before
        await tx.execute(
            "INSERT INTO text_paces (number_e164, next_at, stopped_code, stopped_at) "
            "VALUES ('+12125550100', now(), '30034', clock_timestamp())"
        )
    row = await campaigning.dispatch(id)
    assert (row.status, row.reason, row.pending) == ("paused", "unregistered", 3)
    await campaigning.launch(id)
    assert (await campaigning.run(id)).status == "completed"


async def test_filtered_texts_pause_above_their_share(campaigning: Campaigning) -> None:
    id = await campaigning.launched(200)
    await campaigning.dispatch(id)
    await campaigning.told(await campaigning.take(40), "delivered")
    await campaigning.told(await campaigning.take(4), "undelivered", "30007")
    assert (await campaigning.dispatch(id)).status == "running"  # 4 of 44
    await campaigning.told(await campaigning.take(1), "undelivered", "30007")
    row = await campaigning.dispatch(id)
    assert (row.status, row.reason, row.failed) == ("paused", "filtered", 5)
    async with campaigning.db.tenant(campaigning.org) as tx:
        assert "filtered" in await tx.fetchval("SELECT data FROM events WHERE type = 'campaign.paused'")


async def test_a_number_that_is_off_pauses_and_one_that_is_gone_fails(campaigning: Campaigning) -> None:
    id = await campaigning.launched(15)
    await campaigning.dispatch(id)
    async with campaigning.db.tenant(campaigning.org) as tx:
        await tx.execute("UPDATE numbers SET sms_enabled = false")
    row = await campaigning.dispatch(id)
    assert (row.status, row.reason, row.pending) == ("paused", "number_off", 15)
    with pytest.raises(InvalidState, match="can't send"):
        await campaigning.launch(id)
    async with campaigning.db.tenant(campaigning.org) as tx:
        await tx.execute("UPDATE numbers SET sms_enabled = true")
    await campaigning.launch(id)
    async with campaigning.db.tenant(campaigning.org) as tx:
        await tx.execute("DELETE FROM numbers")
    row = await campaigning.dispatch(id)
    assert (row.status, row.reason, row.canceled) == ("failed", "number_gone", 15)


async def test_a_recipient_whose_text_cannot_be_written_stops_nobody_else(
    campaigning: Campaigning, monkeypatch: pytest.MonkeyPatch
) -> None:
    from control.campaigns import choosing

    text = choosing.text

    def poisoned(campaign: Any, sender: Any, due: Any) -> Any:  # as the original
        if due.contact_e164 == contact(3):
            raise ValueError("poison")
        return text(campaign, sender, due)

    monkeypatch.setattr(choosing, "text", poisoned)
    id = await campaigning.launched(40)
    for _ in range(10):
        row = await campaigning.run(id)
    assert (row.status, row.failed, row.delivered) == ("completed", 1, 39)


async def test_two_campaigns_take_turns(campaigning: Campaigning) -> None:
    first, second = await campaigning.launched(90), await campaigning.launched(90)
    for _ in range(2):
        await campaigning.dispatcher.dispatch_next()
    assert [(await campaigning.get(id)).sending for id in (first, second)] == [50, 50]


async def test_a_dispatcher_leaves_what_another_has(campaigning: Campaigning) -> None:
    await campaigning.launched(10)
    async with campaigning.db.system() as tx:
        await tx.execute("SELECT FROM campaigns FOR NO KEY UPDATE")
        assert await Dispatcher(campaigning.db, campaigning.limits).dispatch() == 0
