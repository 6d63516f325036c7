"""Opt-outs of contacts from texts, for each organization.  A contact that opts in again keeps the row: it is the evidence.

Times are the database's, so that those of several processes compare.  A change from the retry queue brings its own time, and
does not undo a later one.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum.contract.errors import NotFound
from storage.db import Tx

COLUMNS = "contact_e164, opted_out, source, keyword, message_id, carrier_blocked, changed_at"
GET = f"SELECT {COLUMNS} FROM opt_outs WHERE org_id = $1 AND contact_e164 = $2"
PAGE = f"""
    SELECT {COLUMNS} FROM opt_outs
     WHERE org_id = hum.org_id() AND opted_out AND changed_at <= coalesce($1::timestamptz, 'infinity')
       AND (changed_at < coalesce($1::timestamptz, 'infinity') OR contact_e164 > $2)
     ORDER BY changed_at DESC, contact_e164
     LIMIT $3
"""
GET_OPTED_OUT = f"SELECT {COLUMNS} FROM opt_outs WHERE org_id = hum.org_id() AND opted_out AND contact_e164 = $1"
OPT_OUT = """
    INSERT INTO opt_outs AS x (org_id, contact_e164, opted_out, source, keyword, message_id, carrier_blocked, changed_at)
    VALUES ($1, $2, true, $3, $4, $5, $6, coalesce($7, clock_timestamp()))
    ON CONFLICT (org_id, contact_e164) DO UPDATE
       SET opted_out = true, source = excluded.source, keyword = excluded.keyword, message_id = excluded.message_id,
           carrier_blocked = x.carrier_blocked OR excluded.carrier_blocked,
           changed_at = greatest(excluded.changed_at, x.changed_at)
     WHERE NOT x.opted_out AND ($7::timestamptz IS NULL OR x.changed_at <= $7)
"""
OPT_IN = """
    UPDATE opt_outs x
       SET opted_out = false, source = $3, keyword = $4, message_id = $5,
           carrier_blocked = x.carrier_blocked AND NOT $6, changed_at = coalesce($7, clock_timestamp())
     WHERE org_id = $1 AND contact_e164 = $2 AND opted_out AND ($7::timestamptz IS NULL OR changed_at <= $7)
"""
SET_BLOCKED = """
    UPDATE opt_outs SET carrier_blocked = $3
     WHERE org_id = $1 AND contact_e164 = $2 AND carrier_blocked <> $3
       AND ($4::timestamptz IS NULL OR changed_at <= $4)
"""
# Automatic answers of the rules are sent all the same.
END_PENDING = """
    UPDATE messages SET status = 'opted_out', error_code = 'opted_out', due_at = NULL
     WHERE id = ANY (ARRAY(
               SELECT id FROM messages
                WHERE org_id = $1 AND contact_e164 = $2 AND due_at IS NOT NULL AND status IN ('scheduled', 'queued')
                  AND sent_by <> 'system'
                ORDER BY id FOR NO KEY UPDATE))
"""


@dataclass(frozen=True, slots=True)
class OptOutRow:
    contact_e164: str
    opted_out: bool
    source: str
    keyword: str | None
    message_id: UUID | None
    carrier_blocked: bool
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class OptOutChange:
    """A change's source and evidence; `at`: its time, for one from the retry queue."""

    source: str
    keyword: str | None = None
    message_id: UUID | None = None
    at: datetime | None = None


async def find(tx: Tx, org: UUID, contact_e164: str) -> OptOutRow | None:
    row = await tx.fetchrow(GET, org, contact_e164)
    return OptOutRow(**row) if row else None


async def get(tx: Tx, org: UUID, contact_e164: str) -> OptOutRow:
    """Return a contact's opt-out.  Raises NotFound for a contact that never opted out."""
    row = await find(tx, org, contact_e164)
    if row is None:
        raise NotFound("This contact has not opted out.")
    return row


async def page(tx: Tx, after: tuple[datetime, str] | None, limit: int) -> list[OptOutRow]:
    """Return the opted-out contacts, the latest first.  Runs as the tenant."""
    at, contact_e164 = after or (None, "")
    return [OptOutRow(**row) for row in await tx.fetch(PAGE, at, contact_e164, limit)]


async def of_contact(tx: Tx, contact_e164: str) -> list[OptOutRow]:
    """Return the contact's opt-out, if it is opted out.  Runs as the tenant."""
    return [OptOutRow(**row) for row in await tx.fetch(GET_OPTED_OUT, contact_e164)]


async def opt_out(tx: Tx, org: UUID, contact_e164: str, change: OptOutChange, *, carrier_blocks: bool) -> bool:
    """Opt a contact out; return False if it was opted out, or has opted in after the change."""
    values = (change.source, change.keyword, change.message_id, carrier_blocks, change.at)
    return bool(await tx.execute(OPT_OUT, org, contact_e164, *values) != "INSERT 0 0")


async def opt_in(tx: Tx, org: UUID, contact_e164: str, change: OptOutChange, *, carrier_lifts: bool) -> bool:
    """Opt a contact in; return False if it was not opted out, or has opted out after the change."""
    values = (change.source, change.keyword, change.message_id, carrier_lifts, change.at)
    return bool(await tx.execute(OPT_IN, org, contact_e164, *values) != "UPDATE 0")


async def set_blocked(tx: Tx, org: UUID, contact_e164: str, *, blocked: bool, at: datetime | None = None) -> None:
    """Set whether the carrier refuses texts to a contact with a row here."""
    await tx.execute(SET_BLOCKED, org, contact_e164, blocked, at)


async def end_pending(tx: Tx, org: UUID, contact_e164: str) -> int:
    """End the unsent messages to a contact, in all conversations; return how many."""
    return int((await tx.execute(END_PENDING, org, contact_e164)).rpartition(" ")[2])
