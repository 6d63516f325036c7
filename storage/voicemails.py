"""Voicemails: callers' messages, and the files that mailboxes are writing.

A deleted voicemail is hidden from clients; its row is deleted with its files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hum import ids
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import events, largerows
from storage.db import Tx

VOICEMAIL = """
    SELECT v.id, v.call_id, c.from_e164, c.to_e164, c.contact_id, k.name AS contact_name, v.audio_path, v.duration_ms,
           v.transcript, v.heard_at, v.heard_by, v.created_at
      FROM voicemails v
      JOIN calls c ON c.id = v.call_id
      LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE v.deleted_at IS NULL
"""
GET = VOICEMAIL + " AND v.id = $1"
OF_CALL = VOICEMAIL + " AND v.call_id = $1"
BY_IDS = VOICEMAIL + " AND v.id = ANY ($1)"
BELOW = "v.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY v.id DESC LIMIT $2"
PAGE, PAGE_UNHEARD, PAGE_HEARD = (
    largerows.page(f"{VOICEMAIL} {which} AND {BELOW}", ["transcript"], "id DESC")
    for which in ("", "AND v.heard_at IS NULL", "AND v.heard_at IS NOT NULL")
)
ADD = """
    INSERT INTO voicemails (id, org_id, call_id, audio_path, duration_ms) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (call_id) DO NOTHING
"""
GROW = """
    UPDATE voicemails SET audio_path = $2, duration_ms = $3, transcript = NULL
     WHERE call_id = $1 AND deleted_at IS NULL AND (audio_path, duration_ms) <> ($2, $3)
    RETURNING id
"""
SET_TRANSCRIPT = """
    UPDATE voicemails SET transcript = $2
     WHERE id = $1 AND audio_path = $3 AND transcript IS NULL AND deleted_at IS NULL
    RETURNING call_id
"""
FAIL = "UPDATE voicemails SET transcription_failed = true WHERE id = $1 AND NOT transcription_failed RETURNING call_id"
AUDIO = """
    SELECT v.call_id, v.audio_path, v.created_at, v.transcript IS NOT NULL AS transcribed, v.deleted_at IS NOT NULL AS deleted,
           f.definition ->> 'language' AS language
      FROM voicemails v
      JOIN calls c ON c.id = v.call_id
      LEFT JOIN flow_versions f ON f.flow_id = coalesce(c.agent_flow_id, c.flow_id)
                               AND f.version = coalesce(c.agent_flow_version, c.flow_version)
     WHERE v.id = $1
"""
MARK_HEARD = """
    UPDATE voicemails
       SET heard_at = CASE WHEN $2 THEN coalesce(heard_at, now()) END, heard_by = CASE WHEN $2 THEN coalesce(heard_by, $3) END
     WHERE id = $1
"""
DELETE = (
    "UPDATE voicemails SET deleted_at = now(), transcript = NULL WHERE id = $1 AND deleted_at IS NULL RETURNING call_id"
)
DELETE_ROW = "DELETE FROM voicemails WHERE id = $1"

# --- messages, as they are written
BEGIN_PART = """
    INSERT INTO message_parts (org_id, call_id, stream_number, audio_path) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
END_PART = "UPDATE message_parts SET whole = true WHERE call_id = $1 AND stream_number = $2"
DROP_PART = "DELETE FROM message_parts WHERE call_id = $1 AND stream_number = $2"
PARTS = """
    SELECT p.audio_path, p.whole, c.ended_at FROM message_parts p JOIN calls c ON c.id = p.call_id
     WHERE p.call_id = $1 ORDER BY p.stream_number
"""
HAS_PARTS = "SELECT EXISTS (SELECT FROM message_parts WHERE call_id = $1)"
DROP_PARTS = "DELETE FROM message_parts WHERE call_id = $1"
# A call's message as its summary needs it: the summary waits for one that is not stored or transcribed yet.
MESSAGE = """
    SELECT v.id IS NOT NULL AS stored, v.transcript, coalesce(v.transcription_failed, false) AS failed
      FROM calls c
      LEFT JOIN voicemails v ON v.call_id = c.id
     WHERE c.id = $1 AND v.deleted_at IS NULL
       AND (v.id IS NOT NULL OR EXISTS (SELECT FROM message_parts p WHERE p.call_id = c.id))
"""


@dataclass(frozen=True, slots=True)
class VoicemailRow:
    """A caller's message; `audio_path` is a WAV file in the recordings folder."""

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
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class AudioRow:
    call_id: UUID
    audio_path: str
    created_at: datetime
    transcribed: bool
    deleted: bool
    #: The language of the call's flow, BCP 47.
    language: str | None


@dataclass(frozen=True, slots=True)
class PartRow:
    audio_path: str
    #: Its stream has reported the end of the message.
    whole: bool
    #: When its call ended; None: the call is live.
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class VoicemailStateRow:
    """The state of a call's message."""

    stored: bool
    transcript: str | None
    failed: bool

    @property
    def is_awaited(self) -> bool:
        """Whether its transcript is still expected."""
        return self.transcript is None and not self.failed


async def upsert(tx: Tx, id: UUID, org: UUID, call: UUID, audio_path: str, duration_ms: int) -> UUID | None:
    """Store a call's voicemail, with its event, or its longer audio; return its id, or None if nothing has changed."""
    if await tx.execute(ADD, id, org, call, audio_path, duration_ms) == "INSERT 0 0":
        changed: UUID | None = await tx.fetchval(GROW, call, audio_path, duration_ms)
        return changed
    received = events_pb2.VoicemailReceivedEvent(
        voicemail_id=ids.show(Kind.VOICEMAIL, id), call_id=ids.show(Kind.CALL, call), duration_ms=duration_ms
    )
    await events.append(tx, org, id, received)
    return id


async def store_transcript(tx: Tx, org: UUID, id: UUID, audio_path: str, transcript: str) -> UUID | None:
    """Store the transcript of this audio, once, with its event; return the call, or None if it is no longer awaited."""
    call: UUID | None = await tx.fetchval(SET_TRANSCRIPT, id, transcript, audio_path)
    if call is not None:
        transcribed = events_pb2.VoicemailTranscribedEvent(
            voicemail_id=ids.show(Kind.VOICEMAIL, id), call_id=ids.show(Kind.CALL, call), transcript=transcript
        )
        await events.append(tx, org, id, transcribed)
    return call


async def fail(tx: Tx, id: UUID) -> UUID | None:
    """Record that the transcription has failed; return the call, the first time only."""
    call: UUID | None = await tx.fetchval(FAIL, id)
    return call


async def audio(tx: Tx, id: UUID) -> AudioRow | None:
    """Return the audio of a voicemail, deleted or not."""
    row = await tx.fetchrow(AUDIO, id)
    return AudioRow(**row) if row else None


async def page(tx: Tx, heard: bool | None, before: UUID | None, limit: int) -> list[VoicemailRow]:
    """Return voicemails newest first, below `before`: all (None), heard ones or unheard ones."""
    statement = {None: PAGE, True: PAGE_HEARD, False: PAGE_UNHEARD}[heard]
    return [VoicemailRow(**row) for row in await tx.fetch(statement, before, limit)]


async def get_many(tx: Tx, ids: Sequence[UUID]) -> list[VoicemailRow]:
    """Return those of these voicemails that exist."""
    return [VoicemailRow(**row) for row in await tx.fetch(BY_IDS, ids)]


async def get(tx: Tx, id: UUID) -> VoicemailRow:
    """Return a voicemail.  Raises NotFound."""
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound("There is no such voicemail.")
    return VoicemailRow(**row)


async def of_call(tx: Tx, call: UUID) -> VoicemailRow | None:
    """Return the voicemail of a call, or None."""
    row = await tx.fetchrow(OF_CALL, call)
    return VoicemailRow(**row) if row else None


async def mark_heard(tx: Tx, id: UUID, by: str, *, heard: bool) -> VoicemailRow:
    """Mark a voicemail as heard or unheard; the first person to hear it stays recorded.  Raises NotFound."""
    await tx.execute(MARK_HEARD, id, heard, by)
    return await get(tx, id)


async def delete(tx: Tx, id: UUID) -> UUID:
    """Delete a voicemail for its organization, but not its files yet; return the call.  Raises NotFound."""
    call: UUID | None = await tx.fetchval(DELETE, id)
    if call is None:
        raise NotFound("There is no such voicemail.")
    return call


async def delete_rows(tx: Tx, id: UUID, call: UUID) -> None:
    """Delete the rows of a deleted voicemail, after its files."""
    await tx.execute(DROP_PARTS, call)
    await tx.execute(DELETE_ROW, id)


# --- messages, as they are written --------------------------------------------------------------------------------


async def begin_part(tx: Tx, org: UUID, call: UUID, stream_number: int, audio_path: str) -> None:
    """Record that a stream of the call writes a message to this file."""
    await tx.execute(BEGIN_PART, org, call, stream_number, audio_path)


async def end_part(tx: Tx, call: UUID, stream_number: int) -> None:
    """Record that the file is complete."""
    await tx.execute(END_PART, call, stream_number)


async def drop_part(tx: Tx, call: UUID, stream_number: int) -> None:
    """Delete the row of a stream that wrote no message and no file."""
    await tx.execute(DROP_PART, call, stream_number)


async def parts(tx: Tx, call: UUID) -> list[PartRow]:
    """Return the files of a call's message, in order."""
    return [PartRow(**row) for row in await tx.fetch(PARTS, call)]


async def has_parts(tx: Tx, call: UUID) -> bool:
    return bool(await tx.fetchval(HAS_PARTS, call))


async def drop_parts(tx: Tx, call: UUID) -> None:
    """Delete the rows of files without a message."""
    await tx.execute(DROP_PARTS, call)


async def message(tx: Tx, call: UUID) -> VoicemailStateRow | None:
    """Return a call's message, if there is one or will be."""
    row = await tx.fetchrow(MESSAGE, call)
    return VoicemailStateRow(**row) if row else None
