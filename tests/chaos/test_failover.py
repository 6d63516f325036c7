"""The primary dies, and the standby takes over: control goes on in a few seconds, and nothing that it acknowledged is lost."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.net import ROOT, Network
from tests.chaos.reporters import Seen
from tests.chaos.servers import Postgres, pair, url
from tests.support.present import present

pytestmark = pytest.mark.nodes
#: Whatever decides about the standby takes so long.
PROMOTED_AFTER_SECONDS = 2.3
AWAY_SECONDS = 5.0


class Reporters:
    """On machine `c`."""

    def __init__(self, network: Network, *servers: Postgres) -> None:
        command = [sys.executable, "-m", "tests.chaos.reporters", url(*servers)]
        self._process = network.start("c", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)

    async def until_ready(self) -> None:
        assert await asyncio.to_thread(present(self._process.stdout).readline) == "ready\n"
        await asyncio.sleep(1)

    async def end(self) -> Seen:
        printed, _ = await asyncio.to_thread(self._process.communicate, timeout=60)
        return Seen(**json.loads(printed.splitlines()[-1]))


async def fail_over(
    network: Network,
    primary: Postgres,
    standby: Postgres,
    die: Callable[[], Any],
    before: Callable[[], Any] = lambda: None,
) -> tuple[Seen, float]:
    """What the reporters saw, and when it happened."""
    reporters = Reporters(network, primary, standby)
    await reporters.until_ready()
    before()
    await asyncio.sleep(1)
    died_at = time.monotonic()
    die()
    await asyncio.sleep(PROMOTED_AFTER_SECONDS)
    await asyncio.to_thread(standby.promote)
    async with asyncio.timeout(AWAY_SECONDS + 15):
        await asyncio.sleep(AWAY_SECONDS)
    return await reporters.end(), died_at


def away_seconds(times: list[float]) -> float:
    """The longest time without one."""
    times.sort()
    return max(later - earlier for earlier, later in pairwise(times))


def check(seen: Seen, standby: Postgres, died_at: float, figure: Callable[[str, object], None], how: str) -> None:
    assert seen.server == standby.host.partition(":")[0], "the standby has taken over"
    assert len(seen.acknowledged) == 8 and all(seen.kept[node] >= seq for node, seq in seen.acknowledged.items()), seen
    away = away_seconds(seen.stored_at)
    assert seen.enqueued, "the worker had something to do"
    heard = [at for at in seen.heard_at if at > died_at + PROMOTED_AFTER_SECONDS]
    assert heard, f"the bus hears again: {seen.errors}"
    figure(f"{how}, s without writes", round(away, 1))
    figure(f"{how}, s until news are heard", round(heard[0] - died_at, 1))
    assert away <= AWAY_SECONDS + seen.stalled_ms / 1000


@pytest.mark.parametrize("how", ["killed", "power off"])
async def test_a_primary_that_dies_is_replaced_and_nothing_acknowledged_is_lost(
    how: str, machines: Network, open_home: Path, record_property: Callable[[str, object], None]
) -> None:
    primary, standby = await pair(machines, open_home, synchronous=True)
    die = primary.kill if how == "killed" else lambda: machines.power_off("a")
    seen, died_at = await fail_over(machines, primary, standby, die)
    check(seen, standby, died_at, record_property, how)
    assert not seen.sent_again and not seen.not_done


async def test_what_an_asynchronous_standby_lacks_is_sent_again(
    machines: Network, open_home: Path, record_property: Callable[[str, object], None]
) -> None:
    primary, standby = await pair(machines, open_home, synchronous=False)

    def part() -> None:
        machines.slow(
            lost_share=1.0, between="a,b"
        )  # the standby gets nothing any more, and `c` still reaches the primary

    seen, died_at = await fail_over(machines, primary, standby, lambda: machines.power_off("a"), before=part)
    assert sum(seen.sent_again.values()), "what was acknowledged in the last second was lost"
    check(seen, standby, died_at, record_property, "asynchronous")
    record_property("asynchronous, batches sent again", sum(seen.sent_again.values()))
