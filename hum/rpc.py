"""gRPC between planes: channels, node identities and metadata names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc import aio
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from hum.clock import now
from hum.settings import Common

# Metadata names.
CREDENTIAL = "authorization"  # `Bearer <API key>`, `Session <token>`, or `Node <identity>`
REQUEST_ID = "x-request-id"
IDEMPOTENCY_KEY = "idempotency-key"
REPLAYED = "idempotent-replayed"
STREAM = "hum-stream"  # initial metadata of a stream: `open`, or `over` when no event will follow
RATE_PREFIX = "ratelimit-"  # trailing metadata: `limit`, `remaining`, `reset` (seconds), under this prefix
RETRY_AFTER = "retry-after"  # trailing metadata of a refusal that is worth retrying: after how many seconds
HTTP_PREFIX = "hum-http-"  # initial metadata of a file: the HTTP `status` and headers, under this prefix
ERROR_DOMAIN = "hum"

NODE_TOKEN_SECONDS = 60
NODE_SCHEME = "Node "
BEARER_SCHEME = "Bearer "
SESSION_SCHEME = "Session "

_OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_send_message_length", 16 << 20),
    # Detects a peer that vanished silently within half a minute.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # On the server's side: don't reject those pings.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 5_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


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

    def metadata(self) -> tuple[str, str]:
        claims = {"plane": self.node.plane, "node": self.node.name, "exp": int(now().timestamp()) + NODE_TOKEN_SECONDS}
        return CREDENTIAL, NODE_SCHEME + jwt.encode({"alg": "HS256"}, claims, self._key)


def verify_node(key: bytes, token: str) -> Node | None:
    """The node that issued the token; None if it is invalid or expired."""
    try:
        claims = jwt.decode(token, OctKey.import_key(key), algorithms=["HS256"]).claims
    except (JoseError, ValueError):
        return None
    plane, name, expires = claims.get("plane"), claims.get("node"), claims.get("exp")
    if not isinstance(plane, str) or not isinstance(name, str) or not isinstance(expires, int):
        return None
    return Node(plane, name) if expires > now().timestamp() else None


def channel(settings: Common) -> aio.Channel:
    """A channel to control."""
    if settings.tls_ca is None:
        return aio.insecure_channel(settings.control_address, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(
        _read(settings.tls_ca), _read(settings.tls_key), _read(settings.tls_cert)
    )
    return aio.secure_channel(settings.control_address, credentials, options=_OPTIONS)


def server(
    settings: Common, listen: str, interceptors: Sequence[aio.ServerInterceptor] = (), *, shared: bool = False
) -> tuple[aio.Server, int]:
    """A server and its port; TLS if a certificate is set, client certificates required if an authority is set.

    `shared`: other servers may listen on the same port, if all say so.
    """
    made = aio.server(interceptors=interceptors, options=[*_OPTIONS, ("grpc.so_reuseport", int(shared))])
    if settings.tls_cert is None or settings.tls_key is None:
        return made, made.add_insecure_port(listen)
    pair = (settings.tls_key.read_bytes(), settings.tls_cert.read_bytes())
    authority = _read(settings.tls_ca)
    credentials = grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)
    return made, made.add_secure_port(listen, credentials)


def _read(path: Path | None) -> bytes | None:
    return path.read_bytes() if path else None
