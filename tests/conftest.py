"""Shared fixtures: a real PostgreSQL with a fresh copy of the migrated database for each test, and a fence around
loopback.
"""

import asyncio
import itertools
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest
import structlog

from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate

#: Nothing here outlives its test; and an autovacuum would hold back readers behind the horizon.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "autovacuum": "off",
}
_numbers = itertools.count(1)
#: structlog's own way to show an exception, with every frame's variables, takes seconds, in the event loop.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
#: On a machine that others keep busy, a hundred requests at once take longer than the 5 s for which httpx waits.
for _client in (httpx.Client, httpx.AsyncClient):
    _client.__init__.__kwdefaults__["timeout"] = httpx.Timeout(60)


@pytest.fixture(scope="session", autouse=True)
def _loopback_only() -> Iterator[None]:
    """Let no test connect beyond this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6}:
            host = str(address[0]) if isinstance(address, tuple) else ""
            assert host in {"localhost", "::1"} or host.startswith("127."), f"a test tried to reach {host}"
        connect(self, address)  # type: ignore[arg-type]

    socket.socket.connect = guarded  # type: ignore[method-assign,assignment]
    yield
    socket.socket.connect = connect  # type: ignore[method-assign]


def home_for_a_server() -> Iterator[Path]:
    """A folder that another user can reach.  Run by root, the server uses another account, and pytest restricts its own
    folders whenever another test run begins.
    """
    with tempfile.TemporaryDirectory(prefix="hum-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


open_home = pytest.fixture(home_for_a_server)
shared_home = pytest.fixture(home_for_a_server, scope="session")


@pytest.fixture(scope="session")
def postgres(shared_home: Path) -> Iterator[str]:
    """The URL of a server whose database `hum` is migrated and stays empty: the template of all others."""
    server = EmbeddedPostgres(shared_home, settings=FAST)

    async def start() -> str:
        url = await server.start()
        await migrate(url)
        return url

    yield asyncio.run(start())
    asyncio.run(server.stop())


@pytest.fixture
def empty_database(postgres: str) -> Iterator[str]:
    """An empty database, even without our tables."""
    yield from _fresh(postgres, "template0")


@pytest.fixture
def database_url(postgres: str) -> Iterator[str]:
    """A migrated database of this test's own."""
    yield from _fresh(postgres, "hum")


def _fresh(server_url: str, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    base = server_url.rpartition("/")[0]

    async def run(*statements: str, database: str = "postgres") -> None:
        connection = await asyncpg.connect(f"{base}/{database}")
        for statement in statements:
            await connection.execute(statement)
        await connection.close()

    asyncio.run(run(f"CREATE DATABASE {name} TEMPLATE {template}", f"GRANT CREATE ON DATABASE {name} TO hum_owner"))
    if template == "template0":
        asyncio.run(run("GRANT USAGE, CREATE ON SCHEMA public TO hum_owner", database=name))
    yield f"{base}/{name}"
    asyncio.run(run(f"DROP DATABASE {name} WITH (FORCE)"))
