"""HTTP tools and their versions, flows' bindings, and the secrets of tools.  A definition is the tool's fields as a dict."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

# Serializes an organization's changes, so that names and counts of tools stay valid.
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('http tools ' || hum.org_id()::text, 0))"

# --- tools
PLAIN_COLUMNS = "id, name, version, created_at, updated_at, definition"
COLUMNS = "t.id, t.name, t.version, t.created_at, t.updated_at, v.definition"
NEWEST = f"""
    SELECT {COLUMNS}
      FROM http_tools t JOIN http_tool_versions v ON v.tool_id = t.id AND v.version = t.version
"""
GET = NEWEST + " WHERE t.id = $1"
PAGE = largerows.page(
    NEWEST
    + """
     WHERE t.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY t.id DESC
     LIMIT $2
""",
    ["definition"],
    "id DESC",
)
OF_TOOL = """
    SELECT t.id, t.name, v.version, t.created_at, v.created_at AS updated_at, v.definition
      FROM http_tools t JOIN http_tool_versions v ON v.tool_id = t.id
     WHERE t.id = $1
"""
VERSIONS = largerows.page(
    OF_TOOL
    + """
       AND v.version < coalesce($2::integer, 2147483647)
     ORDER BY v.version DESC
     LIMIT $3
""",
    ["definition"],
    "version DESC",
)
VERSION = OF_TOOL + " AND v.version = $2"
COUNT = "SELECT count(*) FROM http_tools"
BY_NAME = "SELECT id FROM http_tools WHERE name = $1"
CREATE = "INSERT INTO http_tools (id, org_id, name, version) VALUES ($1, hum.org_id(), $2, 1)"
ADD_VERSION = """
    INSERT INTO http_tool_versions (org_id, tool_id, version, definition, secrets)
    VALUES (hum.org_id(), $1, $2, $3, $4)
"""
BUMP = """
    UPDATE http_tools SET name = $2, version = version + 1, updated_at = clock_timestamp() WHERE id = $1 RETURNING version
"""
DELETE = "DELETE FROM http_tools WHERE id = $1"
BOUND_BY = """
    SELECT v.definition ->> 'name'
      FROM flow_tools b
      JOIN flows f ON f.id = b.flow_id AND f.deleted_at IS NULL
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE b.tool_id = $1 OR b.connector_id = $1
     LIMIT 1
"""

# --- bindings
BINDING = """
    b.id, b.flow_id, b.kind, b.mode, b.tool_id, b.connector_id, b.enabled, b.place, b.version, b.name, b.description,
    b.arguments, b.output_template, b.fallback_template, b.timeout_ms, b.requires_approval, b.created_at, b.updated_at
"""
GET_BINDING = f"SELECT {BINDING} FROM flow_tools b WHERE b.id = $1 AND b.flow_id = $2"
BINDINGS = largerows.page(
    f"""
    SELECT {BINDING} FROM flow_tools b
     WHERE b.flow_id = $1 AND (b.place, b.id) > ($2, coalesce($3::uuid, '00000000-0000-0000-0000-000000000000'))
     ORDER BY b.place, b.id
     LIMIT $4
""",
    ["description", "arguments", "output_template", "fallback_template"],
    "place, id",
)
COUNT_BINDINGS = "SELECT count(*) FROM flow_tools WHERE flow_id = $1"
# The names by which the agents of these flows know their tools.
NAMES = """
    SELECT b.id, b.flow_id, coalesce(b.name, t.name) AS name
      FROM flow_tools b JOIN http_tools t ON t.id = b.tool_id
     WHERE b.mode = 'in_call' AND b.flow_id IN (SELECT flow_id FROM flow_tools WHERE tool_id = $1 UNION SELECT $2)
"""
CREATE_BINDING = """
    INSERT INTO flow_tools (id, org_id, flow_id, kind, mode, tool_id, connector_id, enabled, place, version, name,
                            description, arguments, output_template, fallback_template, timeout_ms, requires_approval)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
"""
CHANGE_BINDING = """
    UPDATE flow_tools
       SET enabled = $2, place = $3, version = $4, name = $5, description = $6, arguments = $7, output_template = $8,
           fallback_template = $9, timeout_ms = $10, requires_approval = $11, updated_at = clock_timestamp()
     WHERE id = $1
"""
DELETE_BINDING = "DELETE FROM flow_tools WHERE id = $1 AND flow_id = $2"
COPY_BINDINGS = """
    WITH copied AS (
        INSERT INTO flow_tools (id, org_id, flow_id, kind, mode, tool_id, connector_id, enabled, place, version, name,
                                description, arguments, output_template, fallback_template, timeout_ms, requires_approval)
        SELECT n.id, b.org_id, $2, b.kind, b.mode, b.tool_id, b.connector_id, b.enabled, b.place, b.version, b.name,
               b.description, b.arguments, b.output_template, b.fallback_template, b.timeout_ms, b.requires_approval
          FROM (SELECT *, row_number() OVER (ORDER BY id) AS nth FROM flow_tools WHERE flow_id = $1) b
          JOIN unnest($3::uuid[]) WITH ORDINALITY AS n (id, nth) ON n.nth = b.nth
        RETURNING *)
    SELECT coalesce(sum(octet_length(copied::text)), 0) FROM copied
"""
# $1: named because the system sees all organizations.
IN_USE = f"""
    SELECT {BINDING}, coalesce(b.name, t.name, c.name) AS shown_name, coalesce(b.version, t.version) AS used_version,
           v.definition
      FROM flow_tools b
      LEFT JOIN http_tools t ON t.id = b.tool_id
      LEFT JOIN http_tool_versions v ON v.tool_id = t.id AND v.version = coalesce(b.version, t.version)
      LEFT JOIN crm_connectors c ON c.id = b.connector_id AND c.enabled
     WHERE b.org_id = $1 AND b.flow_id = $2 AND b.mode = $3 AND b.enabled AND num_nonnulls(t.id, c.id) = 1
     ORDER BY b.place, b.id
"""

# --- secrets
SECRET = "id, org_id, name, host, secret, created_at, updated_at"
GET_SECRET = f"SELECT {SECRET} FROM tool_secrets WHERE id = $1"
SECRETS = f"""
    SELECT {SECRET} FROM tool_secrets
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $2
"""
NAMED_SECRETS = f"SELECT {SECRET} FROM tool_secrets WHERE name = ANY ($1::text[])"
COUNT_SECRETS = "SELECT count(*) FROM tool_secrets"
CREATE_SECRET = """
    INSERT INTO tool_secrets (id, org_id, name, host, secret) VALUES ($1, hum.org_id(), $2, $3, $4)
"""
CHANGE_SECRET = "UPDATE tool_secrets SET host = $2, secret = $3, updated_at = clock_timestamp() WHERE id = $1"
DELETE_SECRET = "DELETE FROM tool_secrets WHERE id = $1"
# Only versions that may still run: the newest ones, and those that a flow pins.
WRITTEN_BY = """
    SELECT t.name
      FROM http_tools t JOIN http_tool_versions v ON v.tool_id = t.id
     WHERE $1 = ANY (v.secrets)
       AND (v.version = t.version OR EXISTS (SELECT FROM flow_tools b WHERE b.tool_id = t.id AND b.version = v.version))
     LIMIT 1
"""
# --- hooks
CALLER = """
    SELECT c.org_id, c.flow_id, c.flow_version, c.direction, c.from_e164, c.to_e164, c.contact_id,
           c.caller_verification, k.phone_e164
      FROM calls c LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE c.id = $1 AND c.flow_id IS NOT NULL AND c.ended_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class HttpToolRow:
    """A tool.  In lists, `size` is that of the definition in bytes."""

    id: UUID
    name: str
    version: int
    created_at: datetime
    updated_at: datetime
    definition: dict[str, Any]
    size: int = 0


@dataclass(frozen=True, slots=True)
class Overrides:
    """The changeable part of a binding; None: the tool's own value.  `arguments` is JSON."""

    enabled: bool
    place: int
    version: int | None
    name: str | None
    description: str | None
    arguments: str | None
    output_template: str | None
    fallback_template: str | None
    timeout_ms: int | None
    requires_approval: bool | None


@dataclass(frozen=True, slots=True)
class BindingRow:
    id: UUID
    flow_id: UUID
    kind: str
    mode: str
    tool_id: UUID | None
    connector_id: UUID | None
    overrides: Overrides
    created_at: datetime
    updated_at: datetime
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class ActiveBindingRow:
    """An enabled binding, with what it binds; without definition: a connector."""

    binding: BindingRow
    name: str
    version: int | None
    definition: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class SecretRow:
    id: UUID
    org_id: UUID
    name: str
    host: str
    secret: bytes
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class HookCallRow:
    """A live call, for its hooks."""

    org_id: UUID
    flow_id: UUID
    flow_version: int
    direction: str
    from_e164: str
    to_e164: str
    contact_id: UUID | None
    caller_verification: str | None
    phone_e164: str | None


async def lock(tx: Tx) -> None:
    """Lock the organization's tools and bindings until this transaction ends."""
    await tx.execute(LOCK)


# --- tools --------------------------------------------------------------------------------------------------------


def _tool(row: asyncpg.Record) -> HttpToolRow:
    return HttpToolRow(**(dict(row) | {"definition": json.loads(row["definition"])}))


async def get(tx: Tx, id: UUID) -> HttpToolRow:
    """Return a tool.  Raises NotFound."""
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such tool.")
    return _tool(row)


async def page(tx: Tx, before: UUID | None, limit: int) -> list[HttpToolRow]:
    """Return tools newest first, below `before`."""
    return [_tool(row) for row in await tx.fetch(PAGE, before, limit)]


async def versions(tx: Tx, id: UUID, before: int | None, limit: int) -> list[HttpToolRow]:
    """Return the versions of a tool, newest first, below `before`; `updated_at` is when each was created."""
    return [_tool(row) for row in await tx.fetch(VERSIONS, id, before, limit)]


async def version(tx: Tx, id: UUID, version: int) -> HttpToolRow | None:
    row = await tx.fetchrow(VERSION, id, version)
    return _tool(row) if row is not None else None


async def count(tx: Tx) -> int:
    return int(await tx.fetchval(COUNT))


async def by_name(tx: Tx, name: str) -> UUID | None:
    """Return the tool with this name, or None."""
    tool: UUID | None = await tx.fetchval(BY_NAME, name)
    return tool


async def create(tx: Tx, id: UUID, definition: dict[str, Any], secrets: Collection[str]) -> None:
    await tx.execute(CREATE, id, definition["name"])
    await tx.execute(ADD_VERSION, id, 1, json.dumps(definition), sorted(secrets))


async def change(tx: Tx, id: UUID, definition: dict[str, Any], secrets: Collection[str]) -> None:
    """Create the next version."""
    version = await tx.fetchval(BUMP, id, definition["name"])
    await tx.execute(ADD_VERSION, id, version, json.dumps(definition), sorted(secrets))


async def delete(tx: Tx, id: UUID) -> None:
    await tx.execute(DELETE, id)


async def bound_by(tx: Tx, id: UUID) -> str | None:
    """Return the name of a flow that binds this tool, or this CRM connector; None if there is none."""
    name: str | None = await tx.fetchval(BOUND_BY, id)
    return name


# --- bindings -----------------------------------------------------------------------------------------------------


def _binding(row: asyncpg.Record) -> BindingRow:
    return BindingRow(
        row["id"],
        row["flow_id"],
        row["kind"],
        row["mode"],
        row["tool_id"],
        row["connector_id"],
        Overrides(*(row[name] for name in Overrides.__slots__)),
        row["created_at"],
        row["updated_at"],
    )


async def binding(tx: Tx, flow: UUID, id: UUID) -> BindingRow:
    """Return a binding.  Raises NotFound."""
    row = await tx.fetchrow(GET_BINDING, id, flow)
    if row is None:
        raise NotFound("The flow has no such tool.")
    return _binding(row)


async def bindings(tx: Tx, flow: UUID, after: tuple[int, UUID] | None, limit: int) -> list[BindingRow]:
    """Return bindings in their order, behind `after`."""
    return [
        replace(_binding(row), size=row["size"]) for row in await tx.fetch(BINDINGS, flow, *(after or (0, None)), limit)
    ]


async def count_bindings(tx: Tx, flow: UUID) -> int:
    return int(await tx.fetchval(COUNT_BINDINGS, flow))


async def names(tx: Tx, tool: UUID | None, flow: UUID | None) -> list[tuple[UUID, UUID, str]]:
    """Return the tool names of a flow, and of all flows that bind a tool: binding, flow and name."""
    return [(row["id"], row["flow_id"], row["name"]) for row in await tx.fetch(NAMES, tool, flow)]


async def bind(
    tx: Tx, id: UUID, flow: UUID, kind: str, mode: str, bound: tuple[UUID | None, UUID | None], overrides: Overrides
) -> None:
    """Bind a tool or a connector to a flow; `bound`: their ids, one of them None."""
    values = [getattr(overrides, name) for name in Overrides.__slots__]
    await tx.execute(CREATE_BINDING, id, flow, kind, mode, *bound, *values)


async def rebind(tx: Tx, id: UUID, overrides: Overrides) -> None:
    await tx.execute(CHANGE_BINDING, id, *(getattr(overrides, name) for name in Overrides.__slots__))


async def unbind(tx: Tx, flow: UUID, id: UUID) -> None:
    """Delete a binding.  Raises NotFound."""
    if await tx.execute(DELETE_BINDING, id, flow) == "DELETE 0":
        raise NotFound("The flow has no such tool.")


async def copy_bindings(tx: Tx, flow: UUID, to: UUID, new_ids: Sequence[UUID]) -> int:
    """Copy a flow's bindings to another flow, with a new id for each; return their size in bytes."""
    return int(await tx.fetchval(COPY_BINDINGS, flow, to, new_ids))


async def in_use(tx: Tx, organization: UUID, flow: UUID, mode: str) -> list[ActiveBindingRow]:
    """Return the enabled bindings of a flow for a mode, in order."""
    return [
        ActiveBindingRow(
            _binding(row),
            row["shown_name"],
            row["used_version"],
            json.loads(row["definition"]) if row["definition"] else None,
        )
        for row in await tx.fetch(IN_USE, organization, flow, mode)
    ]


# --- secrets ------------------------------------------------------------------------------------------------------


async def secret(tx: Tx, id: UUID) -> SecretRow:
    """Return a secret.  Raises NotFound."""
    row = await tx.fetchrow(GET_SECRET, id)
    if row is None:
        raise NotFound("There is no such secret.")
    return SecretRow(**row)


async def secrets(tx: Tx, before: UUID | None, limit: int) -> list[SecretRow]:
    """Return secrets newest first, below `before`."""
    return [SecretRow(**row) for row in await tx.fetch(SECRETS, before, limit)]


async def named_secrets(tx: Tx, names: Collection[str]) -> list[SecretRow]:
    return [SecretRow(**row) for row in await tx.fetch(NAMED_SECRETS, list(names))]


async def count_secrets(tx: Tx) -> int:
    return int(await tx.fetchval(COUNT_SECRETS))


async def create_secret(tx: Tx, id: UUID, name: str, host: str, sealed: bytes) -> None:
    await tx.execute(CREATE_SECRET, id, name, host, sealed)


async def change_secret(tx: Tx, id: UUID, host: str, sealed: bytes) -> None:
    await tx.execute(CHANGE_SECRET, id, host, sealed)


async def delete_secret(tx: Tx, id: UUID) -> None:
    await tx.execute(DELETE_SECRET, id)


async def written_by(tx: Tx, name: str) -> str | None:
    """Return the name of a tool that writes this secret into its requests, or None."""
    tool: str | None = await tx.fetchval(WRITTEN_BY, name)
    return tool


# --- hooks --------------------------------------------------------------------------------------------------------


async def caller(tx: Tx, call: UUID) -> HookCallRow | None:
    """Return a live call with a flow, else None.  Runs as the system."""
    row = await tx.fetchrow(CALLER, call)
    return HookCallRow(**row) if row else None
