"""An organization with many campaigns is visited no more often than its share, and the dispatcher is there for others."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from control.campaigns.dispatching import Dispatcher
from control.campaigns.transitions import BATCH
from control.campaigns.visits import FEW_CAMPAIGNS, VISITS_PER_SECOND, delay_seconds
from hum import ids
from hum.clock import now
from storage import campaigns, identity
from storage.campaigns import CampaignRow
from storage.db import Tx
from tests.control.campaigns.conftest import LIMITS, Campaigning


@pytest.mark.parametrize(
    ("wanted", "running", "seconds"),
    [
        (0.0, 1, 0.0),
        (1.0, FEW_CAMPAIGNS, 1.0),
        (0.0, 500, 25.0),
        (1.0, 500, 25.0),
        (60.0, 500, 60.0),
        (1.0, 2000, 100.0),
    ],
)
def test_when_a_campaign_is_visited_again(wanted: float, running: int, seconds: float) -> None:
    assert delay_seconds(wanted, running) == seconds


def test_so_many_visits_a_second_and_no_more() -> None:
    for running in range(FEW_CAMPAIGNS + 1, 2000, 7):
        assert running / delay_seconds(0.0, running) == pytest.approx(VISITS_PER_SECOND)


# --- the dispatcher, in virtual time --------------------------------------------------------------------------------

#: What one dispatcher does in a second, and the campaigns of the organization that has many.
PIECES_PER_SECOND, MANY = 100, 300
#: Campaigns of an organization that have been due for an hour, each with one text that waits for the sender.
BUSY = (
    """
    INSERT INTO numbers (id, org_id, e164, carrier_sid, sms_enabled, capabilities)
    VALUES (gen_random_uuid(), $1, '+12125550111', 'PN1', true, '{sms}')
    """,
    f"""
    INSERT INTO campaigns (id, org_id, name, number_id, body_template, status, honor_quiet_hours, launched_at, look_at)
    SELECT gen_random_uuid(), $1, n::text, m.id, 'Hi', 'running', false, now(), now() - interval '1 hour'
      FROM numbers m, generate_series(1, {MANY}) n WHERE m.org_id = $1
    """,
    """
    INSERT INTO conversations (id, org_id, number_e164, contact_e164, number_id)
    SELECT id, org_id, '+12125550111', '+1317' || (5550000 + name::integer), number_id FROM campaigns WHERE org_id = $1
    """,
    """
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments, sent_by, lane,
                          due_at, campaign_id, recipient_id)
    SELECT gen_random_uuid(), org_id, id, 'outbound', number_e164, contact_e164, 'Hi', 'queued', 1, 'campaign', 1, now(), id, id
      FROM conversations WHERE org_id = $1
    """,
    """
    INSERT INTO campaign_recipients (id, org_id, campaign_id, contact_e164, status, message_id)
    SELECT recipient_id, org_id, campaign_id, contact_e164, 'sending', id FROM messages WHERE org_id = $1
    """,
)


@dataclass
class Clock:
    """The time of the campaigns' visits, which a test moves."""

    at: datetime

    async def lock_next(self, tx: Tx) -> UUID | None:
        campaign: UUID | None = await tx.fetchval(campaigns.NEXT.replace("clock_timestamp()", "$1"), self.at)
        return campaign

    async def schedule_visit(self, tx: Tx, id: UUID, seconds: float) -> None:
        query = campaigns.SCHEDULE_VISIT.replace("clock_timestamp()", "$3::timestamptz")
        await tx.execute(query, id, seconds, self.at)


class Watched(Dispatcher):
    """A dispatcher that remembers whose campaign each of its pieces of work was for."""

    def __init__(self, campaigning: Campaigning) -> None:
        super().__init__(campaigning.db, LIMITS)
        self.visited = list[UUID]()

    async def _process(self, tx: Tx, row: CampaignRow, batch: int) -> None:
        self.visited.append(row.org_id)
        await super()._process(tx, row, batch)


def turns(visited: Sequence[UUID]) -> list[tuple[UUID, int]]:
    """Return whose turn it was, and how often in a row."""
    found = list[tuple[UUID, int]]()
    for org in visited:
        count = found.pop()[1] if found and found[-1][0] == org else 0
        found.append((org, count + 1))
    return found


async def test_a_campaign_goes_on_while_another_organization_has_hundreds_due(
    campaigning: Campaigning, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the hundreds has its turn once; by then the first of them would want another."""
    busy, clock = ids.new(), Clock(now())
    async with campaigning.db.system() as tx:
        await identity.create_organization(tx, busy, "Busy")
        for statement in BUSY:
            await tx.execute(statement, busy)
    id = await campaigning.launched(2 * BATCH)
    async with campaigning.db.system() as tx:
        await tx.execute("UPDATE campaigns SET look_at = $2 WHERE id = $1", id, clock.at)
    monkeypatch.setattr(campaigns, "lock_next", clock.lock_next)
    monkeypatch.setattr(campaigns, "schedule_visit", clock.schedule_visit)
    dispatcher = Watched(campaigning)
    while await dispatcher.dispatch_next() and len(dispatcher.visited) < 2 * MANY:
        clock.at += timedelta(seconds=1 / PIECES_PER_SECOND)
    assert turns(dispatcher.visited) == [(busy, MANY), (campaigning.org, 3)]
    assert (await campaigning.get(id)).sending == 2 * BATCH
