"""The receiver: HTTP/1.1 by hand, because half of its responses are malformed or missing."""

import asyncio
import contextlib
import ssl
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Self

HEAD_BYTES = 64 << 10
HUGE_BYTES = 10 << 20
DRIP_SECONDS = 1.0
PART = bytes(64 << 10)


class ReceiverFault(Enum):
    """A fault of a response."""

    #: The request is read, and no response is sent.
    HANG = auto()
    #: The request is read, and the connection is reset.
    RESET = auto()
    #: Half of the response, then the connection ends.
    CUT = auto()
    #: A body that comes at one byte a second.
    DRIP = auto()
    #: A body of 10 MB.
    HUGE = auto()
    #: Something that isn't HTTP.
    GARBAGE = auto()


@dataclass(frozen=True, slots=True)
class Reply:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    fault: ReceiverFault | None = None
    #: Delay before the response, in seconds.
    after_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request, byte by byte; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    #: By the event loop's clock.
    at_seconds: float


@dataclass(slots=True)
class Receiver:
    """The requests received, and the responses to come; `path` is without its query."""

    url: str = ""
    requests: list[ReceivedRequest] = field(default_factory=list)
    connections: int = 0
    _next: dict[str, deque[Reply]] = field(default_factory=lambda: defaultdict(deque))
    _always: dict[str, Reply] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    @classmethod
    @contextlib.asynccontextmanager
    async def serve(
        cls, listen: str = "127.0.0.1:0", tls: ssl.SSLContext | None = None, backlog: int = 1024
    ) -> AsyncIterator[Self]:
        """Serve at `host:port` (port 0 takes a free one) until the block ends."""
        receiver = cls()
        host, _, port = listen.rpartition(":")
        server = await asyncio.start_server(
            receiver._accept, host, int(port), ssl=tls, limit=HEAD_BYTES, backlog=backlog
        )
        name = server.sockets[0].getsockname()
        receiver.url = f"{'https' if tls else 'http'}://{name[0]}:{name[1]}"
        try:
            yield receiver
        finally:
            server.close()
            for task in receiver._serving:
                task.cancel()
            await asyncio.gather(*receiver._serving, return_exceptions=True)

    def say(self, path: str, *replies: Reply) -> None:
        """Set the responses to the next requests at a path, one each."""
        self._next[path].extend(replies)

    def always(self, path: str, reply: Reply) -> None:
        """Set the response to all requests at a path after those of `say`."""
        self._always[path] = reply

    def at(self, path: str) -> Sequence[ReceivedRequest]:
        """Return the requests received at a path, in order."""
        return [request for request in self.requests if request.path.partition("?")[0] == path]

    async def wait(self, count: int, path: str, seconds: float = 20.0) -> Sequence[ReceivedRequest]:
        """Wait until `count` requests were received at a path, and return them.  Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while len(requests := self.at(path)) < count:
                self._changed.clear()
                await self._changed.wait()
        return requests

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a server's callback is a task"
        self._serving.add(task)
        self.connections += 1
        try:
            while (request := await _read(reader)) is not None:
                self.requests.append(request)
                self._changed.set()
                if not await _answer(writer, self._reply(request.path.partition("?")[0])):
                    return
        # The client has disconnected, or the server shuts down.
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self._serving.discard(task)
            writer.close()

    def _reply(self, path: str) -> Reply:
        replies = self._next.get(path)
        return replies.popleft() if replies else self._always.get(path, Reply())


async def _read(reader: asyncio.StreamReader) -> ReceivedRequest | None:
    """Return the next request, or None when the connection ends before it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise
    line, *fields = head[:-4].decode("latin-1").split("\r\n")
    method, path, _ = line.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in fields)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return ReceivedRequest(method, path, headers, body, asyncio.get_running_loop().time())


async def _answer(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    """Send a response; return whether the connection stays open."""
    if reply.after_seconds:
        await asyncio.sleep(reply.after_seconds)
    match reply.fault:
        case ReceiverFault.HANG:
            await asyncio.Event().wait()
        case ReceiverFault.RESET:
            writer.transport.abort()
        case ReceiverFault.GARBAGE:
            writer.write(b"220 ready for mail\r\n")
            await writer.drain()
        case ReceiverFault.CUT:
            writer.write(_head(reply, 100) + b"half")
            await writer.drain()
        case ReceiverFault.HUGE:
            writer.write(_head(reply, HUGE_BYTES))
            for _ in range(HUGE_BYTES // len(PART)):
                writer.write(PART)
                await writer.drain()
        case ReceiverFault.DRIP:
            writer.write(_head(reply, HUGE_BYTES))
            while True:
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(DRIP_SECONDS)
        case None:
            writer.write(_head(reply, len(reply.body)) + reply.body)
            await writer.drain()
            return True
    return False


def _head(reply: Reply, length: int) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
    return f"HTTP/1.1 {reply.status} -\r\nContent-Length: {length}\r\n{fields}\r\n".encode("latin-1")
