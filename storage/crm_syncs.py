"""The queue of contacts, calls and conversations to report to CRM connectors: each once, a call once with each summary.

States: scheduled ──▶ queued as a job ──▶ claimed by a worker ──▶ done, failed, or scheduled again for later.
Example: a call ends at 10:00 and is scheduled until its summary is stored at 10:01; a job claims it, the connector times out, and it
is scheduled again for 10:02.  Two turns arrive at 10:05, the call is summarized anew, and its report is scheduled as another delivery.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage.db import Tx

#: Requests to one connector at once, over all workers.
AT_ONCE = 2
SCHEDULE_CONTACT = """
    INSERT INTO crm_syncs (id, org_id, connector_id, kind, contact_id, due_at)
    SELECT $1, hum.org_id(), c.id, 'contact', k.id, now() FROM crm_connectors c, contacts k WHERE c.id = $2 AND k.id = $3
    ON CONFLICT (contact_id, connector_id) WHERE kind = 'contact' DO UPDATE
       SET state = 'pending', id = excluded.id, due_at = now(), attempts = 0, queued = false, claim = NULL,
           created_at = excluded.created_at, ended_at = NULL
     WHERE crm_syncs.state = 'failed'
"""
# A summary that was stored after an attempt had begun is another delivery, which no attempt under way can end.
SCHEDULE_CALL_ANEW = """
    UPDATE crm_syncs s
       SET state = 'pending', id = gen_random_uuid(), due_at = now(), attempts = 0, queued = false, claim = NULL,
           created_at = now(), ended_at = NULL
      FROM crm_connectors c
     WHERE s.call_id = $1 AND s.kind = 'call' AND s.attempts > 0 AND c.id = s.connector_id AND c.enabled AND c.sync_calls
"""
# For each connector with `sync_calls`.  If the caller spoke or left a voicemail, a summary will follow, which makes this due.
SCHEDULE_CALL = """
    INSERT INTO crm_syncs (id, org_id, connector_id, kind, contact_id, call_id, due_at)
    SELECT gen_random_uuid(), c.org_id, c.id, 'call', a.contact_id, a.id,
           now() + CASE WHEN NOT $3
                         AND (EXISTS (SELECT FROM call_turns t WHERE t.call_id = a.id AND t.role = 'caller')
                              OR EXISTS (SELECT FROM voicemails v WHERE v.call_id = a.id)) THEN $2::interval
                        ELSE '0 s' END
      FROM calls a JOIN crm_connectors c ON c.org_id = a.org_id
     WHERE a.id = $1 AND a.status <> 'blocked' AND c.enabled AND c.sync_calls
    ON CONFLICT (call_id, connector_id) WHERE kind = 'call' DO UPDATE SET due_at = least(crm_syncs.due_at, excluded.due_at)
     WHERE crm_syncs.state = 'pending' AND crm_syncs.attempts = 0 AND NOT crm_syncs.queued
"""
SCHEDULE_CONVERSATION = """
    INSERT INTO crm_syncs (id, org_id, connector_id, kind, contact_id, conversation_id, event_id, due_at)
    SELECT gen_random_uuid(), c.org_id, c.id, 'conversation', t.contact_id, t.id, $2, now()
      FROM conversations t JOIN crm_connectors c ON c.org_id = t.org_id
     WHERE t.id = $1 AND c.enabled AND c.sync_conversations
    ON CONFLICT (conversation_id, connector_id, event_id) WHERE kind = 'conversation' DO NOTHING
"""
QUEUE = """
    WITH ready AS (
        SELECT s.id
          FROM crm_connectors c
         CROSS JOIN LATERAL (
               SELECT o.id, o.due_at FROM crm_syncs o
                WHERE o.connector_id = c.id AND o.state = 'pending' AND o.due_at <= $1
                ORDER BY o.due_at, o.id
                LIMIT greatest(0, $3 - (SELECT count(*) FROM crm_syncs f
                                         WHERE f.connector_id = c.id AND f.state = 'pending' AND f.due_at > $1
                                           AND f.queued))) s
         WHERE c.enabled AND coalesce(c.rests_until <= $1, true)
         ORDER BY s.due_at
         LIMIT $4)
    UPDATE crm_syncs s SET queued = true, claim = NULL, due_at = $2
      FROM ready
     WHERE s.id = ready.id AND s.state = 'pending' AND s.due_at <= $1
    RETURNING s.id, s.org_id
"""
CLAIM = """
    UPDATE crm_syncs SET claim = $2, due_at = $3, attempts = attempts + 1
     WHERE id = $1 AND state = 'pending' AND queued AND claim IS NULL
    RETURNING id, org_id, connector_id, kind, contact_id, call_id, conversation_id, attempts, created_at
"""
DEFER = """
    UPDATE crm_syncs SET due_at = $3, queued = false, claim = NULL, attempts = attempts - CASE WHEN $4 THEN 0 ELSE 1 END
     WHERE id = $1 AND claim = $2
"""
END = """
    UPDATE crm_syncs SET state = $3, queued = false, claim = NULL, ended_at = now()
     WHERE id = $1 AND claim = $2 AND state = 'pending'
"""
IS_CONTACT_SCHEDULED = """
    SELECT EXISTS (SELECT FROM crm_syncs
                    WHERE contact_id = $1 AND connector_id = $2 AND kind = 'contact' AND state = 'pending'
                      AND created_at > now() - $3::interval)
"""
GIVE_UP = """
    UPDATE crm_syncs SET state = 'failed', queued = false, claim = NULL, ended_at = now()
     WHERE id IN (SELECT id FROM crm_syncs WHERE state = 'pending' AND created_at < now() - $1::interval LIMIT $2)
"""
# A contact's row is kept as long as the contact, so that it is not created twice.
PRUNE = """
    DELETE FROM crm_syncs WHERE id IN (SELECT id FROM crm_syncs
                                        WHERE state <> 'pending' AND ended_at < now() - $1::interval AND kind <> 'contact'
                                        ORDER BY ended_at LIMIT $2)
"""
CALL = """
    SELECT id, direction, from_e164, to_e164, created_at, answered_at, ended_at, summary ->> 'text' AS summary, outcome
      FROM calls WHERE id = $1
"""
CONVERSATION = """
    SELECT t.id, t.number_e164, t.contact_e164, t.created_at, m.messages, m.first_at, m.last_at
      FROM conversations t
     CROSS JOIN LATERAL (SELECT count(*) AS messages, min(created_at) AS first_at, max(created_at) AS last_at
                           FROM messages WHERE conversation_id = t.id) m
     WHERE t.id = $1
"""
DUE_SECONDS = """
    SELECT extract(epoch FROM min(greatest(s.due_at, coalesce(c.rests_until, '-infinity'))) - now())::float8
      FROM crm_syncs s JOIN crm_connectors c ON c.id = s.connector_id
     WHERE s.state = 'pending' AND c.enabled AND greatest(s.due_at, coalesce(c.rests_until, '-infinity')) > now()
"""


@dataclass(frozen=True, slots=True)
class SyncRow:
    """A sync that a worker has claimed; its id is the delivery's."""

    id: UUID
    org_id: UUID
    connector_id: UUID
    kind: str
    contact_id: UUID | None
    call_id: UUID | None
    conversation_id: UUID | None
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CallFacts:
    id: UUID
    direction: str
    from_e164: str
    to_e164: str
    created_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    summary: str | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class ConversationFacts:
    id: UUID
    number_e164: str
    contact_e164: str
    created_at: datetime
    messages: int
    first_at: datetime | None
    last_at: datetime | None


async def schedule_contact(tx: Tx, id: UUID, connector: UUID, contact: UUID) -> None:
    """Queue the creation of a contact at a connector, unless it was created there before."""
    await tx.execute(SCHEDULE_CONTACT, id, connector, contact)


async def schedule_call(tx: Tx, call: UUID, wait: timedelta, *, summarized: bool) -> None:
    """Queue the report of a call that ended, or was `summarized`, to the organization's connectors.  Runs as the system.

    It is due with the summary or after `wait`; if it was sent without this summary, it is sent again.
    """
    if summarized:
        await tx.execute(SCHEDULE_CALL_ANEW, call)
    await tx.execute(SCHEDULE_CALL, call, wait, summarized)


async def schedule_conversation(tx: Tx, conversation: UUID, event: int) -> None:
    """Queue the report of a conversation that was closed by this event.  Runs as the system."""
    await tx.execute(SCHEDULE_CONVERSATION, conversation, event)


async def queue(tx: Tx, at: datetime, lost_at: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Return due syncs (organization, id) to enqueue as jobs; a lost job's is due again at `lost_at`.  Runs as the system."""
    return [(row["org_id"], row["id"]) for row in await tx.fetch(QUEUE, at, lost_at, AT_ONCE, limit)]


async def claim(tx: Tx, id: UUID, claim: UUID, lost_at: datetime) -> SyncRow | None:
    """Begin an attempt; return None if another worker did, or the sync is over."""
    row = await tx.fetchrow(CLAIM, id, claim, lost_at)
    return SyncRow(**row) if row else None


async def defer(tx: Tx, id: UUID, claim: UUID, due_at: datetime, *, counts: bool) -> None:
    """Defer a sync until `due_at`; an attempt that made no request does not count."""
    await tx.execute(DEFER, id, claim, due_at, counts)


async def end(tx: Tx, id: UUID, claim: UUID, state: str) -> None:
    """End a sync as `done` or `failed`."""
    await tx.execute(END, id, claim, state)


async def is_contact_scheduled(tx: Tx, connector: UUID, contact: UUID, within: timedelta) -> bool:
    """Return whether a connector is about to create a contact, queued at most `within` ago."""
    return bool(await tx.fetchval(IS_CONTACT_SCHEDULED, contact, connector, within))


async def fail_overdue(tx: Tx, after: timedelta, limit: int) -> None:
    """End syncs that have been scheduled for longer than `after` as failed.  Runs as the system."""
    await tx.execute(GIVE_UP, after, limit)


async def prune(tx: Tx, keep: timedelta, limit: int) -> None:
    """Prune syncs that ended longer than `keep` ago.  Runs as the system."""
    await tx.execute(PRUNE, keep, limit)


async def call(tx: Tx, id: UUID) -> CallFacts | None:
    row = await tx.fetchrow(CALL, id)
    return CallFacts(**row) if row else None


async def conversation(tx: Tx, id: UUID) -> ConversationFacts | None:
    row = await tx.fetchrow(CONVERSATION, id)
    return ConversationFacts(**row) if row else None


async def due_seconds(tx: Tx) -> float | None:
    """Return the seconds until the next sync that is not due yet is; None if there is none.  Runs as the system."""
    seconds: float | None = await tx.fetchval(DUE_SECONDS)
    return seconds
