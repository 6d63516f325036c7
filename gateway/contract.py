"""The contract as HTTP sees it, read from descriptors: which RPC answers which verb and path, and under which names
fields travel.  Routes (`transcode`) and the OpenAPI document (`openapi`) come from this one walk.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from google.api import annotations_pb2, field_behavior_pb2, http_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, FileDescriptor, MethodDescriptor
from google.protobuf.message import Message

from hum.v1 import (
    analytics_pb2,
    audit_pb2,
    calls_pb2,
    contacts_pb2,
    flows_pb2,
    identity_pb2,
    numbers_pb2,
    options_pb2,
    review_pb2,
    team_pb2,
)

FILES: tuple[FileDescriptor, ...] = tuple(
    module.DESCRIPTOR
    for module in (
        identity_pb2,
        team_pb2,
        audit_pb2,
        flows_pb2,
        numbers_pb2,
        calls_pb2,
        contacts_pb2,
        review_pb2,
        analytics_pb2,
    )
)

HTTP_BODY = "google.api.HttpBody"
TIMESTAMP = "google.protobuf.Timestamp"
MASK = "update_mask"
EVENT_ID = "last_event_id"  # of a stream's request: the header `Last-Event-ID`
RANGE = "range"  # of a file's request: the header `Range`


@dataclass(frozen=True)
class Binding:
    """One RPC under one verb and path."""

    verb: str
    path: str
    rule: http_pb2.HttpRule
    method: MethodDescriptor

    @cached_property
    def request_type(self) -> type[Message]:
        return message_factory.GetMessageClass(self.method.input_type)

    @cached_property
    def response_type(self) -> type[Message]:
        return message_factory.GetMessageClass(self.method.output_type)

    @cached_property
    def rpc(self) -> str:
        """The gRPC path."""
        return f"/{self.method.containing_service.full_name}/{self.method.name}"

    @cached_property
    def status(self) -> int:
        """The status of success."""
        status: int = self.method.GetOptions().Extensions[options_pb2.rest].status
        return status or 200

    @property
    def media_type(self) -> str:
        """Of a file: what its bytes are."""
        return str(self.method.GetOptions().Extensions[options_pb2.rest].media_type)

    @cached_property
    def path_fields(self) -> tuple[str, ...]:
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))

    @cached_property
    def body_field(self) -> FieldDescriptor | None:
        """The field that the body fills; None for no body, or for a body that fills the request itself."""
        return self.method.input_type.fields_by_name.get(self.rule.body)

    @property
    def whole_body(self) -> bool:
        return bool(self.rule.body == "*")

    @cached_property
    def body_type(self) -> Descriptor | None:
        """What the body holds, if there is one."""
        if self.whole_body:
            return self.method.input_type
        return self.body_field.message_type if self.body_field else None

    @cached_property
    def masked(self) -> bool:
        """Whether the body's members are the update's mask."""
        return self.method.input_type.fields_by_name.get(MASK) is not None

    @cached_property
    def query_fields(self) -> tuple[FieldDescriptor, ...]:
        """What the query may hold: whatever path, body and headers don't fill."""
        if self.whole_body:
            return ()
        filled = {*self.path_fields, self.rule.body, MASK, EVENT_ID, RANGE}
        return tuple(field for field in self.method.input_type.fields if field.name not in filled)

    @property
    def is_file(self) -> bool:
        return bool(self.method.output_type.full_name == HTTP_BODY)

    @property
    def is_stream(self) -> bool:
        return bool(self.method.server_streaming) and not self.is_file


def bindings(files: Iterable[FileDescriptor] = FILES) -> Iterator[Binding]:
    """Every RPC that has a `google.api.http` option, under each of its paths."""
    for file in files:
        for service in file.services_by_name.values():
            for method in service.methods:
                rule = method.GetOptions().Extensions[annotations_pb2.http]
                for each in (rule, *rule.additional_bindings):
                    if verb := each.WhichOneof("pattern"):
                        yield Binding(verb.upper(), getattr(each, verb), each, method)


def rest_name(field: FieldDescriptor) -> str:
    """The field's name in REST: the proto's own, unless `(hum.v1.rest_name)` or `json_name` says another."""
    if chosen := field.GetOptions().Extensions[options_pb2.rest_name]:
        return str(chosen)
    head, *rest = field.name.split("_")
    lower_camel = head + "".join(part.capitalize() for part in rest)
    return field.name if field.json_name == lower_camel else field.json_name


def is_raw_json(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[options_pb2.raw_json])


def is_read_only(field: FieldDescriptor) -> bool:
    return field_behavior_pb2.OUTPUT_ONLY in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


def enum_words(enum: EnumDescriptor) -> dict[str, int]:
    """An enum's values by the words that travel: lower case, without prefix, without the unspecified."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number}
