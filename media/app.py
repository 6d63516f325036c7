"""`hum media`: the composition root of this plane."""

import argparse
import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import uvloop
from picows import ws_create_server

from hum import blas, descriptors, home, monitoring, program, rpc, telemetry, workers
from hum.clock import Clock, monotonic_ms
from hum.network import parse_listen
from hum.settings import MediaSettings, load
from hum.signals import stop_signal
from hum.spool import take_spool
from hum.watchdog import Watchdog
from media.door import Door, room
from media.io.control import ControlLink
from media.io.openai import Dial, Dialler
from media.io.silero import Silero
from media.pacer import Pacer
from media.server import MediaServer
from media.shell import Ports

LOG = telemetry.log(__name__)
CLOSE_SECONDS = 20.0  # a spoken goodbye and the close after it


@dataclass(frozen=True, slots=True)
class Media:
    """A running media plane."""

    server: MediaServer
    link: ControlLink
    port: int
    metrics_port: int


@asynccontextmanager
async def build(
    settings: MediaSettings,
    dial: Dial | None = None,
    clock: Clock = monotonic_ms,
    *,
    shared_port: bool = False,
    ticked: Callable[[], None] = lambda: None,
) -> AsyncIterator[Media]:
    """Start a whole media plane; drain and close it on exit.

    With `shared_port` other processes may listen on the same port.  `ticked` is called with each tick of the pacer.
    """
    if not settings.twilio_auth_tokens:
        LOG.warning("TWILIO_AUTH_TOKEN is not set: every stream will be refused")
    channel = rpc.channel(settings)
    link = ControlLink(
        settings,
        channel,
        home.node_key(settings),
        telemetry.node_name(settings, "media"),
        take_spool(settings.spool_dir, fsync=False),
    )
    listen = parse_listen(settings.media_listen)
    door = Door(listen, room(settings, descriptors.free()), shared=shared_port)
    if door.room.calls < settings.max_calls:
        LOG.warning("the limit of open files allows fewer calls than HUM_MAX_CALLS; raise it", calls=door.room.calls)
    silero = Silero.load() if settings.vad_confirm else None
    ports = Ports(settings, link, dial or Dialler(settings), clock, settings.recordings_dir, silero)
    server = MediaServer(ports, lambda: pacer.load, door)

    def tick(now_ms: float) -> None:
        ticked()
        server.sweep(now_ms)

    pacer = Pacer(settings.pacer_ms, clock, tick)
    link.on_command, link.beat.refuses = server.command, server.refuses
    listening = await ws_create_server(
        server.upgrade,
        sock=door,
        max_frame_size=settings.max_frame_bytes,
        websocket_handshake_timeout=settings.start_seconds,
        backlog=1024,
    )

    async def missing() -> list[str]:
        return server.missing()

    async with monitoring.serving(settings, missing) as metrics_port:
        linked = asyncio.create_task(link.run(), name="link")
        pacer.start()
        try:
            yield Media(server, link, listening.sockets[0].getsockname()[1], metrics_port)
        finally:
            await server.drain(settings.drain_seconds, CLOSE_SECONDS)
            listening.close()
            link.flush(clock())
            with suppress(TimeoutError):  # reports that control does not acknowledge now stay on disk
                async with asyncio.timeout(settings.end_ack_seconds):
                    await link.stored()
            pacer.stop()
            linked.cancel()
            with suppress(asyncio.CancelledError):
                await linked
            link.outbox.close()
            await channel.close(None)


async def run(settings: MediaSettings, *, worker: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; a worker also stops when its supervisor is gone."""
    stop, watchdog = stop_signal(), Watchdog(settings.stuck_seconds)
    leave = workers.until_supervisor_goes(stop) if worker else None
    async with build(settings, shared_port=worker, ticked=watchdog.beat) as media:
        watchdog.start()
        # Imported objects live forever: without the freeze the collector would walk them (40 ms) while calls wait.
        gc.collect()
        gc.freeze()
        LOG.info("media is serving", port=media.port, node=media.link.node, blas=blas.described())
        await stop.wait()
        if leave is not None:
            leave()
        LOG.info("media is draining", calls=len(media.server))
    watchdog.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="hum media", description="The media plane.")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    settings = load(MediaSettings)
    program.begin(settings, "media")
    if arguments.workers > 1:
        shared = workers.Shared("media", "media.app", "HUM_MEDIA_LISTEN", settings.media_listen)
        sys.exit(uvloop.run(workers.supervise(settings, shared, arguments.workers)))
    uvloop.run(run(settings, worker=arguments.worker))


if __name__ == "__main__":
    main()
