"""Creating, changing, tagging, deleting, erasing and backfilling contacts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID

from control import jobs
from control.contacts import carrierlookups
from control.retention import usecases as erasing
from control.retention.deletionlimits import ERASE
from hum import ids
from hum.clock import now
from hum.contract.errors import InvalidState, PlanLimit
from hum.contract.principal import Principal
from hum.v1 import contacts_pb2 as pb
from hum.v1 import events_pb2
from storage import contact_tags, contacts, events
from storage.contacts import BackfillRow, ContactRow
from storage.db import Tx
from storage.events import NewEvent

#: As the contract bounds the tags of a contact.
MOST_TAGS = 50


@dataclass(frozen=True, slots=True)
class Tagging:
    """What a change of a tag did: the contacts that it changed, saw, and passed over because they have no place for the tag."""

    changed: Sequence[UUID]
    seen: frozenset[UUID]
    full: Sequence[UUID]


async def create(tx: Tx, principal: Principal, contact: pb.Contact) -> ContactRow:
    """Create a contact with a user's values.  Raises AlreadyExists."""
    fields = {name: value for name in contacts.SOURCED if (value := _value(contact, name)) is not None}
    row = await contacts.create(
        tx, ids.new(), contact.phone_e164, fields, _notes(contact), list(dict.fromkeys(contact.tags))
    )
    await events.append(tx, principal.org_id, row.id, events_pb2.ContactCreatedEvent(by=principal.name))
    return row


async def change(tx: Tx, principal: Principal, id: UUID, contact: pb.Contact, paths: list[str]) -> ContactRow:
    """Set the fields in `paths` to a user's values; clear those that are unset in `contact`."""
    before = await contacts.get(tx, id, lock=True)
    names = paths or [field.name for field, _ in contact.ListFields()]
    row = await contacts.change(
        tx,
        id,
        {name: _value(contact, name) for name in contacts.SOURCED if name in names},
        _notes(contact) if "notes" in names else before.notes,
        list(contact.tags) if "tags" in names else before.tags,
    )
    await events.append(tx, principal.org_id, id, events_pb2.ContactUpdatedEvent(by=principal.name))
    await index_if_renamed(tx, principal.org_id, before, row)
    return row


async def change_tag(tx: Tx, principal: Principal, contact_ids: Sequence[UUID], tag: str, *, remove: bool) -> Tagging:
    """Add a tag to those of these contacts that lack it, or take it from those that have it."""
    rows = await contact_tags.lock(tx, contact_ids)
    pending = [row for row in rows if (tag in row.tags) == remove]
    full = [] if remove else [row.id for row in pending if len(row.tags) >= MOST_TAGS]
    changed = [row.id for row in pending if row.id not in full]
    await (contact_tags.remove if remove else contact_tags.add)(tx, changed, tag)
    updated = events_pb2.ContactUpdatedEvent(by=principal.name)
    await events.append_all(tx, [NewEvent(principal.org_id, id, updated) for id in changed])
    return Tagging(changed, frozenset(row.id for row in rows), full)


async def index_if_renamed(tx: Tx, org: UUID, before: ContactRow, after: ContactRow) -> None:
    """Enqueue the indexing of a contact's calls if its name or company has changed."""
    if (before.name, before.company) != (after.name, after.company):
        await jobs.enqueue(tx, carrierlookups.INDEX_CONTACT, org, after.id)


async def delete(tx: Tx, principal: Principal, id: UUID) -> None:
    await contacts.delete(tx, id)
    await events.append(tx, principal.org_id, id, events_pb2.ContactDeletedEvent(by=principal.name))


async def look_up_again(tx: Tx, principal: Principal, id: UUID, keep: timedelta, most_a_day: int) -> ContactRow:
    """Enqueue a carrier lookup of a contact whose last one is old or failed; `keep`, `most_a_day`: as of lookups of callers.

    Raises NotFound, InvalidState, PlanLimit.
    """
    row = await contacts.get(tx, id)
    again = min(keep, carrierlookups.AGAIN_AFTER)
    if not again:
        raise InvalidState("Contacts are not looked up at the carrier here.")
    if not carrierlookups.is_lookup_due(row.looked_up_at, now(), again):
        raise InvalidState("The contact was looked up within the last day; what the carrier says is new.")
    if (made := await contacts.count_lookups(tx)) >= most_a_day:
        raise PlanLimit(
            f"The organization has made {made} look-ups today, which is the limit; ask again after midnight UTC."
        )
    await jobs.enqueue(tx, carrierlookups.LOOK_UP_AGAIN, principal.org_id, id)
    return row


async def erase(tx: Tx, principal: Principal, id: UUID) -> None:
    """Delete a contact and everything stored about it.  Raises NotFound, InvalidState."""
    erasure = await erasing.begin_of_contact(tx, id)
    await events.append(tx, principal.org_id, id, events_pb2.ContactDeletedEvent(by=principal.name))
    if erasure is not None:
        await jobs.enqueue(tx, ERASE, principal.org_id, erasure.id)


async def begin_backfill(tx: Tx, principal: Principal, *, lookup: bool) -> BackfillRow:
    """Begin a backfill, or return the one that is running; enqueue its job either way."""
    row = await contacts.begin_backfill(tx, ids.new(), lookup=lookup)
    await jobs.enqueue(tx, carrierlookups.BACKFILL_CONTACTS, principal.org_id, row.id)
    return row


def _value(contact: pb.Contact, name: str) -> str | None:
    return cast("str", getattr(contact, name)) if contact.HasField(name) else None  # type: ignore[arg-type]  # a field


def _notes(contact: pb.Contact) -> str | None:
    return contact.notes if contact.HasField("notes") else None
