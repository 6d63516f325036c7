"""Flows and campaigns by the beginnings of the words of their names: an organization has few enough of them for no index."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from storage.db import Tx

# Each word of the text begins a word of the name: both are letters and digits alone, so that nothing in them is a pattern's.  The
# first of them is looked for in the whole name before, which costs little.
HAS_WORDS = """
    strpos(hum.folded({name}), (hum.words_of($1))[1]) > 0 AND NOT EXISTS (SELECT FROM unnest(hum.words_of($1)) AS wanted (word)
                 WHERE NOT EXISTS (SELECT FROM unnest(hum.words_of({name})) AS has (word) WHERE starts_with(has.word, wanted.word)))
"""
FLOWS = f"""
    SELECT f.id, v.definition ->> 'name' AS name, f.channel AS status
      FROM flows f JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.deleted_at IS NULL AND {HAS_WORDS.format(name="v.definition ->> 'name'")}
     ORDER BY f.id DESC
     LIMIT $2
"""
# Of the latest thousands: older ones are found in their list.
CAMPAIGNS = f"""
    SELECT c.id, c.name, c.status
      FROM (SELECT id, name, status FROM campaigns ORDER BY id DESC LIMIT 2000) c
     WHERE {HAS_WORDS.format(name="c.name")}
     ORDER BY c.id DESC
     LIMIT $2
"""


@dataclass(frozen=True, slots=True)
class NamedRow:
    """A thing with a name; `status` is a flow's channel, or a campaign's status."""

    id: UUID
    name: str
    status: str


async def flows(tx: Tx, text: str, limit: int) -> Sequence[NamedRow]:
    """Return flows whose names have words that begin like all of those of `text`, newest first."""
    return [NamedRow(**row) for row in await tx.fetch(FLOWS, text, limit)]


async def campaigns(tx: Tx, text: str, limit: int) -> Sequence[NamedRow]:
    """Return campaigns whose names have words that begin like all of those of `text`, newest first."""
    return [NamedRow(**row) for row in await tx.fetch(CAMPAIGNS, text, limit)]
