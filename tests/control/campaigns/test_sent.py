"""Campaigns over the sender of all texts: each recipient's status is what the carrier says of its text."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import asyncpg

from control.campaigns.dispatching import Dispatcher
from control.delivery.usecases import resolve
from control.texts.claims import ClaimedText
from hum.clock import now
from hum.contract.errors import CarrierBusy, CarrierError
from hum.v1 import campaigns_pb2 as pb
from storage import opt_outs
from storage.db import BUSY
from storage.opt_outs import OptOutStateRow, OptOutWordRow
from tests.control.campaigns.conftest import Campaigning, contact
from tests.control.texts.conftest import Texting
from tests.control.texts.desk import TextDesk
from tests.support.waits import patience


def desk_of(campaigning: Campaigning) -> TextDesk:
    return TextDesk(Texting(campaigning.db, campaigning.org, campaigning.number))


async def test_three_workers_text_everybody_once_over_a_carrier_that_drops_answers(campaigning: Campaigning) -> None:
    desk, count = desk_of(campaigning), 60
    id = await campaigning.launched(count, throttle_per_minute=6000)
    lost = CarrierError("The carrier did not respond: TimeoutError.")
    desk.carrier.lose_texts = [lost] * 5
    desk.carrier.refuse_texts = [CarrierError("", carrier_status="400", carrier_code="21610")]

    async def work() -> None:
        while (await campaigning.get(id)).status != "completed":
            try:
                await campaigning.due_now(id)
                await Dispatcher(campaigning.db, campaigning.limits).dispatch()
                await desk.send()
            except BUSY:
                continue

    async with patience(), asyncio.TaskGroup() as group:
        for _ in range(3):
            group.create_task(work())
    row = await campaigning.get(id)
    assert (row.sent, row.opted_out, row.unknown) == (count - 1, 1, 0)
    texted = Counter(each.to_e164 for each in desk.carrier.texted.values())
    assert set(texted.values()) == {1} and len(texted) == count - 1
    for sid in list(desk.carrier.texted):
        await desk.says(sid, "delivered")
    row = await campaigning.get(id)
    assert (row.status, row.delivered, row.sent) == ("completed", count - 1, 0)


async def test_what_nobody_can_tell_is_unknown_and_is_not_sent_again(campaigning: Campaigning) -> None:
    desk = desk_of(campaigning)
    id = await campaigning.launched(2)
    await campaigning.dispatch(id)
    desk.carrier.lose_texts = [CarrierError("", carrier_status="503")]
    desk.carrier.fail = CarrierError("The carrier did not respond.")
    await desk.send()
    await desk.later(3700)
    await desk.lookups.look_up_unconfirmed_texts()
    row = await campaigning.dispatch(id)
    assert (row.status, row.unknown, row.sent) == ("completed", 1, 1)
    assert len(desk.carrier.texted) == 2
    unknown = next(iter(desk.carrier.texted))
    await desk.says(unknown, "delivered")  # it tells after all
    assert (await campaigning.get(id)).delivered == 1


async def test_a_paused_campaign_gives_the_sender_nothing(campaigning: Campaigning) -> None:
    desk = desk_of(campaigning)
    id = await campaigning.launched(30, throttle_per_minute=6000)
    await campaigning.dispatch(id)
    await desk.send(width=4, campaign_width=4, number_width=4)
    row = await campaigning.pause(id)
    sent = len(desk.carrier.texted)
    await desk.send()
    assert len(desk.carrier.texted) == sent
    await campaigning.dispatch(id)
    await campaigning.launch(id)
    while (row := await campaigning.dispatch(id)).status != "completed":
        await desk.send()
    assert row.sent == 30
    assert sorted(each.to_e164 for each in desk.carrier.texted.values()) == [contact(n) for n in range(30)]


async def test_who_stops_in_the_middle_is_one_row(campaigning: Campaigning) -> None:
    """The carrier refuses one (21610): the others are texted, and the contact has opted out here too."""
    desk = desk_of(campaigning)
    id = await campaigning.launched(5)
    await campaigning.dispatch(id)
    desk.carrier.refuse_texts = [CarrierError("", carrier_status="400", carrier_code="21610")]
    await desk.send()
    row = await campaigning.dispatch(id)
    assert (row.status, row.sent, row.opted_out) == ("completed", 4, 1)
    async with campaigning.db.system() as tx:
        assert await tx.fetchval("SELECT count(*) FROM opt_outs WHERE opted_out") == 1


async def taken_back(campaigning: Campaigning, desk: TextDesk) -> tuple[UUID, ClaimedText]:
    """A campaign of one recipient, whose text the carrier did not take at first, and which was paused then."""
    id = await campaigning.launched(1)
    await campaigning.dispatch(id)
    (claimed,) = (await desk.claim()).attempts
    desk.carrier.refuse_texts = [CarrierBusy(retry_after_seconds=1.0)]
    await desk.poster().send(claimed)
    await campaigning.pause(id)
    assert (await campaigning.dispatch(id)).pending == 1
    desk.carrier.texted["SMlate"] = desk.poster()._text(claimed)  # and has it all the same
    return id, claimed


async def test_a_text_that_was_taken_back_has_left_before_another_is_written(campaigning: Campaigning) -> None:
    desk = desk_of(campaigning)
    id, _ = await taken_back(campaigning, desk)
    await desk.says("SMlate", "sent")
    await campaigning.launch(id)
    row = await campaigning.dispatch(id)
    await desk.send()
    assert (row.status, row.sent) == ("completed", 1) and list(desk.carrier.texted) == ["SMlate"]


async def test_a_text_that_was_taken_back_has_left_while_another_waits(campaigning: Campaigning) -> None:
    desk = desk_of(campaigning)
    id, _ = await taken_back(campaigning, desk)
    await campaigning.launch(id)
    assert (await campaigning.dispatch(id)).sending == 1
    await desk.says("SMlate", "sent")
    await desk.later(60)
    await desk.send()
    row = await campaigning.dispatch(id)
    assert (row.status, row.sent) == ("completed", 1) and list(desk.carrier.texted) == ["SMlate"]


async def test_a_text_that_was_taken_back_has_left_after_another(campaigning: Campaigning) -> None:
    """Nothing can undo that; what the carrier says is kept all the same, and the recipient is the second text's."""
    desk = desk_of(campaigning)
    id, claimed = await taken_back(campaigning, desk)
    await campaigning.launch(id)
    await campaigning.dispatch(id)
    await desk.later(60)
    await desk.send()
    await desk.says("SMlate", "delivered")
    row = await campaigning.dispatch(id)
    assert (row.status, row.sent, row.delivered) == ("completed", 1, 0)
    async with campaigning.db.system() as tx:
        status = await tx.fetchval("SELECT status FROM messages WHERE id = $1", claimed.head.id)
    assert status == "delivered"


async def test_a_text_that_a_person_sends_again_ends_with_its_campaign(campaigning: Campaigning) -> None:
    """Its thread is closed before it leaves: nobody writes it once more, since the campaign is over."""
    desk = desk_of(campaigning)
    id = await campaigning.launched(1)
    await campaigning.dispatch(id)
    desk.carrier.lose_texts = [CarrierError("", carrier_status="503")]
    desk.carrier.fail = CarrierError("The carrier did not respond.")
    await desk.send()
    await desk.later(3700)
    await desk.lookups.look_up_unconfirmed_texts()
    assert (await campaigning.dispatch(id)).status == "completed"
    async with campaigning.db.tenant(campaigning.org) as tx:
        message = await tx.fetchval("SELECT id FROM messages")
        await resolve(tx, message, "send_again")
        await tx.execute("UPDATE messages SET status = 'canceled', error_code = 'closed', due_at = NULL")
    row = await campaigning.get(id)
    assert (row.pending, row.canceled) == (0, 1)


WORD = OptOutWordRow(now(), "api", None, None)
OPTED_OUT = OptOutStateRow(True, WORD, WORD, None, True, False, None)


async def test_two_opt_outs_in_two_campaigns_wait_for_nobody(campaigning: Campaigning) -> None:
    """Each ends a text of one campaign and a recipient of the other, in opposite orders."""
    first = await campaigning.launched(
        [pb.NewRecipient(contact_e164=contact(0)), pb.NewRecipient(contact_e164=contact(1))]
    )
    second = await campaigning.draft([pb.NewRecipient(contact_e164=contact(n)) for n in range(2)])
    await campaigning.dispatch(first)
    async with (
        campaigning.db.system() as tx
    ):  # 0 waits in the second and has a text in the first; 1 the other way round
        await tx.execute("UPDATE campaigns SET status = 'running' WHERE id = $1", second)
        await tx.execute(
            """UPDATE messages SET campaign_id = $1, recipient_id = (SELECT id FROM campaign_recipients
                                                                      WHERE campaign_id = $1 AND contact_e164 = $2)
                WHERE contact_e164 = $2""",
            second,
            contact(1),
        )
        await tx.execute(
            "UPDATE campaign_recipients SET status = 'pending', message_id = NULL WHERE contact_e164 = $1", contact(1)
        )
        await tx.execute(
            """UPDATE campaign_recipients r SET status = 'sending', message_id = m.id
                 FROM messages m WHERE m.recipient_id = r.id AND r.contact_e164 = $1 AND r.campaign_id = $2""",
            contact(1),
            second,
        )
    async with AsyncExitStack() as stack:
        one, other = await alike(campaigning.db.url, stack)
        for tx, who in ((one, contact(0)), (other, contact(1))):
            await tx.execute("BEGIN")
            await opt_outs.lock(tx, campaigning.org, who)
            await opt_outs.save(tx, campaigning.org, who, OPTED_OUT)
        async with patience():
            ended = [
                await opt_outs.end_pending(tx, campaigning.org, who)
                for tx, who in ((one, contact(0)), (other, contact(1)))
            ]
        for tx in (one, other):
            await tx.execute("COMMIT")
    assert ended == [1, 1]
    for id in (first, second):
        assert (await campaigning.get(id)).opted_out == 2


async def alike(url: str, stack: AsyncExitStack) -> tuple[Any, Any]:
    """Two of the system's connections that counted in the same row when that was chosen by the connection's process alone."""
    found = dict[int, Any]()
    while True:
        made = await asyncpg.connect(url, server_settings={"role": "hum_system"})
        stack.push_async_callback(made.close)
        place = made.get_server_pid() % 16
        if place in found:
            return found[place], made
        found[place] = made
