"""The timer of the whole process; its ticks are on a fixed grid of the monotonic clock, so they do not drift."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from hum.clock import Clock, cpu_ms
from hum.observe.logs import log
from media import metrics
from media.cpushare import Used, allowed_cores

LOG = log(__name__)
WINDOW_MS = 1_000.0
#: The usual lateness is the moving average over about this many ticks.
USUAL_TICKS = 150


class LoopLoad(NamedTuple):
    """The event loop's lateness, at worst (which may be a hiccup) and usually, and the share of its core that the process uses.

    Lateness shows overload only together with a high share: see `media.cpushare`.
    """

    worst_ms: float
    usual_ms: float
    used: float


class Lag:
    """The worst lateness of the last one to two windows of half a second, and the mean of the last few seconds."""

    def __init__(self) -> None:
        self.usual_ms = 0.0
        self._since_ms = float("-inf")
        self._now = self._before = 0.0

    def add(self, late_ms: float, now_ms: float, skipped: int = 0) -> None:
        """Record a tick that was `late_ms` late, after `skipped` ticks that were skipped."""
        self.usual_ms += (late_ms - self.usual_ms) * min(1.0, (1 + skipped) / USUAL_TICKS)
        if now_ms - self._since_ms >= WINDOW_MS / 2:
            stale = now_ms - self._since_ms >= WINDOW_MS
            self._since_ms, self._before, self._now = now_ms, 0.0 if stale else self._now, late_ms
        else:
            self._now = max(self._now, late_ms)

    @property
    def worst_ms(self) -> float:
        """The worst lateness of the last one to two windows."""
        return max(self._now, self._before)


class Ticker:
    """A timer that calls `sweep(now_ms)` every `period_ms`; missed ticks are skipped, not made up in a burst.

    An exception from `sweep` ends only that tick: every call depends on the following ones.
    """

    def __init__(
        self, period_ms: float, clock: Clock, sweep: Callable[[float], None], used: Used | None = None
    ) -> None:
        self._period_ms, self._clock, self._sweep = period_ms, clock, sweep
        self._used = used or Used(cpu_ms, allowed_cores)
        self._due_ms = clock() + period_ms
        self._lag = Lag()
        self._timer: asyncio.TimerHandle | None = None
        self._is_failing = False

    @property
    def load(self) -> LoopLoad:
        """The lateness of the event loop, including that of a tick that is overdue now, and the CPU share."""
        return LoopLoad(max(self._lag.worst_ms, self._clock() - self._due_ms), self._lag.usual_ms, self._used.share)

    def beat(self) -> float:
        """Tick if a tick is due; return the ms until the next one."""
        now_ms = self._clock()
        late_ms = now_ms - self._due_ms
        if late_ms < 0:
            return -late_ms
        skipped = int(late_ms // self._period_ms)
        self._lag.add(late_ms, now_ms, skipped)
        self._used.sample(now_ms)
        metrics.LATENESS_SECONDS.observe(late_ms / 1000)
        metrics.LOOP_LAG_MS.set(self._lag.worst_ms)
        metrics.LOOP_LATE_MS.set(self._lag.usual_ms)
        self._due_ms += (skipped + 1) * self._period_ms
        self._swept(now_ms)
        return max(0.0, self._due_ms - self._clock())

    def _swept(self, now_ms: float) -> None:
        try:
            self._sweep(now_ms)
        # The next ticks must come: all calls depend on them.
        except Exception:
            metrics.TICKS_FAILED.inc()
            # Log the first of a series only: there are fifty ticks a second.
            if not self._is_failing:
                LOG.exception("a tick of the ticker failed: this is a bug")
            self._is_failing = True
        else:
            self._is_failing = False

    def start(self) -> None:
        """Tick on the running loop until `stop`."""
        self._due_ms = self._clock() + self._period_ms
        self._wait(self._period_ms)

    def stop(self) -> None:
        """Cancel the next tick."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, ms: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(ms / 1000, self._tick)

    def _tick(self) -> None:
        self._wait(self.beat())
