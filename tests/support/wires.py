"""Connections without manners: raw HTTP/1.1 that stops where it likes."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

READ_BYTES = 1 << 16


@dataclass
class Wire:
    """A connection without manners."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    #: Of the last answer.
    head: str = ""

    async def send(self, text: str | bytes) -> None:
        """Send.  Raises ConnectionError if the other side has closed."""
        if self.writer.transport.is_closing():  # uvloop raises RuntimeError then
            raise ConnectionResetError
        self.writer.write(text if isinstance(text, bytes) else text.encode())
        await self.writer.drain()

    async def answer(self, seconds: float = 10) -> tuple[int, str]:
        """Status and what stands behind the head of an answer."""
        async with asyncio.timeout(seconds):
            self.head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"content-length: (\d+)", self.head, re.IGNORECASE)
            body = await self.reader.readexactly(int(length[1])) if length else b""
        return int(self.head.split()[1]), body.decode()

    async def closed_within(self, seconds: float) -> bool:
        """Tell whether the other side closes it."""
        try:
            async with asyncio.timeout(seconds):
                while await self.reader.read(READ_BYTES):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


async def dial(url: str, tls: ssl.SSLContext | None = None, source: str | None = None) -> Wire:
    """Connect to where a URL is served, from `source`, an address of this machine."""
    at, local = urlsplit(url), (source, 0) if source else None
    return Wire(*await asyncio.open_connection(at.hostname, at.port, ssl=tls, local_addr=local))


@asynccontextmanager
async def wire(url: str) -> AsyncIterator[Wire]:
    made = await dial(url)
    try:
        yield made
    finally:
        made.writer.close()


def head(verb: str, path: str, headers: Mapping[str, str] | None = None) -> str:
    lines = [f"{verb} {path} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    return "\r\n".join([*lines, "", ""])
