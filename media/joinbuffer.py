"""The buffer for a stream's events while its session is being opened."""

import asyncio

from media.core.commands import EndCall
from media.core.legmessages import LegEvent, Started

#: Events that are buffered; a stream sends 50 frames a second.
MAX_EVENTS = 1_500


class JoinBuffer:
    """A stream's events while its session is being opened, and how to end the call if it was asked to end meanwhile."""

    def __init__(self) -> None:
        self.ending: EndCall | None = None  # to be applied once the call begins
        self._events: list[LegEvent] = []
        self._opening: asyncio.Task[None] | None = None

    def begin(self, start: Started, opening: "asyncio.Task[None]") -> None:
        """Buffer the `start`, and remember the task that opens the session."""
        self._events.append(start)
        self._opening = opening

    def append(self, event: LegEvent) -> None:
        """Buffer an event; drop it if the buffer is full."""
        if len(self._events) < MAX_EVENTS:
            self._events.append(event)

    def drain(self) -> list[LegEvent]:
        """Return the buffered events in order; cancel the opening of the session if it is in progress."""
        events, self._events = self._events, []
        opening, self._opening = self._opening, None
        if opening is not None and opening is not asyncio.current_task():
            opening.cancel()
        return events
