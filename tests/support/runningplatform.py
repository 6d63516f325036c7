"""A platform under test: PostgreSQL, control, gateway and workers as processes of their own, between a counting carrier and the test.

A process that dies is started again, as its supervisor would.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from control.identity import usecases as identity
from hum.process.sockets import free_port
from hum.settings import environment
from sandbox.twilio import Carrier
from storage.db import Db
from storage.embedded import EmbeddedPostgres
from storage.migrate import migrate
from tests.support import seam
from tests.support.anyhour import at_any_hour
from tests.support.homes import postmaster_in
from tests.support.processes import children, cpu_seconds
from tests.support.programs import Program, running, variables

ACCOUNT, TOKEN, NUMBER = "AC" + "7" * 32, "carrier-token", "+13175550100"
LOOK_SECONDS = 0.02
#: Time within which a process opens its first connection to the database.
START_SECONDS = 20.0
PLANES = ("control", "worker")
#: Intervals and timeouts, shortened in the same order.
SHORT = {
    "carrier_seconds": "3",
    "carrier_connect_seconds": "1",
    "carrier_look_seconds": "4",
    "sweep_seconds": "1",
    "step_retry_seconds": "1",
    "text_retry_seconds": "0.2",
    "text_longest_retry_seconds": "1",
    "text_unknown_seconds": "120",
    "text_reconcile_seconds": "4",
    "database_retry_seconds": "0.2",
    "ingress_seconds": "2",
    "postponed_retry_seconds": "0.3",
    "HUM_DRAIN_SECONDS": "1",
    "linger_seconds": "0",
    "HUM_LOG_LEVEL": "warning",
}
#: With the carrier's list down: texts become `unknown` soon, and the timeout of a response is long enough that only dropped ones
#: are missed, also on a busy machine.
SHORT_DOWN = {**SHORT, "carrier_seconds": "15", "text_unknown_seconds": "16"}

#: The platform's number sends at full speed, and campaigns are written as far ahead as that needs.
FAST = {
    "HUM_TEXT_SEGMENTS_PER_SECOND": "1000",
    "text_number_width": "48",  # all that one worker has for campaigns
    "campaign_window": "1000",
    "HUM_LOG_LEVEL": "warning",
}


def _lives(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@dataclass(eq=False)
class Part:
    """A process that is started again when it dies."""

    plane: str
    pid: int
    #: Deaths of the database before the process was started.
    database_deaths: int = 0
    started_at: float = field(default_factory=time.monotonic)


@dataclass
class Platform:
    """The running platform, and the controls of its processes."""

    home: Path
    postgres: EmbeddedPostgres
    carrier: Carrier
    settings: Mapping[str, str]
    http: httpx.AsyncClient
    database_url: str
    #: Forks processes of the planes (`seam`).
    launcher: Program
    gateway: Program
    parts: list[Part] = field(default_factory=list)
    #: Planes of the processes that died, in order; the database is "postgres".
    deaths: list[str] = field(default_factory=list)
    _keepers: list[asyncio.Task[None]] = field(default_factory=list)
    _launching: asyncio.Lock = field(default_factory=asyncio.Lock)
    number: str = ""
    #: A process that ended without being killed, which ends the benchmark.
    broken: str = ""

    @property
    def seams(self) -> Path:
        return self.home / "seams"

    # -- processes

    def cpu_seconds(self) -> dict[str, float]:
        """Return the CPU seconds of each plane's processes."""
        database = postmaster_in(self.home)
        used = {plane: cpu_seconds([part.pid for part in self.parts if part.plane == plane]) for plane in PLANES}
        used["gateway"] = cpu_seconds([self.gateway.pid, *children(self.gateway.pid)])
        used["postgres"] = cpu_seconds([database, *children(database)])
        return used

    async def start(self, plane: str) -> None:
        part = Part(plane, 0)
        await self._launch(part)
        self.parts.append(part)
        self._keepers.append(asyncio.create_task(self._keep(part)))

    async def _launch(self, part: Part) -> None:
        async with self._launching:
            assert self.launcher.stdin is not None
            part.database_deaths, part.started_at = self.deaths.count("postgres"), time.monotonic()
            self.launcher.stdin.write(f"{part.plane}\n".encode())
            self.launcher.stdin.flush()
            part.pid = int(await self.launcher.line())

    async def _keep(self, part: Part) -> None:
        while True:
            # The end of a process that is not a child sends no signal.
            while _lives(part.pid):
                await asyncio.sleep(LOOK_SECONDS)
            if not (self.seams / f"{part.plane}.{part.pid}.ended").exists():
                self.deaths.append(part.plane)
            elif not self._could_not_start(part):
                self.broken = f"{part.plane} ended by itself"
                return
            await self._launch(part)

    def _could_not_start(self, part: Part) -> bool:
        """Return whether the database died while the process was starting; such a process exits, and is started again."""
        is_starting = time.monotonic() < part.started_at + START_SECONDS
        return is_starting and self.deaths.count("postgres") > part.database_deaths

    async def workers(self, count: int) -> None:
        """Start or end workers until `count` run."""
        while len(others := [part for part in self.parts if part.plane == "worker"]) > count:
            await self._end(others[-1])
        for _ in range(count - len(others)):
            await self.start("worker")

    async def kill(self, plane: str) -> None:
        """Kill the first process of a plane with SIGKILL; return once it is gone and its successor is starting."""
        before = len(self.deaths)
        os.kill(next(part.pid for part in self.parts if part.plane == plane), signal.SIGKILL)
        async with asyncio.timeout(60):
            while len(self.deaths) == before:
                await asyncio.sleep(LOOK_SECONDS)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Kill control, the workers and the database with SIGKILL; restart them when the block is left."""
        planes = [part.plane for part in self.parts]
        for keeper in self._keepers:
            keeper.cancel()
        for part in self.parts:
            os.kill(part.pid, signal.SIGKILL)
        await self.kill_postgres()
        self.parts.clear()
        self._keepers.clear()
        try:
            yield
        finally:
            await self.restart_postgres()
            for plane in planes:
                await self.start(plane)

    async def _end(self, part: Part) -> None:
        keeper = self._keepers.pop(self.parts.index(part))
        self.parts.remove(part)
        keeper.cancel()
        with suppress(ProcessLookupError, TimeoutError):
            os.kill(part.pid, signal.SIGTERM)
            # Meant to run out for a process that hangs.
            async with asyncio.timeout(20):
                while _lives(part.pid):
                    await asyncio.sleep(LOOK_SECONDS)
        with suppress(ProcessLookupError):
            os.kill(part.pid, signal.SIGKILL)

    async def stop(self) -> None:
        while self.parts:
            await self._end(self.parts[-1])
        await self.postgres.stop()

    # -- the database

    async def kill_postgres(self) -> None:
        """Kill all processes of PostgreSQL at once, as when the machine fails."""
        pid = postmaster_in(self.home)
        for process in (pid, *children(pid)):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self.deaths.append("postgres")
        await self.postgres.stop()

    async def restart_postgres(self) -> None:
        self.postgres = EmbeddedPostgres(self.home)
        assert await self.postgres.start() == self.database_url, "the database keeps its port"

    async def query(self, sql: str, *values: Any) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return await connection.fetch(sql, *values)
        finally:
            await connection.close()

    # -- the API

    async def ask(self, verb: str, path: str, **options: Any) -> Any:
        """Send a request, and repeat it while the platform is unavailable.  Raises HTTPStatusError for one that it refuses."""
        async with asyncio.timeout(120):
            while True:
                assert not self.broken, self.broken
                with suppress(httpx.TransportError):
                    answer = await self.http.request(verb, path, **options)
                    if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                        return answer.raise_for_status().json() if answer.content else None
                await asyncio.sleep(0.1)


@asynccontextmanager
async def _program(arguments: Sequence[str], environment: Mapping[str, str], home: Path) -> AsyncIterator[Program]:
    """Run a program in a process of its own, until the block is left."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (home / "programs.log").open("ab") as log:
        command = (sys.executable, "-m", *arguments)
        async with running(*command, patience_seconds=20, env=dict(environment), stderr=log, **pipes) as program:
            yield program


@asynccontextmanager
async def start_platform(
    home: Path, *, workers: int = 1, settings: Mapping[str, str] | None = None, more_numbers: Sequence[str] = ()
) -> AsyncIterator[Platform]:
    """Run a platform with one organization and one number; yield it.  The carrier's account has `more_numbers` too."""
    async with AsyncExitStack() as stack:
        carrier = await stack.enter_async_context(
            Carrier.serve(account_sid=ACCOUNT, auth_token=TOKEN, numbers=[NUMBER, *more_numbers])
        )
        postgres = EmbeddedPostgres(home)
        url = await postgres.start()
        stack.push_async_callback(postgres.stop)
        await migrate(url)
        await at_any_hour(url)
        db = await Db.open(url, size=2)
        org = await identity.create_organization(db, "Clinic", "owner@clinic.example")
        _, secret = await identity.issue_key(db, org, "bench", "admin", [])
        await db.close()
        ports = {plane: free_port("127.0.0.1") for plane in ("control", "gateway")}
        gateway_url = f"http://127.0.0.1:{ports['gateway']}"
        settings_of_all = variables(
            {
                **{name: value for name, value in environment().items() if not name.startswith(("HUM_", "TWILIO_"))},
                "HUM_HOME": str(home),
                "HUM_DATABASE_URL": url,
                "HUM_CONTROL_LISTEN": f"127.0.0.1:{ports['control']}",
                "HUM_CONTROL_ADDRESS": f"127.0.0.1:{ports['control']}",
                "HUM_GATEWAY_LISTEN": f"127.0.0.1:{ports['gateway']}",
                "HUM_PUBLIC_URL": gateway_url,
                "TWILIO_ACCOUNT_SID": ACCOUNT,
                "TWILIO_AUTH_TOKEN": TOKEN,
                "TWILIO_API_BASE_URL": carrier.url,
                "HUM_TEXT_SEGMENTS_PER_SECOND": "1000",
                "rate_per_second": "1000",
                "rate_burst": "2000",
                **(settings or {}),
            }
        )
        headers = {"Authorization": f"Bearer {secret}"}
        # Meant to run out where the platform is down: `ask` repeats the request.
        http = httpx.AsyncClient(base_url=gateway_url, headers=headers, trust_env=False, timeout=15)
        await stack.enter_async_context(http)
        for plane in PLANES:
            (home / "seams" / plane).mkdir(parents=True)
        launcher = await stack.enter_async_context(
            _program(["tests.support.seam", str(home / "seams")], settings_of_all, home)
        )
        gateway = await stack.enter_async_context(_program(["gateway.app"], settings_of_all, home))
        platform = Platform(home, postgres, carrier, settings_of_all, http, url, launcher, gateway)
        stack.push_async_callback(platform.stop)
        await platform.start("control")
        await platform.workers(workers)
        platform.number = (await platform.ask("POST", "/api/numbers", json={"e164": NUMBER}))["id"]
        await platform.ask("PATCH", f"/api/numbers/{platform.number}", json={"sms_enabled": True})
        yield platform
        seam.disarm(platform.seams)
