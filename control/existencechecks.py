"""Checks that a file which is being downloaded still exists."""

from collections.abc import Awaitable, Callable

from hum.clock import monotonic_ms


class ExistenceChecks:
    """Periodic checks, during a download, whether its file still exists: its call or message may be deleted.

    The boundary checks whether the credential still permits the download.
    """

    def __init__(self, exists: Callable[[], Awaitable[bool]], every_seconds: float) -> None:
        self._exists, self._every_ms = exists, every_seconds * 1000
        self._checked_ms = monotonic_ms()

    async def may_continue(self) -> bool:
        """Tell whether the file still exists, as of the last check; check again if that is due."""
        if monotonic_ms() - self._checked_ms < self._every_ms:
            return True
        if not await self._exists():
            return False
        self._checked_ms = monotonic_ms()
        return True
