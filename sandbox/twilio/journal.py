"""What happened in a call, in order, readable while it happens."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from sandbox.loopclock import now

Event = dict[str, Any]


class Journal:
    """Events can be serialized as JSON: `event`, `at_monotonic` (s), `stream_ms` (None outside a stream) and facts."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._closed = False
        self._moved = asyncio.Event()

    def note(self, event: str, *, at: float | None = None, stream_ms: float | None = None, **facts: Any) -> None:
        moment = now() if at is None else at
        self.events.append({"event": event, "at_monotonic": moment, "stream_ms": stream_ms, **facts})
        self._wake()

    def close(self) -> None:
        """Nothing more will happen: iterations of `follow` end."""
        self._closed = True
        self._wake()

    async def follow(self) -> AsyncIterator[Event]:
        """All events from the first on, until the journal is closed."""
        seen = 0
        while True:
            moved = self._moved
            for event in self.events[seen:]:
                seen += 1
                yield event
            if self._closed and seen == len(self.events):
                return
            if seen == len(self.events):
                await moved.wait()

    async def find(self, event: str, **facts: Any) -> Event:
        """Wait for the first event of that kind whose facts match; LookupError if the call ends without it."""
        async for each in self.follow():
            if each["event"] == event and all(each.get(name) == value for name, value in facts.items()):
                return each
        raise LookupError(f"the call ended without {event} {facts or ''}".rstrip())

    def of(self, event: str) -> list[Event]:
        """The events of that kind so far."""
        return [each for each in self.events if each["event"] == event]

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
