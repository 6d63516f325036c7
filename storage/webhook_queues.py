"""Sending of webhook deliveries: claiming them, and recording their outcomes.  A batch of any size is a few statements.

A claimed delivery is due again when its lease ends, so the next sender takes over from one that died; only the sender with the
current claim may record an outcome.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Tx

# $1, $2: webhooks and organizations without capacity; $3: failures from which a webhook counts as dead;
# $4: whether dead ones may be tried.
DUE = """
    SELECT webhook_id, org_id, failures
      FROM webhook_queues
     WHERE next_at <= now() AND webhook_id <> ALL ($1::uuid[]) AND org_id <> ALL ($2::uuid[])
       AND (failures < $3 OR $4)
     ORDER BY next_at
     LIMIT $5
       FOR NO KEY UPDATE SKIP LOCKED
"""
# Pending deliveries of a disabled webhook are missed; those in flight may still be delivered.
MISS = """
    WITH missed AS (
        SELECT d.id
          FROM webhooks w
         CROSS JOIN LATERAL (
               SELECT id FROM webhook_deliveries
                WHERE webhook_id = w.id AND due_at IS NOT NULL AND (claim_id IS NULL OR due_at <= now())
                ORDER BY due_at
                LIMIT $2) d
         WHERE w.id = ANY ($1) AND w.disabled_reason IS NOT NULL)
    UPDATE webhook_deliveries d
       SET state = 'missed', due_at = NULL, claim_id = NULL
      FROM missed m
     WHERE d.id = m.id
"""
CLAIM = """
    WITH capacity AS (SELECT * FROM unnest($1::uuid[], $2::int[]) AS r (webhook_id, capacity)),
    chosen AS (
        SELECT d.id, d.claim_id AS lost_claim, d.due_at AS lease_until
          FROM capacity r
          JOIN webhooks w ON w.id = r.webhook_id AND w.disabled_reason IS NULL
         CROSS JOIN LATERAL (
               SELECT d.id, d.claim_id, d.due_at
                 FROM webhook_deliveries d
                WHERE d.webhook_id = r.webhook_id AND d.due_at <= now()
                  AND (NOT w.ordered OR d.stream_id IS NULL
                       OR NOT EXISTS (SELECT FROM webhook_deliveries e
                                       WHERE e.webhook_id = d.webhook_id AND e.stream_id = d.stream_id
                                         AND e.sequence < d.sequence AND e.due_at IS NOT NULL))
                ORDER BY d.due_at, d.id
                LIMIT r.capacity) d),
    taken AS (
        UPDATE webhook_deliveries d
           SET claim_id = $3, due_at = now() + make_interval(secs => $4), attempts = d.attempts + 1
          FROM chosen c
         WHERE d.id = c.id
        RETURNING d.id, d.org_id, d.webhook_id, d.event_id, d.stream_id, d.sequence, d.attempts, d.retries, d.created_at,
                  c.lost_claim, c.lease_until),
    lost AS (
        INSERT INTO webhook_attempts (delivery_id, number, org_id, started_at, duration_ms, error, message)
        SELECT id, attempts - 1, org_id, lease_until - make_interval(secs => $4), 0, 'interrupted',
               'HUM was interrupted; whether the request was answered is not known.'
          FROM taken
         WHERE lost_claim IS NOT NULL
        ON CONFLICT DO NOTHING)
    SELECT t.id, t.org_id, t.webhook_id, t.stream_id, t.sequence, t.attempts, t.retries, t.created_at AS made_at,
           w.url, w.format, w.ordered, w.sealed_headers, w.sealed_secret,
           CASE WHEN w.previous_secret_expires_at > now() THEN w.sealed_previous_secret END AS sealed_previous_secret,
           e.public_id, e.type, e.version, e.data, e.created_at
      FROM taken t
      JOIN webhooks w ON w.id = t.webhook_id
      JOIN events e ON e.id = t.event_id
     ORDER BY e.xid, e.id
"""
# $2: seconds before the webhook is visited again.
SCHEDULE_VISITS = """
    UPDATE webhook_queues q
       SET next_at = CASE WHEN n.due_at IS NOT NULL THEN greatest(n.due_at, now() + make_interval(secs => p.seconds)) END
      FROM unnest($1::uuid[], $2::float8[]) AS p (webhook_id, seconds)
      LEFT JOIN LATERAL (
           SELECT due_at FROM webhook_deliveries d
            WHERE d.webhook_id = p.webhook_id AND d.due_at IS NOT NULL
            ORDER BY d.due_at
            LIMIT 1) n ON true
     WHERE q.webhook_id = p.webhook_id
"""
LOCK = "SELECT webhook_id FROM webhook_queues WHERE webhook_id = ANY ($1) ORDER BY webhook_id FOR NO KEY UPDATE"
# An attempt at a webhook that was disabled meanwhile is its last.
RECORD = """
    WITH recorded AS (
        UPDATE webhook_deliveries d
           SET claim_id = NULL, response_status = o.response_status, error = o.error,
               state = CASE WHEN o.state = 'pending' AND w.disabled_reason IS NOT NULL THEN 'missed' ELSE o.state END,
               due_at = CASE WHEN o.state = 'pending' AND w.disabled_reason IS NULL
                             THEN now() + make_interval(secs => o.wait_seconds) END,
               retries = CASE WHEN o.state = 'pending' THEN greatest(0, d.retries - 1) ELSE d.retries END,
               ended_at = CASE WHEN o.state <> 'pending' THEN now() END
          FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::float8[], $5::int[], $6::text[])
               AS o (id, claim_id, state, wait_seconds, response_status, error)
         CROSS JOIN LATERAL (SELECT w.disabled_reason FROM webhooks w JOIN webhook_deliveries x ON x.webhook_id = w.id
                              WHERE x.id = o.id) w
         WHERE d.id = o.id AND d.claim_id = o.claim_id
        RETURNING d.id, d.org_id, d.attempts, d.response_status, d.error)
    INSERT INTO webhook_attempts (delivery_id, number, org_id, started_at, duration_ms, response_status, error, message,
                                  response_body, response_type)
    SELECT r.id, r.attempts, r.org_id, a.started_at, a.duration_ms, r.response_status, r.error, a.message, a.response_body,
           a.response_type
      FROM recorded r
      JOIN unnest($1::uuid[], $7::timestamptz[], $8::int[], $9::text[], $10::bytea[], $11::text[])
           AS a (id, started_at, duration_ms, message, response_body, response_type) ON a.id = r.id
    RETURNING delivery_id
"""
# Of an ordered webhook: deliveries behind a waiting one wait as long; those behind an ended one wait no longer.
FOLLOW = """
    UPDATE webhook_deliveries d
       SET due_at = now() + make_interval(secs => f.wait_seconds)
      FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::float8[]) AS f (webhook_id, stream_id, sequence, wait_seconds)
     WHERE d.webhook_id = f.webhook_id AND d.stream_id = f.stream_id AND d.sequence > f.sequence AND d.due_at IS NOT NULL
       AND d.claim_id IS NULL AND d.attempts = 0
"""
# $2: whether one was delivered; $3: how many failed; $6, $7, $8: the back-off's first failure, first delay and longest delay.
HEALTH = """
    UPDATE webhook_queues q
       SET failures = CASE WHEN h.delivered THEN 0 ELSE q.failures + h.failed END,
           failing_since = CASE WHEN h.delivered THEN NULL WHEN h.failed > 0 THEN coalesce(q.failing_since, now())
                                ELSE q.failing_since END,
           warnings = CASE WHEN h.delivered THEN 0 ELSE q.warnings END,
           last_delivered_at = CASE WHEN h.delivered THEN now() ELSE q.last_delivered_at END,
           last_failed_at = CASE WHEN h.failed > 0 THEN now() ELSE q.last_failed_at END,
           last_error = CASE WHEN h.failed > 0 THEN h.error ELSE q.last_error END,
           last_status = CASE WHEN h.failed > 0 THEN h.response_status ELSE q.last_status END,
           held_until = k.until,
           next_at = CASE WHEN n.due_at IS NOT NULL THEN greatest(n.due_at, k.until) END
      FROM unnest($1::uuid[], $2::bool[], $3::int[], $4::text[], $5::int[])
           AS h (webhook_id, delivered, failed, error, response_status)
      JOIN webhook_queues b ON b.webhook_id = h.webhook_id
     CROSS JOIN LATERAL (
           SELECT CASE WHEN NOT h.delivered AND b.failures + h.failed >= $6
                       THEN now() + make_interval(secs => least($8, $7 * 2 ^ least(20, b.failures + h.failed - $6)))
                  END AS until) k
      LEFT JOIN LATERAL (
           SELECT due_at FROM webhook_deliveries d
            WHERE d.webhook_id = h.webhook_id AND d.due_at IS NOT NULL
            ORDER BY d.due_at
            LIMIT 1) n ON true
     WHERE q.webhook_id = h.webhook_id
"""
LATE = "SELECT extract(epoch FROM now() - min(next_at))::float8 FROM webhook_queues WHERE next_at <= now()"
OLDEST = """
    SELECT extract(epoch FROM now() - min(d.due_at))::float8
      FROM webhook_queues q
     CROSS JOIN LATERAL (
           SELECT due_at FROM webhook_deliveries d
            WHERE d.webhook_id = q.webhook_id AND d.due_at IS NOT NULL
            ORDER BY d.due_at
            LIMIT 1) d
     WHERE q.next_at IS NOT NULL AND d.due_at <= now()
"""
DUE_SECONDS = """
    SELECT extract(epoch FROM min(next_at) - now())::float8 FROM webhook_queues WHERE next_at > now()
"""


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A webhook that may have due deliveries; locked."""

    webhook_id: UUID
    org_id: UUID
    failures: int


@dataclass(frozen=True, slots=True)
class DueDeliveryRow:
    """A delivery to send now, with its destination and content; `data` is JSON, None if it was deleted at this moment."""

    id: UUID
    org_id: UUID
    webhook_id: UUID
    stream_id: UUID | None
    sequence: int | None
    attempts: int
    retries: int
    made_at: datetime
    url: str
    format: str
    ordered: bool
    sealed_headers: bytes | None
    sealed_secret: bytes
    sealed_previous_secret: bytes | None
    public_id: UUID
    type: str
    version: int
    data: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """An attempt's outcome; `state` is the delivery's, which waits `wait_seconds` if it is `pending`."""

    id: UUID
    claim_id: UUID
    state: str
    wait_seconds: float
    response_status: int | None
    error: str | None
    message: str | None
    started_at: datetime
    duration_ms: int
    response_body: bytes | None
    response_type: str | None


@dataclass(frozen=True, slots=True)
class HealthRow:
    """The results of a batch of attempts at one webhook."""

    webhook_id: UUID
    delivered: bool
    failed: int
    error: str | None
    response_status: int | None


@dataclass(frozen=True, slots=True)
class DeadBackOff:
    """The back-off of dead webhooks: the failures in a row from which it applies, and its first and longest delay."""

    failures: int
    rest_seconds: float
    longest_seconds: float


async def lock_due(
    tx: Tx, full: Sequence[UUID], full_orgs: Sequence[UUID], dead: DeadBackOff, may_try_dead: bool, limit: int
) -> list[QueueRow]:
    """Lock and return webhooks with due deliveries, the longest waiting first, except those without capacity."""
    rows = await tx.fetch(DUE, full, full_orgs, dead.failures, may_try_dead, limit)
    return [QueueRow(**row) for row in rows]


async def claim(
    tx: Tx, capacities: dict[UUID, int], claim: UUID, lease_seconds: float, most_missed: int = 1000
) -> list[DueDeliveryRow]:
    """Claim and return the next deliveries of these webhooks, up to each one's capacity, until the lease ends."""
    webhooks = list(capacities)
    await tx.execute(MISS, webhooks, most_missed)
    rows = await tx.fetch(CLAIM, webhooks, list(capacities.values()), claim, lease_seconds)
    return [DueDeliveryRow(**row) for row in rows]


async def schedule_visits(tx: Tx, waits: dict[UUID, float]) -> None:
    """Schedule the next visit of these webhooks: when a delivery is due, and not within so many seconds."""
    await tx.execute(SCHEDULE_VISITS, list(waits), list(waits.values()))


async def lock(tx: Tx, webhooks: Sequence[UUID]) -> None:
    await tx.execute(LOCK, webhooks)


async def record(tx: Tx, outcomes: Sequence[OutcomeRow]) -> set[UUID]:
    """Record attempts; return the deliveries that were still under the attempts' claims."""
    rows = await tx.fetch(
        RECORD,
        [outcome.id for outcome in outcomes],
        [outcome.claim_id for outcome in outcomes],
        [outcome.state for outcome in outcomes],
        [outcome.wait_seconds for outcome in outcomes],
        [outcome.response_status for outcome in outcomes],
        [outcome.error for outcome in outcomes],
        [outcome.started_at for outcome in outcomes],
        [outcome.duration_ms for outcome in outcomes],
        [outcome.message for outcome in outcomes],
        [outcome.response_body for outcome in outcomes],
        [outcome.response_type for outcome in outcomes],
    )
    return {row["delivery_id"] for row in rows}


async def delay_followers(tx: Tx, after: Sequence[tuple[UUID, UUID, int, float]]) -> None:
    """Delay the deliveries behind each (webhook, stream, sequence) by so many seconds from now."""
    await tx.execute(FOLLOW, *(list(column) for column in zip(*after, strict=True)))


async def health(tx: Tx, results: Sequence[HealthRow], dead: DeadBackOff) -> None:
    """Record the health of these webhooks, and schedule their next visits."""
    await tx.execute(
        HEALTH,
        [row.webhook_id for row in results],
        [row.delivered for row in results],
        [row.failed for row in results],
        [row.error for row in results],
        [row.response_status for row in results],
        dead.failures,
        dead.rest_seconds,
        dead.longest_seconds,
    )


async def late_seconds(tx: Tx) -> float:
    """Return the longest time for which a webhook's visit has been overdue: how late the senders are."""
    return await tx.fetchval(LATE) or 0.0


async def oldest_seconds(tx: Tx) -> float:
    """Return the age of the oldest due delivery, whether our senders or its receiver delay it."""
    return await tx.fetchval(OLDEST) or 0.0


async def due_seconds(tx: Tx) -> float | None:
    """Return the seconds until the next webhook that is not due yet is; None if there is none.  Runs as the system."""
    seconds: float | None = await tx.fetchval(DUE_SECONDS)
    return seconds
