"""An organization with connectors, and systems that stand behind them and misbehave when a test wants it."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from control import readers
from control.base.egress import Policy
from control.clients.http import GuardedClient
from control.crm.client import ConnectorClient
from control.crm.lookups import CrmLookups
from control.crm.syncing import TYPES, Syncing
from control.crm.usecases import Connectors
from control.feature import Reader
from hum import ids
from hum.clock import now
from hum.network import parse_networks
from hum.secrets import Keyring
from hum.settings import ControlSettings
from hum.v1 import crm_pb2 as pb
from hum.v1 import events_pb2
from storage import call_records, calls, contacts, crm, events, identity
from storage.calls import NewCall
from storage.crm import ConnectorRow, LogRow
from storage.db import Db
from storage.events import ReaderStart
from tests.support import httpserver
from tests.support.httpserver import Handler

CALLER, OURS = "+13175550199", "+13175550100"
ADA = {"id": 4711, "name": "Ada  Lovelace", "email": "ada@example.com", "attributes": {"plan": "gold"}}
KEYS = "1:" + "A" * 43 + "="


def answers(value: Any, status: int = 200, **headers: str) -> Handler:
    """Answer with this, as JSON if it is no text."""

    async def answer(_: web.Request) -> web.StreamResponse:
        text = value if isinstance(value, str) else json.dumps(value)
        return web.Response(text=text, status=status, headers=headers)

    return answer


@dataclass
class Crm:
    """A system behind a connector: what it was asked, and how it answers by path."""

    url: str = ""
    secrets: list[str] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    paths: dict[str, Handler] = field(default_factory=dict)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.asked.append((request.path, json.loads(body), dict(request.headers)))
        self.came.set()
        if self.secrets and not any(self._is_signed(request, body, each) for each in self.secrets):
            return web.Response(status=401, text="who are you?")
        return await self.paths.get(request.path, answers({}))(request)

    @staticmethod
    def _is_signed(request: web.Request, body: bytes, secret: str) -> bool:
        expected = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        return request.headers["Authorization"] == f"Bearer {secret}" and request.headers["X-HUM-Signature"] == expected

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for where, body, _ in self.asked if where == path]

    def deliveries(self, path: str) -> list[str]:
        return [headers["X-HUM-Delivery"] for where, _, headers in self.asked if where == path]


@asynccontextmanager
async def serving() -> AsyncIterator[Crm]:
    one = Crm()
    async with httpserver.answering(one.handle) as one.url:
        yield one


@dataclass
class World:
    """An organization, its connectors, and the process that asks them."""

    db: Db
    org: UUID
    settings: ControlSettings
    stack: AsyncExitStack
    web: GuardedClient
    keyring: Keyring
    informed: list[UUID] = field(default_factory=list)
    turns: int = 0

    def __post_init__(self) -> None:
        self.connector_client = ConnectorClient(self.db, self.web, self.keyring, self.settings)
        self.lookups = CrmLookups(self.db, self.connector_client, self.settings, self._inform)
        self.syncing = Syncing(self.db, self.connector_client, "https://hum.example")
        self.connectors = Connectors(self.keyring, self.settings, Policy(self.settings.egress_networks))
        self.reader = Reader("crm", ReaderStart.BEGINNING, TYPES, self.syncing.schedule, 1.0)

    async def _inform(self, _: UUID, call: UUID) -> None:
        self.informed.append(call)

    async def crm(self, **fields: Any) -> tuple[Crm, UUID]:
        """A new system and its connector."""
        one = await self.stack.enter_async_context(serving())
        connector = pb.CrmConnector(name="Ours", **{"base_url": one.url, "timeout_ms": 10_000, **fields})
        async with self.db.tenant(self.org) as tx:
            row, secret = await self.connectors.create(tx, self.org, connector)
        one.secrets.append(secret)
        return one, row.id

    async def change(self, id: UUID, **fields: Any) -> None:
        async with self.db.tenant(self.org) as tx:
            await self.connectors.change(tx, id, pb.CrmConnector(**fields), set(fields))

    async def connector(self, id: UUID) -> ConnectorRow:
        async with self.db.tenant(self.org) as tx:
            return await crm.get(tx, id)

    async def contact(self) -> contacts.ContactRow:
        async with self.db.tenant(self.org) as tx:
            (found,) = await contacts.page(tx, None, 10)
            return found

    async def logs(self, connector: UUID) -> list[LogRow]:
        """Oldest first."""
        async with self.db.tenant(self.org) as tx:
            return (await crm.logs(tx, connector, None, 100))[::-1]

    async def call(self, *, node: str | None = None) -> UUID:
        """A live call."""
        id = ids.new()
        async with self.db.system() as tx:
            met = await contacts.find_or_create(tx, ids.new(), self.org, CALLER, "CALLER ID")
            await calls.create(
                tx,
                NewCall(
                    id=id,
                    org_id=self.org,
                    call_sid=f"CA{id.hex}",
                    direction="inbound",
                    status="ringing",
                    from_e164=CALLER,
                    to_e164=OURS,
                    number_id=None,
                    flow_id=None,
                    flow_version=None,
                    contact_id=met.id,
                    caller_verification=None,
                    created_at=now(),
                    carrier_account="",
                ),
            )
            if node is not None:
                await tx.execute("UPDATE calls SET node = $2 WHERE id = $1", id, node)
        return id

    async def look_up(self, call: UUID) -> None:
        """Look a caller up, and wait until every connector has answered."""
        self.lookups.begin(call)
        while running := list(self.lookups._running):
            await asyncio.wait(running)

    async def end(self, call: UUID, summary: str | None = "Ada asks for a visit.") -> None:
        """The call is over after 130 seconds and a good part of the next, and has its summary."""
        at = now().replace(microsecond=900_000)
        async with self.db.tenant(self.org) as tx:
            await tx.execute("UPDATE calls SET answered_at = $2 WHERE id = $1", call, at - timedelta(seconds=130.7))
            await calls.end(tx, call, "completed", at, "caller", None)
            await events.append(
                tx, self.org, call, events_pb2.CallCompletedEvent(call_id=ids.show(ids.Kind.CALL, call))
            )
        if summary is not None:
            await self.summarize(call, summary)

    async def summarize(self, call: UUID, summary: str) -> None:
        """The call is summarized, with one turn more than before."""
        text = {"text": summary, "key_points": [], "next_actions": []}
        self.turns += 1
        async with self.db.tenant(self.org) as tx:
            await call_records.set_summary(tx, call, text, '{"booked": true}', None, self.turns)
            await events.append(tx, self.org, call, events_pb2.CallSummaryEvent(call_id="c", text=summary))

    async def read(self) -> None:
        """Take up the events."""
        while await readers.read(self.db, self.reader):
            pass

    async def make_due(self) -> None:
        """The time of whatever waits has come."""
        async with self.db.system() as tx:
            await tx.execute("UPDATE crm_syncs SET due_at = now() - interval '1 s' WHERE state = 'pending'")

    async def work(self, times: int = 6) -> int:
        """Make jobs of what is due, and do them, as often as more becomes due; return how many."""
        done = 0
        for _ in range(times):
            await self.make_due()
            if not await self.syncing.enqueue_due():
                break
            for org, id in await self._jobs():
                await self.syncing.sync(org, id)
                done += 1
        return done

    async def _jobs(self) -> list[tuple[UUID, UUID]]:
        async with self.db.system() as tx:
            rows = await tx.fetch("DELETE FROM pgqueuer WHERE entrypoint = 'crm_sync' RETURNING payload")
            parked = await tx.fetch("DELETE FROM parked_jobs WHERE job = 'crm_sync' RETURNING org_id, row_id")
        loads = [json.loads(row["payload"]) for row in rows]
        return [(UUID(each["org"]), UUID(each["id"])) for each in loads] + [tuple(row) for row in parked]

    async def states(self) -> list[tuple[str, str]]:
        async with self.db.system() as tx:
            return [tuple(row) for row in await tx.fetch("SELECT kind, state FROM crm_syncs ORDER BY created_at, id")]


@pytest.fixture
def fields() -> dict[str, Any]:
    """Settings; tests override it."""
    return {}


@pytest.fixture
async def world(database_url: str, fields: dict[str, Any]) -> AsyncIterator[World]:
    settings = ControlSettings(egress_allow="127.0.0.0/8", crm_failures=3, crm_rivals_seconds=0.05, **fields)
    db, org = await Db.open(database_url, size=6), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    async with AsyncExitStack() as stack:
        stack.push_async_callback(db.close)
        guarded = GuardedClient(Policy(parse_networks("127.0.0.0/8")))
        stack.push_async_callback(guarded.close)
        yield World(db, org, settings, stack, guarded, Keyring.parse(KEYS))
