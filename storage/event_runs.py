"""Runs of agents that events start: which flows listen for which events, and the result of each run."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

# Of all organizations in a batch of events.  Runs as the system.
LISTENING = """
    SELECT id, org_id, trigger_events FROM flows
     WHERE org_id = ANY ($1::uuid[]) AND trigger_events IS NOT NULL AND deleted_at IS NULL
     ORDER BY id
"""
CAUSES = "SELECT id, org_id, flow_id, depth FROM event_runs WHERE id = ANY ($1::uuid[])"
COUNTS = """
    SELECT flow_id, count(*) FILTER (WHERE status <> 'skipped') AS made, count(*) FILTER (WHERE status = 'skipped') AS skipped
      FROM event_runs
     WHERE flow_id = ANY ($1::uuid[]) AND created_at > $2
     GROUP BY flow_id
"""
COUNTS_OF_ORGANIZATIONS = """
    SELECT org_id, count(*) AS made FROM event_runs
     WHERE org_id = ANY ($1::uuid[]) AND created_at > $2 AND status <> 'skipped'
     GROUP BY org_id
"""
CREATE = """
    INSERT INTO event_runs (id, org_id, flow_id, event_id, event_type, depth, caused_by, reason, status, finished_at)
    SELECT id, org, flow, event, type, depth, cause, reason, CASE WHEN reason IS NULL THEN 'waiting' ELSE 'skipped' END,
           CASE WHEN reason IS NOT NULL THEN clock_timestamp() END
      FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::integer[], $7::uuid[], $8::text[])
        AS made (id, org, flow, event, type, depth, cause, reason)
    ON CONFLICT (flow_id, event_id) DO NOTHING
    RETURNING id, org_id, status
"""
# Only a waiting run is claimed: a job that is delivered twice runs it once.
# Another worker gets a job only once its own is dead; a second job for a run comes while its worker may be alive.
CLAIM = """
    UPDATE event_runs SET status = 'running', attempts = attempts + 1, touched_at = clock_timestamp()
     WHERE id = $1 AND (status = 'waiting' OR status = 'running' AND touched_at <= clock_timestamp() - $2::interval)
    RETURNING id, org_id, flow_id, event_id, event_type, depth, attempts, resumed_at
"""
WAIT = "UPDATE event_runs SET status = 'waiting' WHERE id = $1 AND status = 'running' AND attempts = $2"
RESTART_STALE = """
    UPDATE event_runs SET status = 'waiting', touched_at = clock_timestamp()
     WHERE id IN (SELECT id FROM event_runs WHERE status = 'running' AND touched_at < $1
                   ORDER BY touched_at LIMIT $2 FOR UPDATE SKIP LOCKED)
    RETURNING id, org_id
"""
LOCK = "SELECT FROM event_runs WHERE id = $1 FOR NO KEY UPDATE"
AWAIT = """
    UPDATE event_runs
       SET status = 'waiting_for_approval', result = $2, input_tokens = coalesce(input_tokens, 0) + coalesce($3, 0),
           output_tokens = coalesce(output_tokens, 0) + coalesce($4, 0)
     WHERE id = $1
"""
RESUME = """
    UPDATE event_runs SET status = 'waiting', attempts = 0, resumed_at = clock_timestamp(), touched_at = clock_timestamp()
     WHERE id = $1 AND status = 'waiting_for_approval'
    RETURNING org_id
"""
LOCK_ATTEMPT = "SELECT attempts, resumed_at FROM event_runs WHERE id = $1 AND status = 'running' FOR NO KEY UPDATE"
# HUM's own tools act for an event when its run ends; other tools have acted already.
MATERIAL = """
    SELECT o.name AS organization, o.time_zone, f.id AS flow_id, f.version AS flow_version, v.definition,
           coalesce(v.definition ->> 'business_hours_json', o.business_hours_json) AS business_hours_json,
           o.business_hours_json AS organization_hours_json, o.business_identity_json AS identity_json,
           e.data, e.created_at AS event_at, r.result
      FROM event_runs r
      JOIN organizations o ON o.org_id = r.org_id
      LEFT JOIN flows f ON f.id = r.flow_id AND f.trigger_events IS NOT NULL AND f.deleted_at IS NULL
      LEFT JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
      LEFT JOIN events e ON e.public_id = r.event_id
     WHERE r.id = $1
"""
SET_MODEL = "UPDATE event_runs SET flow_version = $2, model = $3 WHERE id = $1"
SET_OUTCOME = "UPDATE event_runs SET outcome = $2 WHERE id = $1"
FINISH = """
    UPDATE event_runs
       SET status = $2, reason = $3, result = coalesce($4, result), input_tokens = coalesce(input_tokens + $5, $5, input_tokens),
           output_tokens = coalesce(output_tokens + $6, $6, output_tokens), finished_at = clock_timestamp()
     WHERE id = $1
    RETURNING outcome
"""
COLUMNS = """
    id, flow_id, flow_version, event_id, event_type, depth, caused_by, status, reason, model, attempts, input_tokens,
    output_tokens, result, outcome, created_at, finished_at
"""
FLOW = "SELECT FROM flows WHERE id = $1 AND deleted_at IS NULL"
PAGE = largerows.page(
    f"""
    SELECT {COLUMNS} FROM event_runs
     WHERE flow_id = $1 AND id < coalesce($2::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       AND ($4::text IS NULL OR status = $4) AND ($5::text IS NULL OR event_type = $5)
       AND ($6::uuid IS NULL OR event_id = $6)
     ORDER BY id DESC
     LIMIT $3
""",
    ["result", "outcome"],
    "id DESC",
)
GET = f"SELECT {COLUMNS} FROM event_runs WHERE id = $2 AND flow_id = $1"
#: Of one event, in a list of events.
MOST_RUNS = 50
OF_EVENTS = """
    SELECT r.event_id, r.id, r.flow_id
      FROM unnest($1::uuid[]) AS e (id)
     CROSS JOIN LATERAL (SELECT event_id, id, flow_id FROM event_runs WHERE event_id = e.id ORDER BY id LIMIT $2) r
     ORDER BY r.id
"""
PRUNE = """
    DELETE FROM event_runs
     WHERE id IN (SELECT id FROM event_runs WHERE created_at < now() - $1::interval AND finished_at IS NOT NULL
                   ORDER BY created_at LIMIT $2)
"""


@dataclass(frozen=True, slots=True)
class Listener:
    """A flow that events start, and their types."""

    id: UUID
    org_id: UUID
    trigger_events: list[str]


@dataclass(frozen=True, slots=True)
class Cause:
    """A run that led to an event."""

    id: UUID
    org_id: UUID
    flow_id: UUID
    depth: int


@dataclass(frozen=True, slots=True)
class NewEventRun:
    """A run to store; `reason`: why it is skipped, or None if it waits for a worker."""

    id: UUID
    org_id: UUID
    flow_id: UUID
    event_id: UUID
    event_type: str
    depth: int
    caused_by: UUID | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class EventRunClaim:
    """An attempt at a run; `attempts` and `resumed_at` tell it from a later attempt.

    `resumed_at`: when the run was resumed after its approval was decided; None: it was not.
    """

    id: UUID
    org_id: UUID
    flow_id: UUID
    event_id: UUID
    event_type: str
    depth: int
    attempts: int
    resumed_at: datetime | None


@dataclass(frozen=True, slots=True)
class EventRunMaterialRow:
    """A run's inputs.  `definition` is None once no event starts the flow; `data` is None once the event's payload was deleted."""

    organization: str
    time_zone: str
    flow_id: UUID | None
    flow_version: int | None
    #: JSON; so are the next two columns.
    definition: str | None
    business_hours_json: str | None
    organization_hours_json: str | None
    identity_json: str | None
    data: str | None
    event_at: datetime | None
    #: What the agent wrote before the run was resumed.
    result: str | None


@dataclass(frozen=True, slots=True)
class EventRunFinish:
    """The end of a run."""

    status: str
    reason: str | None = None
    result: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class EventRunRow:
    """A run as it is shown."""

    id: UUID
    flow_id: UUID
    flow_version: int | None
    event_id: UUID
    event_type: str
    depth: int
    caused_by: UUID | None
    status: str
    reason: str | None
    model: str | None
    attempts: int
    input_tokens: int | None
    output_tokens: int | None
    result: str | None
    outcome: str | None
    created_at: datetime
    finished_at: datetime | None
    #: Bytes, in a list.
    size: int = 0


@dataclass(frozen=True, slots=True)
class EventRunFilter:
    """The filters of a list of runs; None matches all."""

    status: str | None = None
    event_type: str | None = None
    event_id: UUID | None = None


# --- as the system ------------------------------------------------------------------------------------------------


async def listeners(tx: Tx, organizations: Sequence[UUID]) -> list[Listener]:
    """Return the flows of these organizations that events start."""
    return [Listener(**row) for row in await tx.fetch(LISTENING, organizations)]


async def causes(tx: Tx, runs: Sequence[UUID]) -> dict[UUID, Cause]:
    """Return those of these runs that events started."""
    return {row["id"]: Cause(**row) for row in await tx.fetch(CAUSES, runs)}


async def counts(tx: Tx, flows: Sequence[UUID], since: datetime) -> dict[UUID, tuple[int, int]]:
    """Return how many runs of each flow were created, and how many skipped, since then."""
    rows = await tx.fetch(COUNTS, flows, since)
    return {row["flow_id"]: (row["made"], row["skipped"]) for row in rows}


async def counts_of_organizations(tx: Tx, organizations: Sequence[UUID], since: datetime) -> dict[UUID, int]:
    """Return how many runs of each organization were created since then, without skipped ones."""
    return {row["org_id"]: row["made"] for row in await tx.fetch(COUNTS_OF_ORGANIZATIONS, organizations, since)}


async def create(tx: Tx, runs: Sequence[NewEventRun]) -> list[tuple[UUID, UUID]]:
    """Store runs, one for each flow and event; return the new ones (id, organization) that wait for a worker."""
    columns = ([getattr(run, name) for run in runs] for name in NewEventRun.__slots__)
    created = await tx.fetch(CREATE, *columns)
    return [(row["id"], row["org_id"]) for row in created if row["status"] == "waiting"]


async def release_orphaned(tx: Tx, before: datetime, limit: int) -> list[tuple[UUID, UUID]]:
    """Return the runs (id, organization) of dead workers, and let them wait for a worker again."""
    return [(row["id"], row["org_id"]) for row in await tx.fetch(RESTART_STALE, before, limit)]


async def prune(tx: Tx, keep: timedelta, limit: int) -> None:
    """Prune finished runs older than `keep`."""
    await tx.execute(PRUNE, keep, limit)


# --- as the tenant ------------------------------------------------------------------------------------------------


async def claim(tx: Tx, id: UUID, orphaned_after: timedelta) -> EventRunClaim | None:
    """Begin an attempt at a run; return None if it is over, or another worker began one less than `orphaned_after` ago."""
    row = await tx.fetchrow(CLAIM, id, orphaned_after)
    return EventRunClaim(**row) if row else None


async def release(tx: Tx, claim: EventRunClaim) -> None:
    """End an attempt so that a later one can begin."""
    await tx.execute(WAIT, claim.id, claim.attempts)


async def lock_claimed(tx: Tx, claim: EventRunClaim) -> bool:
    """Lock a run; return False if it is over or gone, or a later attempt has it."""
    row = await tx.fetchrow(LOCK_ATTEMPT, claim.id)
    return row is not None and (row["attempts"], row["resumed_at"]) == (claim.attempts, claim.resumed_at)


async def material(tx: Tx, run: UUID) -> EventRunMaterialRow:
    row = await tx.fetchrow(MATERIAL, run)
    assert row is not None, "the run was claimed in this transaction"
    return EventRunMaterialRow(**row)


async def set_model(tx: Tx, run: UUID, version: int, model: str) -> None:
    """Record the flow version and model, before the model is called."""
    await tx.execute(SET_MODEL, run, version, model)


async def lock(tx: Tx, run: UUID) -> None:
    """Lock a run until the transaction ends."""
    await tx.execute(LOCK, run)


async def await_approval(tx: Tx, run: UUID, end: EventRunFinish) -> None:
    """Let a run wait for approval; keep what its agent has written so far."""
    await tx.execute(AWAIT, run, end.result, end.input_tokens, end.output_tokens)


async def resume(tx: Tx, run: UUID) -> bool:
    """Let a run that waits for approval wait for a worker; return False if it was not waiting."""
    return bool(await tx.fetchval(RESUME, run))


async def set_outcome(tx: Tx, run: UUID, outcome_json: str) -> None:
    await tx.execute(SET_OUTCOME, run, outcome_json)


async def finish(tx: Tx, run: UUID, end: EventRunFinish) -> str | None:
    """End a run; return its outcome as JSON, if its agent has reported one."""
    outcome: str | None = await tx.fetchval(FINISH, run, *(getattr(end, name) for name in EventRunFinish.__slots__))
    return outcome


async def require_flow(tx: Tx, flow: UUID) -> None:
    """Raise NotFound if there is no such flow."""
    if await tx.fetchrow(FLOW, flow) is None:
        raise NotFound("There is no such flow.")


async def page(tx: Tx, flow: UUID, before: UUID | None, limit: int, filters: EventRunFilter) -> list[EventRunRow]:
    """Return runs newest first, below `before`."""
    rows = await tx.fetch(PAGE, flow, before, limit, *(getattr(filters, name) for name in EventRunFilter.__slots__))
    return [EventRunRow(**row) for row in rows]


async def get(tx: Tx, flow: UUID, id: UUID) -> EventRunRow:
    """Return a run.  Raises NotFound."""
    row = await tx.fetchrow(GET, flow, id)
    if row is None:
        raise NotFound("There is no such run.")
    return EventRunRow(**row)


async def of_events(tx: Tx, events: Sequence[UUID]) -> dict[UUID, list[tuple[UUID, UUID]]]:
    """Return the first `MOST_RUNS` runs (id, flow) that each of these events has started."""
    runs: dict[UUID, list[Any]] = {}
    for row in await tx.fetch(OF_EVENTS, events, MOST_RUNS):
        runs.setdefault(row["event_id"], []).append((row["id"], row["flow_id"]))
    return runs
