"""Links between contacts that belong together."""

from uuid import UUID

from hum.contract.errors import FieldError, InvalidRequest, NotFound, PlanLimit
from hum.contract.principal import Principal
from hum.v1 import events_pb2
from storage import contact_links, events
from storage.contact_links import LinkedContactRow
from storage.db import Tx
from storage.events import NewEvent

MOST_LINKS = 20


async def link(tx: Tx, principal: Principal, contact: UUID, other: UUID) -> list[LinkedContactRow]:
    """Link two contacts, unless they are linked; return those that are linked to the first.

    Raises InvalidRequest, NotFound, PlanLimit.
    """
    if contact == other:
        raise InvalidRequest([FieldError("linked_id", "must be another contact")])
    await _lock(tx, contact, other)
    before = await contact_links.linked(tx, contact)
    if other in (row.id for row in before):
        return before
    # The refusal says neither how many there are nor of which contact: a limited member may not see them.
    if any([await contact_links.count(tx, id) >= MOST_LINKS for id in (contact, other)]):
        raise PlanLimit(f"A contact has at most {MOST_LINKS} links; remove one first.")
    await contact_links.add(tx, contact, other)
    await _append(tx, principal, contact, other)
    return await contact_links.linked(tx, contact)


async def unlink(tx: Tx, principal: Principal, contact: UUID, other: UUID) -> None:
    """Delete the link between two contacts.  Raises NotFound."""
    await _lock(tx, contact, other)
    if not await contact_links.remove(tx, contact, other):
        raise NotFound("These contacts are not linked.")
    await _append(tx, principal, contact, other)


async def _lock(tx: Tx, *contacts: UUID) -> None:
    if await contact_links.lock(tx, contacts) < len(contacts):
        raise NotFound("There is no such contact.")


async def _append(tx: Tx, principal: Principal, *contacts: UUID) -> None:
    updated = events_pb2.ContactUpdatedEvent(by=principal.name)
    await events.append_all(tx, [NewEvent(principal.org_id, contact, updated) for contact in contacts])
