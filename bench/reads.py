"""The command python -m bench.reads: the time of a tenant's read, compared with the same SELECT on a bare connection of the pool.

The tenant's read is a whole transaction: begin with the organization, select under row level security, commit.  The
bare one is a single statement.  Both alternate, on a dedicated PostgreSQL over loopback; ms.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import uvloop

from hum import ids
from hum.clock import now
from storage import call_records, calls, contacts, identity, interruptions, latencies, tool_runs
from storage.calls import NewCall, TurnRow
from storage.db import Db, Tx
from storage.embedded import EmbeddedPostgres
from storage.interruptions import InterruptionRow
from storage.latencies import LatencyRow
from storage.migrate import migrate
from storage.tool_runs import ToolReportRow

WARM = 50
#: The turns of the call that is read.
TURNS = 40


@dataclass(frozen=True, slots=True)
class Reads:
    """Percentiles of one way to read."""

    what: str
    p50_ms: float
    p99_ms: float
    ratio: float  # of the p50 to the bare select's


async def run(times: int, home: Path) -> list[Reads]:
    server = EmbeddedPostgres(home)
    url = await server.start()
    try:
        await migrate(url)
        db = await Db.open(url, size=2)
        reads = await _measure(db, times)
        await db.close()
    finally:
        await server.stop()
    return reads


async def _measure(db: Db, times: int) -> list[Reads]:
    org, other = ids.new(), ids.new()
    rows = [contacts.ImportedContact(f"+1317555{n:04d}", {"name": f"Ann {n}"}, None, []) for n in range(200)]
    async with db.system() as tx:
        for id in (org, other):
            await identity.create_organization(tx, id, str(id))
    async with db.tenant(org) as tx:
        first, *_ = await contacts.import_contacts(tx, rows, dry_run=False)
        call = await _call(tx, org)
    questions: Sequence[tuple[str, str, Sequence[Any]]] = (
        ("one row", contacts.GET, (first,)),
        ("a page of 50", contacts.PAGE, (None, 50)),
        ("a call", call_records.DETAIL, (call,)),
    )
    reads = []
    for what, sql, arguments in questions:
        reads += await _compare(db, org, what, sql, arguments, times)
    return reads


async def _call(tx: Tx, org: UUID) -> UUID:
    """Store a call of some minutes: the agent's turns with their latencies, interruptions and tools."""
    id = ids.new()
    call = NewCall(id, org, None, "inbound", "completed", "+13175550199", "+13175550100", None, None, None, None)
    await calls.create(tx, call)
    for seq in range(1, TURNS + 1):
        turn = TurnRow(seq, "agent", "Thursday at nine is free.", None, seq * 1000, seq * 1000 + 900, interrupted=False)
        await calls.add_turn(tx, org, id, turn)
        await latencies.add(tx, org, id, LatencyRow(1, 3 * seq, seq, 600, 700, 8, 500))
        if seq % 4 == 0:
            cut = InterruptionRow(1, 3 * seq + 1, seq * 1000, 400, 60, "cut", seq, "voice", "kept_speaking", 900, 360)
            await interruptions.add(tx, org, id, cut)
        if seq % 5 == 0:
            tool = ToolReportRow(
                f"call_{seq}", "look_up", now(), "ok", 200, '{"day": "Thursday"}', '{"free": ["09:00"]}'
            )
            await tool_runs.report(tx, org, id, tool)
    return id


async def _compare(db: Db, org: UUID, what: str, sql: str, arguments: Sequence[Any], times: int) -> list[Reads]:
    async def bare() -> None:
        async with db.queue_pool.acquire() as connection:
            await connection.fetch(sql, *arguments)

    async def in_transaction() -> None:
        async with db.system() as tx:
            await tx.fetch(sql, *arguments)

    async def tenant() -> None:
        async with db.tenant(org) as tx:
            await tx.fetch(sql, *arguments)

    ways: dict[str, Callable[[], Awaitable[None]]] = {
        "a bare select on the pool": bare,
        "in a transaction": in_transaction,
        "a tenant's": tenant,
    }
    took: dict[str, list[float]] = {name: [] for name in ways}
    for n in range(times + WARM):
        for name, way in ways.items():
            began = time.perf_counter()
            await way()
            took[name] += [(time.perf_counter() - began) * 1000] if n >= WARM else []
    baseline = float(np.median(next(iter(took.values()))))
    return [
        Reads(
            f"{what}, {name}",
            float(np.percentile(ms, 50)),
            float(np.percentile(ms, 99)),
            float(np.median(ms)) / baseline,
        )
        for name, ms in took.items()
    ]


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.reads", description=__doc__)
    parser.add_argument("--times", type=int, default=5000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="hum-reads-", ignore_cleanup_errors=True) as home:
        # Run by root, the server uses another account.
        Path(home).chmod(0o711)
        reads = uvloop.run(run(options.times, Path(home)))
    print("| read | p50 ms | p99 ms | ratio |\n| --- | --- | --- | --- |")
    for row in reads:
        print(f"| {row.what} | {row.p50_ms:.3f} | {row.p99_ms:.3f} | {row.ratio:.2f} |")
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in reads], indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
