"""`python -m control.busfacts`: what `hum doctor` wants to know of the servers of HUM_BUS_URL, as one JSON object.

Each is connected to as the bus does it, and a message of its own goes from the first one that answers to all: servers that are no
cluster keep hints to themselves.  Stores nothing, and waits for nothing longer than HUM_BUS_SILENT_SECONDS.
"""

import asyncio
import json
import secrets
import socket
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg

from control import natsbus
from control.natsbus import AWAY, Encrypted, shown, subject
from hum import settings as environment
from hum.clock import monotonic_ms
from hum.settings.bus import BusSettings

PUBLISH_AGAIN_SECONDS = 0.05
MOST_DETAIL_CHARS = 200
REFUSED, DENIED = "authorization violation", "permissions violation"


class Server:
    """One server, and what is wrong with it: `fault` is a word that `hum.cli.doctor.bus` knows; empty if it is well."""

    def __init__(self, url: str, context: ssl.SSLContext, seconds: float) -> None:
        self.url, self.fault, self.detail, self.version = url, "", "", ""
        self._context, self._seconds = context, seconds
        self._client = Encrypted() if url.startswith("tls:") else Client()
        self._error = asyncio.get_running_loop().create_future()
        self._heard = asyncio.Event()

    def as_json(self) -> dict[str, str]:
        return {"server": shown(self.url), "fault": self.fault, "detail": self.detail, "version": self.version}

    async def connect(self, place: str) -> None:
        """Connect, and subscribe to this subject; what goes wrong is kept."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._or_error(self._connect())
                await self._client.subscribe(place, cb=self._receive)
                await self._flush()
        except (*AWAY, ssl.SSLError) as error:
            self._blame(error)
            is_silent = isinstance(error, TimeoutError)
            if self.fault == "away" and self.url.startswith("tls:") and not is_silent:
                await self._look_for_an_alert()

    async def _look_for_an_alert(self) -> None:
        """Why it ended the connection.  TLS 1.3 refuses a certificate when we believe ourselves connected, and who writes then
        learns of a lost connection alone; here nothing is written.
        """
        at = urlsplit(self.url)
        with suppress(*AWAY):
            async with asyncio.timeout(self._seconds):
                reader, writer = await asyncio.open_connection(at.hostname, at.port)
                try:
                    await reader.readline()  # what it says of itself, before TLS
                    await writer.start_tls(self._context, server_hostname=at.hostname)
                    await reader.read(1)
                except ssl.SSLError as error:
                    self._blame(error)
                finally:
                    writer.close()

    async def publish(self, place: str) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._client.publish(place, b"hum doctor")
                await self._flush()
        except AWAY as error:
            self._blame(error)

    def is_deaf(self) -> bool:
        """Whether it works, and the message has not come."""
        return not self.fault and not self._heard.is_set()

    async def close(self) -> None:
        with suppress(*AWAY):
            async with asyncio.timeout(self._seconds):
                await self._client.close()

    async def _connect(self) -> None:
        await self._client.connect(
            [self.url], allow_reconnect=False, error_cb=self._note, tls=self._context, name="hum doctor"
        )
        await self._client.flush(timeout=max(1, round(self._seconds)))
        version = self._client.connected_server_version
        self.version = f"{version.major}.{version.minor}.{version.patch}"

    async def _flush(self) -> None:
        """What the server objects to has come before its answer."""
        await self._client.flush(timeout=max(1, round(self._seconds)))
        if self._error.done():
            self._error.result()

    async def _or_error(self, work: Any) -> None:
        """The library tries a server that refuses it again and again; here the first error counts."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._error}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            while not task.done():  # which it may swallow
                task.cancel()
                await asyncio.wait({task}, timeout=natsbus.CANCEL_AGAIN_SECONDS)
        if self._error.done():
            task.cancelled() or task.exception()
            self._error.result()
        task.result()

    async def _note(self, error: Exception) -> None:
        if not self._error.done():
            self._error.set_exception(error)

    async def _receive(self, _: Msg) -> None:
        self._heard.set()

    def _blame(self, error: BaseException) -> None:
        self.fault = fault(error)
        self.detail = str(error)[:MOST_DETAIL_CHARS]


def fault(error: BaseException) -> str:
    """What an error of the connection is about."""
    words = str(error).lower()
    if isinstance(error, ssl.SSLCertVerificationError):
        return "authority"
    if isinstance(error, ssl.SSLError):
        return "certificate" if "alert" in words else "tls"
    if isinstance(error, socket.gaierror):
        return "name"
    if REFUSED in words:
        return "login"
    if DENIED in words:
        return "permission"
    return "tls" if "tls" in words else "away"


async def facts(settings: BusSettings) -> dict[str, Any]:
    """`servers`: of each `server` (its URL without a password), `fault`, `detail`, `version`."""
    context = natsbus.tls(settings.tls_ca, settings.tls_cert, settings.tls_key)
    place = subject(f"doctor.{secrets.token_hex(8)}")
    servers = [Server(url, context, settings.bus_silent_seconds) for url in settings.bus_urls]
    await asyncio.gather(*(each.connect(place) for each in servers))
    await _tell_all(servers, place, settings.bus_silent_seconds)
    await asyncio.gather(*(each.close() for each in servers))
    return {"servers": [each.as_json() for each in servers]}


async def _tell_all(servers: Sequence[Server], place: str, seconds: float) -> None:
    """The first server that works tells all others."""
    first = next((each for each in servers if not each.fault), None)
    if first is None:
        return
    until_ms = monotonic_ms() + seconds * 1000  # no `asyncio.timeout`: the client library swallows its one cancellation
    while not first.fault and any(each.is_deaf() for each in servers) and monotonic_ms() < until_ms:
        await first.publish(place)  # again, since one of them may not know of the others yet
        await asyncio.sleep(PUBLISH_AGAIN_SECONDS)
    for each in servers:
        if each.is_deaf() and not first.fault:
            each.fault, each.detail = "apart", shown(first.url)


def main() -> None:
    try:
        found = asyncio.run(facts(environment.load(BusSettings)))
    except (OSError, ssl.SSLError) as error:  # of our own certificate
        found = {"fault": str(error)[:MOST_DETAIL_CHARS]}
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
