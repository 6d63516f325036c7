"""An organization with webhooks, a receiver of its own, and a sender without a worker around it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import pytest
from google.protobuf.message import Message

from control import readers
from control.base.egress import Policy
from control.base.rates import Rates
from control.clients.http import GuardedClient, HttpLimits
from control.feature import Reader
from control.webhooks import usecases
from control.webhooks.fanout import fan_out
from control.webhooks.posting import AtStep, WebhookPoster, go_on
from control.webhooks.recording import OutcomePace, OutcomeRecorder
from control.webhooks.retries import Schedule
from control.webhooks.sealing import WebhookSealer
from control.webhooks.sender import WebhookSender, WebhookSendLimits
from control.webhooks.usecases import RequestedSettings, WebhookLimits
from gateway import payloads
from hum import ids
from hum.contract import eventtypes
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.network import parse_networks
from hum.secrets import Keyring
from hum.v1 import events_pb2
from sandbox.receiver import Receiver
from storage import events, identity, webhook_deliveries, webhooks
from storage.db import Db
from storage.events import ReaderStart
from storage.webhook_deliveries import DeliveryRow
from storage.webhook_queues import DeadBackOff
from storage.webhooks import WebhookRow
from tests.support.waits import patience

LOCAL = Policy(parse_networks("127.0.0.0/8"))
LIMITS = WebhookSendLimits(
    width=64,
    organization_width=32,
    endpoint_width=16,
    dead_width=4,
    dead=DeadBackOff(5, 0.2, 1.0),
    request_seconds=1.0,
    lease_seconds=20.0,
    batch_seconds=0.005,
    poll_seconds=0.05,
)
SCHEDULE = Schedule((0.05,) * 9, 0.2, 1.0)


@dataclass
class Hooked:
    """An organization, its receiver, and how its events get there."""

    db: Db
    org: UUID
    web: GuardedClient
    receiver: Receiver
    keyring: Keyring
    secrets: dict[UUID, str] = field(default_factory=dict)

    async def webhook(self, path: str = "/hook", org: UUID | None = None, **wished: Any) -> UUID:
        principal = Principal(
            org or self.org, "admin", ("*",), key_id=None, session_id=None, user_id=None, name="a", site_admin=False
        )
        requested = RequestedSettings(
            url=self.receiver.url + path,
            description="",
            events=(),
            numbers=(),
            flows=(),
            headers={},
            enabled=True,
            ordered=None,
            format=None,
            preset=None,
        )
        async with self.db.tenant(org or self.org) as tx:
            row, secret = await usecases.create(
                tx, principal, replace(requested, **wished), WebhookSealer(self.keyring), WebhookLimits(50, LOCAL, 60.0)
            )
        self.secrets[row.id] = secret
        return row.id

    async def happen(self, *messages: Message, org: UUID | None = None) -> list[UUID]:
        """Append events, and make their deliveries."""
        made = [ids.new() for _ in messages]
        async with self.db.system() as tx:
            for id, message in zip(made, messages, strict=True):
                name = payloads.NAMED if isinstance(message, events_pb2.ExternalEvent) else None
                await events.append(tx, org or self.org, id, message, id=id, name=name)
        await self.read()
        return made

    async def read(self) -> None:
        while await readers.read(self.db, self.reader()):
            pass

    def reader(self) -> Reader:
        async def handle(tx: Any, found: Any) -> None:
            await fan_out(tx, found, retries=SCHEDULE.retries)

        return Reader("webhooks", ReaderStart.BEGINNING, frozenset(eventtypes.visible()), handle, 1.0, shares=True)

    def sender(
        self,
        at_step: AtStep = go_on,
        schedule: Schedule = SCHEDULE,
        answer_kb: Rates | None = None,
        **limits: Any,
    ) -> WebhookSender:
        chosen = replace(LIMITS, **limits)
        poster = WebhookPoster(
            self.web,
            WebhookSealer(self.keyring),
            schedule,
            chosen.request_seconds,
            answer_kb or Rates(1000, 1_000_000),
            at_step,
        )
        pace = OutcomePace(chosen.batch_seconds, 0.05, chosen.lease_seconds)
        return WebhookSender(self.db, poster, OutcomeRecorder(self.db, chosen.dead, pace, at_step), chosen)

    async def until_settled(self, webhook: UUID, sender: WebhookSender | None = None) -> list[DeliveryRow]:
        """Send until nothing is pending."""
        sender = sender or self.sender()
        async with patience():
            while await self.deliveries(webhook, "pending"):
                await sender.send_due()
                await asyncio.sleep(0.01)
        return await self.deliveries(webhook)

    async def deliveries(self, webhook: UUID, state: str | None = None) -> list[DeliveryRow]:
        """The oldest first."""
        async with self.db.tenant(self.org) as tx:
            return (await webhook_deliveries.page(tx, webhook, state, None, 1000))[::-1]

    async def row(self, webhook: UUID) -> WebhookRow:
        async with self.db.system() as tx:
            return await webhooks.get(tx, webhook)


def received(count: int = 1, conversation: UUID | None = None) -> events_pb2.SmsReceivedEvent:
    """A text that came in."""
    return events_pb2.SmsReceivedEvent(
        message_id=ids.show(Kind.MESSAGE, ids.new()),
        conversation_id=ids.show(Kind.CONVERSATION, conversation or ids.new()),
        from_e164="+13175551234",
        to_e164="+12125550100",
        body=f"text {count} ✓",
    )


@pytest.fixture
async def hooked(database_url: str) -> AsyncIterator[Hooked]:
    db = await Db.open(database_url, size=6)
    web = GuardedClient(LOCAL, HttpLimits(connections=200, organization_requests=200, host_requests=100))
    org = ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    async with Receiver.serve() as receiver:
        yield Hooked(db, org, web, receiver, Keyring([(1, bytes(32))]))
        await web.close()
    await db.close()
