"""A call's own stream of events: members of `StreamCallResponse`, stored as JSON and sent unchanged."""

import json
from datetime import datetime
from functools import cache
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from hum.contract import wire
from hum.json import names as jsonnames
from hum.json.schemas import bad_value
from hum.v1 import calls_pb2 as pb
from hum.v1 import options_pb2
from storage import call_events
from storage.call_events import CallEventRow
from storage.db import Tx

M = TypeVar("M", bound=Message)

_MEMBERS = pb.StreamCallResponse.DESCRIPTOR.oneofs_by_name["event"].fields
_TYPES = {field.name: str(field.GetOptions().Extensions[options_pb2.sse_event]) for field in _MEMBERS}
_NAMES = {type: name for name, type in _TYPES.items()}
_RAW_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


async def append_event(tx: Tx, call: UUID, at: datetime, **event: Any) -> None:
    """Append an event, one member of the oneof, to the stream of a locked call."""
    ((name, message),) = event.items()
    await call_events.append(tx, call, _TYPES[name], encode(message), at)


def streamed(row: CallEventRow) -> pb.StreamCallResponse:
    """Return a stored event as the stream sends it; for a type of a later release, only its sequence."""
    response = pb.StreamCallResponse(seq=row.seq)
    response.at.FromDatetime(row.at)
    if (name := _NAMES.get(row.type)) is not None:
        decode(row.data, getattr(response, name))
    return response


def encode(message: Message) -> str:
    """Encode a message for a JSON column."""
    return wire.write(storable(message)).decode()


def storable(message: M) -> M:
    """Return a message whose free-form JSON is valid: invalid JSON from a model or a tool becomes a string."""
    bad = [name for name in _raw_fields(message.DESCRIPTOR) if (text := getattr(message, name)) and bad_value(text)]
    if not bad:
        return message
    copy = type(message)()
    copy.CopyFrom(message)
    for name in bad:
        setattr(copy, name, json.dumps(getattr(message, name)))
    return copy


def decode(text: str, into: M) -> M:
    """Decode what `encode` wrote into an empty message, and return it.  Members of a later release are ignored.

    Free-form JSON is unchanged, even a bare string or number.
    """
    into.SetInParent()
    wire.read_body(text.encode(), into, [])
    members = _RAW_MEMBERS.decode(text)
    for name, member in _raw_fields(into.DESCRIPTOR).items():
        if (raw := members.get(member)) is not None and bytes(raw) != b"null":
            setattr(into, name, bytes(raw).decode())
    return into


@cache
def _raw_fields(descriptor: Descriptor) -> dict[str, str]:
    """Return the fields with free-form JSON, and their names in JSON."""
    return {field.name: jsonnames.rest_name(field) for field in descriptor.fields if jsonnames.is_raw_json(field)}
