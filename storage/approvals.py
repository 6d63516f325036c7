"""What agents want to do and may not do alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg

from hum.errors import NotFound
from storage.db import Tx, notify

#: Notified with the organization in which an approval has changed.
CHANNEL = "hum_approvals"
COLUMNS = """
    a.id, a.org_id, a.call_id, a.conversation_id, a.run_id, a.event_run_id, a.flow_id, a.flow_version, a.tool, a.summary, a.arguments, a.schema, a.origin,
    a.state, a.edited, a.decided_by, a.decided_at, a.reason, a.begun_at, a.result, a.told_at, a.expires_at, a.created_at
"""
GET = f"SELECT {COLUMNS} FROM approvals a WHERE a.id = $1"
LOCK = f"{GET} FOR NO KEY UPDATE"
PAGE = f"""
    SELECT {COLUMNS} FROM approvals a
     WHERE a.id < coalesce($1::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
       AND ($2::text IS NULL OR a.state = $2) AND ($3::uuid IS NULL OR a.call_id = $3)
       AND ($4::uuid IS NULL OR a.conversation_id = $4)
     ORDER BY a.id DESC LIMIT $5
"""
SOME = f"SELECT {COLUMNS} FROM approvals a WHERE a.id = ANY ($1)"
# Two that are asked for at the same time are counted one after another.
COUNT_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('approvals ' || hum.org_id()::text, 0))"
# Of an event's run each counts, whatever became of it: so a run that goes on and asks again comes to an end.
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
    SELECT id, org_id FROM approvals WHERE state = 'pending' AND expires_at < $1 ORDER BY expires_at LIMIT $2
       FOR UPDATE SKIP LOCKED
"""
VOID = """
    SELECT a.id, a.org_id FROM approvals a
     WHERE a.state = 'pending' AND EXISTS (SELECT FROM calls c WHERE c.id = a.call_id AND c.ended_at IS NOT NULL)
     ORDER BY a.id LIMIT $1
       FOR UPDATE OF a SKIP LOCKED
"""
# Once: whoever comes second finds it begun.
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
TELL = "UPDATE approvals SET told_at = clock_timestamp() WHERE id = ANY ($1) AND told_at IS NULL RETURNING org_id"
LEFT = """
    UPDATE approvals SET touched_at = clock_timestamp()
     WHERE id IN (SELECT a.id FROM approvals a
                   WHERE a.state IN ('approved', 'done', 'failed', 'denied', 'expired') AND a.told_at IS NULL
                     AND a.touched_at < $1 AND a.decided_at > $2
                     AND (a.state = 'approved'
                          OR EXISTS (SELECT FROM calls c WHERE c.id = a.call_id AND c.ended_at IS NULL))
                   ORDER BY a.touched_at LIMIT $3 FOR UPDATE OF a SKIP LOCKED)
    RETURNING id, org_id
"""
NEWS = f"""
    SELECT {COLUMNS} FROM approvals a
     WHERE a.conversation_id = $1 AND a.state IN ('done', 'failed', 'denied', 'expired') AND a.told_at IS NULL
     ORDER BY a.id LIMIT $2
"""
RUN_NEWS = f"""
    SELECT {COLUMNS} FROM approvals a
     WHERE a.event_run_id = $1 AND a.state IN ('done', 'failed', 'denied', 'expired') AND a.told_at IS NULL
     ORDER BY a.id
"""
IS_UNDECIDED = "SELECT EXISTS (SELECT FROM approvals WHERE event_run_id = $1 AND state IN ('pending', 'approved'))"
FORGET = """
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


@dataclass(frozen=True, slots=True)
class Subject:
    """For whom the tool runs: a call, a turn (`run_id`) in a conversation, or the run for an event; and which flow's agent asks."""

    call_id: UUID | None
    conversation_id: UUID | None
    run_id: UUID | None
    event_run_id: UUID | None
    flow_id: UUID
    flow_version: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What the agent wants to do; arguments and schema are JSON.  `origin`: what exactly the tool was then."""

    tool: str
    summary: str
    arguments: str
    schema: str
    origin: str


@dataclass(frozen=True, slots=True)
class Decision:
    """`by` and `at` None: nobody decided."""

    edited: bool
    by: str | None
    at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class ApprovalRow:
    id: UUID
    org_id: UUID
    subject: Subject
    wish: Wish
    state: str
    decision: Decision
    begun_at: datetime | None
    #: JSON, once the tool ran.
    result: str | None
    times: tuple[datetime, datetime, datetime | None]

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
class Pending:
    """How many wait: of the organization, of one call or conversation (of an event's run: how many it has asked for); and whether one
    wants the same.
    """

    all: int
    each: int
    same: bool


async def get(tx: Tx, id: UUID, *, lock: bool = False) -> ApprovalRow:
    """Raises NotFound."""
    row = await tx.fetchrow(LOCK if lock else GET, id)
    if row is None:
        raise NotFound("There is no such approval.")
    return _read(dict(row))


async def page(
    tx: Tx, before: UUID | None, state: str | None, of: tuple[UUID | None, UUID | None], limit: int
) -> list[ApprovalRow]:
    """Newest first, below `before`; those in a state, of a call, of a conversation, where these are set."""
    return [_read(dict(row)) for row in await tx.fetch(PAGE, before, state, *of, limit)]


async def some(tx: Tx, ids: Sequence[UUID]) -> list[ApprovalRow]:
    """Those of these that there are."""
    return [_read(dict(row)) for row in await tx.fetch(SOME, ids)]


async def pending(tx: Tx, subject: Subject, wish: Wish) -> Pending:
    """What waits, until this transaction ends."""
    await tx.execute(COUNT_LOCK)
    row = await tx.fetchrow(
        PENDING, subject.call_id, subject.conversation_id, subject.event_run_id, wish.tool, wish.arguments
    )
    assert row is not None
    return Pending(row["all_of_them"], row["each"], row["same"])


async def create(tx: Tx, id: UUID, subject: Subject, wish: Wish, expires_at: datetime) -> None:
    await _tell_listeners(tx, await tx.fetch(CREATE, id, *_values(subject), *_values(wish), expires_at))


async def decide(
    tx: Tx, id: UUID, state: str, by: str | None, reason: str | None = None, arguments: str | None = None
) -> bool:
    """False if it was decided before."""
    return await _tell_listeners(tx, await tx.fetch(DECIDE, id, state, by, reason, arguments))


async def expired(tx: Tx, at: datetime, most: int) -> list[tuple[UUID, UUID]]:
    """As the system: lock those (organization, id) whose time is over."""
    return [(row["org_id"], row["id"]) for row in await tx.fetch(EXPIRED, at, most)]


async def void(tx: Tx, most: int) -> list[tuple[UUID, UUID]]:
    """As the system: lock those (organization, id) whose call is over."""
    return [(row["org_id"], row["id"]) for row in await tx.fetch(VOID, most)]


async def begin(tx: Tx, id: UUID) -> bool:
    """False if the tool was begun before, or is not approved."""
    return bool(await tx.fetchval(BEGIN, id))


async def finish(tx: Tx, id: UUID, state: str, result: str, arguments: str) -> bool:
    """Record what the tool answered; from now on its arguments are kept as `arguments`."""
    return await _tell_listeners(tx, await tx.fetch(FINISH, id, state, result, arguments))


async def tell(tx: Tx, ids: Sequence[UUID]) -> None:
    """The agent knows what became of these."""
    await _tell_listeners(tx, await tx.fetch(TELL, list(ids)))


async def left(tx: Tx, before: datetime, newest: timedelta, most: int) -> list[tuple[UUID, UUID]]:
    """As the system: those (organization, id) that are to run, or whose call's agent does not know yet, and for which nothing was
    done since then; those that were decided more than `newest` before are left.
    """
    return [(row["org_id"], row["id"]) for row in await tx.fetch(LEFT, before, before - newest, most)]


async def news(tx: Tx, conversation: UUID, most: int) -> list[ApprovalRow]:
    """What a conversation's agent does not know yet, oldest first."""
    return [_read(dict(row)) for row in await tx.fetch(NEWS, conversation, most)]


async def run_news(tx: Tx, event_run: UUID) -> list[ApprovalRow]:
    """What the agent of an event's run does not know yet, oldest first."""
    return [_read(dict(row)) for row in await tx.fetch(RUN_NEWS, event_run)]


async def is_undecided(tx: Tx, event_run: UUID) -> bool:
    """Whether something that an event's run asked for is not decided, or not carried out."""
    return bool(await tx.fetchval(IS_UNDECIDED, event_run))


async def forget(tx: Tx, before: datetime, most: int) -> int:
    """As the system: delete decided ones from before then; return how many."""
    return len(await tx.fetch(FORGET, before, most))


async def horizon(tx: Tx) -> int:
    """Transactions before this one are over."""
    return int(await tx.fetchval(HORIZON))


async def after(tx: Tx, place: tuple[int, UUID], below: int, most: int) -> list[tuple[int, ApprovalRow]]:
    """Those that changed after a transaction and id, in transactions below `below`; each with the transaction."""
    rows = await tx.fetch(AFTER, str(place[0]), place[1], str(below), most)
    return [(int(row["xid"]), _read({name: row[name] for name in row.keys() if name != "xid"})) for row in rows]  # noqa: SIM118


async def is_more(tx: Tx, below: int) -> bool:
    """Whether there are changes that can't be read before an older transaction is over."""
    return bool(await tx.fetchval(IS_MORE, str(below)))


async def _tell_listeners(tx: Tx, changed: Sequence[asyncpg.Record]) -> bool:
    """Wake whoever follows the approvals of these rows' organizations; False if there are no rows."""
    for org in {row["org_id"] for row in changed}:
        await notify(tx, CHANNEL, str(org))
    return bool(changed)


def _values(row: Subject | Wish) -> list[object]:
    return [getattr(row, name) for name in type(row).__slots__]


def _read(row: dict[str, object]) -> ApprovalRow:
    subject = Subject(**{name: row.pop(name) for name in Subject.__slots__})  # type: ignore[arg-type]  # as the columns are
    wish = Wish(**{name: row.pop(name) for name in Wish.__slots__})  # type: ignore[arg-type]
    decided = [row.pop(name) for name in ("edited", "decided_by", "decided_at", "reason")]
    times = (row.pop("created_at"), row.pop("expires_at"), row.pop("told_at"))
    return ApprovalRow(
        subject=subject,
        wish=wish,
        decision=Decision(*decided),  # type: ignore[arg-type]
        times=times,  # type: ignore[arg-type]
        **row,  # type: ignore[arg-type]
    )
