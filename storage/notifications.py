"""Notifications by e-mail: members' preferences, notices, and the e-mails that carry them."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from storage.db import Tx

WISHES = "SELECT voicemails, transfers, webhooks, limits FROM notification_wishes WHERE org_id = hum.org_id() AND user_id = $1"
# Creates the row if there is none: only a row can be locked.
LOCK_WISHES = """
    INSERT INTO notification_wishes AS w (org_id, user_id) VALUES (hum.org_id(), $1)
    ON CONFLICT (org_id, user_id) DO UPDATE SET voicemails = w.voicemails
    RETURNING voicemails, transfers, webhooks, limits
"""
SET_WISHES = """
    INSERT INTO notification_wishes (org_id, user_id, voicemails, transfers, webhooks, limits)
    VALUES (hum.org_id(), $1, $2, $3, $4, $5)
    ON CONFLICT (org_id, user_id) DO UPDATE
       SET voicemails = excluded.voicemails, transfers = excluded.transfers, webhooks = excluded.webhooks,
           limits = excluded.limits
"""
ADDRESS = "SELECT email FROM users WHERE id = $1"
PAGE = """
    SELECT id, to_address, user_id, kind, notices, state, attempts, error, created_at, ended_at
      FROM emails
     WHERE org_id = (SELECT hum.org_id()) AND id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $2
"""

# Whether a limited member `m` sees the call `c`, as the policies on calls say.
SEEN = """(c.number_id = ANY (m.limited_numbers) OR c.flow_id = ANY (m.limited_flows)
                                                OR c.agent_flow_id = ANY (m.limited_flows))"""
# From here on, all runs as the system.  A member with `$9` pending notices gets no further ones.
ADD_NOTICES = f"""
    INSERT INTO notices (id, org_id, user_id, kind, event_id, subject_id, facts, due_at)
    SELECT gen_random_uuid(), m.org_id, m.user_id, $2::text, $3, $4, $5, now() + $6::interval
      FROM memberships m
      LEFT JOIN notification_wishes w ON w.org_id = m.org_id AND w.user_id = m.user_id
     WHERE m.org_id = $1 AND m.role = ANY ($7::text[])
       AND coalesce(CASE $2::text WHEN 'voicemail' THEN w.voicemails WHEN 'transfer' THEN w.transfers
                                  WHEN 'webhook' THEN w.webhooks ELSE w.limits END,
                    m.role = ANY ($8::text[]))
       AND (cardinality(m.limited_numbers) + cardinality(m.limited_flows) = 0
            OR EXISTS (SELECT FROM calls c
                        WHERE {SEEN}
                          AND c.id = CASE $2::text WHEN 'voicemail' THEN (SELECT v.call_id FROM voicemails v WHERE v.id = $4)
                                                   WHEN 'transfer' THEN $4 END))
       AND (SELECT count(*) FROM notices n
             WHERE n.user_id = m.user_id AND n.org_id = m.org_id AND n.email_id IS NULL) < $9
    ON CONFLICT (event_id, user_id) DO NOTHING
"""
WANTS_TRANSCRIPTS = "SELECT notify_transcripts FROM organizations WHERE org_id = $1"
MAKE_DUE = (
    "UPDATE notices SET due_at = now() WHERE subject_id = $1 AND org_id = $2 AND email_id IS NULL AND due_at > now()"
)
# One row for each person and organization; the person is locked, so that no other worker counts the same hour.
DUE = """
    SELECT d.org_id, d.user_id, u.email AS to_address
      FROM (SELECT DISTINCT org_id, user_id FROM notices WHERE email_id IS NULL AND due_at <= now()) d
      JOIN users u ON u.id = d.user_id
     WHERE (SELECT count(*) FROM emails e
             WHERE e.user_id = d.user_id AND e.kind <> 'invitation' AND e.created_at > now() - interval '1 hour') < $1
       AND NOT EXISTS (SELECT FROM emails b WHERE lower(b.to_address) = lower(u.email) AND b.state = 'bounced'
                          AND b.created_at > now() - $2::interval)
     LIMIT $3
       FOR NO KEY UPDATE OF u SKIP LOCKED
"""
SENT_THIS_HOUR = """
    SELECT count(*) FROM emails
     WHERE user_id = $1 AND kind <> 'invitation' AND created_at > now() - interval '1 hour'
"""
DUE_NOTICES = """
    SELECT id, kind FROM notices
     WHERE org_id = $1 AND user_id = $2 AND email_id IS NULL AND due_at <= now()
     ORDER BY created_at, id
"""
ADD = """
    INSERT INTO emails (id, org_id, user_id, invite_id, to_address, kind, notices, state, error, ended_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, CASE WHEN $8 <> 'queued' THEN now() END)
"""
ASSIGN = "UPDATE notices SET email_id = $1 WHERE id = ANY ($2::uuid[])"
INVITED = """
    SELECT i.email AS to_address,
           (SELECT count(*) FROM emails e WHERE e.org_id = i.org_id AND e.kind = 'invitation' AND e.state <> 'dropped'
               AND e.created_at > now() - interval '1 day') AS of_organization,
           (SELECT count(*) FROM emails e WHERE lower(e.to_address) = lower(i.email) AND e.kind = 'invitation'
               AND e.state <> 'dropped' AND e.created_at > now() - interval '1 day') AS of_address
      FROM invites i
     WHERE i.id = $1
"""
# Serializes an organization's invitations, so that the limit counts all of them.
LOCK_ORGANIZATION = "SELECT pg_advisory_xact_lock(hashtextextended('invitation e-mails ' || $1::text, 0))"
BEGIN = """
    UPDATE emails SET attempts = attempts + 1
     WHERE id = $1 AND org_id = $2 AND state = 'queued'
    RETURNING id, org_id, user_id, invite_id, to_address, kind, created_at
"""
INVITATION = """
    SELECT o.name AS organization, i.invited_by, i.role, i.expires_at
      FROM invites i JOIN organizations o ON o.org_id = i.org_id
     WHERE i.id = $1 AND i.expires_at > now()
"""
READER = """
    SELECT o.name AS organization, o.time_zone, o.notify_transcripts, m.role
      FROM memberships m JOIN organizations o ON o.org_id = m.org_id
     WHERE m.org_id = $1 AND m.user_id = $2
"""
# Without those that their reader may no longer see.
NOTICES = f"""
    SELECT n.kind, n.facts, n.created_at, coalesce(v.id, t.call_id) AS thing_id, v.duration_ms, v.transcript,
           c.contact_e164, k.name AS contact_name
      FROM notices n
      LEFT JOIN voicemails v ON n.kind = 'voicemail' AND v.id = n.subject_id AND v.deleted_at IS NULL
      LEFT JOIN call_tags t ON n.kind = 'transfer' AND t.call_id = n.subject_id AND t.tag = $2
      LEFT JOIN calls c ON c.id = coalesce(v.call_id, t.call_id)
      LEFT JOIN contacts k ON k.id = c.contact_id
      JOIN memberships m ON m.org_id = n.org_id AND m.user_id = n.user_id
     WHERE n.email_id = $1 AND (cardinality(m.limited_numbers) + cardinality(m.limited_flows) = 0 OR {SEEN})
     ORDER BY n.created_at, n.id
"""
SET_ERROR = "UPDATE emails SET error = $2 WHERE id = $1 AND state = 'queued'"
END = "UPDATE emails SET state = $2, error = $3, ended_at = now() WHERE id = $1 AND state = 'queued'"
DELETE_NOTICES = "DELETE FROM notices WHERE email_id = $1"
DELETE_STALE = """
    DELETE FROM notices
     WHERE id IN (SELECT id FROM notices WHERE email_id IS NULL AND due_at < now() - $1::interval LIMIT 1000)
"""
GIVE_UP = """
    UPDATE emails SET state = 'failed', ended_at = now()
     WHERE state = 'queued' AND created_at < now() - 2 * $1::interval
"""
DELETE_OLD = """
    DELETE FROM emails
     WHERE id IN (SELECT id FROM emails WHERE created_at < now() - $1::interval ORDER BY created_at LIMIT 1000)
"""
DUE_SECONDS = """
    SELECT extract(epoch FROM min(due_at) - now())::float8 FROM notices WHERE due_at > now() AND email_id IS NULL
"""


@dataclass(frozen=True, slots=True)
class PreferencesRow:
    """A member's preferences; None: the role's default."""

    voicemails: bool | None
    transfers: bool | None
    webhooks: bool | None
    limits: bool | None


@dataclass(frozen=True, slots=True)
class EmailRow:
    id: UUID
    to_address: str
    user_id: UUID | None
    kind: str
    notices: int
    state: str
    attempts: int
    error: str | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class DueEmailRow:
    org_id: UUID
    user_id: UUID
    to_address: str


@dataclass(frozen=True, slots=True)
class NewEmail:
    """An e-mail to store; `reason`: why it is dropped, or None if it is sent."""

    id: UUID
    org_id: UUID
    user_id: UUID | None
    invite_id: UUID | None
    to_address: str
    kind: str
    notices: int = 1
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class EmailAttemptRow:
    """An e-mail at the start of an attempt."""

    id: UUID
    org_id: UUID
    user_id: UUID | None
    invite_id: UUID | None
    to_address: str
    kind: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class InvitedAddressRow:
    """An invited address, and the invitations sent within a day: by the organization, and to the address."""

    to_address: str
    of_organization: int
    of_address: int


@dataclass(frozen=True, slots=True)
class InvitationLetterRow:
    organization: str
    invited_by: str
    role: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ReaderRow:
    """The reader of an e-mail, with their current role and settings."""

    organization: str
    time_zone: str
    notify_transcripts: bool
    role: str


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """A notice with the current facts.

    `thing_id` is of the voicemail, or of the call whose transfer nobody took; None: it was deleted, or dealt with.
    """

    kind: str
    facts: Mapping[str, Any]
    created_at: datetime
    thing_id: UUID | None
    duration_ms: int | None
    transcript: str | None
    #: Of the caller.
    contact_e164: str | None
    contact_name: str | None


async def preferences(tx: Tx, user: UUID, *, lock: bool = False) -> PreferencesRow:
    row = await tx.fetchrow(LOCK_WISHES if lock else WISHES, user)
    return PreferencesRow(**row) if row else PreferencesRow(None, None, None, None)


async def set_preferences(tx: Tx, user: UUID, row: PreferencesRow) -> None:
    await tx.execute(SET_WISHES, user, row.voicemails, row.transfers, row.webhooks, row.limits)


async def address(tx: Tx, user: UUID) -> str:
    email: str = await tx.fetchval(ADDRESS, user)
    return email


async def page(tx: Tx, before: UUID | None, limit: int) -> list[EmailRow]:
    """Return e-mails newest first, below `before`."""
    return [EmailRow(**row) for row in await tx.fetch(PAGE, before, limit)]


async def store_notice(
    tx: Tx,
    org: UUID,
    kind: str,
    event: int,
    subject: UUID,
    facts: str | None,
    *,
    wait: timedelta,
    allowed: Collection[str],
    default: Collection[str],
    most: int,
) -> None:
    """Store a notice for members with an `allowed` role who want it; without a preference, those with a `default` role."""
    await tx.execute(ADD_NOTICES, org, kind, event, subject, facts, wait, list(allowed), list(default), most)


async def wants_transcripts(tx: Tx, org: UUID) -> bool:
    return bool(await tx.fetchval(WANTS_TRANSCRIPTS, org))


async def make_due(tx: Tx, org: UUID, subject: UUID) -> None:
    """Make the notices about a subject due now."""
    await tx.execute(MAKE_DUE, subject, org)


async def due(tx: Tx, per_hour: int, bounce: timedelta, limit: int) -> list[DueEmailRow]:
    """Lock and return members with due notices, below `per_hour` e-mails and without a bounce within `bounce`."""
    return [DueEmailRow(**row) for row in await tx.fetch(DUE, per_hour, bounce, limit)]


async def sent_this_hour(tx: Tx, user: UUID) -> int:
    number: int = await tx.fetchval(SENT_THIS_HOUR, user)
    return number


async def due_notices(tx: Tx, row: DueEmailRow) -> list[tuple[UUID, str]]:
    """Return a member's due notices, each with its kind, oldest first."""
    return [(notice["id"], notice["kind"]) for notice in await tx.fetch(DUE_NOTICES, row.org_id, row.user_id)]


async def add(tx: Tx, new: NewEmail, notices: Sequence[UUID] = ()) -> None:
    """Store an e-mail, and assign its notices to it."""
    state = "queued" if new.reason is None else "dropped"
    values = (new.id, new.org_id, new.user_id, new.invite_id, new.to_address, new.kind, new.notices, state, new.reason)
    await tx.execute(ADD, *values)
    if notices:
        await tx.execute(ASSIGN, new.id, notices)


async def invited(tx: Tx, org: UUID, invite: UUID) -> InvitedAddressRow | None:
    """Return an invitation's address and counts, or None if it is gone; locks the organization's invitations."""
    await tx.execute(LOCK_ORGANIZATION, str(org))
    row = await tx.fetchrow(INVITED, invite)
    return InvitedAddressRow(**row) if row else None


async def begin(tx: Tx, org: UUID, id: UUID) -> EmailAttemptRow | None:
    """Count an attempt; return None if the e-mail has ended."""
    row = await tx.fetchrow(BEGIN, id, org)
    return EmailAttemptRow(**row) if row else None


async def invitation(tx: Tx, invite: UUID) -> InvitationLetterRow | None:
    """Return an invitation; None if it was withdrawn, accepted, declined, or has expired."""
    row = await tx.fetchrow(INVITATION, invite)
    return InvitationLetterRow(**row) if row else None


async def reader(tx: Tx, org: UUID, user: UUID) -> ReaderRow | None:
    """Return the reader of an e-mail; None if the person is no longer a member."""
    row = await tx.fetchrow(READER, org, user)
    return ReaderRow(**row) if row else None


async def notices(tx: Tx, email: UUID, untaken_tag: str) -> list[NoticeRow]:
    """Return an e-mail's notices, oldest first; calls whose transfers nobody took have this tag until they are dealt with."""
    return [
        NoticeRow(**{**row, "facts": json.loads(row["facts"]) if row["facts"] else {}})
        for row in await tx.fetch(NOTICES, email, untaken_tag)
    ]


async def postpone(tx: Tx, id: UUID, error: str) -> None:
    """Store why an attempt failed."""
    await tx.execute(SET_ERROR, id, error)


async def end(tx: Tx, id: UUID, state: str, error: str | None = None) -> None:
    """End an e-mail, and delete its notices."""
    await tx.execute(END, id, state, error)
    await tx.execute(DELETE_NOTICES, id)


async def prune(tx: Tx, stale: timedelta, give_up: timedelta, keep: timedelta) -> None:
    """Delete stale notices and old e-mails, and end unsent e-mails as failed after twice `give_up`."""
    await tx.execute(DELETE_STALE, stale)
    await tx.execute(GIVE_UP, give_up)
    await tx.execute(DELETE_OLD, keep)


async def due_seconds(tx: Tx) -> float | None:
    """Return the seconds until the next notice that is not due yet is; None if there is none.  Runs as the system."""
    seconds: float | None = await tx.fetchval(DUE_SECONDS)
    return seconds
