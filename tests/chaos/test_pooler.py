"""PgBouncer in transaction mode, as docs/failover.md says; and as it must not be."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import pytest

from control.bus import BusChannel, PostgresBus
from hum import ids
from hum.process.sockets import free_port
from storage import identity
from storage.db import Addresses, Db
from storage.isolation import NotIsolated, check_isolation
from storage.migrate import ROLES, CannotMigrate, migrate
from tests.chaos.net import ROOT
from tests.chaos.servers import AS_NOBODY
from tests.support.waits import patience

pytestmark = pytest.mark.nodes
#: What many guides advise for clients that ask for more than a pooler knows.
CARELESS = (
    "ignore_startup_parameters = role,statement_timeout,lock_timeout,idle_in_transaction_session_timeout,"
    "tcp_user_timeout,tcp_keepalives_idle,tcp_keepalives_interval,tcp_keepalives_count"
)
CONFIG = """
[databases]
* = host={host} port={port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {home}/users
pool_mode = transaction
default_pool_size = 5
logfile =
pidfile =
{more}
"""


class Pooled:
    """One database, behind a pooler with two logins, as `hum migrate --print-roles` says."""

    def __init__(self, direct: str, home: Path) -> None:
        self.direct, self._home = direct, home
        self._parts = urlsplit(direct)
        self.name = self._parts.path[1:]
        self.logins = {"app_login": f"app_{self.name}", "system_login": f"system_{self.name}"}

    def statements(self) -> list[str]:
        """The documented ones, for our logins."""
        _, _, documented = ROLES.partition("Only for a pooler")
        text = documented.replace("<password>", "secret")
        for placeholder, login in self.logins.items():
            text = text.replace(f"<{placeholder}>", login)
        return re.findall(r"^(?:CREATE|ALTER) ROLE .*;$", text, re.MULTILINE)

    @contextmanager
    def pooler(self, more: str = "") -> Iterator[None]:
        program = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
        assert program, "pgbouncer is missing: install it"
        self._listen = free_port("127.0.0.1")
        users: dict[str | None, str | None] = dict.fromkeys(self.logins.values(), "secret")
        users[self._parts.username] = self._parts.password
        (self._home / "users").write_text("".join(f'"{name}" "{password}"\n' for name, password in users.items()))
        config = CONFIG.format(
            host=self._parts.hostname, port=self._parts.port, listen=self._listen, home=self._home, more=more
        )
        (self._home / "pgbouncer.ini").write_text(config)
        as_nobody = AS_NOBODY if os.geteuid() == 0 else ()
        process = subprocess.Popen([*as_nobody, program, "-q", str(self._home / "pgbouncer.ini")])
        try:
            yield
        finally:
            process.kill()
            process.wait()

    def url(self, login: str = "") -> str:
        """Through the pooler; without a login, that of the direct URL."""
        who = f"{self.logins[login]}:secret" if login else self._parts.netloc.rpartition("@")[0]
        return f"postgresql://{who}@127.0.0.1:{self._listen}/{self.name}"

    def addresses(self) -> Addresses:
        return Addresses(self.direct, self.url("app_login"), self.url("system_login"))

    async def until_ready(self) -> None:
        async with patience():
            while True:
                try:
                    await (await asyncpg.connect(self.url())).close()
                    return
                except OSError:
                    await asyncio.sleep(0.05)


@pytest.fixture
async def pooled(database_url: str, open_home: Path) -> AsyncIterator[Pooled]:
    made = Pooled(database_url, open_home)
    administrator = await asyncpg.connect(database_url)
    for statement in made.statements():
        await administrator.execute(statement)
    yield made
    for login in made.logins.values():
        await administrator.execute(f"DROP ROLE {login}")
    await administrator.close()


async def organizations(db: Db, count: int) -> list[UUID]:
    made = [ids.new() for _ in range(count)]
    async with db.system() as tx:
        for org in made:
            await identity.create_organization(tx, org, str(org))
    return made


async def test_organizations_are_kept_apart_through_a_pooler(pooled: Pooled) -> None:
    assert len(pooled.statements()) == 10
    with pooled.pooler():
        await pooled.until_ready()
        db = await Db.open(pooled.addresses(), size=20)
        await check_isolation(db)
        orgs = await organizations(db, 4)

        async def look(org: UUID) -> None:
            for _ in range(30):
                async with db.tenant(org) as tx:
                    seen = await tx.fetch("SELECT org_id, current_user::text AS role FROM organizations")
                assert [tuple(row) for row in seen] == [(org, "hum_app")]
                async with db.authenticated(bytes(32)) as (tx, who):
                    assert who is None and not await tx.fetch("SELECT FROM organizations")

        await asyncio.gather(*(look(org) for org in orgs * 5))
        async with db.system() as tx:
            assert await tx.fetchval("SELECT count(*) FROM organizations") == 4
            assert await tx.fetchval("SELECT current_setting('statement_timeout')") == "15s"
        async with db.queue_pool.acquire() as connection:
            port = urlsplit(pooled.direct).port
            assert cast("Any", connection)._con._addr[1] == port, "the queue listens, so it passes the pooler by"
        await db.close()


async def test_the_bus_is_heard_beside_a_pooler(pooled: Pooled) -> None:
    news, heard = BusChannel("test_pooled", str, str), asyncio.Queue[str]()
    with pooled.pooler():
        await pooled.until_ready()
        db = await Db.open(pooled.addresses(), size=3)
        bus = PostgresBus(db, retry_seconds=0.1)
        await bus.start([news])
        bus.subscribe(news, lambda each: heard.put_nowait(each) if each else None)
        for number in range(20):
            await bus.publish(news, f"{number}")
        async with asyncio.timeout(10):
            assert [await heard.get() for _ in range(20)] == [f"{number}" for number in range(20)]
        await bus.stop()
        await db.close()


async def test_a_pooler_in_the_way_is_refused(pooled: Pooled) -> None:
    """As PgBouncer is by default: it refuses the session."""
    with pooled.pooler():
        await pooled.until_ready()
        with pytest.raises(asyncpg.PostgresError, match="unsupported startup parameter"):
            await Db.open(pooled.url())


async def test_a_pooler_that_drops_roles_is_refused(pooled: Pooled) -> None:
    db = await Db.open(pooled.direct, size=2)
    await organizations(db, 2)
    await db.close()
    with pooled.pooler(CARELESS):
        await pooled.until_ready()
        careless = await Db.open(pooled.url(), size=2)
        async with careless.authenticated(bytes(32)) as (tx, _):
            assert await tx.fetchval("SELECT count(*) FROM organizations") == 2, "this is what is at stake"
        with pytest.raises(NotIsolated, match="organizations would not be kept apart"):
            await check_isolation(careless)
        await careless.close()
        with pytest.raises(CannotMigrate, match=r"leads to a pooler .it drops the settings that a session asks for"):
            await migrate(pooled.url())
        listening = await Db.open(Addresses(pooled.url(), pooled.url("app_login"), pooled.url("system_login")), size=2)
        with pytest.raises(NotIsolated, match=r"HUM_DATABASE_URL: .* must reach the server itself, not a pooler"):
            await check_isolation(listening)
        await listening.close()


@pytest.mark.parametrize(
    ("more", "reason"),
    [("", b"unsupported startup parameter"), (CARELESS, b"it drops the settings that a session asks for")],
)
async def test_control_does_not_start_behind_a_pooler_alone(
    pooled: Pooled, open_home: Path, more: str, reason: bytes
) -> None:
    with pooled.pooler(more):
        await pooled.until_ready()
        environment = {"PATH": os.environ["PATH"], "HUM_HOME": str(open_home / "hum"), "HUM_DATABASE_URL": pooled.url()}
        control = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "control.app"), env=environment, cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        async with patience():
            _, printed = await control.communicate()
    assert control.returncode == 2 and b"HUM_DATABASE_URL leads to a pooler (" + reason in printed
    assert b"Traceback" not in printed
