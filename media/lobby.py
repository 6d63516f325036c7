"""What a stream brings while its session is being opened."""

import asyncio

from media.core.commands import EndCall
from media.core.leg import LegEvent, Started

#: Caller frames that wait for the session; a stream brings 50 a second.
MAX_EVENTS = 1_500


class JoinBuffer:
    """Keeps a stream's events while its session is being opened."""

    def __init__(self) -> None:
        self.ending: EndCall | None = None  # how the call is to end as soon as it has begun
        self._events: list[LegEvent] = []
        self._opening: asyncio.Task[None] | None = None

    def begin(self, start: Started, opening: "asyncio.Task[None]") -> None:
        self._events.append(start)
        self._opening = opening

    def append(self, event: LegEvent) -> None:
        if len(self._events) < MAX_EVENTS:
            self._events.append(event)

    def drain(self) -> list[LegEvent]:
        """Return what was kept, in order; cancel the opening of the session if it is still in progress."""
        events, self._events = self._events, []
        opening, self._opening = self._opening, None
        if opening is not None and opening is not asyncio.current_task():
            opening.cancel()
        return events
