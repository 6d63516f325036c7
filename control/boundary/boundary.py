"""The gRPC handlers of servicers."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from grpc import aio
from grpc_status import rpc_status

from control.base.streams import StreamLimits
from control.boundary.auditing import AuditLog
from control.boundary.authentication import Authentication
from control.boundary.context import ActionContext, TenantContext, TransactionContext, require_fit
from control.boundary.idempotency import Act, Idempotency, hash_of
from control.boundary.incoming import IncomingRequest
from control.boundary.method import Method
from control.boundary.openstreams import OpenStreams
from control.boundary.ratelimits import RateLimits
from control.boundary.requestconcurrency import ConcurrencyLimits
from control.boundary.status import refusal, status
from control.bus import Bus
from hum import rpc
from hum.clock import Clock, monotonic_ms
from hum.contract import validation
from hum.contract.errors import FieldError, InvalidRequest
from hum.observe.logs import log
from storage.db import Db

LOG = log(__name__)
#: Seconds in which an admitted client must have sent its message; the gateway sends only complete messages.
MESSAGE_SECONDS = 5.0
#: Messages of an organization that are read at a time; of the others, gRPC has 64 KiB each.  Unread halves of more, each of up to
#: `rpc.MAX_MESSAGE_BYTES`, would fill the memory.
MESSAGES_AT_ONCE = 4
#: The longest message of a method that stores nothing, ends something, or answers with a stream; other messages are counted first.
MAX_QUERY_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class _Requests:
    """The beginnings of requests; `note` is called then, and when one ends: what it wrote may be work for the workers."""

    clock: Clock
    note: Callable[[], None]

    def begin(self, method: Method, context: "aio.ServicerContext[Any, Any]") -> IncomingRequest:
        self.note()
        return IncomingRequest.begin(method, context, self.clock)


class Boundary:
    """Authentication, idempotency, the servicers and the audit log, composed."""

    def __init__(
        self,
        db: Db,
        node_keys: Sequence[bytes],
        limits: RateLimits,
        streams: StreamLimits,
        concurrency: ConcurrencyLimits,
        *,
        keep_keys: timedelta,
        lease: timedelta,
        bus: Bus,
        audit: AuditLog,
        recheck_seconds: float,
        note: Callable[[], None] = lambda: None,
        clock: Clock = monotonic_ms,
    ) -> None:
        #: The rate limits of addresses that send unknown credentials or tokens.
        self.unknown = limits.unknown
        #: The organizations' concurrency limits, for work that continues after authentication.
        self.concurrency = concurrency
        self._reading = ConcurrencyLimits(MESSAGES_AT_ONCE, MESSAGE_SECONDS, "incoming messages")
        self._authentication, self._streams = Authentication(db, node_keys, limits, concurrency, clock), streams
        self._open_streams = OpenStreams(self._authentication, bus, recheck_seconds, clock)
        self._db, self._idempotency = db, Idempotency(db, keep_keys, lease)
        self._audit, self._requests = audit, _Requests(clock, note)

    def handlers(self, services: Mapping[ServiceDescriptor, object]) -> list[grpc.GenericRpcHandler]:
        """Return the handlers of these servicers."""
        return [
            grpc.method_handlers_generic_handler(
                service.full_name,
                {method.name: self._handler(Method.of(method, servicer)) for method in service.methods},
            )
            for service, servicer in services.items()
        ]

    def _handler(self, method: Method) -> "grpc.RpcMethodHandler[Any, Any]":
        """Return a handler that reads requests as a stream, also of unary methods.

        For a unary request, grpc would read the whole message before the client is authenticated.
        """
        require_fit(method)
        make, serve = (
            (grpc.stream_stream_rpc_method_handler, self._stream)
            if method.descriptor.server_streaming
            else (grpc.stream_unary_rpc_method_handler, self._unary)
        )

        # A partial, since grpc checks whether the handler is a coroutine function.  No deserializer, since grpc answers
        # a malformed request with INTERNAL.
        return make(
            partial(serve, method),
            request_deserializer=None,
            response_serializer=method.response_type.SerializeToString,
        )

    # -- unary and streaming methods

    async def _unary(
        self, method: Method, sent: AsyncIterator[bytes], context: "aio.ServicerContext[Any, Any]"
    ) -> Message | None:
        incoming = self._requests.begin(method, context)
        try:
            answer = await self._answer(incoming, sent)
        except asyncio.CancelledError:
            incoming.end_cancelled()
            raise
        # The boundary of an RPC: `_refuse` makes a status of whatever it is, and logs a bug.
        except Exception as error:  # noqa: BLE001
            _refuse(incoming, error)
            return None
        finally:
            self._requests.note()
        context.set_trailing_metadata(tuple(incoming.trailing.items()))
        incoming.end("OK")
        return answer

    async def _stream(self, method: Method, sent: Any, context: "aio.ServicerContext[Any, Any]") -> None:
        """Write a stream's messages.

        This is no generator: one that grpc abandons at a `yield` learns neither why nor when.
        """
        incoming = self._requests.begin(method, context)
        try:
            if method.for_nodes:
                node = self._authentication.node(incoming)
                is_streaming = method.descriptor.client_streaming
                request = _read_all(method, sent) if is_streaming else method.read(await _only(sent))
                await _send(context, method.handler(request, node))
            else:
                await self._stream_to_tenant(incoming, sent)
        except asyncio.CancelledError:
            incoming.end_cancelled()
            raise
        # As above.
        except Exception as error:  # noqa: BLE001
            _refuse(incoming, error)
            return
        context.set_trailing_metadata(tuple(incoming.trailing.items()))
        incoming.end("OK")

    async def _stream_to_tenant(self, incoming: IncomingRequest, sent: AsyncIterator[bytes]) -> None:
        """Send the stream that a tenant requested, for as long as the credential permits it."""
        method = incoming.method
        async with self._open_streams.open(method.access) as stream:
            async with self._authentication.tenant(incoming) as admitted:
                ctx = TenantContext(incoming, admitted.credential, admitted.principal, admitted.organization)
            self._open_streams.admit(stream, ctx)
            async with self._reading.enter(ctx.organization):
                request = _valid(method, await _read(method, sent))
            with self._streams.slot(ctx.credential, ctx.organization):
                messages = method.handler(request, ctx)
                if method.access.audits_reads:
                    messages = self._audited(method, request, ctx, messages)
                await _send(incoming.context, messages)

    async def _audited(
        self, method: Method, request: Message, ctx: TenantContext, messages: AsyncGenerator[Message, None]
    ) -> AsyncGenerator[Message, None]:
        """Write a stream to the audit log before its first message; a refused stream has none and is not written."""
        is_noted = False
        async with aclosing(messages) as stream:
            async for message in stream:
                if not is_noted:
                    async with self._db.tenant(ctx.organization) as tx:
                        await self._audit.append_read(
                            tx, ctx.principal, method.descriptor, request, message, ctx.request_id
                        )
                    is_noted = True
                yield message

    # -- a unary method's answer

    async def _answer(self, incoming: IncomingRequest, sent: AsyncIterator[bytes]) -> Message:
        method = incoming.method
        if method.for_nodes:
            node = self._authentication.node(incoming)
            answer: Message = await method.handler(method.read(await _only(sent)), node)
            return answer
        _, _, owner = await self._authentication.recognize(incoming)
        async with self._reading.enter(owner.id):
            message = await _read(method, sent)
        try:
            return await self._act(incoming, message)
        finally:
            self._authentication.charge(incoming, owner.organization)

    async def _act(self, incoming: IncomingRequest, message: bytes) -> Message:
        """Admit a tenant's request and run the servicer, or replay its answer."""
        method, stored_bytes = incoming.method, _stored_first(incoming, message)
        count = partial(_count_changes, incoming, len(message), stored_bytes)
        if method.personal:
            async with self._authentication.signed_in(incoming, stored_bytes) as person:
                request = _valid(method, message)
                act = partial(method.handler, request, person)
                return await self._idempotency.inside(person, request, partial(count, act))
        async with self._authentication.tenant(incoming, stored_bytes) as ctx:
            request = _valid(method, message)
            if not method.access.acts_outside:
                change = partial(self._change, method, request, ctx)
                return await self._idempotency.inside(ctx, request, partial(count, change))
        key, body_hash = incoming.idempotency_key, hash_of(request)
        action = ActionContext(incoming, ctx.credential, ctx.principal, ctx.organization, key, body_hash)
        return await self._idempotency.outside(action, partial(count, partial(method.handler, request, action)))

    async def _change(self, method: Method, request: Message, ctx: TransactionContext) -> Message:
        """Run the servicer, and append a change in an organization or an audited read to its audit log."""
        answer: Message = await method.handler(request, ctx)
        if getattr(request, "validate_only", False):
            return answer  # nothing was changed
        if method.mutates:
            await self._audit.append_change(ctx.tx, ctx.principal, method.descriptor, request, answer, ctx.request_id)
        elif method.access.audits_reads:
            await self._audit.append_read(ctx.tx, ctx.principal, method.descriptor, request, answer, ctx.request_id)
        return answer


def _stored_first(incoming: IncomingRequest, message: bytes) -> int:
    """Return the bytes that count before the request acts: it waits until they fit.

    At least one byte if the request stores anything, an answer for its Idempotency-Key included; 0 if it ends something.
    """
    method = incoming.method
    keeps_answer = method.mutates and rpc.IDEMPOTENCY_KEY in incoming.metadata
    return max(1, len(message)) if (method.stores or keeps_answer) and not method.ends else 0


async def _count_changes(incoming: IncomingRequest, message_bytes: int, counted_bytes: int, act: Act) -> Message:
    """Run the servicer, and count the larger of message and answer, less what was counted before.

    The answer to a change shows what was written: a short message may write a whole definition.
    """
    answer = await act()
    if incoming.method.stores:
        incoming.count_stored(max(0, max(message_bytes, answer.ByteSize()) - counted_bytes))
    return answer


async def _only(sent: AsyncIterator[bytes]) -> bytes:
    """Return the only message of a unary request.  Raises InvalidRequest."""
    try:
        async with asyncio.timeout(MESSAGE_SECONDS):
            return await anext(sent)
    except StopAsyncIteration:
        raise InvalidRequest([FieldError("", "no message was sent")]) from None
    except TimeoutError:
        raise InvalidRequest([FieldError("", f"the message did not come within {MESSAGE_SECONDS:g} s")]) from None


async def _read(method: Method, sent: AsyncIterator[bytes]) -> bytes:
    """Return the only message of a tenant's request.  Raises InvalidRequest, also if it is too long."""
    message = await _only(sent)
    # Protobuf keeps unknown fields, so a stream would hold all of its request for as long as it lasts.
    is_counted_first = method.stores and not method.ends and not method.descriptor.server_streaming
    if not is_counted_first and len(message) > MAX_QUERY_BYTES:
        raise InvalidRequest([FieldError("", f"is longer than {MAX_QUERY_BYTES >> 10} KiB")])
    return message


def _valid(method: Method, message: bytes) -> Message:
    """Parse and validate a request.  Raises InvalidRequest."""
    request = method.read(message)
    validation.require_valid(request)
    return request


async def _read_all(method: Method, messages: AsyncIterator[bytes]) -> AsyncIterator[Message]:
    async for message in messages:
        yield method.read(message)


async def _send(context: "aio.ServicerContext[Any, Any]", stream: AsyncGenerator[Message, None]) -> None:
    """Send a stream's messages, and close the stream also after an error."""
    async with aclosing(stream) as messages:
        async for message in messages:
            await _write(context, message)


async def _write(context: "aio.ServicerContext[Any, Any]", message: Message) -> None:
    """Send a message of a stream.

    Raises CancelledError if the client has disconnected, as grpc itself does between writes.
    """
    try:
        await context.write(message)
    except aio.InternalError as error:
        # The client disconnected before it had read this message.
        raise asyncio.CancelledError from error


def _refuse(incoming: IncomingRequest, error: Exception) -> None:
    """Give the request the status of an error.

    `abort` would raise: gRPC keeps its exception with the request, whose traceback keeps the request, and all that arrived of its message
    would stay in memory until Python collects cycles.
    """
    if isinstance(error, aio.AbortError):
        raise error
    refused = refusal(error)
    if refused is None:
        LOG.error("unhandled exception", method=incoming.method.name, exc_info=error)
    incoming.end(refused.code if refused else "INTERNAL")
    answer = rpc_status.to_status(status(refused, incoming.request_id))
    if wait := refused and refused.metadata.get("retry_after_seconds"):
        incoming.trailing[rpc.RETRY_AFTER] = wait
    incoming.context.set_code(answer.code)
    incoming.context.set_details(answer.details)
    incoming.context.set_trailing_metadata((*answer.trailing_metadata, *incoming.trailing.items()))
