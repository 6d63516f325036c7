"""Calls to numbers that text whoever reached nobody, and the texts that answer them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Tx

ANSWERED_BY_TEXT = """
    SELECT c.id, c.org_id FROM calls c JOIN numbers n ON n.id = c.number_id
     WHERE c.id = ANY ($1) AND n.missed_call_text IS NOT NULL
     ORDER BY c.org_id, c.id
"""
GET = """
    SELECT c.direction, c.origin, coalesce(c.end_reason, '') AS reason, c.ended_at, c.caller_verification, c.from_e164,
           n.id AS number_id, n.e164 AS number_e164, n.missed_call_text AS text, o.name AS organization,
           EXISTS (SELECT FROM call_turns t WHERE t.call_id = c.id AND t.role = 'caller' AND t.text <> '')
           OR EXISTS (SELECT FROM call_keypad_entries k WHERE k.call_id = c.id) AS was_heard,
           EXISTS (SELECT FROM voicemails v WHERE v.call_id = c.id) AS left_message,
           EXISTS (SELECT FROM transfers x WHERE x.call_id = c.id AND x.connected_at IS NOT NULL) AS was_taken,
           c.node IS NOT NULL AS has_process, c.untranscribed_ms
      FROM calls c JOIN numbers n ON n.id = c.number_id JOIN organizations o ON o.org_id = c.org_id
     WHERE c.id = $1 AND c.ended_at IS NOT NULL AND n.missed_call_text IS NOT NULL
"""
WAS_TEXTED = """
    SELECT EXISTS (SELECT FROM messages WHERE call_id = $1)
        OR EXISTS (SELECT FROM messages WHERE contact_e164 = $2 AND call_id IS NOT NULL AND created_at > $3)
"""
ADD_UNTRANSCRIBED = "UPDATE calls SET untranscribed_ms = untranscribed_ms + $2 WHERE id = $1"
SET_CALL = "UPDATE messages SET call_id = $2 WHERE id = $1"


@dataclass(frozen=True, slots=True)
class MissedCallRow:
    """An ended call to a number with a text for missed ones."""

    direction: str
    origin: str
    reason: str
    ended_at: datetime
    caller_verification: str | None
    from_e164: str
    number_id: UUID
    number_e164: str
    #: The number's template.
    text: str
    organization: str
    was_heard: bool
    left_message: bool
    was_taken: bool
    has_process: bool
    untranscribed_ms: int


async def answered_by_text(tx: Tx, calls: Sequence[UUID]) -> list[tuple[UUID, UUID]]:
    """Return those of these calls (id, organization) whose number has a text for missed ones.  Runs as the system."""
    return [(row["id"], row["org_id"]) for row in await tx.fetch(ANSWERED_BY_TEXT, calls)]


async def get(tx: Tx, call: UUID) -> MissedCallRow | None:
    """Return an ended call; None if it was deleted, or its number has no text for missed ones."""
    row = await tx.fetchrow(GET, call)
    return MissedCallRow(**row) if row else None


async def was_texted(tx: Tx, call: UUID, contact_e164: str, since: datetime) -> bool:
    """Return whether a text answers this call, or one since then another call of this contact."""
    return bool(await tx.fetchval(WAS_TEXTED, call, contact_e164, since))


async def set_call(tx: Tx, message: UUID, call: UUID) -> None:
    """Store which call a text answers."""
    await tx.execute(SET_CALL, message, call)


async def add_untranscribed(tx: Tx, call: UUID, ms: int) -> None:
    """Add to the time for which a call's caller spoke in turns whose transcript never came."""
    await tx.execute(ADD_UNTRANSCRIBED, call, ms)
