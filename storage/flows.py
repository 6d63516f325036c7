"""Flows and their versions.  A definition is the flow's fields as a dict; free-form JSON in it is text."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

CREATE = """
    INSERT INTO flows (id, org_id, channel, version, trigger_events) VALUES ($1, hum.org_id(), $2, 1, $3)
    RETURNING created_at
"""
ADD_VERSION = """
    INSERT INTO flow_versions (org_id, flow_id, version, definition, changed) VALUES (hum.org_id(), $1, $2, $3, $4)
"""
BUMP = """
    UPDATE flows SET version = version + 1, channel = $2, trigger_events = $3, updated_at = clock_timestamp()
     WHERE id = $1
    RETURNING version, updated_at
"""
GET = """
    SELECT f.id, f.channel, f.version, f.created_at, f.updated_at, v.definition
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.id = $1 AND f.deleted_at IS NULL
"""
LOCK_EXISTING = "SELECT id FROM flows WHERE id = ANY ($1::uuid[]) AND deleted_at IS NULL ORDER BY id FOR SHARE"
NAMED_BY = """
    SELECT v.definition ->> 'name'
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.deleted_at IS NULL AND f.id <> $1
       AND concat(v.definition ->> 'transfer_map_json', v.definition ->> 'route_tags_json') LIKE '%"' || $2 || '"%'
     LIMIT 1
"""
LOCK = "SELECT FROM flows WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"
COLUMNS = "id, channel, version, created_at, updated_at, definition"
PAGE = largerows.page(
    """
    SELECT f.id, f.channel, f.version, f.created_at, f.updated_at, v.definition
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.deleted_at IS NULL AND f.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY f.id DESC
     LIMIT $2
""",
    ["definition"],
    "id DESC",
)
# The definitions reduced to the members named by $3.
PAGE_OF_FIELDS = largerows.page(
    """
    SELECT f.id, f.channel, f.version, f.created_at, f.updated_at,
           (SELECT json_object_agg(key, value) FROM json_each(v.definition) WHERE key = ANY ($3::text[])) AS definition
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.deleted_at IS NULL AND f.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY f.id DESC
     LIMIT $2
""",
    ["definition"],
    "id DESC",
)
AT_VERSION = """
    SELECT f.id, f.channel, v.version, f.created_at, v.created_at AS updated_at, v.definition
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id
     WHERE f.id = $1 AND f.deleted_at IS NULL AND v.version = $2
"""
VERSIONS = largerows.page(
    """
    SELECT f.id, f.channel, v.version, f.created_at, v.created_at AS updated_at, v.definition, v.changed
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id
     WHERE f.id = $1 AND f.deleted_at IS NULL AND v.version < coalesce($2::integer, 2147483647)
     ORDER BY v.version DESC
     LIMIT $3
""",
    ["definition"],
    "version DESC",
)
VERSIONS_OF_FIELDS = largerows.page(
    """
    SELECT f.id, f.channel, v.version, f.created_at, v.created_at AS updated_at, v.changed,
           (SELECT json_object_agg(key, value) FROM json_each(v.definition) WHERE key = ANY ($4::text[])) AS definition
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id
     WHERE f.id = $1 AND f.deleted_at IS NULL AND v.version < coalesce($2::integer, 2147483647)
     ORDER BY v.version DESC
     LIMIT $3
""",
    ["definition"],
    "version DESC",
)
DELETE = "UPDATE flows SET deleted_at = now() WHERE id = $1"
COUNT_STARTED = "SELECT count(*) FROM flows WHERE trigger_events IS NOT NULL AND deleted_at IS NULL"
USED_BY = "SELECT e164 FROM numbers WHERE flow_id = $1 OR sms_flow_id = $1 LIMIT 1"


@dataclass(frozen=True, slots=True)
class FlowRow:
    """A flow, or one of its versions.  In lists, `size` is that of the definition in bytes; of versions, `changed` are the fields that differ from the previous one."""

    id: UUID
    channel: str
    version: int
    created_at: datetime
    updated_at: datetime
    definition: dict[str, Any]
    changed: Sequence[str] = ()
    size: int = 0


def _starts(definition: dict[str, Any]) -> list[str] | None:
    """Return the types of events that start a flow, or None if its trigger is not an event."""
    is_started = definition.get("trigger_type") == "TRIGGER_TYPE_EVENT"
    return list(definition.get("trigger_events", ())) if is_started else None


def _row(row: asyncpg.Record) -> FlowRow:
    return FlowRow(**{**row, "definition": json.loads(row["definition"])})


def _changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


async def create(tx: Tx, id: UUID, channel: str, definition: dict[str, Any]) -> FlowRow:
    created_at = await tx.fetchval(CREATE, id, channel, _starts(definition))
    await tx.execute(ADD_VERSION, id, 1, json.dumps(definition), [])
    return FlowRow(id, channel, 1, created_at, created_at, definition)


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> FlowRow:
    """Return a flow.  Raises NotFound."""
    if lock:
        await tx.execute(LOCK, id)
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such flow.")
    return _row(row)


async def lock_existing(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Return those of these flows that exist; they are not deleted before the transaction ends."""
    return {row["id"] for row in await tx.fetch(LOCK_EXISTING, list(ids))}


async def change(tx: Tx, before: FlowRow, channel: str, definition: dict[str, Any]) -> FlowRow:
    """Create the next version of a locked flow."""
    row = await tx.fetchrow(BUMP, before.id, channel, _starts(definition))
    assert row is not None
    changed = _changed(before.definition, definition)
    await tx.execute(ADD_VERSION, before.id, row["version"], json.dumps(definition), changed)
    return FlowRow(before.id, channel, row["version"], before.created_at, row["updated_at"], definition)


async def page(tx: Tx, before: UUID | None, limit: int, fields: Sequence[str] = ()) -> list[FlowRow]:
    """Return flows newest first, below `before`; with `fields`, only these fields of each definition."""
    rows = await (tx.fetch(PAGE_OF_FIELDS, before, limit, fields) if fields else tx.fetch(PAGE, before, limit))
    return [_row(row) for row in rows]


async def at_version(tx: Tx, id: UUID, version: int) -> FlowRow:
    """Return a flow at a version; `updated_at` is when that version was created.  Raises NotFound."""
    row = await tx.fetchrow(AT_VERSION, id, version)
    if row is None:
        raise NotFound("There is no such flow, or it never had that version.")
    return _row(row)


async def versions(tx: Tx, id: UUID, before: int | None, limit: int, fields: Sequence[str] = ()) -> list[FlowRow]:
    """Return the versions of a flow, newest first, below `before`; with `fields`, only these fields of each definition.

    `updated_at` is when each version was created.
    """
    position = (id, before, limit)
    rows = await (tx.fetch(VERSIONS_OF_FIELDS, *position, fields) if fields else tx.fetch(VERSIONS, *position))
    return [_row(row) for row in rows]


async def delete(tx: Tx, id: UUID) -> None:
    await tx.execute(DELETE, id)


async def used_by(tx: Tx, id: UUID) -> str | None:
    """Return a number that answers with the flow, or None."""
    number: str | None = await tx.fetchval(USED_BY, id)
    return number


async def named_by(tx: Tx, id: UUID, shown: str) -> str | None:
    """Return the name of another flow that names this one by its public id, or None."""
    name: str | None = await tx.fetchval(NAMED_BY, id, shown)
    return name


async def count_started(tx: Tx) -> int:
    """Return how many of the organization's flows are started by events."""
    count: int = await tx.fetchval(COUNT_STARTED)
    return count
