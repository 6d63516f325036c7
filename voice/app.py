"""`hum voice`: the composition root of this plane."""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import chain

import aiohttp
import uvloop
from aiohttp import web

from hum import cascadefile
from hum.cascades import Cascades
from hum.observe import logs
from hum.process import home, monitoring, program, sockets, watchdog
from hum.process.lifetime import Lifetime, when
from hum.process.signals import Signals
from hum.process.workers import WorkerSpec, supervise
from hum.refusal import refuse
from hum.settings import VoiceSettings, secret
from voice.server import VoiceServer
from voice.stages import StageClient

LOG = logs.log(__name__)
#: How long connections have to close at the end.
CLOSE_SECONDS = 2.0
#: Idle connections to a stage's server are kept, so that a turn needs no handshake.
KEPT_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class VoicePlane:
    """A running voice plane."""

    server: VoiceServer
    port: int
    metrics_port: int


def keys(file: Cascades, settings: VoiceSettings) -> Mapping[str, str]:
    """Return the keys of all stages by their variables; exit if one is not set."""
    names = sorted(set(chain.from_iterable(cascade.variables for cascade in file.values())))
    found = {name: secret(name, settings.secrets_dir) for name in names}
    if missing := [name for name in names if not found[name]]:
        refuse(f"{missing[0]} is not set, and HUM_CASCADES names it as a key")
    return found


@asynccontextmanager
async def build(
    settings: VoiceSettings, *, shared_port: bool = False, signals: Signals | None = None
) -> AsyncIterator[VoicePlane]:
    """Serve sessions; on exit, let them go on for `drain_seconds`, or until a signal ends them."""
    if settings.cascades_file is None:
        refuse("HUM_CASCADES is not set; set it to the file of the cascades that `hum voice` runs")
    file = cascadefile.require(settings.cascades_file)
    drain, end_now = (signals.drain, signals.end_now) if signals else (None, None)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(), trust_env=False) as http:
        server = VoiceServer(
            settings, file, StageClient(http, keys(file, settings), settings), home.node_keys(settings)
        )

        async def missing() -> list[str]:
            return ["it is draining"] if server.is_draining else []

        app = web.Application()
        app.add_routes(server.routes())
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS, handle_signals=False)
        await runner.setup()
        async with monitoring.serve(settings, missing, drain) as metrics_port:
            site = web.SockSite(
                runner, sockets.listening_socket(settings.voice_listen, "HUM_VOICE_LISTEN", shared=shared_port)
            )
            await site.start()
            try:
                yield VoicePlane(server, runner.addresses[0][1], metrics_port)
            finally:
                await site.stop()
                server.drain()
                async with when(end_now, server.drained.set):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(settings.drain_seconds):
                            await server.drained.wait()
                server.hang_up()
                await runner.cleanup()
                await server.close()


async def run(settings: VoiceSettings, *, worker: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; a worker also stops when its supervisor is gone."""
    lifetime = Lifetime(settings, tied=worker)
    async with (
        watchdog.watch_loop(settings.stuck_seconds),
        build(settings, shared_port=worker, signals=lifetime.signals) as plane,
    ):
        LOG.info("voice is serving", port=plane.port)
        lifetime.report_ready()
        await lifetime.wait_for_shutdown()
        LOG.info("voice is draining", sessions=plane.server.sessions)


def main() -> None:
    """Run `hum voice` from its command line."""
    parser = argparse.ArgumentParser(prog="hum voice", description="The voice plane.")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    settings = program.plane(VoiceSettings, "voice")
    if arguments.workers > 1 and not arguments.worker:
        spec = WorkerSpec("voice", "voice.app", "HUM_VOICE_LISTEN", settings.voice_listen, settings.drain_seconds)
        sys.exit(uvloop.run(supervise(settings, spec, arguments.workers)))
    uvloop.run(run(settings, worker=arguments.worker))


if __name__ == "__main__":
    main()
