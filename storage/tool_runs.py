"""Runs of agents' tools: one row for each tool call.

On a call, control and the call's media process write to the same row, in any order: control what it executed, at most
once, and the media process what the model called and got (`report_...`).  The two differ if control's result came too
late.  A tool that the call carries out itself, or refuses, is only reported: its status is null, and it is no execution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hum import ids
from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx

COUNT = """
    SELECT count(*) FILTER (WHERE tool_call_id <> $3) AS total,
           count(*) FILTER (WHERE tool_call_id <> $3 AND status = 'failed' AND name = $2) AS failed,
           coalesce(bool_or(tool_call_id = $3), false) AS is_repeated
      FROM tool_runs WHERE call_id = $1 AND purpose = 'agent' AND status IS NOT NULL
"""
# A row that was only reported becomes the execution's.
BEGIN = """
    INSERT INTO tool_runs AS r (id, org_id, channel, purpose, call_id, conversation_id, run_id, flow_id, flow_version,
                                tool_call_id, name, kind, tool_id, tool_version, arguments, place, approval_id, status)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, 'running')
    ON CONFLICT (call_id, tool_call_id) DO UPDATE
       SET flow_id = excluded.flow_id, flow_version = excluded.flow_version, name = excluded.name, kind = excluded.kind,
           tool_id = excluded.tool_id, tool_version = excluded.tool_version, arguments = excluded.arguments,
           approval_id = excluded.approval_id, status = 'running', started_at = now(),
           report_arguments = nullif(r.report_arguments::text, excluded.arguments::text)::json
     WHERE r.status IS NULL
    RETURNING id
"""
FINISH = """
    UPDATE tool_runs
       SET status = $2, output = $3, leaves = $4, switches_to = $5, switches_to_version = $6,
           digits = $7, duration_ms = $8, finished_at = now()
     WHERE id = $1
"""
# Of tests alone: of an agent's run, its call, its turn or its event's run tells what became of it.
END_STALE_TESTS = """
    UPDATE tool_runs SET status = 'failed', output = $2, finished_at = now()
     WHERE id IN (SELECT id FROM tool_runs
                   WHERE status = 'running' AND purpose = 'test' AND started_at < now() - $1::interval
                   ORDER BY started_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED)
"""
HAS_ACTED = """
    SELECT EXISTS (SELECT FROM tool_runs
                    WHERE run_id = $1 AND kind <> 'built_in' AND ($2::timestamptz IS NULL OR started_at >= $2))
"""
SET_AGENT_TEXT = "UPDATE tool_runs SET told = $2 WHERE id = $1"
GET = """
    SELECT status, output, leaves, switches_to, switches_to_version, digits
      FROM tool_runs WHERE call_id = $1 AND tool_call_id = $2
"""
COLUMNS = """
    id, name, kind, purpose, tool_id, tool_version, flow_id, flow_version, call_id, conversation_id, arguments, output,
    status, started_at, duration_ms, approval_id, run_id
"""
# $1: below this id; each filter applies if it is not null.  $8: the age from which they are not listed.
PAGE = largerows.page(
    f"""
    SELECT {COLUMNS} FROM tool_runs
     WHERE id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       AND ($3::uuid IS NULL OR flow_id = $3) AND ($4::text IS NULL OR name = $4) AND ($5::uuid IS NULL OR call_id = $5)
       AND ($6::uuid IS NULL OR conversation_id = $6) AND status IS NOT NULL AND ($7::text IS NULL OR status = $7)
       AND started_at >= now() - $8::interval
     ORDER BY id DESC
     LIMIT $2
""",
    ["arguments", "output"],
    "id DESC",
)
OF_RUN = """
    SELECT tool_call_id, name, arguments, output, status, started_at, duration_ms, approval_id
      FROM tool_runs WHERE run_id = $1 ORDER BY id LIMIT $2
"""
# Of a call, the latest: what its agent's tools have done, as far as that was kept.
OF_CALL = """
    SELECT tool_call_id, name, arguments, output, status, started_at, duration_ms, approval_id
      FROM tool_runs
     WHERE call_id = $1 AND purpose = 'agent' AND status <> 'running' AND arguments::text <> '{"not_recorded": true}'
     ORDER BY id DESC LIMIT $2
"""
# Of turns in texts, oldest first: what they ran themselves in their last attempt.  Approved runs come later.
OF_TURNS = """
    SELECT r.run_id, r.tool_call_id, r.name, r.arguments, r.output, r.status, r.started_at, r.duration_ms, r.approval_id
      FROM text_runs t JOIN tool_runs r ON r.run_id = t.id AND r.started_at >= t.asked_at AND r.approval_id IS NULL
     WHERE t.id = ANY ($1)
     ORDER BY r.id
"""
# A report that is older than the stored one, or a part of it, changes nothing: it came again, or a start came after its end.
REPORT = """
    INSERT INTO tool_runs AS r (id, org_id, channel, purpose, call_id, tool_call_id, name,
                                report_at, report_status, report_ms, report_arguments, report_result)
    VALUES ($1, $2, 'call', 'agent', $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (call_id, tool_call_id) DO UPDATE
       SET report_at = excluded.report_at, report_status = excluded.report_status, report_ms = excluded.report_ms,
           report_arguments = nullif(excluded.report_arguments::text, r.arguments::text)::json,
           report_result = nullif(excluded.report_result::text, r.output::text)::json
     WHERE r.report_at IS NULL OR r.report_at < excluded.report_at
        OR r.report_at = excluded.report_at AND excluded.report_status <> 'running'
           AND (r.report_status, r.report_ms) IS DISTINCT FROM (excluded.report_status, excluded.report_ms)
    RETURNING id
"""
#: A reported tool call `r` as JSON, in the form of the contract's ToolActivity.
REPORTED = """
    json_build_object('id', r.tool_call_id, 'name', r.name, 'arguments', coalesce(r.report_arguments, r.arguments),
                      'result', CASE WHEN r.report_status IN ('ok', 'failed') THEN coalesce(r.report_result, r.output) END,
                      'status', r.report_status, 'started_at', r.report_at, 'duration_ms', r.report_ms)
"""
#: The reported tool calls of call `c`, in the order in which they were called; JSON objects.
REPORTED_OF_CALL = f"""
    ARRAY(SELECT {REPORTED}
            FROM tool_runs r
           WHERE r.call_id = c.id AND r.report_at IS NOT NULL
           ORDER BY r.report_at, r.place, r.id)
"""
LOSE = f"""
    WITH lost AS (
        UPDATE tool_runs
           SET report_status = 'lost',
               report_ms = trunc(least(greatest(extract(epoch FROM $2::timestamptz - report_at) * 1000, 0), 2147483647))::integer
         WHERE call_id = $1 AND report_status = 'running'
        RETURNING *)
    SELECT {REPORTED} AS tool FROM lost r ORDER BY r.report_at, r.id
"""
# Those of calls and conversations go with them.
PRUNE = """
    DELETE FROM tool_runs WHERE id IN (
        SELECT r.id FROM tool_runs r
         WHERE r.started_at < now() - $1::interval AND r.call_id IS NULL AND r.conversation_id IS NULL
         ORDER BY r.started_at LIMIT $2)
"""
# The organization's retention time applies if it is shorter; of conversations, it alone does.
PRUNE_BY_RETENTION = """
    DELETE FROM tool_runs WHERE id IN (
        SELECT l.id FROM organizations o
         CROSS JOIN LATERAL (SELECT r.id FROM tool_runs r
                              WHERE r.org_id = o.org_id AND r.call_id IS NULL
                                AND r.started_at < now() - make_interval(days => o.retention_days)
                              ORDER BY r.started_at LIMIT $1) l
         WHERE o.retention_days IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class ToolRunCounts:
    """The other runs of a call: all, and the failed ones of one tool.  `is_repeated`: this tool call has a run already."""

    total: int
    failed: int
    is_repeated: bool


@dataclass(frozen=True, slots=True)
class NewToolRun:
    """A run that begins.  Its arguments are JSON."""

    id: UUID
    org_id: UUID
    channel: str
    purpose: str
    call_id: UUID | None
    conversation_id: UUID | None
    #: The turn in texts or the event's run, if it is not a call.
    run_id: UUID | None
    flow_id: UUID | None
    flow_version: int | None
    tool_call_id: str
    name: str
    kind: str | None
    tool_id: UUID | None
    tool_version: int | None
    arguments: str
    #: A hook's position among the others.
    place: int | None = None
    #: The approval that it needed, if any.
    approval_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ToolRunRow:
    status: str
    #: JSON; None while it runs.
    output: str | None
    #: The reason with which the call leaves its stream after this run.
    leaves: str | None = None
    #: Flow and version of the agent that has the call after this run.
    switches_to: UUID | None = None
    switches_to_version: int | None = None
    #: The keys that are pressed after this run.
    digits: str | None = None


@dataclass(frozen=True, slots=True)
class ToolReportRow:
    """A tool call of a call's agent as its media process reports it; `arguments` and `result` are JSON."""

    tool_call_id: str
    name: str
    #: When the model called it.
    at: datetime
    status: str
    duration_ms: int | None
    arguments: str | None
    result: str | None


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """A run as it is listed."""

    id: UUID
    name: str
    kind: str | None
    purpose: str
    tool_id: UUID | None
    tool_version: int | None
    flow_id: UUID | None
    flow_version: int | None
    call_id: UUID | None
    conversation_id: UUID | None
    arguments: str
    output: str | None
    status: str
    started_at: datetime
    duration_ms: int | None
    approval_id: UUID | None
    run_id: UUID | None
    #: Bytes of arguments and output.
    size: int = 0


@dataclass(frozen=True, slots=True)
class ActivityRow:
    """A tool's run within a turn in texts or an event's run."""

    tool_call_id: str
    name: str
    arguments: str
    output: str | None
    status: str
    started_at: datetime
    duration_ms: int | None
    approval_id: UUID | None


@dataclass(frozen=True, slots=True)
class ToolRunFilter:
    """The filters of a list of runs; None matches all."""

    flow: UUID | None = None
    name: str | None = None
    call: UUID | None = None
    conversation: UUID | None = None
    status: str | None = None


async def count(tx: Tx, call: UUID, name: str, tool_call_id: str) -> ToolRunCounts:
    row = await tx.fetchrow(COUNT, call, name, tool_call_id)
    assert row is not None
    return ToolRunCounts(**row)


async def begin(tx: Tx, run: NewToolRun) -> UUID | None:
    """Begin a run; return its row, or None if this tool call was begun before."""
    id: UUID | None = await tx.fetchval(BEGIN, *(getattr(run, name) for name in NewToolRun.__slots__))
    return id


async def finish(tx: Tx, id: UUID, run: ToolRunRow, took_ms: int) -> None:
    await tx.execute(FINISH, id, *(getattr(run, name) for name in ToolRunRow.__slots__), took_ms)


async def has_acted(tx: Tx, run: UUID, since: datetime | None = None) -> bool:
    """Return whether a text's turn or an event's run has begun a tool with possible effects, since then if that is given."""
    return bool(await tx.fetchval(HAS_ACTED, run, since))


async def set_agent_text(tx: Tx, id: UUID, text: str) -> None:
    """Store the text that the call's agent is told about a hook."""
    await tx.execute(SET_AGENT_TEXT, id, text)


async def get(tx: Tx, call: UUID, tool_call_id: str) -> ToolRunRow:
    """Return a run.  Raises NotFound."""
    row = await tx.fetchrow(GET, call, tool_call_id)
    if row is None:
        raise NotFound("There is no such tool run.")
    return ToolRunRow(**row)


async def page(tx: Tx, before: UUID | None, limit: int, filters: ToolRunFilter, keep: timedelta) -> list[ExecutionRow]:
    """Return runs of at most this age, newest first, below `before`."""
    rows = await tx.fetch(PAGE, before, limit, *(getattr(filters, name) for name in ToolRunFilter.__slots__), keep)
    return [ExecutionRow(**row) for row in rows]


async def of_run(tx: Tx, run: UUID, limit: int) -> list[ActivityRow]:
    """Return the runs of tools in a turn in texts, or in an event's run, oldest first."""
    return [ActivityRow(**row) for row in await tx.fetch(OF_RUN, run, limit)]


async def of_call(tx: Tx, call: UUID, limit: int) -> list[ActivityRow]:
    """Return the latest finished runs of a call's tools that were recorded, oldest first."""
    return [ActivityRow(**row) for row in reversed(await tx.fetch(OF_CALL, call, limit))]


async def of_turns(tx: Tx, turns: Sequence[UUID]) -> dict[UUID, list[ActivityRow]]:
    """Return the runs of tools in the last attempts of these turns in texts, oldest first; without turns that ran none."""
    activity = dict[UUID, list[ActivityRow]]()
    for row in await tx.fetch(OF_TURNS, turns):
        activity.setdefault(row["run_id"], []).append(
            ActivityRow(**{name: row[name] for name in ActivityRow.__slots__})
        )
    return activity


async def report(tx: Tx, org: UUID, call: UUID, tool: ToolReportRow) -> bool:
    """Store what was reported of a tool call of a locked call, instead of what was reported of it before.

    Return False if it was stored before, or something newer was.
    """
    fields = (getattr(tool, name) for name in ToolReportRow.__slots__)
    return await tx.fetchval(REPORT, ids.new(), org, call, *fields) is not None


async def end_orphaned(tx: Tx, call: UUID, at: datetime) -> list[str]:
    """End the reported tool calls of a locked call that have no end; return them, each a JSON object."""
    return [row["tool"] for row in await tx.fetch(LOSE, call, at)]


async def end_stale_tests(tx: Tx, age: timedelta, output: str, limit: int) -> int:
    """End tests that have run for longer than `age` as failed, with this output as JSON; return how many.  Runs as the system."""
    return int((await tx.execute(END_STALE_TESTS, age, output, limit)).rpartition(" ")[2])


async def prune(tx: Tx, keep: timedelta, limit: int) -> int:
    """Prune expired runs, at most `limit` of each kind, and none of calls; return how many.  Runs as the system."""
    statuses = (await tx.execute(PRUNE, keep, limit), await tx.execute(PRUNE_BY_RETENTION, limit))
    return sum(int(status.rpartition(" ")[2]) for status in statuses)
