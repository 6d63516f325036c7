"""Admission: another plane by its node identity, a tenant by its credential, within its rate limit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from control.base import principal
from control.base.rates import Rates
from control.boundary.call import Call
from control.boundary.passage import Passage
from hum import ids, rpc, secrets
from hum.clock import Clock
from hum.errors import ApiKeyRequired, Forbidden, Refused, SessionRequired
from hum.principal import Principal
from hum.v1 import options_pb2
from storage.db import Db


class Admission:
    """Authenticates and authorizes requests, and turns them into calls."""

    def __init__(self, db: Db, node_key: bytes, rates: Rates, clock: Clock) -> None:
        self._db, self._node_key, self._rates, self._clock = db, node_key, rates, clock

    def node(self, passage: Passage) -> Call:
        """Admit another plane.  Raises Forbidden."""
        node = None
        if passage.credential.startswith(rpc.NODE_SCHEME):
            node = rpc.verify_node(self._node_key, passage.credential.removeprefix(rpc.NODE_SCHEME))
        if node is None or node.plane not in passage.method.planes:
            allowed = " or ".join(sorted(passage.method.planes))
            raise Forbidden(f"Only another plane of this deployment may call this method: {allowed}.")
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
        async with self._db.as_credential(credential) as (tx, who):
            if who is None or scheme != _scheme(who):
                raise ApiKeyRequired if scheme == rpc.BEARER_SCHEME else SessionRequired
            principal.require(who, passage.method.access)
            if who.organization is not None:
                structlog.contextvars.bind_contextvars(organization=ids.show(ids.Kind.ORGANIZATION, who.organization))
            yield Call.of_tenant(passage, credential, who, tx)

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


def _scheme(who: Principal) -> str:
    return rpc.SESSION_SCHEME if who.session_id else rpc.BEARER_SCHEME
