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

    A value that exceeds the budget is one error.  `pattern` is ignored: a regular expression may take forever.
    """
    try:
        with budget.limit(MAX_CHECKS):
            return list(islice(_BOUNDED(schema).iter_errors(value), MAX_ERRORS))
    except (BudgetExhausted, RecursionError, ArithmeticError):  # `multipleOf` may overflow
        return [ValidationError("it is too big to be checked")]


def _unique_items(*check: Any) -> Iterator[ValidationError]:
    return (ValidationError("it has the same item twice") for _ in budget.unique_items(*check))


_BOUNDED = budget.validator({"pattern": lambda *_: None, "uniqueItems": _unique_items})
