"""Campaigns, and when the dispatcher visits each.

A transaction that changes a campaign locks its row first; the dispatcher does so for each batch of texts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

COLUMNS = """
    c.id, c.org_id, c.name, c.number_id, n.e164 AS number_e164, c.flow_id, c.body_template, c.media_urls,
    c.throttle_per_minute, c.scheduled_start_at, c.expires_at, c.honor_quiet_hours, c.status, c.reason, c.duplicates,
    c.honor_quiet_hours AND o.quiet_hours_enabled AND o.business_hours_json IS NOT NULL AS keeps_organization_hours,
    c.honor_quiet_hours AND o.recipient_hours_enabled AS keeps_recipient_hours,
    c.created_at, c.launched_at, c.started_at, c.ended_at, s.pending, s.sending, s.sent, s.delivered, s.failed, s.unknown,
    s.opted_out, s.skipped, s.canceled
"""
FROM = """
      FROM campaigns c
      JOIN organizations o ON o.org_id = c.org_id
      LEFT JOIN numbers n ON n.id = c.number_id
     CROSS JOIN LATERAL (
           SELECT coalesce(sum(pending), 0)::int AS pending, coalesce(sum(sending), 0)::int AS sending,
                  coalesce(sum(sent), 0)::int AS sent, coalesce(sum(delivered), 0)::int AS delivered,
                  coalesce(sum(failed), 0)::int AS failed, coalesce(sum(unknown), 0)::int AS unknown,
                  coalesce(sum(opted_out), 0)::int AS opted_out, coalesce(sum(skipped), 0)::int AS skipped,
                  coalesce(sum(canceled), 0)::int AS canceled
             FROM campaign_counts WHERE campaign_id = c.id) s
"""
GET = f"SELECT {COLUMNS} {FROM} WHERE c.id = $1"
BY_IDS = f"SELECT {COLUMNS} {FROM} WHERE c.id = ANY ($1)"
LOCK = "SELECT id FROM campaigns WHERE id = $1 FOR NO KEY UPDATE"
_PAGE = f"""
    SELECT {COLUMNS} {FROM}
     WHERE c.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY c.id DESC
     LIMIT $2
"""
_PAGE_OF_STATUS = f"""
    SELECT {COLUMNS} {FROM}
     WHERE c.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') AND c.status = $3
     ORDER BY c.id DESC
     LIMIT $2
"""
PAGE, PAGE_OF_STATUS = (
    largerows.page(query, ["body_template", "media_urls"], "id DESC") for query in (_PAGE, _PAGE_OF_STATUS)
)
CREATE = """
    INSERT INTO campaigns (id, org_id, name, number_id, flow_id, body_template, media_urls, throttle_per_minute,
                           scheduled_start_at, expires_at, honor_quiet_hours)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
UPDATE = """
    UPDATE campaigns
       SET name = $3, number_id = $4, flow_id = $5, body_template = $6, media_urls = $7, throttle_per_minute = $8,
           scheduled_start_at = $9, expires_at = $10, honor_quiet_hours = $11
     WHERE id = $1 AND org_id = $2
"""
DELETE = "DELETE FROM campaigns WHERE id = $1"
FOLD = "UPDATE campaigns SET duplicates = duplicates + $2 WHERE id = $1"
LAUNCH = """
    UPDATE campaigns
       SET status = 'queued', reason = NULL, launched_at = clock_timestamp(),
           look_at = greatest(clock_timestamp(), scheduled_start_at)
     WHERE id = $1
"""
# The dispatcher then withdraws texts that wait for the sender, and ends a finished campaign's pending recipients.
STOP = """
    UPDATE campaigns
       SET status = $2, reason = $3, look_at = clock_timestamp(),
           ended_at = CASE WHEN $2 = 'paused' THEN NULL ELSE clock_timestamp() END
     WHERE id = $1
"""

# --- dispatching, as the system
#: Two dispatchers never have the same campaign.
NEXT = """
    SELECT id FROM campaigns WHERE look_at <= clock_timestamp() ORDER BY look_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""
START = "UPDATE campaigns SET status = 'running', started_at = coalesce(started_at, clock_timestamp()) WHERE id = $1"
SCHEDULE_VISIT = "UPDATE campaigns SET look_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1"
CANCEL_VISITS = "UPDATE campaigns SET look_at = NULL WHERE id = $1"
COMPLETE = "UPDATE campaigns SET status = 'completed', look_at = NULL, ended_at = clock_timestamp() WHERE id = $1"
SENDER = """
    SELECT o.name AS org_name, o.time_zone, o.business_hours_json, o.quiet_hours_enabled, o.recipient_hours_enabled,
           n.status = 'active' AS number_active, n.sms_enabled, n.capabilities, coalesce(n.account_sid, '') AS account,
           (SELECT count(*) FROM (SELECT FROM campaigns r WHERE r.org_id = c.org_id AND r.status = 'running' LIMIT 2000) x)
           AS running
      FROM campaigns c
      JOIN organizations o ON o.org_id = c.org_id
      LEFT JOIN numbers n ON n.id = c.number_id
     WHERE c.id = $1
"""
#: If the number was stopped since the campaign's launch.
STOPPED_CODE = """
    SELECT p.stopped_code
      FROM campaigns c JOIN numbers n ON n.id = c.number_id JOIN text_paces p ON p.number_e164 = n.e164
     WHERE c.id = $1 AND p.stopped_at >= c.launched_at
"""
#: A pace that is far in the future blocks all texts, and still tells when the last text left.
BLOCK_PACE = """
    UPDATE campaign_paces SET next_at = next_at + interval '1000 years'
     WHERE campaign_id = $1 AND next_at < now() + interval '500 years'
"""
PACE = """
    INSERT INTO campaign_paces AS p (campaign_id, per_minute, next_at) VALUES ($1, $2, now())
    ON CONFLICT (campaign_id) DO UPDATE
       SET per_minute = excluded.per_minute,
           next_at = CASE WHEN p.next_at > now() + interval '500 years' THEN p.next_at - interval '1000 years'
                          ELSE p.next_at END
"""
DELETE_PACE = "DELETE FROM campaign_paces WHERE campaign_id = $1"
DUE_SECONDS = """
    SELECT extract(epoch FROM min(look_at) - now())::float8 FROM campaigns WHERE look_at > now()
"""


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A campaign, and its number of recipients by status."""

    id: UUID
    org_id: UUID
    name: str
    number_id: UUID | None
    number_e164: str | None
    flow_id: UUID | None
    body_template: str
    media_urls: Sequence[str]
    throttle_per_minute: int | None
    scheduled_start_at: datetime | None
    expires_at: datetime | None
    honor_quiet_hours: bool
    keeps_organization_hours: bool
    keeps_recipient_hours: bool
    status: str
    reason: str | None
    duplicates: int
    created_at: datetime
    launched_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    pending: int
    sending: int
    sent: int
    delivered: int
    failed: int
    unknown: int
    opted_out: int
    skipped: int
    canceled: int
    #: Bytes, in a list.
    size: int = 0

    @property
    def total(self) -> int:
        over = self.sent + self.delivered + self.failed + self.unknown + self.opted_out + self.skipped + self.canceled
        return self.pending + self.sending + over


@dataclass(frozen=True, slots=True)
class CampaignValues:
    """A draft's contents."""

    name: str
    number_id: UUID
    flow_id: UUID | None
    body_template: str
    media_urls: Sequence[str]
    throttle_per_minute: int | None
    scheduled_start_at: datetime | None
    expires_at: datetime | None
    honor_quiet_hours: bool


@dataclass(frozen=True, slots=True)
class SenderRow:
    """The facts of the organization and the number that decide when texts are sent."""

    org_name: str
    time_zone: str
    business_hours_json: str | None
    quiet_hours_enabled: bool
    recipient_hours_enabled: bool
    #: None: the organization no longer has the number.
    number_active: bool | None
    sms_enabled: bool | None
    capabilities: Sequence[str] | None
    #: The carrier account; empty: ours.
    account: str
    #: The organization's running campaigns; of very many, 2000.
    running: int


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> CampaignRow:
    """Return a campaign.  Raises NotFound."""
    if lock:
        # A separate statement: rows read in the locking statement would be older than the lock.
        await tx.execute(LOCK, id)
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such campaign.")
    return CampaignRow(**row)


async def get_many(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, CampaignRow]:
    """Return those of these campaigns that exist, by id."""
    rows = [CampaignRow(**row) for row in await tx.fetch(BY_IDS, ids)]
    return {row.id: row for row in rows}


async def page(tx: Tx, status: str | None, before: UUID | None, limit: int) -> list[CampaignRow]:
    """Return campaigns newest first, below `before`."""
    rows = await (tx.fetch(PAGE_OF_STATUS, before, limit, status) if status else tx.fetch(PAGE, before, limit))
    return [CampaignRow(**row) for row in rows]


async def create(tx: Tx, id: UUID, org: UUID, values: CampaignValues) -> None:
    await tx.execute(CREATE, id, org, *_values(values))


async def update(tx: Tx, id: UUID, org: UUID, values: CampaignValues) -> None:
    await tx.execute(UPDATE, id, org, *_values(values))


def _values(values: CampaignValues) -> tuple[object, ...]:
    return (
        values.name,
        values.number_id,
        values.flow_id,
        values.body_template,
        list(values.media_urls),
        values.throttle_per_minute,
        values.scheduled_start_at,
        values.expires_at,
        values.honor_quiet_hours,
    )


async def delete(tx: Tx, id: UUID) -> None:
    await tx.execute(DELETE, id)


async def fold(tx: Tx, id: UUID, duplicates: int) -> None:
    """Count recipients that were given again."""
    await tx.execute(FOLD, id, duplicates)


async def launch(tx: Tx, id: UUID) -> None:
    await tx.execute(LAUNCH, id)


async def stop(tx: Tx, id: UUID, status: str, reason: str | None) -> None:
    """Set the status to `paused`, `canceled` or `failed`, with a reason."""
    await tx.execute(STOP, id, status, reason)


# --- dispatching --------------------------------------------------------------------------------------------------


async def lock_next(tx: Tx) -> UUID | None:
    """Lock the campaign that has waited longest for the dispatcher; return None if none waits that is not locked."""
    campaign: UUID | None = await tx.fetchval(NEXT)
    return campaign


async def start(tx: Tx, id: UUID) -> None:
    await tx.execute(START, id)


async def schedule_visit(tx: Tx, id: UUID, seconds: float) -> None:
    """Schedule the dispatcher's next visit in `seconds`."""
    await tx.execute(SCHEDULE_VISIT, id, seconds)


async def cancel_visits(tx: Tx, id: UUID) -> None:
    """Cancel the dispatcher's visits: it has nothing more to do for the campaign."""
    await tx.execute(CANCEL_VISITS, id)


async def complete(tx: Tx, id: UUID) -> None:
    await tx.execute(COMPLETE, id)


async def sender(tx: Tx, id: UUID) -> SenderRow:
    """Return the campaign's organization and number.  Raises NotFound."""
    row = await tx.fetchrow(SENDER, id)
    if row is None:
        raise NotFound
    return SenderRow(**row)


async def stopped_code(tx: Tx, id: UUID) -> str | None:
    """Return the carrier's code that stopped the campaign's number, if that happened since the launch."""
    code: str | None = await tx.fetchval(STOPPED_CODE, id)
    return code


async def set_pace(tx: Tx, id: UUID, per_minute: int | None) -> None:
    """Let the sender send the campaign's texts at this pace; a blocked pace continues where it was."""
    await (tx.execute(PACE, id, per_minute) if per_minute else tx.execute(DELETE_PACE, id))


async def block_pace(tx: Tx, id: UUID) -> None:
    """Block the campaign's texts in the sender."""
    await tx.execute(BLOCK_PACE, id)


async def clear_pace(tx: Tx, id: UUID) -> None:
    await tx.execute(DELETE_PACE, id)


async def due_seconds(tx: Tx) -> float | None:
    """Return the seconds until the next campaign that is not due yet is; None if there is none.  Runs as the system."""
    seconds: float | None = await tx.fetchval(DUE_SECONDS)
    return seconds
