"""A primary and its standby, on machines of their own."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.embedded import find_binaries
from tests.chaos.net import SUBNET, Network

USER = DATABASE = "hum"
PORT = 5432
START_SECONDS = 30
#: PostgreSQL does not run as root.
AS_NOBODY = ("unshare", "--user", "--map-user=65534", "--map-group=65534", "--")
SETTINGS = {
    "listen_addresses": "*",
    "unix_socket_directories": "",
    "max_connections": "100",
    "wal_level": "replica",
    "hot_standby": "on",
    "timezone": "UTC",
    # A standby that was cut off is noticed, and notices.
    "wal_sender_timeout": "5s",
    "wal_receiver_timeout": "5s",
}


class Postgres:
    """One server, which runs on one machine of a network."""

    def __init__(self, network: Network, machine: str, home: Path) -> None:
        self._network, self._machine, self._data = network, machine, home / machine
        self._bin = find_binaries()
        self._log = home / f"{machine}.log"
        self._process: subprocess.Popen[Any] | None = None

    @property
    def host(self) -> str:
        return f"{self._network.address(self._machine)}:{PORT}"

    def create(self) -> None:
        """A new, empty server, which trusts this network."""
        self._run(
            "initdb", "-D", str(self._data), "-U", USER, "--encoding=UTF8", "--locale=C", "--auth=trust", "--no-sync"
        )
        with (self._data / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {SUBNET}.0/24 trust\nhost replication all {SUBNET}.0/24 trust\n")

    def copy(self, primary: "Postgres") -> None:
        """A standby of this primary, which follows it from now on."""
        host, _, port = primary.host.partition(":")
        source = f"host={host} port={port} user={USER}"
        self._run("pg_basebackup", "-D", str(self._data), "-d", source, "-R", "-X", "stream", "-c", "fast", "--no-sync")

    def start(self, settings: Mapping[str, str] | None = None) -> None:
        flags = [flag for each in (SETTINGS | dict(settings or {})).items() for flag in ("-c", "=".join(each))]
        with self._log.open("a") as log:
            command = [*AS_NOBODY, str(self._bin / "postgres"), "-D", str(self._data), "-p", str(PORT), *flags]
            self._process = self._network.start(self._machine, command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(PORT)]
        while subprocess.run(self._network.command(self._machine, ready), check=False).returncode:
            assert self._process.poll() is None and time.monotonic() < deadline, self._log.read_text()[-2000:]
            time.sleep(0.1)

    def promote(self) -> None:
        self._run("pg_ctl", "promote", "-D", str(self._data), "-w")

    def kill(self) -> None:
        """`kill -9` of the server's first process; the others end when they notice."""
        assert self._process is not None
        self._process.kill()

    def sql(self, *statements: str, database: str = "postgres") -> str:
        """As the superuser, on its own machine."""
        options = ["-h", "127.0.0.1", "-p", str(PORT), "-U", USER, "-d", database, "-v", "ON_ERROR_STOP=1", "-qtA"]
        commands = [word for each in statements for word in ("-c", each)]
        done = self._run("psql", *options, *commands)
        return str(done.stdout).strip()

    async def until(self, question: str, answer: str) -> None:
        async with asyncio.timeout(START_SECONDS):
            while await asyncio.to_thread(self.sql, question) != answer:
                await asyncio.sleep(0.1)

    def _run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[Any]":
        command = self._network.command(self._machine, [*AS_NOBODY, str(self._bin / program), *arguments])
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/", env=_environment())
        assert not done.returncode, f"{program}: {done.stderr[-2000:]}"
        return done


async def pair(network: Network, home: Path, *, synchronous: bool) -> tuple[Postgres, Postgres]:
    """A primary on machine `a` and its standby on `b`, which has all that the primary has: HUM's database, migrated from `c`."""
    primary, standby = Postgres(network, "a", home), Postgres(network, "b", home)
    await asyncio.to_thread(primary.create)
    await asyncio.to_thread(primary.start)
    roles = [f"CREATE ROLE {role} NOLOGIN" for role in ("hum_owner", "hum_app", "hum_system")]
    await asyncio.to_thread(primary.sql, *roles, f"CREATE DATABASE {DATABASE} OWNER hum_owner")
    await asyncio.to_thread(network.run, "c", [sys.executable, "-m", "tests.chaos.reporters", url(primary), "prepare"])
    await asyncio.to_thread(standby.copy, primary)
    await asyncio.to_thread(standby.start)
    if synchronous:
        await asyncio.to_thread(
            primary.sql, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"
        )
    state = "sync" if synchronous else "async"
    await primary.until("SELECT concat(state, ' ', sync_state) FROM pg_stat_replication", f"streaming {state}")
    return primary, standby


def url(*servers: Postgres) -> str:
    return f"postgresql://{USER}@{','.join(each.host for each in servers)}/{DATABASE}"


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C"}
