"""Validation of requests by the options in proto/: one check for gRPC and REST alike.

Four sources, at every depth of messages, lists and maps, reported together: protovalidate's rules;
`(hum.v1.format)`, for what a pattern can't express; `(hum.v1.raw_json)`; and `google.api.field_behavior`: a REQUIRED
field must be set when a resource is created and can't be cleared, an IMMUTABLE one can't be changed.  A message that
has an `update_mask` is an update.
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
EAGERNESS = ("low", "medium", "high", "auto")  # values for semantic_vad in the Realtime API
EMAIL = re.compile(r"[^\s\x00-\x1f\x7f<>()\[\],;:\\\"]+")  # RFC 5321, without its quoted forms
RAW_JSON_BYTES = 64 << 10
RAW_JSON_DEPTH = 64
WELL_KNOWN = "google.protobuf"
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
    """The subscript of a list item or a map entry."""
    return f"[{json.dumps(key, ensure_ascii=False)}]"


# --- field_behavior -----------------------------------------------------------------------------------------------


@cache
def behaviours(descriptor: Descriptor, behaviour: int) -> tuple[FieldDescriptor, ...]:
    """The fields of a message with this field_behavior."""
    return tuple(
        field
        for field in descriptor.fields
        if behaviour in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    )


def _behaviour(request: Message) -> Iterator[FieldError]:
    mask = request.DESCRIPTOR.fields_by_name.get("update_mask")
    for field, value in request.ListFields():
        if field.message_type is None or field.name == "update_mask":
            continue
        if mask is not None and not field.is_repeated:
            yield from _changed(value, f"{field.name}.", set(_mask(request).paths))
        else:
            yield from _missing_inside(field, value, field.name)


def _missing(message: Message, prefix: str) -> Iterator[FieldError]:
    """The REQUIRED fields that are missing in a new message or in its nested messages."""
    required = behaviours(message.DESCRIPTOR, field_behavior_pb2.REQUIRED)
    yield from (FieldError(prefix + each.name, "is required") for each in required if _unset(message, each))
    for field, value in message.ListFields():
        if field.message_type is not None:
            yield from _missing_inside(field, value, prefix + field.name)


def _missing_inside(field: FieldDescriptor, value: Any, path: str) -> Iterator[FieldError]:
    inner = jsonnames.held(field)
    if inner is not None and inner.file.package != WELL_KNOWN:
        for at, held in _values(field, value, path):
            yield from _missing(held, f"{at}.")


def _changed(resource: Message, prefix: str, paths: set[str]) -> Iterator[FieldError]:
    """Forbidden changes in an update.  A field in the mask is replaced as a whole: it must be complete."""
    required = behaviours(resource.DESCRIPTOR, field_behavior_pb2.REQUIRED)
    immutable = behaviours(resource.DESCRIPTOR, field_behavior_pb2.IMMUTABLE)
    known = resource.DESCRIPTOR.fields_by_name
    for name in sorted(paths):
        field = known.get(name)
        if field is None:
            yield FieldError(f"update_mask.{name}", "is not a field")
        elif field in immutable:
            yield FieldError(prefix + name, "can't be changed")
        elif field in required and _unset(resource, field):
            yield FieldError(prefix + name, "can't be cleared")
    for field, value in resource.ListFields():
        if field.name in paths and field not in immutable:
            yield from _missing_inside(field, value, prefix + field.name)


def _values(field: FieldDescriptor, value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Each value of a field, with its path: the value itself, a list's items, or a map's values."""
    if not field.is_repeated:
        yield path, value
    elif jsonnames.is_map(field):
        yield from ((path + _subscript(key), value[key]) for key in sorted(value))
    else:
        yield from ((f"{path}[{number}]", each) for number, each in enumerate(value))


def _mask(request: Message) -> FieldMask:
    mask: FieldMask = cast("Any", request).update_mask  # the caller has checked that the field exists
    return mask


def _unset(resource: Message, field: FieldDescriptor) -> bool:
    return not (resource.HasField(field.name) if field.has_presence else getattr(resource, field.name))


# --- formats ------------------------------------------------------------------------------------------------------


Check = Callable[[str], str | None]


@cache
def _checks(descriptor: Descriptor) -> Mapping[int, tuple[Check, ...]]:
    """The checks of each field that holds strings, by field number."""
    found = {}
    for field in descriptor.fields:
        entry = field.message_type if jsonnames.is_map(field) else None
        value = field if entry is None else entry.fields_by_name["value"]
        if value.type == FieldDescriptor.TYPE_STRING:
            options = field.GetOptions().Extensions
            format = options[options_pb2.format]
            found[field.number] = (
                _bad_text,
                *((bad_json,) if options[options_pb2.raw_json] else ()),
                *((FORMATS[format],) if format else ()),
            )
    return found


def _texts(message: Message, prefix: str) -> Iterator[FieldError]:
    checks = _checks(message.DESCRIPTOR)
    for field, value in message.ListFields():  # an unset field has no text to check
        if (wrong := checks.get(field.number)) is not None:
            for path, text in _values(field, value, prefix + field.name):
                complaint = next((found for check in wrong if (found := check(text)) is not None), None)
                if complaint is not None:
                    yield FieldError(path, complaint)
        if field.message_type is None:
            continue
        if jsonnames.is_map(field) and any(isinstance(key, str) and "\0" in key for key in value):
            yield FieldError(prefix + field.name, f"a key {_NUL}")
        if jsonnames.held(field) is not None:
            for path, held in _values(field, value, prefix + field.name):
                yield from _texts(held, f"{path}.")


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
    return f"is nested deeper than {RAW_JSON_DEPTH} levels" if _is_deep(value) else None


def _is_deep(value: Any) -> bool:
    """Whether JSON is nested deeper than our parsers, and our customers', can be relied on to read."""
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
    """What is wrong with an e-mail address, or None.  Does not check that the address exists."""
    local, _, domain = text.rpartition("@")
    plain = bool(local) and "@" not in local and all(part for part in domain.split(".")) and "." in domain
    return None if plain and len(text) <= 254 and EMAIL.fullmatch(text) else "is not an e-mail address"


def bad_account_email(text: str) -> str | None:
    """As `bad_email`, for an address that identifies a person: ASCII only, which excludes look-alikes."""
    if not text.isascii():
        return "must be ASCII; write an international domain as xn--..."
    return bad_email(text)


def bad_time_zone(text: str) -> str | None:
    return None if text in _zones() else "is not a time zone in the IANA database, for example America/New_York"


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
        return "time_zone is not a time zone in the IANA database, for example America/New_York"
    weekly, holidays = hours.get("weekly", {}), hours.get("holidays", [])
    if not isinstance(weekly, dict) or (odd := sorted(weekly.keys() - set(WEEKDAYS))):
        return "weekly must be an object with members from mon, tue, wed, thu, fri, sat, sun"
    for day, spans in weekly.items():
        if (complaint := _bad_spans(spans)) is not None:
            return f"weekly.{day} {complaint}"
    if not isinstance(holidays, list) or not all(
        isinstance(day, str) and _parses(date.fromisoformat, day) for day in holidays
    ):
        return "holidays must be a list of dates such as 2026-12-25"
    return None


def _bad_spans(spans: Any) -> str | None:
    if not isinstance(spans, list):
        return 'must be a list of spans such as ["09:00", "17:00"]'
    times: list[str] = []
    for span in spans:
        pair = isinstance(span, list) and len(span) == 2 and all(isinstance(at, str) for at in span)
        if not pair or not all(
            len(at) == len("09:00") and (at == "24:00" or _parses(time.fromisoformat, at)) for at in span
        ):
            return 'must be a list of spans such as ["09:00", "17:00"]'
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
        return f"has an unknown member {odd[0]!r}; the known ones are {', '.join(rules)}"
    wrong = [name for name, value in config.items() if not rules[name](value)]
    return f"{wrong[0]} has an invalid value" if wrong else None


FORMATS: Mapping[int, Callable[[str], str | None]] = {
    options_pb2.FORMAT_E164: bad_e164,
    options_pb2.FORMAT_TIME_ZONE: bad_time_zone,
    options_pb2.FORMAT_BUSINESS_HOURS: bad_business_hours,
    options_pb2.FORMAT_JSON_SCHEMA: bad_json_schema,
    options_pb2.FORMAT_TURN_CONFIG: bad_turn_config,
    options_pb2.FORMAT_EMAIL: bad_email,
}
