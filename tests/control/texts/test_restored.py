"""A database that was restored from a backup: nothing is sent again that was sent since the backup, and nothing is forgotten."""

from uuid import UUID

import pytest

from hum import ids
from hum.contract.errors import CarrierError
from storage.messages import MessageRow
from storage.migrate import migrate
from tests.control.texts.conftest import CONTACT, Texting
from tests.control.texts.desk import TextDesk

OTHER = "+13175551235"


@pytest.fixture
async def desk(texting: Texting) -> TextDesk:
    return TextDesk(texting)


async def back_up_and_restore(desk: TextDesk, database_url: str, message: MessageRow, *, noted: bool = True) -> None:
    """Send what is due, and let the database be again as it was before."""
    await desk.send()
    async with desk.db.system() as tx:
        await tx.execute("DELETE FROM message_attempts WHERE message_id = $1", message.id)
        await tx.execute(
            "UPDATE messages SET status = 'queued', due_at = now(), carrier_sid = NULL, sent_at = NULL WHERE id = $1",
            message.id,
        )
    if noted:
        await migrate(database_url, restored=True)


async def test_what_was_sent_since_the_backup_is_not_sent_again(desk: TextDesk, database_url: str) -> None:
    message = await desk.write("Your visit is at nine.")
    await back_up_and_restore(desk, database_url, message)
    unsent = await desk.write("Your visit is at ten.", contact=OTHER)
    await migrate(database_url, restored=True)
    await desk.send()
    assert desk.bodies == ["Your visit is at nine.", "Your visit is at ten."]
    assert (await desk.state(message))[0] == (await desk.state(unsent))[0] == "sent"
    assert (await desk.row(message))["carrier_sid"] == next(iter(desk.carrier.texted)), "it is the one that was sent"


async def test_it_would_be_sent_again_if_nobody_said_that_the_database_was_restored(
    desk: TextDesk, database_url: str
) -> None:
    """What the other tests are about: the database itself can't know."""
    message = await desk.write()
    await back_up_and_restore(desk, database_url, message, noted=False)
    await desk.send()
    assert desk.bodies == ["Hello", "Hello"]


async def test_while_the_carrier_can_not_be_asked_nothing_is_sent(desk: TextDesk, database_url: str) -> None:
    message = await desk.write()
    await back_up_and_restore(desk, database_url, message)
    desk.carrier.fail = CarrierError("The carrier did not respond.")
    await desk.send()
    assert await desk.state(message) == ("queued", None, ["withdrawn"]) and len(desk.bodies) == 1
    desk.carrier.fail = None
    await desk.later(60)
    await desk.send()
    assert (await desk.state(message))[0] == "sent" and len(desk.bodies) == 1


async def test_a_text_that_is_written_afterwards_is_sent_without_a_look(desk: TextDesk, database_url: str) -> None:
    """Though it has the words of one that was sent before."""
    message = await desk.write("Hi")
    await back_up_and_restore(desk, database_url, message)
    await desk.send()
    desk.carrier.fail = CarrierError("The carrier's list is down.")
    again = await desk.write("Hi")
    await desk.send()
    assert desk.bodies == ["Hi", "Hi"] and (await desk.state(again))[0] == "sent"


async def campaign(desk: TextDesk) -> UUID:
    id = ids.new()
    async with desk.db.tenant(desk.org) as tx:
        await tx.execute(
            "INSERT INTO campaigns (id, org_id, name, body_template, status) VALUES ($1, $2, 'News', 'Hi', 'running')",
            id,
            desk.org,
        )
    return id


async def test_a_campaign_that_ran_at_the_time_texts_nobody_twice(desk: TextDesk, database_url: str) -> None:
    """The texts of its recipients are written after the restore, by then for the second time."""
    news = await campaign(desk)
    lost = await desk.write("News", "campaign", campaign_id=news)
    await desk.send()
    async with desk.db.system() as tx:
        await tx.execute("DELETE FROM messages WHERE id = $1", lost.id)
    await migrate(database_url, restored=True)
    second = await desk.write("News", "campaign", campaign_id=news)
    other = await desk.write("News", "campaign", contact=OTHER, campaign_id=news)
    later = await desk.write("News", "campaign", campaign_id=await campaign(desk))
    await desk.send()
    texted = [text.to_e164 for text in desk.carrier.texted.values()]
    assert sorted(texted) == sorted([CONTACT, OTHER, CONTACT]), "each campaign's text once"
    assert {(await desk.state(each))[0] for each in (second, other, later)} == {"sent"}
