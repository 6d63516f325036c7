"""Admission: another plane by its node identity, a tenant by its credential, within its rate limits."""

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
from hum import ids, rpc, secrets
from hum.clock import Clock
from hum.errors import ApiKeyRequired, Forbidden, OrganizationChanged, Refused, SessionRequired
from hum.principal import Principal
from hum.v1 import options_pb2
from storage.db import AWAY, BUSY, Db

#: Beyond this many credentials, the least recently used ones count as unknown again.
MOST_KNOWN = 10_000
WELL_FORMED = {rpc.BEARER_SCHEME: secrets.looks_like_api_key, rpc.SESSION_SCHEME: secrets.looks_like_token}


@dataclass(frozen=True, slots=True)
class Limits:
    """The rate limits of each known credential, of its organization, and of each address with an unknown credential; and of the
    bytes, in KB, that an organization sends to be kept.
    """

    credential: Rates
    organization: Rates
    unknown: Rates
    kept_kb: Rates


@dataclass(frozen=True, slots=True)
class _Payer:
    """Whose share of this process a request takes: its organization's, or its own while it has none."""

    id: UUID
    organization: UUID | None

    @classmethod
    def of(cls, who: Principal) -> "_Payer":
        id = who.organization or who.user_id or who.key_id
        assert id is not None, "a credential is a person's or a key"
        return cls(id, who.organization)


class Admission:
    """Authenticates and authorizes requests, and turns them into calls.

    No transaction is opened for a request that exceeds a limit.  A credential that was valid before counts against its own
    limit and its organization's; any other counts against the client's address until the database has confirmed it.
    A request waits in its organization's lane before it takes a connection: who waits holds none.
    """

    def __init__(self, db: Db, node_keys: Sequence[bytes], limits: Limits, lanes: Lanes, clock: Clock) -> None:
        self._db, self._node_keys, self._limits, self._lanes, self._clock = db, node_keys, limits, lanes, clock
        self._known: OrderedDict[bytes, _Payer] = OrderedDict()

    def node(self, passage: Passage) -> Call:
        """Admit another plane.  Raises Forbidden, and RateLimited when a client signs in too often through it."""
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
    async def tenant(self, passage: Passage, kept_bytes: int = 0) -> AsyncIterator[Call]:
        """Admit a person or a key, within their transaction, with so much that is to be kept.  Raises SessionRequired, ApiKeyRequired, RateLimited,
        OrganizationChanged and whatever `principal.require` raises.
        """
        credential, scheme, payer = await self.recognize(passage)
        self._count(passage, credential, payer.organization, kept_bytes)
        async with self._lanes.enter(payer.id), self._db.as_credential(credential) as (tx, who):
            if who is None or scheme != _scheme(who):
                self._known.pop(credential, None)
                raise _unknown(scheme)
            self._know(credential, who)
            if not _is_meant(who, passage.metadata.get(rpc.ORGANIZATION, "")):
                raise OrganizationChanged
            principal.require(who, passage.method.access)
            if who.organization is not None:
                structlog.contextvars.bind_contextvars(organization=ids.show(ids.Kind.ORGANIZATION, who.organization))
            yield Call.of_tenant(passage, credential, who, tx)

    async def recognize(self, passage: Passage) -> tuple[bytes, str, "_Payer"]:
        """Whose a request is, as of when that was last seen: enough to read its message.  Raises SessionRequired, ApiKeyRequired,
        RateLimited.
        """
        scheme = next((each for each in WELL_FORMED if passage.credential.startswith(each)), None)
        if scheme is None:
            raise SessionRequired(NO_CREDENTIAL)
        secret = passage.credential.removeprefix(scheme)
        if not WELL_FORMED[scheme](secret):
            raise _unknown(scheme)
        credential = secrets.token_hash(secret)
        return credential, scheme, self._known.get(credential) or await self._look_up(passage, credential, scheme)

    async def _look_up(self, passage: Passage, credential: bytes, scheme: str) -> "_Payer":
        """Whose a credential is that is new here; the database is asked, within the limit of the client's address."""
        address = self._address(passage)
        self._limits.unknown.take(address, self._clock())
        try:
            async with self._db.as_credential(credential) as (_, who):
                if who is None or scheme != _scheme(who):
                    raise _unknown(scheme)
        except (*AWAY, *BUSY):  # it was not tried, and an outage must not use up what the whole address has
            self._limits.unknown.give_back(address)
            raise
        self._limits.unknown.give_back(address)
        return self._know(credential, who)

    async def current(self, credential: bytes) -> Principal | None:
        """Return the principal of a credential that was admitted before, as of now; None if it is no longer valid."""
        async with self._db.as_credential(credential) as (_, who):
            return who

    @staticmethod
    def refusal(access: options_pb2.Access, before: Principal, now: Principal | None) -> Refused | None:
        """Return why a stream may not go on that was admitted for `before`; None if it may."""
        if now is None:
            return _unknown(_scheme(before))
        if now.organization is not None and now.organization != before.organization:
            return OrganizationChanged()
        try:
            principal.require(now, access)
        except Refused as refused:
            return refused
        return None

    def _know(self, credential: bytes, who: Principal) -> "_Payer":
        payer = self._known[credential] = _Payer.of(who)
        self._known.move_to_end(credential)
        if len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return payer

    def _count(self, passage: Passage, credential: bytes, organization: UUID | None, kept_bytes: int) -> None:
        """Count the request, and report the limit that has less left.  Raises RateLimited."""
        now_ms = self._clock()
        left = self._limits.credential.take(credential, now_ms)
        if organization is not None:
            left = min(left, self._limits.organization.take(organization.bytes, now_ms), key=_remaining)
            if kept_bytes:
                self._limits.kept_kb.take(organization.bytes, now_ms, kept_bytes / 1000)
        limits = {"limit": left.limit, "remaining": left.remaining, "reset": left.reset_seconds}
        passage.trailing.update({rpc.RATE_PREFIX + name: str(value) for name, value in limits.items()})

    def _address(self, passage: Passage) -> bytes:
        """The client's address: the one that a gateway names, or the peer's.  Nobody else may name one."""
        named = passage.metadata.get(rpc.CLIENT_ADDRESS, "")
        if named:
            node = self._node(passage.metadata.get(rpc.GATEWAY, ""))
            if node is not None and node.plane == "gateway":
                return named.encode()
        return rpc.host_of(passage.context.peer()).encode()

    def _node(self, token: str) -> rpc.Node | None:
        found = (rpc.verify_node(key, token) for key in self._node_keys)
        return next((node for node in found if node is not None), None)


NO_CREDENTIAL = "The metadata has no well-formed credential. Send `authorization: Bearer hum_live_...`, or `authorization: Session <token>`."


def _unknown(scheme: str) -> Refused:
    return ApiKeyRequired() if scheme == rpc.BEARER_SCHEME else SessionRequired()


def _scheme(who: Principal) -> str:
    return rpc.SESSION_SCHEME if who.session_id else rpc.BEARER_SCHEME


def _is_meant(who: Principal, named: str) -> bool:
    """Tell whether a request is for the organization that its credential works in.  A session is the whole browser's: a
    tab that shows another organization must not write into this one.  A key has one organization for ever.
    """
    if not named or not who.session_id:
        return True
    return who.organization is not None and named == ids.show(ids.Kind.ORGANIZATION, who.organization)


def _remaining(allowance: Allowance) -> int:
    return allowance.remaining
