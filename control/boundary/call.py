"""The request context, which a servicer receives in addition to its request."""

from dataclasses import dataclass
from typing import Any

from grpc import aio

from control.boundary.passage import Passage
from hum.contract import rpc
from hum.contract.principal import Principal
from storage.db import Tx


@dataclass(frozen=True, slots=True)
class Call:
    """The context of an admitted request, from one of four constructors, one for each kind of method.

    `tx` is the tenant's open transaction, and `who` the principal that sent the request.  A method for another plane
    has `node` instead, and opens its own transactions.  So do streams and methods that act outside, since they must not
    hold a transaction while they wait.
    """

    context: "aio.ServicerContext[Any, Any]"
    request_id: str
    #: Trailing metadata of the answer.
    trailing: dict[str, str]
    credential: bytes = b""
    #: For a method that acts outside: the client's idempotency key and the request's hash, for a row of its own.
    key: str | None = None
    body_hash: bytes = b""
    principal: Principal | None = None
    transaction: Tx | None = None
    plane: rpc.Node | None = None

    @classmethod
    def of_node(cls, passage: Passage, node: rpc.Node) -> "Call":
        """Return the context of another plane's request."""
        return cls(passage.context, passage.request_id, passage.trailing, plane=node)

    @classmethod
    def of_tenant(cls, passage: Passage, credential: bytes, who: Principal, tx: Tx) -> "Call":
        """Return the context of a request that is answered in the tenant's transaction."""
        return cls(
            passage.context, passage.request_id, passage.trailing, credential=credential, principal=who, transaction=tx
        )

    @classmethod
    def of_stream(cls, passage: Passage, credential: bytes, who: Principal) -> "Call":
        """Return the context of a request that is answered by a stream."""
        return cls(passage.context, passage.request_id, passage.trailing, credential=credential, principal=who)

    @classmethod
    def outside(cls, passage: Passage, credential: bytes, who: Principal, key: str | None, body_hash: bytes) -> "Call":
        """Return the context of a request with a method that acts outside the database."""
        return cls(
            passage.context,
            passage.request_id,
            passage.trailing,
            credential=credential,
            principal=who,
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
    def who(self) -> Principal:
        assert self.principal is not None, "this method is for nodes"
        return self.principal

    @property
    def node(self) -> rpc.Node:
        assert self.plane is not None, "this method is not for nodes"
        return self.plane
