"""Measurements of a process's environment at a scrape: free space on its disks, and the expiry of its certificate.

A system call may hang, on a mount of a server that is unavailable, so they run in a thread, never two at a time.
"""

import asyncio
import shutil
from pathlib import Path

from cryptography import x509
from prometheus_client import Gauge

from hum.observe.logs import log
from hum.settings import Common, RecordingSettings

LOG = log(__name__)
FREE = Gauge("hum_disk_free_bytes", "Bytes that this process may still write there", ["folder"])
SIZE = Gauge("hum_disk_size_bytes", "Bytes of the file system", ["folder"])
EXPIRES = Gauge("hum_certificate_expires_seconds", "When a certificate expires, in Unix time", ["of"])
PATIENCE_SECONDS = 1.0


class Vitals:
    """The measurements; one that does not answer in time keeps its last value."""

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
            if (existing := _nearest_existing(path)) is not None:
                usage = shutil.disk_usage(existing)
                FREE.labels(folder).set(usage.free)
                SIZE.labels(folder).set(usage.total)
        if self._certificate is not None:
            try:
                expires = expires_at(self._certificate.read_bytes())
            except (OSError, ValueError) as error:
                LOG.warning("could not read the certificate", file=str(self._certificate), error=repr(error)[:200])
            else:
                EXPIRES.labels("planes").set(expires)


def expires_at(certificate: bytes) -> float:
    """Return when the first of these certificates expires, in Unix time.  PEM or DER.  Raises ValueError."""
    pem = certificate.lstrip().startswith(b"-----")
    certificates = (
        x509.load_pem_x509_certificates(certificate) if pem else [x509.load_der_x509_certificate(certificate)]
    )
    return min(cert.not_valid_after_utc.timestamp() for cert in certificates)


def _nearest_existing(path: Path) -> Path | None:
    """Return the folder, or its nearest ancestor that exists."""
    return next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), None)
