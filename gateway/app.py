"""`hum gateway`: the composition root of this plane."""

import argparse
import asyncio
import gzip
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any

import msgspec
import uvloop
import yaml
from grpc import StatusCode, aio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import compression, contract, credentials, errors, openapi, pages, transcode
from gateway.admission import ClientAdmission
from gateway.auth import SignIn
from gateway.bodies import Bodies
from gateway.connectionlimit import ConnectionLimit
from gateway.console import STATIC, Console
from gateway.controlclient import RetryingClient
from gateway.csrf import SameOrigin
from gateway.guides.site import Guides
from gateway.hooks import TriggerHooks, redacted_path
from gateway.landing import Landing
from gateway.mcpserver.catalogue import Catalogue
from gateway.mcpserver.execution import Execution
from gateway.mcpserver.server import GatewayMcpServer
from gateway.middleware import AccessLog, SecurityHeaders
from gateway.reference import Reference
from gateway.requestlimit import RequestLimit
from gateway.retryqueue import RetryQueue
from gateway.server import ClientLimits, GatewayServer, HttpConnection, SlowReaders, limit_kernel_buffers
from gateway.stripe import StripeWebhook
from gateway.twilio import CarrierWebhooks
from hum import rpc
from hum.contract.errors import RequestRefused
from hum.json.values import Unsupported
from hum.observe import logs
from hum.process import descriptors, home, monitoring, production, program, sockets, watchdog
from hum.process.lifetime import Lifetime, when
from hum.process.signals import Signals
from hum.process.workers import WorkerSpec, supervise
from hum.refusal import refuse
from hum.settings import GatewaySettings
from hum.spool import acquire_spool
from hum.v1 import runtime_pb2, runtime_pb2_grpc

#: Seconds to wait for a response for which control asks the model.
CONTROL_MODEL_SECONDS = 60.0

LOG = logs.log(__name__)


@dataclass(slots=True)
class Gateway:
    """The application, whether it drains, and why it is not ready."""

    app: Starlette
    closing: asyncio.Event
    missing: monitoring.Ready
    webhooks: CarrierWebhooks
    mcp: GatewayMcpServer


@dataclass(frozen=True, slots=True)
class GatewayPorts:
    """The ports of a running gateway."""

    public: int
    metrics: int


def build(settings: GatewaySettings, channel: aio.Channel, carrier_channel: aio.Channel, slow: SlowReaders) -> Gateway:
    """Build the HTTP application over its channels to control; the carrier's webhooks have a channel of their own."""
    _require_consistent(settings)
    identity = rpc.NodeIdentity(home.node_key(settings), "gateway", logs.node_name(settings, "gateway"))
    closing = asyncio.Event()
    bodies = _bodies(settings)
    retry_queue = RetryQueue(acquire_spool(settings.postponed_dir, fsync=True), settings)
    webhooks = CarrierWebhooks(settings, carrier_channel, identity, retry_queue)

    async def missing() -> list[str]:
        if closing.is_set():
            return ["it is shutting down"]
        faults = [retry_queue.fault] if retry_queue.fault else []
        return faults + await _missing_at_control(channel, identity, settings)

    cookies = credentials.Cookies(settings.public_url)
    client = credentials.ClientCredentials(cookies, identity)
    admission = ClientAdmission(channel, client, settings.control_seconds)
    limits = _limits(settings, bodies, admission, client, closing)
    endpoints = transcode.endpoints(_bindings(), channel, limits)
    mcp = _mcp(settings, endpoints, bodies, admission)
    gateway, landing = Gateway(Starlette(), closing, missing, webhooks, mcp), Landing(settings, channel, client)
    stripe = StripeWebhook(channel, settings, RetryingClient(settings, identity))
    console_dir = settings.console_dir or STATIC
    console = Console.load(console_dir)
    is_ready = monitoring.cached_readiness(settings, missing)

    async def healthz(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def readyz(_: Request) -> Response:
        ready = not await is_ready()
        return Response("ready\n" if ready else "not ready\n", 200 if ready else 503, media_type="text/plain")

    gateway.app = Starlette(
        routes=[
            *webhooks.routes(),  # tried in order: most frequent first
            *transcode.routes(endpoints),
            *stripe.routes(),
            *TriggerHooks(settings, channel, identity, bodies).routes(),
            *SignIn(settings, channel, client).routes(),
            *mcp.routes(),
            *Reference(console_dir).routes(),
            *Guides(console_dir, settings.public_url).routes(),
            *pages.routes(),
            *_document_routes(settings.public_url),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            *(console or landing).routes(),
        ],
        middleware=_middleware(settings, cookies, lambda: _evict_body(bodies, stripe.bodies) or slow.evict_one()),
        exception_handlers={HTTPException: _http_error, RequestRefused: _refusal, Exception: _bug},
    )
    gateway.app.router.redirect_slashes = False  # a redirected POST loses its body
    return gateway


def _limits(
    settings: GatewaySettings,
    bodies: Bodies,
    admission: ClientAdmission,
    client: credentials.ClientCredentials,
    closing: asyncio.Event,
) -> transcode.EndpointLimits:
    return transcode.EndpointLimits(
        settings.control_seconds,
        CONTROL_MODEL_SECONDS,
        settings.heartbeat_seconds,
        bodies,
        client,
        admission,
        closing,
        settings.import_bytes,
    )


def _middleware(
    settings: GatewaySettings, cookies: credentials.Cookies, evict_one: Callable[[], bool]
) -> list[Middleware]:
    return [
        Middleware(AccessLog),
        Middleware(SecurityHeaders, public_url=settings.public_url),
        Middleware(
            RequestLimit,
            max_requests=settings.max_connections - settings.carrier_connections,
            max_of_address=settings.connections_per_address,
            proxies=settings.proxy_networks,
            evict_one=evict_one,
        ),
        Middleware(SameOrigin, public_url=settings.public_url, cookies=cookies),
    ]


def _bodies(settings: GatewaySettings) -> Bodies:
    return Bodies(
        settings.body_bytes,
        settings.bodies_bytes,
        settings.body_seconds,
        max_bytes_of_address=settings.bodies_bytes_per_address,
    )


def _evict_body(*readers: Bodies) -> bool:
    """Evict an incomplete body of the address with the most of them in a reader; return False if there is none."""
    return max(readers, key=lambda reader: reader.most_of_an_address).evict_one()


@cache
def _bindings() -> Sequence[contract.Binding]:
    """Return the bindings of the contract, shared by every gateway of a process."""
    try:
        return contract.bindings()
    except Unsupported as error:
        refuse(f"the contract can't be served as REST: {error}")


@lru_cache(maxsize=8)
def _document(public_url: str) -> dict[str, Any]:
    return openapi.document(_bindings(), public_url)


@lru_cache(maxsize=8)
def _as_json(public_url: str) -> bytes:
    return msgspec.json.encode(_document(public_url))


def _document_routes(public_url: str) -> list[Route]:
    """Return the routes of the OpenAPI document."""
    as_json = _as_json(public_url)
    as_gzip = _LazyDocument(lambda: gzip.compress(as_json, mtime=0))
    as_yaml = _LazyDocument(lambda: yaml.dump(_document(public_url), Dumper=_PlainDumper, sort_keys=False).encode())

    async def openapi_json(request: Request) -> Response:
        headers, body = {"Vary": "Accept-Encoding"}, as_json
        if compression.is_accepted(request.headers):
            headers["Content-Encoding"], body = "gzip", await as_gzip.get()
        return Response(body, 200, headers, "application/json")

    async def openapi_yaml(_: Request) -> Response:
        return Response(await as_yaml.get(), media_type="application/yaml")

    return [Route("/openapi.json", openapi_json), Route("/openapi.yaml", openapi_yaml)]


def _mcp(
    settings: GatewaySettings, endpoints: transcode.Endpoints, bodies: Bodies, admission: ClientAdmission
) -> GatewayMcpServer:
    catalogue = _catalogue(settings.public_url)
    execution = Execution(catalogue, endpoints, settings.mcp_server_result_bytes, settings.public_url)
    return GatewayMcpServer(catalogue, execution, bodies, admission, settings.public_url, openapi.VERSION)


@lru_cache(maxsize=8)
def _catalogue(public_url: str) -> Catalogue:
    return Catalogue(_bindings(), _document(public_url))


def _require_consistent(settings: GatewaySettings) -> None:
    """Exit if settings contradict one another or, in production, are weak."""
    production.require(settings)
    if settings.production and settings.oidc_issuer and not settings.oidc_issuer.startswith("https://"):
        refuse("HUM_OIDC_ISSUER must be https in production")
    if settings.carrier_connections >= settings.max_connections:
        refuse("carrier_connections must be less than max_connections, which includes them")
    if settings.bodies_bytes_per_address < max(settings.body_bytes, settings.import_bytes):
        refuse("bodies_bytes_per_address must be at least body_bytes and import_bytes, or such bodies never pass")
    if settings.oidc_issuer and not settings.oidc_client_id:
        refuse("HUM_OIDC_ISSUER is set but HUM_OIDC_CLIENT_ID is not; set both")


class _LazyDocument:
    """A document that is slow to render: rendered once, on first use, off the event loop."""

    def __init__(self, render: Callable[[], bytes]) -> None:
        self._render, self._lock = render, asyncio.Lock()
        self._text: bytes | None = None

    async def get(self) -> bytes:
        async with self._lock:
            if self._text is None:
                self._text = await asyncio.to_thread(self._render)
        return self._text


class _PlainDumper(yaml.SafeDumper):
    """YAML without anchors: an example that is shared in memory is written out each time."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class calls it
        return True


async def _missing_at_control(channel: aio.Channel, identity: rpc.NodeIdentity, settings: GatewaySettings) -> list[str]:
    """Ask control whether it can answer this gateway; return the reason it can't, or nothing."""
    check = runtime_pb2_grpc.IngressServiceStub(channel).CheckReady
    try:
        await check(runtime_pb2.CheckReadyRequest(), timeout=settings.ready_seconds, metadata=(identity.metadata(),))
    except aio.AioRpcError as error:
        if error.code() is StatusCode.PERMISSION_DENIED:
            return ["control does not accept this gateway; set HUM_NODE_KEY to the same value on every plane"]
        return [f"control can't answer ({error.code().name}): {(error.details() or '').partition(chr(10))[0][:200]}"]
    return []


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    reason = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED"}.get(error.status_code, "INVALID_REQUEST")
    return errors.answer(
        error.status_code, reason, error.detail, credentials.request_id(request), headers=error.headers or {}
    )


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestRefused)
    return errors.refusal_of(error, credentials.request_id(request))


async def _bug(request: Request, error: Exception) -> Response:
    request_id = credentials.request_id(request)
    LOG.error("unhandled exception", path=redacted_path(request.url.path), request_id=request_id, exc_info=error)
    return errors.answer(500, "INTERNAL", f"Internal error; please quote {request_id} when you report it.", request_id)


def _connections(settings: GatewaySettings, slow_readers: SlowReaders) -> Any:
    """Return the factory of uvicorn's connections.  Exits if they could exceed the process's limit of open files."""
    if (max_files := descriptors.raise_limit()) < settings.max_connections + descriptors.OF_A_GATEWAY:
        refuse(
            f"max_connections={settings.max_connections} exceeds the limit of {max_files} open files less {descriptors.OF_A_GATEWAY} "
            "for other uses; raise the limit (ulimit -Hn, LimitNOFILE)"
        )
    connection_limit = ConnectionLimit[HttpConnection](settings.max_connections, settings.connections_per_address)
    # Read the rest of a file that is somewhat too large, so that its sender gets to read the refusal.
    rest_bytes = 2 * max(settings.body_bytes, settings.import_bytes)
    client_limits = ClientLimits(settings.head_seconds, settings.send_seconds, rest_bytes)
    return partial(HttpConnection, connection_limit, slow_readers, client_limits, settings.proxy_networks)


@asynccontextmanager
async def serve(
    settings: GatewaySettings, *, shared_port: bool = False, signals: Signals | None = None
) -> AsyncIterator[GatewayPorts]:
    """Serve on the gateway's sockets and yield their ports; drain at the end, which `signals.end_now` cuts short.

    With `shared_port` other processes may listen on the same public port.
    """
    listening = sockets.listening_socket(settings.gateway_listen, "HUM_GATEWAY_LISTEN", shared=shared_port)
    limit_kernel_buffers(listening)
    channel, carrier_channel = rpc.channel(settings), rpc.channel(settings)
    slow_readers = SlowReaders()
    gateway, connections = build(settings, channel, carrier_channel, slow_readers), _connections(settings, slow_readers)
    drain_signal, end_signal = (signals.drain, signals.end_now) if signals else (None, None)
    async with monitoring.serve(settings, gateway.missing, drain_signal) as metrics_port, gateway.mcp.serve():
        server = GatewayServer(
            gateway.app, connections, drain_seconds=settings.drain_seconds, linger_seconds=settings.linger_seconds
        )
        background = (
            asyncio.create_task(gateway.webhooks.deliver_queued(), name="postponed webhooks"),
            asyncio.create_task(rpc.keep_open(channel, connects=False), name="open channel"),
            # The carrier's webhooks wait for control.
            asyncio.create_task(rpc.keep_open(carrier_channel, connects=True), name="carrier's open channel"),
        )
        serving = asyncio.create_task(server.serve([listening]), name="http")
        while not server.started:
            if serving.done():
                await serving
                refuse("the gateway ended before it served")
            await asyncio.sleep(0.01)
        try:
            yield GatewayPorts(listening.getsockname()[1], metrics_port)
        finally:
            gateway.closing.set()
            server.stop()
            async with when(end_signal, server.end_now):
                await serving
            delivered = asyncio.create_task(
                gateway.webhooks.wait_until_delivered(), name="the rest of the postponed webhooks"
            )
            async with when(end_signal, delivered.cancel):
                await asyncio.wait({delivered})
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await channel.close(None)
            await carrier_channel.close(None)


async def run(settings: GatewaySettings, *, worker: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; a worker also stops when its supervisor is gone."""
    lifetime = Lifetime(settings, tied=worker)
    async with (
        watchdog.watch_loop(settings.stuck_seconds),
        serve(settings, shared_port=worker, signals=lifetime.signals) as ports,
    ):
        LOG.info("gateway is serving", port=ports.public)
        lifetime.report_ready()
        await lifetime.wait_for_shutdown()
        LOG.info("gateway is draining")


def main() -> None:
    parser = argparse.ArgumentParser(prog="hum gateway", description="The gateway.")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that share the port; unset: HUM_GATEWAY_WORKERS"
    )
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    settings = program.plane(GatewaySettings, "gateway")
    count = arguments.workers or settings.gateway_workers
    if count > 1 and not arguments.worker:
        listen, seconds = settings.gateway_listen, settings.drain_seconds
        spec = WorkerSpec("gateway", "gateway.app", "HUM_GATEWAY_LISTEN", listen, seconds)
        sys.exit(uvloop.run(supervise(settings, spec, count)))
    uvloop.run(run(settings, worker=arguments.worker))


if __name__ == "__main__":
    main()
