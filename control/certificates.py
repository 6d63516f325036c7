"""Expiry of the certificates that the carrier and browsers get, as seen from this machine.

Whether they are trusted is checked by `hum doctor`.  There is no figure for a URL that can't be reached from here.
"""

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from hum.observe.logs import log
from hum.observe.vitals import EXPIRES, expires_at

LOG = log(__name__)
TLS_PORT = 443


async def measure(urls: Mapping[str, str], seconds: float) -> None:
    """Measure the certificates of these URLs, by name; those without TLS are skipped."""
    await asyncio.gather(*(_measure(name, url, seconds) for name, url in urls.items()))


async def _measure(name: str, url: str, seconds: float) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "wss"} or parts.hostname is None:
        return
    try:
        async with asyncio.timeout(seconds):
            expires = expires_at(await fetch(parts.hostname, parts.port or TLS_PORT))
    except (OSError, ValueError, TimeoutError) as error:
        LOG.info("could not fetch the public certificate", name=name, error=repr(error)[:200])
    else:
        EXPIRES.labels(name).set(expires)


async def fetch(host: str, port: int) -> bytes:
    """Fetch a server's certificate as DER, without verification.  Raises OSError."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    try:
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    return certificate
