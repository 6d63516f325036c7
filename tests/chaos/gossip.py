"""`python -m tests.chaos.gossip NAME FOLDER URLS`: a process of control as far as the bus over NATS goes, on a machine of its own.

Tells its name over the bus twenty times a second, and prints the time (monotonic clock, which all namespaces share) and the name
whenever it hears another one's.  `FOLDER` has the certificates.
"""

import asyncio
import sys
import time
from pathlib import Path

import uvloop

from control.bus import BusChannel
from control.natsbus import NatsBus, Servers, tls
from hum.settings import ControlSettings

NAMES = BusChannel("hum_gossip", str, str)
EVERY_SECONDS = 0.05


async def main(name: str, folder: Path, urls: list[str]) -> None:
    settings = ControlSettings()
    patience = (settings.bus_retry_seconds, settings.bus_ping_seconds, settings.bus_silent_seconds)
    context = tls(folder / "ca.pem", folder / "node.pem", folder / "node.key")
    bus = NatsBus(Servers(urls, context, *patience), poll_seconds=3600)

    def hear(heard: str | None) -> None:
        if heard not in {name, None}:
            print("heard", time.monotonic(), heard, flush=True)  # noqa: T201

    await bus.start([NAMES])
    bus.subscribe(NAMES, hear)
    while True:
        await bus.publish(NAMES, name)
        await asyncio.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3].split(",")))
