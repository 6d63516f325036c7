"""Who is calling or texting, and what they may be told and may change.  Pure.

Level 0: the number is withheld, or nothing vouches for it. They book, and are told of what they booked in this dialogue.
Level 1: a number that is vouched for, or a text from it. Families share numbers, so they are told of times, and of no names and
no services that tell of their health.
Level 2: they have shown who they are. What is theirs they are told in full, and may change.
"""

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage.appointments import AppointmentRow
from storage.booking_dialogues import CandidateRow, DialogueRow
from storage.booking_services import BookingServiceFields

#: How long a proof counts; a thread of texts may go on for weeks.
PROOF_AGE = timedelta(hours=1)
#: The attribute of a contact that is compared, as 1980-12-31.
BIRTH_DATE = "birth_date"


@dataclass(frozen=True, slots=True)
class BookingClient:
    """The other side of a dialogue; `number` only if something vouches for it."""

    holder: str
    number: str | None
    contact: UUID | None = None
    name: str | None = None

    @property
    def level(self) -> int:
        return 2 if self.contact is not None else 1 if self.number else 0

    def owns(self, row: AppointmentRow) -> bool:
        """Tell whether an appointment is surely theirs: it was booked in this dialogue, or for who they have shown to be."""
        if row.holder == self.holder:
            return True
        return self.contact is not None and row.contact_id == self.contact and is_same_person(row.name, self.name)

    def may_change(self, row: AppointmentRow, service: BookingServiceFields) -> bool:
        """Tell whether they may move or cancel an appointment."""
        if self.owns(row):
            return True
        return service.number_suffices and self.number is not None and row.contact_e164 == self.number

    def may_hear_service(self, row: AppointmentRow, service: BookingServiceFields) -> bool:
        """Tell whether they may be told what an appointment is for."""
        return self.owns(row) or not service.is_health_related


def proven(row: DialogueRow, now: datetime) -> UUID | None:
    """Return the contact that the other side has lately shown to be."""
    if row.verified_at is None or now - row.verified_at > PROOF_AGE:
        return None
    return row.verified_contact_id


def is_too_late(row: AppointmentRow, service: BookingServiceFields, now: datetime) -> bool:
    """Tell whether clients can't move or cancel an appointment any more."""
    return now > row.starts_at - timedelta(minutes=service.cancel_minutes)


def match(candidates: Sequence[CandidateRow], name: str, birth_date: str) -> UUID | None:
    """Return the contact with this name and birth date, if there is one and no second one."""
    found = [row.id for row in candidates if _words(row.name) == _words(name) and _birth_date(row) == birth_date]
    return found[0] if len(found) == 1 else None


def is_same_person(name: str | None, other: str | None) -> bool:
    """Tell whether two names, one of which may lack a part, can be one person's."""
    ours, theirs = _words(name), _words(other)
    return bool(ours and theirs) and (ours <= theirs or theirs <= ours)


def _words(name: str | None) -> frozenset[str]:
    plain = "".join(c for c in unicodedata.normalize("NFKD", name or "") if not unicodedata.combining(c))
    return frozenset(plain.casefold().replace("-", " ").replace(".", " ").split())


def _birth_date(row: CandidateRow) -> str | None:
    attributes = json.loads(row.attributes_json or "{}")
    return str(attributes.get(BIRTH_DATE)) if isinstance(attributes, dict) and BIRTH_DATE in attributes else None
