"""Databases for tests, each as if it were new: emptied and lent again, since making one is a tenth of a second of work."""

import asyncio
import itertools
from collections.abc import Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

import asyncpg

from tests.support.parked import Parked

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

T = TypeVar("T")

#: How often one is lent: what was deleted stays on its pages, and its indexes grow.
LENT = 40
#: One that grew beyond this is not emptied, but thrown away.
MOST_BYTES = 4 << 20
LENT_PREFIX = "test_"
TEMPLATE = "hum"
COPY_PREFIX = f"{LENT_PREFIX}{TEMPLATE}_"
SYSTEM = "postgres"
#: Objects from here on are a database's own; those before are the same in all.
FIRST_OWN_OID = 16384
_numbers = itertools.count(1)

#: Whatever a test may change besides rows: relations and their statistics, functions, triggers, constraints, policies, settings.
SHAPE = """
    SELECT (SELECT array[count(*), sum(oid::int8), sum(xmin::text::int8), sum(reltuples::int8)] FROM pg_class WHERE oid >= 16384)
        || (SELECT array[count(*), sum(oid::int8), sum(xmin::text::int8)] FROM pg_proc WHERE oid >= 16384)
        || (SELECT array[count(*), sum(oid::int8), sum(xmin::text::int8)] FROM pg_trigger WHERE oid >= 16384)
        || (SELECT array[count(*), sum(oid::int8), sum(xmin::text::int8)] FROM pg_constraint WHERE oid >= 16384)
        || (SELECT array[count(*), sum(oid::int8), sum(xmin::text::int8)] FROM pg_policy)
        || (SELECT array[count(*), sum(oid::int8)] FROM pg_extension)
        || (SELECT array[count(*), coalesce(sum(hashtext(setconfig::text)), 0)] FROM pg_db_role_setting
             WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""
WRITTEN = """
    SELECT oid::regclass::text AS name, bytes FROM pg_class, LATERAL (SELECT pg_relation_size(oid) AS bytes OFFSET 0) sizes
     WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND bytes > 0
"""
RESTART = """
    SELECT setval(format('%I.%I', schemaname, sequencename), start_value, false) FROM pg_sequences WHERE last_value IS NOT NULL
"""
BLOCKED = """
    SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
END_OTHERS = """
    SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> ALL ($1)
       AND pid <> pg_backend_pid()
"""


@dataclass
class Databases:
    """Copies of the migrated database `template`, of the server at `base` (a URL without its database).

    One connection to each outlives the tests: a new one would first read the catalog, which takes longer than emptying.
    """

    base: str
    parked: Parked
    template: str = TEMPLATE
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _shape: Sequence[Decimal] = ()
    #: JSON of the rows that the template has, by table.
    _rows: dict[str, str] = field(default_factory=dict)
    _free: list[str] = field(default_factory=list)
    _lent: dict[str, int] = field(default_factory=dict)
    _connections: dict[str, "Connection"] = field(default_factory=dict)

    def lend(self) -> str:
        """The name of one that nobody else has."""
        return self._run(self._lend())

    def take_back(self, name: str) -> None:
        self._run(self._take_back(name))

    def close(self) -> None:
        for connection in self._connections.values():
            self._run(connection.close())
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._loop.run_until_complete(work)

    async def _lend(self) -> str:
        if self._free:
            return self._free.pop()
        name = await new(self.base, self.template)
        if not self._shape:
            await self._look_at(await self._alone(name))
        return name

    async def _take_back(self, name: str) -> None:
        lent = self._lent.get(name, 0) + 1
        if lent < LENT and await self._emptied(await self._alone(name)):
            self._lent[name] = lent
            self._free.append(name)
            return
        if (connection := self._connections.pop(name, None)) is not None:
            await connection.close()
        self.parked.forget(name)
        await drop(self.base, name)

    async def _alone(self, name: str) -> "Connection":
        """The connection to this one, or another if a test has ended it, once it is the only one."""
        if (connection := self._connections.get(name)) is not None:
            with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                await connection.fetch(END_OTHERS, self.parked.pids())
                return connection
        # Without triggers.  To set this with each emptying would have the server plan all statements anew.
        replica = {"session_replication_role": "replica"}
        self._connections[name] = connection = await asyncpg.connect(f"{self.base}/{name}", server_settings=replica)
        await connection.fetch(END_OTHERS, self.parked.pids())
        return connection

    async def _look_at(self, connection: "Connection") -> None:
        self._shape = await connection.fetchval(SHAPE)
        for row in await connection.fetch(WRITTEN):
            self._rows[row["name"]] = await connection.fetchval(f"SELECT json_agg(t) FROM {row['name']} t")

    async def _emptied(self, connection: "Connection") -> bool:
        """False if it can't be made as it was."""
        written = await connection.fetch(WRITTEN)
        if sum(row["bytes"] for row in written) > MOST_BYTES or await connection.fetchval(SHAPE) != self._shape:
            return False
        deletions = "; ".join(f"DELETE FROM {row['name']}" for row in written)
        async with connection.transaction():
            await connection.execute(deletions)
            for table, rows in self._rows.items():
                await connection.execute(
                    f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1)", rows
                )
            await connection.execute(RESTART)
        return True


async def blocked(connection: Any) -> int:
    """Return how many sessions wait for a lock in this connection's database."""
    return int(await connection.fetchval(BLOCKED))


def introspect_once() -> None:
    """Have this process ask a server only once what a type is that all copies of the template have, with one id.

    asyncpg has each connection ask anew, for 5 ms each time.
    """
    connection: Any = asyncpg.Connection
    asks, answers = connection._introspect_types, dict[frozenset[int], Any]()

    async def introspect(self: "Connection", oids: Collection[int], timeout: float) -> Any:
        if max(oids) >= FIRST_OWN_OID and not self._params.database.startswith(COPY_PREFIX):  # type: ignore[attr-defined]
            return await asks(self, oids, timeout)
        if (asked := frozenset(oids)) not in answers:
            answers[asked] = await asks(self, oids, timeout)
        return answers[asked]

    connection._introspect_types = introspect


async def new(base: str, template: str) -> str:
    name = f"{LENT_PREFIX}{template}_{next(_numbers)}"
    copy = f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"  # not page by page through the log
    await _run(base, copy, f"GRANT CREATE ON DATABASE {name} TO hum_owner")
    return name


async def open_schema(base: str, name: str) -> None:
    """Let our owner make tables in one that is not ours yet."""
    await _run(base, "GRANT USAGE, CREATE ON SCHEMA public TO hum_owner", database=name)


async def drop(base: str, name: str) -> None:
    await _run(base, f"DROP DATABASE {name} WITH (FORCE)")


async def _run(base: str, *statements: str, database: str = SYSTEM) -> None:
    connection = await asyncpg.connect(f"{base}/{database}")
    for statement in statements:
        await connection.execute(statement)
    await connection.close()
