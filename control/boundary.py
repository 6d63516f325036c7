"""The boundary: every request passes here once, on its way in and on its way out.

Who asks (credential to principal), may they (the method's access option), is the request well formed
(`hum.validation`), has it been answered before (idempotency key), then the servicer with the tenant's open transaction,
then the commit, the verdict on errors, one log line and one measurement.
"""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import asyncpg
import grpc
import structlog
from google.api import annotations_pb2
from google.protobuf import any_pb2, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc import aio
from grpc_status import rpc_status
from prometheus_client import Histogram

from control.audit.rules import describe
from control.audit.usecases import note
from control.base import principal
from control.base.principal import Principal
from control.base.rates import Rates
from hum import authorization, ids, rpc, secrets, validation
from hum.clock import Clock, monotonic_ms
from hum.errors import (
    ApiKeyRequired,
    Conflict,
    FieldError,
    Forbidden,
    IdempotencyInProgress,
    IdempotencyMismatch,
    InvalidRequest,
    Refused,
    SessionRequired,
)
from hum.telemetry import FAST_BUCKETS, log
from hum.v1 import options_pb2
from storage import idempotency
from storage.db import AWAY, Asker, Db, Tx

LOG = log(__name__)
SECONDS = Histogram("hum_rpc_seconds", "Time to answer a call to control", ["method", "code"], buckets=FAST_BUCKETS)
MAX_IDEMPOTENCY_KEY = 255


class Unavailable(Refused):
    """The database does not answer; try again."""

    code, reason = "UNAVAILABLE", "UNAVAILABLE"


@dataclass(slots=True)
class Call:
    """What a servicer is told besides its request.

    `tx` is the tenant's open transaction, and `who` who asks. A method of another plane has `node` instead, and opens
    its own transactions; so does a stream, and a method that acts outside: neither must hold one while it waits.
    """

    context: "aio.ServicerContext[Any, Any]"
    request_id: str
    credential: bytes = b""
    trailing: dict[str, str] = field(default_factory=dict)
    #: Of a method that acts outside: the client's idempotency key, for its own attempt row, and the request's hash.
    key: str | None = None
    body_hash: bytes = b""
    _tx: Tx | None = None
    _who: Principal | None = None
    _node: rpc.Node | None = None

    @property
    def tx(self) -> Tx:
        assert self._tx is not None, "this method has no transaction"
        return self._tx

    @property
    def who(self) -> Principal:
        assert self._who is not None, "this method is for nodes"
        return self._who

    @property
    def node(self) -> rpc.Node:
        assert self._node is not None, "this method is not for nodes"
        return self._node


@dataclass(frozen=True, slots=True)
class Method:
    """One RPC, and what its options say."""

    descriptor: MethodDescriptor
    access: options_pb2.Access
    handler: Callable[..., Any]
    mutates: bool
    #: The request is the person's own: no organization need be at work.
    personal: bool
    request_type: type[Message] = field(init=False)
    response_type: type[Message] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "request_type", message_factory.GetMessageClass(self.descriptor.input_type))
        object.__setattr__(self, "response_type", message_factory.GetMessageClass(self.descriptor.output_type))

    @property
    def name(self) -> str:
        return f"/{self.descriptor.containing_service.full_name}/{self.descriptor.name}"


class Boundary:
    """Wraps servicers into gRPC handlers."""

    def __init__(
        self, db: Db, node_key: bytes, rates: Rates, *, keep_keys: timedelta, clock: Clock = monotonic_ms
    ) -> None:
        self._db, self._node_key, self._rates, self._keep, self._clock = db, node_key, rates, keep_keys, clock

    def handlers(self, services: Mapping[ServiceDescriptor, object]) -> list[grpc.GenericRpcHandler]:
        """The handlers of these servicers.  A method without an access option or without an implementation is a bug."""
        return [
            grpc.method_handlers_generic_handler(
                service.full_name, {method.name: self._handler(_method(method, servicer)) for method in service.methods}
            )
            for service, servicer in services.items()
        ]

    def _handler(self, method: Method) -> "grpc.RpcMethodHandler[Any, Any]":
        kinds = {
            (False, False): (grpc.unary_unary_rpc_method_handler, self._unary),
            (False, True): (grpc.unary_stream_rpc_method_handler, self._stream),
            (True, True): (grpc.stream_stream_rpc_method_handler, self._stream),
        }
        make, serve = kinds[method.descriptor.client_streaming, method.descriptor.server_streaming]

        return make(
            partial(serve, method),  # grpc looks whether it is a coroutine function
            request_deserializer=method.request_type.FromString,
            response_serializer=method.response_type.SerializeToString,
        )

    # -- the two ways through

    async def _unary(
        self, method: Method, request: Message, context: "aio.ServicerContext[Any, Any]"
    ) -> Message | None:
        call, began = self._call(context), self._clock()
        try:
            if method.access.audience == options_pb2.AUDIENCE_NODE:
                self._admit_node(call)
                answer: Message = await method.handler(request, call)
            else:
                async with AsyncExitStack() as stack:
                    await self._admit(stack, method, call)
                    validation.require_valid(request)
                    if not method.access.acts_outside:
                        answer = await self._once(method, request, call)
                if method.access.acts_outside:
                    call._tx = None  # noqa: SLF001 - it has just been closed
                    answer = await self._once_outside(method, request, call)
        except Exception as error:  # noqa: BLE001 - the one place where bugs become answers
            await self._refuse(method, call, began, error)
        context.set_trailing_metadata(tuple(call.trailing.items()))
        self._done(method, call, began, "OK")
        return answer

    async def _stream(
        self, method: Method, request: Any, context: "aio.ServicerContext[Any, Any]"
    ) -> AsyncIterator[Message]:
        call, began = self._call(context), self._clock()
        try:
            if method.access.audience == options_pb2.AUDIENCE_NODE:
                self._admit_node(call)
            else:
                async with AsyncExitStack() as stack:
                    await self._admit(stack, method, call)
                call._tx = None  # noqa: SLF001 - it has just been closed
                validation.require_valid(request)
            async for message in method.handler(request, call):
                yield message
        except Exception as error:  # noqa: BLE001 - as above
            await self._refuse(method, call, began, error)
        self._done(method, call, began, "OK")

    # -- who asks

    def _call(self, context: "aio.ServicerContext[Any, Any]") -> Call:
        sent = dict(context.invocation_metadata() or ())
        request_id = str(sent.get(rpc.REQUEST_ID) or f"req_{ids.new().hex}")
        structlog.contextvars.bind_contextvars(request_id=request_id)
        return Call(context, request_id)

    def _admit_node(self, call: Call) -> None:
        sent = _credential(call.context)
        node = (
            rpc.verify_node(self._node_key, sent.removeprefix(rpc.NODE_SCHEME))
            if sent.startswith(rpc.NODE_SCHEME)
            else None
        )
        if node is None:
            raise Forbidden("this method is for the planes of this deployment")
        call._node = node  # noqa: SLF001 - the boundary fills what servicers read

    async def _admit(self, stack: AsyncExitStack, method: Method, call: Call) -> None:
        sent = _credential(call.context)
        scheme = next((each for each in (rpc.BEARER_SCHEME, rpc.SESSION_SCHEME) if sent.startswith(each)), None)
        if scheme is None:
            raise SessionRequired
        call.credential = secrets.token_hash(sent.removeprefix(scheme))
        left = self._rates.take(call.credential, self._clock())
        told = {"limit": left.limit, "remaining": left.remaining, "reset": left.reset_seconds}
        call.trailing |= {rpc.RATE_PREFIX + name: str(value) for name, value in told.items()}
        tx, asker = await stack.enter_async_context(self._db.as_credential(call.credential))
        wanted = rpc.SESSION_SCHEME if asker and asker.session_id else rpc.BEARER_SCHEME
        if asker is None or scheme != wanted:
            raise ApiKeyRequired if scheme == rpc.BEARER_SCHEME else SessionRequired
        who = _principal(asker)
        principal.require(who, method.access)
        if who.organization is not None:
            structlog.contextvars.bind_contextvars(organization=ids.show(ids.Kind.ORGANIZATION, who.organization))
        call._tx, call._who = tx, who  # noqa: SLF001 - the boundary fills what servicers read

    async def still_admitted(self, method_access: options_pb2.Access, call: Call) -> bool:
        """Tell whether a stream's credential still opens its method: keys are revoked, roles change."""
        async with self._db.as_credential(call.credential) as (_, asker):
            if asker is None or asker.org_id != call.who.org_id:
                return False
        try:
            principal.require(_principal(asker), method_access)
        except Refused:
            return False
        return True

    # -- once

    async def _once(self, method: Method, request: Message, call: Call) -> Message:
        """Let the servicer answer, or repeat the answer that this idempotency key got before."""
        key, personal = _idempotency_key(method, call), method.personal and call.who.user_id is not None
        if key is None:
            return await self._do(method, request, call)
        if not await idempotency.try_lock(call.tx, key, personal=personal):
            raise IdempotencyInProgress
        body_hash = _hash(request)
        seen = await idempotency.find(call.tx, key, self._keep, personal=personal)
        if seen is not None:
            return _replay(method, call, seen, body_hash)
        answer = await self._do(method, request, call)
        remembered = idempotency.Remembered(method.name, body_hash, answer.SerializeToString())
        await idempotency.store(call.tx, key, remembered, personal=personal)
        return answer

    async def _once_outside(self, method: Method, request: Message, call: Call) -> Message:
        """As `_once`, for a method that acts outside: it may die between its transactions, so what must not be done
        twice it remembers by itself, with the key on its own row.
        """
        call.key, call.body_hash = _idempotency_key(method, call), _hash(request)
        if call.key is not None:
            async with self._db.tenant(call.who.org_id) as tx:
                seen = await idempotency.find(tx, call.key, self._keep)
            if seen is not None:
                return _replay(method, call, seen, call.body_hash)
        answer: Message = await method.handler(request, call)
        if call.key is not None:
            async with self._db.tenant(call.who.org_id) as tx:
                remembered = idempotency.Remembered(method.name, call.body_hash, answer.SerializeToString())
                await idempotency.store(tx, call.key, remembered)
        return answer

    async def _do(self, method: Method, request: Message, call: Call) -> Message:
        """Let the servicer answer; a change in an organization stands in its audit log when it commits."""
        handler: Callable[[Message, Call], Awaitable[Message]] = method.handler
        answer = await handler(request, call)
        if method.mutates and not method.personal:
            change = describe(method.descriptor, request, answer)
            await note(
                call.tx, call.who.org_id, call.who, change.action, change.subject, change.fields, call.request_id
            )
        return answer

    # -- how it ended

    async def _refuse(self, method: Method, call: Call, began: float, error: Exception) -> NoReturn:
        if isinstance(error, aio.AbortError):
            raise error
        refused = _as_refusal(error)
        if refused is None:
            LOG.error("bug", method=method.name, exc_info=error)
        self._done(method, call, began, refused.code if refused else "INTERNAL")
        status = rpc_status.to_status(verdict(refused, call.request_id))
        if wait := refused and refused.metadata.get("retry_after_seconds"):
            call.trailing[rpc.RETRY_AFTER] = wait
        trailing = (*status.trailing_metadata, *call.trailing.items())
        await call.context.abort(status.code, status.details, trailing)
        raise AssertionError("abort raises")

    def _done(self, method: Method, call: Call, began: float, code: str) -> None:
        took_ms = self._clock() - began
        SECONDS.labels(method.name, code).observe(took_ms / 1000)
        LOG.info("rpc", method=method.name, code=code, ms=round(took_ms, 2), request_id=call.request_id)


def _method(descriptor: MethodDescriptor, servicer: object) -> Method:
    options = descriptor.GetOptions().Extensions
    if not descriptor.GetOptions().HasExtension(options_pb2.access):
        raise AssertionError(f"{descriptor.full_name} has no (hum.v1.access) option")
    http, access = options[annotations_pb2.http], authorization.access_of(descriptor)
    personal = access.audience == options_pb2.AUDIENCE_SIGNED_IN
    return Method(descriptor, access, getattr(servicer, descriptor.name), mutates=not http.get, personal=personal)


def _idempotency_key(method: Method, call: Call) -> str | None:
    key = str(dict(call.context.invocation_metadata() or ()).get(rpc.IDEMPOTENCY_KEY, ""))
    if not key or not method.mutates:
        return None
    if len(key) > MAX_IDEMPOTENCY_KEY:
        raise InvalidRequest([FieldError("Idempotency-Key", f"is longer than {MAX_IDEMPOTENCY_KEY} characters")])
    return key


def _hash(request: Message) -> bytes:
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def _replay(method: Method, call: Call, seen: idempotency.Remembered, body_hash: bytes) -> Message:
    if (seen.method, seen.body_hash) != (method.name, body_hash):
        raise IdempotencyMismatch
    call.trailing[rpc.REPLAYED] = "true"
    return method.response_type.FromString(seen.answer)


def _principal(asker: Asker) -> Principal:
    return Principal(
        asker.org_id,
        asker.role,
        asker.scopes,
        asker.key_id,
        asker.session_id,
        asker.user_id,
        asker.name,
        asker.site_admin,
    )


def _credential(context: "aio.ServicerContext[Any, Any]") -> str:
    return str(dict(context.invocation_metadata() or ()).get(rpc.CREDENTIAL, ""))


def _as_refusal(error: Exception) -> Refused | None:
    """The refusal that an exception means; None for a bug."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, asyncpg.LockNotAvailableError | asyncpg.DeadlockDetectedError | asyncpg.SerializationError):
        return Conflict()
    return Unavailable() if isinstance(error, AWAY) else None


def verdict(refused: Refused | None, request_id: str) -> status_pb2.Status:
    """The status of a refusal, or of a bug, as google.rpc.Status: one ErrorInfo, and BadRequest where fields are bad."""
    if refused is None:
        message = f"something went wrong here; mention {request_id}"
        return status_pb2.Status(
            code=grpc.StatusCode.INTERNAL.value[0], message=message, details=[_info("INTERNAL", {})]
        )
    details = [_info(refused.reason, refused.metadata)]
    if refused.fields:
        details.append(_bad_request(refused.fields))
    code: int = grpc.StatusCode[refused.code].value[0]
    return status_pb2.Status(code=code, message=str(refused), details=details)


def _info(reason: str, metadata: Mapping[str, str]) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(reason=reason, domain=rpc.ERROR_DOMAIN, metadata=metadata))
    return packed


def _bad_request(fields: Sequence[FieldError]) -> any_pb2.Any:
    violation = error_details_pb2.BadRequest.FieldViolation
    packed = any_pb2.Any()
    packed.Pack(
        error_details_pb2.BadRequest(
            field_violations=[violation(field=each.field, description=each.reason) for each in fields]
        )
    )
    return packed
