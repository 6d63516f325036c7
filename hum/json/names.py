"""How the contract's fields appear in JSON, by their options in proto/: names, enum words, read-only fields."""

from functools import cache

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from hum.v1 import options_pb2, validate_pb2

TIMESTAMP = "google.protobuf.Timestamp"


def rest_name(field: FieldDescriptor) -> str:
    """Return the field's name in JSON: the proto's own, unless `(hum.v1.rest_name)` or `json_name` sets another."""
    if explicit := field.GetOptions().Extensions[options_pb2.rest_name]:
        return str(explicit)
    head, *rest = field.name.split("_")
    lower_camel = head + "".join(part.capitalize() for part in rest)
    return field.name if field.json_name == lower_camel else field.json_name


def query_alias(field: FieldDescriptor) -> str:
    """Return the older name of a query parameter; empty if it has none."""
    return str(field.GetOptions().Extensions[options_pb2.query_alias])


def is_raw_json(field: FieldDescriptor) -> bool:
    return bool(field.GetOptions().Extensions[options_pb2.raw_json])


def is_as_input(field: FieldDescriptor) -> bool:
    """Return whether an answer has a message without its read-only fields."""
    return bool(field.GetOptions().Extensions[options_pb2.as_input])


def is_read_only(field: FieldDescriptor) -> bool:
    return field_behavior_pb2.OUTPUT_ONLY in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]


@cache
def is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


@cache
def message_type(field: FieldDescriptor) -> Descriptor | None:
    """Return the message type of a field, of its items or of its map's values; None for a scalar."""
    if is_map(field) and field.message_type is not None:
        return field.message_type.fields_by_name["value"].message_type
    return field.message_type


def enum_words(enum: EnumDescriptor) -> dict[str, int]:
    """Return an enum's values by their words in JSON: lower case, without the prefix, without the unspecified value."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return {value.name.removeprefix(prefix).lower(): value.number for value in enum.values if value.number}


@cache
def most_items(field: FieldDescriptor) -> int:
    """Return the most items that a list or a map may have; 0 if its rules set no limit."""
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return int(rules.map.max_pairs if is_map(field) else rules.repeated.max_items)


def too_many(most: int) -> str:
    """Return protovalidate's message for a list of more items."""
    return f"must contain no more than {most} item(s)"
