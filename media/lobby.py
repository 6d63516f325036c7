"""What a stream brings while its session is being opened."""

import asyncio

from media.core.commands import EndCall
from media.core.leg import LegEvent, Started

#: Caller frames that wait for the session; a stream brings 50 a second.
KEPT_FRAMES = 1_500


class Lobby:
    """Keeps a stream's events while its session is being opened."""

    def __init__(self) -> None:
        self.ending: EndCall | None = None  # how the call is to end as soon as it has begun
        self._kept: list[LegEvent] = []
        self._opening: asyncio.Task[None] | None = None

    def enter(self, start: Started, opening: "asyncio.Task[None]") -> None:
        self._kept.append(start)
        self._opening = opening

    def keep(self, event: LegEvent) -> None:
        if len(self._kept) < KEPT_FRAMES:
            self._kept.append(event)

    def leave(self) -> list[LegEvent]:
        """Return what was kept, in order; cancel the opening of the session if it is still in progress."""
        kept, self._kept = self._kept, []
        opening, self._opening = self._opening, None
        if opening is not None and opening is not asyncio.current_task():
            opening.cancel()
        return kept
