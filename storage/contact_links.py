"""Links between contacts that belong together: pairs without a direction, each stored once."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.db import Tx, unlimited

LINKED = """
    SELECT k.id, k.phone_e164, coalesce(k.name, k.caller_name) AS name, k.company
      FROM (SELECT second_id AS id FROM contact_links WHERE first_id = $1
            UNION ALL
            SELECT first_id FROM contact_links WHERE second_id = $1) AS linked
      JOIN contacts k ON k.id = linked.id
     ORDER BY k.id
"""
# In the order in which an import locks contacts.
LOCK = "SELECT id FROM contacts WHERE id = ANY ($1) ORDER BY phone_e164 FOR NO KEY UPDATE"
ADD = "INSERT INTO contact_links (org_id, first_id, second_id) VALUES (hum.org_id(), $1, $2) ON CONFLICT DO NOTHING"
COUNT = "SELECT count(*) FROM contact_links WHERE first_id = $1 OR second_id = $1"
REMOVE = "DELETE FROM contact_links WHERE first_id = $1 AND second_id = $2"


@dataclass(frozen=True, slots=True)
class LinkedContactRow:
    """A contact that belongs with another one."""

    id: UUID
    phone_e164: str
    name: str | None
    company: str | None


async def linked(tx: Tx, contact: UUID) -> list[LinkedContactRow]:
    """Return the contacts that are linked to a contact, oldest first."""
    return [LinkedContactRow(**row) for row in await tx.fetch(LINKED, contact)]


async def lock(tx: Tx, contacts: Sequence[UUID]) -> int:
    """Lock contacts, so that their links don't change; return how many the transaction sees."""
    return len(await tx.fetch(LOCK, contacts))


async def count(tx: Tx, contact: UUID) -> int:
    """Return how many links a contact has, those that a limited member doesn't see among them."""
    async with unlimited(tx):
        return int(await tx.fetchval(COUNT, contact))


async def add(tx: Tx, one: UUID, other: UUID) -> None:
    await tx.execute(ADD, *sorted((one, other)))


async def remove(tx: Tx, one: UUID, other: UUID) -> bool:
    """Delete a link; return whether there was one."""
    return await tx.execute(REMOVE, *sorted((one, other))) != "DELETE 0"
