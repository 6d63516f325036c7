"""The JSON Schemas of the contract's free-form fields, in hum/schemas/.

A field names its schema by the option `(hum.v1.json_schema)`.  The schema is the one source for the validation of
requests, for the OpenAPI document and its examples, and for control when it reads what an earlier release stored.
Draft 2020-12, with formats of our own; `1.0` is not an integer.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import date
from functools import cache, lru_cache
from importlib import resources
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote, urljoin
from zoneinfo import available_timezones

from google.protobuf.descriptor import Descriptor
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError, best_match
from jsonschema.protocols import Validator
from jsonschema_specifications import REGISTRY

from hum.json import budget
from hum.json.budget import BudgetExhausted
from hum.v1 import options_pb2

RAW_JSON_BYTES = 64 << 10
RAW_JSON_DEPTH = 64
MOST_PROBLEMS = 10
REASON_CHARS = 200
#: Keyword beside a `pattern`: the pattern for people, as the end of a sentence that begins with "must be".
PATTERN_IN_WORDS = "x-must-be"
#: The most parts of a customer's schema, with its references expanded, and their deepest level.
MAX_STEPS, MAX_DEPTH = 1_000, 64
#: The budgets of checks of one value, and of a customer's schema.  MAX_STEPS parts without references take half of the latter.
MAX_CHECKS, MAX_SCHEMA_CHECKS = 50_000, 200_000
#: The end of a day, at which a span may close.
MIDNIGHT = "24:00"
#: The parts of a regular expression that matter to find its `$` anchors: escapes, classes, and `$` itself.
_TOKENS = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]|\$", re.DOTALL)
#: An escape that may stand for NUL or half of a surrogate pair; unescaped, neither gets here.
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,59}")
_FORMATS = FormatChecker(formats=())


class BadValue(ValueError):  # noqa: N818
    """A value is invalid; the message is the end of a sentence that begins with its name."""


def names() -> list[str]:
    """Return the names of all schemas."""
    files = (resources.files("hum") / "schemas").iterdir()
    return sorted(file.name.removesuffix(".json") for file in files if file.name.endswith(".json"))


@cache
def schema(name: str) -> Mapping[str, Any]:
    """Return a schema as its file has it."""
    loaded: Mapping[str, Any] = json.loads((resources.files("hum") / "schemas" / f"{name}.json").read_text("utf-8"))
    return loaded


@cache
def of_fields(descriptor: Descriptor) -> Mapping[str, str]:
    """Return the fields of a message that have a schema, with the schema's name."""
    schemas = ((field.name, field.GetOptions().Extensions[options_pb2.json_schema]) for field in descriptor.fields)
    return {field: str(name) for field, name in schemas if name}


@lru_cache(maxsize=256)  # the same flows are read for many calls
def problems(name: str, text: str) -> tuple[tuple[str, str], ...]:
    """Return the problems of a value by its schema: pairs of place (`.weekly.mon[0]`; empty for all of it) and reason."""
    if (problem := bad_json(text)) is not None:
        return (("", problem),)
    try:
        value = json.loads(text, object_pairs_hook=_unique_members)
    except BadValue as duplicate:
        return (("", str(duplicate)),)
    try:
        with budget.limit(MAX_CHECKS):
            return tuple(sorted(set(_iter_problems(name, value))))[:MOST_PROBLEMS]
    except BudgetExhausted:
        return (("", "is too big to be checked"),)


def _unique_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object; raise BadValue for a repeated name, of which parsers choose different values."""
    value: dict[str, Any] = {}
    for name, member_value in members:
        if name in value:
            raise BadValue(f"has {name[:60]!r} twice in one object")
        value[name] = member_value
    return value


def _iter_problems(name: str, value: Any) -> Iterator[tuple[str, str]]:
    for number, error in enumerate(_validator(name).iter_errors(value)):
        if number == MOST_PROBLEMS:
            return
        deepest = best_match([error]) or error
        yield _path(deepest), _reason(deepest)


@cache
def _validator(name: str) -> Validator:
    integer = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    checks = budget.validator({"pattern": _check_pattern}, type_checker=integer)
    validator: Validator = checks(schema(name), format_checker=_FORMATS)
    return validator


def _check_pattern(_: Validator, pattern: str, value: object, __: object) -> Iterator[ValidationError]:
    if isinstance(value, str) and not _compiled(pattern).search(value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern as JSON Schema means it: its `$` is the end; Python's also matches before a last line break."""
    return re.compile(_TOKENS.sub(lambda token: r"\Z" if token[0] == "$" else token[0], pattern))


def _path(error: ValidationError) -> str:
    steps = (f"[{step}]" if isinstance(step, int) else member(str(step)) for step in error.absolute_path)
    return "".join(steps)


def member(name: str) -> str:
    """Return the end of a member's path: `.weekly`, `["8"]`."""
    return f".{name}" if _NAME.fullmatch(name) else f"[{json.dumps(name[:60], ensure_ascii=False)}]"


def _reason(error: ValidationError) -> str:
    """Return the message of a format or a pattern, or else the library's, shortened as it may quote a long value."""
    text = str(error.cause) if error.cause else error.message
    if (must_be := _pattern_in_words(error)) is not None:
        text = f"must be {must_be}"
    if "propertyNames" in error.absolute_schema_path:
        text = f"has the name {str(error.instance)[:60]!r}: {text}"
    return text if len(text) <= REASON_CHARS else f"{text[:REASON_CHARS]}..."


def _pattern_in_words(error: ValidationError) -> str | None:
    schema = error.schema if error.validator == "pattern" else None
    return str(schema[PATTERN_IN_WORDS]) if isinstance(schema, Mapping) and PATTERN_IN_WORDS in schema else None


# --- JSON itself --------------------------------------------------------------------------------------------------


def bad_json(text: str) -> str | None:
    """Return what is wrong with a free-form JSON value that a client writes, an object or an array, or None."""
    if (problem := bad_value(text)) is not None:
        return problem
    return None if text.lstrip().startswith(("{", "[")) else "must be a JSON object or array"


def bad_value(text: str) -> str | None:
    """Return why not every parser can be relied on to read a JSON value, or None."""
    if len(text.encode()) > RAW_JSON_BYTES:
        return f"is larger than {RAW_JSON_BYTES} bytes"
    try:
        value = parse(text)
    except BadValue as bad:
        return str(bad)
    except json.JSONDecodeError as error:
        return f"is not JSON: line {error.lineno}, column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]}"
    except (ValueError, RecursionError):
        return "is not JSON"
    return f"is nested deeper than {RAW_JSON_DEPTH} levels" if is_deep(value) else None


def is_deep(value: Any, levels: int = RAW_JSON_DEPTH) -> bool:
    """Tell whether JSON is nested deeper than every parser, ours or a customer's, can be relied on to read."""
    level = [value]
    for _ in range(levels):
        level = [inner for part in level for inner in _inside(part)]
    return bool(level)


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def parse(text: str) -> Any:
    """Parse JSON that every parser reads alike: without NaN, numbers that overflow (`1e999`), and strings that are no text.

    Raises ValueError, RecursionError.
    """
    value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    if _ESCAPED.search(text) and any(not _is_text(string) for string in _strings(value)):
        raise BadValue("holds the character NUL or half of a surrogate pair, which is no text")
    return value


def _strings(value: Any) -> Iterator[str]:
    """Yield the strings and names of a value."""
    parts = [value]
    while parts:
        part = parts.pop()
        if isinstance(part, str):
            yield part
        elif isinstance(part, dict):
            parts += [*part, *part.values()]
        elif isinstance(part, list):
            parts += part


def _is_text(string: str) -> bool:
    return "\0" not in string and not any("\ud800" <= char <= "\udfff" for char in string)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


# --- formats ------------------------------------------------------------------------------------------------------


#: Names in the database's files that are no place's time: `localtime` and `posixrules` are whatever each machine's are,
#: `Factory` is that of a machine whose zone nobody has set, `Etc/Unknown` the Unicode consortium's word for none.
NO_ZONES: Final = frozenset({"Etc/Unknown", "Factory", "localtime", "posixrules"})
#: Folders with other versions of all zones, such as one with leap seconds.
OTHER_VERSIONS: Final = ("posix/", "right/")


@cache
def time_zones() -> frozenset[str]:
    """Return the names in the IANA database under which a place has its time."""
    return frozenset(name for name in available_timezones() - NO_ZONES if not name.startswith(OTHER_VERSIONS))


@_FORMATS.checks("time-zone", raises=BadValue)
def _time_zone(value: object) -> bool:
    if isinstance(value, str) and value not in time_zones():
        raise BadValue("is not a time zone in the IANA database, for example America/New_York")
    return True


@_FORMATS.checks("date", raises=BadValue)
def _date(value: object) -> bool:
    if isinstance(value, str) and not is_date(value):
        raise BadValue("is not a date, for example 2026-12-25")
    return True


def is_date(text: str) -> bool:
    """Tell whether a text is a day of the calendar such as `2026-12-25`; other forms of ISO 8601 are not."""
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@_FORMATS.checks("spans-of-a-day", raises=BadValue)
def _spans_of_a_day(value: object) -> bool:
    """Check that spans are in order, not empty, and do not overlap; the last may cross midnight."""
    spans = value if isinstance(value, list) else []
    if not all(isinstance(span, list) and [type(at) for at in span] == [str, str] for span in spans):
        return True  # reported by the schema itself
    if any(opens == closes for opens, closes in spans):
        raise BadValue("opens and closes at the same time; a whole day is 00:00 to 24:00")
    if any(opens == MIDNIGHT for opens, _ in spans):
        raise BadValue(f"has a span that opens at {MIDNIGHT}; that is 00:00 of the next day")
    times = [at for span in spans for at in span]
    crosses = bool(times) and times[-1] < times[-2]
    if not all(one <= other for one, other in pairwise(times[:-1] if crosses else times)):
        raise BadValue("has spans that overlap or are not in order")
    return True


@_FORMATS.checks("json-schema", raises=BadValue)
def _json_schema(value: object) -> bool:
    """Check that `customer_schemas` can use a schema: it refers to nothing outside itself, and not recursively."""
    if not isinstance(value, dict):
        return True
    size = _SchemaSize(value)
    size.steps(value, 0)
    try:
        with budget.limit(MAX_SCHEMA_CHECKS):
            # A reference may lead to where no schema has to be, for example into an `enum`.
            parts = (value, *size.targets.values())
            errors = (error for part in parts for error in _metaschema_validator().iter_errors(part))
            error = next(errors, None)
    except (BudgetExhausted, RecursionError):
        raise BadValue("is too big to be checked") from None
    if error is not None:
        raise BadValue(f"is not a JSON Schema: {error.message}"[:REASON_CHARS])
    return True


def is_usable_schema(value: object) -> bool:
    """Tell whether `customer_schemas` can use a schema."""
    try:
        return _json_schema(value)
    except BadValue:
        return False


@cache
def _metaschema_validator() -> Validator:
    """Return the validator of schemas.  It ignores formats: no `pattern` is used, and compiling one may take forever."""
    validator: Validator = budget.validator({})(_flat_metaschema())
    return validator


def _flat_metaschema() -> Mapping[str, Any]:
    """Return the metaschema as one schema.  By the original, which refers to seven others, a check takes ten times as long."""
    original: Any = Draft202012Validator.META_SCHEMA
    parts = [original, *(REGISTRY.contents(urljoin(original["$id"], part["$ref"])) for part in original["allOf"])]
    flat: dict[str, Any] = {"type": original["type"]}
    for word in ("properties", "$defs"):
        flat[word] = {name: member for part in parts for name, member in part.get(word, {}).items()}
    text = re.sub(r'"meta/\w+#', '"#', json.dumps(flat)).replace('"$dynamicRef": "#meta"', '"$ref": "#"')
    schema: dict[str, Any] = json.loads(text)
    simple_types = schema["$defs"]["simpleTypes"]["enum"]
    schema["properties"]["type"]["anyOf"][1]["maxItems"] = len(simple_types)  # as they are unique
    return schema


class _SchemaSize:
    """The size of a schema in parts; the target of a reference counts once for each reference."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root, self._sizes = root, dict[int, int]()
        self._open: set[int] = set()
        #: The parts that references name, by their `id`.
        self.targets = dict[int, Any]()

    def steps(self, part: Any, depth: int) -> int:
        """Count the parts below one.  Raises BadValue for a schema that refers to itself, or is too big."""
        if id(part) in self._open or depth > MAX_DEPTH:
            raise BadValue("refers to itself, or is nested too deep")
        if (size := self._sizes.get(id(part))) is not None:
            return size
        self._open.add(id(part))
        parts = [*_inside(part), *self._references(part)]
        steps = 1 + sum(self.steps(child, depth + 1) for child in parts if isinstance(child, dict | list))
        if steps > MAX_STEPS:
            raise BadValue("is too big with all that its references stand for")
        self._open.remove(id(part))
        self._sizes[id(part)] = steps
        return steps

    def _references(self, part: Any) -> Iterator[Any]:
        for word, kind in (("$id", str), ("$dynamicRef", str), ("patternProperties", dict)):
            if isinstance(part, dict) and isinstance(part.get(word), kind):
                raise BadValue(f"uses {word}, which is not supported")
        if isinstance(part, dict) and isinstance(reference := part.get("$ref"), str):
            target = self._resolve(reference)
            self.targets[id(target)] = target
            yield target

    def _resolve(self, reference: str) -> Any:
        target: Any = self._root
        if reference != "#" and not reference.startswith("#/"):
            raise BadValue(f"refers to {reference[:60]!r}, which is not in it; put all of it into the schema")
        try:
            for step in unquote(reference).split("/")[1:]:
                name = step.replace("~1", "/").replace("~0", "~")
                target = target[int(name)] if isinstance(target, list) else target[name]
        except (LookupError, ValueError, TypeError):
            target = None
        if not isinstance(target, dict | bool):
            raise BadValue(f"refers to {reference[:60]!r}, where no schema is")
        return target
