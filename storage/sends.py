"""Due texts: the queue of each number, and the start of attempts.

Attempts begin under the lock of the number's pace, so those of one number begin in one process at a time; a thread and its
message are locked with SKIP LOCKED, so a sender waits for no other transaction.  All times are the database's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from storage.db import Tx, notify
from storage.messages import RulesRow

#: Notified with a number when a text of it is stored that is due at once.
CHANNEL = "hum_texts_due"
#: Placeholder for texts of lane 1 without a campaign.
NO_CAMPAIGN = UUID(int=0)
_CAMPAIGN = "coalesce(m.campaign_id, '00000000-0000-0000-0000-000000000000')"

# Each number is one index lookup, however many texts wait.
_due_numbers = """
    WITH RECURSIVE found AS (
        (SELECT number_e164 FROM messages WHERE due_at IS NOT NULL ORDER BY number_e164 LIMIT 1)
        UNION ALL
        SELECT (SELECT m.number_e164 FROM messages m
                 WHERE m.due_at IS NOT NULL AND m.number_e164 > found.number_e164 ORDER BY m.number_e164 LIMIT 1)
          FROM found WHERE found.number_e164 IS NOT NULL)"""
# Numbers with due conversations first, then those that have sent nothing for longest.
NUMBERS = f"""{_due_numbers},
    due AS (
        SELECT f.number_e164,
               coalesce((SELECT m.due_at FROM messages m
                          WHERE m.number_e164 = f.number_e164 AND m.lane = 0 AND m.due_at IS NOT NULL
                          ORDER BY m.due_at LIMIT 1) <= now(), false) AS talks,
               coalesce((SELECT m.due_at FROM messages m
                          WHERE m.number_e164 = f.number_e164 AND m.lane = 1 AND m.due_at IS NOT NULL
                          ORDER BY m.due_at LIMIT 1) <= now(), false) AS campaigns
          FROM found f WHERE f.number_e164 IS NOT NULL)
    SELECT d.number_e164
      FROM due d LEFT JOIN text_paces p ON p.number_e164 = d.number_e164
     WHERE (d.talks OR d.campaigns) AND coalesce(p.next_at, '-infinity') <= now() + make_interval(secs => $1)
     ORDER BY d.talks DESC, coalesce(p.next_at, '-infinity'), d.number_e164
     LIMIT $2
"""
ADD_NUMBER = "INSERT INTO text_paces (number_e164, next_at) VALUES ($1, '-infinity') ON CONFLICT DO NOTHING"
#: No row while another process has the lock.
LOCK_PACE = """
    SELECT extract(epoch FROM least(greatest(next_at, now()), now() + interval '1 day') - now())::float8 AS wait_seconds, setbacks,
           extract(epoch FROM now() - greatest(slowed_at, now() - interval '1 day'))::float8 AS slowed_ago_seconds,
           stopped_code, stopped_at, now() AS at
      FROM text_paces
     WHERE number_e164 = $1 FOR UPDATE SKIP LOCKED
"""
# Counted from the end of the attempts' start, not of this transaction: else they could be closer than the pace allows.
PACE = """
    UPDATE text_paces
       SET next_at = clock_timestamp() + make_interval(secs => $2), setbacks = $3,
           slowed_at = CASE WHEN setbacks = $3 THEN slowed_at ELSE now() END, stopped_code = NULL, stopped_at = NULL
     WHERE number_e164 = $1
"""
BLOCK = """
    UPDATE text_paces SET next_at = greatest(next_at, clock_timestamp() + make_interval(secs => $2)) WHERE number_e164 = $1
"""
# Attempts that were in flight when the number was slowed don't count again.
SLOW = """
    UPDATE text_paces SET setbacks = setbacks + 1, slowed_at = clock_timestamp() WHERE number_e164 = $1 AND slowed_at < $2
"""
STOP = """
    UPDATE text_paces SET stopped_code = $2, stopped_at = clock_timestamp() WHERE number_e164 = $1
"""

# A text that was scheduled in a thread closed since is not sent; a goodbye written before the close is.
# A text that failed at its handset is due once more.  It is not sent again if its campaign has ended since; if the campaign is
# paused, the text waits and blocks no others.
_next_texts = """
    SELECT m.id, m.org_id, m.conversation_id, m.number_e164, m.contact_e164 AS to_e164, m.body, m.status, m.segments,
           m.sent_by, m.expires_at, m.honors_hours, m.campaign_id, m.due_at,
           (SELECT least(m.created_at, k.created_at) FROM restorations r
             WHERE least(m.created_at, k.created_at) < r.restored_at LIMIT 1) AS doubtful_since,
           ARRAY(SELECT a.url FROM message_media a WHERE a.message_id = m.id ORDER BY a.index) AS media_urls,
           o.time_zone, o.business_hours_json, o.quiet_hours_enabled, o.recipient_hours_enabled,
           (c.status = 'closed' AND m.status = 'scheduled')
               OR (m.status = 'sent' AND coalesce(k.status IN ('canceled', 'failed'), false)) AS closed,
           coalesce(x.opted_out, false) AS opted_out, n.status = 'active' AS number_active, n.sms_enabled,
           n.capabilities, coalesce(n.account_sid, '') AS account, m.contact_e164, c.last_inbound_at
      FROM messages m
      JOIN conversations c ON c.id = m.conversation_id
      JOIN organizations o ON o.org_id = m.org_id
      LEFT JOIN numbers n ON n.id = c.number_id AND n.e164 = m.number_e164
      LEFT JOIN opt_outs x ON x.org_id = m.org_id AND x.contact_e164 = m.contact_e164
      LEFT JOIN campaigns k ON k.id = m.campaign_id
     WHERE m.number_e164 = $1 AND m.due_at <= now() AND m.lane = %s AND k.status IS DISTINCT FROM 'paused'
       AND NOT EXISTS (SELECT FROM messages e
                        WHERE e.conversation_id = m.conversation_id AND e.due_at <= now() AND e.lane <= m.lane
                          AND (e.due_at, e.created_at, e.id) < (m.due_at, m.created_at, m.id)
                          AND NOT EXISTS (SELECT FROM campaigns p WHERE p.id = e.campaign_id AND p.status = 'paused'))
       AND NOT EXISTS (SELECT FROM message_attempts b
                        WHERE b.from_e164 = m.number_e164 AND b.to_e164 = m.contact_e164 AND b.state = 'posting')
     ORDER BY m.due_at, m.created_at, m.id
     LIMIT $2
       FOR NO KEY UPDATE OF m, c SKIP LOCKED
"""
#: The next text of each thread, the one that has been due for longest first.
TALKS = _next_texts % "0"
OF_CAMPAIGN = (_next_texts % f"1 AND {_CAMPAIGN} = $3").replace("e.lane <= m.lane", "e.lane <= 1")
# The campaigns with due texts from a number, and how long each must wait; first the one that could have sent for longest, by its
# throttle and its first due text.  Texts added as others leave are due later, so no campaign stays first.
CAMPAIGNS = f"""
    WITH RECURSIVE found AS (
        (SELECT {_CAMPAIGN} AS id FROM messages m
          WHERE m.number_e164 = $1 AND m.due_at IS NOT NULL AND m.lane = 1 ORDER BY {_CAMPAIGN} LIMIT 1)
        UNION ALL
        SELECT (SELECT {_CAMPAIGN} FROM messages m
                 WHERE m.number_e164 = $1 AND m.due_at IS NOT NULL AND m.lane = 1 AND {_CAMPAIGN} > found.id
                 ORDER BY {_CAMPAIGN} LIMIT 1)
          FROM found WHERE found.id IS NOT NULL)
    SELECT f.id, p.per_minute,
           extract(epoch FROM least(greatest(coalesce(p.next_at, '-infinity'), now()), now() + interval '1 day') - now())::float8
               AS wait_seconds
      FROM found f LEFT JOIN campaign_paces p ON p.campaign_id = f.id
     CROSS JOIN LATERAL (SELECT m.due_at FROM messages m
                          WHERE m.number_e164 = $1 AND m.lane = 1 AND {_CAMPAIGN} = f.id AND m.due_at <= now()
                          ORDER BY m.due_at LIMIT 1) first
     WHERE f.id IS NOT NULL
     ORDER BY greatest(p.next_at, first.due_at), f.id
"""
LOCK_CAMPAIGN = """
    SELECT extract(epoch FROM least(greatest(next_at, now()), now() + interval '1 day') - now())::float8 FROM campaign_paces
     WHERE campaign_id = $1 FOR UPDATE SKIP LOCKED
"""
PACE_CAMPAIGN = """
    UPDATE campaign_paces SET next_at = clock_timestamp() + make_interval(secs => $2) WHERE campaign_id = $1
"""

# A statement does not see its own changes: `m.due_at` is the time that the message was due.
BEGIN = """
    WITH given AS (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS each (id, message_id, account)),
    begun AS (
        UPDATE messages m SET due_at = NULL, status = CASE m.status WHEN 'sent' THEN 'sent' ELSE 'queued' END
          FROM given g WHERE m.id = g.message_id)
    INSERT INTO message_attempts (id, org_id, message_id, number, account, from_e164, to_e164, state, due_at)
    SELECT g.id, m.org_id, m.id, 1 + coalesce((SELECT max(a.number) FROM message_attempts a WHERE a.message_id = m.id), 0),
           g.account, m.number_e164, m.contact_e164, 'posting', m.due_at
      FROM given g JOIN messages m ON m.id = g.message_id
"""
DEFER = """
    UPDATE messages SET due_at = $2, held_by = $3, status = CASE status WHEN 'sent' THEN 'sent' ELSE 'scheduled' END,
                        source = coalesce(source, 'quiet_hours')
     WHERE id = $1
"""
# Campaigns' texts are left: they may be very many, and are checked again when they are due.
RECHECK = """
    UPDATE messages SET due_at = greatest(scheduled_at, $2)
     WHERE id = ANY (ARRAY(
               SELECT id FROM messages
                WHERE org_id = $1 AND status = 'scheduled' AND lane = 0 AND held_by IS NOT NULL AND due_at > $2
                ORDER BY id FOR NO KEY UPDATE))
"""
# Includes numbers that no worker has ever sent from.
WAITING = f"""{_due_numbers}
    SELECT coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8 FROM (
        SELECT (SELECT min(m.due_at) FROM messages m WHERE m.number_e164 = f.number_e164 AND m.lane = 0 AND m.due_at <= now())
               AS due_at
          FROM found f WHERE f.number_e164 IS NOT NULL) oldest
"""
DUE_SECONDS = """
    SELECT extract(epoch FROM least(
               (SELECT min(due_at) FROM messages WHERE due_at > now()),
               (SELECT min(next_at) FROM text_paces WHERE next_at > now()),
               (SELECT min(next_at) FROM campaign_paces WHERE next_at > now() AND next_at < now() + interval '1 year')
           ) - now())::float8
"""


@dataclass(frozen=True, slots=True)
class PaceRow:
    """A number's pace, locked.  `stopped_code`: the fault that stopped it; `at`: the time of this transaction."""

    wait_seconds: float
    setbacks: int
    slowed_ago_seconds: float
    stopped_code: str | None
    stopped_at: datetime | None
    at: datetime


@dataclass(frozen=True, slots=True)
class HeadRow:
    """A text that is next in its thread, locked with the thread, and what decides about it."""

    id: UUID
    org_id: UUID
    conversation_id: UUID
    number_e164: str
    to_e164: str
    body: str
    status: str
    segments: int
    sent_by: str
    expires_at: datetime | None
    honors_hours: bool
    campaign_id: UUID | None
    due_at: datetime
    #: The database was restored from a later backup: the text may have been sent already.
    doubtful_since: datetime | None
    media_urls: Sequence[str]
    rules: RulesRow


@dataclass(frozen=True, slots=True)
class DueCampaignRow:
    """A campaign with due texts; `per_minute` None: no throttle."""

    id: UUID
    per_minute: int | None
    wait_seconds: float


_RULES = tuple(field.name for field in fields(RulesRow))
_HEAD = tuple(field.name for field in fields(HeadRow) if field.name != "rules")


async def notify_workers(tx: Tx, number_e164: str) -> None:
    """Notify the workers that a text of this number is due, once this transaction is committed."""
    await notify(tx, CHANNEL, number_e164)


async def numbers(tx: Tx, within_seconds: float, limit: int) -> list[str]:
    """Return the numbers that have due texts, and may send within so many seconds."""
    return [row["number_e164"] for row in await tx.fetch(NUMBERS, within_seconds, limit)]


async def lock_pace(tx: Tx, number_e164: str) -> PaceRow | None:
    """Lock a number's pace until the transaction ends; return None if another process has the lock."""
    row = await tx.fetchrow(LOCK_PACE, number_e164)
    if row is None:
        await tx.execute(ADD_NUMBER, number_e164)
        row = await tx.fetchrow(LOCK_PACE, number_e164)
    return PaceRow(**row) if row else None


async def pace(tx: Tx, number_e164: str, seconds: float, setbacks: int) -> None:
    """Let a number with a locked pace send nothing for `seconds`.  `setbacks`: those that still count."""
    await tx.execute(PACE, number_e164, seconds, setbacks)


async def block(tx: Tx, number_e164: str, seconds: float) -> None:
    """Let a number send nothing for `seconds`, because the carrier asked for it."""
    await tx.execute(BLOCK, number_e164, seconds)


async def slow(tx: Tx, number_e164: str, begun_at: datetime) -> None:
    """Slow a number down because the carrier rejected an attempt, begun at `begun_at`, as too fast."""
    await tx.execute(SLOW, number_e164, begun_at)


async def stop(tx: Tx, number_e164: str, code: str) -> None:
    """Record that the carrier refuses all texts of a number, until this fault is fixed."""
    await tx.execute(STOP, number_e164, code)


async def talks(tx: Tx, number_e164: str, limit: int) -> list[HeadRow]:
    """Lock and return the next texts of a number's conversations."""
    return [_head(row) for row in await tx.fetch(TALKS, number_e164, limit)]


async def campaigns(tx: Tx, number_e164: str) -> list[DueCampaignRow]:
    return [DueCampaignRow(**row) for row in await tx.fetch(CAMPAIGNS, number_e164)]


async def lock_campaign(tx: Tx, id: UUID) -> float | None:
    """Lock a campaign's throttle; return the seconds until it may send, or None if another process has the lock."""
    seconds: float | None = await tx.fetchval(LOCK_CAMPAIGN, id)
    return seconds


async def pace_campaign(tx: Tx, id: UUID, seconds: float) -> None:
    await tx.execute(PACE_CAMPAIGN, id, seconds)


async def of_campaign(tx: Tx, number_e164: str, campaign: UUID, limit: int) -> list[HeadRow]:
    """Lock and return the next texts of a campaign from a number."""
    return [_head(row) for row in await tx.fetch(OF_CAMPAIGN, number_e164, limit, campaign)]


async def begin(tx: Tx, attempts: Sequence[UUID], messages: Sequence[UUID], accounts: Sequence[str]) -> None:
    """Begin an attempt at each of these locked messages: they are no longer due."""
    await tx.execute(BEGIN, attempts, messages, accounts)


async def recheck(tx: Tx, org: UUID, at: datetime) -> None:
    """Make the texts due that wait for hours, campaigns' excepted: they are deferred again if it is still closed."""
    await tx.execute(RECHECK, org, at)


async def defer(tx: Tx, id: UUID, until: datetime, held_by: str | None) -> None:
    """Defer a message until then; `held_by`: the hours that it waits for."""
    await tx.execute(DEFER, id, until, held_by)


async def waiting_seconds(tx: Tx) -> float:
    """Return the age of the oldest due text of a conversation; 0 if none is due."""
    return await tx.fetchval(WAITING) or 0.0


def _head(row: "object") -> HeadRow:
    return HeadRow(**{name: row[name] for name in _HEAD}, rules=RulesRow(**{name: row[name] for name in _RULES}))  # type: ignore[index]


async def due_seconds(tx: Tx) -> float | None:
    """Return the seconds until the next text that is not due yet is, or a pace allows one; None if there is none.  Runs as the system."""
    seconds: float | None = await tx.fetchval(DUE_SECONDS)
    return seconds
