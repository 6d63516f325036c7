"""`hum media`: the composition root of this plane."""

import argparse
import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import uvloop
from grpc import aio

from hum import rpc
from hum.clock import Clock, monotonic_ms
from hum.observe import logs
from hum.process import blas, descriptors, home, hugepages, monitoring, program, sockets
from hum.process.lifetime import Lifetime
from hum.process.signals import Signals
from hum.process.watchdog import Watchdog
from hum.process.workers import WorkerSpec, supervise
from hum.refusal import refuse
from hum.settings import MediaSettings
from hum.spool import acquire_spool
from hum.v1 import calls_pb2
from media.carrierlistener import CarrierListener
from media.handover.receiver import HandoverReceiver, Predecessor
from media.handover.sender import HandoverSender
from media.io.control import ControlLink
from media.io.filework import FileThread, result
from media.io.listenerstreams import OverhearStreams
from media.io.modelsocket import Dial, Dialler
from media.io.silero import Silero
from media.listeningsocket import Capacity, ListeningSocket, NoListeningSocket, capacity
from media.ports import Ports
from media.server import MediaServer
from media.ticker import Ticker

#: Milliseconds between the ticker's ticks.
TICK_MS = 20.0
#: Seconds that a process which ends goes on storing recordings; the next one stores the rest.
STORE_DRAIN_SECONDS = 20.0

LOG = logs.log(__name__)
LOOK_SECONDS = 0.02
#: How long shutdown waits for a disk that hangs.
FILES_SECONDS = 5.0
#: A spoken goodbye and the close after it.
CLOSE_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class MediaPlane:
    """A running media plane; `port` is 0 in a process that takes browsers' calls."""

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
    browser: bool = False,
    predecessor: Predecessor | None = None,
) -> AsyncIterator[MediaPlane]:
    """Start a whole media plane; on exit, drain and close it, at once if a signal says so.

    With `shared_port`, other processes may listen on the same port.  `ticked` is called on each tick of the ticker.
    With `browser`, the plane takes browsers' calls only, and none of the carrier's.  With a `predecessor`, it receives
    that process's listening socket and its calls.
    """
    channel = rpc.channel(settings)
    key, name = home.node_key(settings), logs.node_name(settings, "media")
    link = ControlLink(settings, channel, key, name, acquire_spool(settings.spool_dir, fsync=False))
    silero = Silero.load() if settings.vad_confirm else None
    listening_socket = (
        _no_listening_socket(settings) if browser else _open_listening_socket(settings, shared_port, predecessor)
    )
    listener_streams = OverhearStreams(settings, link.credential)
    place, files = settings.recordings_dir, FileThread("recordings")
    ports = Ports(settings, link, dial or Dialler(settings), clock, place, files, listener_streams, silero)
    server = MediaServer(ports, lambda: ticker.load, listening_socket)
    browsers: list[Callable[[float], None]] = []

    def tick(now_ms: float) -> None:
        ticked()
        for browsers_tick in browsers:
            browsers_tick(now_ms)
        server.sweep(now_ms)

    ticker = Ticker(TICK_MS, clock, tick)
    link.on_command = server.command
    link.beat.refuses, link.beat.places = server.refuses, listening_socket.capacity.calls
    link.beat.calls = lambda: server.streams.calls
    drain, end_now = (signals.drain, signals.end_now) if signals else (None, asyncio.Event())
    async with monitoring.serve(settings, partial(_missing, server), drain) as metrics_port:
        callers, listener = AsyncExitStack(), None
        if isinstance(listening_socket, ListeningSocket):
            listener = await callers.enter_async_context(_carrier(server, listening_socket, settings))
        else:
            browsers.append(await callers.enter_async_context(_browsers(server, link, settings)))
        async with (
            _linked(link, ticker, channel),
            _writing(files),
            _storing(settings, link, end_now),
            _succession(server, listener, signals, predecessor),
        ):
            try:
                yield MediaPlane(server, link, listener.port if listener is not None else 0, metrics_port)
            finally:
                await callers.aclose()
                await _drain(server, ports, end_now)


@asynccontextmanager
async def _linked(link: ControlLink, ticker: Ticker, channel: aio.Channel) -> AsyncIterator[None]:
    """Run the ticker and the link to control, over which reports orphaned by dead processes are sent, too."""
    tasks = [
        asyncio.create_task(link.run(), name="link"),
        asyncio.create_task(link.adopt_orphaned(), name="orphaned reports"),
    ]
    ticker.start()
    try:
        yield
    finally:
        ticker.stop()
        for task in tasks:
            await _cancel(task)
        link.outbox.close()
        await channel.close(None)


@asynccontextmanager
async def _writing(files: FileThread) -> AsyncIterator[None]:
    """Wait on exit until recordings are written, for at most `FILES_SECONDS`."""
    yield
    if not files.close(FILES_SECONDS):
        LOG.error("lost the last seconds of recordings: the disk does not respond")


async def _cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _missing(server: MediaServer) -> list[str]:
    return server.missing()


def _no_listening_socket(settings: MediaSettings) -> NoListeningSocket:
    return NoListeningSocket(Capacity(settings.browser_calls, settings.browser_waiting))


def _open_listening_socket(
    settings: MediaSettings, shared_port: bool, predecessor: Predecessor | None
) -> ListeningSocket:
    if not settings.twilio_auth_tokens:
        LOG.warning("TWILIO_AUTH_TOKEN is not set: every stream will be refused")
    if predecessor is not None:
        opened = predecessor.listening
    else:
        opened = sockets.listening_socket(settings.media_listen, "HUM_MEDIA_LISTEN", shared=shared_port)
    listening_socket = ListeningSocket(opened, capacity(settings, descriptors.free()))
    if listening_socket.capacity.calls < settings.max_calls:
        LOG.warning(
            "the limit of open files allows fewer calls than HUM_MAX_CALLS", calls=listening_socket.capacity.calls
        )
    return listening_socket


@asynccontextmanager
async def _carrier(
    server: MediaServer, listening_socket: ListeningSocket, settings: MediaSettings
) -> AsyncIterator[CarrierListener]:
    """Accept the carrier's streams until exit."""
    listener = CarrierListener(server, listening_socket, settings)
    listener.open()
    try:
        yield listener
    finally:
        listener.end()


@asynccontextmanager
async def _succession(
    server: MediaServer, listener: CarrierListener | None, signals: Signals | None, predecessor: Predecessor | None
) -> AsyncIterator[None]:
    """Once the link is up, receive the predecessor's calls; then wait for a successor, even while this process drains."""
    settings = server.ports.settings
    tasks = []
    if listener is not None:
        sender = HandoverSender(server, listener, settings)
        receiver = HandoverReceiver(predecessor, server) if predecessor is not None else None
        # Under a supervisor, the supervisor decides when this process stops.
        if signals is not None and settings.supervisor_fd is None:
            sender.leave = signals.request_drain
        tasks.append(asyncio.create_task(_hand_over(server.ports.link, sender, receiver)))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _hand_over(link: ControlLink, sender: HandoverSender, receiver: HandoverReceiver | None) -> None:
    """Receive the predecessor's calls, if there is a predecessor; offer this process's calls to successors."""
    while not link.up:  # noqa: ASYNC110 - once, at the start
        await asyncio.sleep(LOOK_SECONDS)
    try:
        async with asyncio.TaskGroup() as group:
            if receiver is not None:
                group.create_task(receiver.run(), name="handover receiver")
                await receiver.predecessor_stopped.wait()
            group.create_task(sender.offer(), name="handover sender")
    # The boundary of handovers: this process goes on with its calls, and drains without a successor.
    except Exception:
        LOG.exception("no more calls are handed over: this is a bug")


@asynccontextmanager
async def _browsers(
    server: MediaServer, link: ControlLink, settings: MediaSettings
) -> AsyncIterator[Callable[[float], None]]:
    """Take browsers' offers, and yield the callback for each tick.  Exit the process if its setup is incomplete."""
    try:
        from media.legs.peer import Ice
        from media.peers import Peers
    except ImportError as error:
        refuse(
            f"calls from browsers need the extra `browser`, which is not installed: pip install 'hum[browser]' ({error})"
        )
    try:
        ice = Ice.of(settings.ice_host, settings.ice_servers)
    except ValueError as error:
        refuse(str(error))
    ice.use(settings.browser_lost_seconds)
    peers = Peers(server, ice, link.reply)
    link.offers.takes, link.offers.on_offer = (calls_pb2.CALL_ORIGIN_BROWSER,), peers.offered
    link.beat.refuses = peers.refuses
    LOG.info("accepting calls from browsers", bound=ice.bound, announced=ice.announced, servers=len(ice.servers))
    try:
        yield peers.tick
    finally:
        await peers.close()


@asynccontextmanager
async def _storing(settings: MediaSettings, link: ControlLink, end_now: asyncio.Event) -> AsyncIterator[None]:
    """Upload recordings to the bucket, if one is set; on exit, upload the rest unless `end_now` is set."""
    if settings.bucket is None:
        yield
        return
    # Imported here: the bucket's client is large, and nothing else needs it.
    from media.io.uploader import build_uploader

    uploader = build_uploader(settings, settings.bucket, link.check_files)
    running = asyncio.create_task(uploader.run(), name="uploader")
    try:
        yield
    finally:
        await _cancel(running)
        await uploader.finish(0 if end_now.is_set() else STORE_DRAIN_SECONDS)


async def _drain(server: MediaServer, ports: Ports, end_now: asyncio.Event) -> None:
    """Wait for the calls to end, and send control their last reports."""
    drain_seconds = ports.settings.drain_seconds
    lingers = min(ports.settings.linger_seconds, drain_seconds)
    await server.linger(lingers, end_now)
    await server.drain(drain_seconds - lingers, CLOSE_SECONDS, end_now)
    await _send_rest(ports)


async def _send_rest(ports: Ports) -> None:
    """Send the last reports and the listeners' last sound; reports that control does not acknowledge stay on disk."""
    with suppress(TimeoutError):
        async with asyncio.timeout(ports.settings.end_ack_seconds):
            await result(ports.files, bool)
    ports.link.flush(ports.clock())
    with suppress(TimeoutError):
        async with asyncio.timeout(ports.settings.end_ack_seconds):
            await ports.link.wait_until_stored()
    await ports.listener_streams.close()


async def run(settings: MediaSettings, *, worker: bool = False, browser: bool = False, handover: bool = False) -> None:
    """Serve until SIGTERM or SIGINT, or until all calls are handed over to a successor.

    A worker also stops when its supervisor dies.
    """
    lifetime, watchdog = Lifetime(settings, tied=worker), Watchdog(settings.stuck_seconds)
    predecessor = None
    if handover:
        predecessor = await Predecessor.connect(settings.handover_path, settings.handover_seconds)
        LOG.info(
            "receiving live calls"
            if predecessor
            else "no process serves here that could hand over calls: starting without any"
        )
    building = build(
        settings,
        shared_port=worker,
        signals=lifetime.signals,
        ticked=watchdog.beat,
        browser=browser,
        predecessor=predecessor,
    )
    async with building as media:
        watchdog.start()
        # Imported objects live as long as the process: unless frozen, each full collection walks them (40 ms) and delays calls.
        gc.collect()
        gc.freeze()
        LOG.info("media is serving", port=media.port, node=media.link.node, blas=blas.description())
        media.server.streams.on_calls = lifetime.report_calls
        await _linked_or(lifetime.signals.stop, media.link)
        lifetime.report_ready()
        await lifetime.wait_for_shutdown()
        LOG.info("media is draining", calls=len(media.server))
    watchdog.stop()


async def _linked_or(stop: asyncio.Event, link: ControlLink) -> None:
    """Wait until the link to control is up, or `stop` is set: without the link this process admits no calls."""
    while not (link.up or stop.is_set()):  # noqa: ASYNC110 - once, at the start
        await asyncio.sleep(LOOK_SECONDS)


def main() -> None:
    """Run `hum media` from its command line."""
    parser = argparse.ArgumentParser(prog="hum media", description="The media plane.")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that share the port; unset: HUM_MEDIA_WORKERS"
    )
    parser.add_argument("--browser", action="store_true", help="take calls from browsers, and none of the carrier's")
    parser.add_argument(
        "--handover", action="store_true", help="receive the port and the live calls of the process that serves here"
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    hugepages.prefer()
    settings = program.plane(MediaSettings, "media")
    if arguments.browser:
        if arguments.workers > 1:
            refuse("a process with --browser has no workers: it shares no port; start one for each core")
        if arguments.handover:
            refuse(
                "calls from browsers can't be handed over: start the successor without --handover, and stop this one"
            )
        uvloop.run(run(settings, browser=True))
        return
    count = arguments.workers or settings.media_workers
    if count > 1 and arguments.handover:
        refuse("--handover is for one process, and there are to be several (--workers, HUM_MEDIA_WORKERS)")
    if count > 1 and not arguments.worker:
        spec = WorkerSpec("media", "media.app", "HUM_MEDIA_LISTEN", settings.media_listen, settings.drain_seconds)
        sys.exit(uvloop.run(supervise(settings, spec, count)))
    uvloop.run(run(settings, worker=arguments.worker, handover=arguments.handover))


if __name__ == "__main__":
    main()
