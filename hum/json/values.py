"""The conversion of a field's value to and from JSON: numbers, strings, enums, and protobuf's well-known types.

- Integers of every width are JSON numbers, not strings; a float with a whole value is accepted as an integer.
- A double or float is a finite number, since JSON has no other: NaN and infinities are refused, and written as null.
- Bytes are base64; standard and URL-safe alphabets are read, the standard one is written.
- Times and durations have protobuf's own form (RFC 3339 in UTC; `1.500s`), masks are comma-separated proto names,
  wrappers are their value, and `Struct`, `Value` and `ListValue` are the JSON that they contain.
"""

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from hum.json import names as jsonnames

Reader = Callable[[Any], Any]
Writer = Callable[[Any], Any]
Filler = Callable[[Any, Any], None]

INTEGERS: Mapping[int, tuple[int, int]] = {
    FieldDescriptor.TYPE_INT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_SINT32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_SFIXED32: (-(1 << 31), (1 << 31) - 1),
    FieldDescriptor.TYPE_INT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_SINT64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_SFIXED64: (-(1 << 63), (1 << 63) - 1),
    FieldDescriptor.TYPE_UINT32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_FIXED32: (0, (1 << 32) - 1),
    FieldDescriptor.TYPE_UINT64: (0, (1 << 64) - 1),
    FieldDescriptor.TYPE_FIXED64: (0, (1 << 64) - 1),
}
#: protobuf's names of the types, which protovalidate's rules and OpenAPI's formats use.
INTEGER_NAMES: Mapping[int, str] = {
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_SINT32: "sint32",
    FieldDescriptor.TYPE_SFIXED32: "sfixed32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_SINT64: "sint64",
    FieldDescriptor.TYPE_SFIXED64: "sfixed64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_FIXED32: "fixed32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_FIXED64: "fixed64",
}
FLOATS = (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT)
#: Flags in a query.
FLAG_WORDS: Mapping[str, bool] = {"true": True, "false": False, "1": True, "0": False}
DEEPEST = 32  # levels of objects and lists in a body
LONGEST_INTEGER = 40  # characters; 64-bit numbers have fewer
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})")
_DURATION = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?s")
_DECIMAL = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?")

#: Clients' own JSON is written byte for byte, but on one line: a line break would end a line of an export or an event
#: stream.  A JSON string has no bare line break, so those replaced here are between tokens.
_ON_ONE_LINE = {ord("\n"): " ", ord("\r"): " "}


class InvalidValue(Exception):  # noqa: N818 - about a value, not an error in the code
    """A value is invalid; the message says why."""


class Unsupported(Exception):  # noqa: N818
    """JSON can't represent a field of the contract: a mistake in proto/, reported at start."""

    def __init__(self, field: FieldDescriptor, reason: str) -> None:
        super().__init__(f"{field.full_name} {reason}")


def decode(raw: bytes) -> Any:
    """Decode a JSON value.  Raises InvalidValue."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:  # a number beyond a float's range
        raise InvalidValue("is out of range") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise InvalidValue("is not JSON") from None


# --- scalars ------------------------------------------------------------------------------------------------------


def reader(field: FieldDescriptor) -> Reader:
    """Return a function from a decoded JSON value to a scalar or an enum's number; it raises InvalidValue."""
    if field.enum_type is not None:
        enum_words = _enum_words(field)
        return lambda value: _read_enum(enum_words, value)
    if (limits := INTEGERS.get(field.type)) is not None:
        return lambda value: _read_integer(limits, value)
    readers: Mapping[int, Reader] = {
        FieldDescriptor.TYPE_BOOL: _read_flag,
        FieldDescriptor.TYPE_DOUBLE: _read_double,
        FieldDescriptor.TYPE_FLOAT: _read_float,
        FieldDescriptor.TYPE_STRING: _read_text,
        FieldDescriptor.TYPE_BYTES: _read_bytes,
    }
    if field.type not in readers:
        raise Unsupported(field, "has a type that JSON can't represent")
    return readers[field.type]


def writer(field: FieldDescriptor) -> Writer:
    """Return a function from a scalar or an enum's number to a value for msgspec, which writes NaN as null."""
    if field.enum_type is not None:
        return {number: word for word, number in _enum_words(field).items()}.get
    if jsonnames.is_raw_json(field):
        return lambda text: msgspec.Raw(text.translate(_ON_ONE_LINE).encode()) if text else None
    writers: Mapping[int, Writer] = {
        FieldDescriptor.TYPE_FLOAT: _shortest,
        FieldDescriptor.TYPE_BYTES: lambda value: base64.b64encode(value).decode(),
    }
    return writers.get(field.type, _same)


def of_text(field: FieldDescriptor, text: str) -> Any:
    """Convert a query parameter's text to a value that the field's `reader` accepts.  Raises InvalidValue."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        if text not in FLAG_WORDS:
            raise InvalidValue("must be true or false")
        return FLAG_WORDS[text]
    if field.type in INTEGERS:
        if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdecimal():
            raise InvalidValue("must be a whole number")
        return int(text[:LONGEST_INTEGER])
    if field.type in FLOATS:
        if not _DECIMAL.fullmatch(text):
            raise InvalidValue("must be a number")
        return float(text)
    return text


def read_raw(raw: bytes | str) -> str:
    """Return free-form JSON as it was written; unwrap a string that contains JSON.  Raises InvalidValue."""
    text = raw.decode() if isinstance(raw, bytes) else raw
    if text.startswith('"'):
        return str(decode(text.encode())).strip()
    if not text.startswith(("{", "[")):
        raise InvalidValue("must be an object, an array, or a string that holds one")
    return text


def key_reader(field: FieldDescriptor) -> Reader:
    """Return a function from a member's name to a map key; it raises InvalidValue."""
    if field.type == FieldDescriptor.TYPE_BOOL:
        return lambda text: _read_enum({"true": True, "false": False}, text)
    if field.type in INTEGERS:
        read = reader(field)
        return lambda text: _canonical(text, read(of_text(field, text)))
    return _same


def key_text(key: Any) -> str:
    """Return a map key as a member's name."""
    return str(key).lower() if isinstance(key, bool) else str(key)


def _canonical(text: str, number: int) -> int:
    if text != str(number):  # else `1` and `01` would be one key
        raise InvalidValue("must be a whole number without leading zeros")
    return number


def _enum_words(field: FieldDescriptor) -> Mapping[str, int]:
    enum = field.enum_type
    assert enum is not None, "the caller has checked"
    zero = enum.values_by_number.get(0)
    if zero is None or not zero.name.endswith("UNSPECIFIED"):
        raise Unsupported(field, f"is a {enum.full_name}, whose zero value is not named ..._UNSPECIFIED")
    return jsonnames.enum_words(enum)


def _read_enum(allowed: Mapping[str, int], value: Any) -> int:
    if not isinstance(value, str) or value not in allowed:
        raise InvalidValue(f"must be one of {', '.join(allowed)}")
    return allowed[value]


def _read_flag(value: Any) -> bool:
    """Read a flag of a body: 1 and 0 are flags, too, but words in quotes are none."""
    if isinstance(value, int) and value in (0, 1):
        return bool(value)
    raise InvalidValue("must be true or false")


def _read_integer(limits: tuple[int, int], value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue("must be a whole number")
    if not limits[0] <= value <= limits[1]:
        raise InvalidValue(f"must be between {limits[0]} and {limits[1]}")
    return value


def _read_double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidValue("must be a number")
    try:
        number = float(value)
    except OverflowError as error:
        raise InvalidValue("is out of range") from error
    if not math.isfinite(number):
        raise InvalidValue("is out of range")
    return number


def _read_float(value: Any) -> float:
    try:
        packed = struct.pack("<f", _read_double(value))
    except OverflowError as error:
        raise InvalidValue("is out of range") from error
    number: float = struct.unpack("<f", packed)[0]
    return number


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidValue("must be a string")
    return value


def _read_bytes(value: Any) -> bytes:
    text = _read_text(value).replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValue("must be base64") from None


def _same(value: Any) -> Any:
    return value


def _shortest(value: float) -> float:
    """Return the number with the fewest digits that rounds to this 32-bit float."""
    if not math.isfinite(value):
        return value
    for digits in range(6, 9):
        if _as_float32(short := float(f"{value:.{digits}g}")) == value:
            return short
    return float(f"{value:.9g}")


def _as_float32(value: float) -> float | None:
    try:
        number: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:  # rounded up past the largest float
        return None
    return number


# --- well-known types ---------------------------------------------------------------------------------------------


def filler(descriptor: Descriptor) -> Filler | None:
    """Return a function that fills a well-known type from a decoded JSON value, or raises InvalidValue; None for other types."""
    if (wrapped := _wrapped(descriptor)) is not None:
        read = reader(wrapped)
        return lambda value, into: setattr(into, "value", read(value))
    return _FILLERS.get(descriptor.full_name)


def text_filler(descriptor: Descriptor) -> Filler | None:
    """Return a function that fills a well-known type from a query parameter, or raises InvalidValue; None if it can't be one."""
    if (wrapped := _wrapped(descriptor)) is not None:
        read = reader(wrapped)
        return lambda text, into: setattr(into, "value", read(of_text(wrapped, text)))
    return None if descriptor.file.name == "google/protobuf/struct.proto" else _FILLERS.get(descriptor.full_name)


def plain_writer(descriptor: Descriptor) -> Writer | None:
    """Return a function from a message of a well-known type to a value for msgspec; None for other types."""
    if (wrapped := _wrapped(descriptor)) is not None:
        write = writer(wrapped)
        return lambda message: write(message.value)
    return _PLAIN.get(descriptor.full_name)


def is_supported(descriptor: Descriptor) -> bool:
    """Tell whether this module can represent a message of the package google.protobuf in JSON."""
    return descriptor.full_name == "google.protobuf.Empty" or plain_writer(descriptor) is not None


def _wrapped(descriptor: Descriptor) -> FieldDescriptor | None:
    is_wrapper = descriptor.file.name == "google/protobuf/wrappers.proto"
    return descriptor.fields_by_name["value"] if is_wrapper else None


def _fill_time(value: Any, into: Any) -> None:
    _fill_text(_TIME, "must be a time such as 2026-02-01T09:00:00Z", value, into)


def _fill_duration(value: Any, into: Any) -> None:
    _fill_text(_DURATION, "must be a duration in seconds such as 1.5s", value, into)


def _fill_text(pattern: re.Pattern[str], problem: str, value: Any, into: Any) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InvalidValue(problem)
    try:
        into.FromJsonString(value)
    except ValueError as error:
        raise InvalidValue(problem) from error


def _fill_mask(value: Any, into: Any) -> None:
    into.paths.extend(path for path in _read_text(value).split(",") if path)


def _fill_struct(kind: type, problem: str) -> Filler:
    def fill(value: Any, into: Any) -> None:
        if not isinstance(value, kind):
            raise InvalidValue(problem)
        require_shallow(value)
        json_value: Any = value
        try:
            json_format.ParseDict(json_value, into)
        except (json_format.ParseError, OverflowError, ValueError) as error:
            raise InvalidValue("holds a number that is out of range") from error

    return fill


def require_shallow(value: Any, levels: int = DEEPEST) -> None:
    """Raise InvalidValue if objects and lists are nested deeper than `levels`."""
    level = [value]
    for _ in range(levels + 1):
        level = [
            inner
            for part in level
            if isinstance(part, dict | list)
            for inner in (part.values() if isinstance(part, dict) else part)
        ]
    if level:
        raise InvalidValue(f"is nested deeper than {levels} levels")


def _plain_value(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _plain_struct(value.struct_value)
    if kind == "list_value":
        return [_plain_value(item) for item in value.list_value.values]
    if kind == "number_value":
        return value.number_value
    return None if kind in {None, "null_value"} else getattr(value, kind)


def _plain_struct(message: Any) -> Any:
    return {name: _plain_value(message.fields[name]) for name in sorted(message.fields)}


_FILLERS: Mapping[str, Filler] = {
    jsonnames.TIMESTAMP: _fill_time,
    "google.protobuf.Duration": _fill_duration,
    "google.protobuf.FieldMask": _fill_mask,
    "google.protobuf.Struct": _fill_struct(dict, "must be an object"),
    "google.protobuf.ListValue": _fill_struct(list, "must be a list"),
    "google.protobuf.Value": _fill_struct(object, ""),
}
_PLAIN: Mapping[str, Writer] = {
    jsonnames.TIMESTAMP: lambda message: message.ToJsonString(),
    "google.protobuf.Duration": lambda message: message.ToJsonString(),
    "google.protobuf.FieldMask": lambda message: ",".join(message.paths),
    "google.protobuf.Struct": _plain_struct,
    "google.protobuf.ListValue": lambda message: [_plain_value(item) for item in message.values],
    "google.protobuf.Value": _plain_value,
}
