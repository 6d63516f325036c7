"""How many examples properties are tested with: a fifth of them each time, and all in `make check-fuzz` (TEST_EXAMPLES=all)."""

import os

ALL = os.environ.get("TEST_EXAMPLES") == "all"
#: Of a property that does not say how many.
USUAL = 100


def examples(most: int) -> int:
    return most if ALL else max(most // 5, min(most, 10))
