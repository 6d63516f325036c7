"""Stripe's parameters: `items[0][price]=p&metadata[a]=b` as nested values."""

import re
from collections.abc import Iterable
from typing import Any

STEP = re.compile(r"\[([^\]]*)\]")


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Convert pairs to objects and lists; every value is text.  A list's members are numbered, or have empty brackets."""
    tree: dict[str, Any] = {}
    for name, value in pairs:
        first, _, _ = name.partition("[")
        steps = [first, *STEP.findall(name)]
        at = tree
        for step in steps[:-1]:
            at = at.setdefault(step or str(len(at)), {})
        at[steps[-1] or str(len(at))] = value
    return {name: _listed(value) for name, value in tree.items()}


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    if value and all(name.isdigit() for name in value):
        return [_listed(value[name]) for name in sorted(value, key=int)]
    return {name: _listed(member) for name, member in value.items()}


def flag(value: str | None) -> bool:
    return value == "true"
