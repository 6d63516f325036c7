"""After a call was handed to another flow's agent, all that follows is in that agent's language and by that agent's flow."""

from uuid import UUID

import pytest

from control.flows import mailbox
from control.flows.choices import Choices
from control.flows.mailbox import MailboxPrompt
from control.livecall.nextsteps import TakeMessage
from control.voicemail.mailboxprompts import Mailboxes
from hum import ids
from hum.ids import Kind
from storage import call_records, calls, flow_switches, voicemails
from storage.calls import NewCall
from storage.flow_switches import SwitchRow
from tests.control.conftest import Plane
from tests.control.outbound.desk import Desk


@pytest.fixture
async def desk(plane: Plane) -> Desk:
    desk = Desk(plane)
    await desk.set_up(language="de", voicemail_enabled=True, outcome_schema_json='{"type":"object","title":"German"}')
    return desk


async def call_of(desk: Desk) -> tuple[UUID, UUID]:
    """An answered call of the German flow, and its organization."""
    flow, id = ids.require(Kind.FLOW, desk.flow), ids.new()
    async with desk.db.system() as tx:
        org = await tx.fetchval("SELECT org_id FROM flows WHERE id = $1", flow)
        new = NewCall(id, org, "CA1", "inbound", "in_progress", "+13175550199", "+13175550100", None, flow, 1, None)
        assert await calls.create(tx, new)
    return org, id


async def handed_over(desk: Desk, call: UUID) -> UUID:
    """To the agent of a French flow."""
    french, _ = await desk.line(
        desk.who,
        "+13175550101",
        language="fr-CA",
        voicemail_enabled=True,
        outcome_schema_json='{"type":"object","title":"French"}',
    )
    flow = ids.require(Kind.FLOW, french)
    async with desk.db.system() as tx:
        org = await tx.fetchval("SELECT org_id FROM calls WHERE id = $1", call)
        await flow_switches.add(tx, org, call, SwitchRow(1, 1, flow, 1, 4_000))
    return flow


@pytest.mark.parametrize("switched", [False, True])
async def test_a_message_is_transcribed_in_the_language_of_the_agent_that_asked_for_it(
    desk: Desk, *, switched: bool
) -> None:
    org, call = await call_of(desk)
    if switched:
        await handed_over(desk, call)
    async with desk.db.tenant(org) as tx:
        message = await voicemails.upsert(tx, ids.new(), org, call, "a.wav", 4_000)
        assert message is not None
        audio = await voicemails.audio(tx, message)
    assert audio is not None and audio.language == ("fr-CA" if switched else "de")


@pytest.mark.parametrize("switched", [False, True])
async def test_a_call_is_judged_by_the_schema_of_its_last_agent(desk: Desk, *, switched: bool) -> None:
    org, call = await call_of(desk)
    if switched:
        await handed_over(desk, call)
    async with desk.db.tenant(org) as tx:
        found = await call_records.after_call(tx, call)
    assert found is not None
    assert ("French" if switched else "German") in found.definition["outcome_schema_json"]


@pytest.mark.parametrize("switched", [False, True])
async def test_a_mailbox_speaks_as_the_agent_that_led_to_it(desk: Desk, *, switched: bool) -> None:
    """Here nothing is rendered yet: the carrier says it, in that language, and that flow is the one that is rendered."""
    _, call = await call_of(desk)
    flow = await handed_over(desk, call) if switched else ids.require(Kind.FLOW, desk.flow)
    mailboxes = Mailboxes(Choices.of(desk.plane.settings))
    async with desk.db.system() as tx:
        await tx.execute("DELETE FROM pgqueuer")
        said = await mailboxes.prepare(tx, call, TakeMessage())
        parting = await mailboxes.parting(tx, call, TakeMessage(by_carrier=True), "message_taken")
        payloads = [bytes(row["payload"]) for row in await tx.fetch("SELECT payload FROM pgqueuer")]
    language = "fr" if switched else "de"
    definition = {"language": language}
    assert said is not None and said.text == mailbox.line(MailboxPrompt.ASK, definition)
    assert said.language.startswith(language)
    assert parting is not None and parting.text == mailbox.line(MailboxPrompt.THANKS, definition)
    assert parting.language == said.language
    assert len(payloads) == 1 and str(flow).encode() in payloads[0], "that flow's sentences are rendered for later"
