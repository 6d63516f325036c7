"""Webhook deliveries: created by the reader of events, sent by the sender (`webhook_queues`), shown to people and sent again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum import ids
from hum.contract.errors import NotFound
from storage.db import Tx, notify

#: Notified by each transaction that makes a delivery due.
CHANNEL = "hum_webhooks_due"
LATEST_ATTEMPTS = 50
MOST_REPLAYED = 10_000

# --- created, as the system
SUBSCRIBERS = "SELECT id, org_id, events, number_ids, flow_ids FROM webhooks WHERE org_id = ANY ($1)"
CALLS = "SELECT id, number_id, flow_id FROM calls WHERE id = ANY ($1)"
CONVERSATIONS = """
    SELECT c.id, c.number_id, coalesce(c.flow_id, n.sms_flow_id) AS flow_id
      FROM conversations c LEFT JOIN numbers n ON n.id = c.number_id
     WHERE c.id = ANY ($1)
"""
# The last sequence of each stream; the deliveries of this batch precede it.
ADVANCE = """
    INSERT INTO webhook_streams AS s (stream_id, org_id, sequence)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::bigint[]) AS more (stream_id, org_id, sequence) ORDER BY stream_id
    ON CONFLICT (stream_id) DO UPDATE SET sequence = s.sequence + excluded.sequence, touched_at = now()
    RETURNING stream_id, sequence
"""
# Locks the queues in the order that all transactions use.
SCHEDULE_VISITS = """
    WITH locked AS (
        SELECT webhook_id FROM webhook_queues WHERE webhook_id = ANY ($1) ORDER BY webhook_id FOR NO KEY UPDATE)
    UPDATE webhook_queues q
       SET next_at = least(coalesce(q.next_at, 'infinity'), greatest(now(), coalesce(q.held_until, now())))
      FROM locked l
     WHERE q.webhook_id = l.webhook_id
"""
# A webhook that was deleted meanwhile gets no delivery; one that is disabled misses it.
INSERT = """
    INSERT INTO webhook_deliveries (id, org_id, webhook_id, event_id, event_type, stream_id, sequence, state, due_at, retries)
    SELECT d.id, w.org_id, w.id, d.event_id, d.event_type, d.stream_id, d.sequence,
           CASE WHEN w.disabled_reason IS NULL THEN 'pending' ELSE 'missed' END,
           CASE WHEN w.disabled_reason IS NULL THEN now() END, $7
      FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::uuid[], $6::bigint[])
           AS d (id, webhook_id, event_id, event_type, stream_id, sequence)
      JOIN webhooks w ON w.id = d.webhook_id
"""
# --- shown, as the tenant
COLUMNS = """
    d.id, d.webhook_id, d.event_id, e.public_id, d.event_type, d.state, d.sequence, d.attempts, d.due_at, d.claim_id,
    d.response_status, d.error, d.created_at, d.ended_at
"""
FROM = "FROM webhook_deliveries d JOIN events e ON e.id = d.event_id"
PAGE = f"""
    SELECT {COLUMNS} {FROM}
     WHERE d.webhook_id = $1 AND d.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY d.id DESC
     LIMIT $3
"""
PAGE_OF_STATE = f"""
    SELECT {COLUMNS} {FROM}
     WHERE d.webhook_id = $1 AND d.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AND d.state = $4
     ORDER BY d.id DESC
     LIMIT $3
"""
GET = f"SELECT {COLUMNS} {FROM} WHERE d.webhook_id = $1 AND d.id = $2"
ATTEMPTS = """
    SELECT * FROM (
        SELECT number, started_at, duration_ms, response_status, error, message, response_body, response_type
          FROM webhook_attempts WHERE delivery_id = $1 ORDER BY number DESC LIMIT $2) latest
     ORDER BY number
"""
CONTENT = "SELECT public_id, org_id, type, version, data, created_at FROM events WHERE id = $1"
# --- sent again, as the tenant
INSERT_ONE = """
    INSERT INTO webhook_deliveries (id, org_id, webhook_id, event_id, event_type, state, due_at, retries)
    SELECT $1, e.org_id, $2, e.id, e.type, 'pending', now(), 0 FROM events e WHERE e.public_id = $3
"""
VISIT_NOW = "UPDATE webhook_queues SET next_at = now(), held_until = NULL WHERE webhook_id = $1"
# A delivery in flight is left alone.
REDELIVER = """
    UPDATE webhook_deliveries
       SET state = 'pending', due_at = now(), retries = CASE state WHEN 'pending' THEN retries ELSE 0 END, ended_at = NULL
     WHERE webhook_id = $1 AND id = $2 AND claim_id IS NULL
"""
REPLAY = """
    WITH again AS (
        SELECT id FROM webhook_deliveries
         WHERE webhook_id = $1 AND id >= $2 AND state IN ('failed', 'missed') AND state = ANY ($3::text[])
         ORDER BY id
         LIMIT $4)
    UPDATE webhook_deliveries d
       SET state = 'pending', due_at = now(), retries = $5, ended_at = NULL
      FROM again a
     WHERE d.id = a.id
"""
# --- pruned, as the system
PRUNE = """
    DELETE FROM webhook_deliveries
     WHERE id IN (SELECT id FROM webhook_deliveries WHERE id < $1 AND state <> 'pending' ORDER BY id LIMIT $2)
"""
PRUNE_STREAMS = """
    DELETE FROM webhook_streams
     WHERE stream_id IN (SELECT s.stream_id FROM webhook_streams s
                          WHERE s.touched_at < $1 AND NOT EXISTS (SELECT FROM conversations c WHERE c.id = s.stream_id)
                          ORDER BY s.touched_at
                          LIMIT $2)
"""


@dataclass(frozen=True, slots=True)
class SubscriberRow:
    """A webhook, and the events that it subscribes to."""

    id: UUID
    org_id: UUID
    events: Sequence[str]
    number_ids: Sequence[UUID]
    flow_ids: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class NewDelivery:
    webhook_id: UUID
    event_id: int
    event_type: str
    stream_id: UUID | None
    sequence: int | None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    id: UUID
    webhook_id: UUID
    event_id: int
    public_id: UUID
    event_type: str
    state: str
    sequence: int | None
    attempts: int
    due_at: datetime | None
    claim_id: UUID | None
    response_status: int | None
    error: str | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeliveryAttemptRow:
    number: int
    started_at: datetime
    duration_ms: int
    response_status: int | None
    error: str | None
    message: str | None
    response_body: bytes | None
    response_type: str | None


@dataclass(frozen=True, slots=True)
class ContentRow:
    """The event that is delivered; `data` is JSON, None once it was deleted."""

    public_id: UUID
    org_id: UUID
    type: str
    version: int
    data: str | None
    created_at: datetime


async def subscribers(tx: Tx, orgs: Sequence[UUID]) -> list[SubscriberRow]:
    """Return the webhooks of these organizations."""
    return [SubscriberRow(**row) for row in await tx.fetch(SUBSCRIBERS, orgs)]


async def numbers_and_flows(
    tx: Tx, calls: Sequence[UUID], conversations: Sequence[UUID]
) -> dict[UUID, tuple[UUID | None, UUID | None]]:
    """Return the number and the flow of these calls and conversations."""
    rows = await tx.fetch(CALLS, calls) if calls else []
    rows += await tx.fetch(CONVERSATIONS, conversations) if conversations else []
    return {row["id"]: (row["number_id"], row["flow_id"]) for row in rows}


async def reserve_sequences(tx: Tx, more: dict[UUID, tuple[UUID, int]]) -> dict[UUID, int]:
    """Reserve sequence numbers: so many for each stream (organization, count); return each stream's last one."""
    orgs, counts = [org for org, _ in more.values()], [count for _, count in more.values()]
    return {row["stream_id"]: row["sequence"] for row in await tx.fetch(ADVANCE, list(more), orgs, counts)}


async def create(tx: Tx, deliveries: Sequence[NewDelivery], retries: int) -> None:
    """Store deliveries that are due now, or missed if their webhook is disabled."""
    await tx.execute(SCHEDULE_VISITS, list({delivery.webhook_id for delivery in deliveries}))
    await tx.execute(
        INSERT,
        [ids.new() for _ in deliveries],
        [delivery.webhook_id for delivery in deliveries],
        [delivery.event_id for delivery in deliveries],
        [delivery.event_type for delivery in deliveries],
        [delivery.stream_id for delivery in deliveries],
        [delivery.sequence for delivery in deliveries],
        retries,
    )
    await notify_senders(tx)


async def notify_senders(tx: Tx) -> None:
    """Notify the senders, when this transaction commits, that a delivery is due."""
    await notify(tx, CHANNEL, "")


async def page(tx: Tx, webhook: UUID, state: str | None, before: UUID | None, limit: int) -> list[DeliveryRow]:
    """Return deliveries newest first, below `before`."""
    query, arguments = (PAGE, ()) if state is None else (PAGE_OF_STATE, (state,))
    return [DeliveryRow(**row) for row in await tx.fetch(query, webhook, before, limit, *arguments)]


async def get(tx: Tx, webhook: UUID, id: UUID) -> DeliveryRow:
    """Return a delivery.  Raises NotFound."""
    row = await tx.fetchrow(GET, webhook, id)
    if row is None:
        raise NotFound
    return DeliveryRow(**row)


async def attempts(tx: Tx, id: UUID) -> list[DeliveryAttemptRow]:
    """Return the latest attempts, oldest first."""
    return [DeliveryAttemptRow(**row) for row in await tx.fetch(ATTEMPTS, id, LATEST_ATTEMPTS)]


async def content(tx: Tx, event_id: int) -> ContentRow:
    row = await tx.fetchrow(CONTENT, event_id)
    assert row is not None, "events stay, emptied"
    return ContentRow(**row)


async def create_one(tx: Tx, id: UUID, webhook: UUID, event: UUID) -> None:
    """Store the delivery of an event of this transaction to one webhook, without retries."""
    await tx.execute(INSERT_ONE, id, webhook, event)
    await _visit_now(tx, webhook)


async def redeliver(tx: Tx, webhook: UUID, id: UUID) -> bool:
    """Make a delivery due now, without further retries if it had ended; return False if an attempt is in flight.

    The caller has locked the webhook.
    """
    if await tx.execute(REDELIVER, webhook, id) == "UPDATE 0":
        return False
    await _visit_now(tx, webhook)
    return True


async def replay(tx: Tx, webhook: UUID, since: datetime | None, states: Sequence[str], retries: int) -> int:
    """Make the oldest failed or missed deliveries due now; return how many, up to MOST_REPLAYED."""
    first = ids.lowest_at(since) if since else UUID(int=0)
    status = await tx.execute(REPLAY, webhook, first, states, MOST_REPLAYED, retries)
    await _visit_now(tx, webhook)
    return int(status.removeprefix("UPDATE "))


async def _visit_now(tx: Tx, webhook: UUID) -> None:
    await tx.execute(VISIT_NOW, webhook)
    await notify_senders(tx)


async def prune(tx: Tx, before: datetime, limit: int) -> int:
    """Prune some of the deliveries from before then; return how many.  Runs as the system."""
    status = await tx.execute(PRUNE, ids.lowest_at(before), limit)
    await tx.execute(PRUNE_STREAMS, before, limit)
    return int(status.removeprefix("DELETE "))
