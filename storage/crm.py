"""CRM connectors, their ids of contacts, and the log of requests to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

COLUMNS = """
    c.id, c.org_id, c.name, c.base_url, c.enabled, c.position, c.timeout_ms, c.create_contacts, c.sync_calls,
    c.sync_conversations, c.secret, c.old_secret, c.old_secret_until, c.failures, c.failure, c.failing_since,
    c.rests_until, c.created_at, c.updated_at
"""
GET = f"SELECT {COLUMNS} FROM crm_connectors c WHERE c.id = $1"
LOCK = GET + " FOR NO KEY UPDATE"
PAGE = f"""
    SELECT {COLUMNS} FROM crm_connectors c
     WHERE (c.position, c.id) > ($1, coalesce($2::uuid, '00000000-0000-0000-0000-000000000000'))
     ORDER BY c.position, c.id
     LIMIT $3
"""
# Serializes changes of the order.
LOCK_ORDER = "SELECT pg_advisory_xact_lock(hashtextextended('crm connectors ' || hum.org_id()::text, 0))"
ORDER = "SELECT id FROM crm_connectors ORDER BY position, id"
REORDER = """
    UPDATE crm_connectors c SET position = o.position
      FROM unnest($1::uuid[]) WITH ORDINALITY AS o (id, position)
     WHERE c.id = o.id AND c.position <> o.position
"""
CREATE = """
    INSERT INTO crm_connectors (id, org_id, name, base_url, enabled, position, timeout_ms, create_contacts, sync_calls,
                                sync_conversations, secret)
    VALUES ($1, hum.org_id(), $2, $3, $4, 0, $5, $6, $7, $8, $9)
"""
CHANGE = """
    UPDATE crm_connectors
       SET name = $2, base_url = $3, enabled = $4, timeout_ms = $5, create_contacts = $6, sync_calls = $7,
           sync_conversations = $8, updated_at = now()
     WHERE id = $1
"""
ROTATE = """
    UPDATE crm_connectors
       SET old_secret = CASE WHEN $3::interval > '0' THEN secret END,
           old_secret_until = CASE WHEN $3::interval > '0' THEN now() + $3 END, secret = $2, updated_at = now()
     WHERE id = $1
"""
DELETE = "DELETE FROM crm_connectors WHERE id = $1"

# --- back-off of failing connectors
RECOVER = """
    UPDATE crm_connectors SET failures = 0, failure = NULL, failing_since = NULL, rests_until = NULL
     WHERE id = $1 AND failures > 0
"""
# $6: the failures before this request.  A request that was in flight when the back-off began does not prolong it.
FAIL = """
    UPDATE crm_connectors
       SET failures = failures + 1, failure = $2, failing_since = coalesce(failing_since, now()),
           rests_until = CASE WHEN failures + 1 < $3 THEN NULL
                              ELSE now() + least($5::interval, $4::interval * 2 ^ least(failures + 1 - $3, 20)) END
     WHERE id = $1 AND (failures < $3 OR failures = $6)
"""
# One request probes whether the connector has recovered; during `during`, no other one is made.
CLAIM_PROBE = "UPDATE crm_connectors SET rests_until = now() + $2::interval WHERE id = $1 AND rests_until <= now()"

# --- the caller or texter
OF_CALL = """
    SELECT c.org_id, k.id AS contact_id, k.phone_e164, c.direction, c.caller_verification
      FROM calls c JOIN contacts k ON k.id = c.contact_id
     WHERE c.id = $1
"""
ENABLED = f"SELECT {COLUMNS} FROM crm_connectors c WHERE c.enabled ORDER BY c.position, c.id"
# The contact of a text that the AI answers, if an enabled connector was not asked about it lately.
OF_TURN = """
    SELECT t.id AS conversation_id, k.id AS contact_id, k.phone_e164
      FROM text_runs r
      JOIN conversations t ON t.id = r.conversation_id
      JOIN contacts k ON k.id = t.contact_id
     WHERE r.id = $1 AND t.ai_paused_reason IS NULL
       AND EXISTS (SELECT FROM crm_connectors c
                    WHERE c.enabled AND NOT EXISTS (SELECT FROM crm_contacts l
                                                     WHERE l.contact_id = k.id AND l.connector_id = c.id
                                                       AND l.asked_at > now() - $2::interval))
"""
SET_EXTERNAL_ID = """
    INSERT INTO crm_contacts (org_id, connector_id, contact_id, external_id, asked_at)
    SELECT hum.org_id(), c.id, k.id, $3, now() FROM crm_connectors c, contacts k WHERE c.id = $1 AND k.id = $2
    ON CONFLICT (contact_id, connector_id) DO UPDATE
       SET external_id = excluded.external_id, asked_at = excluded.asked_at
"""
EXTERNAL_ID = "SELECT external_id FROM crm_contacts WHERE contact_id = $1 AND connector_id = $2"
NODE_OF = "SELECT node FROM calls WHERE id = $1 FOR NO KEY UPDATE"

# --- the log
# Requests about deleted contacts, calls or conversations are not logged.
LOG = """
    INSERT INTO crm_logs (id, org_id, connector_id, delivery_id, event, contact_id, call_id, conversation_id, outcome,
                          reason, message, old_secret, request_body, status, response_body, duration_ms, created_at)
    SELECT $1, hum.org_id(), c.id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16
      FROM crm_connectors c
     WHERE c.id = $2
       AND ($5::uuid IS NULL OR EXISTS (SELECT FROM contacts k WHERE k.id = $5 FOR KEY SHARE))
       AND ($6::uuid IS NULL OR EXISTS (SELECT FROM calls a WHERE a.id = $6 FOR KEY SHARE))
       AND ($7::uuid IS NULL OR EXISTS (SELECT FROM conversations t WHERE t.id = $7 FOR KEY SHARE))
"""
LOG_COLUMNS = """
    id, connector_id, delivery_id, event, contact_id, call_id, conversation_id, outcome, reason, message, old_secret,
    request_body, status, response_body, duration_ms, created_at
"""
_LOGS = f"""
    SELECT {LOG_COLUMNS} FROM crm_logs
     WHERE connector_id = $1 AND id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $3
"""
_LOGS_OF_CALL = f"""
    SELECT {LOG_COLUMNS} FROM crm_logs
     WHERE call_id = $4 AND connector_id = $1 AND id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $3
"""
LOGS, LOGS_OF_CALL = (
    largerows.page(query, ["request_body", "response_body"], "id DESC") for query in (_LOGS, _LOGS_OF_CALL)
)
PRUNE_LOGS = """
    DELETE FROM crm_logs WHERE id IN (SELECT id FROM crm_logs WHERE created_at < now() - $1::interval
                                       ORDER BY created_at LIMIT $2)
"""
# The organization's retention time applies if it is shorter.
PRUNE_LOGS_BY_RETENTION = """
    DELETE FROM crm_logs WHERE id IN (
        SELECT l.id FROM organizations o
         CROSS JOIN LATERAL (SELECT id FROM crm_logs
                              WHERE org_id = o.org_id AND created_at < now() - make_interval(days => o.retention_days)
                              ORDER BY created_at LIMIT $1) l
         WHERE o.retention_days IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class ConnectorRow:
    """A connector; its secrets are sealed."""

    id: UUID
    org_id: UUID
    name: str
    base_url: str
    enabled: bool
    position: int
    timeout_ms: int
    create_contacts: bool
    sync_calls: bool
    sync_conversations: bool
    secret: bytes
    old_secret: bytes | None
    old_secret_until: datetime | None
    failures: int
    failure: str | None
    failing_since: datetime | None
    rests_until: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ConnectorConfig:
    """A connector's configuration."""

    name: str
    base_url: str
    enabled: bool
    timeout_ms: int
    create_contacts: bool
    sync_calls: bool
    sync_conversations: bool


@dataclass(frozen=True, slots=True)
class CallContactRow:
    """A call's contact."""

    org_id: UUID
    contact_id: UUID
    phone_e164: str
    direction: str
    caller_verification: str | None


@dataclass(frozen=True, slots=True)
class TexterRow:
    """The contact of a text."""

    conversation_id: UUID
    contact_id: UUID
    phone_e164: str


@dataclass(frozen=True, slots=True)
class LogRow:
    id: UUID
    connector_id: UUID
    delivery_id: UUID
    event: str
    contact_id: UUID | None
    call_id: UUID | None
    conversation_id: UUID | None
    outcome: str
    reason: str | None
    message: str | None
    old_secret: bool
    request_body: str
    status: int | None
    response_body: str | None
    duration_ms: int
    created_at: datetime
    #: Bytes, in a list.
    size: int = 0


def _require(row: asyncpg.Record | None) -> ConnectorRow:
    if row is None:
        raise NotFound("There is no such CRM connector.")
    return ConnectorRow(**row)


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> ConnectorRow:
    """Return a connector.  Raises NotFound."""
    return _require(await tx.fetchrow(LOCK if lock else GET, id))


async def page(tx: Tx, after: tuple[int, UUID] | None, limit: int) -> list[ConnectorRow]:
    """Return connectors in their order, behind `after`."""
    return [ConnectorRow(**row) for row in await tx.fetch(PAGE, *(after or (0, None)), limit)]


async def order(tx: Tx) -> list[UUID]:
    """Lock the order until this transaction ends; return the connectors in it."""
    await tx.execute(LOCK_ORDER)
    return [row["id"] for row in await tx.fetch(ORDER)]


async def reorder(tx: Tx, ids: Sequence[UUID]) -> None:
    """Renumber the connectors, from 1."""
    await tx.execute(REORDER, ids)


async def create(tx: Tx, id: UUID, wanted: ConnectorConfig, secret: bytes) -> None:
    """Create a connector; `reorder` gives it a position."""
    await tx.execute(
        CREATE,
        id,
        wanted.name,
        wanted.base_url,
        wanted.enabled,
        wanted.timeout_ms,
        wanted.create_contacts,
        wanted.sync_calls,
        wanted.sync_conversations,
        secret,
    )


async def change(tx: Tx, id: UUID, wanted: ConnectorConfig) -> None:
    await tx.execute(
        CHANGE,
        id,
        wanted.name,
        wanted.base_url,
        wanted.enabled,
        wanted.timeout_ms,
        wanted.create_contacts,
        wanted.sync_calls,
        wanted.sync_conversations,
    )


async def rotate(tx: Tx, id: UUID, secret: bytes, overlap: timedelta) -> None:
    """Replace a connector's secret; the previous one stays valid for `overlap`."""
    await tx.execute(ROTATE, id, secret, overlap)


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a connector.  Raises NotFound."""
    if await tx.execute(DELETE, id) == "DELETE 0":
        raise NotFound("There is no such CRM connector.")


# --- back-off of failing connectors -------------------------------------------------------------------------------


async def recover(tx: Tx, id: UUID) -> None:
    """Clear a connector's failures, since it has answered."""
    await tx.execute(RECOVER, id)


async def fail(
    tx: Tx, connector: ConnectorRow, failure: str, threshold: int, rest: timedelta, longest: timedelta
) -> None:
    """Count a failure of a connector, given as it was before the request; after `threshold` failures in a row it backs off."""
    await tx.execute(FAIL, connector.id, failure, threshold, rest, longest, connector.failures)


async def claim_probe(tx: Tx, id: UUID, during: timedelta) -> bool:
    """Claim the one request that probes a connector after its back-off; return False if it is not due, or claimed."""
    return await tx.execute(CLAIM_PROBE, id, during) == "UPDATE 1"


# --- the caller or texter -----------------------------------------------------------------------------------------


async def enabled(tx: Tx) -> list[ConnectorRow]:
    """Return the enabled connectors, in their order."""
    return [ConnectorRow(**row) for row in await tx.fetch(ENABLED)]


async def of_call(tx: Tx, call: UUID) -> CallContactRow | None:
    """Return a call's contact; None if the caller withholds the number.  Runs as the system."""
    row = await tx.fetchrow(OF_CALL, call)
    return CallContactRow(**row) if row else None


async def of_turn(tx: Tx, run: UUID, keep: timedelta) -> TexterRow | None:
    """Return the contact whose text a turn answers; None if each connector was asked within `keep`, or the AI is paused."""
    row = await tx.fetchrow(OF_TURN, run, keep)
    return TexterRow(**row) if row else None


async def set_external_id(tx: Tx, connector: UUID, contact: UUID, external_id: str | None) -> None:
    """Store a connector's answer about a contact: its id there, None if it is unknown there."""
    await tx.execute(SET_EXTERNAL_ID, connector, contact, external_id)


async def external_id(tx: Tx, connector: UUID, contact: UUID) -> tuple[str | None] | None:
    """Return a contact's id at a connector as a 1-tuple; None if the connector has not answered yet."""
    row = await tx.fetchrow(EXTERNAL_ID, contact, connector)
    return (row["external_id"],) if row else None


async def node_of(tx: Tx, call: UUID) -> str | None:
    """Return the media process that has a call, and lock the call.

    A process that opens the call's session at this moment waits for this transaction, and sees what it has written.
    """
    node: str | None = await tx.fetchval(NODE_OF, call)
    return node


# --- the log ------------------------------------------------------------------------------------------------------


async def log(tx: Tx, row: LogRow) -> None:
    """Log a request and its answer, unless its contact, call or conversation was deleted meanwhile."""
    await tx.execute(
        LOG,
        row.id,
        row.connector_id,
        row.delivery_id,
        row.event,
        row.contact_id,
        row.call_id,
        row.conversation_id,
        row.outcome,
        row.reason,
        row.message,
        row.old_secret,
        row.request_body,
        row.status,
        row.response_body,
        row.duration_ms,
        row.created_at,
    )


async def logs(tx: Tx, connector: UUID, before: UUID | None, limit: int, call: UUID | None = None) -> list[LogRow]:
    """Return log entries newest first, below `before`; only of `call`, if it is given."""
    rows = (
        await tx.fetch(LOGS, connector, before, limit)
        if call is None
        else await tx.fetch(LOGS_OF_CALL, connector, before, limit, call)
    )
    return [LogRow(**row) for row in rows]


async def prune_logs(tx: Tx, keep: timedelta, limit: int) -> int:
    """Prune expired log entries, at most `limit` of each kind; return how many.  Runs as the system."""
    statuses = (await tx.execute(PRUNE_LOGS, keep, limit), await tx.execute(PRUNE_LOGS_BY_RETENTION, limit))
    return sum(int(status.rpartition(" ")[2]) for status in statuses)
