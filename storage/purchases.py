"""Purchases of numbers: an attempt is committed before the carrier is asked, and its outcome is recorded afterwards."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from storage.db import Tx

COLUMNS = """
    id, org_id, e164, flow_id, sms_flow_id, status, carrier_sid, number_id, actor, actor_name, request_id, body_hash
"""
BEGIN = """
    INSERT INTO number_purchases (id, org_id, e164, flow_id, sms_flow_id, status, actor, actor_name, request_id,
                                  idempotency_key, body_hash)
    VALUES ($1, hum.org_id(), $2, $3, $4, 'buying', $5, $6, $7, $8, $9)
    ON CONFLICT DO NOTHING
    RETURNING id
"""
BY_KEY = f"""
    SELECT {COLUMNS} FROM number_purchases
     WHERE idempotency_key = $1 AND status IN ('buying', 'bought') AND created_at > now() - $2::interval
"""
#: A key may be used again after its retention.
RELEASE_KEY = """
    UPDATE number_purchases SET idempotency_key = NULL
     WHERE idempotency_key = $1 AND created_at <= now() - $2::interval
"""
#: Serializes the purchases of one organization, so that each counts the others.
LOCK_QUOTA = "SELECT FROM organizations WHERE org_id = hum.org_id() FOR NO KEY UPDATE"
COUNT = """
    SELECT (SELECT count(*) FROM numbers WHERE org_id = hum.org_id() AND status <> 'gone')
         + (SELECT count(*) FROM number_purchases WHERE org_id = hum.org_id() AND status = 'buying') AS held,
           (SELECT count(*) FROM number_purchases
             WHERE org_id = hum.org_id() AND created_at > now() - interval '1 day' AND status <> 'failed') AS bought_in_a_day,
           (SELECT count(*) FROM number_purchases
             WHERE org_id = hum.org_id() AND created_at >= date_trunc('month', now(), 'UTC') AND status <> 'failed')
               AS bought_in_month
"""
IS_BUYING = "SELECT EXISTS (SELECT FROM number_purchases WHERE e164 = $1 AND status IN ('buying', 'returning'))"
IS_OWNED = "SELECT EXISTS (SELECT FROM numbers WHERE carrier_sid = $1)"
LOCK = f"SELECT {COLUMNS} FROM number_purchases WHERE id = $1 FOR NO KEY UPDATE"
END = """
    UPDATE number_purchases
       SET status = $2, carrier_sid = coalesce($3, carrier_sid), number_id = coalesce($4, number_id)
     WHERE id = $1
"""
ABANDONED = f"""
    UPDATE number_purchases SET claimed_at = now()
     WHERE id IN (SELECT id FROM number_purchases
                   WHERE status IN ('buying', 'returning') AND claimed_at < now() - $1::interval
                   ORDER BY claimed_at LIMIT 20 FOR UPDATE SKIP LOCKED)
    RETURNING {COLUMNS}
"""


@dataclass(frozen=True, slots=True)
class PurchaseRow:
    id: UUID
    org_id: UUID
    e164: str
    flow_id: UUID | None
    sms_flow_id: UUID | None
    status: str
    carrier_sid: str | None
    number_id: UUID | None
    actor: str
    actor_name: str
    request_id: str
    body_hash: bytes


async def counts(tx: Tx) -> tuple[int, int, int]:
    """Lock the organization's quota; return how many numbers it has or is buying, how many it bought within 24 hours, and in this month (UTC)."""
    await tx.execute(LOCK_QUOTA)
    row = await tx.fetchrow(COUNT)
    assert row is not None
    return row["held"], row["bought_in_a_day"], row["bought_in_month"]


async def is_buying(tx: Tx, e164: str) -> bool:
    """Return whether this organization is buying or returning the number."""
    busy: bool = await tx.fetchval(IS_BUYING, e164)
    return busy


async def is_owned(tx: Tx, carrier_sid: str) -> bool:
    """Return whether any organization has the number with this SID.  Runs as the system."""
    owned: bool = await tx.fetchval(IS_OWNED, carrier_sid)
    return owned


async def begin(tx: Tx, row: PurchaseRow, key: str | None) -> bool:
    """Record an attempt; return False while another for this number, or under this key, is in progress."""
    attempt = await tx.fetchval(
        BEGIN,
        row.id,
        row.e164,
        row.flow_id,
        row.sms_flow_id,
        row.actor,
        row.actor_name,
        row.request_id,
        key,
        row.body_hash,
    )
    return attempt is not None


async def by_key(tx: Tx, key: str, keep: timedelta) -> PurchaseRow | None:
    """Return the attempt made under an idempotency key."""
    await tx.execute(RELEASE_KEY, key, keep)
    row = await tx.fetchrow(BY_KEY, key, keep)
    return PurchaseRow(**row) if row else None


async def lock(tx: Tx, id: UUID) -> PurchaseRow:
    row = await tx.fetchrow(LOCK, id)
    assert row is not None, "attempts are never deleted"
    return PurchaseRow(**row)


async def end(tx: Tx, id: UUID, status: str, *, carrier_sid: str | None = None, number_id: UUID | None = None) -> None:
    """Set the attempt's status."""
    await tx.execute(END, id, status, carrier_sid, number_id)


async def claim_abandoned(tx: Tx, older: timedelta) -> list[PurchaseRow]:
    """Claim attempts that have been idle for longer than `older`.  Runs as the system."""
    return [PurchaseRow(**row) for row in await tx.fetch(ABANDONED, older)]
