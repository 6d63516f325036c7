"""The command python -m bench.idle: what a whole `hum up` costs while nothing happens.

It starts the platform as delivered, with its stand-ins, in a home of its own, lets it settle, and reads PostgreSQL's own counters and the
processes' CPU times before and after an idle while.  Then it has PostgreSQL log every statement for a further while, and counts them by
the process that sent them.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import asyncpg

from hum.process import home
from hum.settings import environment
from storage.embedded import EmbeddedPostgres
from tests.support.homes import postmaster_in, programs_in
from tests.support.processes import TICKS_PER_SECOND, children
from tests.support.programs import Program, running, variables

START_SECONDS = 120.0
POLL_SECONDS = 0.2
#: Intervals at which the connections' ends are looked up while statements are logged.
PORTS_SECONDS = 2.0
#: The most characters of a statement in the table.
STATEMENT_CHARS = 90
#: What each line of the log begins with: the client's port between two signs that no statement has.
PREFIX = re.compile("^\x01[^(\x02]*\\(?(\\d*)\\)?\x02(.*)$")
EXECUTED = re.compile(r"LOG:  (?:execute [^:]*|statement):\s(.*)", re.DOTALL)

UPDATES = """
    SELECT relname, n_tup_ins AS inserted, n_tup_upd AS updated, n_tup_del AS deleted FROM pg_stat_user_tables
"""
DATABASE = """
    SELECT (SELECT sum(xact_commit + xact_rollback) FROM pg_stat_database WHERE datname = current_database())::bigint AS transactions,
           (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint AS wal_bytes,
           (SELECT wal_fpi FROM pg_stat_wal)::bigint AS page_images
"""


@dataclass(frozen=True, slots=True)
class Counters:
    """The counters at a moment: of the database, of rows written by table, of CPU seconds by process."""

    at_seconds: float
    database: Mapping[str, int]
    rows: Mapping[str, Mapping[str, int]]
    cpu: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Idle:
    """What the platform did in an idle while."""

    seconds: float
    transactions_per_second: float
    wal_bytes_per_minute: float
    page_images_per_minute: float
    #: Rows inserted, updated and deleted per minute, by table.
    rows_per_minute: Mapping[str, Mapping[str, float]]
    #: Shares of a core, by process.
    cores: Mapping[str, float]
    #: Statements per minute, by process and text.
    statements_per_minute: Mapping[str, Mapping[str, float]]

    @property
    def all_cores(self) -> float:
        return sum(self.cores.values())


def processes(folder: Path, supervisor: int) -> dict[int, str]:
    """Return the platform's processes with the names of their programs; PostgreSQL is the one under which its own run."""
    named = {supervisor: "hum up"}
    for program in programs_in(folder):
        name = program["name"]
        for pid in (program["pid"], *_descendants(program["pid"])):
            named[pid] = name
    postmaster = postmaster_in(folder)
    for pid in (postmaster, *_descendants(postmaster)):
        named[pid] = "PostgreSQL"
    return named


def _descendants(pid: int) -> list[int]:
    found = list[int]()
    with suppress(OSError):
        for child in children(pid):
            found += [child, *_descendants(child)]
    return found


def _used_seconds(pid: int) -> float:
    """Return a process's CPU time with that of its ended children: autovacuum starts a process for each look."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:15])) / TICKS_PER_SECOND
    return 0.0


async def sample(connection: "asyncpg.Connection[Any]", folder: Path, supervisor: int) -> Counters:
    cpu = Counter[str]()
    for pid, name in processes(folder, supervisor).items():
        cpu[name] += _used_seconds(pid)  # type: ignore[assignment]  # a counter of seconds
    database = await connection.fetchrow(DATABASE)
    rows = {row["relname"]: dict(row) for row in await connection.fetch(UPDATES)}
    assert database is not None
    return Counters(time.monotonic(), dict(database), rows, dict(cpu))


@asynccontextmanager
async def started(folder: Path) -> AsyncIterator[Program]:
    """Run `hum up` with its defaults, on free ports."""
    listens = {f"HUM_{plane}_LISTEN": "127.0.0.1:0" for plane in ("CONTROL", "GATEWAY", "MEDIA")}
    own = {name: value for name, value in environment().items() if not name.startswith(("HUM_", "TWILIO_", "OPENAI_"))}
    run = folder / home.RUN
    with (folder / "up.log").open("wb") as log:
        command = (sys.executable, "-m", "cli", "up")
        env = variables({**own, "HUM_HOME": str(folder), **listens})
        async with running(*command, patience_seconds=60, env=env, stdout=log, stderr=log) as program:
            async with asyncio.timeout(START_SECONDS):
                while not run.exists():
                    assert program.poll() is None, (folder / "up.log").read_text()[-2000:]
                    await asyncio.sleep(POLL_SECONDS)
            yield program


async def measure(folder: Path, settle_seconds: float, seconds: float, statement_seconds: float) -> Idle:
    async with started(folder) as program:
        url = EmbeddedPostgres(folder).running_url()
        assert url is not None
        await asyncio.sleep(settle_seconds)
        connection = await asyncpg.connect(url, server_settings={"application_name": "bench"})
        try:
            before = await sample(connection, folder, program.pid)
            await asyncio.sleep(seconds)
            after = await sample(connection, folder, program.pid)
            statements = await logged(connection, folder, program.pid, statement_seconds)
        finally:
            await connection.close()
    return between(before, after, statements, statement_seconds)


def between(
    before: Counters, after: Counters, statements: Mapping[str, Mapping[str, int]], statement_seconds: float
) -> Idle:
    """Return the differences of two samples, by time."""
    seconds = after.at_seconds - before.at_seconds
    database = {name: after.database[name] - before.database[name] for name in after.database}
    rows = dict[str, dict[str, float]]()
    for table_name, counts in after.rows.items():
        former = before.rows.get(table_name, {})
        written = {
            name: (counts[name] - former.get(name, 0)) * 60 / seconds for name in ("inserted", "updated", "deleted")
        }
        if any(written.values()):
            rows[table_name] = written
    return Idle(
        seconds,
        database["transactions"] / seconds,
        database["wal_bytes"] * 60 / seconds,
        database["page_images"] * 60 / seconds,
        rows,
        {name: max(0.0, used - before.cpu.get(name, 0.0)) / seconds for name, used in after.cpu.items()},
        {
            process: {text: count * 60 / statement_seconds for text, count in counts.items()}
            for process, counts in statements.items()
        },
    )


# -- where statements come from


async def logged(
    connection: "asyncpg.Connection[Any]", folder: Path, supervisor: int, seconds: float
) -> dict[str, dict[str, int]]:
    """Have PostgreSQL log all statements for a while; return how often each was sent, by process."""
    if not seconds:
        return {}
    log = folder / "postgres" / "postgres.log"
    begins = log.stat().st_size
    for setting, value in (
        ("log_line_prefix", "\x01%r\x02"),
        ("log_statement", "all"),
        ("log_parameter_max_length", 0),
    ):
        await connection.execute(f"ALTER SYSTEM SET {setting} = '{value}'")
    await connection.execute("SELECT pg_reload_conf()")
    owners = dict[int, str]()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        owners |= ports(processes(folder, supervisor))
        await asyncio.sleep(min(PORTS_SECONDS, max(0.0, deadline - time.monotonic())))
    with log.open("rb") as file:
        file.seek(begins)
        return tally(file.read().decode(errors="replace"), owners)


def tally(log: str, owners: Mapping[int, str]) -> dict[str, dict[str, int]]:
    """Count the statements of a log by the process that has the other end of the connection."""
    counts = dict[str, Counter[str]]()
    entries = list[tuple[str, list[str]]]()
    for line in log.splitlines():
        if match := PREFIX.match(line):
            entries.append((match[1], [match[2]]))
        elif entries:
            entries[-1][1].append(line)
    for port, lines in entries:
        if match := EXECUTED.match("\n".join(lines)):
            owner = owners.get(int(port), "others") if port else "others"
            counts.setdefault(owner, Counter())[_short(match[1])] += 1
    return {owner: dict(count.most_common()) for owner, count in counts.items()}


def _short(statement: str) -> str:
    """Return a statement in one line, without numbers and texts that differ each time."""
    line = " ".join(re.sub(r"--[^\n]*", "", statement).split())
    return re.sub(r"'[^']*'|\b\d+\b", "?", line)[:STATEMENT_CHARS]


def ports(named: Mapping[int, str]) -> dict[int, str]:
    """Return the local ports of these processes' TCP connections."""
    owners = dict[str, str]()
    for pid, name in named.items():
        with suppress(OSError):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(OSError):
                    target = str(descriptor.readlink())
                    if target.startswith("socket:["):
                        owners.setdefault(target[8:-1], name)
    found = dict[int, str]()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if (owner := owners.get(fields[9])) is not None and owner != "PostgreSQL":
            found[int(fields[1].rpartition(":")[2], 16)] = owner
    return found


# -- the command


def table(idle: Idle, most: int) -> str:
    """Format what was measured as Markdown."""
    updates = sum(counts["updated"] for counts in idle.rows_per_minute.values())
    lines = [
        "| the whole | |",
        "| --- | --- |",
        f"| transactions a second | {idle.transactions_per_second:.1f} |",
        f"| row updates a minute | {updates:.0f} |",
        f"| WAL, kB a minute | {idle.wal_bytes_per_minute / 1000:.1f} |",
        f"| of it images of whole pages | {idle.page_images_per_minute:.0f} |",
        f"| share of a core | {idle.all_cores:.3f} |",
        "",
        "| process | share of a core | statements a minute |",
        "| --- | --- | --- |",
    ]
    for name, share in sorted(idle.cores.items(), key=lambda pair: -pair[1]):
        lines.append(f"| {name} | {share:.4f} | {sum(idle.statements_per_minute.get(name, {}).values()):.0f} |")
    lines += ["", "| table | inserted a minute | updated | deleted |", "| --- | --- | --- | --- |"]
    for name, counts in sorted(idle.rows_per_minute.items(), key=lambda pair: -sum(pair[1].values())):
        lines.append(f"| {name} | {counts['inserted']:.0f} | {counts['updated']:.0f} | {counts['deleted']:.0f} |")
    lines += ["", "| process | statement | a minute |", "| --- | --- | --- |"]
    ranked = [
        (rate, owner, text) for owner, counts in idle.statements_per_minute.items() for text, rate in counts.items()
    ]
    lines += [f"| {owner} | {_cell(text)} | {rate:.0f} |" for rate, owner, text in sorted(ranked, reverse=True)[:most]]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return "`" + text.replace("|", "\\|") + "`"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long it is measured")
    parser.add_argument("--settle", type=float, default=30.0, help="seconds before that, in which it settles")
    parser.add_argument(
        "--statements", type=float, default=30.0, help="seconds in which statements are logged; 0: none"
    )
    parser.add_argument("--most", type=int, default=25, help="statements in the table")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="hum-idle-", ignore_cleanup_errors=True) as folder:
        # Run by root, the database uses another account.
        Path(folder).chmod(0o711)
        idle = asyncio.run(measure(Path(folder), options.settle, options.seconds, options.statements))
    if options.json:
        options.json.write_text(json.dumps({**asdict(idle), "all_cores": idle.all_cores}, indent=1))
    sys.stdout.write(table(idle, options.most) + "\n")
    sys.stdout.write(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
