"""Flows that events start, a tool of the organization's own, and a model that answers as a test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from control import readers
from control.approvals.requests import ApprovalRequester
from control.eventagents import starting
from control.eventagents.eventmatching import EventRunLimits
from control.eventagents.runs import EventDialogue, Runs
from control.eventagents.tools import report_outcome
from control.feature import Reader
from control.tools import AgentTool, Origin, Registry, Result, ToolChannel, ToolContext, ToolPolicy
from hum import ids
from hum.contract import eventtypes
from hum.settings import ControlSettings
from hum.v1 import events_pb2
from storage import events, flows, identity
from storage.db import Db, Tx
from storage.events import ReaderStart
from tests.control.textagent.conftest import Fake
from tests.support.waits import patience

LIMITS = EventRunLimits(
    runs_per_flow=60,
    window=timedelta(minutes=10),
    runs_per_organization=100,
    depth=3,
    tool_calls=4,
    attempts=3,
    seconds=20,
)
ARGUMENTS = {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]}
SETTINGS = ControlSettings(approval_stuck_seconds=30, approvals_pending_each=2)
TOOLS = (ids.new(), ids.new())
OUTCOME = '{"type": "object", "properties": {"shipped": {"type": "boolean"}}, "required": ["shipped"]}'


@dataclass
class Floor:
    """One organization, and what its agents do."""

    db: Db
    org: UUID
    model: Fake
    limits: EventRunLimits = LIMITS
    #: With which arguments the tool `ship` was run, and what it does meanwhile.
    shipped: list[Mapping[str, Any]] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] | None = None
    #: With which arguments the tool `refund` was run, for which a person is asked.
    refunded: list[Mapping[str, Any]] = field(default_factory=list)
    orphaned: timedelta = timedelta(seconds=15)
    stuck: timedelta = timedelta(minutes=5)

    def limit(self, **changed: Any) -> None:
        self.limits = replace(self.limits, **changed)

    @property
    def registry(self) -> Registry:
        registry = Registry()
        registry.add([report_outcome(5000)])
        registry.add_sources([self._own])
        registry.set_approver(ApprovalRequester(self.db, SETTINGS).request)
        return registry

    @property
    def runs(self) -> Runs:
        dialogue = EventDialogue(self.db, self.model, self.registry, 1000)
        return Runs(self.db, self.model, dialogue, self.limits, self.orphaned, self.stuck)

    async def _own(self, _: Tx, __: UUID, ___: UUID) -> Sequence[AgentTool]:
        make = partial(AgentTool, parameters=lambda _: ARGUMENTS, channels=frozenset(ToolChannel), timeout_ms=10_000)
        return [
            make("ship", "Ships an order.", run=self._ship, origin=Origin("http", TOOLS[0], 1)),
            make(
                "refund",
                "Refunds an order.",
                run=self._refund,
                origin=Origin("http", TOOLS[1], 1),
                policy=ToolPolicy.APPROVAL,
            ),
        ]

    async def _refund(self, _: ToolContext, arguments: Mapping[str, Any]) -> Result:
        self.refunded.append(arguments)
        return Result({"refunded": arguments["order"], "token": "tok-77"})

    async def _ship(self, _: ToolContext, arguments: Mapping[str, Any]) -> Result:
        self.shipped.append(arguments)
        if self.meanwhile is not None:
            await self.meanwhile()
        return Result({"shipped": arguments["order"]})

    async def flow(self, *types: str, org: UUID | None = None, **definition: Any) -> UUID:
        """A flow that these events start."""
        flow = ids.new()
        made = {
            "name": "Shipping",
            "system_prompt": "You ship what was paid.",
            "trigger_type": "TRIGGER_TYPE_EVENT",
            "trigger_events": list(types),
        }
        async with self.db.tenant(org or self.org) as tx:
            await flows.create(tx, flow, "sms", made | definition)
        return flow

    async def happen(self, payload: str = '{"order": 7}', name: str = "external.paid", org: UUID | None = None) -> UUID:
        """Something happens in another system; return the event."""
        event, subject = ids.new(), ids.new()
        posted = events_pb2.ExternalEvent(trigger_id=ids.show(ids.Kind.TRIGGER, subject), payload_json=payload)
        async with self.db.tenant(org or self.org) as tx:
            await events.append(tx, org or self.org, subject, posted, id=event, name=name)
        return event

    async def read(self) -> None:
        """Read everything that has happened; other tests' transactions hold the horizon up."""
        reader = Reader(
            starting.READER,
            ReaderStart.BEGINNING,
            frozenset(eventtypes.visible()),
            partial(starting.start, limits=self.limits),
            1.0,
        )
        async with self.db.system() as tx:
            last = await tx.fetchval("SELECT max(id) FROM events")
        async with patience():
            while last is not None:
                await readers.read(self.db, reader)
                async with self.db.system() as tx:
                    done = await tx.fetchval("SELECT id FROM event_cursors WHERE reader = $1", reader.name)
                if done is not None and done >= last:
                    return
                await asyncio.sleep(0.02)

    async def take(self) -> list[str | None]:
        """Read what has happened, and do the jobs of what waits, each once."""
        await self.read()
        waiting = await self.rows("SELECT id FROM event_runs WHERE status = 'waiting' ORDER BY id")
        return [await self.runs.run(self.org, row["id"]) for row in waiting]

    async def rows(self, query: str, *values: Any) -> list[Any]:
        async with self.db.tenant(self.org) as tx:
            return list(await tx.fetch(query, *values))

    async def all_runs(self) -> list[Any]:
        return await self.rows("SELECT * FROM event_runs ORDER BY id")


@pytest.fixture
async def floor(database_url: str) -> AsyncIterator[Floor]:
    db, org = await Db.open(database_url, size=4), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Web shop")
    yield Floor(db, org, Fake(otherwise="Shipped."))
    await db.close()
