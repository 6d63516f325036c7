"""Validation by a customer's JSON Schema in bounded time."""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from jsonschema.exceptions import ValidationError

from hum.json import budget
from hum.json.budget import BudgetExhausted

MAX_ERRORS = 10
#: The budget: takes a fraction of a second.
MAX_CHECKS = 20_000


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
    # The library raises anything for what is no JSON Schema; its messages quote the value.
    except Exception as error:  # noqa: BLE001
        return [ValidationError(f"it can't be checked: its schema is not valid ({type(error).__name__})")]


def inside(schema: Any, pointer: str) -> Any:
    """Return a schema that will be at a JSON pointer of another one, with its references leading to there."""
    match schema:
        case dict():
            return {
                name: f"#{pointer}{part[1:]}" if name == "$ref" and isinstance(part, str) else inside(part, pointer)
                for name, part in schema.items()
            }
        case list():
            return [inside(part, pointer) for part in schema]
        case _:
            return schema


def _unique_items(*check: Any) -> Iterator[ValidationError]:
    return (ValidationError("it has the same item twice") for _ in budget.unique_items(*check))


_BOUNDED = budget.validator({"pattern": lambda *_: None, "uniqueItems": _unique_items})
