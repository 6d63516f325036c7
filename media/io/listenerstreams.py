"""Streams of calls' live sound to the control processes that have the listeners.

Each stream is opened on control's command, to that process's own address.  Its queue is bounded: a listener that can't keep up
misses pieces and delays nothing.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable

from grpc import aio

from hum import rpc
from hum.observe.logs import log
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from media import metrics

LOG = log(__name__)
#: Pieces of 100 ms that are queued while the listener's process does not read.
MAX_PIECES = 30
#: Listeners to one call.
MAX_PER_CALL = 5

Credential = Callable[[], tuple[str, str]]


class OverhearStreams:
    """All listeners of this process."""

    def __init__(self, settings: MediaSettings, credential: Credential) -> None:
        self._settings, self._credential = settings, credential
        self._open: set[asyncio.Task[None]] = set()
        #: The open streams by call and by organization.
        self._counts: Counter[str] = Counter()

    def begin(
        self, open_ear: pb.OpenEar, call_id: str, organization: str, on_closed: Callable[["ListenerQueue"], None]
    ) -> "ListenerQueue | None":
        """Open a stream of a call; return its queue, or None if there are too many.

        `on_closed` is called once the stream is closed.
        """
        if not self._admits(call_id, organization):
            return None
        listener = ListenerQueue()
        task = asyncio.create_task(self._run(listener, open_ear, on_closed), name="overhear")
        self._open.add(task)
        self._counts.update((call_id, organization))

        def discard(task: asyncio.Task[None]) -> None:
            self._open.discard(task)
            self._counts.subtract((call_id, organization))
            self._counts += Counter()  # without the zeros

        task.add_done_callback(discard)
        return listener

    def _admits(self, call_id: str, organization: str) -> bool:
        """Tell whether the call may have one more listener.

        Each organization may take about half of the places that the others have left.
        """
        free = self._settings.max_listeners - len(self._open)
        return self._counts[organization] < free and self._counts[call_id] < MAX_PER_CALL

    async def close(self) -> None:
        """Give the streams a short time to send their queues, then cancel them."""
        if self._open:
            _, late = await asyncio.wait(self._open, timeout=self._settings.end_ack_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(
        self, listener: "ListenerQueue", open_ear: pb.OpenEar, on_closed: Callable[["ListenerQueue"], None]
    ) -> None:
        try:
            async with rpc.channel(self._settings, open_ear.address) as channel:
                stub = runtime_pb2_grpc.MediaServiceStub(channel)
                call = stub.Overhear(metadata=(self._credential(),))
                await call.write(pb.OverhearRequest(token=open_ear.token))
                await _stream(call, listener)
        except (aio.AioRpcError, asyncio.InvalidStateError) as error:
            code = error.code().name if isinstance(error, aio.AioRpcError) else "ended"
            LOG.warning("could not stream sound to a listener's control process", address=open_ear.address, code=code)
        finally:
            on_closed(listener)


class ListenerQueue:
    """The queue of one listener's pieces."""

    def __init__(self) -> None:
        self._pieces: deque[pb.Sound] = deque()
        self._wake, self._finished = asyncio.Event(), False

    def put(self, sound: pb.Sound) -> None:
        """Queue a piece; drop the oldest one if the queue is full."""
        if len(self._pieces) >= MAX_PIECES:
            metrics.UNHEARD_BYTES.labels("slow").inc(len(self._pieces.popleft().pcm))
        self._pieces.append(sound)
        self._wake.set()

    def finish(self) -> None:
        """End the stream after the queued pieces."""
        self._finished = True
        self._wake.set()

    async def next(self) -> pb.Sound | None:
        """Return the next piece, or None at the end of the stream."""
        while not self._pieces:
            if self._finished:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._pieces.popleft()


async def _stream(
    call: "aio.StreamStreamCall[pb.OverhearRequest, pb.OverhearResponse]", listener: ListenerQueue
) -> None:
    """Send pieces until the call's stream ends, or control ends the RPC because the listener has left.  Raises AioRpcError."""
    ending = asyncio.create_task(_until_ended(call), name="overhear end")
    writing = asyncio.create_task(_write(call, listener), name="overhear write")
    try:
        await asyncio.wait({ending, writing}, return_when=asyncio.FIRST_COMPLETED)
        if writing.done() and not writing.exception():
            await ending
    finally:
        for task in (ending, writing):
            task.cancel()
        results = await asyncio.gather(ending, writing, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result


async def _write(
    call: "aio.StreamStreamCall[pb.OverhearRequest, pb.OverhearResponse]", listener: ListenerQueue
) -> None:
    while (sound := await listener.next()) is not None:
        await call.write(pb.OverhearRequest(sound=sound))
    await call.done_writing()


async def _until_ended(call: "aio.StreamStreamCall[pb.OverhearRequest, pb.OverhearResponse]") -> None:
    while await call.read() is not aio.EOF:
        pass
