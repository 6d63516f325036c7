"""Tags of several contacts at once; `contacts` changes those of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.db import Tx

# Locked in the order in which an import locks them.
LOCK = "SELECT id, tags FROM contacts WHERE id = ANY ($1) ORDER BY phone_e164 FOR NO KEY UPDATE"
ADD = "UPDATE contacts SET tags = array_append(tags, $2), updated_at = now() WHERE id = ANY ($1)"
REMOVE = "UPDATE contacts SET tags = array_remove(tags, $2), updated_at = now() WHERE id = ANY ($1)"


@dataclass(frozen=True, slots=True)
class TaggedContactRow:
    """A contact's tags."""

    id: UUID
    tags: list[str]


async def lock(tx: Tx, ids: Sequence[UUID]) -> list[TaggedContactRow]:
    """Lock those of these contacts that the transaction sees."""
    return [TaggedContactRow(**row) for row in await tx.fetch(LOCK, ids)]


async def add(tx: Tx, ids: Sequence[UUID], tag: str) -> None:
    await tx.execute(ADD, ids, tag)


async def remove(tx: Tx, ids: Sequence[UUID], tag: str) -> None:
    await tx.execute(REMOVE, ids, tag)
