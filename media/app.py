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

from hum import blas, descriptors, home, monitoring, program, rpc, sockets, telemetry
from hum.clock import Clock, monotonic_ms
from hum.lifetime import Lifetime
from hum.settings import MediaSettings
from hum.signals import Signals
from hum.spool import take_spool
from hum.watchdog import Watchdog
from hum.workers import Shared, supervise
from media.door import Door, room
from media.io.control import ControlLink
from media.io.openai import Dial, Dialler
from media.io.silero import Silero
from media.pacer import Pacer
from media.server import MediaServer
from media.shell import Ports

LOG = telemetry.log(__name__)
LOOK_SECONDS = 0.02
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
    signals: Signals | None = None,
    ticked: Callable[[], None] = lambda: None,
) -> AsyncIterator[Media]:
    """Start a whole media plane; drain and close it on exit, at once when a signal says so.

    With `shared_port` other processes may listen on the same port.  `ticked` is called with each tick of the pacer.
    """
    if not settings.twilio_auth_tokens:
        LOG.warning("TWILIO_AUTH_TOKEN is not set: every stream will be refused")
    channel = rpc.channel(settings)
    key, name = home.node_key(settings), telemetry.node_name(settings, "media")
    link = ControlLink(settings, channel, key, name, take_spool(settings.spool_dir, fsync=False))
    silero = Silero.load() if settings.vad_confirm else None
    opened = sockets.listening(settings.media_listen, "HUM_MEDIA_LISTEN", shared=shared_port)
    door = Door(opened, room(settings, descriptors.free()))
    if door.room.calls < settings.max_calls:
        LOG.warning("the limit of open files allows fewer calls than HUM_MAX_CALLS", calls=door.room.calls)
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
        backlog=sockets.BACKLOG,
    )

    async def missing() -> list[str]:
        return server.missing()

    leave, hurry = (signals.leave, signals.hurry) if signals else (None, asyncio.Event())
    async with monitoring.serving(settings, missing, leave) as metrics_port:
        linked = asyncio.create_task(link.run(), name="link")
        pacer.start()
        try:
            yield Media(server, link, listening.sockets[0].getsockname()[1], metrics_port)
        finally:
            listening.close()  # new connections go to a successor, or are refused by the system
            await _drain(server, settings, hurry)
            await _hand_in(link, settings, clock)
            pacer.stop()
            linked.cancel()
            with suppress(asyncio.CancelledError):
                await linked
            link.outbox.close()
            await channel.close(None)


async def _drain(server: MediaServer, settings: MediaSettings, hurry: asyncio.Event) -> None:
    lingers = min(settings.linger_seconds, settings.drain_seconds)
    await server.linger(lingers, hurry)
    await server.drain(settings.drain_seconds - lingers, CLOSE_SECONDS, hurry)


async def _hand_in(link: ControlLink, settings: MediaSettings, clock: Clock) -> None:
    """Send the last reports; those that control does not acknowledge now stay on disk."""
    link.flush(clock())
    with suppress(TimeoutError):
        async with asyncio.timeout(settings.end_ack_seconds):
            await link.stored()


async def run(settings: MediaSettings, *, worker: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; a worker also stops when its supervisor is gone."""
    lifetime, watchdog = Lifetime(settings, tied=worker), Watchdog(settings.stuck_seconds)
    building = build(settings, shared_port=worker, signals=lifetime.signals, ticked=watchdog.beat)
    async with building as media:
        watchdog.start()
        # Imported objects live forever: without the freeze the collector would walk them (40 ms) while calls wait.
        gc.collect()
        gc.freeze()
        LOG.info("media is serving", port=media.port, node=media.link.node, blas=blas.described())
        media.server.streams.on_calls = lifetime.calls
        await _linked_or(lifetime.signals.stop, media.link)
        lifetime.ready()
        await lifetime.over()
        LOG.info("media is draining", calls=len(media.server))
    watchdog.stop()


async def _linked_or(stop: asyncio.Event, link: ControlLink) -> None:
    """Wait for the link to control: without it no call is taken."""
    while not (link.up or stop.is_set()):  # noqa: ASYNC110 - once, at the start
        await asyncio.sleep(LOOK_SECONDS)


def main() -> None:
    parser = argparse.ArgumentParser(prog="hum media", description="The media plane.")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that share the port; unset: HUM_MEDIA_WORKERS"
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    settings = program.plane(MediaSettings, "media")
    count = arguments.workers or settings.media_workers
    if count > 1 and not arguments.worker:
        shared = Shared("media", "media.app", "HUM_MEDIA_LISTEN", settings.media_listen, settings.drain_seconds)
        sys.exit(uvloop.run(supervise(settings, shared, count)))
    uvloop.run(run(settings, worker=arguments.worker))


if __name__ == "__main__":
    main()
