"""Runs of agents' tools: one row for each tool call of a model, so that none is run twice."""

from dataclasses import dataclass
from uuid import UUID

from hum.errors import NotFound
from storage.db import Tx

COUNT = """
    SELECT count(*) AS total, count(*) FILTER (WHERE status = 'failed' AND name = $2) AS failed
      FROM tool_runs WHERE call_id = $1 AND tool_call_id <> $3
"""
BEGIN = """
    INSERT INTO tool_runs (org_id, call_id, tool_call_id, name, status) VALUES ($1, $2, $3, $4, 'running')
    ON CONFLICT (call_id, tool_call_id) DO NOTHING
    RETURNING true
"""
FINISH = """
    UPDATE tool_runs SET status = $3, output = $4, finished_at = now() WHERE call_id = $1 AND tool_call_id = $2
"""
GET = "SELECT status, output FROM tool_runs WHERE call_id = $1 AND tool_call_id = $2"


@dataclass(frozen=True, slots=True)
class Counts:
    """The other runs of a call: all, and those of one tool that failed."""

    total: int
    failed: int


@dataclass(frozen=True, slots=True)
class RunRow:
    status: str
    #: JSON; None while it runs.
    output: str | None


async def count(tx: Tx, call: UUID, name: str, tool_call_id: str) -> Counts:
    row = await tx.fetchrow(COUNT, call, name, tool_call_id)
    assert row is not None
    return Counts(**row)


async def begin(tx: Tx, org: UUID, call: UUID, tool_call_id: str, name: str) -> bool:
    """False when this run was begun before."""
    return bool(await tx.fetchval(BEGIN, org, call, tool_call_id, name))


async def finish(tx: Tx, call: UUID, tool_call_id: str, *, ok: bool, output: str) -> None:
    await tx.execute(FINISH, call, tool_call_id, "ok" if ok else "failed", output)


async def get(tx: Tx, call: UUID, tool_call_id: str) -> RunRow:
    """Raises NotFound."""
    row = await tx.fetchrow(GET, call, tool_call_id)
    if row is None:
        raise NotFound("There is no such tool run.")
    return RunRow(**row)
