"""Imports of contacts: their files, the rows that are read and not yet imported, and their progress."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hum.contract.errors import NotFound
from storage.contacts import ImportedContact
from storage.db import Tx

#: Digits by which a number is found in any notation, with or without a country code.
NATIONAL_DIGITS = 9
COLUMNS = """
    id, made_by, dry_run, region, status, passed, rows_read, bad_rows, duplicates, created, updated, unchanged,
    ignored_columns, errors, failure, created_at, ended_at, header, columns, date_order
"""
GET = f"SELECT {COLUMNS} FROM contact_imports WHERE id = $1"
LOCK_OPEN = GET + " AND ended_at IS NULL FOR NO KEY UPDATE"
CREATE = f"""
    INSERT INTO contact_imports (id, org_id, made_by, dry_run, region, file, ignored_columns, header, columns, date_order)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8, $9)
    RETURNING {COLUMNS}
"""
BEGIN = f"""
    UPDATE contact_imports SET status = 'running', moved_at = now()
     WHERE id = $1 AND ended_at IS NULL
    RETURNING {COLUMNS}
"""
OPEN = "SELECT count(*) FROM contact_imports WHERE ended_at IS NULL"
FILE = "SELECT file FROM contact_imports WHERE id = $1"
# Rows that existed are those of the statement's start.
STAGE = """
    WITH n AS MATERIALIZED (
        SELECT * FROM json_to_recordset($2) AS n (phone_e164 text, fields jsonb, notes text, tags text[], line integer)),
    kept AS (
        INSERT INTO contact_import_rows AS r (org_id, import_id, phone_e164, fields, notes, tags, line)
        SELECT hum.org_id(), $1, n.phone_e164, n.fields, n.notes, n.tags, n.line FROM n ORDER BY n.phone_e164
        ON CONFLICT (import_id, phone_e164) DO UPDATE
           SET fields = r.fields || excluded.fields
                   || CASE WHEN r.fields ? 'attributes' AND excluded.fields ? 'attributes'
                           THEN jsonb_build_object('attributes', (r.fields -> 'attributes') || (excluded.fields -> 'attributes'))
                           ELSE '{}' END,
               notes = coalesce(excluded.notes, r.notes),
               tags = CASE WHEN excluded.tags = '{}' THEN r.tags ELSE excluded.tags END,
               line = excluded.line)
    SELECT k.phone_e164, k.line FROM n JOIN contact_import_rows k ON k.import_id = $1 AND k.phone_e164 = n.phone_e164
"""
COUNT_READ = """
    UPDATE contact_imports
       SET passed = passed + $2, rows_read = rows_read + $3, bad_rows = bad_rows + $4,
           duplicates = duplicates + $5, errors = (errors::jsonb || $6::jsonb)::json, moved_at = now()
     WHERE id = $1
"""
DROP_FILE = "UPDATE contact_imports SET file = NULL WHERE id = $1"
UNSTAGE = """
    DELETE FROM contact_import_rows
     WHERE import_id = $1
       AND phone_e164 IN (SELECT phone_e164 FROM contact_import_rows WHERE import_id = $1 ORDER BY phone_e164 LIMIT $2)
    RETURNING phone_e164, fields, notes, tags
"""
COUNT_IMPORTED = """
    UPDATE contact_imports
       SET created = created + $2, updated = updated + $3, unchanged = unchanged + $4, moved_at = now()
     WHERE id = $1
"""
END = """
    UPDATE contact_imports SET status = $2, failure = $3, file = NULL, ended_at = now()
     WHERE id = $1 AND ended_at IS NULL
"""
STUCK = """
    SELECT id FROM contact_imports
     WHERE ended_at IS NULL AND status = 'running' AND moved_at < now() - $1::interval
     LIMIT 100
"""
DROP_ROWS = "DELETE FROM contact_import_rows WHERE import_id = $1"
ADD_FAILURES = """
    INSERT INTO contact_import_failures (org_id, import_id, line, reason, cells)
    SELECT hum.org_id(), $1, line, reason, ARRAY(SELECT json_array_elements_text(cells))
      FROM json_to_recordset($2) AS n (line integer, reason text, cells json)
"""
FAILURES = """
    SELECT line, reason, cells FROM contact_import_failures WHERE import_id = $1 AND line > $2 ORDER BY line LIMIT $3
"""
PRUNE_FAILURES = """
    DELETE FROM contact_import_failures f USING contact_imports i
     WHERE i.id = f.import_id AND i.ended_at < now() - $1::interval
"""
# By the number's last digits, in whatever notation the cell has it.
FORGET = """
    DELETE FROM contact_import_failures f
     WHERE f.org_id = hum.org_id() AND EXISTS (
        SELECT FROM unnest(f.cells) AS c (cell) WHERE regexp_replace(c.cell, '[^0-9]', '', 'g') LIKE '%' || right($1, $2))
"""
PRUNE = "DELETE FROM contact_imports WHERE ended_at < now() - $1::interval"


@dataclass(frozen=True, slots=True)
class ImportRow:
    """An import; `passed` rows of its file are read, including empty ones, and `rows_read` were not empty."""

    id: UUID
    made_by: str
    dry_run: bool
    region: str | None
    status: str
    passed: int
    rows_read: int
    bad_rows: int
    duplicates: int
    created: int
    updated: int
    unchanged: int
    ignored_columns: list[str]
    errors: list[dict[str, Any]]
    failure: str | None
    created_at: datetime
    ended_at: datetime | None
    #: Titles of the file's columns, and what they become; empty in an import from before there was a choice.
    header: list[str]
    columns: list[str]
    date_order: str


@dataclass(frozen=True, slots=True)
class FailureRow:
    """A row of a file that was not imported."""

    line: int
    reason: str
    cells: list[str]


@dataclass(frozen=True, slots=True)
class ImportColumns:
    """The columns of a file: titles, what they become, and how dates are written."""

    header: Sequence[str]
    targets: Sequence[str]
    ignored: Sequence[str]
    date_order: str


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """The counts of a batch of a file's rows, beside the staged entries.  `errors` are JSON objects."""

    passed: int
    rows: int
    bad_rows: int
    duplicates: int
    errors: Sequence[Mapping[str, Any]]


def _row(row: Any) -> ImportRow:
    return ImportRow(**{**row, "errors": json.loads(row["errors"])})


async def create(
    tx: Tx, id: UUID, made_by: str, file: bytes, region: str | None, columns: ImportColumns, *, dry_run: bool
) -> ImportRow:
    lists = (list(columns.ignored), list(columns.header), list(columns.targets))
    return _row(await tx.fetchrow(CREATE, id, made_by, dry_run, region, file, *lists, columns.date_order))


async def count_open(tx: Tx) -> int:
    """Return how many of the organization's imports have not ended."""
    count: int = await tx.fetchval(OPEN)
    return count


async def get(tx: Tx, id: UUID) -> ImportRow:
    """Return an import.  Raises NotFound."""
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such import.")
    return _row(row)


async def lock_open(tx: Tx, id: UUID) -> ImportRow | None:
    """Lock an import that has not ended, to continue it."""
    row = await tx.fetchrow(LOCK_OPEN, id)
    return _row(row) if row else None


async def begin(tx: Tx, id: UUID) -> ImportRow | None:
    """Lock an import that has not ended, and record that a worker runs it: from now on it can get stuck."""
    row = await tx.fetchrow(BEGIN, id)
    return _row(row) if row else None


async def file(tx: Tx, id: UUID) -> bytes | None:
    """Return the file of an import, or None if all of it has been read."""
    contents: bytes | None = await tx.fetchval(FILE, id)
    return contents


async def stage(tx: Tx, id: UUID, rows: Sequence[ImportedContact], lines: Mapping[str, int]) -> dict[str, int | None]:
    """Stage rows of different numbers, each with its line, merged into staged rows of the same numbers.

    Return the numbers of the latter and the lines that these had.
    """
    entries = [
        {
            "phone_e164": r.phone_e164,
            "fields": {**r.fields, **({"attributes": dict(r.attributes)} if r.attributes else {})},
            "notes": r.notes,
            "tags": list(r.tags),
            "line": lines[r.phone_e164],
        }
        for r in rows
    ]
    return {row["phone_e164"]: row["line"] for row in await tx.fetch(STAGE, id, json.dumps(entries))}


async def record_batch(tx: Tx, id: UUID, batch: BatchCounts) -> None:
    """Count a batch of the file's rows as read."""
    errors = json.dumps(batch.errors)
    await tx.execute(COUNT_READ, id, batch.passed, batch.rows, batch.bad_rows, batch.duplicates, errors)


async def drop_file(tx: Tx, id: UUID) -> None:
    await tx.execute(DROP_FILE, id)


async def unstage(tx: Tx, id: UUID, limit: int) -> list[ImportedContact]:
    """Remove and return the next staged rows, in the order of their numbers."""
    rows = sorted(await tx.fetch(UNSTAGE, id, limit), key=lambda row: str(row["phone_e164"]))
    contacts = []
    for row in rows:
        fields = json.loads(row["fields"])
        attributes = fields.pop("attributes", {})
        contacts.append(ImportedContact(row["phone_e164"], fields, row["notes"], row["tags"], attributes))
    return contacts


async def add_failures(tx: Tx, id: UUID, rows: Sequence[FailureRow]) -> None:
    """Store rows that were not imported."""
    entries = [{"line": row.line, "reason": row.reason, "cells": row.cells} for row in rows]
    await tx.execute(ADD_FAILURES, id, json.dumps(entries))


async def failures(tx: Tx, id: UUID, after_line: int, limit: int) -> list[FailureRow]:
    """Return the next rows that were not imported, by their lines."""
    return [FailureRow(**row) for row in await tx.fetch(FAILURES, id, after_line, limit)]


async def forget(tx: Tx, phone_e164: str) -> None:
    """Delete the rows that were not imported and hold a number."""
    await tx.execute(FORGET, phone_e164.removeprefix("+"), NATIONAL_DIGITS)


async def add_counts(tx: Tx, id: UUID, created: int, updated: int, unchanged: int) -> None:
    await tx.execute(COUNT_IMPORTED, id, created, updated, unchanged)


async def end(tx: Tx, id: UUID, status: str, failure: str | None = None) -> None:
    """End an import, once."""
    await tx.execute(END, id, status, failure)
    await tx.execute(DROP_ROWS, id)


async def stalled(tx: Tx, idle: timedelta) -> list[UUID]:
    """Return running imports that have not moved for `idle`.  Runs as the system."""
    return [row["id"] for row in await tx.fetch(STUCK, idle)]


async def prune(tx: Tx, keep: timedelta, keep_failures: timedelta) -> None:
    """Prune imports that ended longer than `keep` ago, and the failed rows of others.  Runs as the system."""
    await tx.execute(PRUNE, keep)
    await tx.execute(PRUNE_FAILURES, keep_failures)
