"""Messages of conversations, as they are stored and shown.  How outbound ones reach the carrier is in `storage.sends`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from hum.contract.errors import NotFound
from storage.db import Tx

COLUMNS = """
    m.id, m.org_id, m.conversation_id, m.direction, m.number_e164, m.contact_e164, m.body, m.status, m.error_code,
    m.segments, m.carrier_sid, m.sent_by, m.source, m.author_id, m.scheduled_at, m.expires_at, m.honors_hours, m.held_by,
    m.lane, m.due_at, m.run_id, m.campaign_id, m.recipient_id, m.created_at, m.sent_at, m.delivered_at,
    coalesce((SELECT json_agg(json_build_object('index', a.index, 'url', a.url, 'content_type', a.content_type,
                                                'status', a.status, 'size_bytes', a.size_bytes) ORDER BY a.index)
                FROM message_media a WHERE a.message_id = m.id), '[]') AS media
"""
GET = f"SELECT {COLUMNS} FROM messages m WHERE m.id = $1"
WRITE = """
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, error_code,
                          segments, sent_by, source, author_id, scheduled_at, expires_at, honors_hours, held_by, lane,
                          due_at, run_id, campaign_id, recipient_id)
    SELECT id, org, conversation, 'outbound', number, contact, body, status, error_code, segments, sent_by, source, author,
           scheduled_at, expires_at, honors_hours, held_by, lane, due_at, run, campaign, recipient
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::integer[],
                  $10::text[], $11::text[], $12::uuid[], $13::timestamptz[], $14::timestamptz[], $15::boolean[], $16::text[],
                  $17::smallint[], $18::timestamptz[], $19::uuid[], $20::uuid[], $21::uuid[])
           WITH ORDINALITY AS each (id, org, conversation, number, contact, body, status, error_code, segments, sent_by, source, author,
                                    scheduled_at, expires_at, honors_hours, held_by, lane, due_at, run, campaign, recipient, place)
     ORDER BY place
"""
ADD_MEDIA = """
    INSERT INTO message_media (message_id, index, org_id, url, content_type, status)
    SELECT $1, index - 1, $2, url, type, $5 FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS given (url, type, index)
"""
RECEIVE = """
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments,
                          carrier_sid, created_at)
    VALUES ($1, $2, $3, 'inbound', $4, $5, $6, 'received', $7, $8, coalesce($9, clock_timestamp()))
    ON CONFLICT (carrier_sid) WHERE direction = 'inbound' DO NOTHING
"""
RECEIVE_ALL = """
    INSERT INTO messages (id, org_id, conversation_id, direction, number_e164, contact_e164, body, status, segments, carrier_sid)
    SELECT id, $1, conversation, 'inbound', $2, contact, body, 'received', segments, sid
      FROM unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::integer[], $8::text[])
           WITH ORDINALITY AS each (id, conversation, contact, body, segments, sid, place)
     ORDER BY place
    ON CONFLICT (carrier_sid) WHERE direction = 'inbound' DO NOTHING
    RETURNING id
"""
FIRST_OF = """
    SELECT id FROM unnest($1::uuid[]) AS given (id) WHERE NOT EXISTS (SELECT FROM messages WHERE conversation_id = given.id)
"""
IS_FIRST = "SELECT NOT EXISTS (SELECT FROM messages WHERE conversation_id = $1)"
# The current facts that decide whether and when a text may go to this contact from this number.
_RULES = """
    SELECT o.time_zone, o.business_hours_json, o.quiet_hours_enabled, o.recipient_hours_enabled, c.status = 'closed' AS closed,
           coalesce(x.opted_out, false) AS opted_out, n.status = 'active' AS number_active, n.sms_enabled,
           n.capabilities, coalesce(n.account_sid, '') AS account, c.contact_e164, c.last_inbound_at
      FROM conversations c
      JOIN organizations o ON o.org_id = c.org_id
      LEFT JOIN numbers n ON n.id = c.number_id
      LEFT JOIN opt_outs x ON x.org_id = c.org_id AND x.contact_e164 = c.contact_e164
"""
RULES = f"{_RULES} WHERE c.id = $1"
# The same for a contact without a conversation, as far as it decides when.
RULES_FOR = """
    SELECT o.time_zone, o.business_hours_json, o.quiet_hours_enabled, o.recipient_hours_enabled, false AS closed,
           false AS opted_out, NULL::boolean AS number_active, NULL::boolean AS sms_enabled, NULL::text[] AS capabilities,
           '' AS account, $2::text AS contact_e164,
           (SELECT max(last_inbound_at) FROM conversations c WHERE c.org_id = o.org_id AND c.contact_e164 = $2) AS last_inbound_at
      FROM organizations o
     WHERE o.org_id = $1
"""
RULES_OF = f"SELECT c.id, {_RULES.strip().removeprefix('SELECT')} WHERE c.id = ANY ($1)"


@dataclass(frozen=True, slots=True)
class MessageRow:
    id: UUID
    org_id: UUID
    conversation_id: UUID
    direction: str
    number_e164: str
    contact_e164: str
    body: str
    status: str
    error_code: str | None
    segments: int
    carrier_sid: str | None
    sent_by: str | None
    source: str | None
    author_id: UUID | None
    scheduled_at: datetime | None
    expires_at: datetime | None
    honors_hours: bool
    held_by: str | None
    lane: int
    due_at: datetime | None
    run_id: UUID | None
    campaign_id: UUID | None
    recipient_id: UUID | None
    created_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None
    media: list[dict[str, Any]]
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class RulesRow:
    """The facts that the sending rules check: of the organization, the thread, its number and its contact."""

    time_zone: str
    business_hours_json: str | None
    quiet_hours_enabled: bool
    recipient_hours_enabled: bool
    closed: bool
    opted_out: bool
    #: None: the organization no longer has the number.
    number_active: bool | None
    sms_enabled: bool | None
    capabilities: Sequence[str] | None
    #: The carrier account that holds the number; empty: ours.
    account: str
    contact_e164: str
    last_inbound_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """An outbound message, as it is stored."""

    id: UUID
    org_id: UUID
    conversation_id: UUID
    number_e164: str
    contact_e164: str
    body: str
    status: str
    error_code: str | None
    segments: int
    sent_by: str
    source: str | None
    author_id: UUID | None
    scheduled_at: datetime | None
    expires_at: datetime | None
    honors_hours: bool
    held_by: str | None
    lane: int
    due_at: datetime | None
    run_id: UUID | None
    campaign_id: UUID | None
    recipient_id: UUID | None


async def get(tx: Tx, id: UUID) -> MessageRow:
    """Return a message.  Raises NotFound."""
    row = await tx.fetchrow(GET, id)
    if row is None:
        raise NotFound
    return read(row)


def read(row: asyncpg.Record) -> MessageRow:
    """Return the message from a row of `COLUMNS`."""
    return MessageRow(**{**row, "media": json.loads(row["media"])})


async def write(tx: Tx, new: NewMessage, media_urls: Sequence[str]) -> MessageRow:
    """Store an outbound message in a locked conversation."""
    await write_all(tx, [(new, media_urls)])
    return await get(tx, new.id)


async def write_all(tx: Tx, new_messages: Sequence[tuple[NewMessage, Sequence[str]]]) -> None:
    """Store outbound messages with their media's URLs, in locked conversations."""
    columns = zip(*(_values(new) for new, _ in new_messages), strict=True)
    await tx.execute(WRITE, *(list(column) for column in columns))
    for new, media_urls in new_messages:
        if media_urls:
            await tx.execute(ADD_MEDIA, new.id, new.org_id, media_urls, [""] * len(media_urls), "given")


def _values(new: NewMessage) -> tuple[object, ...]:
    """Return the values in the order of `WRITE`."""
    return (
        new.id,
        new.org_id,
        new.conversation_id,
        new.number_e164,
        new.contact_e164,
        new.body,
        new.status,
        new.error_code,
        new.segments,
        new.sent_by,
        new.source,
        new.author_id,
        new.scheduled_at,
        new.expires_at,
        new.honors_hours,
        new.held_by,
        new.lane,
        new.due_at,
        new.run_id,
        new.campaign_id,
        new.recipient_id,
    )


async def receive(
    tx: Tx,
    id: UUID,
    org: UUID,
    conversation: UUID,
    number_e164: str,
    contact_e164: str,
    body: str,
    segments: int,
    carrier_sid: str,
    media: Sequence[tuple[str, str]],
    at: datetime | None = None,
) -> bool:
    """Store an inbound message, once; return False if it was stored before.

    `media`: the carrier's URL and content type of each file; `at`: when the message arrived, if not now.
    """
    values = (id, org, conversation, number_e164, contact_e164, body, segments, carrier_sid, at)
    status = await tx.execute(RECEIVE, *values)
    if status == "INSERT 0 0":
        return False
    if media:
        urls, types = [url for url, _ in media], [type for _, type in media]
        await tx.execute(ADD_MEDIA, id, org, urls, types, "fetching")
    return True


async def receive_all(
    tx: Tx, org: UUID, number_e164: str, texts: Sequence[tuple[UUID, UUID, str, str, int, str]]
) -> set[UUID]:
    """Store inbound messages (id, conversation, contact, body, segments, carrier SID), once; return the ids of the new ones."""
    return {row["id"] for row in await tx.fetch(RECEIVE_ALL, org, number_e164, *map(list, zip(*texts, strict=True)))}


async def is_first(tx: Tx, conversation: UUID) -> bool:
    """Return whether the thread has no message yet."""
    return bool(await tx.fetchval(IS_FIRST, conversation))


async def first_of(tx: Tx, threads: Sequence[UUID]) -> set[UUID]:
    """Return the threads that have no message yet."""
    return {row["id"] for row in await tx.fetch(FIRST_OF, threads)}


async def rules_of(tx: Tx, threads: Sequence[UUID]) -> dict[UUID, RulesRow]:
    """Return the rules of several conversations, as `rules` does."""
    rows = [dict(row) for row in await tx.fetch(RULES_OF, threads)]
    return {row.pop("id"): RulesRow(**row) for row in rows}


async def rules(tx: Tx, conversation: UUID) -> RulesRow:
    """Return what decides whether and when a text may be sent in a conversation.  Raises NotFound."""
    row = await tx.fetchrow(RULES, conversation)
    if row is None:
        raise NotFound
    return RulesRow(**row)


async def rules_for(tx: Tx, org: UUID, contact_e164: str) -> RulesRow:
    """Return what decides when a text may be sent to a contact, who may have no conversation."""
    row = await tx.fetchrow(RULES_FOR, org, contact_e164)
    assert row is not None, "the tenant's own organization"
    return RulesRow(**row)
