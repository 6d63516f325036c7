"""The operator's socket of each process: `/metrics`, `/healthz`, `/readyz`.

It is separate from the public sockets, as metrics reveal much and take time to render.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from hum.clock import Clock, monotonic_ms
from hum.observe import logs, metrics
from hum.observe.vitals import Vitals
from hum.process.lifetime import when
from hum.process.sockets import listening_socket
from hum.settings import Common

LOG = logs.log(__name__)
KEEP_ALIVE_SECONDS = 75.0
CLOSE_SECONDS = 1.0  # for a scrape in flight at the end

Ready = Callable[[], Awaitable[Sequence[str]]]
"""Returns the reasons why this process can't take work, one sentence each; none if it is ready."""


def cached_readiness(settings: Common, ready: Ready, clock: Clock = monotonic_ms) -> Ready:
    """Return a `Ready` that asks `ready` at most once per `ready_cache_seconds`; concurrent probes share one answer.

    If `ready` does not answer within `ready_seconds`, that is the reason why the process is not ready.  It is then not
    cancelled, since that may wait for the same unresponsive server, and not asked a second time meanwhile.
    """
    lock, reasons, until_ms = asyncio.Lock(), ["nothing is known yet"], float("-inf")
    pending: asyncio.Task[Sequence[str]] | None = None

    async def ask_once() -> Sequence[str]:
        return await ready()

    async def answer() -> Sequence[str]:
        nonlocal reasons, until_ms, pending
        async with lock:
            if clock() >= until_ms:
                pending = pending or asyncio.create_task(ask_once(), name="ready")
                await asyncio.wait({pending}, timeout=settings.ready_seconds)
                if pending.done():
                    done, pending = pending, None
                    reasons = list(done.result())
                else:
                    reasons = [f"what it needs did not answer within {settings.ready_seconds:g} s"]
                until_ms = clock() + 1000 * settings.ready_cache_seconds
        return reasons

    return answer


@asynccontextmanager
async def serve(settings: Common, ready: Ready, drain: asyncio.Event | None = None) -> AsyncIterator[int]:
    """Listen on HUM_METRICS_LISTEN while the context is open; yield the port.  Exits if the port is in use.

    Once `drain` is set, the socket is closed for the successor.

    `/healthz` is 200 while the event loop runs.  `/readyz` is 200, or 503 with the reasons that `ready` returns, one
    per line.
    """
    runner = web.AppRunner(
        _app(cached_readiness(settings, ready), Vitals(settings)),
        access_log=None,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        shutdown_timeout=CLOSE_SECONDS,
    )
    await runner.setup()
    try:
        # A supervised process may have a successor on the same port.
        supervised = settings.supervisor_fd is not None
        site = web.SockSite(runner, listening_socket(settings.metrics_listen, "HUM_METRICS_LISTEN", shared=supervised))
        await site.start()
        host, port = runner.addresses[0][:2]
        LOG.info("metrics are being served", host=host, port=port)
        async with when(drain, site.stop):
            yield port
    finally:
        await runner.cleanup()


def _app(ready: Ready, vitals: Vitals) -> web.Application:
    async def metrics_route(_: web.Request) -> web.Response:
        await vitals.measure()
        return web.Response(body=metrics.metrics_page(), headers={"Content-Type": metrics.METRICS_CONTENT_TYPE})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        missing = await ready()
        return web.Response(text="\n".join(missing or ["ready"]) + "\n", status=503 if missing else 200)

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics_route), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    return app
