"""Limits on open streams, for each credential and each organization, in this process."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from hum.contract.errors import RateLimited

#: Streams end when their clients disconnect, at any time.
RETRY_SECONDS = 5


class StreamLimits:
    """The limits on open streams, and their numbers."""

    def __init__(self, per_credential: int, per_organization: int) -> None:
        self._per_credential, self._per_organization = per_credential, per_organization
        self._open: Counter[bytes | UUID] = Counter()

    @contextmanager
    def slot(self, credential: bytes, organization: UUID | None) -> Iterator[None]:
        """Count a stream while the context is open.  Raises RateLimited."""
        if self._open[credential] >= self._per_credential:
            raise _too_many(f"This credential has {self._per_credential} open streams")
        if organization is not None and self._open[organization] >= self._per_organization:
            raise _too_many(f"Your organization has {self._per_organization} open streams")
        keys = [key for key in (credential, organization) if key is not None]
        self._open.update(keys)
        try:
            yield
        finally:
            self._open.subtract(keys)
            for key in keys:
                if not self._open[key]:
                    del self._open[key]


def _too_many(what: str) -> RateLimited:
    return RateLimited(f"{what}, which is the limit; close one first.", retry_after_seconds=str(RETRY_SECONDS))
