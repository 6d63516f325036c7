"""Review: tags and notes on calls, and the blocklist."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from hum import ids
from hum.errors import NotFound
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import events
from storage.db import Tx

TAGS = "SELECT tag FROM call_tags WHERE call_id = $1 ORDER BY tag"
ADD_TAG = """
    INSERT INTO call_tags (org_id, call_id, tag, called_at) SELECT org_id, id, $2, created_at FROM calls WHERE id = $1
    ON CONFLICT DO NOTHING
"""
REMOVE_TAG = "DELETE FROM call_tags WHERE call_id = $1 AND tag = $2"
NOTES = """
    SELECT id, body, author, created_at, updated_at
      FROM call_notes
     WHERE call_id = $1 AND id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC
     LIMIT $3
"""
ADD_NOTE = """
    INSERT INTO call_notes (id, org_id, call_id, body, author) VALUES ($1, hum.org_id(), $2, $3, $4)
    RETURNING id, body, author, created_at, updated_at
"""
CHANGE_NOTE = """
    UPDATE call_notes SET body = $3, updated_at = now() WHERE call_id = $1 AND id = $2
    RETURNING id, body, author, created_at, updated_at
"""
DELETE_NOTE = "DELETE FROM call_notes WHERE call_id = $1 AND id = $2"
BLOCKED = """
    SELECT phone_e164, reason, created_at
      FROM blocklist
     WHERE (created_at, phone_e164) < (coalesce($1::timestamptz, 'infinity'), coalesce($2::text, ''))
        OR $1::timestamptz IS NULL
     ORDER BY created_at DESC, phone_e164 DESC
     LIMIT $3
"""
BLOCK = """
    INSERT INTO blocklist (org_id, phone_e164, reason) VALUES (hum.org_id(), $1, $2)
    ON CONFLICT (org_id, phone_e164) DO UPDATE SET reason = coalesce(excluded.reason, blocklist.reason)
    RETURNING phone_e164, reason, created_at
"""
VOICEMAIL = """
    SELECT v.id, v.call_id, c.from_e164, c.to_e164, c.contact_id, k.name AS contact_name, v.audio_path, v.duration_ms,
           v.transcript, v.heard_at, v.heard_by, v.created_at
      FROM voicemails v
      JOIN calls c ON c.id = v.call_id
      LEFT JOIN contacts k ON k.id = c.contact_id
"""
GET_VOICEMAIL = VOICEMAIL + " WHERE v.id = $1"
VOICEMAIL_OF = VOICEMAIL + " WHERE v.call_id = $1"
BELOW = "v.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY v.id DESC LIMIT $2"
VOICEMAILS = f"{VOICEMAIL} WHERE {BELOW}"
UNHEARD_VOICEMAILS = f"{VOICEMAIL} WHERE v.heard_at IS NULL AND {BELOW}"
HEARD_VOICEMAILS = f"{VOICEMAIL} WHERE v.heard_at IS NOT NULL AND {BELOW}"
ADD_VOICEMAIL = """
    INSERT INTO voicemails (id, org_id, call_id, audio_path, duration_ms) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (call_id) DO NOTHING
"""
WRITE_DOWN = "UPDATE voicemails SET transcript = $2 WHERE call_id = $1"
MARK_HEARD = """
    UPDATE voicemails
       SET heard_at = CASE WHEN $2 THEN coalesce(heard_at, now()) END, heard_by = CASE WHEN $2 THEN coalesce(heard_by, $3) END
     WHERE id = $1
"""
UNBLOCK = "DELETE FROM blocklist WHERE phone_e164 = $1"


@dataclass(frozen=True, slots=True)
class NoteRow:
    id: UUID
    body: str
    author: str
    created_at: datetime
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class BlockedRow:
    phone_e164: str
    reason: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class VoicemailRow:
    """What a caller left; `audio_path` is a WAV file in the recordings folder."""

    id: UUID
    call_id: UUID
    from_e164: str
    to_e164: str
    contact_id: UUID | None
    contact_name: str | None
    audio_path: str
    duration_ms: int
    transcript: str | None
    heard_at: datetime | None
    heard_by: str | None
    created_at: datetime


async def tags(tx: Tx, call: UUID) -> list[str]:
    return [row["tag"] for row in await tx.fetch(TAGS, call)]


async def add_tag(tx: Tx, call: UUID, tag: str) -> bool:
    """False when it was there already."""
    return bool(await tx.execute(ADD_TAG, call, tag) == "INSERT 0 1")


async def remove_tag(tx: Tx, call: UUID, tag: str) -> None:
    """Raises NotFound."""
    if await tx.execute(REMOVE_TAG, call, tag) == "DELETE 0":
        raise NotFound("The call has no such tag.")


async def notes(tx: Tx, call: UUID, before: UUID | None, limit: int) -> list[NoteRow]:
    """Newest first, below `before`."""
    return [NoteRow(**row) for row in await tx.fetch(NOTES, call, before, limit)]


async def add_note(tx: Tx, id: UUID, call: UUID, body: str, author: str) -> NoteRow:
    return _note(await tx.fetchrow(ADD_NOTE, id, call, body, author))


async def change_note(tx: Tx, call: UUID, id: UUID, body: str) -> NoteRow:
    """Raises NotFound."""
    return _note(await tx.fetchrow(CHANGE_NOTE, call, id, body))


async def delete_note(tx: Tx, call: UUID, id: UUID) -> None:
    """Raises NotFound."""
    if await tx.execute(DELETE_NOTE, call, id) == "DELETE 0":
        raise NotFound("The call has no such note.")


def _note(row: asyncpg.Record | None) -> NoteRow:
    if row is None:
        raise NotFound("The call has no such note.")
    return NoteRow(**row)


async def blocked(tx: Tx, before: tuple[datetime, str] | None, limit: int) -> list[BlockedRow]:
    """Newest first, below `before`."""
    return [BlockedRow(**row) for row in await tx.fetch(BLOCKED, before and before[0], before and before[1], limit)]


async def block(tx: Tx, phone_e164: str, reason: str | None) -> BlockedRow:
    row = await tx.fetchrow(BLOCK, phone_e164, reason)
    assert row is not None
    return BlockedRow(**row)


async def unblock(tx: Tx, phone_e164: str) -> None:
    """Raises NotFound."""
    if await tx.execute(UNBLOCK, phone_e164) == "DELETE 0":
        raise NotFound("This number is not blocked.")


# --- voicemails ---------------------------------------------------------------------------------------------------


async def add_voicemail(tx: Tx, id: UUID, org: UUID, call: UUID, audio_path: str, duration_ms: int) -> bool:
    """Store a call's voicemail, once for each call, with its event; False when it was stored already."""
    if await tx.execute(ADD_VOICEMAIL, id, org, call, audio_path, duration_ms) == "INSERT 0 0":
        return False
    received = events_pb2.VoicemailReceivedEvent(
        voicemail_id=ids.show(Kind.VOICEMAIL, id), call_id=ids.show(Kind.CALL, call), duration_ms=duration_ms
    )
    await events.append(tx, org, id, received)
    return True


async def write_down(tx: Tx, call: UUID, transcript: str) -> None:
    """Store the transcript of a call's voicemail."""
    await tx.execute(WRITE_DOWN, call, transcript)


async def voicemails(tx: Tx, heard: bool | None, before: UUID | None, limit: int) -> list[VoicemailRow]:
    """Newest first, below `before`; all, or those that were heard, or those that were not."""
    statement = {None: VOICEMAILS, True: HEARD_VOICEMAILS, False: UNHEARD_VOICEMAILS}[heard]
    return [VoicemailRow(**row) for row in await tx.fetch(statement, before, limit)]


async def voicemail(tx: Tx, id: UUID) -> VoicemailRow:
    """Raises NotFound."""
    row = await tx.fetchrow(GET_VOICEMAIL, id)
    if row is None:
        raise NotFound("There is no such voicemail.")
    return VoicemailRow(**row)


async def voicemail_of(tx: Tx, call: UUID) -> VoicemailRow | None:
    """The voicemail of a call, if there is one."""
    row = await tx.fetchrow(VOICEMAIL_OF, call)
    return VoicemailRow(**row) if row else None


async def mark_heard(tx: Tx, id: UUID, by: str, *, heard: bool) -> VoicemailRow:
    """Mark a voicemail as heard, or as not heard; the first to mark it as heard stays recorded.  Raises NotFound."""
    await tx.execute(MARK_HEARD, id, heard, by)
    return await voicemail(tx, id)
