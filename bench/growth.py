"""The command python -m bench.growth: the time of a query as its table grows from ten thousand rows to a million.

A dedicated PostgreSQL is filled with SQL; then the platform's own storage functions run each query in a tenant's
transaction, with different arguments each time.  One row in ten is another tenant's.  p50 in ms; a query scales well if
the largest size takes at most 1.5 times as long as the smallest, or at most 10 ms (decision 81).
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import md5
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import uvloop

from hum import ids
from storage import call_events, call_records, contacts, events, identity
from storage.call_records import CallFilter, Query
from storage.db import Db, Tx
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate
from tests.support import rows
from tests.support.rows import CALLS_A_CALLER, EVENTS_A_CALL

SIZES = (10_000, 100_000, 1_000_000)
PAGE = 50
WARM = 10
MUST_RATIO, MUST_MS = 1.5, 10.0
SETTINGS = {
    "fsync": "off", "synchronous_commit": "off", "autovacuum": "off", "max_wal_size": "8GB",
    "shared_buffers": "512MB", "maintenance_work_mem": "512MB", "statement_timeout": "0",
}  # fmt: skip

Ask = Callable[[Tx, Random], Awaitable[Sequence[Any]]]
#: Part of the names of queries over all organizations.
FOR_ALL = "cursor"


class Growing(Protocol):
    """A database that grows, and the queries to measure at each size."""

    async def grow(self, size: int) -> None: ...

    def questions(self) -> dict[str, Ask]: ...


#: Arguments: its URL, connections to it, the measured tenant, another one.
Make = Callable[[str, Db, UUID, UUID], Growing]


@dataclass(frozen=True, slots=True)
class Growth:
    """One query at every size."""

    question: str
    #: Rows of the last result; the figures are comparable if these are equal.
    finds: Mapping[int, int]
    p50_ms: Mapping[int, float]

    @property
    def ratio(self) -> float:
        """The time at the largest size relative to that at the smallest."""
        return self.p50_ms[max(self.p50_ms)] / self.p50_ms[min(self.p50_ms)]

    @property
    def scales(self) -> str:
        """The bound within which the query scales, or "no"."""
        if self.ratio <= MUST_RATIO:
            return "ratio"
        return "ms" if self.p50_ms[max(self.p50_ms)] <= MUST_MS else "no"


class GrowingDatabase:
    """A database whose calls, contacts and events grow."""

    def __init__(self, url: str, db: Db, tenant: UUID, other_tenant: UUID) -> None:
        self._url, self._db, self._tenant, self._other_tenant = url, db, tenant, other_tenant
        self.size = 0

    async def grow(self, size: int) -> None:
        """Fill the tables up to `size` calls, contacts and events."""
        _log(f"rows: {size}")
        await rows.add_calls(self._url, self._tenant, self._other_tenant, self.size, size)
        self.size = size

    def questions(self) -> dict[str, Ask]:
        """Return the queries by name; each call of one uses different arguments."""
        size, everything = self.size, CallFilter()

        def caller(random: Random) -> str:
            return str(2_000_000_000 + random.randrange(1, size // CALLS_A_CALLER) * 7919 % 7_999_999_999)

        def phone(random: Random) -> str:
            return str(2_000_000_000 + random.randrange(1, size) * 7919 % 7_999_999_999)

        def calls(query: Callable[[Random], Query]) -> Ask:
            return lambda tx, random: call_records.search(tx, query(random), everything, None, PAGE)

        def listed(by: Callable[[Random], CallFilter]) -> Ask:
            return lambda tx, random: call_records.page(tx, by(random), None, PAGE)

        def people(ask: Callable[[Random], tuple[str, str | None]]) -> Ask:
            return lambda tx, random: contacts.search(tx, *ask(random), None, None, PAGE)

        async def behind(tx: Tx, random: Random) -> Sequence[Any]:
            await events.lock_position(tx, "bench", events.ReaderStart.BEGINNING)
            await events.advance(tx, "bench", "0", random.randrange(size))
            return await events.read_behind_horizon(tx, "bench", events.ReaderStart.BEGINNING, 100)

        return {
            "calls: the newest": listed(lambda _: everything),
            "calls: of a number": listed(lambda random: CallFilter(contact_e164=f"+1{caller(random)}")),
            "calls: a status of 1 %": listed(lambda _: CallFilter(status="failed")),
            "calls: a tag of 1 %": listed(lambda _: CallFilter(tag="vip")),
            "call search: a number": calls(lambda random: _number_query(caller(random))),
            "call search: the end of a number": calls(lambda random: _number_query(caller(random)[-7:])),
            "call search: a word of two hundred": calls(
                lambda random: Query(f"w{random.randrange(size // 70, size // 65)}")
            ),
            "call search: a word of 1 %": calls(lambda _: Query("middling")),
            "call search: a word of most calls": calls(lambda random: Query(f"w{random.randrange(1, 4)}")),
            "call search: a number of ours": calls(lambda _: _number_query("3175550100")),
            "contacts: the newest": lambda tx, _: contacts.page(tx, None, PAGE),
            "contact search: a number": people(lambda random: (number := phone(random), number)),
            "contact search: a name": people(lambda random: (f"name{random.randrange(size)}", None)),
            "contact search: a company of 0.1 %": people(lambda random: (f"company{random.randrange(1000)}", None)),
            "contact search: a word of 1 %": people(lambda _: ("middling", None)),
            "contact search: a word of most": people(lambda _: ("freq", None)),
            "contacts: a tag of 1 %": lambda tx, _: contacts.page(tx, None, PAGE, "vip"),
            "events: of a call": lambda tx, random: call_events.after(tx, _call(random, size), 0),
            "events: 100 behind a cursor": behind,
        }


def _number_query(digits: str) -> Query:
    return Query(digits, digits)


def _call(random: Random, size: int) -> UUID:
    return UUID(md5(f"call{random.randrange(1, size // EVENTS_A_CALL)}".encode(), usedforsecurity=False).hexdigest())


def _log(what: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")


async def measure(db: Db, tenant: UUID, seed: int, name: str, ask: Ask, times: int) -> tuple[float, int]:
    """Return p50 in ms, and the number of rows of the last result."""
    random, took = Random(seed), list[float]()
    rows: Sequence[Any] = ()
    for n in range(times + WARM):
        async with db.system() if FOR_ALL in name else db.tenant(tenant) as tx:
            began = time.perf_counter()
            rows = await ask(tx, random)
            took += [(time.perf_counter() - began) * 1000] if n >= WARM else []
    return median(took), len(rows)


async def run(make: Make, sizes: Sequence[int], times: int, home: Path, memory: str | None) -> list[Growth]:
    """Measure every query at every size."""
    server = EmbeddedPostgres(home, settings=SETTINGS | ({"shared_buffers": memory} if memory else {}))
    url = await server.start()
    try:
        await migrate(url)
        db = await Db.open(url, size=4, statement_seconds=60)
        tenant, other_tenant = ids.new(), ids.new()
        async with db.system() as tx:
            for org in (tenant, other_tenant):
                await identity.create_organization(tx, org, str(org))
        bench = make(url, db, tenant, other_tenant)
        took: dict[str, dict[int, tuple[float, int]]] = {}
        for size in sizes:
            await bench.grow(size)
            if memory:
                await _read_into_memory(url)
            _log(f"questions: {size}")
            for name, ask in bench.questions().items():
                took.setdefault(name, {})[size] = await measure(db, tenant, size, name, ask, times)
        await db.close()
    finally:
        await server.stop()
    return [
        Growth(
            name,
            {size: rows for size, (_, rows) in times_and_rows.items()},
            {size: p50 for size, (p50, _) in times_and_rows.items()},
        )
        for name, times_and_rows in took.items()
    ]


async def _read_into_memory(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_prewarm")
    await connection.execute(
        "SELECT pg_prewarm(oid) FROM pg_class WHERE relkind IN ('r', 'i', 't') AND relnamespace <> 'pg_catalog'::regnamespace"
    )
    await connection.close()


def table(growths: Sequence[Growth]) -> str:
    """Format the rows as a Markdown table."""
    sizes = list(growths[0].p50_ms)
    lines = [
        "| question | rows found | " + " | ".join(f"{size:,}" for size in sizes) + " | ratio | scales by |",
        "| --- |" + " --- |" * (len(sizes) + 3),
    ]
    for growth in growths:
        figures = " | ".join(f"{growth.p50_ms[size]:.2f}" for size in sizes)
        finds = " to ".join(str(rows) for rows in sorted({min(growth.finds.values()), max(growth.finds.values())}))
        lines.append(f"| {growth.question} | {finds} | {figures} | {growth.ratio:.2f} | {growth.scales} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    return command("bench.growth", __doc__, GrowingDatabase, argv)


def command(prog: str, about: str | None, make: Make, argv: Sequence[str] | None) -> int:
    """Run the command line of a benchmark of growth; return its exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m {prog}", description=about)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--times", type=int, default=200, help="how often each query is run")
    parser.add_argument(
        "--memory", help="such as 6GB: shared_buffers, into which everything is read before the queries"
    )
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="hum-growth-", ignore_cleanup_errors=True) as home:
        # Run by root, the server uses another account.
        Path(home).chmod(0o711)
        growths = uvloop.run(run(make, options.sizes, options.times, Path(home), options.memory))
    if options.json:
        options.json.write_text(json.dumps([{**asdict(growth), "ratio": growth.ratio} for growth in growths], indent=1))
    sys.stdout.write(table(growths) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
