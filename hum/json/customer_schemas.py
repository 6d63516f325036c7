"""Validation by a customer's JSON Schema in bounded time.

It runs on the event loop that serves every tenant's calls, and the library's time is unbounded: `uniqueItems` compares
every pair of items, and a value of thousands of items may meet a schema of a thousand parts.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

MAX_ERRORS = 10
#: The budget: checks of one value by one keyword, with every item and every word of an `enum` counted; takes a fraction
#: of a second.
MAX_CHECKS = 20_000

_Check = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]
_remaining: ContextVar[int] = ContextVar("checks that are left")


class _BudgetExhausted(Exception):  # noqa: N818 - it says what it is
    """The budget of checks is used up."""


def errors(schema: Mapping[str, Any], value: Any) -> list[ValidationError]:
    """Return the first errors of a value by a schema that `schemas` has accepted.

    A value that exceeds the budget is one error.  `pattern` is ignored: a regular expression may take forever.
    """
    reset = _remaining.set(MAX_CHECKS)
    try:
        return list(islice(_BOUNDED(schema).iter_errors(value), MAX_ERRORS))
    except (_BudgetExhausted, RecursionError, ArithmeticError):  # `multipleOf` may overflow
        return [ValidationError("it is too big to be checked")]
    finally:
        _remaining.reset(reset)


def _charged(check: _Check) -> _Check:
    def charged(validator: Any, keyword_value: Any, value: Any, part: Any) -> Iterator[ValidationError] | None:
        remaining = (
            _remaining.get() - 1 - sum(len(sized) for sized in (keyword_value, value) if isinstance(sized, list | dict))
        )
        if remaining < 0:
            raise _BudgetExhausted
        _remaining.set(remaining)
        return check(validator, keyword_value, value, part)

    return charged


def _unique_items(_: Any, is_required: Any, value: Any, __: Any) -> Iterator[ValidationError]:
    if (
        is_required
        and isinstance(value, list)
        and len({json.dumps(item, sort_keys=True) for item in value}) < len(value)
    ):
        yield ValidationError("it has the same item twice")


def _bounded_validator() -> Any:
    checks: dict[str, _Check] = {name: _charged(check) for name, check in Draft202012Validator.VALIDATORS.items()}
    checks |= {"pattern": lambda *_: None, "uniqueItems": _charged(_unique_items)}
    return extend(Draft202012Validator, validators=checks)  # type: ignore[no-untyped-call]


_BOUNDED = _bounded_validator()
