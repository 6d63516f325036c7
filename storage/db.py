"""The database: two pools, two kinds of transaction.

Every `Tx` belongs to an organization (`tenant`), a credential (`as_credential`), or the system (`system`); there is no
other way to get one.  PostgreSQL's row level security is the second line of defence.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Self
from uuid import UUID

import asyncpg

from hum.network import shown_url
from hum.principal import Principal
from hum.refusal import refuse

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Tx = PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:
    Tx = asyncpg.pool.PoolConnectionProxy
    Pool = asyncpg.Pool

#: Raised when the server is unavailable, shutting down or starting: a retry will work later.
AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # from a connection that broke between two of its steps
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
REQUIRED_WITHIN_SECONDS = 10
BEGIN_AS = "SELECT org_id, role, scopes, key_id, session_id, user_id, name, site_admin FROM hum.begin_as($1)"


async def require(url: str) -> None:
    """End this process, with the reason, if the database can't be used.  `url`: a login, as for `Db.open`."""
    try:
        connection = await asyncpg.connect(url, timeout=REQUIRED_WITHIN_SECONDS)
    except (*AWAY, *REFUSED, TimeoutError) as error:
        refuse(f"can't use the database at {shown_url(url)} (HUM_DATABASE_URL): {error or type(error).__name__}")
    await connection.close()


class Db:
    """Connections to one database, each pool under its own role."""

    def __init__(self, url: str, app: Pool, system: Pool) -> None:
        self.url = url
        self._app = app
        self._system = system

    @classmethod
    async def open(
        cls, url: str, *, size: int = 10, idle: int = 1, statement_seconds: float = 15.0, lock_seconds: float = 5.0
    ) -> Self:
        """Connect; `url` is a login that is a member of hum_app and hum_system.  Each pool keeps `idle` connections."""

        async def pool(role: str) -> Pool:
            return await asyncpg.create_pool(
                url,
                min_size=idle,
                max_size=size,
                reset=_nothing_to_reset,
                server_settings={
                    "role": role,
                    "application_name": role,
                    "statement_timeout": str(int(statement_seconds * 1000)),
                    "lock_timeout": str(int(lock_seconds * 1000)),
                    "idle_in_transaction_session_timeout": str(int(statement_seconds * 4000)),
                },
            )

        app = await pool("hum_app")
        try:
            return cls(url, app, await pool("hum_system"))
        except BaseException:
            app.terminate()
            raise

    async def close(self) -> None:
        await self._app.close()
        await self._system.close()

    @property
    def queue_pool(self) -> Pool:
        """For the job queue's own library, which works as the system."""
        return self._system

    @asynccontextmanager
    async def tenant(self, org: UUID) -> AsyncIterator[Tx]:
        """A transaction that can see and write one organization's rows, and no others."""
        async with self._app.acquire() as tx, _within(tx, f"BEGIN; SET LOCAL hum.org_id = '{UUID(str(org))}'"):
            yield tx

    @asynccontextmanager
    async def as_credential(self, hash: bytes) -> AsyncIterator[tuple[Tx, Principal | None]]:
        """A tenant's transaction for the principal whose credential has this SHA-256; with None it sees nothing."""
        async with self._app.acquire() as tx, _within(tx, "BEGIN"):
            row = await tx.fetchrow(BEGIN_AS, hash)
            yield tx, _principal(row) if row else None

    @asynccontextmanager
    async def system(self) -> AsyncIterator[Tx]:
        """A transaction across organizations: only for ingress, jobs, senders and migrations."""
        async with self._system.acquire() as tx, _within(tx, "BEGIN"):
            yield tx

    async def check(self) -> None:
        """Return when the database answers.  Raises what AWAY and BUSY list."""
        async with self.system() as tx:
            await tx.execute("SELECT 1")

    async def listen(self) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection of its own for LISTEN: it belongs to no pool and the caller closes it."""
        return await asyncpg.connect(self.url, server_settings={"role": "hum_system", "application_name": "hum_listen"})


async def _nothing_to_reset(_: Any) -> None:
    """Settings are LOCAL to their transaction, so there is nothing to reset and no round trip to pay."""


@asynccontextmanager
async def _within(tx: Tx, begin: str) -> AsyncIterator[None]:
    await tx.execute(begin)
    try:
        yield
    except BaseException:
        if not tx.is_closed():
            await tx.execute("ROLLBACK")
        raise
    await tx.execute("COMMIT")


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
    """NOTIFY when this transaction commits; the payload must be shorter than 8000 bytes."""
    await tx.execute("SELECT pg_notify($1, $2)", channel, payload)
