"""Calls as clients read them: lists, details, transcripts, and the results of the after-call work."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from hum import pages
from hum.contract.errors import NotFound
from storage import (
    flow_switches,
    interruptions,
    interventions,
    keypad,
    largerows,
    latencies,
    onsets,
    pauses,
    recordings,
    review,
    stages,
    tool_runs,
    transfers,
    usage,
    voicemails,
)
from storage.calls import TurnRow
from storage.db import LIMITS, Tx
from storage.review import NoteRow
from storage.transfers import TransferRow
from storage.usage import LineRow
from storage.voicemails import VoicemailRow

MOST_NOTES = 200
MOST_TRANSFERS = 20

TURNS = """
    SELECT seq, role, text, heard_text, start_ms, end_ms, interrupted, item_id FROM call_turns WHERE call_id = $1 ORDER BY seq
"""
LATEST_TURNS = largerows.page(
    """
    SELECT seq, role, text, heard_text, start_ms, end_ms, interrupted, item_id
      FROM call_turns
     WHERE call_id = $1 AND seq < coalesce($2::integer, 2147483647)
     ORDER BY seq DESC
     LIMIT $3
""",
    ["text", "heard_text"],
    "seq DESC",
)
# An outcome that the agent itself reported takes precedence over one that is judged afterwards.
SET_SUMMARY = """
    UPDATE calls c
       SET summary = $2, outcome_label = $4, summarized_seq = $5,
           outcome = CASE WHEN before.reported THEN c.outcome ELSE coalesce($3, c.outcome) END,
           outcome_is_judged = NOT before.reported
      FROM (SELECT id, outcome IS NOT NULL AND NOT outcome_is_judged AS reported,
                   outcome IS NOT NULL AND outcome_is_judged AS judged, summary IS NOT NULL AS summarized
              FROM calls WHERE id = $1) before
     WHERE c.id = before.id AND (c.summary IS NULL OR c.summarized_seq < $5)
    RETURNING before.reported, before.judged, before.summarized
"""
SET_OUTCOME = "UPDATE calls SET outcome = $2, outcome_is_judged = false WHERE id = $1"
INDEX = "SELECT hum.index_call($1)"
AFTER_CALL = """
    SELECT c.status, c.direction, c.summary IS NOT NULL AND coalesce(c.summarized_seq, last.seq) >= last.seq AS summarized,
           c.outcome IS NOT NULL AND NOT c.outcome_is_judged AS reported, v.definition, last.seq AS turn_seq,
           c.event_seq > coalesce((SELECT e.seq FROM call_events e WHERE e.call_id = c.id AND e.type = 'call.ended'), c.event_seq) AS grew
      FROM calls c
     CROSS JOIN LATERAL (SELECT coalesce(max(e.seq), 0) AS seq FROM call_events e
                          WHERE e.call_id = c.id AND e.type = 'transcript.turn') last
      LEFT JOIN flow_versions v ON v.flow_id = coalesce(c.agent_flow_id, c.flow_id)
                               AND v.version = coalesce(c.agent_flow_version, c.flow_version)
     WHERE c.id = $1
"""
LISTED = """
    c.id, c.direction, c.origin, c.status, c.from_e164, c.to_e164, c.number_id, c.flow_id, c.flow_version,
    c.contact_id, k.name AS contact_name, k.phone_e164 AS contact_phone, k.company AS contact_company, c.created_at, c.answered_at, c.ended_at, c.end_reason,
    ARRAY(SELECT t.tag FROM call_tags t WHERE t.call_id = c.id ORDER BY t.tag) AS tags,
    c.outcome_label, c.summary ->> 'text' AS summary_text, c.caller_verification, c.answered_by,
    EXISTS (SELECT FROM voicemails m WHERE m.call_id = c.id AND m.deleted_at IS NULL) AS has_voicemail
"""
# A plan for each set of filters: each has an index in the list's order, and a generic plan would use none.
PLAN_ANEW = "SET LOCAL plan_cache_mode = force_custom_plan"
FILTERED = """
       AND ($4::text IS NULL OR c.direction = $4)
       AND ($5::text IS NULL OR c.status = $5)
       AND ($6::uuid IS NULL OR c.flow_id = $6)
       AND ($7::uuid IS NULL OR c.number_id = $7)
       AND ($8::uuid IS NULL OR c.contact_id = $8)
       AND ($9::text IS NULL OR c.contact_e164 = $9)
       AND ($10::text IS NULL OR c.outcome_label = $10)
       AND ($11::timestamptz IS NULL OR c.created_at >= $11)
       AND ($12::timestamptz IS NULL OR c.created_at < $12)
       AND ($13::uuid[] IS NULL OR c.number_id = ANY ($13) OR c.flow_id = ANY ($14::uuid[]) OR c.agent_flow_id = ANY ($14))
"""
_PAGE = f"""
    SELECT {LISTED}
      FROM calls c
      LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE ($1::timestamptz IS NULL OR (c.created_at, c.id) < ($1, $2::uuid)) {FILTERED}
     ORDER BY c.created_at DESC, c.id DESC
     LIMIT $3
"""
_TAGGED_PAGE = f"""
    SELECT {LISTED}
      FROM call_tags g
      JOIN calls c ON c.id = g.call_id
      LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE g.tag = $15 AND ($1::timestamptz IS NULL OR (g.called_at, g.call_id) < ($1, $2::uuid)) {FILTERED}
     ORDER BY g.called_at DESC, g.call_id DESC
     LIMIT $3
"""
BY_IDS = f"SELECT {LISTED} FROM calls c LEFT JOIN contacts k ON k.id = c.contact_id WHERE c.id = ANY ($1)"
_SEARCH = f"""
    SELECT {LISTED}
      FROM hum.search_calls($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) AS found (id)
      JOIN calls c ON c.id = found.id
      LEFT JOIN contacts k ON k.id = c.contact_id
     ORDER BY c.created_at DESC, c.id DESC
"""
PAGE, TAGGED_PAGE, SEARCH = (
    largerows.page(query, ["tags", "summary_text"], "created_at DESC, id DESC")
    for query in (_PAGE, _TAGGED_PAGE, _SEARCH)
)
DETAIL = f"""
    SELECT {LISTED}, c.summary, c.outcome, {interventions.OF_CALL} AS interventions,
           {interruptions.OF_CALL} AS interruptions, {latencies.OF_CALL} AS latency, {tool_runs.REPORTED_OF_CALL} AS tool_activity,
           c.models, {stages.OF_CALL} AS model_stages, {flow_switches.OF_CALL} AS flow_switches, c.event_seq, {onsets.OF_CALL} AS refused_onsets, {onsets.MORE_OF_CALL} AS more_refused_onsets,
           {keypad.OF_CALL} AS keypad_entries, c.recording_fault, {pauses.OF_CALL} AS recording_pauses, c.announcement_played_ms,
           {recordings.HAS_ANY} AS has_recording
      FROM calls c
      LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE c.id = $1
"""
HAS_ENDED = "SELECT ended_at IS NOT NULL FROM calls WHERE id = $1"
LAST_EVENT = "SELECT ended_at IS NOT NULL AS over, event_seq FROM calls WHERE id = $1"


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call as lists show it."""

    id: UUID
    direction: str
    origin: str
    status: str
    from_e164: str
    to_e164: str
    number_id: UUID | None
    flow_id: UUID | None
    flow_version: int | None
    contact_id: UUID | None
    contact_name: str | None
    contact_phone: str | None
    contact_company: str | None
    created_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    tags: list[str]
    outcome_label: str | None
    summary_text: str | None
    caller_verification: str | None
    answered_by: str | None
    has_voicemail: bool
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class ListedTurnRow(TurnRow):
    #: Bytes of its texts.
    size: int = 0


@dataclass(frozen=True, slots=True)
class CallDetailRow:
    """A call with its details.

    `interruptions`, `refused_onsets`, `interventions`, `tool_activity`, `keypad_entries`, `flow_switches`, `model_stages`
    and `recording_pauses` are JSON objects, as reported, but with UUIDs; interruptions also have the begin and end of the turn that was spoken over.
    `latency` has the turns' `storage.latencies.ITEMS`.
    `turns` may be only the latest, and `has_earlier` tells whether there are others before them.  `event_seq` is the last event of
    the call's stream that this row includes.
    """

    call: CallRow
    event_seq: int
    turns: list[TurnRow]
    has_earlier: bool
    summary: dict[str, Any] | None
    outcome: str | None
    interruptions: list[str]
    refused_onsets: list[str]
    more_refused_onsets: int
    latency: list[list[int]]
    tool_activity: list[str]
    keypad_entries: list[str]
    flow_switches: list[str]
    models: list[str]
    model_stages: list[str]
    has_recording: bool
    recording_fault: str | None
    recording_pauses: list[str]
    announcement_played_ms: int | None
    notes: list[NoteRow]
    voicemail: VoicemailRow | None
    interventions: list[str]
    transfers: list[TransferRow]
    usage: list[LineRow]


@dataclass(frozen=True, slots=True)
class Query:
    """A search query: words, and the digits if the text may be a phone number."""

    q: str
    digits: str | None = None


@dataclass(frozen=True, slots=True)
class CallFilter:
    direction: str | None = None
    status: str | None = None
    flow_id: UUID | None = None
    number_id: UUID | None = None
    contact_id: UUID | None = None
    contact_e164: str | None = None
    outcome: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class AfterCallRow:
    """A call for the after-call work; `grew`: reports arrived after its end."""

    status: str
    direction: str
    summarized: bool  # with all its turns
    reported: bool  # The agent itself has reported the outcome.
    definition: dict[str, Any]
    turn_seq: int  # The event of the call's stream with its last turn.
    grew: bool


@dataclass(frozen=True, slots=True)
class Before:
    """What a call had before a summary was stored; an outcome that the agent `reported` stays, one that was judged is replaced."""

    reported: bool
    judged: bool
    summarized: bool


async def after_call(tx: Tx, id: UUID) -> AfterCallRow | None:
    row = await tx.fetchrow(AFTER_CALL, id)
    return AfterCallRow(**{**row, "definition": json.loads(row["definition"] or "{}")}) if row else None


async def turns(tx: Tx, id: UUID) -> list[TurnRow]:
    return [TurnRow(**row) for row in await tx.fetch(TURNS, id)]


async def latest_turns(tx: Tx, id: UUID, before: int | None, limit: int) -> list[ListedTurnRow]:
    """Return turns latest first, below the sequence `before`."""
    return [ListedTurnRow(**row) for row in await tx.fetch(LATEST_TURNS, id, before, limit)]


async def _detail_turns(tx: Tx, id: UUID, limit: int | None) -> tuple[list[TurnRow], bool]:
    """Return at most the `limit` latest turns, or `PAGE_BYTES` of them, in order, and whether there are earlier ones."""
    if limit is None:
        return await turns(tx, id), False
    latest = await latest_turns(tx, id, None, limit + 1)
    length = pages.length((row.size for row in latest), limit)
    return [*latest[:length][::-1]], len(latest) > length


async def set_summary(
    tx: Tx, id: UUID, summary: Mapping[str, Any], outcome: str | None, label: str | None, turn_seq: int = 0
) -> Before | None:
    """Store the summary of a locked call; return what it had before.

    Returns None if the call has a summary already that includes the turn of the event `turn_seq`.
    """
    row = await tx.fetchrow(SET_SUMMARY, id, json.dumps(summary), outcome, label, turn_seq)
    return Before(**row) if row else None


async def set_outcome(tx: Tx, id: UUID, outcome: str) -> None:
    """Store the outcome that the agent itself reported; JSON."""
    await tx.execute(SET_OUTCOME, id, outcome)


async def index(tx: Tx, id: UUID) -> None:
    """Index the call for full-text search."""
    await tx.execute(INDEX, id)


async def page(tx: Tx, by: CallFilter, before: tuple[datetime, UUID] | None, limit: int) -> list[CallRow]:
    """Return calls newest first, below `before`."""
    await tx.execute(PLAN_ANEW)
    *filters, tag = _filters(by)
    # The limits' policy says the same, but of it the planner knows no values: a number with few calls is found by its index.
    limits = LIMITS.get()
    seen = (limits.numbers, limits.flows) if limits is not None else (None, None)
    position = (*(before or (None, None)), limit, *filters, *seen)
    rows = await (tx.fetch(PAGE, *position) if tag is None else tx.fetch(TAGGED_PAGE, *position, tag))
    return [CallRow(**row) for row in rows]


async def get_many(tx: Tx, ids: Sequence[UUID]) -> list[CallRow]:
    """Return those of these calls that exist."""
    return [CallRow(**row) for row in await tx.fetch(BY_IDS, ids)]


async def search(
    tx: Tx, query: Query, by: CallFilter, before: tuple[datetime, UUID] | None, limit: int
) -> list[CallRow]:
    """Return calls that match the query, as `page` does."""
    *filters, outcome, since, until, tag = _filters(by)
    position = (*(before or (None, None)), limit)
    rows = await tx.fetch(SEARCH, query.q, query.digits, *position, *filters, tag, outcome, since, until)
    return [CallRow(**row) for row in rows]


def _filters(by: CallFilter) -> list[Any]:
    return [getattr(by, name) for name in CallFilter.__slots__]


async def detail(tx: Tx, id: UUID, most_turns: int | None = None) -> CallDetailRow:
    """Return a call with all its turns, or with the latest `most_turns`.  Raises NotFound."""
    row = await tx.fetchrow(DETAIL, id)
    if row is None:
        raise NotFound("There is no such call.")
    latest, has_earlier = await _detail_turns(tx, id, most_turns)
    return CallDetailRow(
        call=CallRow(**{name: row[name] for name in CallRow.__slots__ if name in row}),
        event_seq=row["event_seq"],
        turns=latest,
        has_earlier=has_earlier,
        summary=json.loads(row["summary"]) if row["summary"] else None,
        outcome=row["outcome"],
        interruptions=row["interruptions"],
        refused_onsets=row["refused_onsets"],
        more_refused_onsets=row["more_refused_onsets"],
        latency=row["latency"],
        tool_activity=row["tool_activity"],
        keypad_entries=row["keypad_entries"],
        flow_switches=row["flow_switches"],
        models=row["models"],
        model_stages=row["model_stages"],
        has_recording=row["has_recording"],
        recording_fault=row["recording_fault"],
        recording_pauses=row["recording_pauses"],
        announcement_played_ms=row["announcement_played_ms"],
        notes=await review.notes(tx, id, None, MOST_NOTES),
        interventions=row["interventions"],
        voicemail=await voicemails.of_call(tx, id),
        transfers=await transfers.of_call(tx, id, MOST_TRANSFERS),
        usage=(await usage.lines_of(tx, [id])).get(id, []),
    )


async def is_over(tx: Tx, id: UUID, last_seen: int) -> bool:
    """Return whether the call has ended and the event `last_seen` was its last.  Raises NotFound."""
    row = await tx.fetchrow(LAST_EVENT, id)
    if row is None:
        raise NotFound("There is no such call.")
    return bool(row["over"]) and last_seen >= row["event_seq"]


async def has_ended(tx: Tx, id: UUID) -> bool:
    return bool(await tx.fetchval(HAS_ENDED, id))
