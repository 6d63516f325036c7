"""A machine that vanishes in the middle of a transaction keeps its locks from nobody for long: else no call anywhere gets a place."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.net import ROOT, Network
from tests.chaos.servers import Postgres, url
from tests.support.present import present
from tests.support.stalls import Stalls
from tests.support.waits import patience

pytestmark = pytest.mark.nodes
#: database_silent_seconds is 3; an idle transaction would be ended after 60.
FREE_SECONDS = 8.0
TRY = "SELECT pg_try_advisory_lock(hashtextextended('media places', 0))"


async def test_the_locks_of_a_machine_that_vanishes_are_free_soon(
    machines: Network, open_home: Path, stalls: Stalls, record_property: Callable[[str, object], None]
) -> None:
    server = Postgres(machines, "b", open_home)
    await asyncio.to_thread(server.create)
    await asyncio.to_thread(server.start)
    roles = [f"CREATE ROLE {role} NOLOGIN" for role in ("hum_owner", "hum_app", "hum_system")]
    await asyncio.to_thread(server.sql, *roles, "CREATE DATABASE hum OWNER hum_owner")
    command = [sys.executable, "-m", "tests.chaos.holder", url(server)]
    holder = machines.start("a", command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert await asyncio.to_thread(present(holder.stdout).readline) == "held\n"
    assert await asyncio.to_thread(server.sql, TRY, database="hum") == "f"
    machines.cut("a")
    began = time.monotonic()
    async with patience():
        while await asyncio.to_thread(server.sql, TRY, database="hum") != "t":
            await asyncio.sleep(0.1)
    free = time.monotonic() - began
    record_property("locks are free after, s", round(free, 1))
    assert free <= FREE_SECONDS + stalls.longest_ms / 1000
