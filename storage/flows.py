"""Flows and their versions.  A definition is the flow's fields as a dict; free-form JSON in it is text."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from hum.errors import NotFound
from storage.db import Tx

CREATE = """
    INSERT INTO flows (id, org_id, channel, version) VALUES ($1, hum.org_id(), $2, 1)
    RETURNING created_at
"""
ADD_VERSION = """
    INSERT INTO flow_versions (org_id, flow_id, version, definition) VALUES (hum.org_id(), $1, $2, $3)
"""
BUMP = """
    UPDATE flows SET version = version + 1, channel = $2, updated_at = clock_timestamp()
     WHERE id = $1
    RETURNING version, updated_at
"""
GET = """
    SELECT f.id, f.channel, f.version, f.created_at, f.updated_at, v.definition
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.id = $1 AND f.deleted_at IS NULL
"""
KNOWN = "SELECT id FROM flows WHERE id = ANY ($1::uuid[]) AND deleted_at IS NULL ORDER BY id FOR SHARE"
NAMED_BY = """
    SELECT v.definition ->> 'name'
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.deleted_at IS NULL AND f.id <> $1
       AND concat(v.definition ->> 'transfer_map_json', v.definition ->> 'route_tags_json') LIKE '%"' || $2 || '"%'
     LIMIT 1
"""
LOCK = "SELECT FROM flows WHERE id = $1 AND deleted_at IS NULL FOR UPDATE"
PAGE = """
    SELECT f.id, f.channel, f.version, f.created_at, f.updated_at, v.definition
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.deleted_at IS NULL AND f.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY f.id DESC
     LIMIT $2
"""
VERSIONS = """
    SELECT f.id, f.channel, v.version, f.created_at, v.created_at AS updated_at, v.definition
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id
     WHERE f.id = $1 AND f.deleted_at IS NULL AND v.version < coalesce($2::integer, 2147483647)
     ORDER BY v.version DESC
     LIMIT $3
"""
DELETE = "UPDATE flows SET deleted_at = now() WHERE id = $1"
USED_BY = "SELECT e164 FROM numbers WHERE flow_id = $1 OR sms_flow_id = $1 LIMIT 1"


@dataclass(frozen=True, slots=True)
class FlowRow:
    id: UUID
    channel: str
    version: int
    created_at: datetime
    updated_at: datetime
    definition: dict[str, Any]


def _row(row: asyncpg.Record) -> FlowRow:
    return FlowRow(
        row["id"], row["channel"], row["version"], row["created_at"], row["updated_at"], json.loads(row["definition"])
    )


async def create(tx: Tx, id: UUID, channel: str, definition: dict[str, Any]) -> FlowRow:
    created_at = await tx.fetchval(CREATE, id, channel)
    await tx.execute(ADD_VERSION, id, 1, json.dumps(definition))
    return FlowRow(id, channel, 1, created_at, created_at, definition)


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> FlowRow:
    """Raises NotFound."""
    if lock:
        await tx.execute(LOCK, id)
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such flow.")
    return _row(row)


async def known(tx: Tx, ids: Sequence[UUID]) -> set[UUID]:
    """Which of these flows there are; they are not deleted before the transaction ends."""
    return {row["id"] for row in await tx.fetch(KNOWN, list(ids))}


async def change(tx: Tx, before: FlowRow, channel: str, definition: dict[str, Any]) -> FlowRow:
    """Make the next version of a flow that is locked."""
    row = await tx.fetchrow(BUMP, before.id, channel)
    assert row is not None
    await tx.execute(ADD_VERSION, before.id, row["version"], json.dumps(definition))
    return FlowRow(before.id, channel, row["version"], before.created_at, row["updated_at"], definition)


async def page(tx: Tx, before: UUID | None, limit: int) -> list[FlowRow]:
    """Newest first, below `before`."""
    return [_row(row) for row in await tx.fetch(PAGE, before, limit)]


async def versions(tx: Tx, id: UUID, before: int | None, limit: int) -> list[FlowRow]:
    """The versions of one flow, newest first, below `before`; `updated_at` is when each was created."""
    return [_row(row) for row in await tx.fetch(VERSIONS, id, before, limit)]


async def delete(tx: Tx, id: UUID) -> None:
    await tx.execute(DELETE, id)


async def used_by(tx: Tx, id: UUID) -> str | None:
    """A number that answers with the flow, if there is one."""
    found: str | None = await tx.fetchval(USED_BY, id)
    return found


async def named_by(tx: Tx, id: UUID, shown: str) -> str | None:
    """The name of another flow that names this one by its public id, if there is one."""
    found: str | None = await tx.fetchval(NAMED_BY, id, shown)
    return found
