"""Approvals: tool calls of agents that a person must decide on first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from hum.contract.errors import NotFound
from storage import largerows
from storage.db import Tx, notify

#: Notified with the organization in which an approval has changed.
CHANNEL = "hum_approvals"
COLUMNS = """
    a.id, a.org_id, a.call_id, a.conversation_id, a.run_id, a.event_run_id, a.flow_id, a.flow_version, a.tool, a.summary, a.arguments, a.schema, a.origin,
    a.state, a.edited, a.decided_by, a.decided_at, a.reason, a.begun_at, a.result, a.told_at, a.expires_at, a.created_at
"""
GET = f"SELECT {COLUMNS} FROM approvals a WHERE a.id = $1"
LOCK = f"{GET} FOR NO KEY UPDATE"
PAGE = largerows.page(
    f"""
    SELECT {COLUMNS} FROM approvals a
     WHERE a.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       AND ($2::text IS NULL OR a.state = $2) AND ($3::uuid IS NULL OR a.call_id = $3)
       AND ($4::uuid IS NULL OR a.conversation_id = $4)
     ORDER BY a.id DESC LIMIT $5
""",
    ["arguments", "schema", "result"],
    "id DESC",
)
BY_IDS = f"SELECT {COLUMNS} FROM approvals a WHERE a.id = ANY ($1)"
# Serializes concurrent requests, so that each counts the others.
COUNT_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('approvals ' || hum.org_id()::text, 0))"
# All requests of an event's run count, decided or not, so that a run that is resumed and asks again comes to an end.
PENDING = """
    SELECT (SELECT count(*) FROM approvals WHERE org_id = (SELECT hum.org_id()) AND state = 'pending') AS all_of_them,
           (SELECT count(*) FROM approvals
             WHERE state = 'pending' AND (call_id = $1 OR conversation_id = $2) OR event_run_id = $3) AS each,
           EXISTS (SELECT FROM approvals
                    WHERE state = 'pending' AND (call_id = $1 OR conversation_id = $2 OR event_run_id = $3)
                      AND tool = $4 AND arguments = $5) AS same
"""
CREATE = """
    INSERT INTO approvals (id, org_id, call_id, conversation_id, run_id, event_run_id, flow_id, flow_version, tool, summary,
                           arguments, schema, origin, expires_at)
    VALUES ($1, hum.org_id(), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    ON CONFLICT (id) DO NOTHING
    RETURNING org_id
"""
DECIDE = """
    UPDATE approvals
       SET state = $2, decided_by = $3, decided_at = clock_timestamp(), reason = $4, arguments = coalesce($5, arguments),
           edited = $2 = 'approved' AND $5 IS NOT NULL, touched_at = clock_timestamp()
     WHERE id = $1 AND state = 'pending'
    RETURNING org_id
"""
EXPIRED = """
    SELECT id FROM approvals WHERE state = 'pending' AND expires_at < $1 AND id <> ALL ($2) ORDER BY expires_at LIMIT $3
"""
VOID = """
    SELECT a.id FROM approvals a
     WHERE a.state = 'pending' AND EXISTS (SELECT FROM calls c WHERE c.id = a.call_id AND c.ended_at IS NOT NULL)
       AND a.id <> ALL ($1)
     ORDER BY a.id LIMIT $2
"""
# Only once: a second caller finds `begun_at` set.
BEGIN = """
    UPDATE approvals SET begun_at = clock_timestamp(), touched_at = clock_timestamp()
     WHERE id = $1 AND state = 'approved' AND begun_at IS NULL
    RETURNING true
"""
FINISH = """
    UPDATE approvals SET state = $2, result = $3, arguments = $4, touched_at = clock_timestamp()
     WHERE id = $1 AND state = 'approved'
    RETURNING org_id
"""
SET_TOLD = "UPDATE approvals SET told_at = clock_timestamp() WHERE id = ANY ($1) AND told_at IS NULL RETURNING org_id"
TOUCH_STALE = """
    UPDATE approvals SET touched_at = clock_timestamp()
     WHERE id IN (SELECT a.id FROM approvals a
                   WHERE a.state IN ('approved', 'done', 'failed', 'denied', 'expired') AND a.told_at IS NULL
                     AND a.touched_at < $1 AND a.decided_at > $2
                     AND (a.state = 'approved'
                          OR EXISTS (SELECT FROM calls c WHERE c.id = a.call_id AND c.ended_at IS NULL))
                   ORDER BY a.touched_at LIMIT $3 FOR UPDATE OF a SKIP LOCKED)
    RETURNING id, org_id
"""
UNDELIVERED = f"""
    SELECT {COLUMNS} FROM approvals a
     WHERE a.conversation_id = $1 AND a.state IN ('done', 'failed', 'denied', 'expired') AND a.told_at IS NULL
     ORDER BY a.id LIMIT $2
"""
UNDELIVERED_OF_RUN = f"""
    SELECT {COLUMNS} FROM approvals a
     WHERE a.event_run_id = $1 AND a.state IN ('done', 'failed', 'denied', 'expired') AND a.told_at IS NULL
     ORDER BY a.id
"""
IS_UNDECIDED = "SELECT EXISTS (SELECT FROM approvals WHERE event_run_id = $1 AND state IN ('pending', 'approved'))"
PRUNE = """
    DELETE FROM approvals WHERE id IN (SELECT id FROM approvals WHERE created_at < $1 AND state <> 'pending' LIMIT $2)
    RETURNING true
"""
HORIZON = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
AFTER = f"""
    SELECT {COLUMNS}, a.changed_xid::text AS xid FROM approvals a
     WHERE a.org_id = (SELECT hum.org_id()) AND (a.changed_xid, a.id) > ($1::text::xid8, $2) AND a.changed_xid < $3::text::xid8
     ORDER BY a.changed_xid, a.id LIMIT $4
"""
IS_MORE = """
    SELECT EXISTS (SELECT FROM approvals WHERE org_id = (SELECT hum.org_id()) AND changed_xid >= $1::text::xid8)
"""
DUE_SECONDS = """
    SELECT extract(epoch FROM min(expires_at) - now())::float8 FROM approvals WHERE expires_at > now() AND state = 'pending'
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a tool call: a call, a turn (`run_id`) in a conversation, or an event's run; and the asking agent's flow."""

    call_id: UUID | None
    conversation_id: UUID | None
    run_id: UUID | None
    event_run_id: UUID | None
    flow_id: UUID
    flow_version: int


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The tool call that the agent asks for; arguments and schema are JSON.  `origin`: the exact tool at that time."""

    tool: str
    summary: str
    arguments: str
    schema: str
    origin: str


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision; `by` and `at` are None without one."""

    edited: bool
    by: str | None
    at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    id: UUID
    org_id: UUID
    subject: Subject
    tool_call: ToolCall
    state: str
    decision: Decision
    begun_at: datetime | None
    #: JSON, once the tool has run.
    result: str | None
    times: tuple[datetime, datetime, datetime | None]
    #: Bytes, in a list.
    size: int = 0

    @property
    def created_at(self) -> datetime:
        return self.times[0]

    @property
    def expires_at(self) -> datetime:
        return self.times[1]

    @property
    def told_at(self) -> datetime | None:
        return self.times[2]


@dataclass(frozen=True, slots=True)
class PendingCounts:
    """Counts of pending approvals: of the `organization`, and of the `subject`, a call or a conversation (of an event's run: all
    requests); `is_duplicate`: one asks for the same tool call.
    """

    organization: int
    subject: int
    is_duplicate: bool


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> ApprovalRow:
    """Return an approval.  Raises NotFound."""
    row = await tx.fetchrow(LOCK if lock else GET, id)
    if row is None:
        raise NotFound("There is no such approval.")
    return _read(dict(row))


async def page(
    tx: Tx, before: UUID | None, state: str | None, of: tuple[UUID | None, UUID | None], limit: int
) -> list[ApprovalRow]:
    """Return approvals newest first, below `before`, filtered by state, call and conversation where these are set."""
    return [_read(dict(row)) for row in await tx.fetch(PAGE, before, state, *of, limit)]


async def get_many(tx: Tx, ids: Sequence[UUID]) -> list[ApprovalRow]:
    """Return those of these approvals that exist."""
    return [_read(dict(row)) for row in await tx.fetch(BY_IDS, ids)]


async def pending(tx: Tx, subject: Subject, tool_call: ToolCall) -> PendingCounts:
    """Return the counts of pending approvals, which no other transaction changes before this one ends."""
    await tx.execute(COUNT_LOCK)
    row = await tx.fetchrow(
        PENDING, subject.call_id, subject.conversation_id, subject.event_run_id, tool_call.tool, tool_call.arguments
    )
    assert row is not None
    return PendingCounts(row["all_of_them"], row["each"], row["same"])


async def create(tx: Tx, id: UUID, subject: Subject, tool_call: ToolCall, expires_at: datetime) -> None:
    await _notify_listeners(tx, await tx.fetch(CREATE, id, *_values(subject), *_values(tool_call), expires_at))


async def decide(
    tx: Tx, id: UUID, state: str, by: str | None, reason: str | None = None, arguments: str | None = None
) -> bool:
    """Decide an approval; return False if it was decided before."""
    return await _notify_listeners(tx, await tx.fetch(DECIDE, id, state, by, reason, arguments))


async def expired(tx: Tx, at: datetime, skipped: Collection[UUID], limit: int) -> list[UUID]:
    """Return expired pending approvals, the oldest first, without the skipped ones.  Runs as the system."""
    return [row["id"] for row in await tx.fetch(EXPIRED, at, list(skipped), limit)]


async def void(tx: Tx, skipped: Collection[UUID], limit: int) -> list[UUID]:
    """Return pending approvals of ended calls, without the skipped ones.  Runs as the system."""
    return [row["id"] for row in await tx.fetch(VOID, list(skipped), limit)]


async def begin(tx: Tx, id: UUID) -> bool:
    """Claim the run of an approved tool; return False if it was begun before, or is not approved."""
    return bool(await tx.fetchval(BEGIN, id))


async def finish(tx: Tx, id: UUID, state: str, result: str, arguments: str) -> bool:
    """Record the tool's result, and replace its stored arguments by `arguments`."""
    return await _notify_listeners(tx, await tx.fetch(FINISH, id, state, result, arguments))


async def record_delivery(tx: Tx, ids: Sequence[UUID]) -> None:
    """Record that the agent was told the results of these approvals."""
    await _notify_listeners(tx, await tx.fetch(SET_TOLD, list(ids)))


async def stalled(tx: Tx, before: datetime, newest: timedelta, limit: int) -> list[tuple[UUID, UUID]]:
    """Return approvals (organization, id) that are to run, or with a result that the call's agent lacks, untouched since `before`.

    Those decided more than `newest` before that are left out.  Runs as the system.
    """
    return [(row["org_id"], row["id"]) for row in await tx.fetch(TOUCH_STALE, before, before - newest, limit)]


async def undelivered(tx: Tx, conversation: UUID, limit: int) -> list[ApprovalRow]:
    """Return results that a conversation's agent was not told yet, oldest first."""
    return [_read(dict(row)) for row in await tx.fetch(UNDELIVERED, conversation, limit)]


async def undelivered_of_run(tx: Tx, event_run: UUID) -> list[ApprovalRow]:
    """Return results that the agent of an event's run was not told yet, oldest first."""
    return [_read(dict(row)) for row in await tx.fetch(UNDELIVERED_OF_RUN, event_run)]


async def is_undecided(tx: Tx, event_run: UUID) -> bool:
    """Return whether a request of an event's run is undecided, or approved and not carried out."""
    return bool(await tx.fetchval(IS_UNDECIDED, event_run))


async def prune(tx: Tx, before: datetime, limit: int) -> int:
    """Prune decided approvals from before then; return how many.  Runs as the system."""
    return len(await tx.fetch(PRUNE, before, limit))


async def horizon(tx: Tx) -> int:
    """Return the transaction horizon: all transactions before it have ended."""
    return int(await tx.fetchval(HORIZON))


async def after(tx: Tx, position: tuple[int, UUID], below: int, limit: int) -> list[tuple[int, ApprovalRow]]:
    """Return approvals that changed after a transaction and id, in transactions below `below`, each with its transaction."""
    rows = await tx.fetch(AFTER, str(position[0]), position[1], str(below), limit)
    return [(int(row["xid"]), _read({name: row[name] for name in row.keys() if name != "xid"})) for row in rows]  # noqa: SIM118


async def has_more(tx: Tx, below: int) -> bool:
    """Return whether there are changes that can't be read before an older transaction has ended."""
    return bool(await tx.fetchval(IS_MORE, str(below)))


async def _notify_listeners(tx: Tx, changed: Sequence[asyncpg.Record]) -> bool:
    """Notify the listeners of these rows' organizations; return False if there are no rows."""
    for org in {row["org_id"] for row in changed}:
        await notify(tx, CHANNEL, str(org))
    return bool(changed)


def _values(row: Subject | ToolCall) -> list[object]:
    return [getattr(row, name) for name in type(row).__slots__]


def _read(row: dict[str, object]) -> ApprovalRow:
    # The types are those of the columns.
    subject = Subject(**{name: row.pop(name) for name in Subject.__slots__})  # type: ignore[arg-type]
    tool_call = ToolCall(**{name: row.pop(name) for name in ToolCall.__slots__})  # type: ignore[arg-type]
    decision = [row.pop(name) for name in ("edited", "decided_by", "decided_at", "reason")]
    times = (row.pop("created_at"), row.pop("expires_at"), row.pop("told_at"))
    return ApprovalRow(
        subject=subject,
        tool_call=tool_call,
        decision=Decision(*decision),  # type: ignore[arg-type]
        times=times,  # type: ignore[arg-type]
        **row,  # type: ignore[arg-type]
    )


async def due_seconds(tx: Tx) -> float | None:
    """Return the seconds until the next approval expires; None if there is none.  Runs as the system."""
    seconds: float | None = await tx.fetchval(DUE_SECONDS)
    return seconds
