"""What agents have offered and told in a call, a conversation or an event's run, and who has shown to be whom there.

The row of a dialogue is locked before anything else, so that the tools of one dialogue run one after the other.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage.db import Tx

OPEN = """
    INSERT INTO booking_dialogues (org_id, holder, call_id, conversation_id, contact_e164)
    VALUES (hum.org_id(), $1, $2, $3, $4)
    ON CONFLICT (org_id, holder) DO UPDATE SET used_at = clock_timestamp()
    RETURNING holder, times, appointments, verified_contact_id, verified_at, failures
"""
SAVE_TIMES = "UPDATE booking_dialogues SET times = $2 WHERE org_id = hum.org_id() AND holder = $1"
SAVE_APPOINTMENTS = "UPDATE booking_dialogues SET appointments = $2 WHERE org_id = hum.org_id() AND holder = $1"
VERIFY = """
    UPDATE booking_dialogues SET verified_contact_id = $2, verified_at = clock_timestamp()
     WHERE org_id = hum.org_id() AND holder = $1
"""
FAIL = """
    UPDATE booking_dialogues SET failures = failures + 1, failed_at = clock_timestamp()
     WHERE org_id = hum.org_id() AND holder = $1
"""
FAILURES_OF_NUMBER = """
    SELECT coalesce(sum(failures), 0) FROM booking_dialogues
     WHERE org_id = hum.org_id() AND contact_e164 = $1 AND failed_at > clock_timestamp() - interval '1 day'
"""
# The contact of a number, and without a number those of a name. The birth date is an attribute of the organization's own.
CANDIDATES = """
    SELECT id, name, attributes_json FROM contacts
     WHERE org_id = hum.org_id() AND (phone_e164 = $1 OR ($1::text IS NULL AND lower(name) = lower($2)))
     ORDER BY id LIMIT 20
"""
PRUNE = """
    DELETE FROM booking_dialogues
     WHERE (org_id, holder) IN (SELECT org_id, holder FROM booking_dialogues
                                 WHERE used_at < now() - $1::interval ORDER BY used_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True, slots=True)
class OfferedTime:
    """A start of a service that was offered, and the resources that it must have, if any."""

    service_id: UUID
    start: datetime
    resources: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class DialogueRow:
    holder: str
    times: list[OfferedTime]
    appointments: list[UUID]
    verified_contact_id: UUID | None
    verified_at: datetime | None
    failures: int


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """A contact that the other side may be."""

    id: UUID
    name: str | None
    attributes_json: str | None


async def open_dialogue(
    tx: Tx, holder: str, call: UUID | None, conversation: UUID | None, contact_e164: str | None
) -> DialogueRow:
    """Return a dialogue, new or known, and lock it."""
    row = await tx.fetchrow(OPEN, holder, call, conversation, contact_e164)
    assert row is not None
    times = [
        OfferedTime(UUID(service), datetime.fromisoformat(start), tuple(UUID(id) for id in resources))
        for service, start, resources in json.loads(row["times"])
    ]
    return DialogueRow(**{**row, "times": times})


async def save_times(tx: Tx, holder: str, times: Sequence[OfferedTime]) -> None:
    stored = [(str(each.service_id), each.start.isoformat(), [str(id) for id in each.resources]) for each in times]
    await tx.execute(SAVE_TIMES, holder, json.dumps(stored))


async def save_appointments(tx: Tx, holder: str, appointments: Sequence[UUID]) -> None:
    await tx.execute(SAVE_APPOINTMENTS, holder, appointments)


async def verify(tx: Tx, holder: str, contact: UUID) -> None:
    """Record who the other side has shown to be."""
    await tx.execute(VERIFY, holder, contact)


async def fail(tx: Tx, holder: str) -> None:
    """Record that the other side did not show who they are."""
    await tx.execute(FAIL, holder)


async def failures_of_number(tx: Tx, contact_e164: str) -> int:
    """Return how often that failed from a number in the last day."""
    return int(await tx.fetchval(FAILURES_OF_NUMBER, contact_e164))


async def candidates(tx: Tx, contact_e164: str | None, name: str) -> list[CandidateRow]:
    """Return the contact of a number, or without a number those of a name."""
    return [CandidateRow(**row) for row in await tx.fetch(CANDIDATES, contact_e164, name)]


async def prune(tx: Tx, age: timedelta, limit: int) -> int:
    """Delete dialogues that were not used for a while, as the system; return how many."""
    return int((await tx.execute(PRUNE, age, limit)).split()[-1])
