"""`hum gateway`: the only place in this plane that calls constructors."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec
import uvicorn
import uvloop
import yaml
from grpc import aio
from grpc_health.v1 import health_pb2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import contract, credentials, errors, openapi, reference, transcode
from gateway.auth import SignIn
from gateway.csrf import SameOrigin
from gateway.middleware import AccessLog, SecurityHeaders
from gateway.twilio import CarrierWebhooks
from hum import home, rpc, telemetry
from hum.jsonvalues import Unsupported
from hum.settings import GatewaySettings, load, parse_listen
from hum.signals import stop_signal

LOG = telemetry.log(__name__)
READY_SECONDS = 2.0
TICK_SECONDS = 0.1  # uvicorn's own: it renews the Date header on its ticks


@dataclass(slots=True)
class Gateway:
    """The application, and an event that is set when it drains."""

    app: Starlette
    closing: asyncio.Event


def build(settings: GatewaySettings, channel: aio.Channel) -> Gateway:
    """The HTTP application over a channel to control."""
    _refuse_in_production(settings)
    identity = rpc.NodeIdentity(home.node_key(settings), "gateway", telemetry.node_name(settings, "gateway"))
    gateway = Gateway(Starlette(), asyncio.Event())
    cookies = credentials.Cookies(settings.public_url)
    limits = transcode.Limits(
        settings.control_seconds,
        settings.heartbeat_seconds,
        settings.body_bytes,
        cookies,
        gateway.closing,
        settings.import_bytes,
    )
    bindings = _bindings()
    document = openapi.document(bindings, settings.public_url)
    as_json, as_page = msgspec.json.encode(document), reference.page(document)
    as_yaml = _Once(lambda: yaml.dump(document, Dumper=_Plain, sort_keys=False).encode())

    async def healthz(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        ready = not gateway.closing.is_set() and await _control_serves(channel)
        return Response("ready\n" if ready else "not ready\n", 200 if ready else 503, media_type="text/plain")

    async def metrics(_: Request) -> Response:
        return Response(telemetry.metrics_page(), media_type=telemetry.METRICS_CONTENT_TYPE)

    async def openapi_json(_: Request) -> Response:
        return Response(as_json, media_type="application/json")

    async def openapi_yaml(_: Request) -> Response:
        return Response(await as_yaml.get(), media_type="application/yaml")

    async def docs(_: Request) -> Response:
        return Response(as_page, 200, {"Content-Security-Policy": reference.POLICY}, "text/html")

    gateway.app = Starlette(
        routes=[
            *transcode.routes(bindings, channel, limits),
            *CarrierWebhooks(settings, channel, identity).routes(),
            *SignIn(settings, channel, identity, cookies).routes(),
            Route("/docs", docs),
            Route("/openapi.json", openapi_json),
            Route("/openapi.yaml", openapi_yaml),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
        middleware=[
            Middleware(AccessLog),
            Middleware(SecurityHeaders, public_url=settings.public_url),
            Middleware(SameOrigin, public_url=settings.public_url, cookies=cookies),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _bug},
    )
    gateway.app.router.redirect_slashes = False  # a redirected POST loses its body, and the carrier its parameters
    return gateway


def _bindings() -> list[contract.Binding]:
    try:
        return contract.bindings()
    except Unsupported as error:
        raise SystemExit(f"hum: the contract can't be served as REST: {error}") from error


def _refuse_in_production(settings: GatewaySettings) -> None:
    """Plain http would expose cookies and ID tokens."""
    if settings.production and not settings.public_url.startswith("https://"):
        raise SystemExit("hum: HUM_PUBLIC_URL must be https in production; http exposes session cookies")
    if settings.production and settings.oidc_issuer and not settings.oidc_issuer.startswith("https://"):
        raise SystemExit("hum: HUM_OIDC_ISSUER must be https in production")
    if settings.oidc_issuer and not settings.oidc_client_id:
        raise SystemExit("hum: HUM_OIDC_ISSUER is set but HUM_OIDC_CLIENT_ID is not; set both")


class _Once:
    """A document that is slow to render: rendered once, on first use, off the event loop."""

    def __init__(self, write: Callable[[], bytes]) -> None:
        self._write, self._writing = write, asyncio.Lock()
        self._text: bytes | None = None

    async def get(self) -> bytes:
        async with self._writing:
            if self._text is None:
                self._text = await asyncio.to_thread(self._write)
        return self._text


class _Plain(yaml.SafeDumper):
    """YAML without anchors: an example that is shared in memory is written out each time."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class calls it
        return True


async def _control_serves(channel: aio.Channel) -> bool:
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    try:
        answer = await check(health_pb2.HealthCheckRequest(), timeout=READY_SECONDS)
    except aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "INVALID_REQUEST")
    return errors.answer(
        error.status_code, reason, error.detail, credentials.request_id(request), headers=error.headers or {}
    )


async def _bug(request: Request, error: Exception) -> Response:
    request_id = credentials.request_id(request)
    LOG.error("unhandled exception", path=request.url.path, request_id=request_id, exc_info=error)
    return errors.answer(500, "INTERNAL", f"Internal error; please quote {request_id} when you report it.", request_id)


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: `run` decides when it drains; then it begins at once, not at a tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self.should_exit = True
        self._stopping.set()

    async def main_loop(self) -> None:
        for tick in itertools.count():
            if await self.on_tick(tick):
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_SECONDS)

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


@asynccontextmanager
async def serve(settings: GatewaySettings) -> AsyncIterator[int]:
    """Serve on the gateway's socket; yields its port, and drains at the end."""
    listen = parse_listen(settings.gateway_listen)
    channel = rpc.channel(settings)
    gateway = build(settings, channel)
    config = uvicorn.Config(
        gateway.app,
        host=listen.host,
        port=listen.port,
        http="h11",
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=int(settings.drain_seconds),
        h11_max_incomplete_event_size=64 << 10,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(), name="http")
    while not server.started:
        if serving.done():
            await serving
            raise SystemExit(f"hum: the gateway can't listen on {listen}")
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        gateway.closing.set()
        server.stop()
        await serving
        await channel.close(None)


async def run(settings: GatewaySettings) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = stop_signal()
    async with serve(settings) as port:
        LOG.info("gateway is serving", port=port)
        await stop.wait()
        LOG.info("gateway is draining")


def main() -> None:
    settings = load(GatewaySettings)
    telemetry.start(settings, "gateway")
    uvloop.run(run(settings))


if __name__ == "__main__":
    main()
