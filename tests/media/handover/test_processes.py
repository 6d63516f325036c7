"""Processes that hand calls over, and how one learns that the other is dead."""

import asyncio
import sys
from pathlib import Path

import pytest

from media.handover import channel
from tests.support.programs import running

pytestmark = pytest.mark.nodes
CONNECTS = (
    "import socket, sys, time; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(sys.argv[1]); "
)
CONNECTS += "sys.argv[2] == 'closes' and s.close(); time.sleep(60)"


@pytest.mark.parametrize("closes", [True, False])
async def test_a_process_that_is_dead_is_told_from_one_that_closes_its_connection(tmp_path: Path, closes: bool) -> None:
    waiting = channel.listen_at(tmp_path / "socket")
    command = (sys.executable, "-c", CONNECTS, str(tmp_path / "socket"), "closes" if closes else "stays")
    async with running(*command) as process:
        connection, _ = await asyncio.get_running_loop().sock_accept(waiting)
        other = channel.Channel(connection)
        if not closes:
            process.kill()
        with pytest.raises(channel.PeerLost):
            await other.receive()
        assert await other.is_dead() is not closes
        other.close()
    waiting.close()
