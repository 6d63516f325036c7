"""What a text takes of its organization's plan: one message, from when it is written until the roll-ups have it."""

import pytest

from control.billing import limits
from control.billing.sweeps import rows
from control.texts import posting
from hum.clock import now
from hum.contract.errors import BillingRequired, CarrierError
from storage import billing
from tests.control.texts.conftest import Texting
from tests.control.texts.desk import TextDesk
from tests.control.usage.office import Office
from tests.support import billing as stock
from tests.support.present import present


@pytest.fixture
async def desk(texting: Texting) -> TextDesk:
    async with texting.db.system() as tx:
        await billing.set_plans(tx, rows(stock.known()))
    return TextDesk(texting)


async def used(desk: TextDesk) -> int:
    """As whoever writes a text asks."""
    async with desk.db.tenant(desk.org) as tx:
        return present(await limits.find(tx, desk.org, "messages")).used


async def roll_up(desk: TextDesk) -> int:
    """As the reader of usage does; return how many messages the roll-ups have."""
    await Office(desk.db, desk.org, [], now()).count()
    async with desk.db.system() as tx:
        return int(
            await tx.fetchval("SELECT coalesce(sum(quantity), 0) FROM usage_rollups WHERE meter = 'messages_sent'")
        )


async def test_a_text_counts_once_at_each_step(desk: TextDesk) -> None:
    steps = dict[str, int]()

    async def at_step(step: str) -> None:
        steps[step] = await used(desk)

    await desk.write()
    assert await used(desk) == 1
    await desk.sender(at_step).send_due()
    assert steps == dict.fromkeys(posting.STEPS, 1)
    assert await used(desk) == 1, "the roll-ups lack it"
    assert await roll_up(desk) == 1
    assert await used(desk) == 1


async def test_a_text_that_is_sent_again_counts_once(desk: TextDesk) -> None:
    await desk.write()
    await desk.send()
    (sid,) = desk.carrier.texted
    await desk.says(sid, "undelivered", "30003")
    assert await used(desk) == 1
    assert await roll_up(desk) == 1
    await desk.later(15 * 60 + 1)
    await desk.lookups.retry_due()
    assert await used(desk) == 1, "it is due"
    assert len((await desk.claim()).attempts) == 1
    assert await used(desk) == 1, "it is in flight"


async def test_a_text_that_the_carrier_refuses_counts_no_more(desk: TextDesk) -> None:
    desk.carrier.refuse_texts = [CarrierError("No.", carrier_code="21211", carrier_status="400")]
    message = await desk.write()
    await desk.send()
    assert (await desk.state(message))[0] == "failed"
    assert await used(desk) == 0


@pytest.mark.parametrize("sent", [False, True])
async def test_texts_that_are_being_sent_or_were_just_sent_leave_no_quota_for_others(
    desk: TextDesk, *, sent: bool
) -> None:
    for last in range(3):
        await desk.write(contact=f"+1317555001{last}")
    if sent:
        await desk.send()
        assert len(desk.bodies) == 3
    else:
        assert len((await desk.claim()).attempts) == 3
    with pytest.raises(BillingRequired, match="3 are used"):
        await desk.write(contact="+13175550019")
