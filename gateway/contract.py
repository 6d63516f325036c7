"""The contract as HTTP sees it, read from descriptors: which RPC answers which verb and path.

Routes (`transcode`) and the OpenAPI document (`openapi`) come from this one walk over every service of `hum.v1`: a new
proto file needs no line here.  A field that HTTP or JSON can't carry is an error at start, which names it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from google.api import annotations_pb2, http_pb2
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from hum.contract import wire
from hum.contract.services import services
from hum.json.values import Unsupported
from hum.v1 import options_pb2

HTTP_BODY = "google.api.HttpBody"
MASK = "update_mask"
#: Field of a stream's request that the header `Last-Event-ID` fills.
EVENT_ID = "last_event_id"
#: Field of a file's request that the header `Range` fills.
RANGE = "range"


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

    @cached_property
    def made_field(self) -> str:
        """The boolean field of the response that selects `status` over 200; empty if `status` always holds."""
        name: str = self.method.GetOptions().Extensions[options_pb2.rest].made_field
        return name

    @cached_property
    def asks_model(self) -> bool:
        """Whether control asks the model to answer, which takes longer than a query."""
        asks: bool = self.method.GetOptions().Extensions[options_pb2.rest].asks_model
        return asks

    def status_of(self, answer: Message) -> int:
        """Return the status of an answer."""
        return self.status if not self.made_field or getattr(answer, self.made_field) else 200

    @property
    def media_types(self) -> tuple[str, ...]:
        """The media types of a file, the usual one first."""
        rest = self.method.GetOptions().Extensions[options_pb2.rest]
        return tuple(filter(None, (rest.media_type, *rest.other_media_types)))

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
        """The type of the body, if there is one."""
        if self.whole_body:
            return self.method.input_type
        return self.body_field.message_type if self.body_field else None

    @cached_property
    def body_fields(self) -> tuple[FieldDescriptor, ...]:
        """The fields that the body may fill: those of its message that the path doesn't."""
        fields = self.body_type.fields if self.body_type else ()
        return tuple(field for field in fields if not (self.whole_body and field.name in self.path_fields))

    @cached_property
    def text_type(self) -> str:
        """The media type of a body that is accepted besides JSON and fills `text_field`; empty if there is none."""
        return str(self.method.GetOptions().Extensions[options_pb2.rest].text_type)

    @cached_property
    def text_field(self) -> str:
        return str(self.method.GetOptions().Extensions[options_pb2.rest].text_field)

    @cached_property
    def has_update_mask(self) -> bool:
        """Whether the body's members are the update's mask."""
        return self.method.input_type.fields_by_name.get(MASK) is not None

    @cached_property
    def query_fields(self) -> tuple[FieldDescriptor, ...]:
        """The fields that the query may fill: those that path, body and headers don't."""
        if self.whole_body:
            return ()
        filled = {*self.path_fields, self.rule.body, MASK, RANGE}
        return tuple(field for field in self.method.input_type.fields if field.name not in filled)

    @cached_property
    def fields_beside_text(self) -> tuple[FieldDescriptor, ...]:
        """The fields that the query may fill if the body is a text."""
        instead = self.method.GetOptions().Extensions[options_pb2.rest].instead_of_text
        filled = {*self.path_fields, self.text_field, *instead}
        return tuple(field for field in self.method.input_type.fields if self.text_type and field.name not in filled)

    @cached_property
    def answer_type(self) -> Descriptor | None:
        """The message that is written as the JSON of an answer, or of a stream's events; None for a file."""
        if self.is_file:
            return None
        field = self.method.output_type.fields_by_name.get(self.rule.response_body)
        return field.message_type if field and field.message_type else self.method.output_type

    @property
    def is_file(self) -> bool:
        return bool(self.method.output_type.full_name == HTTP_BODY)

    @property
    def is_stream(self) -> bool:
        return bool(self.method.server_streaming) and not self.is_file


def bindings(of_services: Iterable[ServiceDescriptor] | None = None) -> list[Binding]:
    """Return every RPC that has a `google.api.http` option, once for each of its paths.  Raises Unsupported."""
    all_bindings = []
    for service in services() if of_services is None else of_services:
        for method in service.methods:
            rule = method.GetOptions().Extensions[annotations_pb2.http]
            for http_rule in (rule, *rule.additional_bindings):
                if verb := http_rule.WhichOneof("pattern"):
                    binding = Binding(verb.upper(), getattr(http_rule, verb), http_rule, method)
                    _require_supported(binding)
                    all_bindings.append(binding)
    return all_bindings


def _require_supported(binding: Binding) -> None:
    request = binding.method.input_type
    wire.require_supported(type for type in (binding.body_type, binding.answer_type) if type is not None)
    for name in binding.path_fields:
        field = request.fields_by_name[name]
        if field.is_repeated or field.type != FieldDescriptor.TYPE_STRING:
            raise Unsupported(field, f"is not a string, which {binding.path} needs")
    for field in (*binding.query_fields, *binding.fields_beside_text):
        wire.require_in_query(field)
    if binding.is_stream and "event" not in binding.method.output_type.oneofs_by_name:
        raise ValueError(f"{binding.method.full_name} is a stream whose answers have no oneof `event`")
