"""The size of a list's page, which its query and its cursor agree on."""

from collections.abc import Iterable
from itertools import accumulate

#: A page of a list with large rows ends with the row that reaches so many bytes.
PAGE_BYTES = 1 << 20


def length(sizes: Iterable[int], limit: int) -> int:
    """Return how many rows of these sizes a page has: up to `limit`, and up to the row that reaches `PAGE_BYTES`."""
    return min(limit, 1 + sum(total < PAGE_BYTES for total in accumulate(sizes)))
