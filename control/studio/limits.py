"""An organization's limits in the studio: requests in flight in this process, and requests per day."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC
from uuid import UUID

from control.base import days
from hum.clock import now
from hum.contract.errors import RateLimited
from storage import studio
from storage.db import Tx

#: The typical duration of a request.
RETRY_SECONDS = 5
TRIAL, PROPOSAL, PREVIEW = "trial", "proposal", "preview"
WORDS = {TRIAL: "turns of trials", PROPOSAL: "proposals", PREVIEW: "previews of voices"}


class ConcurrencyLimit:
    """The requests in flight, by organization."""

    def __init__(self, most: int) -> None:
        self._most, self._busy = most, Counter[UUID]()

    @contextmanager
    def slot(self, org: UUID) -> Iterator[None]:
        """Count a request while the context is open.  Raises RateLimited."""
        if self._busy[org] >= self._most:
            raise RateLimited(
                f"{self._most} trials, proposals and previews of your organization are under way, which is the limit.",
                retry_after_seconds=str(RETRY_SECONDS),
            )
        self._busy[org] += 1
        try:
            yield
        finally:
            self._busy[org] -= 1
            if not self._busy[org]:
                del self._busy[org]


async def count_request(tx: Tx, kind: str, most: int) -> None:
    """Count a request against today's limit.  Raises RateLimited."""
    at = now().astimezone(UTC)
    if not await studio.count_use(tx, kind, at.date(), most):
        raise RateLimited(
            f"Your organization has had {most} {WORDS[kind]} today (UTC), which is the limit.",
            retry_after_seconds=str(days.seconds_left(at)),
        )
