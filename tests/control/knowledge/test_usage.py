"""What a question's embedding reads is used by whoever asks: a call, an AI's turn, a run for an event, or the organization."""

from dataclasses import replace
from uuid import UUID

import pytest

from control.calls import ending
from control.knowledge.search import DocumentSearch
from control.knowledge.tools import lookup_knowledge
from control.tools import FlowVersion, Registry, Result, Situation, TextTurn, ToolChannel, ToolContext
from control.usage import meters
from hum import ids
from hum.clock import now
from hum.ids import Kind
from storage import calls
from storage.calls import NewCall
from storage.db import Tx
from storage.usage import NONE
from tests.control.knowledge.conftest import House, StandIn
from tests.control.usage.office import Office

RULES = "# Parking\nBehind the house, for two hours."
#: As many tokens does the stand-in read for each text.
TOKENS = 10


class Asked:
    """An agent's context, and its tool."""

    def __init__(self, house: House, document: UUID, flow: UUID) -> None:
        self._house, self._registry = house, Registry()
        self._registry.add([lookup_knowledge(DocumentSearch(house.db, house.embedder, 5, house.held), 3000)])
        definition = {"knowledge_ids": [ids.show(Kind.KNOWLEDGE, document)]}
        self.context = ToolContext(house.mine, Situation(definition, flow=FlowVersion(flow, 1)))

    async def look_up(self, question: str = "parking", **context: object) -> Result:
        arguments = f'{{"question": "{question}"}}'
        asking = replace(self.context, **context)  # type: ignore[arg-type]
        return await self._registry.run(ToolChannel.CALL, "lookup_knowledge", arguments, asking)


async def flow_with_number(tx: Tx, org: UUID) -> tuple[UUID, UUID]:
    flow, number = ids.new(), ids.new()
    await tx.execute("INSERT INTO flows (id, org_id, channel, version) VALUES ($1, $2, 'voice', 1)", flow, org)
    await tx.execute(
        "INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities) VALUES ($1, $2, '+13175550100', 'PN1', '{}')",
        number,
        org,
    )
    return flow, number


async def entries(house: House, org: UUID | None = None) -> list[tuple[UUID, UUID, UUID, str, int]]:
    """Of each subject: its flow and number, the model, and how many tokens; without those of documents."""
    async with house.db.tenant(org or house.mine) as tx:
        rows = await tx.fetch(
            """
            SELECT subject_id, flow_id, number_id, item, sum(quantity)::int FROM usage_entries
             WHERE meter = $1 AND part <> '' GROUP BY 1, 2, 3, 4 ORDER BY min(used_at)
            """,
            meters.TEXT_IN,
        )
    return [tuple(row) for row in rows]


async def announced(house: House) -> set[UUID]:
    async with house.db.system() as tx:
        rows = await tx.fetch("SELECT DISTINCT subject_id FROM events WHERE type = 'usage.recorded'")
    return {row["subject_id"] for row in rows}


async def test_a_calls_look_ups_are_its_own_while_it_goes_on_and_after_its_end(house: House) -> None:
    document = await house.ready(house.mine, "Rules", RULES)
    call = ids.new()
    async with house.db.system() as tx:
        flow, number = await flow_with_number(tx, house.mine)
        facts = "inbound", "in_progress", "+13175550199", "+13175550100", number, flow, 1, None
        await calls.create(tx, NewCall(call, house.mine, "CA1", *facts, created_at=now()))
    asked = Asked(house, document, flow)
    for _ in range(2):
        assert (await asked.look_up(call_id=call)).ok
    assert await entries(house) == [(call, flow, number, "stand-in", 2 * TOKENS)]
    office = Office(house.db, house.mine, [flow], now())
    await office.count()
    assert (await office.sums())[meters.TEXT_IN, "stand-in"] == 2 * TOKENS, "it does not wait for the call's end"
    async with house.db.system() as tx:
        await ending.end_call(tx, await calls.lock(tx, call), "completed", now(), "caller")
    assert (await asked.look_up(call_id=call)).ok, "a tool that ran when the call ended"
    assert await entries(house) == [(call, flow, number, "stand-in", 3 * TOKENS)]
    await office.count()
    assert (await office.sums())[meters.TEXT_IN, "stand-in"] == 3 * TOKENS
    assert await office.rolled_up() == await office.recounted()


async def test_a_turn_and_a_run_have_theirs(house: House) -> None:
    document = await house.ready(house.mine, "Rules", RULES)
    thread, turn, run = ids.new(), ids.new(), ids.new()
    async with house.db.system() as tx:
        flow, number = await flow_with_number(tx, house.mine)
        await tx.execute(
            "INSERT INTO conversations (id, org_id, number_e164, contact_e164, number_id) VALUES ($1, $2, 'n', 'c', $3)",
            thread,
            house.mine,
            number,
        )
        await tx.execute(
            "INSERT INTO text_runs (id, org_id, conversation_id, status) VALUES ($1, $2, $3, 'running')",
            turn,
            house.mine,
            thread,
        )
    asked = Asked(house, document, flow)
    assert (await asked.look_up(turn=TextTurn(turn, thread))).ok and (await asked.look_up(event_run=run)).ok
    assert await entries(house) == [(turn, flow, number, "stand-in", TOKENS), (run, flow, NONE, "stand-in", TOKENS)]
    assert await announced(house) == {turn, run}


async def test_what_is_of_nothing_else_is_the_organizations(house: House) -> None:
    document = await house.ready(house.mine, "Rules", RULES)
    async with house.db.system() as tx:
        flow, _ = await flow_with_number(tx, house.mine)
    assert (await Asked(house, document, flow).look_up()).ok  # a trial
    assert (await house.find("parking", [document], by_meaning=True)).hits  # a person
    assert not (await house.find("parking", [ids.new()], by_meaning=True)).hits  # asked, and nothing to find
    found = await entries(house)
    assert [each[1:] for each in found] == [
        (flow, NONE, "stand-in", TOKENS),
        (NONE, NONE, "stand-in", TOKENS),
        (NONE, NONE, "stand-in", TOKENS),
    ]
    assert await announced(house) == {each[0] for each in found} and await entries(house, house.yours) == []


@pytest.mark.parametrize("embedder", [StandIn(fails=True), StandIn(tokens=0)])
async def test_nothing_is_counted_where_nothing_was_used(house: House, embedder: StandIn) -> None:
    document = await house.ready(house.mine, "Rules", RULES)
    house.embedder = embedder
    assert (await house.find("parking", [document], by_meaning=True)).hits
    assert (await house.find("parking", [document])).hits
    assert await entries(house) == [] and await announced(house) == set()
