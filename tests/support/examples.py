"""How many examples properties are tested with: some of them each time, and all in `make check-fuzz` (TEST_EXAMPLES=all)."""

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
ALL = os.environ.get("TEST_EXAMPLES") == "all"
#: Of a property that does not say how many.
USUAL = 100


def examples(most: int, few: int | None = None) -> int:
    """Return how many are tried: all, or `few`, which are a tenth but for those that take longest."""
    if ALL:
        return most
    return max(most // 10, min(most, 10)) if few is None else few


def sample(cases: Sequence[T], every: int) -> Sequence[T]:
    """Return all of them where all are tried, else one of `every`; the test is marked `sampled`, so that check-fuzz has it."""
    return cases if ALL else cases[::every]
