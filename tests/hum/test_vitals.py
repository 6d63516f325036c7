"""What a process measures of its surroundings, and the certificates that others are shown."""

import asyncio
import ssl
import time
from pathlib import Path

import pytest
import trustme

from control import certificates
from hum.observe import vitals
from hum.settings import Common, MediaSettings
from tests.support.metrics import sample


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


async def test_room_on_the_disks(tmp_path: Path) -> None:
    recordings = tmp_path / "not" / "made" / "yet"
    await vitals.Vitals(MediaSettings(home=tmp_path, recordings_url=str(recordings))).measure()
    for folder in ("home", "recordings"):
        free = sample("hum_disk_free_bytes", {"folder": folder})
        size = sample("hum_disk_size_bytes", {"folder": folder})
        assert free is not None and size is not None and 0 < free <= size


async def test_a_disk_that_does_not_answer_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def hangs(path: object) -> None:
        asked.append(path)
        time.sleep(0.5)  # as statfs on a mount whose server is away
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(vitals, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr("shutil.disk_usage", hangs)
    watching = vitals.Vitals(Common(home=tmp_path))
    for _ in range(3):
        await watching.measure()
    assert asked == [tmp_path]


async def test_when_certificates_expire(tmp_path: Path, authority: trustme.CA) -> None:
    ours = authority.issue_cert("hum.example.com")
    pem = tmp_path / "tls.pem"
    pem.write_bytes(b"".join(each.bytes() for each in ours.cert_chain_pems))
    await vitals.Vitals(Common(home=tmp_path, tls_cert=pem)).measure()
    expires = sample("hum_certificate_expires_seconds", {"of": "planes"})
    assert expires == vitals.expires_at(pem.read_bytes()) and expires > time.time()
    pem.write_text("-----BEGIN CERTIFICATE-----\nno\n")
    await vitals.Vitals(Common(home=tmp_path, tls_cert=pem)).measure()  # is logged, and changes nothing


async def test_the_certificate_of_a_public_url_is_looked_at(authority: trustme.CA) -> None:
    """Nobody here trusts who signed it: when it expires is another question."""
    ours, context = authority.issue_cert("localhost"), ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.configure_cert(context)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    async with server:
        urls = {"public_url": f"https://localhost:{port}", "media_url": "ws://localhost:1"}
        await certificates.measure(urls, 5)
    expected = vitals.expires_at(ours.cert_chain_pems[0].bytes())
    assert sample("hum_certificate_expires_seconds", {"of": "public_url"}) == expected
    assert sample("hum_certificate_expires_seconds", {"of": "media_url"}) is None
    await certificates.measure({"media_url": f"wss://localhost:{port}"}, 0.5)  # nobody is there any more
    assert sample("hum_certificate_expires_seconds", {"of": "media_url"}) is None
