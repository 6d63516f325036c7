"""The events of a call, in order, readable while it runs."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from sandbox.loopclock import now

Event = dict[str, Any]


class Journal:
    """Events that serialize as JSON: `event`, `at_monotonic` (s), `stream_ms` (None outside a stream) and facts."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._closed = False
        self._appended = asyncio.Event()

    def note(self, event: str, *, at: float | None = None, stream_ms: float | None = None, **facts: Any) -> None:
        at_s = now() if at is None else at
        self.events.append({"event": event, "at_monotonic": at_s, "stream_ms": stream_ms, **facts})
        self._wake()

    def close(self) -> None:
        """End all iterations of `follow`; no event may be appended afterwards."""
        self._closed = True
        self._wake()

    async def follow(self) -> AsyncIterator[Event]:
        """Yield all events from the first on, until the journal is closed."""
        seen = 0
        while True:
            appended = self._appended
            for event in self.events[seen:]:
                seen += 1
                yield event
            if self._closed and seen == len(self.events):
                return
            if seen == len(self.events):
                await appended.wait()

    async def find(self, event: str, **facts: Any) -> Event:
        """Wait for the first event of that kind whose facts match.  Raises LookupError if the call ends without it."""
        async for entry in self.follow():
            if entry["event"] == event and all(entry.get(name) == value for name, value in facts.items()):
                return entry
        raise LookupError(f"the call ended without {event} {facts or ''}".rstrip())

    def of(self, event: str) -> list[Event]:
        """Return the events of that kind so far."""
        return [entry for entry in self.events if entry["event"] == event]

    def _wake(self) -> None:
        self._appended.set()
        self._appended = asyncio.Event()
