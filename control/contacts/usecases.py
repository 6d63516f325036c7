"""Creating, changing, deleting, erasing and backfilling contacts."""

from typing import cast
from uuid import UUID

from control import jobs
from control.contacts import carrierlookups
from control.retention import usecases as erasing
from control.retention.deletionlimits import ERASE
from hum import ids
from hum.contract.principal import Principal
from hum.v1 import contacts_pb2 as pb
from hum.v1 import events_pb2
from storage import contacts, events
from storage.contacts import BackfillRow, ContactRow
from storage.db import Tx


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


async def index_if_renamed(tx: Tx, org: UUID, before: ContactRow, after: ContactRow) -> None:
    """Enqueue the indexing of a contact's calls if its name or company has changed."""
    if (before.name, before.company) != (after.name, after.company):
        await jobs.enqueue(tx, carrierlookups.INDEX_CONTACT, org, after.id)


async def delete(tx: Tx, principal: Principal, id: UUID) -> None:
    await contacts.delete(tx, id)
    await events.append(tx, principal.org_id, id, events_pb2.ContactDeletedEvent(by=principal.name))


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
