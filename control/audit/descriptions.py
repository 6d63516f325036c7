"""The audit log's description of a request, from the request and its answer by the contract's own options."""

from dataclasses import dataclass

from google.api import annotations_pb2
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

MASK = "update_mask"


@dataclass(frozen=True, slots=True)
class AuditedChange:
    """An operation, the id of its subject, and the names of the fields that were set, without their values."""

    action: str
    subject: str
    fields: tuple[str, ...]


def describe(method: MethodDescriptor, request: Message, answer: Message) -> AuditedChange:
    """Describe a request.  The subject is the resource in the path, or else the created one in the answer."""
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    path = getattr(rule, rule.WhichOneof("pattern") or "post")
    path_ids = [str(getattr(request, part[1:-1])) for part in path.split("/") if part.startswith("{")]
    return AuditedChange(
        action=method.name[0].lower() + method.name[1:],
        subject="/".join(path_ids) or _created_id(answer, rule.response_body),
        fields=_fields(request, rule.body, {part[1:-1] for part in path.split("/") if part.startswith("{")}),
    )


def _created_id(answer: Message, response_body: str) -> str:
    field = answer.DESCRIPTOR.fields_by_name.get(response_body)
    resource = getattr(answer, response_body) if field is not None and field.message_type else answer
    return str(getattr(resource, "id", ""))


def _fields(request: Message, body: str, in_path: set[str]) -> tuple[str, ...]:
    if request.DESCRIPTOR.fields_by_name.get(MASK) is not None:
        return tuple(sorted(getattr(request, MASK).paths))
    resource = getattr(request, body) if body in request.DESCRIPTOR.fields_by_name else request
    return tuple(field.name for field, _ in resource.ListFields() if field.name not in in_path)
