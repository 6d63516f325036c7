"""The request context, which a servicer receives in addition to its request."""

from dataclasses import dataclass
from typing import Any

from grpc import aio

from control.boundary.incoming import IncomingRequest
from hum import rpc
from hum.principal import Principal
from storage.db import Tx


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The context of an admitted request, from one of four constructors, one for each kind of method.

    `tx` is the tenant's open transaction, and `principal` the person or key that sent the request.  A method for
    another plane has `node` instead, and opens its own transactions.  So do streams and methods that act outside, since
    they must not hold a transaction while they wait.
    """

    context: "aio.ServicerContext[Any, Any]"
    request_id: str
    #: Trailing metadata of the answer.
    trailing: dict[str, str]
    credential: bytes = b""
    #: For a method that acts outside: the client's idempotency key and the request's hash, for a row of its own.
    key: str | None = None
    body_hash: bytes = b""
    sender: Principal | None = None
    transaction: Tx | None = None
    plane: rpc.Node | None = None

    @classmethod
    def of_node(cls, incoming: IncomingRequest, node: rpc.Node) -> "RequestContext":
        """Return the context of another plane's request."""
        return cls(incoming.context, incoming.request_id, incoming.trailing, plane=node)

    @classmethod
    def of_tenant(cls, incoming: IncomingRequest, credential: bytes, principal: Principal, tx: Tx) -> "RequestContext":
        """Return the context of a request that is answered in the tenant's transaction."""
        return cls(
            incoming.context,
            incoming.request_id,
            incoming.trailing,
            credential=credential,
            sender=principal,
            transaction=tx,
        )

    @classmethod
    def of_stream(cls, incoming: IncomingRequest, credential: bytes, principal: Principal) -> "RequestContext":
        """Return the context of a request that is answered by a stream."""
        return cls(incoming.context, incoming.request_id, incoming.trailing, credential=credential, sender=principal)

    @classmethod
    def outside(
        cls, incoming: IncomingRequest, credential: bytes, principal: Principal, key: str | None, body_hash: bytes
    ) -> "RequestContext":
        """Return the context of a request with a method that acts outside the database."""
        return cls(
            incoming.context,
            incoming.request_id,
            incoming.trailing,
            credential=credential,
            sender=principal,
            key=key,
            body_hash=body_hash,
        )

    @property
    def zone(self) -> str:
        """The zone of the gateway that sent the request (its `HUM_ZONE`); empty if it sent none."""
        zones = (value for name, value in self.context.invocation_metadata() or () if name == rpc.ZONE)
        return str(next(zones, ""))[: rpc.MAX_ZONE_CHARS]

    @property
    def tx(self) -> Tx:
        assert self.transaction is not None, "this method has no transaction"
        return self.transaction

    @property
    def principal(self) -> Principal:
        assert self.sender is not None, "this method is for nodes"
        return self.sender

    @property
    def node(self) -> rpc.Node:
        assert self.plane is not None, "this method is not for nodes"
        return self.plane
