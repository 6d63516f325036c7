"""Appointments and holds, their transitions under locks, and their history.

Locks are taken in one order: resources by id, then appointments by id.  A transaction that has locked an appointment locks
no further resource.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from hum.contract.errors import Conflict, NotFound
from storage import booking_claims, largerows
from storage.db import Tx

COLUMNS = """
    a.id, a.service_id, a.state, a.version, a.starts_at, a.ends_at, a.time_zone, a.contact_id, a.contact_e164, a.name,
    a.note, a.origin, a.call_id, a.conversation_id, a.holder, a.lease_until, a.created_at, a.booked_at, a.changed_at,
    ARRAY(SELECT c.resource_id FROM booking_claims c WHERE c.appointment_id = a.id ORDER BY c.resource_id) AS resources
"""
GET = f"SELECT {COLUMNS} FROM appointments a WHERE a.id = $1"
LOCK = "SELECT id FROM appointments WHERE id = $1 FOR NO KEY UPDATE"

# Expired holds at these resources in a window, the holder's own one, and the appointment that moves: all
# that a reservation locks besides resources, in one order.
LOCK_IN_WAY = """
    SELECT id FROM appointments
     WHERE id = ANY (ARRAY(
               SELECT c.appointment_id FROM booking_claims c WHERE c.resource_id = ANY ($1) AND c.during && tstzrange($2, $3)
               UNION ALL
               SELECT h.id FROM appointments h WHERE h.org_id = hum.org_id() AND h.holder = $4 AND h.state = 'held'
               UNION ALL
               SELECT $5::uuid))
       AND (id = $5 OR (state = 'held' AND (lease_until <= clock_timestamp() OR holder = $4)))
     ORDER BY id
       FOR NO KEY UPDATE
"""
END_IN_WAY = """
    UPDATE appointments
       SET state = CASE WHEN lease_until <= clock_timestamp() THEN 'expired' ELSE 'released' END,
           changed_at = clock_timestamp()
     WHERE id = ANY ($1) AND state = 'held' AND (lease_until <= clock_timestamp() OR holder = $2)
    RETURNING id
"""
LATEST_OF_HOLDER = f"""
    SELECT {COLUMNS} FROM appointments a WHERE a.org_id = hum.org_id() AND a.holder = $1 ORDER BY a.id DESC LIMIT 1
"""
# To come: of a number, of a contact, and what was booked in a dialogue. $4: of these services.
OF_PERSON = f"""
    SELECT {COLUMNS} FROM appointments a
     WHERE a.org_id = hum.org_id() AND (a.contact_e164 = $1 OR a.contact_id = $2 OR a.holder = $3)
       AND a.state IN ('pending', 'booked') AND a.ends_at > now() AND a.service_id = ANY ($4)
     ORDER BY a.starts_at, a.id LIMIT $5
"""
# Dialogues of a number in the last day that held times and booked none, but for one.
UNBOOKED = """
    SELECT count(DISTINCT a.holder) FROM appointments a
     WHERE a.org_id = hum.org_id() AND a.contact_e164 = $1 AND a.holder <> $2 AND a.created_at > now() - interval '1 day'
       AND a.state IN ('held', 'expired', 'released')
       AND NOT EXISTS (SELECT FROM appointments b WHERE b.org_id = a.org_id AND b.holder = a.holder AND b.booked_at IS NOT NULL)
"""
DID = """
    SELECT EXISTS (SELECT FROM appointment_changes WHERE org_id = $1 AND by = $2)
        OR EXISTS (SELECT FROM appointments WHERE org_id = $1 AND holder = $3 AND booked_at IS NOT NULL)
"""
OF_CALL_HELD = "SELECT id FROM appointments WHERE call_id = $1 AND state = 'held' ORDER BY id FOR NO KEY UPDATE"
HELD_BY = "SELECT id FROM appointments WHERE org_id = hum.org_id() AND holder = $1 AND state = 'held'"
HOLD = """
    INSERT INTO appointments (id, org_id, service_id, state, starts_at, ends_at, time_zone, origin, call_id, conversation_id,
                              contact_e164, holder, lease_until, lease_latest)
    VALUES ($1, hum.org_id(), $2, 'held', $3, $4, $5, $6, $7, $8, $9, $10,
            clock_timestamp() + least($11::interval, $12::interval), clock_timestamp() + $12::interval)
"""
RENEW = """
    UPDATE appointments SET lease_until = least(clock_timestamp() + $2::interval, lease_latest)
     WHERE id = $1 AND state = 'held' AND lease_until > clock_timestamp()
"""
BOOK = """
    UPDATE appointments
       SET state = $2, version = version + 1, name = $3, note = $4, contact_e164 = $5, lease_until = NULL,
           contact_id = (SELECT k.id FROM contacts k WHERE k.org_id = hum.org_id() AND k.phone_e164 = $5),
           booked_at = clock_timestamp(), changed_at = clock_timestamp()
     WHERE id = $1 AND state = 'held' AND lease_until > clock_timestamp()
"""
MOVE = """
    UPDATE appointments SET version = version + 1, starts_at = $2, ends_at = $3, changed_at = clock_timestamp() WHERE id = $1
"""
CHANGE_STATE = """
    UPDATE appointments SET state = $2, version = version + 1, changed_at = clock_timestamp() WHERE id = $1
"""
RELEASE = "UPDATE appointments SET state = 'released', changed_at = clock_timestamp() WHERE id = $1 AND state = 'held'"
RECORD = """
    INSERT INTO appointment_changes (org_id, appointment_id, version, state, starts_at, ends_at, by)
    SELECT org_id, id, version, state, starts_at, ends_at, $2 FROM appointments WHERE id = $1
"""
HISTORY = """
    SELECT version, state, starts_at, ends_at, by, at FROM appointment_changes WHERE appointment_id = $1 ORDER BY version
"""
# Of those that were booked or asked for once. $1, $2: the key after which the page begins.
PAGE = largerows.page(
    f"""
    SELECT {COLUMNS} FROM appointments a
     WHERE a.org_id = hum.org_id() AND a.state NOT IN ('held', 'expired', 'released')
       AND (a.starts_at, a.id) > (coalesce($1, '-infinity'::timestamptz), coalesce($2::uuid, '00000000-0000-0000-0000-000000000000'))
       AND a.starts_at >= coalesce($4, '-infinity'::timestamptz) AND a.starts_at < coalesce($5, 'infinity'::timestamptz)
       AND ($6::text IS NULL OR a.state = $6) AND ($7::text IS NULL OR a.contact_e164 = $7)
       AND ($8::uuid IS NULL OR EXISTS (SELECT FROM booking_claims c WHERE c.appointment_id = a.id AND c.resource_id = $8))
     ORDER BY a.starts_at, a.id
     LIMIT $3
""",
    ["name", "note"],
    "starts_at, id",
)

# --- sweeps, as the system
EXPIRED = """
    SELECT id FROM appointments WHERE state = 'held' AND lease_until <= clock_timestamp()
     ORDER BY id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
"""
# Of live calls, whose leases end soon: a lease lives as long as its call, up to its latest end.
RENEW_OF_CALLS = """
    UPDATE appointments SET lease_until = least(clock_timestamp() + $1::interval, lease_latest)
     WHERE id IN (SELECT a.id FROM appointments a JOIN calls c ON c.id = a.call_id
                   WHERE a.state = 'held' AND c.ended_at IS NULL AND a.lease_until < a.lease_latest
                     AND a.lease_until BETWEEN clock_timestamp() AND clock_timestamp() + $1::interval / 2
                   ORDER BY a.id LIMIT $2 FOR NO KEY UPDATE OF a SKIP LOCKED)
"""
PRUNE = """
    DELETE FROM appointments
     WHERE id IN (SELECT id FROM appointments
                   WHERE state IN ('expired', 'released') AND changed_at < now() - $1::interval
                   ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class AppointmentRow:
    """An appointment or a hold; `resources` are those that it occupies."""

    id: UUID
    service_id: UUID
    state: str
    version: int
    starts_at: datetime
    ends_at: datetime
    time_zone: str
    contact_id: UUID | None
    contact_e164: str | None
    name: str | None
    note: str | None
    origin: str
    call_id: UUID | None
    conversation_id: UUID | None
    holder: str | None
    lease_until: datetime | None
    created_at: datetime
    booked_at: datetime | None
    changed_at: datetime
    resources: list[UUID]
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class Holding:
    """Where a hold comes from; a holder has one live hold at a time."""

    origin: str = "api"
    holder: str | None = None
    call_id: UUID | None = None
    conversation_id: UUID | None = None
    #: The number of the other side.
    contact_e164: str | None = None
    lease: timedelta = timedelta(seconds=120)
    #: A hold is renewed up to this age.
    longest: timedelta = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class AppointmentPerson:
    """The person of an appointment, as spoken or written."""

    name: str
    note: str | None = None
    contact_e164: str | None = None


@dataclass(frozen=True, slots=True)
class AppointmentFilter:
    """Which appointments a list has."""

    since: datetime | None = None
    until: datetime | None = None
    state: str | None = None
    contact_e164: str | None = None
    resource_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class AppointmentChangeRow:
    version: int
    state: str
    starts_at: datetime
    ends_at: datetime
    by: str | None
    at: datetime


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> AppointmentRow:
    """Return an appointment or hold.  Raises NotFound."""
    if lock:
        await tx.fetchval(LOCK, id)
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such appointment.")
    return AppointmentRow(**row)


async def latest_of_holder(tx: Tx, holder: str) -> AppointmentRow | None:
    """Return what a holder has held or booked last."""
    row = await tx.fetchrow(LATEST_OF_HOLDER, holder)
    return AppointmentRow(**row) if row else None


async def of_person(
    tx: Tx, contact_e164: str | None, contact: UUID | None, holder: str, services: Sequence[UUID], limit: int
) -> list[AppointmentRow]:
    """Return what is to come of a number or a contact, and what a holder has booked, in the order of the starts."""
    rows = await tx.fetch(OF_PERSON, contact_e164, contact, holder, services, limit)
    return [AppointmentRow(**row) for row in rows]


async def unbooked_dialogues(tx: Tx, contact_e164: str, but: str) -> int:
    """Return in how many other dialogues of the last day a number has held times and booked none."""
    return int(await tx.fetchval(UNBOOKED, contact_e164, but))


async def has_changed(tx: Tx, organization: UUID, by: str, holder: str) -> bool:
    """Tell whether a dialogue has booked, moved or canceled an appointment, as the tenant or the system."""
    return bool(await tx.fetchval(DID, organization, by, holder))


async def release_of_call(tx: Tx, call: UUID) -> None:
    """Release what a call holds."""
    for row in await tx.fetch(OF_CALL_HELD, call):
        await release(tx, row["id"])


async def held_by(tx: Tx, holder: str) -> UUID | None:
    """Return the hold that a holder has."""
    id: UUID | None = await tx.fetchval(HELD_BY, holder)
    return id


async def clear_way(
    tx: Tx,
    resources: Sequence[UUID],
    window: tuple[datetime, datetime],
    holder: str | None = None,
    moving: UUID | None = None,
) -> None:
    """End the expired holds of locked resources, and the holder's own one; lock the appointment that moves."""
    locked = [row["id"] for row in await tx.fetch(LOCK_IN_WAY, resources, *window, holder, moving)]
    if ended := [row["id"] for row in await tx.fetch(END_IN_WAY, locked, holder)]:
        await booking_claims.delete(tx, ended)


async def hold(
    tx: Tx, id: UUID, service: UUID, times: tuple[datetime, datetime], time_zone: str, holding: Holding
) -> None:
    """Insert a hold.  Raises Conflict if its holder makes another one at the same time."""
    try:
        await tx.execute(
            HOLD,
            id,
            service,
            *times,
            time_zone,
            holding.origin,
            holding.call_id,
            holding.conversation_id,
            holding.contact_e164,
            holding.holder,
            holding.lease,
            holding.longest,
        )
    except asyncpg.UniqueViolationError as error:
        raise Conflict("Another time is being held for the same call or conversation; try again.") from error


async def renew(tx: Tx, id: UUID, lease: timedelta) -> bool:
    """Renew the lease of a hold; return whether it was still live."""
    return await tx.execute(RENEW, id, lease) != "UPDATE 0"


async def book(tx: Tx, id: UUID, state: str, person: AppointmentPerson, by: str | None) -> bool:
    """Book a locked hold; return whether its lease was still live, by the database's clock."""
    if await tx.execute(BOOK, id, state, person.name, person.note, person.contact_e164) == "UPDATE 0":
        return False
    await tx.execute(RECORD, id, by)
    return True


async def move(tx: Tx, id: UUID, times: tuple[datetime, datetime], by: str | None) -> None:
    """Change the times of a locked appointment."""
    await tx.execute(MOVE, id, *times)
    await tx.execute(RECORD, id, by)


async def change_state(tx: Tx, id: UUID, state: str, by: str | None) -> None:
    """Change the state of a locked appointment."""
    await tx.execute(CHANGE_STATE, id, state)
    await tx.execute(RECORD, id, by)


async def release(tx: Tx, id: UUID) -> None:
    """Release a locked hold, if it is one still."""
    if await tx.execute(RELEASE, id) != "UPDATE 0":
        await booking_claims.delete(tx, [id])


async def history(tx: Tx, id: UUID) -> list[AppointmentChangeRow]:
    """Return what happened to an appointment, oldest first."""
    return [AppointmentChangeRow(**row) for row in await tx.fetch(HISTORY, id)]


async def page(
    tx: Tx, wanted: AppointmentFilter, after: tuple[datetime, UUID] | None, limit: int
) -> list[AppointmentRow]:
    """Return appointments in the order of their starts."""
    starts_at, id = after or (None, None)
    rows = await tx.fetch(
        PAGE,
        starts_at,
        id,
        limit,
        wanted.since,
        wanted.until,
        wanted.state,
        wanted.contact_e164,
        wanted.resource_id,
    )
    return [AppointmentRow(**row) for row in rows]


async def expire(tx: Tx, limit: int) -> int:
    """End expired holds, as the system; return how many."""
    locked = [row["id"] for row in await tx.fetch(EXPIRED, limit)]
    ended = [row["id"] for row in await tx.fetch(END_IN_WAY, locked, None)]
    await booking_claims.delete(tx, ended)
    return len(ended)


async def renew_of_calls(tx: Tx, lease: timedelta, limit: int) -> None:
    """Renew the leases of holds of live calls, as the system."""
    await tx.execute(RENEW_OF_CALLS, lease, limit)


async def prune(tx: Tx, age: timedelta, limit: int) -> int:
    """Delete holds that ended unbooked, as the system; return how many."""
    return int((await tx.execute(PRUNE, age, limit)).split()[-1])
