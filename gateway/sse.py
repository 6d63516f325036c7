"""Server-sent events from a gRPC stream (WHATWG HTML, "Server-sent events").

Each event carries its sequence as `id`, where it has one; a comment keeps idle connections open; a reconnect sends
`Last-Event-ID` and gets what came after it, or 204 when nothing ever will.
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
from hum import jsonwire, rpc
from hum.v1 import options_pb2

HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would buffer events
}
RETRY_MS = (1000, 3000)  # spreads out the reconnects of clients


def last_event_id(request: Request) -> str:
    """What the client sends as `Last-Event-ID`; empty without one."""
    return request.headers.get("last-event-id", "").strip()


def sequence(sent: str) -> int | None:
    """The sequence of an event's id; None when it is not one of ours."""
    return int(sent) if sent.isascii() and sent.isdecimal() and len(sent) < 19 else None


async def respond(call: Any, heartbeat_seconds: float, closing: asyncio.Event, scope: Scope) -> Response:
    """Answer with the stream; raises AioRpcError when control refuses it."""
    initial = dict(await call.initial_metadata())
    if initial.get(rpc.STREAM) == "over":
        return Response(status_code=204, headers=HEADERS)
    if rpc.STREAM not in initial:  # a refusal before the stream began
        await call.read()
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
    except AioRpcError as error:  # the client reconnects with the last id it saw
        scope[errors.CUT] = errors.cut(error).status
    finally:
        ending.cancel()
        reading.cancel()
        call.cancel()


def event(message: Message) -> bytes:
    """One event of a stream: the set member of the response's oneof is its name and its data."""
    which = message.WhichOneof("event")
    assert which is not None, "a stream sends events"
    field = message.DESCRIPTOR.fields_by_name[which]
    name = field.GetOptions().Extensions[options_pb2.sse_event]
    data = jsonwire.write_field(message, which)
    sequence = getattr(message, "seq", 0)
    head = f"id: {sequence}\n" if sequence else ""
    return f"{head}event: {name}\ndata: ".encode() + data + b"\n\n"


def event_names(binding: Binding) -> dict[str, str]:
    """The events of a stream and the fields that are their data, for the OpenAPI document."""
    return {
        field.GetOptions().Extensions[options_pb2.sse_event]: field.name
        for field in binding.method.output_type.oneofs_by_name["event"].fields
    }
