"""The library's checks of JSON Schemas, in bounded time.

They run on event loops that serve every tenant, and the library's time is unbounded: `uniqueItems` compares every pair
of items, a value of thousands of items may meet a schema of a thousand parts, and a part with a `$schema` of its own is
left to the library's own checks, which search for its patterns and fetch what its references name.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend

Check = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]

_remaining: ContextVar[int] = ContextVar("checks that are left")
#: Keywords with the most items or members.
_MOST = ("maxItems", list), ("maxProperties", dict)
#: Characters, or bits of a number, that cost as much as a check.
_CHARS = 64
#: Members of a part of a schema that cost as much as a check, whether or not they are keywords.
_MEMBERS = 16


class BudgetExhausted(Exception):  # noqa: N818 - it says what it is
    """The budget of checks is used up."""


@contextmanager
def limit(checks: int) -> Iterator[None]:
    """Limit the checks inside; beyond them, BudgetExhausted is raised.

    A check is of one value by one keyword, with every item, every word of an `enum`, every error and a long message counted.
    """
    reset = _remaining.set(checks)
    try:
        yield
    finally:
        _remaining.reset(reset)


def validator(overrides: Mapping[str, Check], **options: Any) -> Any:
    """Return the class of validators whose checks count.  Use it inside `limit`."""
    checks: dict[str, Check] = {**Draft202012Validator.VALIDATORS, "uniqueItems": unique_items, **overrides}
    counted = {name: _counted(name, check) for name, check in checks.items()}
    made = extend(Draft202012Validator, validators=counted, **options)  # type: ignore[no-untyped-call]
    evolve = made.evolve

    def evolve_alike(self: Any, **changes: Any) -> Any:
        """Return the validator of a part of the schema: of the same class, which the part's `$schema` would change."""
        if isinstance(part := changes.get("schema"), dict):
            _spend(len(part) // _MEMBERS)  # for each value, the library looks at all
            if "$schema" in part:
                changes["schema"] = {name: member for name, member in part.items() if name != "$schema"}
        return evolve(self, **changes)

    made.evolve = evolve_alike
    return made


def _counted(name: str, check: Check) -> Check:
    def counted(validator: Any, keyword_value: Any, value: Any, part: Any) -> Iterator[ValidationError]:
        # What is too long is not looked into: a bad item costs far more to report than it cost to send.
        if any(
            name != most and isinstance(value, kind) and len(value) > part.get(most, len(value)) for most, kind in _MOST
        ):
            return
        _spend(_cost(name, keyword_value, value))
        for error in check(validator, keyword_value, value, part) or ():
            _spend(1 + len(error.message) // _CHARS)  # it may quote all of the value
            yield error

    return counted


def _spend(checks: int) -> None:
    if (remaining := _remaining.get() - checks) < 0:
        raise BudgetExhausted
    _remaining.set(remaining)


def _cost(name: str, keyword_value: Any, value: Any) -> int:
    """Return what the library does for one check, in members that it looks at."""
    length = len(value) if isinstance(value, list | dict) else 0
    match name:
        case "enum" | "const":
            return 1 + _members(keyword_value)
        case "uniqueItems":
            return 1 + _members(value)
        case "unevaluatedItems" | "unevaluatedProperties":
            return 1 + length + length * length // _CHARS  # each is looked for in a list
        case "$ref":
            return 1 + len(keyword_value) // _CHARS
        case "dependentRequired" if isinstance(value, dict):
            return 1 + length + _members(keyword_value)
    # `properties` and its like look into objects only.
    is_looked_into = isinstance(keyword_value, list) or (isinstance(keyword_value, dict) and isinstance(value, dict))
    return 1 + length + (len(keyword_value) if is_looked_into else 0)


def _members(value: Any) -> int:
    """Return how many members a value has, at every depth."""
    count, parts = 0, [value]
    while parts:
        part = parts.pop()
        if isinstance(part, str):
            count += len(part) // _CHARS
        elif isinstance(part, int):
            count += part.bit_length() // _CHARS  # writing all digits takes long
        elif isinstance(part, list | dict):
            count += len(part)
            parts += part.values() if isinstance(part, dict) else part
    return count


def unique_items(_: Any, is_required: Any, value: Any, __: Any) -> Iterator[ValidationError]:
    """Check `uniqueItems` in one pass."""
    if (
        is_required
        and isinstance(value, list)
        and len({json.dumps(item, sort_keys=True) for item in value}) < len(value)
    ):
        yield ValidationError(f"{value!r} has non-unique elements")
