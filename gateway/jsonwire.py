"""Messages as REST's JSON, and back.  One codec for each message type, compiled once from its descriptor.

The rules are docs/contract.md's: names in snake_case; everything is written, zero values and nulls too; enums are
lower-case words or null; flags accept 1 and 0; free-form JSON passes through byte for byte; unknown members are named.
A reader reports every bad field, not the first.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from gateway import contract
from hum.errors import FieldError

Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]

INTEGERS: Mapping[int, tuple[int, int]] = {
    FieldDescriptor.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_UINT64: (0, (1 << 64) - 1),
}
FLAGS: Mapping[Any, bool] = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}
_RAW_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


class Bad(Exception):  # noqa: N818 - a value, not a fault
    """What is wrong with one value."""


class NotJson(Exception):  # noqa: N818
    """The body is not a JSON object."""


# --- reading ------------------------------------------------------------------------------------------------------


def read_body(text: bytes, into: Message, problems: list[FieldError], prefix: str = "") -> list[str]:
    """Fill a message from a JSON object; return the proto names of the members it had.  Raises NotJson."""
    try:
        text.decode()  # a raw member is not looked into until it is read
        members = _RAW_MEMBERS.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise NotJson("the body is not a JSON object") from error
    known, seen = _fields(into.DESCRIPTOR), []
    for name, raw in members.items():
        field = known.get(name)
        if field is None or contract.is_read_only(field):
            problems.append(FieldError(prefix + name, "is not a field" if field is None else "is read-only"))
            continue
        seen.append(field.name)
        _read_member(field, bytes(raw), into, problems, prefix + name)
    return seen


def _read_member(field: FieldDescriptor, raw: bytes, into: Message, problems: list[FieldError], path: str) -> None:
    if raw == b"null":
        return  # unset; in an update, the mask says that it was meant
    try:
        if field.is_repeated:
            _read_items(field, raw, into, problems, path)
        elif field.message_type is not None and field.message_type.full_name != contract.TIMESTAMP:
            inner: Message = getattr(into, field.name)
            inner.SetInParent()
            read_body(raw, inner, problems, f"{path}.")
        else:
            _set(into, field, _reader(field)(raw if contract.is_raw_json(field) else _value(raw)))
    except NotJson:
        problems.append(FieldError(path, "must be an object"))
    except Bad as bad:
        problems.append(FieldError(path, str(bad)))


def _read_items(field: FieldDescriptor, raw: bytes, into: Message, problems: list[FieldError], path: str) -> None:
    try:
        items = _RAW_ITEMS.decode(raw)
    except msgspec.DecodeError as error:
        raise Bad("must be a list") from error
    for place, item in enumerate(items):
        try:
            getattr(into, field.name).append(_reader(field)(_value(bytes(item))))
        except Bad as bad:
            problems.append(FieldError(f"{path}[{place}]", str(bad)))


def _value(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Bad("is not JSON") from error


def read_query(field: FieldDescriptor, values: list[str], into: Message, problems: list[FieldError]) -> None:
    """Set a field from the query's values for it."""
    name = contract.rest_name(field)
    if not field.is_repeated and len(values) > 1:
        problems.append(FieldError(name, "is given more than once"))
        return
    for text in values:
        try:
            value = _reader(field)(_integer_text(text) if field.type in INTEGERS else text)
        except Bad as bad:
            problems.append(FieldError(name, str(bad)))
            continue
        if field.is_repeated:
            getattr(into, field.name).append(value)
        else:
            _set(into, field, value)


def _integer_text(text: str) -> int:
    if not text.lstrip("-").isascii() or not text.removeprefix("-").isdecimal():
        raise Bad("must be a whole number")
    return int(text[:40])


def _set(into: Message, field: FieldDescriptor, value: Any) -> None:
    if field.message_type is not None:
        getattr(into, field.name).CopyFrom(value)
    else:
        setattr(into, field.name, value)


@cache
def _fields(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    return {contract.rest_name(field): field for field in descriptor.fields}


@cache
def _reader(field: FieldDescriptor) -> Reader:
    """Turns a JSON value into the field's; raises Bad."""
    if field.message_type is not None:
        return _read_timestamp
    if field.enum_type is not None:
        words = contract.enum_words(field.enum_type)
        return lambda value: _read_enum(words, value)
    if field.type == FieldDescriptor.TYPE_BOOL:
        return _read_flag
    if (limits := INTEGERS.get(field.type)) is not None:
        return lambda value: _read_integer(limits, value)
    return _read_raw if contract.is_raw_json(field) else _read_text


def _read_timestamp(value: Any) -> Any:
    stamp = Timestamp()
    if not isinstance(value, str):
        raise Bad("must be a time such as 2026-02-01T09:00:00Z")
    try:
        stamp.FromJsonString(value)
    except ValueError as error:
        raise Bad("must be a time such as 2026-02-01T09:00:00Z") from error
    return stamp


def _read_enum(words: Mapping[str, int], value: Any) -> int:
    if not isinstance(value, str) or value not in words:
        raise Bad(f"must be one of {', '.join(words)}")
    return words[value]


def _read_flag(value: Any) -> bool:
    if isinstance(value, bool | int | str) and value in FLAGS:
        return FLAGS[value]
    raise Bad("must be true or false")


def _read_integer(limits: tuple[int, int], value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Bad("must be a whole number")
    if not limits[0] <= value <= limits[1]:
        raise Bad(f"must be between {limits[0]} and {limits[1]}")
    return value


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise Bad("must be a string")
    return value


def _read_raw(raw: bytes | str) -> str:
    """Free-form JSON as it was written; from a string that holds JSON, what it holds."""
    text = raw.decode() if isinstance(raw, bytes) else raw
    if text.startswith('"'):
        held = _value(text.encode())
        return str(held).strip()
    if not text.startswith(("{", "[")):
        raise Bad("must be an object, an array, or a string that holds one")
    return text


# --- writing ------------------------------------------------------------------------------------------------------


def write(message: Message) -> bytes:
    """A message as JSON."""
    return msgspec.json.encode(_encoder(message.DESCRIPTOR)(message))


def write_field(message: Message, name: str) -> bytes:
    """One field of a message as JSON."""
    return msgspec.json.encode(_writer(message.DESCRIPTOR.fields_by_name[name])(message))


@cache
def _encoder(descriptor: Descriptor) -> Callable[[Message], dict[str, Any]]:
    writers = [(contract.rest_name(field), _writer(field)) for field in descriptor.fields]
    return lambda message: {name: writer(message) for name, writer in writers}


@cache
def _writer(field: FieldDescriptor) -> Callable[[Message], Any]:
    """Takes the field from its message as a value that msgspec encodes."""
    name, convert = field.name, _converter(field)
    if field.is_repeated:
        return lambda message: [convert(item) for item in getattr(message, name)]
    if field.has_presence:
        return lambda message: convert(getattr(message, name)) if message.HasField(name) else None
    return lambda message: convert(getattr(message, name))


def _converter(field: FieldDescriptor) -> Writer:
    if (inner := field.message_type) is not None:
        if inner.full_name == contract.TIMESTAMP:
            return lambda stamp: stamp.ToJsonString()
        return _encoder(inner)
    if field.enum_type is not None:
        words = {number: word for word, number in contract.enum_words(field.enum_type).items()}
        return words.get
    if contract.is_raw_json(field):
        return lambda text: msgspec.Raw(text.encode()) if text else None
    return lambda value: value
