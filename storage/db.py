"""The database: pools of connections, one for each role, and two kinds of transaction.

Every `Tx` belongs to an organization (`tenant`), a credential (`as_credential`), or the system (`system`); there is no
other way to get one.  PostgreSQL's row level security is the second line of defence.
"""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self
from uuid import UUID

import asyncpg

from hum.network import shown_url
from hum.principal import Principal
from hum.refusal import refuse
from storage.servers import Patience, Server, far_side

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Tx = PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Tx = asyncpg.pool.PoolConnectionProxy
    Pool = asyncpg.Pool

#: Raised when the server is unavailable, shutting down or starting, or another one takes over: a retry will work later.
AWAY = (
    OSError,  # and TimeoutError
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # from a connection that broke between two of its steps
    asyncpg.TargetServerAttributeNotMatched,  # none of its hosts is the primary at the moment
    asyncpg.ReadOnlySQLTransactionError,  # it was the primary when we connected
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,  # its disk or memory is full, or it has too many connections
)
#: Raised when the URL is wrong: a retry will not help.
REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,  # and a wrong password
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)
#: Raised when another transaction is in the way: a retry will work in a moment.
BUSY = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
)
#: The sessions of each pool, where the login's own settings don't say it: see `storage.walls`.
ROLES = ("hum_app", "hum_system")
BEGIN_AS = "SELECT org_id, role, scopes, key_id, session_id, user_id, name, site_admin FROM hum.begin_as($1)"


class Hints(Protocol):
    """Carries notifications in PostgreSQL's place (`Db.carry_hints`)."""

    def takes(self, channel: str) -> bool:
        """Whether it carries those of this channel."""
        ...

    async def send(self, channel: str, payload: str) -> None:
        """Send one of a transaction that is committed, without waiting for anybody.  Raises nothing: it is only a hint."""
        ...


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the database is: `direct` reaches the server itself, for LISTEN, session locks and migrations.

    `app` and `system`: for everything else, through a pooler that gives each transaction another of its connections.  Their logins
    bring role and time limits with them.  Empty: `direct`, whose login takes the roles.
    """

    direct: str
    app: str = ""
    system: str = ""
    patience: Patience = field(default_factory=Patience)


async def require(addresses: Addresses) -> None:
    """End this process, with the reason, if the database can't be used."""
    named = {
        "HUM_DATABASE_URL": addresses.direct,
        "HUM_DATABASE_APP_URL": addresses.app,
        "HUM_DATABASE_SYSTEM_URL": addresses.system,
    }
    for variable, url in named.items():
        if not url:
            continue
        try:
            connection = await Server(url, addresses.patience).connect()
        except (*AWAY, *REFUSED) as error:
            refuse(f"can't use the database at {shown_url(url)} ({variable}): {error or type(error).__name__}")
        await connection.close()


class Db:
    """Connections to one database, each pool under its own role."""

    def __init__(self, direct: Server, app: Pool, system: Pool, queue: Pool) -> None:
        self.url = direct.url
        self._direct, self._app, self._system, self._queue = direct, app, system, queue
        self._hints: Hints | None = None

    @classmethod
    async def open(
        cls,
        database: str | Addresses,
        *,
        size: int = 10,
        idle: int = 1,
        statement_seconds: float = 15.0,
        lock_seconds: float = 5.0,
    ) -> Self:
        """Connect; the direct login is a member of hum_app and hum_system.  Each pool keeps `idle` connections."""
        addresses = Addresses(database) if isinstance(database, str) else database
        limits = {
            "statement_timeout": str(int(statement_seconds * 1000)),
            "lock_timeout": str(int(lock_seconds * 1000)),
            "idle_in_transaction_session_timeout": str(int(statement_seconds * 4000)),
            **far_side(addresses.patience.silent_seconds),
        }

        async def pool(role: str, pooled_url: str, idle: int = idle) -> Pool:
            server = Server(pooled_url or addresses.direct, addresses.patience)
            return await asyncpg.create_pool(
                server.url,
                min_size=idle,
                max_size=size,
                connect=server.connect,
                reset=_nothing_to_reset,
                server_settings={"application_name": role} | ({} if pooled_url else {"role": role} | limits),
            )

        async with AsyncExitStack() as made:
            pools = list[Pool]()
            for role, url in zip(ROLES, (addresses.app, addresses.system), strict=True):
                pools.append(await pool(role, url))
                made.callback(pools[-1].terminate)
            if addresses.system:  # the queue listens, and a pooler's connections hear nothing
                pools.append(await pool("hum_system", "", idle=0))
            made.pop_all()
        return cls(Server(addresses.direct, addresses.patience), pools[0], pools[1], pools[-1])

    async def close(self) -> None:
        for pool in {self._app, self._system, self._queue}:
            await pool.close()

    def carry_hints(self, hints: Hints) -> None:
        """From now on, what transactions `notify` leaves through `hints`, as far as that takes it."""
        self._hints = hints

    @property
    def queue_pool(self) -> Pool:
        """For the job queue's own library, which works as the system and listens."""
        return self._queue

    @asynccontextmanager
    async def tenant(self, org: UUID) -> AsyncIterator[Tx]:
        """A transaction that can see and write one organization's rows, and no others."""
        async with self._app.acquire() as tx, self._within(tx, f"BEGIN; SET LOCAL hum.org_id = '{UUID(str(org))}'"):
            yield tx

    @asynccontextmanager
    async def as_credential(self, hash: bytes) -> AsyncIterator[tuple[Tx, Principal | None]]:
        """A tenant's transaction for the principal whose credential has this SHA-256; with None it sees nothing."""
        async with self._app.acquire() as tx, self._within(tx, "BEGIN"):
            row = await tx.fetchrow(BEGIN_AS, hash)
            yield tx, _principal(row) if row else None

    @asynccontextmanager
    async def system(self) -> AsyncIterator[Tx]:
        """A transaction across organizations: only for ingress, jobs, senders and migrations."""
        async with self._system.acquire() as tx, self._within(tx, "BEGIN"):
            yield tx

    async def check(self) -> None:
        """Return when the database answers.  Raises what AWAY and BUSY list."""
        async with self.system() as tx:
            await tx.execute("SELECT 1")

    async def listen(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of its own for LISTEN: it belongs to no pool and the caller closes it."""
        return await self._direct.connect(server_settings={"role": "hum_system", "application_name": "hum_listen"})

    @asynccontextmanager
    async def _within(self, tx: Tx, begin: str) -> AsyncIterator[None]:
        await tx.execute(begin)
        later = _LATER[id(tx)] = set()
        try:
            yield
        except asyncpg.ReadOnlySQLTransactionError:
            tx.terminate()  # this server is no longer the primary, and it may let its connections live
            raise
        except BaseException:
            if not tx.is_closed():
                await tx.execute("ROLLBACK")
            raise
        finally:
            del _LATER[id(tx)]
        await self._commit(tx, later)

    async def _commit(self, tx: Tx, later: set[tuple[str, str]]) -> None:
        hints = self._hints
        carried = {each for each in later if hints.takes(each[0])} if hints else set()
        await tx.execute(_commit(later - carried))
        for channel, payload in sorted(carried):
            assert hints is not None
            await hints.send(channel, payload)


async def _nothing_to_reset(_: Any) -> None:
    """Settings are LOCAL to their transaction, so there is nothing to reset and no round trip to pay."""


#: What open transactions tell once they are committed: channels and payloads.
_LATER: dict[int, set[tuple[str, str]]] = {}


def _commit(later: Iterable[tuple[str, str]]) -> str:
    """COMMIT, and the notifications after it, which PostgreSQL then sends in a transaction of their own.

    Where listeners have let PostgreSQL's queue of notifications fill up, nothing is added: an error now would speak of a transaction
    that is committed.
    """
    calls = [f"pg_notify({_quoted(channel)}, {_quoted(payload)})" for channel, payload in sorted(later)]
    return f"COMMIT; SELECT {', '.join(calls)} WHERE pg_notification_queue_usage() < 0.9" if calls else "COMMIT"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _principal(row: asyncpg.Record) -> Principal:
    return Principal(
        organization=row["org_id"],
        role=row["role"],
        scopes=tuple(row["scopes"] or ()),
        key_id=row["key_id"],
        session_id=row["session_id"],
        user_id=row["user_id"],
        name=row["name"],
        site_admin=row["site_admin"],
    )


async def notify(tx: Tx, channel: str, payload: str) -> None:
    """NOTIFY once this transaction is committed; the payload must be shorter than 8000 bytes.

    Transactions that notify before they commit do so one after another, for the whole database, each waiting for the disk and for the
    standby; this one does not.  A server that dies in between has told nobody, so there must be a look besides.
    """
    _LATER[id(tx)].add((channel, payload))


class _OneLine(logging.Filter):
    """While no primary answers, each pool tells of each attempt, and a traceback says nothing about it."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(error := record.exc_info[1], AWAY):
            record.msg, record.args, record.exc_info = "%s: %.200r", (record.getMessage(), error), None
        return True


logging.getLogger("asyncpg.pool").addFilter(_OneLine())
