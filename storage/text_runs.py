"""Turns of the AI in conversations: which are scheduled, what each did, and how many there were."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

# The flow that answers in a conversation: its own, unless that was deleted, or the number's.
ANSWERING = """coalesce((SELECT own.id FROM flows own WHERE own.id = c.flow_id AND own.deleted_at IS NULL
                                                   AND own.channel = 'sms'), n.sms_flow_id)"""
_CONFIG = f"""
    SELECT c.id, coalesce(v.definition ->> 'sms_config_json', '') AS config
      FROM conversations c
      LEFT JOIN numbers n ON n.id = c.number_id AND n.status = 'active' AND n.sms_enabled
      JOIN flows f ON f.id = {ANSWERING} AND f.deleted_at IS NULL AND f.channel = 'sms'
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE n.id IS NOT NULL
"""
CONFIG = f"SELECT config FROM ({_CONFIG} AND c.id = $1) each"
CONFIGS = f"{_CONFIG} AND c.id = ANY ($1)"
SCHEDULE = """
    UPDATE conversations
       SET turn_generation = turn_generation + 1, turn_pending_since = coalesce(turn_pending_since, $2),
           turn_due_at = least($2 + $3::interval, coalesce(turn_pending_since, $2) + $4::interval)
     WHERE id = $1
"""
SCHEDULE_ALL = """
    UPDATE conversations c
       SET turn_generation = c.turn_generation + 1, turn_pending_since = coalesce(c.turn_pending_since, $3),
           turn_due_at = least($3 + each.debounce, coalesce(c.turn_pending_since, $3) + $4::interval)
      FROM unnest($1::uuid[], $2::interval[]) AS each (id, debounce)
     WHERE c.id = each.id
"""
# A turn that waits for hours is pending from when it is due; the inbox shows it, so it is told of.
POSTPONE = """
    WITH postponed AS (
        UPDATE conversations SET turn_pending_since = $2, turn_due_at = $2 WHERE id = $1 AND turn_due_at IS NULL
        RETURNING org_id, id)
    INSERT INTO inbox_changes (org_id, conversation_id) SELECT org_id, id FROM postponed
"""
# In the order in which inbound texts lock a number's threads.
RECHECK = """
    UPDATE conversations SET turn_pending_since = $2, turn_due_at = $2
     WHERE id = ANY (ARRAY(
               SELECT id FROM conversations WHERE org_id = $1 AND turn_due_at > $2 AND turn_pending_since = turn_due_at
                ORDER BY number_e164, contact_e164 FOR NO KEY UPDATE))
"""
DUE = """
    SELECT c.id, c.org_id FROM conversations c
     WHERE c.turn_due_at <= $1
       AND NOT EXISTS (SELECT FROM text_runs r WHERE r.conversation_id = c.id AND r.finished_at IS NULL)
     ORDER BY c.turn_due_at LIMIT $2
       FOR NO KEY UPDATE SKIP LOCKED
"""
CLEAR_SCHEDULE = "UPDATE conversations SET turn_due_at = NULL, turn_pending_since = NULL WHERE id = ANY ($1::uuid[])"
CREATE = """
    INSERT INTO text_runs (id, org_id, conversation_id, status)
    SELECT id, org, thread, 'waiting' FROM unnest($1::uuid[], $2::uuid[], $3::uuid[]) AS due (id, org, thread)
"""
TOUCH_STALE = """
    UPDATE text_runs SET touched_at = clock_timestamp()
     WHERE id IN (SELECT id FROM text_runs WHERE finished_at IS NULL AND touched_at < $1
                   ORDER BY touched_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING id, org_id
"""
CLAIM = """
    UPDATE text_runs SET status = 'running', attempts = attempts + 1, touched_at = clock_timestamp()
     WHERE id = $1 AND finished_at IS NULL
    RETURNING id, org_id, conversation_id, attempts
"""
LOCK_ATTEMPT = """
    SELECT attempts FROM text_runs WHERE id = $1 AND finished_at IS NULL FOR NO KEY UPDATE
"""
SET_MODEL = "UPDATE text_runs SET asked_at = now(), flow_id = $2, flow_version = $3, model = $4 WHERE id = $1"
FINISH = """
    UPDATE text_runs
       SET status = $2, reason = $3, message_id = $4, input_tokens = $5, output_tokens = $6,
           outcome = coalesce($7, outcome), finished_at = clock_timestamp()
     WHERE id = $1
"""
DELETE = "DELETE FROM text_runs WHERE id = $1"
MATERIAL = f"""
    SELECT c.turn_generation AS generation, o.name AS organization, o.time_zone, c.ai_paused_reason,
           coalesce(v.definition ->> 'business_hours_json', o.business_hours_json) AS business_hours_json,
           o.business_hours_json AS organization_hours_json, o.business_identity_json AS identity_json,
           f.id AS flow_id, f.version AS flow_version, v.definition,
           k.name AS contact_name, k.phone_e164 AS contact_phone, k.company AS contact_company, k.email AS contact_email,
           k.tags AS contact_tags, k.notes AS contact_notes, k.attributes_json AS contact_attributes,
           EXISTS (SELECT FROM blocklist b WHERE b.org_id = c.org_id AND b.phone_e164 = c.contact_e164) AS blocked,
           (SELECT count(*) FROM text_runs r
             WHERE r.conversation_id = c.id AND r.asked_at IS NOT NULL AND r.created_at > $2) AS turns_in_window,
           (SELECT count(*) FROM text_runs r
             WHERE r.conversation_id = c.id AND r.asked_at IS NOT NULL AND r.created_at > $3) AS turns_of_pair,
           (SELECT count(*) FROM text_runs r
             WHERE r.org_id = c.org_id AND r.asked_at IS NOT NULL AND r.created_at > $3) AS turns_of_organization,
           (SELECT r.reason FROM text_runs r
             WHERE r.conversation_id = c.id AND r.finished_at IS NOT NULL ORDER BY r.id DESC LIMIT 1) AS last_reason
      FROM conversations c
      JOIN organizations o ON o.org_id = c.org_id
      LEFT JOIN numbers n ON n.id = c.number_id
      LEFT JOIN flows f ON f.id = {ANSWERING} AND f.deleted_at IS NULL AND f.channel = 'sms'
      LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
      LEFT JOIN contacts k ON k.org_id = c.org_id AND k.phone_e164 = c.contact_e164
     WHERE c.id = $1
"""
HISTORY = """
    SELECT m.id, m.direction, m.body, m.status, m.sent_by, m.created_at, m.due_at, m.carrier_sid,
           EXISTS (SELECT FROM message_media a WHERE a.message_id = m.id) AS has_media
      FROM messages m WHERE m.conversation_id = $1 ORDER BY m.id DESC LIMIT $2
"""
# `is_our_own`: an agent of this deployment may answer texts to the contact's number.
OF_RUN = """
    SELECT r.conversation_id,
           EXISTS (SELECT FROM numbers n WHERE n.e164 = c.contact_e164 AND n.status = 'active' AND n.sms_enabled
                                           AND n.sms_flow_id IS NOT NULL) AS is_our_own
      FROM text_runs r JOIN conversations c ON c.id = r.conversation_id
     WHERE r.id = $1
"""
LATEST = "SELECT id, direction, sent_by FROM messages WHERE conversation_id = $1 ORDER BY id DESC LIMIT 1"
ORGANIZATION = """
    SELECT o.name, o.keyword_texts_json FROM conversations c JOIN organizations o ON o.org_id = c.org_id WHERE c.id = $1
"""
# Running tools count too: the calling one is among them.
OF_CALL = "SELECT count(*) FROM tool_runs WHERE call_id = $1 AND name = $2 AND status IN ('running', 'ok')"
NUMBER_OF_CALL = """
    SELECT n.id, n.e164, c.contact_id FROM calls c JOIN numbers n ON n.id = c.number_id
     WHERE c.id = $1 AND n.status = 'active' AND n.sms_enabled
"""
PENDING = """
    SELECT count(*) FROM messages
     WHERE conversation_id = $1 AND due_at IS NOT NULL AND status = 'scheduled' AND sent_by = 'ai'
"""
TIME_ZONE = "SELECT o.time_zone FROM conversations c JOIN organizations o ON o.org_id = c.org_id WHERE c.id = $1"
SET_FLOW = "UPDATE conversations SET flow_id = $2 WHERE id = $1"
SET_OUTCOME = "UPDATE text_runs SET outcome = $2 WHERE id = $1"
THREAD = "SELECT FROM conversations WHERE id = $1"
#: What `tool_runs.of_turns` returns with each.
_TOOLS = """(SELECT json_agg(json_build_array(r.arguments, r.output)) FROM tool_runs r WHERE r.run_id = listed.id)"""
PAGE = largerows.page(
    """
    SELECT id, conversation_id, status, reason, flow_id, flow_version, model, attempts, input_tokens, output_tokens,
           outcome, message_id, created_at, finished_at
      FROM text_runs
     WHERE conversation_id = $1 AND id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     ORDER BY id DESC LIMIT $3
""",
    ["outcome", _TOOLS],
    "id DESC",
)

#: A turn's facts about the contact.
CONTACT = ("name", "phone", "company", "email", "tags", "notes", "attributes")
DUE_SECONDS = """
    SELECT extract(epoch FROM min(turn_due_at) - now())::float8 FROM conversations WHERE turn_due_at > now()
"""


@dataclass(frozen=True, slots=True)
class TextRunClaim:
    """An attempt at a turn; `attempts` tells it from a later attempt."""

    id: UUID
    org_id: UUID
    conversation_id: UUID
    attempts: int


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A message, as the agent reads it."""

    id: UUID
    direction: str
    body: str
    status: str
    sent_by: str | None
    created_at: datetime
    due_at: datetime | None
    carrier_sid: str | None
    has_media: bool


@dataclass(frozen=True, slots=True)
class TextRunCounts:
    """Numbers of turns that called the model: of the thread in its window, and of the thread and the organization in a day."""

    in_window: int
    of_pair: int
    of_organization: int


@dataclass(frozen=True, slots=True)
class TextRunMaterialRow:
    """A turn's inputs.  `flow` None: no agent answers texts here."""

    generation: int
    organization: str
    time_zone: str
    paused: str | None
    business_hours_json: str | None
    organization_hours_json: str | None
    identity_json: str | None
    flow: tuple[UUID, int, dict[str, Any]] | None
    contact: dict[str, Any]
    blocked: bool
    counts: TextRunCounts
    last_reason: str | None


@dataclass(frozen=True, slots=True)
class CallPartiesRow:
    """Our number in a call, and the contact."""

    id: UUID
    e164: str
    contact_id: UUID | None


@dataclass(frozen=True, slots=True)
class TextRunFinish:
    """The end of a turn."""

    status: str
    reason: str | None = None
    message_id: UUID | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    #: JSON.
    outcome: str | None = None


async def config(tx: Tx, conversation: UUID) -> str | None:
    """Return the `sms_config_json` of the flow that answers in a conversation, or None if none does."""
    json_text: str | None = await tx.fetchval(CONFIG, conversation)
    return json_text


async def schedule(tx: Tx, conversation: UUID, at: datetime, debounce: timedelta, ceiling: timedelta) -> None:
    """Schedule a turn: `debounce` after the last message, but not later than `ceiling` after the turn was first scheduled."""
    await tx.execute(SCHEDULE, conversation, at, debounce, ceiling)


async def configs(tx: Tx, threads: Sequence[UUID]) -> dict[UUID, str]:
    """Return the config of several conversations, as `config` does; those in which no flow answers are left out."""
    return {row["id"]: row["config"] for row in await tx.fetch(CONFIGS, threads)}


async def schedule_all(tx: Tx, debounces: Mapping[UUID, timedelta], at: datetime, ceiling: timedelta) -> None:
    """Schedule turns in several locked conversations, as `schedule` does."""
    await tx.execute(SCHEDULE_ALL, list(debounces), list(debounces.values()), at, ceiling)


async def postpone(tx: Tx, conversation: UUID, until: datetime) -> None:
    """Schedule a turn at that time, unless one is scheduled already."""
    await tx.execute(POSTPONE, conversation, until)


async def recheck(tx: Tx, org: UUID, at: datetime) -> None:
    """Make the turns due that wait for hours: they wait again if it is still closed."""
    await tx.execute(RECHECK, org, at)


async def due(tx: Tx, at: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Claim the conversations (id, organization) with a due turn and none in progress.  Runs as the system."""
    rows = [(row["id"], row["org_id"]) for row in await tx.fetch(DUE, at, limit)]
    if rows:
        await tx.execute(CLEAR_SCHEDULE, [id for id, _ in rows])
    return rows


async def create(tx: Tx, runs: Sequence[tuple[UUID, UUID, UUID]]) -> None:
    """Store turns (id, organization, conversation) that wait for a worker."""
    ids, orgs, threads = zip(*runs, strict=True)
    await tx.execute(CREATE, ids, orgs, threads)


async def claim_stalled(tx: Tx, before: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Return the turns (id, organization) that were not touched since `before`, and touch them.  Runs as the system."""
    return [(row["id"], row["org_id"]) for row in await tx.fetch(TOUCH_STALE, before, limit)]


async def claim(tx: Tx, id: UUID) -> TextRunClaim | None:
    """Begin an attempt at a turn; return None if it is over."""
    row = await tx.fetchrow(CLAIM, id)
    return TextRunClaim(**row) if row else None


async def of_run(tx: Tx, id: UUID) -> tuple[UUID, bool] | None:
    """Return a turn's conversation, and whether an agent of this deployment answers at the contact's number.

    Returns None if there is no such turn.  Runs as the system.
    """
    row = await tx.fetchrow(OF_RUN, id)
    return (row["conversation_id"], row["is_our_own"]) if row else None


async def lock_claimed(tx: Tx, claim: TextRunClaim) -> bool:
    """Lock a turn; return False if it is over, or a later attempt has it."""
    return bool(await tx.fetchval(LOCK_ATTEMPT, claim.id) == claim.attempts)


async def set_model(tx: Tx, id: UUID, flow: UUID, version: int, model: str) -> None:
    """Record flow version and model, before the model is called."""
    await tx.execute(SET_MODEL, id, flow, version, model)


async def finish(tx: Tx, id: UUID, end: TextRunFinish) -> None:
    await tx.execute(
        FINISH,
        id,
        end.status,
        end.reason,
        end.message_id,
        end.input_tokens,
        end.output_tokens,
        end.outcome,
    )


async def delete(tx: Tx, id: UUID) -> None:
    """Delete a turn in which nothing happened."""
    await tx.execute(DELETE, id)


async def material(tx: Tx, conversation: UUID, window_from: datetime, day_from: datetime) -> TextRunMaterialRow:
    row = await tx.fetchrow(MATERIAL, conversation, window_from, day_from)
    assert row is not None
    flow = (row["flow_id"], row["flow_version"], json.loads(row["definition"])) if row["definition"] else None
    return TextRunMaterialRow(
        generation=row["generation"],
        organization=row["organization"],
        time_zone=row["time_zone"],
        paused=row["ai_paused_reason"],
        business_hours_json=row["business_hours_json"],
        organization_hours_json=row["organization_hours_json"],
        identity_json=row["identity_json"],
        flow=flow,
        contact={name: row[f"contact_{name}"] for name in CONTACT},
        blocked=row["blocked"],
        counts=TextRunCounts(row["turns_in_window"], row["turns_of_pair"], row["turns_of_organization"]),
        last_reason=row["last_reason"],
    )


async def history(tx: Tx, conversation: UUID, limit: int) -> list[HistoryRow]:
    """Return the latest messages of a thread, oldest first."""
    return [HistoryRow(**row) for row in await tx.fetch(HISTORY, conversation, limit)][::-1]


async def latest(tx: Tx, conversation: UUID) -> tuple[UUID, str, str | None] | None:
    """Return the latest message of a thread: its id, its direction, and its author."""
    row = await tx.fetchrow(LATEST, conversation)
    return (row["id"], row["direction"], row["sent_by"]) if row else None


async def organization(tx: Tx, conversation: UUID) -> tuple[str, str | None]:
    """Return the organization's name, and its own answers to keywords, if it has any."""
    row = await tx.fetchrow(ORGANIZATION, conversation)
    assert row is not None, "the conversation is locked"
    return row["name"], row["keyword_texts_json"]


async def of_call(tx: Tx, call: UUID, tool: str) -> int:
    """Return how often a call's agent has used a tool, or is using it."""
    count: int = await tx.fetchval(OF_CALL, call, tool)
    return count


async def number_of_call(tx: Tx, call: UUID) -> CallPartiesRow | None:
    """Return our number in a call, or None if it can't text."""
    row = await tx.fetchrow(NUMBER_OF_CALL, call)
    return CallPartiesRow(**row) if row else None


async def pending(tx: Tx, conversation: UUID) -> int:
    """Return how many of the AI's messages are scheduled."""
    count: int = await tx.fetchval(PENDING, conversation)
    return count


async def time_zone(tx: Tx, conversation: UUID) -> str:
    """Return the organization's time zone."""
    zone: str = await tx.fetchval(TIME_ZONE, conversation)
    return zone


async def set_flow(tx: Tx, conversation: UUID, flow: UUID) -> None:
    """Let another flow answer in a conversation from now on."""
    await tx.execute(SET_FLOW, conversation, flow)


async def set_outcome(tx: Tx, id: UUID, outcome_json: str) -> None:
    await tx.execute(SET_OUTCOME, id, outcome_json)


@dataclass(frozen=True, slots=True)
class TextRunRow:
    """A turn as it is shown."""

    id: UUID
    conversation_id: UUID
    end: TextRunFinish
    flow_id: UUID | None
    flow_version: int | None
    model: str | None
    attempts: int
    created_at: datetime
    finished_at: datetime | None
    #: Bytes, in a list.
    size: int = 0


async def require_thread(tx: Tx, conversation: UUID) -> None:
    """Raise NotFound if there is no such conversation."""
    if await tx.fetchrow(THREAD, conversation) is None:
        raise NotFound


async def page(tx: Tx, conversation: UUID, before: UUID | None, limit: int) -> list[TextRunRow]:
    """Return the turns of a conversation, newest first, below `before`."""
    return [_row(dict(row)) for row in await tx.fetch(PAGE, conversation, before, limit)]


def _row(row: dict[str, Any]) -> TextRunRow:
    end = TextRunFinish(**{name: row.pop(name) for name in TextRunFinish.__slots__})
    return TextRunRow(end=end, **row)


async def due_seconds(tx: Tx) -> float | None:
    """Return the seconds until the next turn that is not due yet is; None if there is none.  Runs as the system."""
    seconds: float | None = await tx.fetchval(DUE_SECONDS)
    return seconds
