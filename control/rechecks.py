"""Whatever lasts, and may have to end before it is over: a stream, a download, an export."""

from collections.abc import Awaitable, Callable

from hum.clock import monotonic_ms


class Rechecks:
    """Asks every so often, while something lasts, whether it may go on: a key is revoked, a role lost, a call deleted."""

    def __init__(self, may_go_on: Callable[[], Awaitable[bool]], every_seconds: float) -> None:
        self._may_go_on, self._every_ms = may_go_on, every_seconds * 1000
        self._asked_ms = monotonic_ms()

    async def may_go_on(self) -> bool:
        """The answer, if it is due; True until then."""
        if monotonic_ms() - self._asked_ms < self._every_ms:
            return True
        if not await self._may_go_on():
            return False
        self._asked_ms = monotonic_ms()
        return True
