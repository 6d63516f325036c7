"""The validation of requests by the options in proto/, the same for gRPC and REST.

It reports together, at every depth of messages, lists and maps, the errors by four kinds of rules: protovalidate's;
`(hum.v1.format)`, for what a pattern can't express; `(hum.v1.raw_json)` and its `(hum.v1.json_schema)`; and
`google.api.field_behavior`: a REQUIRED field must be set when a resource is created and can't be cleared, an IMMUTABLE
one can't be changed.  A message that has an `update_mask` is an update.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, cast

import phonenumbers
import protovalidate
from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from hum.contract import eventtypes
from hum.contract.errors import FieldError, InvalidRequest
from hum.json import names as jsonnames
from hum.json import schemas
from hum.v1 import options_pb2, validate_pb2
from hum.visibletext import is_visible

#: RFC 5321, without its quoted forms.
EMAIL = re.compile(r"[^\s\x00-\x1f\x7f<>()\[\],;:\\\"]+")
#: How the patterns of names and tags begin, which are one line of any alphabet.  Clients' other names, which have a longest
#: length alone, are lines as well.
LINES = (r"^\S(", r"^[^\s")
NAMES = frozenset({"name", "friendly_name", "caller_name", "label"})
WELL_KNOWN = "google.protobuf"
_NUL = "holds a NUL character, which can't be stored"


def require_valid(request: Message) -> None:
    """Raise InvalidRequest with every bad field."""
    if fields := check(request):
        raise InvalidRequest(fields)


def check(request: Message, *, by_schemas: bool = True) -> list[FieldError]:
    """Return every bad field of a request, by its path in proto names.

    If lists are too long, return only these: a bad item costs far more to report than it cost to send.  Without
    `by_schemas`, free-form fields need only be JSON: their schemas take longer than a gateway may spend.
    """
    if too_long := list(_too_long(request, "")):
        return too_long
    violations = [violation.proto for violation in protovalidate.collect_violations(request)]
    errors = [
        FieldError(_path(violation), _reason(cast("Descriptor", request.DESCRIPTOR), violation))
        for violation in violations
    ]
    bad_paths = {violation.field for violation in errors}
    further = [*_bad_behaviours(request), *_texts(request, "", by_schemas)]
    return errors + [violation for violation in further if violation.field not in bad_paths]


def _too_long(message: Message, prefix: str) -> Iterator[FieldError]:
    for field, value in message.ListFields():
        if field.is_repeated and (most := jsonnames.most_items(field)) and len(value) > most:
            yield FieldError(prefix + field.name, jsonnames.too_many(most))
        elif jsonnames.message_type(field) is not None:
            for path, nested in _values(field, value, prefix + field.name):
                yield from _too_long(nested, f"{path}.")


def _path(violation: Any) -> str:
    parts: list[str] = []
    for element in violation.field.elements:
        subscript = element.subscript
        parts.append(element.field_name + ("" if subscript is None else _subscript(subscript.value)))
    return ".".join(parts)


def _reason(descriptor: Descriptor, violation: Any) -> str:
    """Return a violation's message; for a pattern, the field's `must_be` in words."""
    if violation.rule_id != "string.pattern":
        return str(violation.message)
    field: FieldDescriptor | None = None
    message: Descriptor | None = descriptor
    for element in violation.field.elements:
        assert message is not None, "a violation's path leads through messages"
        field = message.fields_by_name[element.field_name]
        message = jsonnames.message_type(field)
    assert field is not None, "a pattern is a field's"
    return f"must be {field.GetOptions().Extensions[options_pb2.must_be]}"


def _subscript(key: Any) -> str:
    """Return the subscript of a list item or a map entry."""
    return f"[{json.dumps(key, ensure_ascii=False)}]"


# --- field_behavior -----------------------------------------------------------------------------------------------


@cache
def behaviours(descriptor: Descriptor, behaviour: int) -> tuple[FieldDescriptor, ...]:
    """Return the fields of a message with this field_behavior."""
    return tuple(
        field
        for field in descriptor.fields
        if behaviour in field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    )


def _bad_behaviours(request: Message) -> Iterator[FieldError]:
    mask = request.DESCRIPTOR.fields_by_name.get("update_mask")
    for field, value in request.ListFields():
        if field.message_type is None or field.name == "update_mask":
            continue
        if mask is not None and not field.is_repeated:
            yield from _changed(value, f"{field.name}.", set(_mask(request).paths))
        else:
            yield from _missing_inside(field, value, field.name)


def _missing(message: Message, prefix: str) -> Iterator[FieldError]:
    """Yield the REQUIRED fields that are missing in a new message or in its nested messages."""
    required = behaviours(message.DESCRIPTOR, field_behavior_pb2.REQUIRED)
    yield from (FieldError(prefix + field.name, "is required") for field in required if _unset(message, field))
    for field, value in message.ListFields():
        if field.message_type is not None:
            yield from _missing_inside(field, value, prefix + field.name)


def _missing_inside(field: FieldDescriptor, value: Any, path: str) -> Iterator[FieldError]:
    inner = jsonnames.message_type(field)
    if inner is not None and inner.file.package != WELL_KNOWN:
        for nested_path, nested in _values(field, value, path):
            yield from _missing(nested, f"{nested_path}.")


def _changed(resource: Message, prefix: str, paths: set[str]) -> Iterator[FieldError]:
    """Yield the forbidden changes in an update.  A field in the mask is replaced as a whole, so it must be complete."""
    required = behaviours(resource.DESCRIPTOR, field_behavior_pb2.REQUIRED)
    immutable = behaviours(resource.DESCRIPTOR, field_behavior_pb2.IMMUTABLE)
    fields = resource.DESCRIPTOR.fields_by_name
    for name in sorted(paths):
        field = fields.get(name)
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
    """Yield the values of a field with their paths: the value itself, a list's items, or a map's values."""
    if not field.is_repeated:
        yield path, value
    elif jsonnames.is_map(field):
        yield from ((path + _subscript(key), value[key]) for key in sorted(value))
    else:
        yield from ((f"{path}[{number}]", item) for number, item in enumerate(value))


def _mask(request: Message) -> FieldMask:
    mask: FieldMask = cast("Any", request).update_mask  # the caller has checked it
    return mask


def _unset(resource: Message, field: FieldDescriptor) -> bool:
    return not (resource.HasField(field.name) if field.has_presence else getattr(resource, field.name))


# --- formats ------------------------------------------------------------------------------------------------------


Check = Callable[[str], str | None]


@cache
def _checks(descriptor: Descriptor) -> Mapping[int, tuple[Check, ...]]:
    """Return the checks of every field with strings, by field number."""
    checks = {}
    for field in descriptor.fields:
        entry = field.message_type if jsonnames.is_map(field) else None
        value = field if entry is None else entry.fields_by_name["value"]
        if value.type == FieldDescriptor.TYPE_STRING:
            options = field.GetOptions().Extensions
            format = options[options_pb2.format]
            checks[field.number] = (
                _bad_text,
                *((_bad_line,) if _is_line(field) else ()),
                *((schemas.bad_json,) if options[options_pb2.raw_json] else ()),
                *((FORMATS[format],) if format else ()),
            )
    return checks


def _texts(message: Message, prefix: str, by_schemas: bool) -> Iterator[FieldError]:
    for field, value in message.ListFields():  # unset fields have no text
        for path, text in _values(field, value, prefix + field.name):
            yield from _bad_value(field, path, text, by_schemas)
        if jsonnames.is_map(field) and any(isinstance(key, str) and "\0" in key for key in value):
            yield FieldError(prefix + field.name, f"a key {_NUL}")
        if jsonnames.message_type(field) is not None:
            for path, nested in _values(field, value, prefix + field.name):
                yield from _texts(nested, f"{path}.", by_schemas)


def _bad_value(field: FieldDescriptor, path: str, value: Any, by_schemas: bool) -> Iterator[FieldError]:
    """Yield what is wrong with one value of a field, except inside a nested message."""
    owner, inner_type = field.containing_type, jsonnames.message_type(field)
    assert owner is not None, "a message's field"
    if inner_type is not None:
        check = VALUES.get(inner_type.full_name)
        if check is not None and (problem := check(value)) is not None:
            yield FieldError(path, problem)
        return
    problem = next(
        (
            text_problem
            for check_text in _checks(owner).get(field.number, ())
            if (text_problem := check_text(value)) is not None
        ),
        None,
    )
    if problem is not None:
        yield FieldError(path, problem)
    elif by_schemas and (schema := schemas.of_fields(owner).get(field.name)):
        yield from (FieldError(path + inner, reason) for inner, reason in schemas.problems(schema, value))


def _rules(field: FieldDescriptor) -> Any:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    return rules.repeated.items.string if field.is_repeated else rules.string


def _is_line(field: FieldDescriptor) -> bool:
    rules = _rules(field)
    return rules.pattern.startswith(LINES) or (field.name in NAMES and rules.max_len > 0)


def _bad_line(text: str) -> str | None:
    return None if is_visible(text) else "has characters that people can't see"


def _bad_text(text: str) -> str | None:
    return _NUL if "\0" in text else None


#: The longest text with a cached result: a number is checked several times, and parsing is slow.
_LONGEST_CACHED = 24


def bad_e164(text: str) -> str | None:
    """Return what is wrong with a phone number, or None.

    It must be possible, not valid: numbering plans change faster than any table, and the carrier decides in the end.
    """
    return (_bad_e164 if len(text) <= _LONGEST_CACHED else _bad_e164.__wrapped__)(text)


@lru_cache(maxsize=4096)
def _bad_e164(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        return "is not a phone number in E.164, for example +13175551234"
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != text:
        return "is not written as E.164, for example +13175551234"
    return None if phonenumbers.is_possible_number(number) else "is not a possible phone number"


def bad_email(text: str) -> str | None:
    """Return what is wrong with an e-mail address, or None.  Does not check that the address exists."""
    local, _, domain = text.rpartition("@")
    is_plain = bool(local) and "@" not in local and all(part for part in domain.split(".")) and "." in domain
    return None if is_plain and len(text) <= 254 and EMAIL.fullmatch(text) else "is not an e-mail address"


def bad_account_email(text: str) -> str | None:
    """Return what is wrong with an e-mail address that identifies a person: ASCII only, which excludes look-alikes."""
    if not text.isascii():
        return "must be ASCII; write an international domain as xn--..."
    return bad_email(text)


def bad_time_zone(text: str) -> str | None:
    if text in schemas.time_zones():
        return None
    return "is not a time zone in the IANA database, for example America/New_York"


def bad_date(text: str) -> str | None:
    return None if schemas.is_date(text) else "is not a date, for example 2026-12-25"


def bad_event_type(text: str) -> str | None:
    """Return what is wrong with a type of events that customers may see, or None."""
    return None if eventtypes.is_visible(text) else f"must be one of {', '.join(eventtypes.visible())}"


def bad_event_filter(text: str) -> str | None:
    """Return what is wrong with a filter of events, or None: it must match types that customers may see."""
    if text == "*" or text in eventtypes.kinds() or eventtypes.is_visible(text):
        return None
    return f"must be *, a kind such as sms.*, or one of {', '.join(eventtypes.visible())}"


FORMATS: Mapping[int, Callable[[str], str | None]] = {
    options_pb2.FORMAT_E164: bad_e164,
    options_pb2.FORMAT_TIME_ZONE: bad_time_zone,
    options_pb2.FORMAT_EMAIL: bad_email,
    options_pb2.FORMAT_DATE: bad_date,
    options_pb2.FORMAT_EVENT_TYPE: bad_event_type,
    options_pb2.FORMAT_EVENT_FILTER: bad_event_filter,
}


# --- ranges of times and durations ----------------------------------------------------------------------------------


def bad_timestamp(value: Any) -> str | None:
    """Return what is wrong with a Timestamp, or None: JSON, the database and Python have the years 1 to 9999."""
    try:
        value.ToDatetime()
    except (ValueError, OverflowError):
        return "is not a time from 0001-01-01T00:00:00Z to 9999-12-31T23:59:59Z"
    return None


def bad_duration(value: Any) -> str | None:
    """Return what is wrong with a Duration, or None."""
    try:
        value.ToTimedelta()
    except (ValueError, OverflowError):
        return "is not a duration of up to 10000 years"
    return None


VALUES: Mapping[str, Callable[[Any], str | None]] = {
    "google.protobuf.Timestamp": bad_timestamp,
    "google.protobuf.Duration": bad_duration,
}
