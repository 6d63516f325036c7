"""The command python -m bench.months: the cost of monthly partitions of events beside one table with the same rows, and of dropping one.

A dedicated PostgreSQL is filled with events over so many months, in transactions of their own; then the platform's own statements run
on both in turn, with the same arguments and as the roles that run them.  p50 in ms of the server's time alone, without begin and commit.
Lookups pass if the partitions take at most 1.5 times as long as the whole table.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg
import uvloop

from bench.growth import SETTINGS
from hum import ids
from hum.clock import now
from storage import events, webhook_deliveries
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate

CHUNK, PAGE, WARM = 5_000, 50, 10
EVENTS_A_SUBJECT = 20
#: $1, $2 organizations, of which the first has nine of ten events; $3 the month, $4 and $5 which events of it, $6 of how many.
FILL = f"""
    INSERT INTO events (id, public_id, org_id, type, subject_id, data, created_at)
    SELECT hum.month_id($3) + nextval('events_places'),
           (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || substr(md5(random()::text), 1, 20))::uuid,
           CASE WHEN n % 10 = 0 THEN $2::uuid ELSE $1::uuid END, 'call.completed', md5($3 || '/' || n / {EVENTS_A_SUBJECT})::uuid,
           '{{"reason": "caller", "summary": "They asked when we open, and were told."}}', at
      FROM (SELECT n, hum.month_begins($3) + (hum.month_begins($3 + 1) - hum.month_begins($3)) * (n::float8 / $6) AS at
              FROM generate_series($4::integer, $5::integer) AS n) AS made
"""
CLOSE = "UPDATE event_months SET closed_xid = pg_snapshot_xmax(pg_current_snapshot()) WHERE month = $1"
#: The table as it was before partitioning, in a schema that comes first in its sessions' search path.
WHOLE = """
    CREATE SCHEMA whole;
    GRANT USAGE ON SCHEMA whole TO hum_app, hum_system;
    CREATE TABLE whole.events (LIKE public.events INCLUDING DEFAULTS);
    INSERT INTO whole.events SELECT * FROM public.events ORDER BY id;
    ALTER TABLE whole.events ADD PRIMARY KEY (id), ADD FOREIGN KEY (org_id) REFERENCES organizations ON DELETE CASCADE;
    CREATE UNIQUE INDEX ON whole.events (public_id);
    CREATE INDEX ON whole.events (xid, id);
    CREATE INDEX ON whole.events (org_id, xid, id) WHERE data IS NOT NULL;
    CREATE INDEX ON whole.events (org_id, subject_id) WHERE data IS NOT NULL;
    CREATE INDEX ON whole.events (org_id, created_at) WHERE data IS NOT NULL;
    ALTER TABLE whole.events ENABLE ROW LEVEL SECURITY;
    ALTER TABLE whole.events FORCE ROW LEVEL SECURITY;
    CREATE POLICY tenant ON whole.events TO hum_app USING (org_id = (SELECT hum.org_id())) WITH CHECK (org_id = (SELECT hum.org_id()));
    CREATE POLICY system ON whole.events TO hum_system USING (true) WITH CHECK (true);
    GRANT SELECT, INSERT, UPDATE, DELETE ON whole.events TO hum_app, hum_system;
"""
OF_SUBJECT = "SELECT id FROM events WHERE org_id = (SELECT hum.org_id()) AND subject_id = $1 AND data IS NOT NULL"
#: Events of all months, and of the last one, which readers and clients use.
SAMPLE = "SELECT id, xid::text AS xid, public_id, subject_id FROM events WHERE org_id = $1 AND random() < $2"
SAMPLE_LATELY = f"{SAMPLE} AND id >= hum.month_id($3)"
#: As before: the whole table's unique index makes a repeated append harmless.
ONCE_BEFORE = events.APPEND + " ON CONFLICT (public_id) DO NOTHING"
ALL = (["*"], [""], PAGE)

#: asyncpg's type is generic for type checkers only.
Connection = Any
Arguments = Callable[[asyncpg.Record, UUID], Sequence[Any]]


@dataclass(frozen=True, slots=True)
class MonthQuery:
    """One statement on months, its form before, its role, and its arguments for an event and an organization."""

    name: str
    sql: str
    before: str
    role: str
    arguments: Arguments
    before_arguments: Arguments | None = None

    @property
    def is_of_late(self) -> bool:
        return self.name.startswith(("a tenant's", "a reader"))


def questions() -> list[MonthQuery]:
    def same(name: str, sql: str, role: str, arguments: Arguments) -> MonthQuery:
        return MonthQuery(name, sql, sql, role, arguments)

    def unread(event: asyncpg.Record) -> int:
        """Return the first id of an event's month, as `events.UNREAD` does: earlier months are closed."""
        return int(event["id"]) >> events.MONTH_BITS << events.MONTH_BITS

    def in_month(event: asyncpg.Record, _: UUID) -> Sequence[Any]:
        return event["public_id"], unread(event), unread(event) + (1 << events.MONTH_BITS)

    def new(_: asyncpg.Record, org: UUID) -> Sequence[Any]:
        return ids.new(), org, "call.completed", 1, ids.new(), "{}", None

    def once(event: asyncpg.Record, org: UUID) -> Sequence[Any]:
        return *([value] for value in new(event, org)), [True]

    def of_public_id(event: asyncpg.Record, _: UUID) -> Sequence[Any]:
        return (event["public_id"],)

    after = events.PAGE
    behind = events.BEHIND_HORIZON
    return [
        same("events of a subject", OF_SUBJECT, "hum_app", lambda event, _: (event["subject_id"],)),
        same("a tenant's newest page, of all months", events.PAGE_NEWEST_FIRST, "hum_app", lambda *_: (*events.END, *ALL)),
        MonthQuery("a tenant's newest page", events.PAGE_LATELY, events.PAGE_NEWEST_FIRST, "hum_app",
                 lambda event, _: (*events.END, *ALL, unread(event), event["xid"]), lambda *_: (*events.END, *ALL)),
        MonthQuery("a tenant's page after an event", after, after.replace("AND id >= $6", ""), "hum_app",
                 lambda event, _: (event["xid"], event["id"], *ALL, unread(event)),
                 lambda event, _: (event["xid"], event["id"], *ALL)),
        MonthQuery("a reader, 100 behind the horizon", behind, behind.replace("AND id >= $4", ""), "hum_system",
                 lambda event, _: (event["xid"], event["id"], 100, unread(event)),
                 lambda event, _: (event["xid"], event["id"], 100)),
        same("by id", webhook_deliveries.CONTENT, "hum_app", lambda event, _: (event["id"],)),
        MonthQuery("by public id", events.PLACE_OF_IN, events.PLACE_OF, "hum_app", in_month, of_public_id),
        same("by a public id that says no time", events.PLACE_OF, "hum_app", of_public_id),
        same("append", events.APPEND, "hum_app", new),
        MonthQuery("append what may come again", events.APPEND_ONCE, ONCE_BEFORE, "hum_app", once, new),
    ]  # fmt: skip


async def fill(connection: Connection, orgs: Sequence[UUID], count: int, months: int) -> int:
    """Insert `count` events over the `months` before this one; return the first month."""
    current: int = await connection.fetchval("SELECT hum.month_of(now())")
    per_month = count // months
    for month in range(current - months, current):
        _log(f"events of month {month - current + months + 1} of {months}")
        await connection.fetchval("SELECT hum.make_event_month($1)", month)
        for first in range(0, per_month, CHUNK):
            await connection.execute(FILL, *orgs, month, first, min(first + CHUNK, per_month) - 1, per_month)
        await connection.execute(CLOSE, month)
    _log("the whole table")
    await connection.execute(WHOLE)
    for table in ("public.events", "whole.events"):
        await connection.execute(f"VACUUM ANALYZE {table}")
    return current - months


async def sessions(url: str, org: UUID, question: MonthQuery) -> list[Connection]:
    """Open the whole table's session and the months', which plans pages and readers once, like `events.UNREAD`."""
    connections = []
    for path in ("whole, public", "public"):
        settings = {"search_path": path, "role": question.role, "hum.org_id": str(org)}
        if question.is_of_late and path == "public":
            settings["plan_cache_mode"] = "force_generic_plan"
        connections.append(await asyncpg.connect(url, server_settings=settings))
    return connections


async def measure(
    url: str, org: UUID, question: MonthQuery, sample: Sequence[asyncpg.Record], times: int
) -> tuple[float, float, int]:
    """Return p50 in ms before and with months, and the rows of the last result."""
    before, after = await sessions(url, org, question)
    random = Random(1)
    took: tuple[list[float], list[float]] = ([], [])
    rows: list[Any] = []
    for n in range(times + WARM):
        event = random.choice(sample)
        turns = (
            (before, question.before, question.before_arguments or question.arguments, 0),
            (after, question.sql, question.arguments, 1),
        )
        for connection, sql, arguments, place in turns if n % 2 else turns[::-1]:
            values = arguments(event, org)
            began = time.perf_counter()
            rows = await connection.fetch(sql, *values)
            if n >= WARM:
                took[place].append((time.perf_counter() - began) * 1000)
    for connection in (before, after):
        await connection.close()
    return median(took[0]), median(took[1]), len(rows)


async def drop(connection: Connection, month: int) -> tuple[float, float]:
    """Return the seconds to delete a month of the whole table, and to drop one."""
    began = time.perf_counter()
    await connection.execute("DELETE FROM whole.events WHERE id < hum.month_id($1)", month + 1)
    between = time.perf_counter()
    await connection.fetchval("SELECT hum.drop_event_month($1)", month)
    return between - began, time.perf_counter() - between


async def run(count: int, months: int, times: int, home: Path) -> str:
    server = EmbeddedPostgres(home, settings=SETTINGS)
    url = await server.start()
    try:
        await migrate(url)
        connection = await asyncpg.connect(url)
        orgs = ids.new(), ids.new()
        for org in orgs:
            await connection.execute("INSERT INTO organizations (org_id, name) VALUES ($1, 'O')", org)
        first = await fill(connection, orgs, count, months)
        sample = await connection.fetch(SAMPLE, orgs[0], min(1.0, 2000 / count))
        lately = await connection.fetch(SAMPLE_LATELY, orgs[0], min(1.0, 2000 * months / count), first + months - 1)
        lines = ["| question | rows | whole, ms | months, ms | ratio |", "| --- | --- | --- | --- | --- |"]
        for question in questions():
            _log(question.name)
            before, after, rows = await measure(
                url, orgs[0], question, lately if question.is_of_late else sample, times
            )
            lines.append(f"| {question.name} | {rows} | {before:.3f} | {after:.3f} | {after / before:.2f} |")
        deleted, dropped = await drop(connection, first)
        lines.append(
            f"\nA month of {count // months:,}: deleted in {deleted:.2f} s (and a vacuum to come), dropped in {dropped:.3f} s."
        )
        await connection.close()
        return "\n".join(lines)
    finally:
        await server.stop()


def _log(what: str) -> None:
    sys.stderr.write(f"{now():%H:%M:%S} {what}\n")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.months", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--times", type=int, default=300, help="how often each statement is run")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="hum-months-", ignore_cleanup_errors=True) as home:
        # Run by root, the server uses another account.
        Path(home).chmod(0o711)
        sys.stdout.write(uvloop.run(run(options.events, options.months, options.times, Path(home))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
