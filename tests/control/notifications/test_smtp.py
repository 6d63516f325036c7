"""E-mails handed over to a real SMTP server: encrypted, as somebody, refused, slowly, or not at all."""

import asyncio
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme

from cli.doctor import probes, rules
from hum import smtp
from hum.settings import UpSettings
from hum.settings.notifications import NotificationSettings
from hum.smtp import Bounced, NotSent, Rejected, Security, SmtpServer
from tests.control.notifications.conftest import PASSWORD, USER, serving

ServerOf = Callable[..., SmtpServer]


def mail() -> EmailMessage:
    built = EmailMessage()
    built["From"], built["To"], built["Subject"] = "HUM <hum@example.com>", "ada@example.com", "Grüße"
    built.set_content("Hi")
    return built


@pytest.mark.parametrize("security", ["tls", "starttls", "none"])
async def test_it_arrives_encrypted_as_asked(security: Security, ca: trustme.CA, server_of: ServerOf) -> None:
    async with serving(security, ca) as box:
        await smtp.check(server_of(box.port, security))
        await smtp.send(server_of(box.port, security), mail())
    assert (box.got[0]["Subject"], box.envelopes[0].rcpt_tos) == ("Grüße", ["ada@example.com"])
    assert box.was_encrypted == [security != "none"]


async def test_who_has_a_password_signs_in(ca: trustme.CA, server_of: ServerOf) -> None:
    async with serving("starttls", ca, with_users=True) as box:
        await smtp.send(server_of(box.port, "starttls", user=USER, password=PASSWORD), mail())
        with pytest.raises(NotSent, match="535"):  # the operator's mistake: it is tried again
            await smtp.send(server_of(box.port, "starttls", user=USER, password="wrong"), mail())
        with pytest.raises(NotSent):
            await smtp.check(server_of(box.port, "starttls", user=USER, password="wrong"))
    assert len(box.got) == 1


async def test_nothing_goes_to_a_server_that_is_not_the_one(ca: trustme.CA, server_of: ServerOf) -> None:
    async with serving("starttls", ca) as box, serving("none", ca) as plain:
        with pytest.raises(NotSent, match=r"(?i)certificate"):
            await smtp.send(server_of(box.port, "starttls", ca_file=None), mail())
        with pytest.raises(NotSent, match=r"(?i)starttls"):  # somebody in between took the offer away
            await smtp.send(server_of(plain.port, "starttls"), mail())
        with pytest.raises(NotSent):
            await smtp.send(server_of(plain.port, "tls"), mail())
        with pytest.raises(NotSent):
            await smtp.send(server_of(box.port, "none"), mail())
    assert box.got == plain.got == []


@pytest.mark.parametrize(
    ("rcpt", "data", "outcome"),
    [
        ("550 No such user", "", Bounced),
        ("550 5.1.1 No such user", "", Bounced),
        ("550 5.7.1 Relaying denied", "", Rejected),
        ("450 Greylisted", "", NotSent),
        ("", "554 Looks like spam", Rejected),
        ("", "451 Later", NotSent),
    ],
)
async def test_what_the_server_says_decides(
    rcpt: str, data: str, outcome: type[Exception], ca: trustme.CA, server_of: ServerOf
) -> None:
    async with serving("none", ca) as box:
        box.refuse_rcpt, box.refuse_data = rcpt, data
        with pytest.raises(outcome, match=(rcpt or data)) as raised:
            await smtp.send(server_of(box.port), mail())
    assert type(raised.value) is outcome


async def test_a_dead_or_slow_server_is_left(server_of: ServerOf) -> None:
    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220-one line, and never the last one\r\n")
        waiting.set()
        await hanging.wait()
        writer.close()

    waiting, hanging = asyncio.Event(), asyncio.Event()
    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(NotSent):
        await smtp.send(server_of(port, seconds=0.2), mail())
    assert waiting.is_set()
    hanging.set()
    server.close()
    await server.wait_closed()
    with pytest.raises(NotSent):
        await smtp.send(server_of(port), mail())


@pytest.mark.parametrize(
    "wrong",
    [
        {"smtp_url": "http://mail.example"},
        {"smtp_url": "smtp://user:secret@mail.example"},
        {"smtp_url": "smtp://mail.example", "smtp_from": ""},
        {"smtp_url": "smtp+plain://mail.example", "smtp_user": "hum"},
        {"smtp_from": "HUM"},
        {"smtp_from": "HUM <a@b.example>\nBcc: x@example.com"},
    ],
)
def test_settings_that_can_not_be(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        NotificationSettings(**{"smtp_from": "HUM <hum@example.com>", **wrong})  # type: ignore[arg-type]  # by name


def test_the_scheme_says_how_it_is_encrypted() -> None:
    ends = [smtp.read_url(url) for url in ("smtps://a.example", "smtp://a.example", "smtp+plain://[::1]:2525")]
    assert ends == [("a.example", 465, "tls"), ("a.example", 587, "starttls"), ("::1", 2525, "none")]


async def test_the_doctor_says_whether_the_server_can_be_used(ca: trustme.CA, tmp_path: Path) -> None:
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with serving("starttls", ca, with_users=True) as box:
        for password, is_ok in ((PASSWORD, True), ("wrong", False)):
            config = UpSettings(
                home=tmp_path,
                smtp_url=f"smtp://localhost:{box.port}",
                smtp_user=USER,
                smtp_password=password,
                smtp_from="hum@example.com",
                smtp_ca=str(tmp_path / "ca.pem"),
            )
            finding = rules.email(config, await probes.smtp_fault(config, 10.0))
            assert finding.is_ok is is_ok
            assert password not in finding.line()
    assert box.got == [], "nothing is sent"
