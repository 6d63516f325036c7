"""The gRPC handlers of servicers."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from grpc import aio
from grpc_status import rpc_status

from control.audit.usecases import note_read, note_request
from control.base.streams import Streams
from control.boundary.admission import Admission, Limits
from control.boundary.call import Call
from control.boundary.lanes import Lanes
from control.boundary.method import Method
from control.boundary.once import Idempotency, hash_of
from control.boundary.openstreams import OpenStreams
from control.boundary.passage import Passage
from control.boundary.status import refusal, status
from control.bus import Bus
from hum.clock import Clock, monotonic_ms
from hum.contract import rpc, validation
from hum.contract.errors import FieldError, InvalidRequest
from hum.observe.telemetry import log
from storage.db import Db

LOG = log(__name__)
#: Seconds in which an admitted client must have sent its message; the gateway sends only complete messages.
MESSAGE_SECONDS = 5.0


class Boundary:
    """Admission, idempotency, the servicers and the audit log, composed."""

    def __init__(
        self,
        db: Db,
        node_keys: Sequence[bytes],
        limits: Limits,
        streams: Streams,
        lanes: Lanes,
        *,
        keep_keys: timedelta,
        lease: timedelta,
        bus: Bus,
        recheck_seconds: float,
        clock: Clock = monotonic_ms,
    ) -> None:
        #: The rate limits of addresses that send unknown credentials or tokens.
        self.unknown = limits.unknown
        #: The organizations' concurrency limits, for work that continues after admission.
        self.lanes = lanes
        self._admission, self._streams = Admission(db, node_keys, limits, lanes, clock), streams
        self._open_streams = OpenStreams(self._admission, bus, recheck_seconds, clock)
        self._db, self._idempotency = db, Idempotency(db, keep_keys, lease)
        self._clock = clock

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
        passage = Passage.begin(method, context, self._clock)
        try:
            answer = await self._answer(passage, sent)
        except asyncio.CancelledError:
            passage.end_cancelled()
            raise
        except Exception as error:  # noqa: BLE001 - bugs become statuses here
            await _refuse(passage, error)
        context.set_trailing_metadata(tuple(passage.trailing.items()))
        passage.end("OK")
        return answer

    async def _stream(self, method: Method, sent: Any, context: "aio.ServicerContext[Any, Any]") -> None:
        """Write a stream's messages.

        This is no generator: one that grpc abandons at a `yield` learns neither why nor when.
        """
        passage = Passage.begin(method, context, self._clock)
        try:
            if method.for_nodes:
                node = self._admission.node(passage)
                is_streaming = method.descriptor.client_streaming
                request = _read_all(method, sent) if is_streaming else method.read(await _only(sent))
                await _send(context, method.handler(request, node))
            else:
                await self._stream_to_tenant(passage, sent)
        except asyncio.CancelledError:
            passage.end_cancelled()
            raise
        except Exception as error:  # noqa: BLE001 - as above
            await _refuse(passage, error)
        context.set_trailing_metadata(tuple(passage.trailing.items()))
        passage.end("OK")

    async def _stream_to_tenant(self, passage: Passage, sent: AsyncIterator[bytes]) -> None:
        """Send the stream that a tenant requested, for as long as the credential permits it."""
        method = passage.method
        async with self._open_streams.one(method.access) as stream:
            async with self._admission.tenant(passage) as admitted:
                call = Call.of_stream(passage, admitted.credential, admitted.who)
            self._open_streams.admit(stream, call)
            request = method.read(await _only(sent))
            validation.require_valid(request)
            with self._streams.one(call.credential, call.who.organization):
                messages = method.handler(request, call)
                if method.access.audits_reads:
                    messages = self._audited(method, request, call, messages)
                await _send(passage.context, messages)

    async def _audited(
        self, method: Method, request: Message, call: Call, messages: AsyncGenerator[Message, None]
    ) -> AsyncGenerator[Message, None]:
        """Write a stream to the audit log before its first message; a refused stream has none and is not written."""
        is_noted = False
        async with aclosing(messages) as stream:
            async for message in stream:
                if not is_noted:
                    async with self._db.tenant(call.who.org_id) as tx:
                        await note_read(tx, call.who, method.descriptor, request, message, call.request_id)
                    is_noted = True
                yield message

    # -- a unary method's answer

    async def _answer(self, passage: Passage, sent: AsyncIterator[bytes]) -> Message:
        method = passage.method
        if method.for_nodes:
            node = self._admission.node(passage)
            answer: Message = await method.handler(method.read(await _only(sent)), node)
            return answer
        await self._admission.recognize(passage)
        message = await _only(sent)
        async with self._admission.tenant(passage, len(message) if method.mutates else 0) as call:
            request = method.read(message)
            validation.require_valid(request)
            if not method.access.acts_outside:
                return await self._idempotency.inside(passage, call, request, partial(_change, method, request))
        outside = Call.outside(passage, call.credential, call.who, passage.idempotency_key, hash_of(request))
        return await self._idempotency.outside(passage, outside, partial(method.handler, request))


async def _change(method: Method, request: Message, call: Call) -> Message:
    """Run the servicer, and append a change in an organization or an audited read to its audit log."""
    answer: Message = await method.handler(request, call)
    if method.mutates and not method.personal:
        await note_request(call.tx, call.who, method.descriptor, request, answer, call.request_id)
    elif method.access.audits_reads:
        await note_read(call.tx, call.who, method.descriptor, request, answer, call.request_id)
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


async def _refuse(passage: Passage, error: Exception) -> NoReturn:
    if isinstance(error, aio.AbortError):
        raise error
    refused = refusal(error)
    if refused is None:
        LOG.error("unhandled exception", method=passage.method.name, exc_info=error)
    passage.end(refused.code if refused else "INTERNAL")
    answer = rpc_status.to_status(status(refused, passage.request_id))
    if wait := refused and refused.metadata.get("retry_after_seconds"):
        passage.trailing[rpc.RETRY_AFTER] = wait
    trailing = (*answer.trailing_metadata, *passage.trailing.items())
    await passage.context.abort(answer.code, answer.details, trailing)
    raise AssertionError("abort raises")
