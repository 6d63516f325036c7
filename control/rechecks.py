"""Downloads of what may be deleted before they are over."""

from collections.abc import Awaitable, Callable

from hum.clock import monotonic_ms


class Rechecks:
    """Asks every so often, while a download lasts, whether its file is still there: calls and messages are deleted.

    Whether the credential still permits it is watched over by the boundary.
    """

    def __init__(self, is_there: Callable[[], Awaitable[bool]], every_seconds: float) -> None:
        self._is_there, self._every_ms = is_there, every_seconds * 1000
        self._asked_ms = monotonic_ms()

    async def may_go_on(self) -> bool:
        """The answer, if it is due; True until then."""
        if monotonic_ms() - self._asked_ms < self._every_ms:
            return True
        if not await self._is_there():
            return False
        self._asked_ms = monotonic_ms()
        return True
