"""The operator's socket of each process: `/metrics`, `/healthz`, `/readyz`.

It is separate from the public sockets: metrics tell a lot, and take time to render.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web

from hum import telemetry
from hum.clock import Clock, monotonic_ms
from hum.lifetime import when
from hum.settings import Common
from hum.sockets import listening
from hum.vitals import Vitals

LOG = telemetry.log(__name__)
KEEP_ALIVE_SECONDS = 75.0
CLOSE_SECONDS = 1.0  # a scrape that is under way when the process ends

Ready = Callable[[], Awaitable[Sequence[str]]]
"""Names what keeps this process from taking work, one sentence each; nothing: it is ready."""


def cached(settings: Common, ready: Ready, clock: Clock = monotonic_ms) -> Ready:
    """Ask `ready` at most once per `ready_cache_seconds`, however many probes come; concurrent ones wait for one answer.

    If it does not answer within `ready_seconds`, that is the reason why the process takes no work.  It is not cancelled then, since
    that may wait for the same server that does not answer; nor is it asked a second time meanwhile.
    """
    asking, known, until_ms = asyncio.Lock(), ["nothing is known yet"], float("-inf")
    question: asyncio.Task[Sequence[str]] | None = None

    async def ask() -> Sequence[str]:
        return await ready()

    async def answer() -> Sequence[str]:
        nonlocal known, until_ms, question
        async with asking:
            if clock() >= until_ms:
                question = question or asyncio.create_task(ask(), name="ready")
                await asyncio.wait({question}, timeout=settings.ready_seconds)
                if question.done():
                    answered, question = question, None
                    known = list(answered.result())
                else:
                    known = [f"what it needs did not answer within {settings.ready_seconds:g} s"]
                until_ms = clock() + 1000 * settings.ready_cache_seconds
        return known

    return answer


@asynccontextmanager
async def serving(settings: Common, ready: Ready, leave: asyncio.Event | None = None) -> AsyncIterator[int]:
    """Listen on HUM_METRICS_LISTEN while the context is open; yields the port.  Exits if the port is taken.

    Once `leave` is set, the socket is left to a successor.

    `/healthz` is 200 while the event loop runs.  `/readyz` is 200, or 503 with the reasons that `ready` returns, one per line.
    """
    runner = web.AppRunner(
        _app(cached(settings, ready), Vitals(settings)),
        access_log=None,
        keepalive_timeout=KEEP_ALIVE_SECONDS,
        shutdown_timeout=CLOSE_SECONDS,
    )
    await runner.setup()
    try:
        supervised = settings.supervisor_fd is not None  # then a successor may be there already
        site = web.SockSite(runner, listening(settings.metrics_listen, "HUM_METRICS_LISTEN", shared=supervised))
        await site.start()
        host, port = runner.addresses[0][:2]
        LOG.info("metrics are being served", host=host, port=port)
        async with when(leave, site.stop):
            yield port
    finally:
        await runner.cleanup()


def _app(ready: Ready, vitals: Vitals) -> web.Application:
    async def metrics(_: web.Request) -> web.Response:
        await vitals.measure()
        return web.Response(body=telemetry.metrics_page(), headers={"Content-Type": telemetry.METRICS_CONTENT_TYPE})

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        missing = await ready()
        return web.Response(text="\n".join(missing or ["ready"]) + "\n", status=503 if missing else 200)

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)])
    return app
