"""What each process measures of its surroundings when it is scraped: room on its disks, and when its certificate expires.

Asking the system may hang, on a mount of a server that is away: it is done beside the event loop, and once at a time.
"""

import asyncio
import shutil
from pathlib import Path

from cryptography import x509
from prometheus_client import Gauge

from hum.settings import Common, RecordingSettings
from hum.telemetry import log

LOG = log(__name__)
FREE = Gauge("hum_disk_free_bytes", "Bytes that this process may still write there", ["folder"])
SIZE = Gauge("hum_disk_size_bytes", "Bytes of the file system", ["folder"])
EXPIRES = Gauge("hum_certificate_expires_seconds", "When a certificate expires, in Unix time", ["of"])
PATIENCE_SECONDS = 1.0


class Vitals:
    """Measures when asked; what does not answer in time keeps its last value."""

    def __init__(self, settings: Common) -> None:
        self._folders = {"home": settings.home}
        if isinstance(settings, RecordingSettings):
            self._folders["recordings"] = settings.recordings_dir
        self._certificate = settings.tls_cert
        self._measuring: asyncio.Future[None] | None = None

    async def measure(self) -> None:
        if self._measuring is None or self._measuring.done():
            self._measuring = asyncio.ensure_future(asyncio.to_thread(self._measure))
        await asyncio.wait([self._measuring], timeout=PATIENCE_SECONDS)

    def _measure(self) -> None:
        for folder, path in self._folders.items():
            if (there := _nearest(path)) is not None:
                usage = shutil.disk_usage(there)
                FREE.labels(folder).set(usage.free)
                SIZE.labels(folder).set(usage.total)
        if self._certificate is not None:
            try:
                expires = expires_at(self._certificate.read_bytes())
            except (OSError, ValueError) as error:
                LOG.warning("the certificate can't be read", file=str(self._certificate), error=repr(error)[:200])
            else:
                EXPIRES.labels("planes").set(expires)


def expires_at(certificate: bytes) -> float:
    """When the first of these expires, in Unix time; PEM or DER.  Raises ValueError."""
    pem = certificate.lstrip().startswith(b"-----")
    every = x509.load_pem_x509_certificates(certificate) if pem else [x509.load_der_x509_certificate(certificate)]
    return min(each.not_valid_after_utc.timestamp() for each in every)


def _nearest(path: Path) -> Path | None:
    """The folder, or the first above it that exists: where it would be made."""
    return next((each for each in (path, *path.absolute().parents) if each.is_dir()), None)
