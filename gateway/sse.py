"""Server-sent events from a gRPC stream (WHATWG HTML, "Server-sent events").

An event carries its sequence as `id`, if it has one.  A comment keeps idle connections open.  A client that reconnects
sends `Last-Event-ID` and gets the events after it, or 204 if the stream is over.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.message import Message
from grpc.aio import EOF, AioRpcError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Scope

from gateway import errors
from gateway.contract import Binding
from hum import rpc
from hum.contract import wire
from hum.v1 import options_pb2

HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would buffer events
}
RETRY_MS = (1000, 3000)  # spreads out the reconnects of clients


def last_event_id(request: Request) -> str:
    """Return the client's `Last-Event-ID`; empty without one."""
    return request.headers.get("last-event-id", "").strip()


def sequence(sent: str) -> int | None:
    """Return the sequence in an event's id; None if it is not one of ours."""
    return int(sent) if sent.isascii() and sent.isdecimal() and len(sent) < 19 else None


async def respond(call: Any, heartbeat_seconds: float, closing: asyncio.Event, scope: Scope) -> Response:
    """Answer with the stream; raises AioRpcError when control refuses it."""
    initial = dict(await call.initial_metadata())
    if initial.get(rpc.STREAM) == "over":
        return Response(status_code=204, headers=HEADERS)
    if rpc.STREAM not in initial:
        await call.read()  # raises the refusal
    events = _events(call, heartbeat_seconds, closing, scope)
    return StreamingResponse(events, media_type="text/event-stream", headers=HEADERS)


async def _events(call: Any, heartbeat_seconds: float, closing: asyncio.Event, scope: Scope) -> AsyncIterator[bytes]:
    yield f"retry: {random.randint(*RETRY_MS)}\n\n".encode()
    ending = asyncio.ensure_future(closing.wait())
    reading: asyncio.Future[Any] = asyncio.ensure_future(call.read())
    try:
        while not closing.is_set():
            await asyncio.wait({reading, ending}, timeout=heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                yield b": still here\n\n"
                continue
            message = reading.result()
            if message is EOF:
                return
            yield event(message)
            reading = asyncio.ensure_future(call.read())
    except AioRpcError as error:  # the client reconnects
        scope[errors.CUT_STATUS] = errors.truncated_response(error).status
    finally:
        ending.cancel()
        reading.cancel()
        call.cancel()


def event(message: Message) -> bytes:
    """Return one event of a stream: the member of the response's oneof that is set is its name and its data."""
    which = message.WhichOneof("event")
    assert which is not None, "a stream sends events"
    field = message.DESCRIPTOR.fields_by_name[which]
    name = field.GetOptions().Extensions[options_pb2.sse_event]
    data = wire.write_field(message, which)
    sequence = getattr(message, "seq", 0)
    head = f"id: {sequence}\n" if sequence else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"


def event_names(binding: Binding) -> dict[str, str]:
    """Return the events of a stream and the fields that hold their data, for the OpenAPI document."""
    return {
        field.GetOptions().Extensions[options_pb2.sse_event]: field.name
        for field in binding.method.output_type.oneofs_by_name["event"].fields
    }
