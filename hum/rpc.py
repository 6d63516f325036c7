"""gRPC between planes: channels, node identities and metadata names."""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

import grpc
from grpc import aio
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from hum.clock import monotonic_ms, now
from hum.network import counted, parse_listen
from hum.settings import Common
from hum.sockets import refuse_address

# Metadata names.
CREDENTIAL = "authorization"  # `Bearer <API key>`, `Session <token>`, or `Node <identity>`
CLIENT_ADDRESS = "hum-client-address"  # the client's address; trusted only with a gateway's node identity
GATEWAY = "hum-gateway"  # that identity, when `authorization` is the client's own
ZONE = "hum-zone"  # of a gateway that asks for the carrier: where it is
REQUEST_ID = "x-request-id"
IDEMPOTENCY_KEY = "idempotency-key"
ORGANIZATION = "hum-organization"  # the one that the client believes its credential to work in
REPLAYED = "idempotent-replayed"
STREAM = "hum-stream"  # initial metadata of a stream: `open`, or `over` when no event will follow
RATE_PREFIX = "ratelimit-"  # trailing metadata: `limit`, `remaining`, `reset` (seconds), under this prefix
RETRY_AFTER = "retry-after"  # trailing metadata of a refusal that is worth retrying: after how many seconds
HTTP_PREFIX = "hum-http-"  # initial metadata of a file: the HTTP `status` and headers, under this prefix
ERROR_DOMAIN = "hum"

NODE_TOKEN_SECONDS = 60
REUSE_MS = 20_000.0  # how long a token is reused
NODE_CLOCKS_SECONDS = 10  # tolerated clock skew between machines
NODE_SCHEME = "Node "
BEARER_SCHEME = "Bearer "
SESSION_SCHEME = "Session "

MAX_ZONE_CHARS = 60
MAX_MESSAGE_BYTES = 16 << 20
#: Of one connection; a gateway has HUM_MAX_CONNECTIONS requests at most.
MOST_STREAMS = 1_000
#: How much sooner than agreed a peer's keepalive may come: timers and networks are not exact.
EARLY_PINGS = 4

#: Names and values that gRPC knows (`grpc/impl/channel_arg_names.h`); a name that it doesn't know it ignores.
Options = Sequence[tuple[str, int | str]]


def client_options(settings: Common) -> Options:
    """What a channel is opened with."""
    return (
        *_either_side(settings),
        ("grpc.use_local_subchannel_pool", 1),  # a connection of its own: what one channel is sent delays no other's
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 500),  # a restart is noticed while a caller waits
    )


def server_options(settings: Common, *, shared: bool = False) -> Options:
    """What a server listens with; it tolerates the keepalives of `client_options`, on quiet channels too.

    `shared`: other servers may listen on the same port.
    """
    return (
        *_either_side(settings),
        ("grpc.http2.min_ping_interval_without_data_ms", max(1, _ms(settings.keepalive_seconds) // EARLY_PINGS)),
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_concurrent_streams", MOST_STREAMS),
    )


def _either_side(settings: Common) -> Options:
    return (
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # Detects a peer that vanished silently, after both.
        ("grpc.keepalive_time_ms", _ms(settings.keepalive_seconds)),
        ("grpc.keepalive_timeout_ms", _ms(settings.keepalive_timeout_seconds)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),  # as many as it takes
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


@dataclass(frozen=True, slots=True)
class Node:
    """Another plane of this deployment."""

    plane: str
    name: str


class NodeIdentity:
    """Identifies this process, with a token valid for a minute (RFC 7519, HS256 under the deployment's node key)."""

    def __init__(self, key: bytes, plane: str, name: str) -> None:
        self._key = OctKey.import_key(key)
        self.node = Node(plane, name)
        self._token, self._made_ms = "", -math.inf

    def vouching(self, address: str) -> tuple[tuple[str, str], ...]:
        """Metadata that names a client's address, next to the client's own credential."""
        return (CLIENT_ADDRESS, address), (GATEWAY, self._current())

    def metadata(self) -> tuple[str, str]:
        return CREDENTIAL, NODE_SCHEME + self._current()

    def _current(self) -> str:
        """A token that is valid for a while still: making one costs more than most requests."""
        if self._made_ms + REUSE_MS < monotonic_ms():
            self._token, self._made_ms = self._make(), monotonic_ms()
        return self._token

    def _make(self) -> str:
        made = int(now().timestamp())
        claims = {
            "plane": self.node.plane,
            "node": self.node.name,
            "iat": made,
            "exp": made + NODE_TOKEN_SECONDS,
        }
        return jwt.encode({"alg": "HS256"}, claims, self._key)


def verify_node(key: bytes, token: str) -> Node | None:
    """The node that issued the token; None if it is invalid, expired, or valid for longer than a minute."""
    issued = _issued(key, token)
    if issued is None:
        return None
    node, made, expires = issued
    seconds = now().timestamp()
    return node if made - NODE_CLOCKS_SECONDS <= seconds < expires else None


@lru_cache(maxsize=256)
def _issued(key: bytes, token: str) -> tuple[Node, int, int] | None:
    """Who signed a token, and from when to when it holds.  Remembered: a process sends the same one for a while."""
    try:
        claims = jwt.decode(token, OctKey.import_key(key), algorithms=["HS256"]).claims
    except (
        JoseError,
        ValueError,
        TypeError,
    ):  # a TypeError of the library: a header that has another shape than it reads
        return None
    plane, name, made, expires = (claims.get(each) for each in ("plane", "node", "iat", "exp"))
    if not isinstance(plane, str) or not isinstance(name, str):
        return None
    if not isinstance(made, int) or not isinstance(expires, int) or expires - made > NODE_TOKEN_SECONDS:
        return None
    return Node(plane, name), made, expires


def host_of(peer: str) -> str:
    """What limits count a peer by that gRPC names: `ipv4:10.0.0.1:50123`, `ipv6:%5B::1%5D:50123`, `unix:path`."""
    kind, _, address = unquote(peer).partition(":")
    return counted(address.rpartition(":")[0]) if kind in {"ipv4", "ipv6"} else peer


def channel(settings: Common, address: str = "") -> aio.Channel:
    """A channel to control, or to one of its processes by its own address; their certificate is the same."""
    options = client_options(settings)
    if settings.tls_ca is None:
        return aio.insecure_channel(address or settings.control_address, options=options)
    if address:
        named = parse_listen(settings.control_address).host
        options = (*options, ("grpc.ssl_target_name_override", named), ("grpc.default_authority", named))
    credentials = grpc.ssl_channel_credentials(
        _read(settings.tls_ca), _read(settings.tls_key), _read(settings.tls_cert)
    )
    return aio.secure_channel(address or settings.control_address, credentials, options=options)


def server(
    settings: Common, listen: str, interceptors: Sequence[aio.ServerInterceptor] = (), *, shared: bool = False
) -> tuple[aio.Server, int]:
    """A server and its port; TLS if a certificate is set, client certificates required if an authority is set.

    `shared`: other servers may listen on the same port, if all say so.
    """
    made = aio.server(interceptors=interceptors, options=server_options(settings, shared=shared))
    return made, bind(made, settings, listen)


def bind(made: aio.Server, settings: Common, listen: str) -> int:
    """Let a server listen there, too; return the port."""
    credentials = None
    if settings.tls_cert is not None and settings.tls_key is not None:
        pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
        authority = _read(settings.tls_ca)
        credentials = grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)
    try:
        return made.add_secure_port(listen, credentials) if credentials else made.add_insecure_port(listen)
    except RuntimeError:  # gRPC has told why, in the line before
        refuse_address(listen, "HUM_CONTROL_LISTEN", "gRPC can't bind it")


async def to_its_end(work: Coroutine[None, None, None]) -> None:
    """Do what a stream owes when it ends, although it is cancelled meanwhile; and raise CancelledError then.

    A stream may learn twice that its client is gone: reading or writing raises CancelledError, and a moment later grpc
    cancels its task.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path else None
