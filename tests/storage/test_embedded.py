"""The embedded PostgreSQL: reuse, kill -9, an inaccessible home folder, any folder of binaries."""

import asyncio
import json
import os
import signal
import socket
import stat
import sys
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from hum.process.signals import PREPARE
from hum.settings import ControlSettings, environment
from storage import embedded
from storage.__main__ import run_migrate
from storage.embedded import CannotStart, EmbeddedPostgres, find_binaries
from storage.migrate import CannotMigrate, migrate
from tests.support.waits import patience

FAST = {"fsync": "off"}
DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"))


async def put(url: str, value: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS kept (n int)")
    await connection.execute("INSERT INTO kept VALUES ($1)", value)
    await connection.close()


async def kept(url: str) -> list[int]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT n FROM kept ORDER BY n")
    await connection.close()
    return [row["n"] for row in rows]


@pytest.mark.chaos
async def test_its_program_writes_to_disk_when_everything_begins_to_stop(open_home: Path) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "storage", "postgres"),
        env=environment() | {"HUM_HOME": str(open_home)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert program.stdout is not None
        connection = await asyncpg.connect(json.loads(await program.stdout.readline())["url"])
        await connection.execute("CREATE TABLE kept (n int)")
        redo = "SELECT redo_lsn FROM pg_control_checkpoint()"
        before = await connection.fetchval(redo)
        program.send_signal(PREPARE)
        async with patience():
            while await connection.fetchval(redo) == before:
                await asyncio.sleep(0.02)
        await connection.close()
    finally:
        program.terminate()
        await program.wait()
    assert EmbeddedPostgres(open_home).running_url() is None


@pytest.mark.chaos
async def test_a_shell_in_the_data_folder_is_no_servers_process(open_home: Path) -> None:
    server = EmbeddedPostgres(open_home)
    await server.start()
    shell = await asyncio.create_subprocess_exec("sleep", "600", cwd=server._data)
    try:
        assert server._process is not None
        orphans = server._orphans()
        assert server._process.pid in orphans and shell.pid not in orphans
    finally:
        shell.kill()
        await shell.wait()
        await server.stop()


@pytest.mark.chaos
async def test_a_restored_home_is_noted_without_a_server(open_home: Path) -> None:
    """`hum migrate --restored`, where `hum up` runs the database itself: it is started for that, and stopped."""
    settings = ControlSettings(home=open_home, database_url="")
    with pytest.raises(CannotMigrate, match="HUM_DATABASE_URL"):
        await run_migrate(settings, restored=False)
    for _ in range(2):
        await run_migrate(settings, restored=True)
    server = EmbeddedPostgres(open_home)
    try:
        connection = await asyncpg.connect(await server.start())
        assert await connection.fetchval("SELECT count(*) FROM restorations") == 2
        await connection.close()
    finally:
        await server.stop()


@pytest.mark.chaos
async def test_rows_survive_a_kill_and_the_home_is_used_again(open_home: Path) -> None:
    server = EmbeddedPostgres(open_home)
    first_url = await server.start()
    await put(first_url, 1)
    assert server._process is not None
    ended = asyncio.create_task(server.ended())
    os.kill(server._process.pid, signal.SIGKILL)
    await asyncio.wait_for(ended, 60)
    assert server._lock is not None
    server._lock.close()
    again = EmbeddedPostgres(open_home)
    url = await again.start()
    assert url == first_url, "its clients keep using this URL"
    await put(url, 2)
    assert await kept(url) == [1, 2]
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SHOW recovery_init_sync_method") == "syncfs", "thousands of files take seconds"
    await connection.close()
    await again.stop()


@pytest.mark.chaos
async def test_a_server_that_outlived_its_starter_is_taken_over(open_home: Path) -> None:
    first = EmbeddedPostgres(open_home, settings=FAST)
    url = await first.start()
    assert first._lock is not None
    first._lock.close()  # as the death of the process that started it would
    second = EmbeddedPostgres(open_home, settings=FAST)
    assert await second.start() == url
    await second.stop()
    assert first._process is not None
    assert first._process.wait(10) == 0
    with pytest.raises(OSError):
        await asyncpg.connect(url)


@pytest.mark.chaos
async def test_a_port_that_somebody_took_meanwhile_is_left_to_them(open_home: Path) -> None:
    first = EmbeddedPostgres(open_home, settings=FAST)
    url = await first.start()
    await first.stop()
    with socket.create_server(("127.0.0.1", urlsplit(url).port or 0)):
        second = EmbeddedPostgres(open_home, settings=FAST)
        assert await second.start() != url
        await second.stop()


@pytest.mark.chaos
async def test_one_home_has_one_server_and_who_comes_second_leaves_it_alone(open_home: Path) -> None:
    first = EmbeddedPostgres(open_home, settings=FAST)
    url = await first.start()
    second = EmbeddedPostgres(open_home)
    with pytest.raises(CannotStart, match="another process"):
        await second.start()
    await second.stop()
    await put(url, 1)
    await first.stop()


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def killed(server: EmbeddedPostgres) -> int:
    """The server's process, which is gone without a word, and with it whoever started it."""
    assert server._process is not None
    assert server._lock is not None
    server._process.kill()
    server._process.wait()
    server._lock.close()
    return server._process.pid


@pytest.mark.chaos
async def test_a_number_that_is_another_servers_by_now_is_no_server_of_this_home(open_home: Path) -> None:
    other = EmbeddedPostgres(open_home / "other", settings=FAST)
    await other.start()
    first = EmbeddedPostgres(open_home / "this", settings=FAST)
    url = await first.start()
    await put(url, 1)
    killed(first)
    assert other._process is not None
    pid_file = open_home / "this/postgres/data/postmaster.pid"
    _, rest = pid_file.read_text().split("\n", 1)
    pid_file.write_text(f"{other._process.pid}\n{rest}")
    again = EmbeddedPostgres(open_home / "this", settings=FAST)
    assert await again.start() == url
    assert await kept(url) == [1]
    await again.stop()
    assert other._process.poll() is None, "nobody's server was stopped"
    await other.stop()


@pytest.mark.chaos
async def test_a_child_of_a_killed_server_that_hangs_does_not_keep_the_next_from_starting(
    open_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "ORPHAN_SECONDS", 0.5)
    first = EmbeddedPostgres(open_home, settings=FAST)
    url = await first.start()
    await put(url, 1)
    assert first._process is not None
    os.kill(children(first._process.pid)[0], signal.SIGSTOP)
    killed(first)
    again = EmbeddedPostgres(open_home, settings=FAST)
    assert await again.start() == url
    assert await kept(url) == [1]
    await again.stop()


@pytest.mark.chaos
@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to give its rights away")
async def test_as_root_in_a_closed_home(open_home: Path) -> None:
    closed = open_home / "closed"
    closed.mkdir(mode=0o700)
    server = EmbeddedPostgres(closed, settings=FAST)
    try:
        url = await server.start()
    except CannotStart as error:
        assert "user namespaces" in str(error)  # a machine that allows neither is told what to do
        return
    await put(url, 1)
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700, "no folder's permissions were widened"
    await server.stop()


@pytest.mark.chaos
@pytest.mark.skipif(not DEBIAN, reason="no PostgreSQL of Debian's")
async def test_any_folder_of_binaries(open_home: Path) -> None:
    server = EmbeddedPostgres(open_home, binaries=DEBIAN[0], settings=FAST)
    url = await server.start()
    assert await migrate(url) != []
    await server.stop()


def test_no_binaries_is_said_in_a_sentence(open_home: Path) -> None:
    with pytest.raises(CannotStart, match="HUM_DATABASE_URL"):
        find_binaries(open_home)
