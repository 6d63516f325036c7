"""Request contexts, which servicers receive in addition to their requests.

A method's access option decides which one it gets, so a servicer states in its signature what it relies on, and the
type checker knows what a context has.  `require_fit` compares signature and option when the process starts.

| audience | method | context |
| --- | --- | --- |
| node | any | `NodeContext` |
| signed in | any | `SignedInContext` |
| | `session_only` | `SessionContext`, which is a `SignedInContext` |
| tenant | a stream | `TenantContext` |
| | `acts_outside` | `ActionContext`, which is a `TenantContext` |
| | any other | `TransactionContext`, which is a `TenantContext` |

A context with `tx` is answered in this transaction, which the boundary commits.  Methods with another context open
their own transactions, since they must not hold one while they wait.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from grpc import aio

from control.base.principal import SITE_ADMIN
from control.boundary.incoming import IncomingRequest
from control.boundary.method import Method
from hum import rpc
from hum.contract.principal import Principal
from storage.db import Tx


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The context of an admitted request: what all kinds have."""

    incoming: IncomingRequest

    @property
    def context(self) -> "aio.ServicerContext[Any, Any]":
        """The context of the RPC in the gRPC library."""
        return self.incoming.context

    @property
    def request_id(self) -> str:
        return self.incoming.request_id

    @property
    def zone(self) -> str:
        """The zone of the gateway that sent the request (its `HUM_ZONE`); empty if it sent none."""
        return self.incoming.metadata.get(rpc.ZONE, "")[: rpc.MAX_ZONE_CHARS]


@dataclass(frozen=True, slots=True)
class NodeContext(RequestContext):
    """The context of a request of another plane's process."""

    node: rpc.Node


@dataclass(frozen=True, slots=True)
class SignedInContext(RequestContext):
    """The context of a request that needs a valid credential, but no organization; `tx` is the principal's."""

    principal: Principal
    tx: Tx


@dataclass(frozen=True, slots=True)
class SessionContext(SignedInContext):
    """The context of a request of a signed-in person, never of a key."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class TenantContext(RequestContext):
    """The context of a request of an organization's member or key."""

    credential: bytes
    principal: Principal
    organization: UUID


@dataclass(frozen=True, slots=True)
class TransactionContext(TenantContext):
    """The context of a request that is answered in the organization's transaction."""

    tx: Tx


@dataclass(frozen=True, slots=True)
class ActionContext(TenantContext):
    """The context of a request that acts outside the database.

    It has the client's idempotency key, if there is one, and the request's hash, for a row of the method's own.
    """

    key: str | None
    body_hash: bytes


def type_of(method: Method) -> type[RequestContext]:
    """Return the type of the context that a method gets.

    Raises AssertionError for an access option that no context fits: a bug.
    """
    access, is_stream = method.access, method.descriptor.server_streaming
    if method.for_nodes:
        return NodeContext
    if method.personal:
        if is_stream or access.acts_outside or access.audits_reads:
            raise AssertionError(f"{method.name}: a method for the signed-in has a transaction, but no organization")
        return SessionContext if access.session_only else SignedInContext
    if access.scope == SITE_ADMIN:
        raise AssertionError(
            f"{method.name}: a site admin may have no organization, so the method is for the signed-in"
        )
    if is_stream:
        return TenantContext
    return ActionContext if access.acts_outside else TransactionContext


def require_fit(method: Method) -> None:
    """Raise AssertionError unless a servicer's method states a context that its access option gives it: a bug."""
    context_type = type_of(method)
    stated = _stated_context(getattr(method.handler, "__func__", method.handler))
    fits = isinstance(stated, type) and issubclass(context_type, stated)
    if not fits:
        raise AssertionError(f"{method.name} gets a {context_type.__name__}, but its servicer states {stated}")


@functools.cache
def _stated_context(handler: Callable[..., object]) -> object:
    """Return the annotation of a handler's last parameter."""
    return list(inspect.signature(handler).parameters.values())[-1].annotation
