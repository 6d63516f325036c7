"""Triggers, and the deliveries that they received."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hum.contract.errors import NotFound
from storage.db import Tx

COLUMNS = """
    t.id, t.org_id, t.name, t.event, t.enabled, t.id_field, t.secret, t.old_secret,
    t.created_at, t.updated_at, t.last_refused_at, t.last_refusal,
    coalesce(t.old_secret_until > now(), false) AS is_old_secret_good
"""
LAST = """
    (SELECT d.created_at FROM trigger_deliveries d WHERE d.trigger_id = t.id ORDER BY d.id DESC LIMIT 1)
        AS last_received_at
"""
CREATE = """
    INSERT INTO triggers (id, org_id, name, event, enabled, id_field, token_hash, secret)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
COUNT_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('triggers ' || hum.org_id()::text, 0))"
COUNT = "SELECT count(*) FROM triggers WHERE deleted_at IS NULL"
GET = f"SELECT {COLUMNS}, {LAST} FROM triggers t WHERE t.id = $1 AND t.deleted_at IS NULL"
LOCK = GET + " FOR NO KEY UPDATE OF t"
PAGE = f"""
    SELECT {COLUMNS}, {LAST}
      FROM triggers t
     WHERE t.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AND t.deleted_at IS NULL
     ORDER BY t.id DESC
     LIMIT $2
"""
CHANGE = "UPDATE triggers SET name = $2, event = $3, enabled = $4, id_field = $5, updated_at = now() WHERE id = $1"
SET_TOKEN = """
    UPDATE triggers
       SET old_token_hash = CASE WHEN $3::interval > '0' THEN token_hash END,
           old_token_until = CASE WHEN $3::interval > '0' THEN now() + $3 END,
           token_hash = $2, updated_at = now()
     WHERE id = $1
"""
SET_SECRET = """
    UPDATE triggers
       SET old_secret = CASE WHEN $3::interval > '0' THEN secret END,
           old_secret_until = CASE WHEN $3::interval > '0' AND secret IS NOT NULL THEN now() + $3 END,
           secret = $2, updated_at = now()
     WHERE id = $1
"""
DELETE = """
    UPDATE triggers
       SET deleted_at = now(), enabled = false, secret = NULL, old_secret = NULL, old_token_hash = NULL
     WHERE id = $1 AND deleted_at IS NULL
"""
# Runs as the system: the token tells the organization.
FIND = f"""
    SELECT {COLUMNS}, NULL::timestamptz AS last_received_at
      FROM triggers t
     WHERE (t.token_hash = $1 OR t.old_token_hash = $1 AND t.old_token_until > now())
       AND t.enabled AND t.deleted_at IS NULL
"""
SET_REFUSED = "UPDATE triggers SET last_refused_at = now(), last_refusal = $2 WHERE id = $1"

ADD = """
    INSERT INTO trigger_deliveries (id, org_id, trigger_id, event_id, event, key_source, key, key_hash, media_type, body,
                                    body_hash, body_bytes)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::bytea, $11, octet_length($10::bytea))
    ON CONFLICT DO NOTHING
"""
SAME_ID = "SELECT true FROM trigger_deliveries WHERE id = $1 AND trigger_id = $2"
REPEAT = """
    UPDATE trigger_deliveries
       SET repeats = repeats + 1, repeated_at = now(),
           repeats_that_differ = repeats_that_differ + (body_hash <> $3)::integer
     WHERE trigger_id = $1 AND key_hash = $2
    RETURNING id
"""
COUNT_BYTES = """
    INSERT INTO trigger_days AS t (org_id, day, body_bytes) VALUES ($1, (now() AT TIME ZONE 'UTC')::date, $2)
    ON CONFLICT (org_id, day) DO UPDATE SET body_bytes = t.body_bytes + excluded.body_bytes
    RETURNING body_bytes
"""
DELIVERIES = """
    SELECT d.id, d.event_id, d.event, d.created_at, d.key_source, d.key, d.media_type, d.body_bytes,
           d.body IS NOT NULL AS has_body, d.repeats, d.repeats_that_differ, d.repeated_at
      FROM trigger_deliveries d
     WHERE d.trigger_id = $1 AND d.id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY d.id DESC
     LIMIT $3
"""
BODY = """
    SELECT d.media_type, d.body
      FROM trigger_deliveries d JOIN triggers t ON t.id = d.trigger_id
     WHERE d.id = $2 AND d.trigger_id = $1 AND d.body IS NOT NULL AND t.deleted_at IS NULL
"""
# The organization's retention time applies to bodies if it is shorter than the deployment's.
EMPTY_OLD = """
    UPDATE trigger_deliveries SET body = NULL, key = NULL
     WHERE id IN (SELECT d.id
                    FROM organizations o
                    CROSS JOIN LATERAL (
                        SELECT e.id FROM trigger_deliveries e
                         WHERE e.org_id = o.org_id AND e.body IS NOT NULL
                           AND e.created_at < now() - least($1::interval, make_interval(days => o.retention_days))
                         ORDER BY e.created_at
                         LIMIT $2) d
                   LIMIT $2)
"""
DELETE_OLD = """
    DELETE FROM trigger_deliveries
     WHERE id IN (SELECT id FROM trigger_deliveries WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT $2)
"""
DELETE_OF_DELETED = """
    DELETE FROM trigger_deliveries
     WHERE id IN (SELECT d.id
                    FROM triggers t
                    CROSS JOIN LATERAL (SELECT e.id FROM trigger_deliveries e WHERE e.trigger_id = t.id LIMIT $1) d
                   WHERE t.deleted_at IS NOT NULL
                   LIMIT $1)
"""
DELETE_EMPTY = """
    DELETE FROM triggers t
     WHERE t.deleted_at IS NOT NULL AND NOT EXISTS (SELECT FROM trigger_deliveries d WHERE d.trigger_id = t.id)
"""
DELETE_DAYS = "DELETE FROM trigger_days WHERE day < (now() AT TIME ZONE 'UTC')::date - 7"


@dataclass(frozen=True, slots=True)
class TriggerRow:
    """A trigger; `secret` and `old_secret` are sealed."""

    id: UUID
    org_id: UUID
    name: str
    event: str
    enabled: bool
    id_field: str
    secret: bytes | None
    old_secret: bytes | None
    is_old_secret_good: bool
    created_at: datetime
    updated_at: datetime
    last_received_at: datetime | None
    last_refused_at: datetime | None
    last_refusal: str | None


@dataclass(frozen=True, slots=True)
class NewTriggerDelivery:
    """A received delivery; `key` and the fields with it are None if it can't be told from repeats."""

    id: UUID
    event_id: UUID
    media_type: str
    body: bytes
    body_hash: bytes
    key_source: str | None
    key: str | None
    key_hash: bytes | None


@dataclass(frozen=True, slots=True)
class TriggerDeliveryRow:
    id: UUID
    event_id: UUID
    event: str
    created_at: datetime
    key_source: str | None
    key: str | None
    media_type: str
    body_bytes: int
    has_body: bool
    repeats: int
    repeats_that_differ: int
    repeated_at: datetime | None


async def create(
    tx: Tx,
    org: UUID,
    row: UUID,
    *,
    name: str,
    event: str,
    enabled: bool,
    id_field: str,
    token_hash: bytes,
    secret: bytes | None,
) -> TriggerRow:
    await tx.execute(CREATE, row, org, name, event, enabled, id_field, token_hash, secret)
    return await get(tx, row)


async def count(tx: Tx) -> int:
    """Return how many triggers the organization has, which no other transaction changes before this one ends."""
    await tx.execute(COUNT_LOCK)
    number: int = await tx.fetchval(COUNT)
    return number


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> TriggerRow:
    """Return a trigger.  Raises NotFound."""
    row = await tx.fetchrow(LOCK if lock else GET, id)
    if row is None:
        raise NotFound
    return TriggerRow(**row)


async def page(tx: Tx, before: UUID | None, limit: int) -> list[TriggerRow]:
    """Return triggers newest first, below `before`."""
    return [TriggerRow(**row) for row in await tx.fetch(PAGE, before, limit)]


async def change(tx: Tx, id: UUID, *, name: str, event: str, enabled: bool, id_field: str) -> None:
    await tx.execute(CHANGE, id, name, event, enabled, id_field)


async def set_token(tx: Tx, id: UUID, hash: bytes, overlap: timedelta) -> None:
    """Replace a trigger's token; the old one stays valid for `overlap`."""
    await tx.execute(SET_TOKEN, id, hash, overlap)


async def set_secret(tx: Tx, id: UUID, sealed: bytes | None, overlap: timedelta) -> None:
    """Replace or remove a trigger's secret; the old one stays valid for `overlap`."""
    await tx.execute(SET_SECRET, id, sealed, overlap)


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a trigger.  Raises NotFound."""
    if await tx.execute(DELETE, id) == "UPDATE 0":
        raise NotFound


async def find(tx: Tx, token_hash: bytes) -> TriggerRow | None:
    """Return the enabled trigger with this token, or None.  Runs as the system."""
    row = await tx.fetchrow(FIND, token_hash)
    return TriggerRow(**row) if row else None


async def record_refusal(tx: Tx, id: UUID, why: str) -> None:
    """Record that a request to a trigger was refused."""
    await tx.execute(SET_REFUSED, id, why)


async def receive(tx: Tx, trigger: TriggerRow, new: NewTriggerDelivery) -> UUID | None:
    """Store a delivery; return None if it is new, else the id of the delivery that it repeats.  Runs as the system.

    Of concurrent requests with one key, one is stored, and the others wait for it.
    """
    status = await tx.execute(ADD, new.id, trigger.org_id, trigger.id, new.event_id, trigger.event, new.key_source, new.key,
                            new.key_hash, new.media_type, new.body, new.body_hash)  # fmt: skip
    if status != "INSERT 0 0":
        return None
    if await tx.fetchval(SAME_ID, new.id, trigger.id):
        # The gateway retried; the sender has repeated nothing.
        return new.id
    original: UUID | None = await tx.fetchval(REPEAT, trigger.id, new.key_hash, new.body_hash)
    assert original is not None, "only its id or its key can conflict"
    return original


async def count_bytes(tx: Tx, org: UUID, body_bytes: int) -> int:
    """Count the bytes that the organization's triggers received; return today's total."""
    total: int = await tx.fetchval(COUNT_BYTES, org, body_bytes)
    return total


async def page_deliveries(tx: Tx, trigger: UUID, before: UUID | None, limit: int) -> list[TriggerDeliveryRow]:
    """Return deliveries newest first, below `before`."""
    return [TriggerDeliveryRow(**row) for row in await tx.fetch(DELIVERIES, trigger, before, limit)]


async def body(tx: Tx, trigger: UUID, delivery: UUID) -> tuple[str, bytes]:
    """Return a delivery's media type and body.  Raises NotFound, also if the body was deleted."""
    row = await tx.fetchrow(BODY, trigger, delivery)
    if row is None:
        raise NotFound
    return row["media_type"], row["body"]


async def prune(tx: Tx, keep_bodies: timedelta, keep_deliveries: timedelta, limit: int) -> bool:
    """Prune expired bodies and deliveries, and deleted triggers; return whether there may be more.  Runs as the system."""
    statuses = [
        await tx.execute(EMPTY_OLD, keep_bodies, limit),
        await tx.execute(DELETE_OLD, keep_deliveries, limit),
        await tx.execute(DELETE_OF_DELETED, limit),
    ]
    await tx.execute(DELETE_EMPTY)
    await tx.execute(DELETE_DAYS)
    return any(status.endswith(f" {limit}") for status in statuses)
