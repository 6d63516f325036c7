"""Deletion of calls with all that belongs to them, of event payloads, and of their files afterwards.

Runs as the tenant unless noted.  The transaction that deletes a call moves its counts to those of deleted calls, so that the
roll-ups stay unchanged (`storage.analytics`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage import analytics, text_erasures
from storage.db import Tx

OVER = "status NOT IN ('queued', 'ringing', 'in_progress')"

#: Outbound calls stay for a day, since they count for the limits of outbound calls, and as long as the carrier may still have an
#: attempt.
DEFERRED = """(direction = 'outbound' AND (coalesce(ended_at, created_at) > now() - interval '1 day' OR EXISTS (
            SELECT FROM outbound_attempts a WHERE a.call_id = calls.id AND a.status IN ('dialling', 'under_way'))))"""

# --- calls
# A call may have been ordered long before it was placed.
OLD_CALLS = f"""
    SELECT id FROM calls
     WHERE org_id = hum.org_id() AND created_at < $1 AND coalesce(ended_at, created_at) < $1 AND {OVER} AND NOT {DEFERRED}
     ORDER BY created_at, id
     LIMIT $2 FOR UPDATE
"""
CALLS_WITH = f"""
    SELECT id FROM calls
     WHERE org_id = hum.org_id() AND contact_e164 = $1 AND created_at <= $2 AND {OVER} AND NOT {DEFERRED}
     ORDER BY created_at, id
     LIMIT $3 FOR UPDATE
"""
LIVE_WITH = f"""
    SELECT EXISTS (SELECT FROM calls
                    WHERE org_id = hum.org_id() AND contact_e164 = $1 AND (NOT ({OVER}) OR {DEFERRED}))
"""
IS_DEFERRED = f"SELECT {DEFERRED} FROM calls WHERE id = $1"
SCHEDULE_FILES = """
    INSERT INTO erased_calls (org_id, call_id, called_at, paths)
    SELECT c.org_id, c.id, c.created_at,
           array_remove(ARRAY[c.recording_path, v.audio_path] || ARRAY(
               SELECT s.recording_path FROM call_streams s WHERE s.call_id = c.id ORDER BY s.number)
               || ARRAY(SELECT p.audio_path FROM message_parts p WHERE p.call_id = c.id ORDER BY p.stream_number)
               || ARRAY(SELECT d.path FROM dropped_recordings d WHERE d.call_id = c.id AND d.gone_at IS NULL), NULL)
      FROM calls c LEFT JOIN voicemails v ON v.call_id = c.id
     WHERE c.id = ANY ($1)
"""
VOICEMAILS_OF = "SELECT id FROM voicemails WHERE call_id = ANY ($1)"
EMPTY_EVENTS = "SELECT hum.empty_events($1)"
EMPTY_OLD_EVENTS = "SELECT hum.empty_old_events($1, $2)"
DELETE_REPORTS = "SELECT hum.forget_reports($1)"
# Tags, turns, notes, events, voicemails and the rest are deleted in cascade.
DELETE = "DELETE FROM calls WHERE id = ANY ($1)"

# --- their files
# Files that could not be deleted go to the end of the queue.
CLAIM_FILES = """
    UPDATE erased_calls SET tried_at = now()
     WHERE call_id IN (SELECT call_id FROM erased_calls
                        WHERE files_gone_at IS NULL
                        ORDER BY tried_at NULLS FIRST
                        LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING org_id, call_id, paths
"""
RECORD_DELETION = "UPDATE erased_calls SET files_gone_at = now() WHERE call_id = $1"
FILES_BACK = "UPDATE erased_calls SET files_gone_at = NULL WHERE call_id = $1"
FILES_WAIT_SECONDS = """
    SELECT coalesce(extract(epoch FROM now() - min(erased_at)), 0)::float8 FROM erased_calls WHERE files_gone_at IS NULL
"""
PRUNE_CALLS = "DELETE FROM erased_calls WHERE erased_at < now() - $1::interval AND files_gone_at IS NOT NULL"

# --- deletions in progress
COLUMNS = "id, org_id, kind, contact_id, phone_e164, calls, events, messages, created_at"
BEGIN_RETENTION = """
    INSERT INTO erasures (id, org_id, kind) VALUES ($1, $2, 'retention')
    ON CONFLICT (org_id) WHERE kind = 'retention' AND ended_at IS NULL DO NOTHING
"""
BEGIN_OF_CONTACT = f"""
    INSERT INTO erasures (id, org_id, kind, contact_id, phone_e164) VALUES ($1, hum.org_id(), 'contact', $2, $3)
    RETURNING {COLUMNS}
"""
LOCK_OPEN = f"SELECT {COLUMNS} FROM erasures WHERE id = $1 AND ended_at IS NULL FOR NO KEY UPDATE"
COUNT = "UPDATE erasures SET calls = calls + $2, events = events + $3, messages = messages + $4 WHERE id = $1"
END = "UPDATE erasures SET ended_at = now(), phone_e164 = NULL WHERE id = $1"
OPEN = "SELECT id, org_id FROM erasures WHERE ended_at IS NULL ORDER BY org_id, id"
PRUNE = "DELETE FROM erasures WHERE ended_at < now() - $1::interval"
# For each organization with a retention time: the oldest call, message and appointment that are over, and the oldest event
# with a payload.
OVERDUE = f"""
    SELECT o.org_id,
           extract(epoch FROM now() - make_interval(days => o.retention_days) - least(
               (SELECT c.created_at FROM calls c
                 WHERE c.org_id = o.org_id AND c.{OVER}
                   AND c.created_at < now() - make_interval(days => o.retention_days)
                   AND coalesce(c.ended_at, c.created_at) < now() - make_interval(days => o.retention_days)
                 ORDER BY c.created_at, c.id LIMIT 1),
               (SELECT m.created_at FROM messages m
                 WHERE m.org_id = o.org_id AND m.created_at < now() - make_interval(days => o.retention_days)
                   AND coalesce(m.sent_at, m.created_at) < now() - make_interval(days => o.retention_days)
                   AND {text_erasures.OVER}
                 ORDER BY m.created_at, m.id LIMIT 1),
               (SELECT a.ends_at FROM appointments a
                 WHERE a.org_id = o.org_id AND a.ends_at < now() - make_interval(days => o.retention_days)
                 ORDER BY a.ends_at, a.id LIMIT 1),
               (SELECT e.created_at FROM events e WHERE e.org_id = o.org_id AND e.data IS NOT NULL
                 ORDER BY e.created_at LIMIT 1)))::float8 AS seconds
      FROM organizations o
     WHERE o.retention_days IS NOT NULL
"""
RETENTION_DAYS = "SELECT retention_days FROM organizations WHERE org_id = hum.org_id()"

# --- a contact
UNLINK = "SELECT set_config('hum.unlinking', 'on', true)"
CONTACT_AGAIN = """
    DELETE FROM contacts k
     WHERE k.org_id = hum.org_id() AND k.phone_e164 = $1
       AND NOT EXISTS (SELECT FROM calls c WHERE c.org_id = k.org_id AND c.contact_e164 = $1)
       AND NOT EXISTS (SELECT FROM conversations t WHERE t.org_id = k.org_id AND t.contact_e164 = $1)
    RETURNING k.id
"""


@dataclass(frozen=True, slots=True)
class ErasureRow:
    """A deletion that is in progress; `phone_e164` is set for a contact's."""

    id: UUID
    org_id: UUID
    kind: str
    contact_id: UUID | None
    phone_e164: str | None
    calls: int
    events: int
    messages: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class FilesRow:
    """A deleted call with files that may still exist; `paths` are those that are not named after it."""

    org_id: UUID
    call_id: UUID
    paths: list[str]


# --- calls --------------------------------------------------------------------------------------------------------


async def lock_old_calls(tx: Tx, before: datetime, limit: int) -> list[UUID]:
    """Lock and return the oldest calls from before a time; never a live one."""
    return [row["id"] for row in await tx.fetch(OLD_CALLS, before, limit)]


async def lock_calls_with(tx: Tx, phone_e164: str, until: datetime, limit: int) -> list[UUID]:
    """Lock and return calls from or to a number up to a time; never a live one."""
    return [row["id"] for row in await tx.fetch(CALLS_WITH, phone_e164, until, limit)]


async def is_live_with(tx: Tx, phone_e164: str) -> bool:
    """Return whether there is a live call from or to a number, or one that must not be deleted yet."""
    return bool(await tx.fetchval(LIVE_WITH, phone_e164))


async def erase(tx: Tx, calls: Sequence[UUID]) -> int:
    """Delete locked calls and the payloads of their events, and schedule the deletion of their files; return how many events."""
    voicemails = [row["id"] for row in await tx.fetch(VOICEMAILS_OF, calls)]
    await tx.execute(SCHEDULE_FILES, calls)
    await analytics.retain_counts(tx, calls)
    emptied = await empty_events(tx, [*calls, *voicemails])
    await tx.execute(DELETE_REPORTS, calls)
    await tx.execute(DELETE, calls)
    return emptied


async def is_deferred(tx: Tx, id: UUID) -> bool:
    """Return whether a call must not be deleted yet, though it is over."""
    return bool(await tx.fetchval(IS_DEFERRED, id))


async def empty_events(tx: Tx, subjects: Sequence[UUID]) -> int:
    """Delete the payloads of these subjects' events; return of how many."""
    emptied: int = await tx.fetchval(EMPTY_EVENTS, subjects)
    return emptied


async def empty_old_events(tx: Tx, before: datetime, limit: int) -> int:
    """Delete the payloads of the oldest events from before a time; return of how many."""
    emptied: int = await tx.fetchval(EMPTY_OLD_EVENTS, before, limit)
    return emptied


# --- their files --------------------------------------------------------------------------------------------------


async def claim_files(tx: Tx, limit: int) -> list[FilesRow]:
    """Claim deleted calls with files that may still exist, those without an attempt first.  Runs as the system."""
    return [FilesRow(**row) for row in await tx.fetch(CLAIM_FILES, limit)]


async def record_deletion(tx: Tx, call: UUID) -> None:
    """Record that a deleted call has no files any more.  Runs as the system."""
    await tx.execute(RECORD_DELETION, call)


async def schedule_late_files(tx: Tx, call: UUID) -> bool:
    """Record that a deleted call may have a file again; return False if no such call was deleted lately.  Runs as the system."""
    return bool(await tx.execute(FILES_BACK, call) == "UPDATE 1")


async def files_wait_seconds(tx: Tx) -> float:
    """Return for how long the oldest deleted call's files have waited; 0 if none wait.  Runs as the system."""
    seconds: float = await tx.fetchval(FILES_WAIT_SECONDS)
    return seconds


# --- deletions in progress ----------------------------------------------------------------------------------------


async def overdue(tx: Tx) -> list[tuple[UUID, float]]:
    """Return organizations with data beyond their retention time, and by how many seconds.  Runs as the system."""
    rows = await tx.fetch(OVERDUE)
    return [(row["org_id"], row["seconds"]) for row in rows if row["seconds"] is not None and row["seconds"] > 0]


async def begin_retention(tx: Tx, id: UUID, org: UUID) -> None:
    """Begin the deletion of an organization's expired data, unless one is in progress.  Runs as the system."""
    await tx.execute(BEGIN_RETENTION, id, org)


async def begin_of_contact(tx: Tx, id: UUID, contact: UUID, phone_e164: str) -> ErasureRow:
    """Begin the deletion of all data of a contact up to now."""
    row = await tx.fetchrow(BEGIN_OF_CONTACT, id, contact, phone_e164)
    assert row is not None
    return ErasureRow(**row)


async def lock_open(tx: Tx, id: UUID) -> ErasureRow | None:
    """Lock a deletion; return None if it is done."""
    row = await tx.fetchrow(LOCK_OPEN, id)
    return ErasureRow(**row) if row else None


async def count(tx: Tx, id: UUID, *, calls: int = 0, events: int = 0, messages: int = 0) -> None:
    """Count deleted calls, emptied events and deleted messages."""
    await tx.execute(COUNT, id, calls, events, messages)


async def end(tx: Tx, id: UUID) -> None:
    """End a deletion, and delete its contact's number."""
    await tx.execute(END, id)


async def unfinished(tx: Tx) -> list[tuple[UUID, UUID]]:
    """Return the deletions that are not done, each as organization and id.  Runs as the system."""
    return [(row["org_id"], row["id"]) for row in await tx.fetch(OPEN)]


async def prune(tx: Tx, keep: timedelta) -> None:
    """Prune deletions that ended, and deleted calls without files, longer than `keep` ago.  Runs as the system."""
    await tx.execute(PRUNE, keep)
    await tx.execute(PRUNE_CALLS, keep)


async def retention_days(tx: Tx) -> int | None:
    """Return for how many days the organization keeps its calls; None: for ever."""
    days: int | None = await tx.fetchval(RETENTION_DAYS)
    return days


async def unlink(tx: Tx) -> None:
    """Remove calls that lose their contact in this transaction from the search: they are being deleted."""
    await tx.execute(UNLINK)


async def delete_recreated_contact(tx: Tx, phone_e164: str) -> UUID | None:
    """Delete a contact that has this number again without a call or conversation; return its id, or None."""
    id: UUID | None = await tx.fetchval(CONTACT_AGAIN, phone_e164)
    return id
