"""Dialogues of agents that book: calls, threads of texts and runs for events, each with the tools that it is offered."""

import json
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from control.bookings.searching import TimeSearch
from control.bookings.tools import BookingTools, catalog
from control.tools import FlowVersion, Registry, Result, Situation, TextTurn, ToolChannel, ToolContext
from hum import ids
from hum.computing import ComputingTurns
from hum.ids import Kind
from storage import calls, conversations, flows
from storage.calls import NewCall
from tests.control.bookings.conftest import Clinic

ANNS, BENS, OURS = "+13175550199", "+13175550188", "+13175550100"
WITHHELD = ""


@dataclass
class BookingTalk:
    """One dialogue; `say` runs a tool as its agent does."""

    clinic: Clinic
    registry: Registry
    channel: ToolChannel
    context: ToolContext
    owed: list[Result]

    async def say(self, tool: str, **arguments: Any) -> dict[str, Any]:
        result = await self.registry.run(self.channel, tool, json.dumps(arguments), self.context)
        turn = self.context.turn
        if turn is not None and result.ok:
            self.context = replace(self.context, turn=replace(turn, done=(*turn.done, tool)))
        self.owed.append(result)
        output: dict[str, Any] = result.output
        return output

    async def find(self, **arguments: Any) -> dict[str, Any]:
        return await self.say("find_times", **{"service": "Check-up", **arguments})

    async def hold(self, day: str | None = None) -> dict[str, Any]:
        """Find a time and hold the first that is offered."""
        found = await self.find(**({"day": day} if day else {}))
        return await self.say("hold_time", time=found["times"][0]["time"])

    async def book(self, day: str | None = None, name: str = "Ann Lee") -> dict[str, Any]:
        await self.hold(day)
        return await self.say("book_time", name=name)

    async def end_turn(self) -> None:
        """Commit what the turn's tools owe, as with its reply."""
        effects = [result.at_end for result in self.owed if result.at_end]
        async with self.clinic.db.tenant(self.clinic.org) as tx:
            for effect in effects:
                await effect(tx)
        self.owed.clear()
        if self.context.turn:
            self.context = replace(self.context, turn=replace(self.context.turn, run=ids.new(), done=()))


@dataclass
class BookingDesk:
    """The clinic's number, with a flow that may book."""

    clinic: Clinic
    registry: Registry
    flow: UUID
    definition: dict[str, Any]

    async def situation(self, number: str, *, vouched: bool = True) -> Situation:
        async with self.clinic.db.tenant(self.clinic.org) as tx:
            own = await self.registry.own_tools(tx, self.clinic.org, self.flow)
        return Situation(
            self.definition,
            contact_e164=number,
            is_vouched_for=vouched and bool(number),
            flow=FlowVersion(self.flow, 1),
            own_tools=own,
        )

    async def call(self, number: str = ANNS, *, vouched: bool = True) -> BookingTalk:
        id, org = ids.new(), self.clinic.org
        async with self.clinic.db.system() as tx:
            new = NewCall(id, org, str(id), "inbound", "in_progress", number, OURS, None, self.flow, 1, None)
            await calls.create(tx, new)
        situation = await self.situation(number, vouched=vouched)
        return BookingTalk(self.clinic, self.registry, ToolChannel.CALL, ToolContext(org, situation, call_id=id), [])

    async def thread(self, number: str = ANNS) -> BookingTalk:
        org = self.clinic.org
        async with self.clinic.db.tenant(org) as tx:
            # Its number was released: the thread stays.
            found, _ = await conversations.find_or_create(tx, ids.new(), org, None, OURS, number, None)  # type: ignore[arg-type]
        turn = TextTurn(ids.new(), found.id)
        context = ToolContext(org, await self.situation(number), turn=turn)
        return BookingTalk(self.clinic, self.registry, ToolChannel.TEXT, context, [])

    async def run_for_event(self) -> BookingTalk:
        context = ToolContext(self.clinic.org, await self.situation(WITHHELD), event_run=ids.new())
        return BookingTalk(self.clinic, self.registry, ToolChannel.EVENT, context, [])


async def open_desk(clinic: Clinic, **definition: Any) -> BookingDesk:
    registry = Registry()
    registry.add(BookingTools(clinic.db, TimeSearch(ComputingTurns()), 10_000).all())
    registry.set_catalog(catalog)
    flow = ids.new()
    fields = {"name": "Desk", "booking_service_ids": [ids.show(Kind.BOOKABLE_SERVICE, clinic.service)], **definition}
    async with clinic.db.tenant(clinic.org) as tx:
        await flows.create(tx, flow, "voice", fields)
    return BookingDesk(clinic, registry, flow, fields)
