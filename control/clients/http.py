"""The HTTP client for customers' URLs: webhooks, CRM connectors, HTTP tools, MCP servers.  Nothing else may fetch them.

It is guarded against SSRF by `control/base/egress.py`: it resolves a host once, checks every address, connects to one
of those, and checks the address again when it creates the socket.  It follows no redirects and uses no proxies, cookies
or netrc.  The bytes and seconds of an answer are bounded, and each organization has a share of the connections.

Names are resolved in threads of their own (`control/clients/hostlookups.py`): a customer's name server that never
answers delays neither the database's nor the carrier's look-ups, nor those of other organizations.
"""

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any
from uuid import UUID

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from control.base import egress
from control.base.egress import METHODS, EgressError, EgressTarget, Policy, Reason
from control.clients.hostlookups import HostLookup, HostLookups, system_lookup
from control.clients.shares import Shares
from hum import publicaddress
from hum.clock import monotonic_ms
from hum.publicaddress import Address
from hum.settings import EgressSettings

#: Connections to customers' URLs of this process at once.
EGRESS_CONNECTIONS = 512
#: Requests of one organization to these at once; more wait.
EGRESS_ORGANIZATION_REQUESTS = 128
#: Of these, to one host and port, which many organizations may use.
EGRESS_HOST_REQUESTS = 64

USER_AGENT = "hum/0.1"
GZIP = 16 + zlib.MAX_WBITS
READ_BYTES = 16 << 10
#: The organization of the request for which aiohttp resolves a host; None: the deployment.
_ORGANIZATION: ContextVar[UUID | None] = ContextVar("organization", default=None)


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of one answer, and of concurrent requests."""

    #: From the look-up to the last byte; a request may set less.
    total_seconds: float = 30.0
    #: Waiting for a free connection, look-up, TCP and TLS.
    connect_seconds: float = 5.0
    response_bytes: int = 256 << 10  # of the body, decompressed; a request may set another limit
    header_bytes: int = 8 << 10  # of one header
    headers: int = 64
    connections: int = 100  # in all
    organization_requests: int = 25  # in flight
    host_requests: int = 8  # of these, to one host and port
    lookups: int = 64  # in flight; more are queued
    organization_lookups: int = 4  # of these


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An answer, of any status."""

    status: int
    #: By lower-case name; the values of a repeated header are joined by ", ".
    headers: Mapping[str, str]
    body: bytes
    truncated: bool  # the body was longer
    elapsed_ms: float


@cache
def system_trust() -> ssl.SSLContext:
    """Return a TLS context with the system's trusted certificates: hundreds, read once."""
    return ssl.create_default_context()


class GuardedClient:
    """The client of one process, opened inside its event loop; `close` it."""

    def __init__(
        self,
        policy: Policy,
        limits: HttpLimits | None = None,
        *,
        lookup: HostLookup = system_lookup,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy, self._limits = policy, limits or HttpLimits()
        self._shares = Shares[UUID](self._limits.organization_requests)
        self._host_shares = Shares[tuple[UUID | None, str, int]](self._limits.host_requests)
        self._lookups = HostLookups(
            lookup, self._limits.lookups, self._limits.organization_lookups, self._limits.connect_seconds
        )
        self._tls = tls or system_trust()
        self._sessions = {scheme: self._session(scheme) for scheme in ("https", "http")}

    @classmethod
    def open(cls, settings: EgressSettings) -> "GuardedClient":
        limits = HttpLimits(
            connections=EGRESS_CONNECTIONS,
            organization_requests=EGRESS_ORGANIZATION_REQUESTS,
            host_requests=EGRESS_HOST_REQUESTS,
        )
        return cls(Policy(settings.egress_networks), limits)

    async def close(self) -> None:
        for session in self._sessions.values():
            await session.close()
        await self._lookups.close()

    async def request(
        self,
        method: str,
        url: str,
        *,
        org: UUID | None,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: bytes = b"",
        total_seconds: float = 15.0,
        response_bytes: int | None = None,
        truncate: bool = False,
    ) -> HttpAnswer:
        """Send a request for an organization, or for the deployment (`org` None), and read the answer.  Raises EgressError.

        A body beyond `response_bytes` is an error; with `truncate`, its beginning is returned.
        """
        target = self._checked(method, url, headers)
        limits, began_ms = self._limits, monotonic_ms()
        seconds = min(total_seconds, limits.total_seconds)
        limit = response_bytes or limits.response_bytes
        try:
            async with asyncio.timeout(seconds):
                release = await self._acquire(org, target)
                try:
                    reader = _LimitedBody(limit, truncate)
                    with _resolving_for(org):
                        return await self._exchange(method, target, headers, body, reader, began_ms)
                finally:
                    release()
        except EgressError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _egress_error(error) from error

    async def open_stream(
        self,
        method: str,
        url: str,
        *,
        org: UUID,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: bytes = b"",
        seconds: float = 15.0,
        most_bytes: int = 1 << 20,
        total_seconds: float | None = None,
    ) -> "StreamedAnswer":
        """Send a request for an organization and return its answer as a stream, to be closed.  Raises EgressError.

        The answer must begin within `seconds`, end within `total_seconds`, if set, and not exceed `most_bytes`.
        """
        target = self._checked(method, url, headers)
        began_ms = monotonic_ms()
        try:
            async with asyncio.timeout(seconds):
                with _resolving_for(org), ExitStack() as slots:
                    slots.callback(await self._acquire(org, target))
                    answer = await self._sessions[target.scheme].request(
                        method,
                        target.url,
                        headers={**headers, "Accept-Encoding": "identity"},
                        data=body or None,
                        allow_redirects=False,
                    )
                    release = slots.pop_all().close
        except EgressError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _egress_error(error) from error
        until_ms = None if total_seconds is None else began_ms + total_seconds * 1000
        if answer.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
            answer.close()
            release()
            raise EgressError(Reason.PROTOCOL, "The answer has a content encoding that the request did not accept.")
        return StreamedAnswer(answer, most_bytes, until_ms, release)

    async def _acquire(self, org: UUID | None, target: EgressTarget) -> Callable[[], None]:
        """Acquire a slot of the host, then of the organization, so that a wait for a slow host holds none; return the
        release.
        """
        seconds = self._limits.connect_seconds
        with ExitStack() as slots:
            slots.callback(await self._host_shares.acquire((org, target.host, target.port), seconds))
            if org is not None:
                slots.callback(await self._shares.acquire(org, seconds))
            return slots.pop_all().close

    def _checked(self, method: str, url: str, headers: Mapping[str, str]) -> EgressTarget:
        if method not in METHODS:
            raise EgressError(Reason.INVALID, f"The method {method[:20]} is not allowed.")
        target = egress.parse_url(url)
        egress.check_headers(headers)
        if target.address is not None:  # aiohttp does not resolve literals
            _require(self._policy, target.scheme, target.port, [target.address])
        return target

    async def _exchange(
        self,
        method: str,
        target: EgressTarget,
        headers: Mapping[str, str],
        body: bytes,
        reader: "_LimitedBody",
        began_ms: float,
    ) -> HttpAnswer:
        session = self._sessions[target.scheme]
        async with session.request(
            method, target.url, headers=headers, data=body or None, allow_redirects=False
        ) as answer:
            answer_headers = {
                _unicode(name).lower(): _unicode(", ".join(answer.headers.getall(name))) for name in answer.headers
            }
            reader.begin(answer_headers.get("content-encoding", ""))
            async for part in answer.content.iter_chunked(READ_BYTES):
                if reader.is_full(part):
                    answer.close()  # the connection too: its body is unread
                    break
            return HttpAnswer(answer.status, answer_headers, reader.end(), reader.truncated, monotonic_ms() - began_ms)

    def _session(self, scheme: str) -> aiohttp.ClientSession:
        limits = self._limits
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self._policy, scheme, self._lookups),
            use_dns_cache=False,
            ssl=self._tls,
            limit=limits.connections,
            socket_factory=_SocketFactory(self._policy, scheme),
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect_seconds),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
            auto_decompress=False,
            trust_env=False,
            max_line_size=limits.header_bytes,
            max_field_size=limits.header_bytes,
            max_headers=limits.headers,
        )


class StreamedAnswer:
    """An answer with a streamed body, within its limits."""

    def __init__(
        self, answer: aiohttp.ClientResponse, most_bytes: int, until_ms: float | None, release: Callable[[], None]
    ) -> None:
        self.status = answer.status
        self.headers: Sequence[tuple[str, str]] = [
            (_unicode(name), _unicode(value)) for name, value in answer.headers.items()
        ]
        self._answer, self._most_bytes, self._until_ms, self._release = answer, most_bytes, until_ms, release

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body in parts, as they arrive.  Raises EgressError."""
        remaining = self._most_bytes
        try:
            while True:
                seconds = None if self._until_ms is None else max(0.0, (self._until_ms - monotonic_ms()) / 1000)
                async with asyncio.timeout(seconds):
                    part = await self._answer.content.readany()
                if not part:
                    return
                remaining -= len(part)
                if remaining < 0:
                    raise EgressError(Reason.TOO_LARGE, f"The answer is larger than {self._most_bytes} bytes.")
                yield part
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _egress_error(error) from error

    def close(self) -> None:
        """Close the connection and release the slot.  May be called again."""
        self._answer.close()
        self._release()
        self._release = _nothing


def _unicode(header: str) -> str:
    """Return a header without bytes that are no UTF-8, for which aiohttp has surrogates, which nothing can encode."""
    return header.encode(errors="surrogateescape").decode(errors="replace")


def _nothing() -> None:
    """Do nothing: the slot is released."""


@contextmanager
def _resolving_for(org: UUID | None) -> Iterator[None]:
    """Count the look-ups of this task among the organization's: aiohttp names only the host to a resolver."""
    token = _ORGANIZATION.set(org)
    try:
        yield
    finally:
        _ORGANIZATION.reset(token)


def _require(policy: Policy, scheme: str, port: int, addresses: list[Address]) -> None:
    if (complaint := policy.refusal(scheme, port, addresses)) is not None:
        raise EgressError(Reason.BLOCKED, complaint)


class _Resolver(AbstractResolver):
    """A resolver that checks all addresses; aiohttp connects to one of them without resolving again."""

    def __init__(self, policy: Policy, scheme: str, lookups: HostLookups) -> None:
        self._policy, self._scheme, self._lookups = policy, scheme, lookups

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - both families are checked
    ) -> list[ResolveResult]:
        try:
            texts = await self._lookups.addresses(_ORGANIZATION.get(), host, port)
        except (OSError, UnicodeError) as error:
            raise EgressError(Reason.DNS, f"The host {host} can't be resolved.") from error
        addresses = [address for text in texts if (address := publicaddress.parse_address(text)) is not None]
        if not addresses or len(addresses) < len(texts):
            raise EgressError(Reason.DNS, f"The host {host} has no usable address.")
        _require(self._policy, self._scheme, port, addresses)
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in map(publicaddress.plain, addresses)
        ]

    async def close(self) -> None:
        """Do nothing: the look-ups belong to the client."""


class _SocketFactory:
    """The last check, of the address that the socket connects to, wherever aiohttp has it from."""

    def __init__(self, policy: Policy, scheme: str) -> None:
        self._policy, self._scheme = policy, scheme

    def __call__(self, info: Any) -> socket.socket:
        family, type, proto, _, peer = info
        address = publicaddress.parse_address(peer[0])
        if address is None:
            raise EgressError(Reason.BLOCKED, "The URL's host has no valid IP address.")
        _require(self._policy, self._scheme, peer[1], [address])
        return socket.socket(family, type, proto)


class _LimitedBody:
    """A body of limited size, decompressed in parts: a small file that unpacks to gigabytes stops at the limit."""

    def __init__(self, most_bytes: int, truncate: bool) -> None:
        self._most, self._truncate = most_bytes, truncate
        self._body = bytearray()
        self._raw_bytes = 0
        self._unpack: Any = None
        self.truncated = False

    def begin(self, encoding: str) -> None:
        if encoding.lower() in {"gzip", "x-gzip"}:
            self._unpack = zlib.decompressobj(GZIP)
        elif encoding.lower() not in {"", "identity"}:
            raise EgressError(Reason.PROTOCOL, "The answer has a content encoding that the request did not accept.")

    def is_full(self, part: bytes) -> bool:
        """Append a part; return whether the body has reached its limit."""
        self._raw_bytes += len(part)
        # One byte beyond the limit shows that the body is longer.
        remaining = self._most - len(self._body) + 1
        try:
            self._body += part[:remaining] if self._unpack is None else self._unpack.decompress(part, remaining)
        except zlib.error as error:
            raise EgressError(Reason.PROTOCOL, "The answer's gzip data is corrupt.") from error
        # Limit compressed bytes too: they may unpack to nothing.
        if len(self._body) <= self._most and self._raw_bytes <= self._most + READ_BYTES:
            return False
        if not self._truncate:
            raise EgressError(Reason.TOO_LARGE, f"The answer is larger than {self._most} bytes.")
        self.truncated = True
        return True

    def end(self) -> bytes:
        if self._unpack is not None and self._raw_bytes and not self.truncated and not self._unpack.eof:
            raise EgressError(Reason.PROTOCOL, "The answer's gzip data is incomplete.")
        return bytes(self._body[: self._most])


def _egress_error(error: Exception) -> EgressError:
    """Map aiohttp's errors to our reasons."""
    match error:
        case aiohttp.InvalidURL():
            return EgressError(Reason.INVALID, "The URL is not valid.")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return EgressError(Reason.TLS, "The TLS handshake failed, or the server's certificate is not valid.")
        case aiohttp.ConnectionTimeoutError():
            return EgressError(Reason.CONNECT, "The connection to the server timed out.")
        case aiohttp.ClientConnectorError():
            return EgressError(Reason.CONNECT, "The connection to the server failed.")
        case TimeoutError():
            return EgressError(Reason.TIMEOUT, "The server did not answer in time.")
        case _:
            return EgressError(Reason.PROTOCOL, "The server's answer is not valid HTTP, or was cut off.")
