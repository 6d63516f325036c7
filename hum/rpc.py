"""gRPC between planes: channels, node identities and metadata names."""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import grpc
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from hum.clock import monotonic_ms, now
from hum.network import limit_key, parse_listen
from hum.process.sockets import refuse_address
from hum.settings import Common

# Metadata names.
#: `Bearer <API key>`, `Session <token>`, or `Node <identity>`.
CREDENTIAL = "authorization"
CLIENT_ADDRESS = "hum-client-address"  # trusted only from a gateway
#: The gateway's node identity, if `authorization` is the client's own.
GATEWAY = "hum-gateway"
#: The zone of a gateway that forwards the carrier's webhooks.
ZONE = "hum-zone"
REQUEST_ID = "x-request-id"
IDEMPOTENCY_KEY = "idempotency-key"
#: The organization in which the client believes its credential works.
ORGANIZATION = "hum-organization"
REPLAYED = "idempotent-replayed"
#: Initial metadata of a stream: `open`, or `over` if no event will follow.
STREAM = "hum-stream"
#: Prefix of trailing metadata: `limit`, `remaining`, `reset` (seconds).
RATE_PREFIX = "ratelimit-"
#: Trailing metadata of a refusal that is worth a retry: the seconds to wait.
RETRY_AFTER = "retry-after"
#: Prefix of initial metadata of a file: the HTTP `status` and headers.
HTTP_PREFIX = "hum-http-"
ERROR_DOMAIN = "hum"
#: Reason of a refusal with code UNAVAILABLE: control stored the request, but the process that has the call did not confirm it.
NOT_CONFIRMED = "NOT_CONFIRMED"
#: Facts of an `UNAVAILABLE` that is about the request, not about control: it met the time limit of statements.
TIME_LIMIT = {"cause": "time_limit"}

NODE_TOKEN_SECONDS = 60
REUSE_MS = 20_000.0  # of a token
NODE_CLOCKS_SECONDS = 10  # tolerated clock skew between machines
NODE_SCHEME = "Node "
BEARER_SCHEME = "Bearer "
SESSION_SCHEME = "Session "

MAX_ZONE_CHARS = 60
MAX_MESSAGE_BYTES = 16 << 20
#: Streams of one connection; a gateway has at most `max_connections` requests.
MOST_STREAMS = 1_000
#: Requests of all connections that wait until Python takes them.  Beyond, gRPC cancels new requests of any connection: with a low limit,
#: a client that resets streams as fast as it opens them would have other clients' requests cancelled.
MOST_WAITING = 10 * MOST_STREAMS
#: Connections of a port, the planes' among them; beyond, new ones are closed, so that descriptors are left for the database.  Open ones
#: stay; the planes' channels are kept open, as one that was closed could not connect again: the gateway's by `keep_open`, media's by its link.
MOST_CONNECTIONS = 2_000
#: How long a new connection has until TLS and HTTP/2 are agreed; gRPC's own two minutes let strangers hold descriptors for nothing.
HANDSHAKE_MS = 5_000
#: How long a connection may have no request; its client connects again for the next one.  A stream is a request until it ends.
IDLE_MS = 300_000
#: Seconds between the requests of `keep_open`, and the time limit of each.
KEEP_OPEN_SECONDS = 30.0
#: The factor by which a peer's keepalives may be more frequent than agreed: timers and networks are not exact.
EARLY_PINGS = 4

#: gRPC's channel arguments (`grpc/impl/channel_arg_names.h`); gRPC ignores unknown names.
Options = Sequence[tuple[str, int | str]]
Outcome = TypeVar("Outcome")


def client_options(settings: Common) -> Options:
    """Return the options of a channel."""
    return (
        *_shared_options(settings),
        # A connection per channel, so that traffic on one channel delays no other.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 100),
        # Short, as a caller may wait while control restarts.
        ("grpc.max_reconnect_backoff_ms", 500),
    )


def server_options(settings: Common, *, shared: bool = False) -> Options:
    """Return the options of a server, which tolerates the keepalives of `client_options`, on idle channels too.

    `shared`: other servers may listen on the same port.
    """
    return (
        *_shared_options(settings),
        ("grpc.http2.min_ping_interval_without_data_ms", max(1, _ms(settings.keepalive_seconds) // EARLY_PINGS)),
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_concurrent_streams", MOST_STREAMS),
        # Each stream has HTTP/2's 64 KiB until its message is read.  What gRPC would give instead after a measurement of the connection,
        # some megabytes, strangers have as well.
        ("grpc.http2.bdp_probe", 0),
        ("grpc.max_allowed_incoming_connections", MOST_CONNECTIONS),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_MS),
        ("grpc.max_connection_idle_ms", IDLE_MS),
        # A stream that was reset counts until it is freed.
        ("grpc.http.overload_protection", 1),
        ("grpc.server.max_pending_requests", MOST_WAITING),
        ("grpc.server.max_pending_requests_hard_limit", 2 * MOST_WAITING),
    )


def _shared_options(settings: Common) -> Options:
    return (
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # Together these detect a peer that vanished silently.
        ("grpc.keepalive_time_ms", _ms(settings.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", _ms(settings.keepalive_timeout_seconds)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),  # no limit
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass(frozen=True, slots=True)
class Node:
    """Another plane of this deployment."""

    plane: str
    name: str


class NodeIdentity:
    """The identity of this process: a token valid for a minute (RFC 7519, HS256 under the deployment's node key)."""

    def __init__(self, key: bytes, plane: str, name: str) -> None:
        self._key = OctKey.import_key(key)
        self.node = Node(plane, name)
        self._token, self._token_made_ms = "", -math.inf

    def vouching_metadata(self, address: str) -> tuple[tuple[str, str], ...]:
        """Return metadata that vouches for a client's address, next to the client's own credential."""
        return (CLIENT_ADDRESS, address), (GATEWAY, self._current_token())

    def metadata(self) -> tuple[str, str]:
        return CREDENTIAL, NODE_SCHEME + self._current_token()

    def _current_token(self) -> str:
        """Return a token that stays valid for a while: making one costs more than most requests."""
        if self._token_made_ms + REUSE_MS < monotonic_ms():
            self._token, self._token_made_ms = self._new_token(), monotonic_ms()
        return self._token

    def _new_token(self) -> str:
        issued_at = int(now().timestamp())
        claims = {
            "plane": self.node.plane,
            "node": self.node.name,
            "iat": issued_at,
            "exp": issued_at + NODE_TOKEN_SECONDS,
        }
        return jwt.encode({"alg": "HS256"}, claims, self._key)


def verify_node(key: bytes, token: str) -> Node | None:
    """Return the node that issued the token; None if it is invalid, expired, or valid for longer than a minute."""
    verified = _issued(key, token)
    if verified is None:
        return None
    node, issued_at, expires = verified
    seconds = now().timestamp()
    return node if issued_at - NODE_CLOCKS_SECONDS <= seconds < expires else None


@lru_cache(maxsize=256)
def _issued(key: bytes, token: str) -> tuple[Node, int, int] | None:
    """Return the node that signed a token, and the token's period.

    Cached, as a process reuses its token for a while.
    """
    try:
        claims = jwt.decode(token, OctKey.import_key(key), algorithms=["HS256"]).claims
    # The library raises TypeError for a header of an unexpected shape.
    except (JoseError, ValueError, TypeError):
        return None
    plane, name, issued_at, expires = (claims.get(claim) for claim in ("plane", "node", "iat", "exp"))
    if not isinstance(plane, str) or not isinstance(name, str):
        return None
    if not isinstance(issued_at, int) or not isinstance(expires, int) or expires - issued_at > NODE_TOKEN_SECONDS:
        return None
    return Node(plane, name), issued_at, expires


def host_of(peer: str) -> str:
    """Return the key by which limits count a gRPC peer: `ipv4:10.0.0.1:50123`, `ipv6:%5B::1%5D:50123`, `unix:path`."""
    kind, _, address = unquote(peer).partition(":")
    return limit_key(address.rpartition(":")[0]) if kind in {"ipv4", "ipv6"} else peer


def channel(settings: Common, address: str = "") -> aio.Channel:
    """Open a channel to control, or to one of its processes by its address; all have the same certificate."""
    options = client_options(settings)
    if settings.tls_ca is None:
        return aio.insecure_channel(address or settings.control_address, options=options)
    if address:
        host = parse_listen(settings.control_address).host
        options = (*options, ("grpc.ssl_target_name_override", host), ("grpc.default_authority", host))
    credentials = grpc.ssl_channel_credentials(
        _read(settings.tls_ca), _read(settings.tls_key), _read(settings.tls_cert)
    )
    return aio.secure_channel(address or settings.control_address, credentials, options=options)


async def keep_open(channel: aio.Channel, *, connects: bool) -> None:
    """Ask for control's health over a channel now and then, until cancelled, so that control does not close it as idle.

    `connects`: connect it too, at the beginning and whenever it is lost.  Otherwise that is left to the channel's next request, which
    would fail in the back-off of an attempt that was made while control was unavailable, unless it waits for control.
    """
    stub: Any = health_pb2_grpc.HealthStub(channel)  # its types know no method
    while True:
        if connects or channel.get_state() is grpc.ChannelConnectivity.READY:
            with suppress(aio.AioRpcError):
                await stub.Check(health_pb2.HealthCheckRequest(), timeout=KEEP_OPEN_SECONDS, wait_for_ready=connects)
        await asyncio.sleep(KEEP_OPEN_SECONDS)


def server(
    settings: Common, listen: str, interceptors: Sequence[aio.ServerInterceptor] = (), *, shared: bool = False
) -> tuple[aio.Server, int]:
    """Return a server and its port; TLS if a certificate is set, client certificates required if an authority is set.

    `shared`: other servers may listen on the same port, if all set it.
    """
    new_server = aio.server(interceptors=interceptors, options=server_options(settings, shared=shared))
    return new_server, bind(new_server, settings, listen)


def bind(server: aio.Server, settings: Common, listen: str) -> int:
    """Bind a server to an address; return the port."""
    credentials = None
    if settings.tls_cert is not None and settings.tls_key is not None:
        pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
        authority = _read(settings.tls_ca)
        credentials = grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)
    try:
        return server.add_secure_port(listen, credentials) if credentials else server.add_insecure_port(listen)
    except RuntimeError:  # gRPC has logged the reason
        refuse_address(listen, "HUM_CONTROL_LISTEN", "gRPC can't bind it")


async def run_to_completion(work: Coroutine[Any, Any, Outcome]) -> Outcome:
    """Run work to its end and return its result, even if this task is cancelled meanwhile; then raise CancelledError.

    A stream, for example, may be cancelled twice when its client is gone: reading or writing raises CancelledError, and a moment
    later grpc cancels its task.
    """
    task, is_cancelled = asyncio.create_task(work), False
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        raise asyncio.CancelledError
    return task.result()


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path else None
