"""Webhooks as people configure them, and the health of each.

Every transaction that changes a webhook, or claims or records its deliveries, locks its queue first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

COLUMNS = """
    w.id, w.org_id, w.url, w.description, w.events, w.number_ids, w.flow_ids, w.sealed_headers, w.ordered, w.format, w.preset,
    w.disabled_reason, w.disabled_at, w.sealed_secret, w.sealed_previous_secret, w.previous_secret_expires_at, w.created_at,
    w.updated_at, q.failing_since, q.last_failed_at, q.last_delivered_at
"""
FROM = "FROM webhooks w JOIN webhook_queues q ON q.webhook_id = w.id"
GET = f"SELECT {COLUMNS} {FROM} WHERE w.id = $1"
LOCK = "SELECT webhook_id FROM webhook_queues WHERE webhook_id = $1 FOR NO KEY UPDATE"
PAGE = largerows.page(
    f"""
    SELECT {COLUMNS} {FROM}
     WHERE w.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY w.id DESC
     LIMIT $2
""",
    ["events", "number_ids", "flow_ids", "sealed_headers"],
    "id DESC",
)
COUNT_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('webhooks ' || hum.org_id()::text, 0))"
COUNT = "SELECT count(*) FROM webhooks"
CREATE = """
    INSERT INTO webhooks (id, org_id, url, description, events, number_ids, flow_ids, sealed_headers, ordered, format, preset,
                          disabled_reason, disabled_at, sealed_secret)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, CASE WHEN $11::text IS NOT NULL THEN now() END, $12)
"""
CREATE_QUEUE = "INSERT INTO webhook_queues (webhook_id, org_id) VALUES ($1, hum.org_id())"
UPDATE = """
    UPDATE webhooks
       SET url = $2, description = $3, events = $4, number_ids = $5, flow_ids = $6, sealed_headers = $7, ordered = $8,
           format = $9, preset = $10, updated_at = now()
     WHERE id = $1
"""
DISABLE = "UPDATE webhooks SET disabled_reason = $2, disabled_at = now(), updated_at = now() WHERE id = $1"
ENABLE = "UPDATE webhooks SET disabled_reason = NULL, disabled_at = NULL, updated_at = now() WHERE id = $1"
# A webhook that was enabled, or got another URL, starts without failures.
RESET_FAILURES = """
    UPDATE webhook_queues
       SET failures = 0, failing_since = NULL, warnings = 0, held_until = NULL, next_at = now()
     WHERE webhook_id = $1
"""
VISIT_NOW = "UPDATE webhook_queues SET next_at = now() WHERE webhook_id = $1"
ROTATE = """
    UPDATE webhooks
       SET sealed_previous_secret = sealed_secret, previous_secret_expires_at = now() + make_interval(secs => $3),
           sealed_secret = $2, updated_at = now()
     WHERE id = $1
"""
DELETE = "DELETE FROM webhooks WHERE id = $1"
KNOWN_NUMBERS = "SELECT id FROM numbers WHERE id = ANY ($1)"
KNOWN_FLOWS = "SELECT id FROM flows WHERE id = ANY ($1) AND deleted_at IS NULL"
# Webhooks that have failed long enough for the next warning, or to be disabled.
FAILING = """
    SELECT w.id, w.org_id, w.url, q.failing_since, q.last_failed_at, q.last_error, q.last_status, q.warnings
      FROM webhook_queues q JOIN webhooks w ON w.id = q.webhook_id
     WHERE q.failing_since IS NOT NULL AND w.disabled_reason IS NULL
       AND q.last_failed_at - q.failing_since >= make_interval(secs => $1)
       AND (q.warnings = 0 OR q.last_failed_at - q.failing_since >= make_interval(secs => $2))
     ORDER BY q.failing_since
     LIMIT $3
       FOR NO KEY UPDATE OF q SKIP LOCKED
"""
WARN = "UPDATE webhook_queues SET warnings = $2, failing_since = $3 WHERE webhook_id = $1"


@dataclass(frozen=True, slots=True)
class WebhookRow:
    id: UUID
    org_id: UUID
    url: str
    description: str
    events: Sequence[str]
    number_ids: Sequence[UUID]
    flow_ids: Sequence[UUID]
    sealed_headers: bytes | None
    ordered: bool
    format: str
    preset: str | None
    disabled_reason: str | None
    disabled_at: datetime | None
    sealed_secret: bytes
    sealed_previous_secret: bytes | None
    previous_secret_expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    failing_since: datetime | None
    last_failed_at: datetime | None
    last_delivered_at: datetime | None
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class FailingRow:
    """A webhook that has failed for long."""

    id: UUID
    org_id: UUID
    url: str
    failing_since: datetime
    last_failed_at: datetime
    last_error: str | None
    last_status: int | None
    warnings: int


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """A webhook's configuration."""

    url: str
    description: str
    events: Sequence[str]
    number_ids: Sequence[UUID]
    flow_ids: Sequence[UUID]
    sealed_headers: bytes | None
    ordered: bool
    format: str
    preset: str | None


async def create(
    tx: Tx, id: UUID, config: WebhookConfig, sealed_secret: bytes, disabled_reason: str | None
) -> WebhookRow:
    await tx.execute(CREATE, id, *_values(config), disabled_reason, sealed_secret)
    await tx.execute(CREATE_QUEUE, id)
    return await get(tx, id)


def _values(config: WebhookConfig) -> tuple[object, ...]:
    """Return the values in the order of `CREATE` and `UPDATE`."""
    return (
        config.url,
        config.description,
        config.events,
        config.number_ids,
        config.flow_ids,
        config.sealed_headers,
        config.ordered,
        config.format,
        config.preset,
    )


async def count(tx: Tx) -> int:
    """Return how many webhooks the organization has, which no other transaction changes before this one ends."""
    await tx.execute(COUNT_LOCK)
    number: int = await tx.fetchval(COUNT)
    return number


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> WebhookRow:
    """Return a webhook.  Raises NotFound."""
    if lock:
        await tx.execute(LOCK, id)
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound
    return WebhookRow(**row)


async def page(tx: Tx, before: UUID | None, limit: int) -> list[WebhookRow]:
    """Return webhooks newest first, below `before`."""
    return [WebhookRow(**row) for row in await tx.fetch(PAGE, before, limit)]


async def change(tx: Tx, id: UUID, config: WebhookConfig) -> None:
    await tx.execute(UPDATE, id, *_values(config))


async def disable(tx: Tx, id: UUID, reason: str) -> None:
    """Disable a webhook; its deliveries become `missed` when a sender next visits it, which is soon."""
    await tx.execute(DISABLE, id, reason)
    await tx.execute(VISIT_NOW, id)


async def enable(tx: Tx, id: UUID) -> None:
    await tx.execute(ENABLE, id)
    await reset_failures(tx, id)


async def reset_failures(tx: Tx, id: UUID) -> None:
    """Reset a webhook's failures."""
    await tx.execute(RESET_FAILURES, id)


async def rotate(tx: Tx, id: UUID, sealed_secret: bytes, overlap_seconds: float) -> WebhookRow:
    """Replace a webhook's secret; the old one stays valid for `overlap_seconds`.  Raises NotFound."""
    await tx.execute(ROTATE, id, sealed_secret, overlap_seconds)
    return await get(tx, id)


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a webhook.  Raises NotFound."""
    await tx.execute(LOCK, id)
    if await tx.execute(DELETE, id) == "DELETE 0":
        raise NotFound


async def unknown(tx: Tx, numbers: Sequence[UUID], flows: Sequence[UUID]) -> tuple[set[UUID], set[UUID]]:
    """Return those of these numbers and flows that the organization does not have."""
    known_numbers = {row["id"] for row in await tx.fetch(KNOWN_NUMBERS, numbers)} if numbers else set()
    known_flows = {row["id"] for row in await tx.fetch(KNOWN_FLOWS, flows)} if flows else set()
    return set(numbers) - known_numbers, set(flows) - known_flows


async def lock_failing(tx: Tx, first_seconds: float, next_seconds: float, limit: int) -> list[FailingRow]:
    """Lock and return webhooks that have failed so long that a warning is due, the first or a later one.  Runs as the system."""
    return [FailingRow(**row) for row in await tx.fetch(FAILING, first_seconds, next_seconds, limit)]


async def warn(tx: Tx, id: UUID, warnings: int, since: datetime) -> None:
    """Record the number of warnings, and since when the webhook counts as failing."""
    await tx.execute(WARN, id, warnings, since)
