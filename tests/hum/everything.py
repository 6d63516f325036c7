"""A message with a field of every kind that protobuf has, for the codec's tests: `hum.v1` does not use all of them."""

from typing import Any

from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    field_mask_pb2,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import Message

from hum.v1 import options_pb2

KIND = descriptor_pb2.FieldDescriptorProto
PACKAGE = "hum.test.everything"
SCALARS = (
    "double",
    "float",
    "int32",
    "int64",
    "uint32",
    "uint64",
    "sint32",
    "sint64",
    "fixed32",
    "fixed64",
    "sfixed32",
    "sfixed64",
    "bool",
    "string",
    "bytes",
)
KEYS = tuple(name for name in SCALARS if name not in {"double", "float", "bytes"})
WELL_KNOWN = (
    "Timestamp",
    "Duration",
    "FieldMask",
    "Struct",
    "Value",
    "ListValue",
    "DoubleValue",
    "FloatValue",
    "Int64Value",
    "UInt64Value",
    "Int32Value",
    "UInt32Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
)
IMPORTS = (timestamp_pb2, duration_pb2, field_mask_pb2, struct_pb2, wrappers_pb2, options_pb2)


def file(name: str, package: str) -> descriptor_pb2.FileDescriptorProto:
    made = descriptor_pb2.FileDescriptorProto(name=name, package=package, syntax="proto3")
    made.dependency.extend(module.DESCRIPTOR.name for module in IMPORTS)
    return made


def add(message: descriptor_pb2.DescriptorProto, name: str, type: str, **more: Any) -> Any:
    """A field by a type's word (`int32`), or by a message's or an enum's full name (`.package.Name`, `enum .package.Name`)."""
    field = message.field.add(name=name, number=len(message.field) + 1, label=KIND.LABEL_OPTIONAL, **more)
    if type.startswith("enum "):
        field.type, field.type_name = KIND.TYPE_ENUM, type.removeprefix("enum ")
    elif type.startswith("."):
        field.type, field.type_name = KIND.TYPE_MESSAGE, type
    else:
        field.type = KIND.Type.Value(f"TYPE_{type.upper()}")
    return field


def add_map(message: descriptor_pb2.DescriptorProto, name: str, key: str, value: str, package: str) -> None:
    entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
    entry.options.map_entry = True
    add(entry, "key", key)
    add(entry, "value", value)
    field = add(message, name, f".{package}.{message.name}.{entry.name}")
    field.label = KIND.LABEL_REPEATED


def build(made: descriptor_pb2.FileDescriptorProto, name: str) -> type[Message]:
    """The class of one message of a file that is added to the pool."""
    descriptor_pool.Default().Add(made)
    found = descriptor_pool.Default().FindMessageTypeByName(f"{made.package}.{name}")
    return message_factory.GetMessageClass(found)


def _everything() -> type[Message]:
    made = file("tests/everything.proto", PACKAGE)
    colour = made.enum_type.add(name="Colour")
    for number, word in enumerate(("COLOUR_UNSPECIFIED", "COLOUR_RED", "COLOUR_DARK_BLUE")):
        colour.value.add(name=word, number=number)
    message = made.message_type.add(name="Everything")
    types = {name: name for name in SCALARS}
    types |= {name.lower(): f".google.protobuf.{name}" for name in WELL_KNOWN}
    types |= {"colour": f"enum .{PACKAGE}.Colour", "itself": f".{PACKAGE}.Everything"}
    for name, type in types.items():
        add(message, f"one_{name}", type)
        add(message, f"many_{name}", type).label = KIND.LABEL_REPEATED
        add_map(message, f"map_{name}", "string", type, PACKAGE)
    for key in KEYS:
        add_map(message, f"by_{key}", key, f".{PACKAGE}.Everything", PACKAGE)
    raw = add(message, "some_json", "string")
    raw.options.Extensions[options_pb2.raw_json] = True
    raw = add(message, "many_json", "string")
    raw.label = KIND.LABEL_REPEATED
    raw.options.Extensions[options_pb2.raw_json] = True
    number = add(message, "number_e164", "string")
    number.options.Extensions[options_pb2.rest_name] = "number"
    message.oneof_decl.add(name="choice")
    add(message, "choice_text", "string", oneof_index=0)
    add(message, "choice_time", ".google.protobuf.Timestamp", oneof_index=0)
    for index, name in enumerate((*SCALARS, "colour"), 1):  # synthetic oneofs come after the real ones
        message.oneof_decl.add(name=f"_maybe_{name}")
        add(message, f"maybe_{name}", types[name], oneof_index=index, proto3_optional=True)
    return build(made, "Everything")


Everything: Any = _everything()
