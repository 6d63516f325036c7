"""How long `hum up` takes to stop when no call is open: whoever presses Ctrl-C waits for that."""

import asyncio
import signal
from pathlib import Path

import pytest

from tests.e2e.platforms import free_sockets
from tests.e2e.test_hum_up import Up, programs_end
from tests.support.stalls import Stalls

__all__ = ["programs_end"]
pytestmark = pytest.mark.realtime
STOP_S = 3.0


@pytest.mark.timeout(180)
async def test_an_idle_platform_stops_within_3_s(open_home: Path, programs_end: None, stalls: Stalls) -> None:
    loop = asyncio.get_running_loop()
    async with Up.started({"HUM_HOME": str(open_home), **free_sockets(open_home)}) as up:
        await up.is_up()
        began_s, stalls.longest_ms = loop.time(), 0.0
        up.process.send_signal(signal.SIGTERM)
        assert await up.exits(60) == 0, up.lines
        took_s = loop.time() - began_s
    assert took_s <= STOP_S + stalls.longest_ms / 1000, (took_s, stalls.longest_ms, up.lines)
