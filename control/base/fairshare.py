"""Shares of places that organizations take from one pool.  Pure."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID


def admits(taken: int, free: int) -> bool:
    """Return whether an organization that has taken `taken` places may take one of the `free` ones.

    Each organization takes about half of the places that the others have left.
    """
    return taken < free


class SharedPlaces:
    """Places of a process, counted by organization."""

    def __init__(self, places: int) -> None:
        self._places, self._taken = places, Counter[UUID]()

    @contextmanager
    def place(self, org: UUID) -> Iterator[bool]:
        """Take a place while the context is open, and yield True; yield False if the organization has its share."""
        if not admits(self._taken[org], self._places - self._taken.total()):
            yield False
            return
        self._taken[org] += 1
        try:
            yield True
        finally:
            self._taken[org] -= 1
            if not self._taken[org]:
                del self._taken[org]
