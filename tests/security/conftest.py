"""What attackers have: raw sockets before a running gateway, and the addresses that a proxy would name for them."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from sandbox.twilio import sign
from tests.contract.conftest import (
    ACCOUNT,
    PUBLIC,
    TOKEN,
    Edge,
    edge,
    issuer,
    limits,
    payments,
    plane,
    public_socket,
    running_issuer,
)

__all__ = ["Edge", "edge", "issuer", "limits", "payments", "plane", "public_socket", "running_issuer"]


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
                while await self.reader.read(1 << 16):
                    pass
        except TimeoutError:
            return False
        except ConnectionError:
            pass
        return True


async def dial(url: str) -> Wire:
    at = urlsplit(url)
    return Wire(*await asyncio.open_connection(at.hostname, at.port))


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


def webhook(path: str = "/twilio/voice", **form: str) -> str:
    """A webhook that the carrier signed, whole."""
    given = {"AccountSid": ACCOUNT, "CallSid": "CA1", "From": "+13175550199", "To": "+13175550100", **form}
    body = urlencode(given)
    headers = {
        "X-Twilio-Signature": sign(TOKEN, PUBLIC + path, list(given.items())),
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(body)),
    }
    return head("POST", path, headers) + body


async def carrier_is_answered(url: str) -> bool:
    """Tell whether a signed webhook gets TwiML."""
    async with wire(url) as carrier:
        await carrier.send(webhook())
        status, body = await carrier.answer()
        return status == 200 and "<Response>" in body
