"""An organization with a campaign, a dispatcher, and a stand-in for the sender: it moves messages as the sender would."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from control.campaigns import usecases
from control.campaigns.dispatching import Dispatcher
from control.campaigns.halting import CampaignLimits
from control.campaigns.usecases import CampaignDraft
from hum import ids
from hum.clock import now
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import campaigns_pb2 as pb
from storage import campaigns, identity, numbers
from storage.campaigns import CampaignRow
from storage.db import Db
from storage.numbers import NumberRow
from tests.support.present import present

NUMBER = "+12125550100"
LIMITS = CampaignLimits(window=100, recipients=1000, filtered_share=0.1, filtered_least=3)
STATUSES = ("pending", "sending", "sent", "delivered", "failed", "unknown", "opted_out", "skipped", "canceled")

#: By how much each count differs from the recipients.
RECOUNT = f"""
    SELECT {", ".join(f"sum({name})::int AS {name}" for name in STATUSES)}
      FROM (SELECT {", ".join(STATUSES)} FROM campaign_counts WHERE campaign_id = $1
            UNION ALL
            SELECT {", ".join(f"-count(*) FILTER (WHERE status = '{name}')" for name in STATUSES)}
              FROM campaign_recipients WHERE campaign_id = $1) each
"""


def contact(index: int) -> str:
    return f"+1317555{index:04d}"


@dataclass
class Campaigning:
    db: Db
    org: UUID
    number: UUID
    limits: CampaignLimits = LIMITS
    dispatcher: Dispatcher = field(init=False)

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(self.db, self.limits)

    @property
    def principal(self) -> Principal:
        return Principal(self.org, "operator", (), None, None, ids.new(), "Ada", site_admin=False)

    async def draft(self, recipients: int | Sequence[pb.NewRecipient], **fields: Any) -> UUID:
        given = (
            [pb.NewRecipient(contact_e164=contact(n)) for n in range(recipients)]
            if isinstance(recipients, int)
            else recipients
        )
        wish = CampaignDraft(
            **{
                "name": "January refill reminder",
                "number": ids.show(Kind.NUMBER, self.number),
                "flow": "",
                "body_template": "Hi! Time to refill.",
                "media_urls": [],
                "throttle_per_minute": None,
                "scheduled_start_at": None,
                "expires_at": None,
                "honor_quiet_hours": True,
                **fields,
            }
        )
        async with self.db.tenant(self.org) as tx:
            return (await usecases.create(tx, self.principal, wish, given, self.limits)).id

    async def launched(self, recipients: int | Sequence[pb.NewRecipient], **fields: Any) -> UUID:
        id = await self.draft(recipients, **fields)
        await self.launch(id)
        return id

    async def launch(self, id: UUID) -> CampaignRow:
        async with self.db.tenant(self.org) as tx:
            return await usecases.launch(tx, self.principal, id)

    async def pause(self, id: UUID) -> CampaignRow:
        async with self.db.tenant(self.org) as tx:
            return await usecases.pause(tx, self.principal, id)

    async def cancel(self, id: UUID) -> CampaignRow:
        async with self.db.tenant(self.org) as tx:
            return await usecases.cancel(tx, self.principal, id)

    async def get(self, id: UUID) -> CampaignRow:
        """The campaign; its counts are those of its recipients."""
        async with self.db.tenant(self.org) as tx:
            row = await campaigns.get(tx, id)
            counted = present(await tx.fetchrow(RECOUNT, id))  # in one snapshot
        assert all(value == 0 for value in counted.values()), dict(counted)
        return row

    async def due_now(self, id: UUID) -> None:
        """The dispatcher's time to look has come."""
        async with self.db.system() as tx:
            await tx.execute(
                "UPDATE campaigns SET look_at = clock_timestamp() WHERE id = $1 AND look_at IS NOT NULL", id
            )

    async def dispatch(self, id: UUID) -> CampaignRow:
        await self.due_now(id)
        await self.dispatcher.dispatch()
        return await self.get(id)

    async def take(self, limit: int = 1000) -> list[UUID]:
        """As the sender: take texts in hand, which are then being sent."""
        async with self.db.system() as tx:
            rows = await tx.fetch(
                """
                UPDATE messages SET due_at = NULL
                 WHERE id IN (SELECT id FROM messages WHERE due_at IS NOT NULL AND status = 'queued'
                               ORDER BY due_at, id LIMIT $1 FOR UPDATE SKIP LOCKED)
                RETURNING id
                """,
                limit,
            )
        return [row["id"] for row in rows]

    async def told(self, messages: Sequence[UUID], status: str, error_code: str | None = None) -> None:
        """As a callback: what became of texts that were taken in hand."""
        async with self.db.system() as tx:
            for id in messages:
                await tx.execute(
                    "UPDATE messages SET status = $2, error_code = $3 WHERE id = $1", id, status, error_code
                )

    async def put_back(self, messages: Sequence[UUID]) -> None:
        """As the sender, whom the carrier asked to wait."""
        async with self.db.system() as tx:
            await tx.execute("UPDATE messages SET due_at = clock_timestamp() WHERE id = ANY ($1)", messages)

    async def texted(self) -> list[str]:
        """To whom the carrier was asked to send, as often as it was."""
        async with self.db.system() as tx:
            rows = await tx.fetch(
                "SELECT contact_e164 FROM messages WHERE due_at IS NULL AND status <> 'canceled' ORDER BY contact_e164"
            )
        return [row["contact_e164"] for row in rows]

    async def run(self, id: UUID, status: str = "delivered") -> CampaignRow:
        """Dispatch and send until there is nothing to do."""
        while (row := await self.dispatch(id)).status in {"queued", "running"}:
            if not (taken := await self.take()):
                break
            await self.told(taken, status)
        return row


@pytest.fixture
async def campaigning(database_url: str) -> AsyncIterator[Campaigning]:
    db = await Db.open(database_url, size=6)
    org, number = ids.new(), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    async with db.tenant(org) as tx:
        row = NumberRow(number, NUMBER, "PN" + "0" * 32, None, None, None, True, ["sms"], "active", now(), None)
        await numbers.create(tx, row)
    yield Campaigning(db, org, number)
    await db.close()
