"""Validation by a customer's JSON Schema in bounded time."""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from jsonschema.exceptions import UnknownType, ValidationError
from referencing.exceptions import Unresolvable

from hum.json import budget, schemas
from hum.json.budget import BudgetExhausted

MAX_ERRORS = 10
#: The budget: takes a fraction of a second.
MAX_CHECKS = 20_000
#: What the library raises for a schema that is no JSON Schema.
_INVALID_SCHEMA = (AttributeError, TypeError, ValueError, re.error, UnknownType, Unresolvable)
#: Keywords whose values are data.
_DATA = frozenset({"const", "default", "enum", "examples"})
#: Keywords whose values are schemas by a name, which may be that of a keyword.
_NAMED_SCHEMAS = frozenset({"$defs", "definitions", "dependentSchemas", "properties"})


def errors(schema: Mapping[str, Any], value: Any) -> list[ValidationError]:
    """Return the first errors of a value by a schema that `schemas` has accepted.

    A value that exceeds the budget is one error, and so is a schema that only an earlier release has accepted.  `pattern` is ignored: a
    regular expression may take forever.
    """
    try:
        with budget.limit(MAX_CHECKS):
            return list(islice(_BOUNDED(schema).iter_errors(value), MAX_ERRORS))
    except (BudgetExhausted, RecursionError, ArithmeticError):  # `multipleOf` may overflow
        return [ValidationError("it is too big to be checked")]
    except _INVALID_SCHEMA as error:
        if schemas.is_usable_schema(schema):
            raise  # a bug, ours or the library's
        # Without the library's message, which quotes the value.
        return [ValidationError(f"it can't be checked: its schema is not valid ({type(error).__name__})")]


def inside(schema: Any, pointer: str) -> Any:
    """Return a schema that will be at a JSON pointer of another one, with its references leading to there."""
    match schema:
        case dict():
            return {name: _keyword_inside(name, part, pointer) for name, part in schema.items()}
        case list():
            return [inside(part, pointer) for part in schema]
        case _:
            return schema


def _keyword_inside(name: str, value: Any, pointer: str) -> Any:
    if name == "$ref" and isinstance(value, str):
        return f"#{pointer}{value[1:]}"
    if name in _DATA:
        return value
    if name in _NAMED_SCHEMAS and isinstance(value, dict):
        return {inner: inside(part, pointer) for inner, part in value.items()}
    return inside(value, pointer)


def _unique_items(*check: Any) -> Iterator[ValidationError]:
    return (ValidationError("it has the same item twice") for _ in budget.unique_items(*check))


_BOUNDED = budget.validator({"pattern": lambda *_: None, "uniqueItems": _unique_items})
