"""What a request must look like, from the options in proto/: one check for gRPC and REST alike.

Four sources, at every depth of messages, lists and maps, reported together: protovalidate's rules; `(hum.v1.format)`, what a pattern can't say; `(hum.v1.raw_json)`;
and `google.api.field_behavior`: a REQUIRED field must be set when a resource is created and can't be cleared, an
IMMUTABLE one can't be changed.  A message that has an `update_mask` is an update.
"""

import json
import re
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from datetime import date, time
from functools import cache
from itertools import pairwise
from typing import Any, cast

import phonenumbers
import protovalidate
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from hum import jsonnames
from hum.errors import FieldError, InvalidRequest
from hum.v1 import options_pb2

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
EAGERNESS = ("low", "medium", "high", "auto")  # of semantic_vad, as the Realtime API names them
EMAIL = re.compile(r"[^\s\x00-\x1f\x7f<>()\[\],;:\\\"]+")  # RFC 5321, without its quoted forms
RAW_JSON_BYTES = 64 << 10
RAW_JSON_DEPTH = 64
_NUL = "holds a NUL character, which can't be stored"


def require_valid(request: Message) -> None:
    """Raise InvalidRequest with every bad field."""
    if fields := check(request):
        raise InvalidRequest(fields)


def check(request: Message) -> list[FieldError]:
    """Every bad field of a request, by its path in proto names."""
    found = [FieldError(_path(each.proto), each.proto.message) for each in protovalidate.collect_violations(request)]
    bad = {each.field for each in found}
    more = [*_behaviour(request), *_texts(request, "")]
    return found + [each for each in more if each.field not in bad]


def _path(violation: Any) -> str:
    parts: list[str] = []
    for element in violation.field.elements:
        subscript = element.subscript
        parts.append(element.field_name + ("" if subscript is None else _subscript(subscript.value)))
    return ".".join(parts)


def _subscript(key: Any) -> str:
    """An item of a list, or of a map by its key."""
    return f"[{json.dumps(key, ensure_ascii=False)}]"


# --- field_behavior -----------------------------------------------------------------------------------------------


@cache
def behaviours(descriptor: Descriptor, behaviour: int) -> tuple[FieldDescriptor, ...]:
    """The fields of a message that have a behaviour."""
    return tuple(
        field
        for field in descriptor.fields
        if behaviour in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    )


def _behaviour(request: Message) -> Iterator[FieldError]:
    mask = request.DESCRIPTOR.fields_by_name.get("update_mask")
    for field in _all(request.DESCRIPTOR):
        if field.message_type is None or field is mask:
            continue
        if mask is None or field.is_repeated:
            for path, held in _held(request, field, ""):
                yield from _missing(held, f"{path}.")
        elif request.HasField(field.name):
            yield from _changed(getattr(request, field.name), f"{field.name}.", set(_mask(request).paths))


def _missing(message: Message, prefix: str) -> Iterator[FieldError]:
    """The REQUIRED fields that a new message, or a message in it, does not have."""
    required = behaviours(message.DESCRIPTOR, field_behavior_pb2.REQUIRED)
    yield from (FieldError(prefix + each.name, "is required") for each in required if _unset(message, each))
    for field in _messages(message.DESCRIPTOR):
        for path, held in _held(message, field, prefix):
            yield from _missing(held, f"{path}.")


def _changed(resource: Message, prefix: str, paths: set[str]) -> Iterator[FieldError]:
    """What an update must not do.  A field that the mask names is replaced whole: what it holds must be complete."""
    required = behaviours(resource.DESCRIPTOR, field_behavior_pb2.REQUIRED)
    immutable = behaviours(resource.DESCRIPTOR, field_behavior_pb2.IMMUTABLE)
    for each in _all(resource.DESCRIPTOR):
        if each.name not in paths:
            continue
        if each in immutable:
            yield FieldError(prefix + each.name, "can't be changed")
        elif each in required and _unset(resource, each):
            yield FieldError(prefix + each.name, "can't be cleared")
        elif each.message_type is not None:
            for path, held in _held(resource, each, prefix):
                yield from _missing(held, f"{path}.")
    known = {each.name for each in _all(resource.DESCRIPTOR)}
    yield from (FieldError(f"update_mask.{path}", "is not a field") for path in sorted(paths - known))


@cache
def _all(descriptor: Descriptor) -> tuple[FieldDescriptor, ...]:
    return tuple(descriptor.fields)


@cache
def _messages(descriptor: Descriptor) -> tuple[FieldDescriptor, ...]:
    """The fields that hold messages: one, a list or a map of them."""
    return tuple(field for field in descriptor.fields if jsonnames.held(field) is not None)


def _held(message: Message, field: FieldDescriptor, prefix: str) -> Iterator[tuple[str, Message]]:
    """Each message that a field holds, with its path."""
    path = prefix + field.name
    if not field.is_repeated:
        if message.HasField(field.name):
            yield path, getattr(message, field.name)
    elif not jsonnames.is_map(field):
        yield from ((f"{path}[{number}]", each) for number, each in enumerate(getattr(message, field.name)))
    elif jsonnames.held(field) is not None:
        entries = getattr(message, field.name)
        yield from ((path + _subscript(key), entries[key]) for key in sorted(entries))


def _mask(request: Message) -> FieldMask:
    mask: FieldMask = cast("Any", request).update_mask  # the caller has looked for the field
    return mask


def _unset(resource: Message, field: FieldDescriptor) -> bool:
    return not (resource.HasField(field.name) if field.has_presence else getattr(resource, field.name))


# --- formats ------------------------------------------------------------------------------------------------------


@cache
def _checked(descriptor: Descriptor) -> tuple[tuple[FieldDescriptor, tuple[Callable[[str], str | None], ...]], ...]:
    fields = []
    for field in descriptor.fields:
        options = field.GetOptions().Extensions
        checks: list[Callable[[str], str | None]] = []
        if field.type == FieldDescriptor.TYPE_STRING:
            checks.append(_bad_text)
        if options[options_pb2.raw_json]:
            checks.append(bad_json)
        if format := options[options_pb2.format]:
            checks.append(FORMATS[format])
        if jsonnames.is_map(field) and field.message_type is not None:
            value = field.message_type.fields_by_name["value"]
            checks = [_bad_text, *checks] if value.type == FieldDescriptor.TYPE_STRING else []
        if checks or field.message_type is not None:
            fields.append((field, tuple(checks)))
    return tuple(fields)


def _texts(message: Message, prefix: str) -> Iterator[FieldError]:
    for field, checks in _checked(message.DESCRIPTOR):
        for path, text in _strings(message, field, prefix) if checks else ():
            complaint = next((found for check in checks if (found := check(text)) is not None), None)
            if complaint is not None:
                yield FieldError(path, complaint)
        if jsonnames.is_map(field):
            keys = (key for key in getattr(message, field.name) if isinstance(key, str))
            yield from (FieldError(prefix + field.name, f"a key {_NUL}") for key in sorted(keys) if "\0" in key)
        if field.message_type is not None:
            for path, held in _held(message, field, prefix):
                yield from _texts(held, f"{path}.")


def _strings(message: Message, field: FieldDescriptor, prefix: str) -> Iterator[tuple[str, str]]:
    """Each text that a field holds, with its path; an unset field holds none."""
    path = prefix + field.name
    if jsonnames.is_map(field):
        entries = getattr(message, field.name)
        yield from ((path + _subscript(key), entries[key]) for key in sorted(entries))
    elif field.is_repeated:
        yield from ((f"{path}[{number}]", text) for number, text in enumerate(getattr(message, field.name)))
    elif not _unset(message, field):
        yield path, getattr(message, field.name)


def _bad_text(text: str) -> str | None:
    return _NUL if "\0" in text else None


def bad_json(text: str) -> str | None:
    """What is wrong with a free-form JSON value, or None."""
    if len(text.encode()) > RAW_JSON_BYTES:
        return f"is larger than {RAW_JSON_BYTES} bytes"
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return "is not JSON"
    if not isinstance(value, dict | list):
        return "must be a JSON object or array"
    return f"is nested deeper than {RAW_JSON_DEPTH}" if _is_deep(value) else None


def _is_deep(value: Any) -> bool:
    """Tell whether JSON is nested deeper than our own parsers, and our customers', are sure to read."""
    level = [value]
    for _ in range(RAW_JSON_DEPTH):
        level = [inner for each in level for inner in _inside(each)]
    return bool(level)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _no_constant(name: str) -> None:
    raise ValueError(name)


def bad_e164(text: str) -> str | None:
    """What is wrong with a phone number, or None.

    Possible, not valid: numbering plans change faster than any table, and the carrier has the last word.
    """
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return "is not a phone number in E.164, for example +13175551234"
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != text:
        return "is not written as E.164, for example +13175551234"
    return None if phonenumbers.is_possible_number(number) else "is not a possible phone number"


def bad_email(text: str) -> str | None:
    """What is wrong with an e-mail address, or None.  Whether it exists, only a message to it can tell."""
    local, _, domain = text.rpartition("@")
    plain = bool(local) and "@" not in local and all(part for part in domain.split(".")) and "." in domain
    return None if plain and len(text) <= 254 and EMAIL.fullmatch(text) else "is not an e-mail address"


def bad_time_zone(text: str) -> str | None:
    return None if text in _zones() else "is not a time zone of the IANA database, for example America/New_York"


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def bad_business_hours(text: str) -> str | None:
    """What is wrong with business hours (docs/contract.md), or None."""
    hours = json.loads(text)
    if not isinstance(hours, dict):
        return "must be an object"
    if odd := sorted(hours.keys() - {"time_zone", "weekly", "holidays"}):
        return f"has an unknown member {odd[0]!r}"
    if "time_zone" in hours and (not isinstance(hours["time_zone"], str) or bad_time_zone(hours["time_zone"])):
        return "time_zone is not a time zone of the IANA database"
    weekly, holidays = hours.get("weekly", {}), hours.get("holidays", [])
    if not isinstance(weekly, dict) or (odd := sorted(weekly.keys() - set(WEEKDAYS))):
        return "weekly has members mon, tue, wed, thu, fri, sat and sun"
    for day, spans in weekly.items():
        if (complaint := _bad_spans(spans)) is not None:
            return f"weekly.{day} {complaint}"
    if not isinstance(holidays, list) or not all(
        isinstance(day, str) and _parses(date.fromisoformat, day) for day in holidays
    ):
        return "holidays is a list of dates like 2026-12-25"
    return None


def _bad_spans(spans: Any) -> str | None:
    if not isinstance(spans, list):
        return 'is a list of spans like ["09:00", "17:00"]'
    times: list[str] = []
    for span in spans:
        pair = isinstance(span, list) and len(span) == 2 and all(isinstance(at, str) for at in span)
        if not pair or not all(
            len(at) == len("09:00") and (at == "24:00" or _parses(time.fromisoformat, at)) for at in span
        ):
            return 'is a list of spans like ["09:00", "17:00"]'
        if span[0] == span[1]:
            return "has an empty span"
        times += span
    crosses = bool(times) and times[-1] < times[-2]
    ordered = times[:-1] if crosses else times
    return None if all(one <= other for one, other in pairwise(ordered)) else "must be in order and not overlap"


def _parses(parse: Callable[[str], object], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def bad_json_schema(text: str) -> str | None:
    schema = json.loads(text)
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        return "must be a JSON Schema of an object"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        return f"is not a JSON Schema: {error.message}"[:300]
    return None


def bad_turn_config(text: str) -> str | None:
    """What is wrong with `turn_config_json` (docs/contract.md), or None."""
    config = json.loads(text)
    if not isinstance(config, dict):
        return "must be an object"
    rules: Mapping[str, Callable[[Any], bool]] = {
        "interruptible": lambda value: isinstance(value, bool),
        "protect_announcement": lambda value: isinstance(value, bool),
        "cut_after_ms": lambda value: type(value) is int and 100 <= value <= 5000,
        "resume_after_ms": lambda value: type(value) is int and 60 <= value <= 5000,
        "eagerness": lambda value: value in EAGERNESS,
    }
    if odd := sorted(config.keys() - rules.keys()):
        return f"has an unknown member {odd[0]!r}; it has {', '.join(rules)}"
    wrong = [name for name, value in config.items() if not rules[name](value)]
    return f"{wrong[0]} is out of range" if wrong else None


FORMATS: Mapping[int, Callable[[str], str | None]] = {
    options_pb2.FORMAT_E164: bad_e164,
    options_pb2.FORMAT_TIME_ZONE: bad_time_zone,
    options_pb2.FORMAT_BUSINESS_HOURS: bad_business_hours,
    options_pb2.FORMAT_JSON_SCHEMA: bad_json_schema,
    options_pb2.FORMAT_TURN_CONFIG: bad_turn_config,
    options_pb2.FORMAT_EMAIL: bad_email,
}
