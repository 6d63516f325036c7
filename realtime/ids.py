"""Identifiers in the API's format."""

import itertools
from collections import defaultdict
from collections.abc import Callable
from uuid import uuid4

NewId = Callable[[str], str]


def new_id(prefix: str) -> str:
    """Return a unique id."""
    return f"{prefix}_{uuid4().hex[:21]}"


def counted() -> NewId:
    """Return a generator of `item_1`, `item_2`, ...: the same ids in every run."""
    counts: defaultdict[str, itertools.count[int]] = defaultdict(lambda: itertools.count(1))
    return lambda prefix: f"{prefix}_{next(counts[prefix])}"
