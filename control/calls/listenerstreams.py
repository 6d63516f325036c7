"""The listeners of this process, and the streams that media processes open for them."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from prometheus_client import Counter

from hum.contract.errors import NotFound
from hum.v1 import runtime_pb2 as pb

UNHEARD = Counter("hum_unheard_pieces_total", "Pieces of calls' sound that a listener was too slow for")
MAX_PIECES = 50  # of 100 ms


class ListenerStream:
    """The buffer of a listener for the sound of one of a call's streams."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(32)
        self.connected, self.closed = asyncio.Event(), asyncio.Event()
        #: The call's stream has ended, or its media process is gone.
        self.over = False
        self.wake = asyncio.Event()
        self._pieces: deque[pb.Sound] = deque()

    def pop(self) -> pb.Sound | None:
        """Remove and return the next piece of sound; None if there is none."""
        return self._pieces.popleft() if self._pieces else None

    async def read(self, requests: AsyncIterator[pb.OverhearRequest]) -> None:
        """Buffer the pieces that a media process sends, and drop the oldest when the listener is too slow."""
        try:
            async for request in requests:
                if len(self._pieces) >= MAX_PIECES:
                    UNHEARD.inc()
                    self._pieces.popleft()
                self._pieces.append(request.sound)
                self.wake.set()
        finally:
            self.over = True
            self.wake.set()


class ListenerStreams:
    """The listeners of this process."""

    def __init__(self) -> None:
        #: By token, until the media process opens the stream.
        self._pending: dict[str, ListenerStream] = {}

    @contextmanager
    def open(self) -> Iterator[ListenerStream]:
        stream = ListenerStream()
        self._pending[stream.token] = stream
        try:
            yield stream
        finally:
            self._pending.pop(stream.token, None)
            stream.closed.set()

    async def overhear(
        self, requests: AsyncIterator[pb.OverhearRequest], stopping: asyncio.Event
    ) -> AsyncIterator[pb.OverhearResponse]:
        """Serve the stream of a media process.  Raises NotFound if its token is used or another process's."""
        first = await anext(requests, pb.OverhearRequest())
        stream = self._pending.pop(first.token, None)
        if stream is None:
            raise NotFound("No listener of this process waits for that.")
        stream.connected.set()
        yield pb.OverhearResponse()
        tasks = {
            asyncio.create_task(stream.read(requests), name="overhear"),
            asyncio.create_task(_wait(stream.closed), name="overhear closed"),
            asyncio.create_task(_wait(stopping), name="overhear stopping"),
        }
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
