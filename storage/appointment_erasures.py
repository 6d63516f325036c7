"""Deletion of appointments by age, and of the people in them on request.  Runs as the tenant."""

from datetime import datetime
from uuid import UUID

from storage import booking_claims
from storage.db import Tx

DELETE_OLD = """
    DELETE FROM appointments
     WHERE id IN (SELECT id FROM appointments WHERE org_id = hum.org_id() AND ends_at < $1
                   ORDER BY ends_at, id LIMIT $2 FOR UPDATE SKIP LOCKED)
"""
LOCK_OF_CONTACT = """
    SELECT id FROM appointments WHERE org_id = hum.org_id() AND (contact_id = $1 OR contact_e164 = $2)
     ORDER BY id
       FOR NO KEY UPDATE
"""
# Those to come are canceled.
CANCEL = """
    UPDATE appointments SET state = 'canceled', version = version + 1, changed_at = clock_timestamp()
     WHERE id = ANY ($1) AND state IN ('pending', 'booked') AND starts_at > clock_timestamp()
    RETURNING id
"""
RECORD = """
    INSERT INTO appointment_changes (org_id, appointment_id, version, state, starts_at, ends_at)
    SELECT org_id, id, version, state, starts_at, ends_at FROM appointments WHERE id = ANY ($1)
"""
CLOSE_CONFLICTS = """
    UPDATE appointment_conflicts SET resolution = 'canceled', resolved_at = now()
     WHERE appointment_id = ANY ($1) AND resolved_at IS NULL
"""
BLANK = "UPDATE appointments SET contact_id = NULL, contact_e164 = NULL, name = NULL, note = NULL WHERE id = ANY ($1)"
DELETE_WAITS = "DELETE FROM booking_waits WHERE org_id = hum.org_id() AND contact_e164 = $1"


async def delete_old(tx: Tx, before: datetime, limit: int) -> int:
    """Delete appointments that ended before a time; return how many."""
    return int((await tx.execute(DELETE_OLD, before, limit)).split()[-1])


async def erase_contact(tx: Tx, contact: UUID, phone_e164: str) -> list[UUID]:
    """Blank a person in their appointments and take them from waiting lists; return the appointments that are canceled by it."""
    found = [row["id"] for row in await tx.fetch(LOCK_OF_CONTACT, contact, phone_e164)]
    canceled = [row["id"] for row in await tx.fetch(CANCEL, found)]
    await tx.execute(RECORD, canceled)
    await tx.execute(CLOSE_CONFLICTS, canceled)
    await booking_claims.delete(tx, canceled)
    await tx.execute(BLANK, found)
    await tx.execute(DELETE_WAITS, phone_e164)
    return canceled
