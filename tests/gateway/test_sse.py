"""Whatever people and models write: an event stays one event of its stream."""

import json
import re
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from gateway import contract, sse
from hum.contract import wire
from hum.json import names
from hum.v1 import calls_pb2, options_pb2

STREAMS = {binding.method.output_type.full_name: binding for binding in contract.bindings() if binding.is_stream}
#: Every kind of event of every stream.
MEMBERS = [
    field
    for binding in STREAMS.values()
    for field in binding.method.output_type.oneofs_by_name["event"].fields
    if field.message_type is not None
]
#: All of Unicode but lone surrogates, which no message holds; most often what ends a line somewhere, or means something here.
TEXT = st.text(
    st.sampled_from("\0\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\ufeff: ") | st.characters(codec="utf-8"), max_size=20
)
VALUES = st.recursive(
    TEXT | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
#: Free-form JSON as people format it, with their line breaks between its tokens.
RAW = st.builds(
    lambda value, indent, end: json.dumps({"value": value}, indent=indent, ensure_ascii=False) + end,
    VALUES,
    st.sampled_from([None, 2, "\r", "\r\n", "\n\n"]),
    st.sampled_from(["", "\n", "\r\n\r\n"]),
)
NEXT = calls_pb2.StreamCallResponse(seq=2, ended=calls_pb2.CallEnded(status=calls_pb2.CALL_STATUS_COMPLETED))


def filled(message: Any, text: str, raw: str, levels: int = 3) -> Any:
    """The message with this text in each of its fields, and in those of its messages."""
    for field in message.DESCRIPTOR.fields:
        inner = names.message_type(field)
        if field.type == FieldDescriptor.TYPE_STRING:
            value = raw if names.is_raw_json(field) else text
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
        elif inner is not None and inner.file.package == "hum.v1" and not names.is_map(field) and levels:
            held = getattr(message, field.name)
            filled(held.add() if field.is_repeated else held, text, raw, levels - 1)
    return message


def read(stream: bytes) -> list[tuple[str, str, str]]:
    """Id, name and data of each event, as a browser reads a stream (WHATWG HTML, 9.2.6)."""
    events, id = list[tuple[str, str, str]](), ""
    name, data = "", list[str]()
    for line in re.split("\r\n|\n|\r", stream.decode()):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                events.append((id, name, "\n".join(data)))
            name, data = "", []
        elif field == "id":
            id = value
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
        else:
            raise AssertionError(f"no field of an event: {line!r}")
    return events


@given(st.sampled_from(MEMBERS), TEXT, RAW)
def test_an_event_stays_one_event(member: FieldDescriptor, text: str, raw: str) -> None:
    stream = member.containing_type
    assert stream is not None, "a member of a stream's answers"
    message: Message = message_factory.GetMessageClass(stream)()
    filled(getattr(message, member.name), text, raw)
    getattr(message, member.name).SetInParent()
    (_, name, data), after = read(sse.event(message) + sse.event(NEXT))
    assert name == member.GetOptions().Extensions[options_pb2.sse_event]
    assert json.loads(data) == json.loads(wire.write(getattr(message, member.name)))
    assert after[:2] == ("2", "call.ended"), "and the next one is the next one"


def test_every_stream_is_tried() -> None:
    assert len(STREAMS) >= 4
    inner = [field for member in MEMBERS if member.message_type is not None for field in member.message_type.fields]
    assert any(names.is_raw_json(field) for field in inner), "some hold clients' own JSON"
