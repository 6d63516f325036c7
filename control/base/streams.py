"""Limits on open streams, for each credential and each organization, in this process."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from hum.errors import RateLimited

RETRY_SECONDS = 5  # streams end when their clients leave, at any time


class Streams:
    """The open streams."""

    def __init__(self, most_of_credential: int, most_of_organization: int) -> None:
        self._most_of_credential, self._most_of_organization = most_of_credential, most_of_organization
        self._open: Counter[bytes | UUID] = Counter()

    @contextmanager
    def one(self, credential: bytes, organization: UUID | None) -> Iterator[None]:
        """Count a stream while the context is open.  Raises RateLimited."""
        if self._open[credential] >= self._most_of_credential:
            raise _too_many(f"This credential has {self._most_of_credential} open streams")
        if organization is not None and self._open[organization] >= self._most_of_organization:
            raise _too_many(f"Your organization has {self._most_of_organization} open streams")
        counted = [each for each in (credential, organization) if each is not None]
        self._open.update(counted)
        try:
            yield
        finally:
            self._open.subtract(counted)
            for each in counted:
                if not self._open[each]:
                    del self._open[each]


def _too_many(what: str) -> RateLimited:
    return RateLimited(f"{what}, which is the limit; close one first.", retry_after_seconds=str(RETRY_SECONDS))
