"""What the benchmark of faults makes of a record."""

import pytest

from bench.faults import unanswered


@pytest.mark.parametrize(
    ("keys", "told", "missing"),
    [("0123", "0123", 0), ("0123", "01234", 0), ("0123", "013", 1), ("0123", "123", 1), ("0123", "", 4), ("", "1", 0)],
)
def test_keys_that_no_turn_repeats_are_counted(keys: str, told: str, missing: int) -> None:
    assert unanswered(list(keys), list(told)) == missing
