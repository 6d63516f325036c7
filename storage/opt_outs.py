"""Opt-outs of contacts from texts, for each organization.  A contact that opts in again keeps the row: it is the evidence.

A row that was never opted out (`ever_out`) only keeps the time of an opt-in, for an older opt-out that is delivered later; it is
not shown.  Which of two changes stands is decided by `control.optouts.lastword`.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum.contract.errors import NotFound
from storage.db import Tx

COLUMNS = "contact_e164, opted_out, source, keyword, message_id, carrier_blocked, changed_at"
GET = f"SELECT {COLUMNS} FROM opt_outs WHERE org_id = $1 AND contact_e164 = $2 AND (ever_out OR opted_out)"
PAGE = f"""
    SELECT {COLUMNS} FROM opt_outs
     WHERE org_id = hum.org_id() AND opted_out AND changed_at <= coalesce($1::timestamptz, 'infinity')
       AND (changed_at < coalesce($1::timestamptz, 'infinity') OR contact_e164 > $2)
     ORDER BY changed_at DESC, contact_e164
     LIMIT $3
"""
GET_OPTED_OUT = f"SELECT {COLUMNS} FROM opt_outs WHERE org_id = hum.org_id() AND opted_out AND contact_e164 = $1"
# A row of `-infinity` says nothing yet: it exists to be locked.
CREATE = """
    INSERT INTO opt_outs (org_id, contact_e164, opted_out, source, changed_at, ever_out)
    VALUES ($1, $2, false, 'keyword', '-infinity', false)
    ON CONFLICT DO NOTHING
"""
LOCK = """
    SELECT opted_out, source, keyword, message_id, nullif(changed_at, '-infinity') AS changed_at,
           last_at, last_source, last_keyword, last_message_id, opposed_at, ever_out, carrier_blocked, carrier_at
      FROM opt_outs WHERE org_id = $1 AND contact_e164 = $2 FOR NO KEY UPDATE
"""
CLOCK = "SELECT clock_timestamp()"
SAVE = """
    UPDATE opt_outs
       SET opted_out = $3, opposed_at = $4, ever_out = $5, carrier_blocked = $6, carrier_at = $7,
           changed_at = $8, source = $9, keyword = $10, message_id = $11,
           last_at = $12, last_source = $13, last_keyword = $14, last_message_id = $15
     WHERE org_id = $1 AND contact_e164 = $2
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
class OptOutWordRow:
    """A change as it was said: when, by whom, and its evidence."""

    at: datetime
    source: str
    keyword: str | None
    message_id: UUID | None


@dataclass(frozen=True, slots=True)
class OptOutStateRow:
    """All that is known of a contact's changes.  `first` and `last` are None if there was none."""

    opted_out: bool
    first: OptOutWordRow | None
    last: OptOutWordRow | None
    opposed_at: datetime | None
    ever_out: bool
    carrier_blocked: bool
    carrier_at: datetime | None


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


async def lock(tx: Tx, org: UUID, contact_e164: str) -> tuple[OptOutStateRow, datetime]:
    """Lock a contact's row, which is created if there is none; return it, and the time after that."""
    await tx.execute(CREATE, org, contact_e164)
    row = await tx.fetchrow(LOCK, org, contact_e164)
    assert row is not None, "it was created"
    first = last = None
    if row["changed_at"] is not None:
        first = last = OptOutWordRow(row["changed_at"], row["source"], row["keyword"], row["message_id"])
        # The last release changes a row without these.
        if row["last_at"] is not None and row["last_at"] > first.at:
            last = OptOutWordRow(row["last_at"], row["last_source"], row["last_keyword"], row["last_message_id"])
    state = OptOutStateRow(
        row["opted_out"],
        first,
        last,
        row["opposed_at"],
        row["ever_out"] or row["opted_out"],
        row["carrier_blocked"],
        row["carrier_at"],
    )
    return state, await tx.fetchval(CLOCK)


async def save(tx: Tx, org: UUID, contact_e164: str, state: OptOutStateRow) -> None:
    """Store the state of a locked row."""
    assert state.first is not None and state.last is not None, "a change was said"
    first, last = state.first, state.last
    later = (None, None, None, None) if last == first else (last.at, last.source, last.keyword, last.message_id)
    facts = (state.opted_out, state.opposed_at, state.ever_out, state.carrier_blocked, state.carrier_at)
    await tx.execute(SAVE, org, contact_e164, *facts, first.at, first.source, first.keyword, first.message_id, *later)


async def end_pending(tx: Tx, org: UUID, contact_e164: str) -> int:
    """End the unsent messages to a contact, in all conversations; return how many."""
    return int((await tx.execute(END_PENDING, org, contact_e164)).rpartition(" ")[2])
