"""When the certificates expire that callers' carrier and browsers are shown, as this machine sees them.

Not whether they are trusted: `hum doctor` says that.  Where the public URL can't be reached from here there is no figure.
"""

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from hum.telemetry import log
from hum.vitals import EXPIRES, expires_at

LOG = log(__name__)
TLS_PORT = 443


async def measure(urls: Mapping[str, str], seconds: float) -> None:
    """`urls` by what they are of; those without TLS are left out."""
    await asyncio.gather(*(_measure(of, url, seconds) for of, url in urls.items()))


async def _measure(of: str, url: str, seconds: float) -> None:
    parts = urlsplit(url)
    if parts.scheme not in {"https", "wss"} or parts.hostname is None:
        return
    try:
        async with asyncio.timeout(seconds):
            expires = expires_at(await shown(parts.hostname, parts.port or TLS_PORT))
    except (OSError, ValueError, TimeoutError) as error:
        LOG.info("the public certificate could not be looked at", of=of, error=repr(error)[:200])
    else:
        EXPIRES.labels(of).set(expires)


async def shown(host: str, port: int) -> bytes:
    """The certificate that a server shows, as DER, whoever signed it.  Raises OSError."""
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host, port, ssl=trusting, server_hostname=host)
    try:
        certificate: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.transport.abort()
    return certificate
