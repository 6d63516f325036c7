"""Authentication of other planes by their node identity, and of tenants by their credential and within their rate limits."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from control.base import principal as rights
from control.boundary.context import NodeContext, SessionContext, SignedInContext, TransactionContext
from control.boundary.incoming import IncomingRequest
from control.boundary.ratelimits import RateLimits
from control.boundary.requestconcurrency import ConcurrencyLimits
from hum import ids, rpc, secrets
from hum.clock import Clock
from hum.contract.errors import ApiKeyRequired, Forbidden, OrganizationChanged, RequestRefused, SessionRequired
from hum.contract.principal import Principal
from hum.v1 import options_pb2
from storage.db import BUSY, LIMITS, UNAVAILABLE, Db, Tx

#: Most credentials that are remembered as valid; the least recently used ones are dropped first.
MAX_RECENT_CREDENTIALS = 10_000
WELL_FORMED = {rpc.BEARER_SCHEME: secrets.looks_like_api_key, rpc.SESSION_SCHEME: secrets.looks_like_token}


@dataclass(frozen=True, slots=True)
class _QuotaOwner:
    """The owner of a concurrency limit: a request's organization, or without one its user or key."""

    id: UUID
    organization: UUID | None

    @classmethod
    def of(cls, principal: Principal) -> "_QuotaOwner":
        id = principal.organization or principal.user_id or principal.key_id
        assert id is not None, "a credential is a person's or a key"
        return cls(id, principal.organization)


class Authentication:
    """Authentication and authorization of requests, which become request contexts.

    No transaction is opened for a request that exceeds a limit.  A credential that was recently valid counts against
    its own limit and its organization's; any other counts against the client's address until the database has confirmed
    it.  Requests queue per organization before acquiring a database connection, so a queued request holds none.
    """

    def __init__(
        self, db: Db, node_keys: Sequence[bytes], limits: RateLimits, concurrency: ConcurrencyLimits, clock: Clock
    ) -> None:
        self._db, self._node_keys, self._limits = db, node_keys, limits
        self._concurrency, self._clock = concurrency, clock
        self._recent: OrderedDict[bytes, _QuotaOwner] = OrderedDict()

    def node(self, incoming: IncomingRequest) -> NodeContext:
        """Admit another plane.  Raises Forbidden, and RateLimited if the client behind it signs in too often."""
        node = None
        if incoming.credential.startswith(rpc.NODE_SCHEME):
            node = self._node(incoming.credential.removeprefix(rpc.NODE_SCHEME))
        if node is None or node.plane not in incoming.method.planes:
            allowed = " or ".join(sorted(incoming.method.planes))
            raise Forbidden(f"Only another plane of this deployment may call this method: {allowed}.")
        if address := incoming.metadata.get(rpc.CLIENT_ADDRESS):
            self._limits.unknown.consume(address.encode(), self._clock())
        return NodeContext(incoming, node)

    @asynccontextmanager
    async def tenant(self, incoming: IncomingRequest, stored_bytes: int = 0) -> AsyncIterator[TransactionContext]:
        """Admit a member or a key of an organization, in its transaction; the arguments and errors are `_admit`'s."""
        async with self._admit(incoming, stored_bytes) as (credential, principal, tx):
            yield TransactionContext(incoming, credential, principal, principal.org_id, tx)

    @asynccontextmanager
    async def signed_in(self, incoming: IncomingRequest, stored_bytes: int = 0) -> AsyncIterator[SignedInContext]:
        """Admit a person or a key, with or without an organization; the arguments and errors are `_admit`'s."""
        async with self._admit(incoming, stored_bytes) as (_, principal, tx):
            if incoming.method.access.session_only:
                assert principal.user_id is not None and principal.session_id is not None, "the method is for sessions"
                yield SessionContext(incoming, principal, tx, principal.user_id, principal.session_id)
            else:
                yield SignedInContext(incoming, principal, tx)

    @asynccontextmanager
    async def _admit(self, incoming: IncomingRequest, stored_bytes: int) -> AsyncIterator[tuple[bytes, Principal, Tx]]:
        """Yield the credential, its principal and a transaction; `stored_bytes` count against the storage rate limit.

        Raises SessionRequired, ApiKeyRequired, RateLimited, OrganizationChanged, and the errors of `rights.require`.
        """
        credential, scheme, owner = await self.recognize(incoming)
        self._count(incoming, credential, owner.organization)
        async with self._turn(owner, stored_bytes), self._db.authenticated(credential) as (tx, principal):
            if principal is None or scheme != _scheme(principal):
                self._recent.pop(credential, None)
                raise _unknown(scheme)
            self._cache(credential, principal)
            if not _matches_organization(principal, incoming.metadata.get(rpc.ORGANIZATION, "")):
                raise OrganizationChanged
            rights.require(principal, incoming.method.access)
            # For the transactions that the request opens itself.
            LIMITS.set(principal.limits)
            if principal.organization is not None:
                structlog.contextvars.bind_contextvars(
                    organization=ids.show(ids.Kind.ORGANIZATION, principal.organization)
                )
            yield credential, principal, tx

    @asynccontextmanager
    async def _turn(self, owner: "_QuotaOwner", stored_bytes: int) -> AsyncIterator[None]:
        """Wait for the owner's concurrency limit, and only then count: what those before it have stored is known by now."""
        async with self._concurrency.enter(owner.id):
            if owner.organization is not None and stored_bytes:
                self._limits.count_message(owner.organization, stored_bytes, self._clock())
            yield

    async def recognize(self, incoming: IncomingRequest) -> tuple[bytes, str, "_QuotaOwner"]:
        """Return a request's credential hash, scheme and quota owner, which is enough to read its message.

        Raises SessionRequired, ApiKeyRequired, RateLimited.
        """
        scheme = next((prefix for prefix in WELL_FORMED if incoming.credential.startswith(prefix)), None)
        if scheme is None:
            raise SessionRequired(NO_CREDENTIAL)
        secret = incoming.credential.removeprefix(scheme)
        if not WELL_FORMED[scheme](secret):
            raise _unknown(scheme)
        credential = secrets.token_hash(secret)
        owner = self._recent.get(credential) or await self._authenticate(incoming, credential, scheme)
        return credential, scheme, owner

    def charge(self, incoming: IncomingRequest, organization: UUID | None) -> None:
        """Count what a request has stored beyond its message against the storage rate limit, for the requests after it."""
        if organization is not None and (stored_bytes := sum(incoming.stored)):
            self._limits.charge(organization, stored_bytes, self._clock())

    async def _authenticate(self, incoming: IncomingRequest, credential: bytes, scheme: str) -> "_QuotaOwner":
        """Look up an unknown credential in the database, within the rate limit of the client's address."""
        address = self._address(incoming)
        self._limits.unknown.consume(address, self._clock())
        try:
            async with self._db.authenticated(credential) as (_, principal):
                if principal is None or scheme != _scheme(principal):
                    raise _unknown(scheme)
        except (*UNAVAILABLE, *BUSY):
            # The credential was not checked, and an outage must not exhaust the limit of the address.
            self._limits.unknown.refund(address)
            raise
        self._limits.unknown.refund(address)
        return self._cache(credential, principal)

    async def current(self, credential: bytes) -> Principal | None:
        """Return the principal of a credential that was admitted before, as of now; None if it is no longer valid."""
        async with self._db.authenticated(credential) as (_, principal):
            return principal

    @staticmethod
    def refusal(access: options_pb2.Access, before: Principal, now: Principal | None) -> RequestRefused | None:
        """Return why a stream that was admitted for `before` must end; None if it may continue."""
        if now is None:
            return _unknown(_scheme(before))
        if now.organization is not None and now.organization != before.organization:
            return OrganizationChanged()
        if now.limits != before.limits:
            return Forbidden("What you may see has changed; open the stream again.")
        try:
            rights.require(now, access)
        except RequestRefused as refused:
            return refused
        return None

    def _cache(self, credential: bytes, principal: Principal) -> "_QuotaOwner":
        owner = self._recent[credential] = _QuotaOwner.of(principal)
        self._recent.move_to_end(credential)
        if len(self._recent) > MAX_RECENT_CREDENTIALS:
            self._recent.popitem(last=False)
        return owner

    def _count(self, incoming: IncomingRequest, credential: bytes, organization: UUID | None) -> None:
        """Count the request, and put the limit that is closer to exhaustion in the metadata.  Raises RateLimited."""
        left = self._limits.count(credential, organization, self._clock())
        limits = {"limit": left.limit, "remaining": left.remaining, "reset": left.reset_seconds}
        incoming.trailing.update({rpc.RATE_PREFIX + name: str(value) for name, value in limits.items()})

    def _address(self, incoming: IncomingRequest) -> bytes:
        """Return the client's address: the one in a gateway's metadata, or without a gateway the peer's."""
        address = incoming.metadata.get(rpc.CLIENT_ADDRESS, "")
        if address:
            node = self._node(incoming.metadata.get(rpc.GATEWAY, ""))
            if node is not None and node.plane == "gateway":
                return address.encode()
        return rpc.host_of(incoming.context.peer()).encode()

    def _node(self, token: str) -> rpc.Node | None:
        nodes = (rpc.verify_node(key, token) for key in self._node_keys)
        return next((node for node in nodes if node is not None), None)


NO_CREDENTIAL = "The metadata has no well-formed credential. Send `authorization: Bearer hum_live_...`, or `authorization: Session <token>`."


def _unknown(scheme: str) -> RequestRefused:
    return ApiKeyRequired() if scheme == rpc.BEARER_SCHEME else SessionRequired()


def _scheme(principal: Principal) -> str:
    return rpc.SESSION_SCHEME if principal.session_id else rpc.BEARER_SCHEME


def _matches_organization(principal: Principal, organization_id: str) -> bool:
    """Tell whether a request names the organization in which its credential works.

    All tabs of a browser share a session, and a tab that shows another organization must not write into this one.  A
    key has one organization for ever.
    """
    if not organization_id or not principal.session_id:
        return True
    return principal.organization is not None and organization_id == ids.show(
        ids.Kind.ORGANIZATION, principal.organization
    )
