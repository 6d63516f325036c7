"""Connection pools, one for each database role, and transactions that belong to a tenant, a credential or the system.

A `Tx` comes from `Db.tenant`, `Db.authenticated` or `Db.system`, and from nowhere else.  PostgreSQL's row level security is
the second line of defence.
"""

import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self
from uuid import UUID

import asyncpg

from hum.contract.principal import Limits, Principal
from hum.network import redacted_url
from hum.refusal import refuse
from storage.servers import DatabaseServer, Timeouts, far_side

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Tx = PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Tx = asyncpg.pool.PoolConnectionProxy
    Pool = asyncpg.Pool

#: Raised while the server is unavailable, starting, shutting down or failing over: a later retry can succeed.
UNAVAILABLE = (
    OSError,  # and TimeoutError
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # A connection broke in the middle of an operation.
    asyncpg.InternalClientError,
    # No host of the URL is the primary at the moment.
    asyncpg.TargetServerAttributeNotMatched,
    # The server was demoted after the connection was made.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    # The server's disk or memory is full, or it has too many connections.
    asyncpg.InsufficientResourcesError,
)
#: Raised for a wrong URL or login: a retry will not help.
REFUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,  # and a wrong password
    asyncpg.InvalidCatalogNameError,
    asyncpg.ClientConfigurationError,
)
#: Raised when another transaction is in the way: an immediate retry can succeed.
BUSY = (
    asyncpg.LockNotAvailableError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.QueryCanceledError,
)
#: Role of each pool's sessions, set at connect unless the pooled login brings its own: see `storage.isolation`.
ROLES = ("hum_app", "hum_system")
BEGIN_AS = """
    SELECT org_id, role, scopes, key_id, session_id, user_id, name, site_admin, limited_numbers, limited_flows
      FROM hum.begin_as($1)
"""
#: The limits of the member whose request runs in this context.  Every tenant's transaction that it opens has them, so that no query
#: of a request sees more than its first transaction, which `hum.begin_as` limits.
LIMITS: ContextVar[Limits | None] = ContextVar("LIMITS", default=None)


class Hints(Protocol):
    """A carrier of notifications in place of PostgreSQL's NOTIFY (`Db.carry_hints`)."""

    def takes(self, channel: str) -> bool:
        """Return whether notifications of this channel go through this carrier."""
        ...

    async def send(self, channel: str, payload: str) -> None:
        """Send a committed transaction's notification without waiting for a listener.  Raises nothing: it is only a hint."""
        ...


@dataclass(frozen=True, slots=True)
class Addresses:
    """The database's URLs; `direct` reaches the server itself, for LISTEN, session locks and migrations.

    `app` and `system` are for everything else, through a pooler in transaction mode.  Their logins bring role and time limits
    with them.  If empty, `direct` is used and its login sets the role.
    """

    direct: str
    app: str = ""
    system: str = ""
    timeouts: Timeouts = field(default_factory=Timeouts)


async def require(addresses: Addresses) -> None:
    """Exit this process with the reason if the database can't be used."""
    urls = {
        "HUM_DATABASE_URL": addresses.direct,
        "HUM_DATABASE_APP_URL": addresses.app,
        "HUM_DATABASE_SYSTEM_URL": addresses.system,
    }
    for variable, url in urls.items():
        if not url:
            continue
        try:
            connection = await DatabaseServer(url, addresses.timeouts).connect()
        except (*UNAVAILABLE, *REFUSED) as error:
            refuse(f"can't use the database at {redacted_url(url)} ({variable}): {error or type(error).__name__}")
        await connection.close()


class Db:
    """Connections to one database, each pool under its own role."""

    def __init__(self, direct: DatabaseServer, app: Pool, system: Pool, queue: Pool) -> None:
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
        """Connect, with `idle` open connections in each pool.

        The direct login must be a member of hum_app and hum_system.  Raises the errors of UNAVAILABLE and REFUSED.
        """
        addresses = Addresses(database) if isinstance(database, str) else database
        limits = {
            "statement_timeout": str(int(statement_seconds * 1000)),
            "lock_timeout": str(int(lock_seconds * 1000)),
            "idle_in_transaction_session_timeout": str(int(statement_seconds * 4000)),
            **far_side(addresses.timeouts.silent_seconds),
        }

        async def pool(role: str, pooled_url: str, idle: int = idle) -> Pool:
            server = DatabaseServer(pooled_url or addresses.direct, addresses.timeouts)
            return await asyncpg.create_pool(
                server.url,
                min_size=idle,
                max_size=size,
                connect=server.connect,
                reset=_nothing_to_reset,
                server_settings={"application_name": role} | ({} if pooled_url else {"role": role} | limits),
            )

        async with AsyncExitStack() as opened:
            pools = list[Pool]()
            for role, url in zip(ROLES, (addresses.app, addresses.system), strict=True):
                pools.append(await pool(role, url))
                opened.callback(pools[-1].terminate)
            # The queue listens, and NOTIFY does not reach a pooler's clients.
            if addresses.system:
                pools.append(await pool("hum_system", "", idle=0))
            opened.pop_all()
        return cls(DatabaseServer(addresses.direct, addresses.timeouts), pools[0], pools[1], pools[-1])

    async def close(self) -> None:
        for pool in {self._app, self._system, self._queue}:
            await pool.close()

    def carry_hints(self, hints: Hints) -> None:
        """Send what later transactions `notify` through `hints`, for the channels that it takes."""
        self._hints = hints

    @property
    def queue_pool(self) -> Pool:
        """The pool of the job queue's library, which works as the system and listens."""
        return self._queue

    @asynccontextmanager
    async def tenant(self, org: UUID) -> AsyncIterator[Tx]:
        """Open a transaction that sees and writes the rows of one organization only, within the `LIMITS` of a request."""
        begin = f"BEGIN; SET LOCAL hum.org_id = '{UUID(str(org))}'{_limiting(LIMITS.get())}"
        async with self._app.acquire() as tx, self._within(tx, begin):
            yield tx

    @asynccontextmanager
    async def authenticated(self, hash: bytes) -> AsyncIterator[tuple[Tx, Principal | None]]:
        """Open a tenant's transaction for the credential with this SHA-256; without a principal it sees no rows."""
        async with self._app.acquire() as tx, self._within(tx, "BEGIN"):
            row = await tx.fetchrow(BEGIN_AS, hash)
            yield tx, _principal(row) if row else None

    @asynccontextmanager
    async def system(self) -> AsyncIterator[Tx]:
        """Open a transaction across organizations: only for ingress, jobs, senders and migrations."""
        async with self._system.acquire() as tx, self._within(tx, "BEGIN"):
            yield tx

    async def check(self) -> None:
        """Return when the database answers.  Raises the errors of UNAVAILABLE and BUSY."""
        async with self.system() as tx:
            await tx.execute("SELECT 1")

    async def listen(self) -> "asyncpg.Connection[asyncpg.Record]":
        """Open a connection for LISTEN outside the pools; the caller closes it."""
        return await self._direct.connect(server_settings={"role": "hum_system", "application_name": "hum_listen"})

    @asynccontextmanager
    async def _within(self, tx: Tx, begin: str) -> AsyncIterator[None]:
        await tx.execute(begin)
        pending = _PENDING[id(tx)] = set()
        try:
            yield
        except asyncpg.ReadOnlySQLTransactionError:
            # The server was demoted, and may keep its connections open.
            tx.terminate()
            raise
        # Also a cancellation: the connection goes back to its pool, and may not be in a transaction there.
        except BaseException:
            if not tx.is_closed():
                await tx.execute("ROLLBACK")
            raise
        finally:
            del _PENDING[id(tx)]
        await self._commit(tx, pending)

    async def _commit(self, tx: Tx, pending: set[tuple[str, str]]) -> None:
        hints = self._hints
        carried = {notification for notification in pending if hints.takes(notification[0])} if hints else set()
        await tx.execute(_commit(pending - carried))
        for channel, payload in sorted(carried):
            assert hints is not None
            await hints.send(channel, payload)


async def _nothing_to_reset(_: Any) -> None:
    """Do nothing: settings are LOCAL to their transaction, so a connection needs no reset and no round trip for it."""


#: Notifications of open transactions, (channel, payload), sent after the commit.
_PENDING: dict[int, set[tuple[str, str]]] = {}


def _commit(notifications: Iterable[tuple[str, str]]) -> str:
    """Return COMMIT followed by the notifications, which PostgreSQL then sends in a transaction of their own.

    Nothing is added while PostgreSQL's notification queue is nearly full: its error would report a committed transaction as failed.
    """
    calls = [f"pg_notify({_quoted(channel)}, {_quoted(payload)})" for channel, payload in sorted(notifications)]
    return f"COMMIT; SELECT {', '.join(calls)} WHERE pg_notification_queue_usage() < 0.9" if calls else "COMMIT"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _limiting(limits: Limits | None) -> str:
    """Return the statements that limit a transaction, as `hum.begin_as` does."""
    if limits is None:
        return ""
    settings = {"hum.limited_numbers": limits.numbers, "hum.limited_flows": limits.flows}
    return "".join(f"; SET LOCAL {name} = '{{{','.join(map(str, ids))}}}'" for name, ids in settings.items())


def _principal(row: asyncpg.Record) -> Principal:
    numbers, flows = row["limited_numbers"], row["limited_flows"]
    return Principal(
        organization=row["org_id"],
        role=row["role"],
        scopes=tuple(row["scopes"] or ()),
        key_id=row["key_id"],
        session_id=row["session_id"],
        user_id=row["user_id"],
        name=row["name"],
        site_admin=row["site_admin"],
        limits=None if numbers is None else Limits(tuple(numbers), tuple(flows)),
    )


@asynccontextmanager
async def savepoint(tx: Tx) -> AsyncIterator[None]:
    """Undo what is done in the block if it raises, so that the transaction can go on.  Blocks are not nested."""
    await tx.execute("SAVEPOINT block")
    try:
        yield
    except BaseException:
        await tx.execute("ROLLBACK TO SAVEPOINT block")
        raise
    await tx.execute("RELEASE SAVEPOINT block")


@asynccontextmanager
async def unlimited(tx: Tx) -> AsyncIterator[None]:
    """Let a limited member's transaction see the whole organization in the block: only to find a row by its key, and link it."""
    if (limits := LIMITS.get()) is not None:
        await tx.execute("SET LOCAL hum.limited_numbers = ''")
    yield
    if limits is not None:
        await tx.execute(_limiting(limits).removeprefix("; "))


async def notify(tx: Tx, channel: str, payload: str) -> None:
    """Schedule a NOTIFY for after the commit of this transaction; the payload must be shorter than 8000 bytes.

    PostgreSQL serializes the commits of transactions that notify, each waiting for disk and standby, so this one notifies after
    its commit.  A server that dies in between loses the notification: listeners must also poll.
    """
    _PENDING[id(tx)].add((channel, payload))


class _OneLine(logging.Filter):
    """A log filter that replaces a pool's tracebacks with one line: while no primary answers, every attempt logs one."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(error := record.exc_info[1], UNAVAILABLE):
            record.msg, record.args, record.exc_info = "%s: %.200r", (record.getMessage(), error), None
        return True


logging.getLogger("asyncpg.pool").addFilter(_OneLine())
