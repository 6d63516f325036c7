"""The listeners of this process, and the streams that media processes open for them."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from prometheus_client import Counter

from hum.errors import NotFound
from hum.v1 import runtime_pb2 as pb

UNHEARD = Counter("hum_unheard_pieces_total", "Pieces of calls' sound that a listener was too slow for")
MOST_PIECES = 50  # of 100 ms


class Ear:
    """One listener's place for the sound of one stream of a call."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self.connected, self.closed = asyncio.Event(), asyncio.Event()
        self.over = False  # the call's stream is, or its media process is gone
        self.wake = asyncio.Event()
        self._pieces: deque[pb.Sound] = deque()

    def take(self) -> pb.Sound | None:
        """The next piece, if one has come."""
        return self._pieces.popleft() if self._pieces else None

    async def read(self, requests: AsyncIterator[pb.OverhearRequest]) -> None:
        """Until the media process sends no more."""
        try:
            async for request in requests:
                if len(self._pieces) >= MOST_PIECES:
                    UNHEARD.inc()
                    self._pieces.popleft()
                self._pieces.append(request.sound)
                self.wake.set()
        finally:
            self.over = True
            self.wake.set()


class Ears:
    def __init__(self) -> None:
        self._waiting: dict[str, Ear] = {}  # by token, until their streams come

    @contextmanager
    def open(self) -> Iterator[Ear]:
        ear = Ear()
        self._waiting[ear.token] = ear
        try:
            yield ear
        finally:
            self._waiting.pop(ear.token, None)
            ear.closed.set()

    async def overhear(
        self, requests: AsyncIterator[pb.OverhearRequest], stopping: asyncio.Event
    ) -> AsyncIterator[pb.OverhearResponse]:
        """Serve one stream.  Raises NotFound for a token that is used, or not of this process."""
        first = await anext(requests, pb.OverhearRequest())
        ear = self._waiting.pop(first.token, None)
        if ear is None:
            raise NotFound("No listener of this process waits for that.")
        ear.connected.set()
        yield pb.OverhearResponse()
        tasks = {
            asyncio.create_task(ear.read(requests), name="overhear"),
            asyncio.create_task(_set(ear.closed), name="overhear closed"),
            asyncio.create_task(_set(stopping), name="overhear stopping"),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)


async def _set(event: asyncio.Event) -> None:
    await event.wait()
