"""What an idle worker asks every few seconds, in one transaction, in place of the questions of all its steps.

It sees that events or jobs were written, of which a hint may have been lost, and when the next row of any sweep is due.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import Counter

from control.pacing import Activity
from storage import health
from storage.db import Db, Tx

#: Returns the seconds until a sweep's next row is due, None if none is; rows that are due already do not count.
Due = Callable[[Tx], Awaitable[float | None]]
#: Seconds between looks while something happens: hints tell of everything, and nearer due times are seen by the sweeps themselves.
EVERY_SECONDS = 2.0
#: The longest time between looks: notifications that were lost are made good within it (docs/failover.md).
NET_SECONDS = 5.0

UNANNOUNCED = Counter(
    "hum_unannounced_total", "Looks of an idle worker that found events or jobs of which no hint had come"
)


class Outlook:
    """The look ahead of one worker."""

    def __init__(self, db: Db, activity: Activity, dues: Sequence[Due]) -> None:
        self._db, self._activity, self._dues = db, activity, dues
        self._written: tuple[int, int] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def look(self) -> None:
        """Note what was written since the last look, and when the next row will be due."""
        async with self._db.system() as tx:
            written = await health.written(tx)
            waits = [seconds for due in self._dues if (seconds := await due(tx)) is not None]
        if written != self._written:
            if self._written is not None and self._activity.quiet_seconds > NET_SECONDS:
                UNANNOUNCED.inc()
            self._written = written
            self._activity.note()
        self._set_timer(min(waits, default=None))

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _set_timer(self, seconds: float | None) -> None:
        self.close()
        if seconds is not None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._activity.note)
