"""Admission: another plane by its node identity, a tenant by its credential, within its rate limit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import structlog

from control.base import principal
from control.base.rates import Rates
from control.boundary.call import Call
from control.boundary.lanes import Lanes
from control.boundary.passage import Passage
from hum import ids, rpc, secrets
from hum.clock import Clock
from hum.errors import ApiKeyRequired, Forbidden, Refused, SessionRequired
from hum.principal import Principal
from hum.v1 import options_pb2
from storage.db import Db


class Admission:
    """Authenticates and authorizes requests, and turns them into calls."""

    def __init__(self, db: Db, node_key: bytes, rates: Rates, lanes: Lanes, clock: Clock) -> None:
        self._db, self._node_key, self._rates, self._lanes, self._clock = db, node_key, rates, lanes, clock

    def node(self, passage: Passage) -> Call:
        """Admit another plane.  Raises Forbidden."""
        node = None
        if passage.credential.startswith(rpc.NODE_SCHEME):
            node = rpc.verify_node(self._node_key, passage.credential.removeprefix(rpc.NODE_SCHEME))
        if node is None:
            raise Forbidden("Only another plane of this deployment may call this method.")
        return Call.of_node(passage, node)

    @asynccontextmanager
    async def tenant(self, passage: Passage) -> AsyncIterator[Call]:
        """Admit a person or a key, within their transaction.  Raises SessionRequired, ApiKeyRequired, RateLimited and
        whatever `principal.require` raises.
        """
        scheme = next(
            (each for each in (rpc.BEARER_SCHEME, rpc.SESSION_SCHEME) if passage.credential.startswith(each)), None
        )
        if scheme is None:
            raise SessionRequired
        credential = secrets.token_hash(passage.credential.removeprefix(scheme))
        self._count(passage, credential)
        async with self._lane(credential, scheme), self._db.as_credential(credential) as (tx, who):
            if who is None or scheme != _scheme(who):
                self._lanes.forget(credential)
                raise _unknown(scheme)
            self._lanes.remember(credential, _payer(who))
            principal.require(who, passage.method.access)
            if who.organization is not None:
                structlog.contextvars.bind_contextvars(organization=ids.show(ids.Kind.ORGANIZATION, who.organization))
            yield Call.of_tenant(passage, credential, who, tx)

    @asynccontextmanager
    async def _lane(self, credential: bytes, scheme: str) -> AsyncIterator[None]:
        """The credential's organization's lane, entered before a connection is taken: who waits holds none.

        Whose a credential is, is remembered from its last request; of one that is new here, the database is asked twice.
        """
        payer = self._lanes.payer(credential)
        if payer is None:
            async with self._db.as_credential(credential) as (_, who):
                if who is None:
                    raise _unknown(scheme)
            payer = _payer(who)
        async with self._lanes.enter(payer):
            yield

    async def still(self, access: options_pb2.Access, call: Call) -> bool:
        """Tell whether a stream's credential still permits its method: keys are revoked, roles change."""
        async with self._db.as_credential(call.credential) as (_, who):
            if who is None or who.organization != call.who.organization:
                return False
        try:
            principal.require(who, access)
        except Refused:
            return False
        return True

    def _count(self, passage: Passage, credential: bytes) -> None:
        left = self._rates.take(credential, self._clock())
        limits = {"limit": left.limit, "remaining": left.remaining, "reset": left.reset_seconds}
        passage.trailing.update({rpc.RATE_PREFIX + name: str(value) for name, value in limits.items()})


def _unknown(scheme: str) -> Refused:
    return ApiKeyRequired() if scheme == rpc.BEARER_SCHEME else SessionRequired()


def _payer(who: Principal) -> UUID:
    """Whose share of this process a request takes: its organization's, or its own while it has none."""
    payer = who.organization or who.user_id or who.key_id
    assert payer is not None, "a credential is a person's or a key"
    return payer


def _scheme(who: Principal) -> str:
    return rpc.SESSION_SCHEME if who.session_id else rpc.BEARER_SCHEME
