"""The codec of messages to and from JSON: REST's request and response bodies, and the data of events.

Each message type has one codec, compiled once from its descriptor, for nested messages, lists and maps up to
`jsonvalues.DEEPEST` levels.  The rules are docs/contract.md's: names in snake_case; every field is written, including
zero values and nulls; enums are lower-case words or null; flags accept 1 and 0; free-form JSON passes through byte for
byte; unknown members are errors.  A reader reports every bad field, up to `MOST_PROBLEMS`, by its path
(`recipients[3].phone_e164`, `labels["tier"]`).

`require_supported` rejects, at start, a contract with a field that JSON can't represent, and names the field.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import msgspec
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from hum.contract.errors import FieldError
from hum.json import names as jsonnames
from hum.json import values as jsonvalues
from hum.json.values import DEEPEST, InvalidValue, Unsupported

MOST_PROBLEMS = 100
PATH_CHARACTERS = 100  # of each of the client's names in a path
NEWLINE = b"\n"
_SYNTAX_ERROR = re.compile(r"JSON is malformed: (?P<what>.*) \(byte (?P<byte>[0-9]+)\)")
_RAW_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


class NotJson(Exception):  # noqa: N818
    """The body is not a JSON object; the message is a sentence with the position and the reason."""


class _TooManyProblems(Exception):  # noqa: N818
    """There are more than MOST_PROBLEMS problems; reading stops."""


# --- reading ------------------------------------------------------------------------------------------------------


def read_body(text: bytes, into: Message, problems: list[FieldError]) -> list[str]:
    """Fill a message from a JSON object; return the proto names of the members it had.  Raises NotJson."""
    try:
        text.decode()  # raw members are not checked yet
        members = _RAW_MEMBERS.decode(text)
    except UnicodeDecodeError as error:
        raise NotJson(f"The body is not UTF-8: {_position(text, error.start)}.") from None
    except msgspec.ValidationError:
        raise NotJson("The body must be a JSON object: {...}.") from None
    except msgspec.DecodeError as error:
        raise NotJson(_malformed(text, str(error))) from error
    except RecursionError as error:
        raise NotJson("The body is nested too deep.") from error
    seen: list[str] = []
    with suppress(_TooManyProblems):
        _read_members(members, into, _BodyReader(problems), seen)
    return seen


def _malformed(text: bytes, message: str) -> str:
    """Return msgspec's error about a body, with line and column instead of the byte."""
    if (match := _SYNTAX_ERROR.fullmatch(message)) is None:
        return f"The body is not JSON: it ends too early, at {_position(text, len(text))}."
    return f"The body is not JSON: {match['what']} at {_position(text, int(match['byte']))}."


def _position(text: bytes, byte: int) -> str:
    """Return the line and column of a byte as an editor counts them: from 1, columns in characters."""
    before = text[:byte]
    line_bytes = before[before.rfind(NEWLINE) + 1 :]
    return f"line {before.count(NEWLINE) + 1}, column {len(line_bytes.decode(errors='replace')) + 1}"


def read_query(field: FieldDescriptor, values: list[str], into: Message, problems: list[FieldError]) -> None:
    """Set a field from its query parameters; append problems."""
    reader = _BodyReader(problems, jsonnames.rest_name(field))
    if not field.is_repeated and len(values) > 1:
        reader.report("must not be repeated")
        return
    with suppress(_TooManyProblems):
        for text in values:
            _read_query_value(field, text, into, reader)


def _read_query_value(field: FieldDescriptor, text: str, into: Message, reader: "_BodyReader") -> None:
    field_reader = _single(field)
    try:
        if isinstance(field_reader, _Scalar):
            field_reader.put(into, field_reader.of_text(text))
            return
        assert field.message_type is not None, "it is not a scalar"
        fill = jsonvalues.text_filler(field.message_type)
        assert fill is not None, "require_in_query has checked"
        fill(text, field_reader.target(into))
    except InvalidValue as bad:
        reader.report(str(bad))


class _BodyReader:
    """The reader's position in the body, and the problems so far."""

    __slots__ = ("depth", "path", "problems")

    def __init__(self, problems: list[FieldError], path: str = "", depth: int = 0) -> None:
        self.problems, self.path, self.depth = problems, path, depth

    def member(self, name: str) -> "_BodyReader":
        name = name[:PATH_CHARACTERS]
        return _BodyReader(self.problems, f"{self.path}.{name}" if self.path else name, self.depth + 1)

    def item(self, key: int | str) -> "_BodyReader":
        subscript = json.dumps(key[:PATH_CHARACTERS], ensure_ascii=False) if isinstance(key, str) else key
        return _BodyReader(self.problems, f"{self.path}[{subscript}]", self.depth + 1)

    def report(self, reason: str) -> None:
        if len(self.problems) >= MOST_PROBLEMS:
            raise _TooManyProblems
        self.problems.append(FieldError(self.path, reason))


def _members(raw: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _RAW_MEMBERS.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidValue("must be an object") from error


def _read_members(members: Mapping[str, msgspec.Raw], into: Message, reader: _BodyReader, seen: list[str]) -> None:
    if reader.depth > DEEPEST:
        reader.report(f"is nested deeper than {DEEPEST} levels")
        return
    fields, set_in_oneof = _fields(into.DESCRIPTOR), dict[str, str]()
    for name, raw in members.items():
        field, inner = fields.get(name), reader.member(name)
        if field is None or jsonnames.is_read_only(field):
            inner.report("is not a field" if field is None else "is read-only")
            continue
        seen.append(field.name)
        if bytes(raw) == b"null":
            continue  # unset; in an update, the mask clears it
        oneof = field.containing_oneof
        if oneof is not None and (other := set_in_oneof.setdefault(oneof.full_name, name)) != name:
            inner.report(f"can't be set together with {other}")
            continue
        try:
            _field_reader(field)(bytes(raw), into, inner)
        except InvalidValue as bad:
            inner.report(str(bad))


FieldReader = Callable[[bytes, Message, _BodyReader], None]


@cache
def _field_reader(field: FieldDescriptor) -> FieldReader:
    """Return a function that sets a field from raw JSON; it raises InvalidValue, and reports problems in nested values."""
    if jsonnames.is_map(field):
        return _map_reader(field)
    fill = _single(field)
    if not field.is_repeated:
        return fill.read

    def read_items(raw: bytes, into: Message, reader: _BodyReader) -> None:
        try:
            items = _RAW_ITEMS.decode(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidValue("must be a list") from error
        if (most := jsonnames.most_items(field)) and len(items) > most:
            raise InvalidValue(jsonnames.too_many(most))  # none of them is read
        for place, item in enumerate(items):
            inner = reader.item(place)
            try:
                fill.read(bytes(item), into, inner)
            except InvalidValue as bad:
                inner.report(str(bad))
                fill.fill_gap(into, place)

    return read_items


def _map_reader(field: FieldDescriptor) -> FieldReader:
    assert field.message_type is not None, "a map's entry"
    entry = field.message_type.fields_by_name
    read_key, value = jsonvalues.key_reader(entry["key"]), _single(entry["value"])

    def read_entries(raw: bytes, into: Message, reader: _BodyReader) -> None:
        for name, item in _members(raw).items():
            inner = reader.item(name)
            try:
                value.read_entry(bytes(item), getattr(into, field.name), read_key(name), inner)
            except InvalidValue as bad:
                inner.report(str(bad))

    return read_entries


class _Scalar:
    """The reader of a number, a string, an enum's word, or free-form JSON."""

    def __init__(self, field: FieldDescriptor) -> None:
        self._field, self._name = field, field.name
        self._is_raw = jsonnames.is_raw_json(field)
        self._convert = jsonvalues.read_raw if self._is_raw else jsonvalues.reader(field)

    def read(self, raw: bytes, into: Message, _: _BodyReader) -> None:
        self.put(into, self._value(raw))

    def read_entry(self, raw: bytes, entries: Any, key: Any, _: _BodyReader) -> None:
        entries[key] = self._value(raw)

    def put(self, into: Message, value: Any) -> None:
        if self._field.is_repeated:
            getattr(into, self._name).append(value)
        else:
            setattr(into, self._name, value)

    def of_text(self, text: str) -> Any:
        return self._convert(text if self._is_raw else jsonvalues.of_text(self._field, text))

    def fill_gap(self, into: Message, place: int) -> None:
        """Append an empty item in place of a bad one, so that later problems have the client's indexes."""
        items = getattr(into, self._name)
        if len(items) == place:
            items.append(_EMPTY.get(self._field.type, 0))

    def _value(self, raw: bytes) -> Any:
        return self._convert(raw if self._is_raw else jsonvalues.decode(raw))


_EMPTY: Mapping[int, Any] = {FieldDescriptor.TYPE_STRING: "", FieldDescriptor.TYPE_BYTES: b""}


class _Nested:
    """The reader of an object into a message: a field's value, an item or a map's value."""

    def __init__(self, field: FieldDescriptor) -> None:
        self._field, self._name = field, field.name

    def read(self, raw: bytes, into: Message, reader: _BodyReader) -> None:
        self._fill(raw, self.target(into), reader)

    def read_entry(self, raw: bytes, entries: Any, key: Any, reader: _BodyReader) -> None:
        self._fill(raw, entries[key], reader)

    def target(self, into: Message) -> Message:
        value: Any = getattr(into, self._name)
        if self._field.is_repeated:
            item: Message = value.add()
            return item
        value.SetInParent()
        message: Message = value
        return message

    def fill_gap(self, into: Message, place: int) -> None:
        if len(getattr(into, self._name)) == place:
            self.target(into)

    def _fill(self, raw: bytes, into: Message, reader: _BodyReader) -> None:
        _read_members(_members(raw), into, reader, [])


class _WellKnown(_Nested):
    """The reader of a time, a duration, a wrapper, a mask or a Struct."""

    def __init__(self, field: FieldDescriptor, fill: jsonvalues.Filler) -> None:
        super().__init__(field)
        self._fill_from = fill

    def _fill(self, raw: bytes, into: Message, reading: _BodyReader) -> None:  # noqa: ARG002 - it has no paths inside
        self._fill_from(jsonvalues.decode(raw), into)


@cache
def _single(field: FieldDescriptor) -> _Scalar | _Nested:
    """Return the reader of one value of a field."""
    if field.message_type is None:
        return _Scalar(field)
    fill = jsonvalues.filler(field.message_type)
    return _Nested(field) if fill is None else _WellKnown(field, fill)


@cache
def _fields(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    return {jsonnames.rest_name(field): field for field in descriptor.fields}


# --- writing ------------------------------------------------------------------------------------------------------


def write(message: Message) -> bytes:
    """Encode a message as JSON."""
    return msgspec.json.encode(_encoder(message.DESCRIPTOR)(message))


def write_field(message: Message, name: str) -> bytes:
    """Encode one field of a message as JSON."""
    return msgspec.json.encode(_writer(message.DESCRIPTOR.fields_by_name[name])(message))


@cache
def _encoder(descriptor: Descriptor, *, as_input: bool = False) -> Callable[[Message], Any]:
    if (plain := jsonvalues.plain_writer(descriptor)) is not None:
        return plain
    writers: list[tuple[str, jsonvalues.Writer]] = []

    def encode(message: Message) -> dict[str, Any]:
        if not writers:  # lazily, as a type may contain itself
            fields = [field for field in descriptor.fields if not (as_input and jsonnames.is_read_only(field))]
            writers.extend((jsonnames.rest_name(field), _writer(field)) for field in fields)
        return {name: writer(message) for name, writer in writers}

    return encode


@cache
def _writer(field: FieldDescriptor) -> Callable[[Message], Any]:
    """Return a function from a message to the field's value, as msgspec encodes it."""
    name = field.name
    if jsonnames.is_map(field):
        assert field.message_type is not None, "a map's entry"
        of_value = _converter(field.message_type.fields_by_name["value"])
        return lambda message: _write_entries(getattr(message, name), of_value)
    convert = _converter(field)
    if field.is_repeated:
        return lambda message: [convert(item) for item in getattr(message, name)]
    if field.has_presence:
        return lambda message: convert(getattr(message, name)) if message.HasField(name) else None
    return lambda message: convert(getattr(message, name))


def _write_entries(entries: Any, convert: jsonvalues.Writer) -> dict[str, Any]:
    """Return a map in the order of its keys, so that equal maps are equal bytes."""
    return {jsonvalues.key_text(key): convert(entries[key]) for key in sorted(entries)}


def _converter(field: FieldDescriptor) -> jsonvalues.Writer:
    return (
        jsonvalues.writer(field)
        if field.message_type is None
        else _encoder(field.message_type, as_input=jsonnames.is_as_input(field))
    )


# --- what can't be represented ------------------------------------------------------------------------------------


def require_supported(descriptors: Iterable[Descriptor]) -> None:
    """Raise Unsupported for a field, at any depth of these messages, that JSON can't represent."""
    pending, seen = list(descriptors), set[str]()
    while pending:
        descriptor = pending.pop()
        if descriptor.full_name in seen or jsonvalues.plain_writer(descriptor) is not None:
            continue
        seen.add(descriptor.full_name)
        names: dict[str, FieldDescriptor] = {}
        for field in descriptor.fields:
            _require_field(field)
            if (other := names.setdefault(jsonnames.rest_name(field), field)) is not field:
                raise Unsupported(field, f"has the same name in JSON as {other.name}")
            if field.message_type is not None:
                pending.append(field.message_type)


def require_in_query(field: FieldDescriptor) -> None:
    """Raise Unsupported for a field that a query parameter can't hold."""
    _require_field(field)
    if field.message_type is not None and jsonvalues.text_filler(field.message_type) is None:
        raise Unsupported(field, "is a message or a map, which a query parameter can't hold")


def _require_field(field: FieldDescriptor) -> None:
    inner = field.message_type
    if jsonnames.is_raw_json(field) and field.type != FieldDescriptor.TYPE_STRING:
        raise Unsupported(field, "is raw_json but not a string")
    if field.type == FieldDescriptor.TYPE_GROUP:
        raise Unsupported(field, "is a group, which JSON can't represent")
    if inner is not None and inner.file.package == "google.protobuf" and not jsonvalues.is_supported(inner):
        raise Unsupported(field, f"is a {inner.full_name}, which JSON can't represent")
    if inner is None:
        jsonvalues.reader(field)  # raises for an unsupported enum or type
