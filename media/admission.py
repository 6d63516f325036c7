"""Whether this process takes one more call."""

from collections.abc import Callable

from media.door import Door
from media.pacer import Load
from media.shell import Ports


class Admission:
    """Counts nothing itself: it is given how many calls there are."""

    def __init__(self, ports: Ports, load: Callable[[], Load], door: Door) -> None:
        self._ports, self._load, self.door = ports, load, door
        self.leaving = self.draining = False

    def refuses(self, calls: int) -> str | None:
        """Why this process should be sent no more calls; None if it takes more."""
        return "draining" if self.leaving else self.full(calls)

    def full(self, calls: int) -> str | None:
        """Why a stream that is here can't be taken; None if it can."""
        if self.draining:
            return "draining"
        if calls >= self.door.room.calls:
            return "full"
        if not self._ports.link.outbox.storing:
            return "disk"
        return "lagging" if self._lags(calls) else None

    def _lags(self, calls: int) -> bool:
        """Tell whether the event loop is late because of what this process itself does."""
        settings, load = self._ports.settings, self._load()
        loaded = max(load.used, calls / self.door.room.calls) >= settings.loaded_share
        return loaded and (load.worst_ms > settings.max_lag_ms or load.usual_ms > settings.max_late_ms)
