"""A server of several hosts: whichever is the primary is found, and one that says nothing takes no time from the others."""

import asyncio
import socket
from collections.abc import Iterator
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from hum.network import SocketAddress, database_hosts
from storage.db import UNAVAILABLE, Db, notify
from storage.servers import DatabaseServer, Timeouts
from tests.support.waits import patience

TIMEOUTS = Timeouts(connect_seconds=20, next_host_seconds=0.05, silent_seconds=3)


def with_hosts(url: str, *hosts: str) -> str:
    """The URL with these hosts; `*` stands for its own."""
    parts = urlsplit(url)
    login, _, own = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{login}@{','.join(own if host == '*' else host for host in hosts)}"))


@pytest.fixture
def silent() -> Iterator[str]:
    """A host that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def refusing() -> Iterator[str]:
    """A host on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://u:p%40@a:1,b/hum", [("a", 1), ("b", 0)]),
        ("postgresql://[::1]:5,[fe80::1]/hum", [("::1", 5), ("fe80::1", 0)]),
        ("postgresql://u@/hum?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("postgresql:///hum?host=/run/postgresql,b&port=7", [("/run/postgresql", 7), ("b", 7)]),
        ("postgresql:///hum", []),
    ],
)
def test_hosts_are_read_as_postgresql_writes_them(url: str, hosts: list[tuple[str, int]]) -> None:
    assert database_hosts(url) == [SocketAddress(*host) for host in hosts]


@pytest.mark.parametrize(
    "url",
    ["postgresql://a,,b/hum", "postgresql://a:x/hum", "postgresql://a:70000/hum", "postgresql:///h?host=a&port=1,2"],
)
def test_hosts_that_cannot_be_read_are_an_error(url: str) -> None:
    with pytest.raises(ValueError, match=r"host|port"):
        database_hosts(url)


async def test_silent_and_refusing_hosts_are_passed_by(database_url: str, silent: str, refusing: str) -> None:
    server = DatabaseServer(with_hosts(database_url, silent, refusing, "*"), TIMEOUTS)
    async with patience():  # the silent one alone would take twice as long
        connection = await server.connect()
    assert await connection.fetchval("SELECT 1") == 1
    assert server._hosts[0] is not None and f"{server._hosts[0]}" == urlsplit(database_url).netloc.rpartition("@")[2]
    await connection.close()


@pytest.mark.usefixtures("short_sessions")
async def test_a_host_that_is_no_primary_is_passed_by_and_alone_is_away(database_url: str) -> None:
    administrator = await asyncpg.connect(database_url)
    name = await administrator.fetchval("SELECT current_database()")
    await administrator.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        with pytest.raises(asyncpg.TargetServerAttributeNotMatched) as failed:
            await DatabaseServer(database_url, TIMEOUTS).connect()
        assert isinstance(failed.value, UNAVAILABLE)
        await (await DatabaseServer(database_url + "?target_session_attrs=any", TIMEOUTS).connect()).close()
    finally:
        await administrator.execute("SET default_transaction_read_only = off")
        await administrator.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await administrator.close()


@pytest.mark.usefixtures("short_sessions")
async def test_a_pool_says_in_one_line_that_no_primary_answers(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    administrator = await asyncpg.connect(database_url)
    name = await administrator.fetchval("SELECT current_database()")
    db = await Db.open(database_url, size=1)
    try:
        await administrator.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await administrator.fetch(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = ANY ($1) AND datname = $2",
            ["hum_app", "hum_system"],
            name,
        )
        async with patience():
            while len(caplog.records) < 2:
                await asyncio.sleep(0.02)
        for record in caplog.records:
            assert record.exc_info is None and "TargetServerAttributeNotMatched" in record.getMessage()
    finally:
        await administrator.execute("SET default_transaction_read_only = off")
        await administrator.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await administrator.close()
        await db.close()


async def test_a_wrong_password_is_said_although_other_hosts_are_gone(database_url: str, refusing: str) -> None:
    wrong = database_url.replace(urlsplit(database_url).password or "", "wrong")
    for hosts in ((refusing, "*"), ("*", refusing)):
        with pytest.raises(asyncpg.InvalidPasswordError):
            await DatabaseServer(with_hosts(wrong, *hosts), TIMEOUTS).connect()


@pytest.mark.usefixtures("over_tcp")
async def test_every_connection_has_a_limit_of_silence(database_url: str) -> None:
    db = await Db.open(database_url, size=2)
    listening = await db.listen()
    async with db._app.acquire() as app, db._system.acquire() as system, db.queue_pool.acquire() as queue:
        for connection in (app, system, queue, listening):
            sock = cast("Any", connection)._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 3000
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 1
    await listening.close()
    await db.close()


async def test_a_primary_that_writes_no_more_is_left(database_url: str) -> None:
    db = await Db.open(database_url, size=1)
    async with db.system() as tx:
        before = await tx.fetchval("SELECT pg_backend_pid()")
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError) as failed:
        async with db.system() as tx:
            await tx.execute("SET LOCAL transaction_read_only = on")
            await tx.execute("CREATE TABLE nothing ()")
    assert isinstance(failed.value, UNAVAILABLE)
    async with db.system() as tx:
        assert await tx.fetchval("SELECT pg_backend_pid()") != before
    await db.close()


async def test_news_leave_after_the_commit_and_never_without_it(database_url: str) -> None:
    db = await Db.open(database_url, size=2)
    heard = asyncio.Queue[str]()
    listening = await db.listen()
    await listening.add_listener("test_news", lambda *message: heard.put_nowait(str(message[3])))
    with pytest.raises(RuntimeError):
        async with db.system() as tx:
            await notify(tx, "test_news", "of a transaction that failed")
            raise RuntimeError
    async with db.system() as tx, db.system() as other:
        locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 1262"  # NOTIFY's own lock
        await notify(tx, "test_news", "it's so")
        await notify(tx, "test_news", "it's so")
        assert await other.fetchval(locks) == 0 and heard.empty()
    assert await asyncio.wait_for(heard.get(), 30) == "it's so"
    assert heard.empty()
    await listening.close()
    await db.close()
