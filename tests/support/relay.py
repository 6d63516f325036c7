"""A TCP relay that a test can cut or hold: what stands behind it is away or hangs, while nothing happens to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from hum.process.sockets import free_port


class Relay:
    """Forwards connections to `host:port` while it is up."""

    def __init__(self, host: str, port: int) -> None:
        self.port = free_port("127.0.0.1")
        self._to, self._open = (host, port), set[asyncio.StreamWriter]()
        self._server: asyncio.Server | None = None
        self._flows = asyncio.Event()
        self._flows.set()

    async def up(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def cut(self) -> None:
        """Refuse connections, and reset those that are open."""
        if self._server is not None:
            self._server.close()
        for each in self._open:
            each.transport.abort()

    def hold(self) -> None:
        """Accept connections and what is sent, and pass nothing on until `release`."""
        self._flows.clear()

    def release(self) -> None:
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._to)
        both = {writer, there_writer}
        self._open |= both
        await asyncio.gather(self._copy(reader, there_writer), self._copy(there_reader, writer))
        self._open -= both

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while some := await reader.read(1 << 16):
                await self._flows.wait()
                writer.write(some)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def relayed(host: str, port: int) -> AsyncIterator[Relay]:
    """A relay that is up."""
    relay = Relay(host, port)
    await relay.up()
    try:
        yield relay
    finally:
        relay.release()
        relay.cut()
