"""Validation by a customer's JSON Schema, in a bounded time.

It runs on the event loop that serves every tenant's calls, and the library takes as long as schema and value make it: with
`uniqueItems` it compares each item with each other one, and a value of thousands of items may meet a schema of a thousand
parts.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

MOST_ERRORS = 10
#: Checks of one value by one keyword, each item and each word of an `enum` counted; a fraction of a second of work.
MOST_CHECKS = 20_000

_Check = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]
_left: ContextVar[int] = ContextVar("checks that are left")


class _TooMuch(Exception):  # noqa: N818 - it says what it is
    """The checks are used up."""


def errors(schema: Mapping[str, Any], value: Any) -> list[ValidationError]:
    """The first errors of a value by a schema that `jsonschemas` has accepted; one that is too much to check is an error.

    `pattern` is ignored: a regular expression may take forever.
    """
    reset = _left.set(MOST_CHECKS)
    try:
        return list(islice(_BOUNDED(schema).iter_errors(value), MOST_ERRORS))
    except (_TooMuch, RecursionError, ArithmeticError):  # a quotient that no number is
        return [ValidationError("it is too big to be checked")]
    finally:
        _left.reset(reset)


def _charged(check: _Check) -> _Check:
    def charged(validator: Any, words: Any, value: Any, part: Any) -> Iterator[ValidationError] | None:
        left = _left.get() - 1 - sum(len(each) for each in (words, value) if isinstance(each, list | dict))
        if left < 0:
            raise _TooMuch
        _left.set(left)
        return check(validator, words, value, part)

    return charged


def _unique_items(_: Any, wanted: Any, value: Any, __: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(value, list) and len({json.dumps(each, sort_keys=True) for each in value}) < len(value):
        yield ValidationError("it has the same item twice")


def _made() -> Any:
    checks: dict[str, _Check] = {name: _charged(check) for name, check in Draft202012Validator.VALIDATORS.items()}
    checks |= {"pattern": lambda *_: None, "uniqueItems": _charged(_unique_items)}
    return extend(Draft202012Validator, validators=checks)  # type: ignore[no-untyped-call]


_BOUNDED = _made()
