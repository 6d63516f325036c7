"""`python -m control.busfacts`: the state of the servers of HUM_BUS_URL, as a JSON object for `hum doctor`.

It connects to each server as the bus does.  The first that works publishes a test message for all others, since servers
outside the cluster would not forward hints.  It stores nothing, and waits at most `bus_silent_seconds` for each
answer.
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

from nats.aio.msg import Msg

from control import natsbus
from control.natsbus import AWAY, subject, without_credentials
from control.natsclient import client_of
from hum import settings as environment
from hum.clock import monotonic_ms
from hum.settings.bus import BusSettings

PUBLISH_AGAIN_SECONDS = 0.05
MAX_DETAIL_CHARS = 200
REFUSED, DENIED = "authorization violation", "permissions violation"


class BusServer:
    """A server and its fault: a word that `cli.doctor.bus` knows, empty without a fault."""

    def __init__(self, url: str, context: ssl.SSLContext, seconds: float) -> None:
        self.url, self.fault, self.detail, self.version = url, "", "", ""
        self._context, self._seconds = context, seconds
        self._client = client_of(url)
        self._error = asyncio.get_running_loop().create_future()
        self._received = asyncio.Event()

    def as_json(self) -> dict[str, str]:
        """Return the facts about the server."""
        return {
            "server": without_credentials(self.url),
            "fault": self.fault,
            "detail": self.detail,
            "version": self.version,
        }

    async def connect(self, test_subject: str) -> None:
        """Connect and subscribe to this subject; record an error as the server's fault."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._or_error(self._connect())
                await self._client.subscribe(test_subject, cb=self._receive)
                await self._flush()
        except (*AWAY, ssl.SSLError) as error:
            self._record(error)
            is_silent = isinstance(error, TimeoutError)
            if self.fault == "away" and self.url.startswith("tls:") and not is_silent:
                await self._detect_alert()

    async def _detect_alert(self) -> None:
        """Find out whether the server ended the connection with a TLS alert.

        With TLS 1.3, a server refuses our certificate after the handshake is over for us.  A client that writes then
        only notices a lost connection, so this one only reads.
        """
        at = urlsplit(self.url)
        with suppress(*AWAY):
            async with asyncio.timeout(self._seconds):
                reader, writer = await asyncio.open_connection(at.hostname, at.port)
                try:
                    await reader.readline()  # the server's INFO, before TLS
                    await writer.start_tls(self._context, server_hostname=at.hostname)
                    await reader.read(1)
                except ssl.SSLError as error:
                    self._record(error)
                finally:
                    writer.close()

    async def publish(self, test_subject: str) -> None:
        """Publish the test message; record an error as the server's fault."""
        try:
            async with asyncio.timeout(self._seconds):
                await self._client.publish(test_subject, b"hum doctor")
                await self._flush()
        except AWAY as error:
            self._record(error)

    def is_missing(self) -> bool:
        """Tell whether the server works but has not received the test message."""
        return not self.fault and not self._received.is_set()

    async def close(self) -> None:
        """Close the connection, with a time limit."""
        with suppress(*AWAY):
            async with asyncio.timeout(self._seconds):
                await self._client.close()

    async def _connect(self) -> None:
        await self._client.connect(
            [self.url], allow_reconnect=False, error_cb=self._on_error, tls=self._context, name="hum doctor"
        )
        await self._client.flush(timeout=max(1, round(self._seconds)))
        version = self._client.connected_server_version
        self.version = f"{version.major}.{version.minor}.{version.patch}"

    async def _flush(self) -> None:
        """Wait for the server's answer, and raise an error that it reported before."""
        await self._client.flush(timeout=max(1, round(self._seconds)))
        if self._error.done():
            self._error.result()

    async def _or_error(self, work: Any) -> None:
        """Wait for this work, and raise the server's first error, after which the library would retry for ever."""
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait({task, self._error}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # The library may swallow a cancellation.
            while not task.done():
                task.cancel()
                await asyncio.wait({task}, timeout=natsbus.CANCEL_AGAIN_SECONDS)
        if self._error.done():
            task.cancelled() or task.exception()
            self._error.result()
        task.result()

    async def _on_error(self, error: Exception) -> None:
        if not self._error.done():
            self._error.set_exception(error)

    async def _receive(self, _: Msg) -> None:
        self._received.set()

    def _record(self, error: BaseException) -> None:
        self.fault = fault(error)
        self.detail = str(error)[:MAX_DETAIL_CHARS]


def fault(error: BaseException) -> str:
    """Return the word for an error of the connection."""
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
    """Return `servers`, each with its `server` (the URL without a password), `fault`, `detail` and `version`."""
    context = natsbus.tls(settings.tls_ca, settings.tls_cert, settings.tls_key)
    test_subject = subject(f"doctor.{secrets.token_hex(8)}")
    servers = [BusServer(url, context, settings.bus_silent_seconds) for url in settings.bus_urls]
    await asyncio.gather(*(server.connect(test_subject) for server in servers))
    await _publish_to_all(servers, test_subject, settings.bus_silent_seconds)
    await asyncio.gather(*(server.close() for server in servers))
    return {"servers": [server.as_json() for server in servers]}


async def _publish_to_all(servers: Sequence[BusServer], test_subject: str, seconds: float) -> None:
    """Publish the test message on the first server that works, and record the servers that don't receive it."""
    first = next((server for server in servers if not server.fault), None)
    if first is None:
        return
    # Not `asyncio.timeout`: the client library swallows its only cancellation.
    until_ms = monotonic_ms() + seconds * 1000
    while not first.fault and any(server.is_missing() for server in servers) and monotonic_ms() < until_ms:
        # Repeatedly, since the servers may not know each other yet.
        await first.publish(test_subject)
        await asyncio.sleep(PUBLISH_AGAIN_SECONDS)
    for server in servers:
        if server.is_missing() and not first.fault:
            server.fault, server.detail = "apart", without_credentials(first.url)


def main() -> None:
    """Print the report."""
    try:
        report = asyncio.run(facts(environment.load(BusSettings)))
    except (OSError, ssl.SSLError) as error:
        # Our own certificate can't be loaded.
        report = {"fault": str(error)[:MAX_DETAIL_CHARS]}
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
