"""Admission of other planes by their node identity, and of tenants by their credential and within their rate limits."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from control.base import principal
from control.base.rates import Allowance, Rates
from control.boundary.call import Call
from control.boundary.lanes import Lanes
from control.boundary.passage import Passage
from hum import ids, secrets
from hum.clock import Clock
from hum.contract import rpc
from hum.contract.errors import ApiKeyRequired, Forbidden, OrganizationChanged, Refused, SessionRequired
from hum.contract.principal import Principal
from hum.v1 import options_pb2
from storage.db import AWAY, BUSY, Db

#: Most credentials that are remembered as valid; the least recently used ones are dropped first.
MAX_RECENT_CREDENTIALS = 10_000
WELL_FORMED = {rpc.BEARER_SCHEME: secrets.looks_like_api_key, rpc.SESSION_SCHEME: secrets.looks_like_token}


@dataclass(frozen=True, slots=True)
class Limits:
    """Rate limits: of valid credentials, organizations, addresses with unknown credentials, and stored KB."""

    credential: Rates
    organization: Rates
    unknown: Rates
    stored_kb: Rates


@dataclass(frozen=True, slots=True)
class _QuotaOwner:
    """The owner of a concurrency limit: a request's organization, or without one its user or key."""

    id: UUID
    organization: UUID | None

    @classmethod
    def of(cls, who: Principal) -> "_QuotaOwner":
        id = who.organization or who.user_id or who.key_id
        assert id is not None, "a credential is a person's or a key"
        return cls(id, who.organization)


class Admission:
    """Authentication and authorization of requests, which become request contexts.

    No transaction is opened for a request that exceeds a limit.  A credential that was recently valid counts against
    its own limit and its organization's; any other counts against the client's address until the database has confirmed
    it.  Requests queue per organization before acquiring a database connection, so a queued request holds none.
    """

    def __init__(self, db: Db, node_keys: Sequence[bytes], limits: Limits, lanes: Lanes, clock: Clock) -> None:
        self._db, self._node_keys, self._limits, self._lanes, self._clock = db, node_keys, limits, lanes, clock
        self._recent: OrderedDict[bytes, _QuotaOwner] = OrderedDict()

    def node(self, passage: Passage) -> Call:
        """Admit another plane.  Raises Forbidden, and RateLimited if the client behind it signs in too often."""
        node = None
        if passage.credential.startswith(rpc.NODE_SCHEME):
            node = self._node(passage.credential.removeprefix(rpc.NODE_SCHEME))
        if node is None or node.plane not in passage.method.planes:
            allowed = " or ".join(sorted(passage.method.planes))
            raise Forbidden(f"Only another plane of this deployment may call this method: {allowed}.")
        if address := passage.metadata.get(rpc.CLIENT_ADDRESS):
            self._limits.unknown.take(address.encode(), self._clock())
        return Call.of_node(passage, node)

    @asynccontextmanager
    async def tenant(self, passage: Passage, stored_bytes: int = 0) -> AsyncIterator[Call]:
        """Admit a person or a key, in a transaction of the tenant; `stored_bytes` count against the storage rate limit.

        Raises SessionRequired, ApiKeyRequired, RateLimited, OrganizationChanged, and the errors of `principal.require`.
        """
        credential, scheme, owner = await self.recognize(passage)
        self._count(passage, credential, owner.organization, stored_bytes)
        async with self._lanes.enter(owner.id), self._db.as_credential(credential) as (tx, who):
            if who is None or scheme != _scheme(who):
                self._recent.pop(credential, None)
                raise _unknown(scheme)
            self._remember(credential, who)
            if not _matches_organization(who, passage.metadata.get(rpc.ORGANIZATION, "")):
                raise OrganizationChanged
            principal.require(who, passage.method.access)
            if who.organization is not None:
                structlog.contextvars.bind_contextvars(organization=ids.show(ids.Kind.ORGANIZATION, who.organization))
            yield Call.of_tenant(passage, credential, who, tx)

    async def recognize(self, passage: Passage) -> tuple[bytes, str, "_QuotaOwner"]:
        """Return a request's credential hash, scheme and quota owner, which is enough to read its message.

        Raises SessionRequired, ApiKeyRequired, RateLimited.
        """
        scheme = next((prefix for prefix in WELL_FORMED if passage.credential.startswith(prefix)), None)
        if scheme is None:
            raise SessionRequired(NO_CREDENTIAL)
        secret = passage.credential.removeprefix(scheme)
        if not WELL_FORMED[scheme](secret):
            raise _unknown(scheme)
        credential = secrets.token_hash(secret)
        return credential, scheme, self._recent.get(credential) or await self._authenticate(passage, credential, scheme)

    async def _authenticate(self, passage: Passage, credential: bytes, scheme: str) -> "_QuotaOwner":
        """Look up an unknown credential in the database, within the rate limit of the client's address."""
        address = self._address(passage)
        self._limits.unknown.take(address, self._clock())
        try:
            async with self._db.as_credential(credential) as (_, who):
                if who is None or scheme != _scheme(who):
                    raise _unknown(scheme)
        except (*AWAY, *BUSY):
            # The credential was not checked, and an outage must not exhaust the limit of the address.
            self._limits.unknown.give_back(address)
            raise
        self._limits.unknown.give_back(address)
        return self._remember(credential, who)

    async def current(self, credential: bytes) -> Principal | None:
        """Return the principal of a credential that was admitted before, as of now; None if it is no longer valid."""
        async with self._db.as_credential(credential) as (_, who):
            return who

    @staticmethod
    def refusal(access: options_pb2.Access, before: Principal, now: Principal | None) -> Refused | None:
        """Return why a stream that was admitted for `before` must end; None if it may continue."""
        if now is None:
            return _unknown(_scheme(before))
        if now.organization is not None and now.organization != before.organization:
            return OrganizationChanged()
        try:
            principal.require(now, access)
        except Refused as refused:
            return refused
        return None

    def _remember(self, credential: bytes, who: Principal) -> "_QuotaOwner":
        owner = self._recent[credential] = _QuotaOwner.of(who)
        self._recent.move_to_end(credential)
        if len(self._recent) > MAX_RECENT_CREDENTIALS:
            self._recent.popitem(last=False)
        return owner

    def _count(self, passage: Passage, credential: bytes, organization: UUID | None, stored_bytes: int) -> None:
        """Count the request, and put the limit that is closer to exhaustion in the metadata.  Raises RateLimited."""
        now_ms = self._clock()
        left = self._limits.credential.take(credential, now_ms)
        if organization is not None:
            left = min(left, self._limits.organization.take(organization.bytes, now_ms), key=_remaining)
            if stored_bytes:
                self._limits.stored_kb.take(organization.bytes, now_ms, stored_bytes / 1000)
        limits = {"limit": left.limit, "remaining": left.remaining, "reset": left.reset_seconds}
        passage.trailing.update({rpc.RATE_PREFIX + name: str(value) for name, value in limits.items()})

    def _address(self, passage: Passage) -> bytes:
        """Return the client's address: the one in a gateway's metadata, or without a gateway the peer's."""
        address = passage.metadata.get(rpc.CLIENT_ADDRESS, "")
        if address:
            node = self._node(passage.metadata.get(rpc.GATEWAY, ""))
            if node is not None and node.plane == "gateway":
                return address.encode()
        return rpc.host_of(passage.context.peer()).encode()

    def _node(self, token: str) -> rpc.Node | None:
        nodes = (rpc.verify_node(key, token) for key in self._node_keys)
        return next((node for node in nodes if node is not None), None)


NO_CREDENTIAL = "The metadata has no well-formed credential. Send `authorization: Bearer hum_live_...`, or `authorization: Session <token>`."


def _unknown(scheme: str) -> Refused:
    return ApiKeyRequired() if scheme == rpc.BEARER_SCHEME else SessionRequired()


def _scheme(who: Principal) -> str:
    return rpc.SESSION_SCHEME if who.session_id else rpc.BEARER_SCHEME


def _matches_organization(who: Principal, organization_id: str) -> bool:
    """Tell whether a request names the organization in which its credential works.

    All tabs of a browser share a session, and a tab that shows another organization must not write into this one.  A
    key has one organization for ever.
    """
    if not organization_id or not who.session_id:
        return True
    return who.organization is not None and organization_id == ids.show(ids.Kind.ORGANIZATION, who.organization)


def _remaining(allowance: Allowance) -> int:
    return allowance.remaining
