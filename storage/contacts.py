"""Contacts: each source's data about a number, their search, and the backfill's position.

The precedence of the sources is in the schema (`0006_contacts`): `name` and the other sourced fields are generated from
the data of the user, the CRM and the carrier's Lookup.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from hum import ids
from hum.contract.errors import AlreadyExists, NotFound
from storage import largerows
from storage.db import Tx, unlimited

#: The fields that several sources may fill.
SOURCED = ("name", "email", "company", "attributes_json", "carrier", "line_type", "caller_name")

COLUMNS = """
    k.id, k.phone_e164, k.name, k.email, k.company, k.notes, k.tags, k.attributes_json, k.carrier, k.line_type,
    k.caller_name, k.said_by_user, k.said_by_crm, k.said_by_lookup, k.looked_up_at, k.created_at, k.updated_at, k.untextable_code
"""
LARGE = ("attributes_json", "said_by_user", "said_by_crm", "said_by_lookup", "notes")
GET = f"SELECT {COLUMNS} FROM contacts k WHERE k.id = $1"
LOCK = GET + " FOR NO KEY UPDATE"
CREATE = f"""
    INSERT INTO contacts AS k (id, org_id, phone_e164, said_by_user, notes, tags)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5)
    ON CONFLICT (org_id, phone_e164) DO NOTHING
    RETURNING {COLUMNS}
"""
CHANGE = f"""
    UPDATE contacts k
       SET said_by_user = jsonb_strip_nulls(said_by_user || $2::jsonb), notes = $3, tags = $4, updated_at = now()
     WHERE id = $1
    RETURNING {COLUMNS}
"""
DELETE = "DELETE FROM contacts WHERE id = $1"
_PAGE = f"""
    SELECT {COLUMNS} FROM contacts k
     WHERE k.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY k.id DESC
     LIMIT $2
"""
_TAGGED_PAGE = f"""
    SELECT {COLUMNS}
      FROM contact_tags g
      JOIN contacts k ON k.id = g.contact_id
     WHERE g.tag = $3 AND g.contact_id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY g.contact_id DESC
     LIMIT $2
"""
_SEARCH = f"""
    SELECT {COLUMNS}
      FROM hum.search_contacts($1, $2, $3, $4, $5) AS found (id)
      JOIN contacts k ON k.id = found.id
     ORDER BY k.id DESC
"""
PAGE, TAGGED_PAGE, SEARCH = (largerows.page(query, LARGE, "id DESC") for query in (_PAGE, _TAGGED_PAGE, _SEARCH))
BY_NUMBER = f"SELECT {COLUMNS} FROM contacts k WHERE k.phone_e164 > $1 ORDER BY k.phone_e164 LIMIT $2"
# A file changes only those fields of a known contact that differ from their current value: importing an exported file takes no
# field over from another source.
IMPORT = """
    INSERT INTO contacts AS k (id, org_id, phone_e164, said_by_user, notes, tags)
    SELECT r.id, hum.org_id(), r.phone_e164, r.fields, r.notes, r.tags
      FROM json_to_recordset($1) AS r (id uuid, phone_e164 text, fields jsonb, notes text, tags text[])
     ORDER BY r.phone_e164
    ON CONFLICT (org_id, phone_e164) DO UPDATE
       SET said_by_user = k.said_by_user
               || hum.news(k.said_by_lookup || k.said_by_crm || k.said_by_user, excluded.said_by_user),
           notes = coalesce(excluded.notes, k.notes),
           tags = CASE WHEN excluded.tags = '{}' THEN k.tags ELSE excluded.tags END,
           updated_at = now()
     WHERE hum.news(k.said_by_lookup || k.said_by_crm || k.said_by_user, excluded.said_by_user) <> '{}'
        OR coalesce(excluded.notes, k.notes) IS DISTINCT FROM k.notes
        OR excluded.tags NOT IN ('{}', k.tags)
    RETURNING id
"""
BEGIN_DRY_RUN = "SAVEPOINT dry_run"
END_DRY_RUN = "ROLLBACK TO SAVEPOINT dry_run"
#: Locked in the order in which they are imported.
ATTRIBUTES_OF = """
    SELECT phone_e164, attributes_json FROM contacts
     WHERE org_id = hum.org_id() AND phone_e164 = ANY ($1) AND attributes_json IS NOT NULL
     ORDER BY phone_e164 FOR NO KEY UPDATE
"""
OWN_NUMBER = "SELECT e164 FROM numbers WHERE status = 'active' ORDER BY id LIMIT 1"

# --- data of the carrier and the CRM
BY_CALLER = """
    SELECT id, said_by_lookup ->> 'caller_name' AS caller_name, looked_up_at, lookup_claimed_at
      FROM contacts
     WHERE org_id = $1 AND phone_e164 = $2
"""
UPSERT_CALLER = """
    INSERT INTO contacts AS k (id, org_id, phone_e164, said_by_lookup) VALUES ($1, $2, $3, $4)
    ON CONFLICT (org_id, phone_e164) DO UPDATE SET said_by_lookup = k.said_by_lookup || excluded.said_by_lookup
    RETURNING id
"""
# The same for many numbers, always locked in one order.
UPSERT_ALL = """
    INSERT INTO contacts AS k (id, org_id, phone_e164)
    SELECT id, $1, phone FROM unnest($2::uuid[], $3::text[]) AS r (id, phone) ORDER BY phone
    ON CONFLICT (org_id, phone_e164) DO UPDATE SET said_by_lookup = k.said_by_lookup
    RETURNING id, phone_e164
"""
CLAIM_LOOKUP = """
    UPDATE contacts SET lookup_claimed_at = now()
     WHERE id = $1 AND (looked_up_at IS NULL OR looked_up_at < now() - $2::interval)
       AND (lookup_claimed_at IS NULL OR lookup_claimed_at < now() - $3::interval)
    RETURNING phone_e164
"""
COUNT_LOOKUP = """
    INSERT INTO lookup_days AS d (org_id, day, count) SELECT $1, current_date, 1 WHERE $2 > 0
    ON CONFLICT (org_id, day) DO UPDATE SET count = d.count + 1 WHERE d.count < $2
"""
COUNT_LOOKUPS = "SELECT count FROM lookup_days WHERE org_id = hum.org_id() AND day = current_date"
FLAG_UNTEXTABLE = """
    UPDATE contacts SET untextable_code = $3 WHERE org_id = $1 AND phone_e164 = $2
"""
# For contacts that can be texted after all.
TEXTABLE = """
    UPDATE contacts k SET untextable_code = NULL
      FROM unnest($1::uuid[], $2::text[]) AS each (org_id, phone_e164)
     WHERE k.org_id = each.org_id AND k.phone_e164 = each.phone_e164 AND k.untextable_code IS NOT NULL
"""
RELEASE_LOOKUP = "UPDATE contacts SET lookup_claimed_at = NULL WHERE id = $1"
RECORD_LOOKUP = """
    UPDATE contacts SET said_by_lookup = said_by_lookup || $2, looked_up_at = now(), lookup_claimed_at = NULL
     WHERE id = $1
"""
SET_CRM_DATA = "UPDATE contacts SET said_by_crm = jsonb_strip_nulls(said_by_crm || $2::jsonb) WHERE id = $1"

# --- calls of contacts
CALLS_OF = """
    SELECT id, created_at FROM calls
     WHERE contact_id = $1 AND (created_at, id) < ($2, $3)
     ORDER BY created_at DESC, id DESC
     LIMIT $4
"""
INDEX_CALLS = "SELECT hum.index_call(id) FROM unnest($1::uuid[]) AS id"

# --- the backfill
BACKFILL = """
    SELECT id, lookup, calls_total, calls_seen, contacts_created, calls_linked, lookups, before_at, before_id,
           after_contact, created_at, ended_at
      FROM contact_backfills
"""
LATEST_BACKFILL = BACKFILL + " ORDER BY id DESC LIMIT 1"
LOCK_BACKFILL = BACKFILL + " WHERE id = $1 AND ended_at IS NULL FOR NO KEY UPDATE"
BEGIN_BACKFILL = """
    INSERT INTO contact_backfills (id, org_id, lookup, calls_total)
    SELECT $1, hum.org_id(), $2, count(*) FROM calls
    ON CONFLICT (org_id) WHERE ended_at IS NULL DO NOTHING
"""
CALLS_BELOW = """
    SELECT id, created_at, contact_e164, contact_id FROM calls
     WHERE (created_at, id) < ($1, $2)
     ORDER BY created_at DESC, id DESC
     LIMIT $3
"""
CREATE_MISSING = """
    INSERT INTO contacts (id, org_id, phone_e164)
    SELECT id, hum.org_id(), phone FROM unnest($1::uuid[], $2::text[]) AS r (id, phone) ORDER BY phone
    ON CONFLICT (org_id, phone_e164) DO NOTHING
"""
LINK_CALLS = """
    UPDATE calls c SET contact_id = k.id
      FROM contacts k
     WHERE c.id = ANY($1) AND c.contact_id IS NULL AND k.org_id = c.org_id AND k.phone_e164 = c.contact_e164
"""
NEVER_LOOKED_UP = "SELECT id FROM contacts WHERE looked_up_at IS NULL AND id > $1 ORDER BY id LIMIT $2"
MOVE_BACKFILL = """
    UPDATE contact_backfills
       SET before_at = $2, before_id = $3, calls_seen = calls_seen + $4, contacts_created = contacts_created + $5,
           calls_linked = calls_linked + $6
     WHERE id = $1
"""
MOVE_LOOKUPS = "UPDATE contact_backfills SET after_contact = $2, lookups = lookups + $3 WHERE id = $1"
END_BACKFILL = "UPDATE contact_backfills SET ended_at = now() WHERE id = $1"


@dataclass(frozen=True, slots=True)
class ContactRow:
    """A contact; `said_by_*` hold each source's data, the fields of `SOURCED` the result."""

    id: UUID
    phone_e164: str
    name: str | None
    email: str | None
    company: str | None
    notes: str | None
    tags: list[str]
    attributes_json: str | None
    carrier: str | None
    line_type: str | None
    caller_name: str | None
    said_by_user: dict[str, str]
    said_by_crm: dict[str, str]
    said_by_lookup: dict[str, str]
    looked_up_at: datetime | None
    created_at: datetime
    updated_at: datetime
    #: The carrier's error code if it reported that the number can't be texted.
    untextable_code: str | None
    #: Bytes of its long columns, in lists.
    size: int = 0


@dataclass(frozen=True, slots=True)
class ImportedContact:
    """A contact of an imported file; unset fields remain unchanged."""

    phone_e164: str
    fields: Mapping[str, str]
    notes: str | None
    tags: Sequence[str]
    #: Added to those that the contact has.
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallerContact:
    """The contact of a caller."""

    id: UUID
    looked_up_at: datetime | None


@dataclass(frozen=True, slots=True)
class BackfillRow:
    id: UUID
    lookup: bool
    calls_total: int
    calls_seen: int
    contacts_created: int
    calls_linked: int
    lookups: int
    before_at: datetime
    before_id: UUID
    after_contact: UUID
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class BackfillCallRow:
    """A call, for the backfill."""

    id: UUID
    created_at: datetime
    contact_e164: str
    contact_id: UUID | None


def _row(row: asyncpg.Record) -> ContactRow:
    sources = {name: json.loads(row[name]) for name in ("said_by_user", "said_by_crm", "said_by_lookup")}
    return ContactRow(**{**row, **sources})


def _require(row: asyncpg.Record | None) -> ContactRow:
    if row is None:
        raise NotFound("There is no such contact.")
    return _row(row)


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> ContactRow:
    """Return a contact.  Raises NotFound."""
    return _require(await tx.fetchrow(LOCK if lock else GET, id))


async def create(
    tx: Tx, id: UUID, phone_e164: str, fields: Mapping[str, str], notes: str | None, tags: Sequence[str]
) -> ContactRow:
    """Create a contact with a user's data.  Raises AlreadyExists."""
    row = await tx.fetchrow(CREATE, id, phone_e164, json.dumps(fields), notes, list(tags))
    if row is None:
        raise AlreadyExists("A contact with this number already exists.")
    return _row(row)


async def change(
    tx: Tx, id: UUID, fields: Mapping[str, str | None], notes: str | None, tags: Sequence[str]
) -> ContactRow:
    """Set the user's data; None clears a field.  Raises NotFound."""
    return _require(await tx.fetchrow(CHANGE, id, json.dumps(fields), notes, list(tags)))


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a contact.  Raises NotFound."""
    if await tx.execute(DELETE, id) == "DELETE 0":
        raise NotFound("There is no such contact.")


async def page(tx: Tx, before: UUID | None, limit: int, tag: str | None = None) -> list[ContactRow]:
    """Return contacts newest first, below `before`; with `tag`, only those that have it."""
    rows = await (tx.fetch(PAGE, before, limit) if tag is None else tx.fetch(TAGGED_PAGE, before, limit, tag))
    return [_row(row) for row in rows]


async def search(
    tx: Tx, q: str, digits: str | None, tag: str | None, before: UUID | None, limit: int
) -> list[ContactRow]:
    """Return contacts, as `page` does, with words that begin like those of `q`, or `digits` in their number."""
    return [_row(row) for row in await tx.fetch(SEARCH, q, digits, tag, before, limit)]


async def by_number(tx: Tx, after: str, limit: int) -> list[ContactRow]:
    """Return contacts in the order of their numbers, above `after`."""
    return [_row(row) for row in await tx.fetch(BY_NUMBER, after, limit)]


async def import_contacts(tx: Tx, rows: Sequence[ImportedContact], *, dry_run: bool) -> dict[UUID, bool]:
    """Import contacts; return those that were created (True) or changed (False): the others were up to date.

    The numbers must be distinct.  A dry run returns the same and changes nothing.
    """
    new_ids = [ids.new() for _ in rows]
    entries: list[dict[str, object]] = [
        {"id": str(id), "phone_e164": r.phone_e164, "fields": r.fields, "notes": r.notes, "tags": list(r.tags)}
        for id, r in zip(new_ids, rows, strict=True)
    ]
    if dry_run:
        await tx.execute(BEGIN_DRY_RUN)
    await _merge_attributes(tx, rows, entries)
    # An existing contact keeps its id.
    imported = {row["id"]: row["id"] in set(new_ids) for row in await tx.fetch(IMPORT, json.dumps(entries))}
    if dry_run:
        await tx.execute(END_DRY_RUN)
    return imported


async def _merge_attributes(tx: Tx, rows: Sequence[ImportedContact], entries: Sequence[dict[str, object]]) -> None:
    """Add the imported attributes to those that the contacts have, which stay unless they have the same name."""
    phones = [row.phone_e164 for row in rows if row.attributes and "attributes_json" not in row.fields]
    locked = await tx.fetch(ATTRIBUTES_OF, phones) if phones else []
    texts = {row["phone_e164"]: row["attributes_json"] for row in locked}
    for row, entry in zip(rows, entries, strict=True):
        if row.attributes:
            text = row.fields.get("attributes_json", texts.get(row.phone_e164, "{}"))
            entry["fields"] = {**row.fields, "attributes_json": _with_members(text, row.attributes)}


def _with_members(text: str, added: Mapping[str, str]) -> str:
    """Return a JSON object with further members; its others stay as they are written, and it does if it has them all."""
    members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    encoded = {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in added.items()}
    if all(members.get(name) == value for name, value in encoded.items()):
        return text
    return msgspec.json.encode({**members, **encoded}).decode()


async def own_number(tx: Tx) -> str | None:
    """Return the organization's oldest active number, or None."""
    number: str | None = await tx.fetchval(OWN_NUMBER)
    return number


# --- data of the carrier and the CRM -------------------------------------------------------------------------------


async def find_or_create(tx: Tx, id: UUID, org: UUID, phone_e164: str, caller_name: str | None) -> CallerContact:
    """Return a caller's contact; create it if there is none, with the carrier's name for the caller.

    A contact to which the carrier adds nothing is only read.  A limited member's call or text may be the first that shows them this
    contact, so it is looked for among all.
    """
    async with unlimited(tx):
        contact = await tx.fetchrow(BY_CALLER, org, phone_e164)
        if contact is None or (caller_name and contact["caller_name"] != caller_name):
            fields = {"name": caller_name, "caller_name": caller_name} if caller_name else {}
            id = await tx.fetchval(UPSERT_CALLER, id, org, phone_e164, json.dumps(fields))
    return CallerContact(contact["id"], contact["looked_up_at"]) if contact else CallerContact(id, None)


async def find_or_create_all(tx: Tx, org: UUID, phones: Sequence[str]) -> dict[str, UUID]:
    """Return the contacts with these numbers; create the missing ones, which are most.  Runs as the system."""
    if not phones:
        return {}
    rows = await tx.fetch(UPSERT_ALL, org, [ids.new() for _ in phones], list(phones))
    return {row["phone_e164"]: row["id"] for row in rows}


async def claim_lookup(tx: Tx, id: UUID, keep: timedelta, claim: timedelta) -> str | None:
    """Claim a lookup; return the number, or None if the last lookup is younger than `keep`, or another is in progress."""
    number: str | None = await tx.fetchval(CLAIM_LOOKUP, id, keep, claim)
    return number


async def flag_untextable(tx: Tx, org: UUID, phone_e164: str, code: str) -> None:
    """Record the carrier's report that this contact's number can't be texted.  Runs as the system."""
    await tx.execute(FLAG_UNTEXTABLE, org, phone_e164, code)


async def mark_textable(tx: Tx, contacts: Sequence[tuple[UUID, str]]) -> None:
    """Record that these organizations' contacts can be texted: texts came from them or reached them.  Runs as the system."""
    if contacts:
        await tx.execute(TEXTABLE, *(list(column) for column in zip(*sorted(set(contacts)), strict=True)))


async def count_lookup(tx: Tx, org: UUID, limit: int) -> bool:
    """Count a lookup; return False if `limit` were made today."""
    return bool(await tx.execute(COUNT_LOOKUP, org, limit) == "INSERT 0 1")


async def count_lookups(tx: Tx) -> int:
    """Return how many lookups the organization has made today."""
    return await tx.fetchval(COUNT_LOOKUPS) or 0


async def release_lookup(tx: Tx, id: UUID) -> None:
    """Release the claim on a lookup that the carrier did not answer, so that it can be repeated at once."""
    await tx.execute(RELEASE_LOOKUP, id)


async def record_lookup(tx: Tx, id: UUID, fields: Mapping[str, str]) -> None:
    await tx.execute(RECORD_LOOKUP, id, json.dumps(fields))


async def set_from_crm(tx: Tx, id: UUID, fields: Mapping[str, str | None]) -> None:
    """Set the data of the organization's CRM; None clears a field."""
    await tx.execute(SET_CRM_DATA, id, json.dumps(fields))


# --- calls of contacts --------------------------------------------------------------------------------------------


async def index_calls(tx: Tx, contact: UUID, before: tuple[datetime, UUID], limit: int) -> tuple[datetime, UUID] | None:
    """Index a contact's calls below `before` under its current name; return where to continue, None at the end."""
    rows = await tx.fetch(CALLS_OF, contact, *before, limit)
    await tx.execute(INDEX_CALLS, [row["id"] for row in rows])
    return (rows[-1]["created_at"], rows[-1]["id"]) if len(rows) == limit else None


# --- the backfill -------------------------------------------------------------------------------------------------


async def begin_backfill(tx: Tx, id: UUID, *, lookup: bool) -> BackfillRow:
    """Begin a backfill, unless one is running; return the running one."""
    await tx.execute(BEGIN_BACKFILL, id, lookup)
    return await latest_backfill(tx)


async def latest_backfill(tx: Tx) -> BackfillRow:
    """Return the latest backfill.  Raises NotFound."""
    row = await tx.fetchrow(LATEST_BACKFILL)
    if row is None:
        raise NotFound("No backfill has been started.")
    return BackfillRow(**row)


async def lock_backfill(tx: Tx, id: UUID) -> BackfillRow | None:
    """Lock an unfinished backfill; return None if it has ended."""
    row = await tx.fetchrow(LOCK_BACKFILL, id)
    return BackfillRow(**row) if row else None


async def callers(tx: Tx, backfill: BackfillRow, limit: int) -> list[BackfillCallRow]:
    """Return the next calls of a backfill, newest first."""
    return [
        BackfillCallRow(**row) for row in await tx.fetch(CALLS_BELOW, backfill.before_at, backfill.before_id, limit)
    ]


async def create_missing(tx: Tx, phones: Mapping[str, UUID]) -> int:
    """Create the missing contacts of these numbers, with these ids; return how many were created."""
    status = await tx.execute(CREATE_MISSING, list(phones.values()), list(phones))
    return int(status.rpartition(" ")[2])


async def link_calls(tx: Tx, calls: Sequence[UUID]) -> int:
    """Link calls without a contact to that of their number, if there is one; return how many."""
    return int((await tx.execute(LINK_CALLS, calls)).rpartition(" ")[2])


async def advance_backfill(tx: Tx, id: UUID, calls: Sequence[BackfillCallRow], created: int, linked: int) -> None:
    last = calls[-1]
    await tx.execute(MOVE_BACKFILL, id, last.created_at, last.id, len(calls), created, linked)


async def never_looked_up(tx: Tx, after: UUID, limit: int) -> list[UUID]:
    """Return contacts that were never looked up, above `after`."""
    return [row["id"] for row in await tx.fetch(NEVER_LOOKED_UP, after, limit)]


async def advance_lookups(tx: Tx, id: UUID, contacts: Sequence[UUID]) -> None:
    await tx.execute(MOVE_LOOKUPS, id, contacts[-1], len(contacts))


async def end_backfill(tx: Tx, id: UUID) -> None:
    await tx.execute(END_BACKFILL, id)
