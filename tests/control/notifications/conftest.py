"""An SMTP server that nobody here wrote (aiosmtpd), on a port of its own, which takes e-mails or refuses them as a test asks."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from hum.smtp import Security, SmtpServer

USER, PASSWORD = "hum", "s3cret: it has a space"


@dataclass
class Mailbox:
    """What the server took; `refuse_rcpt` and `refuse_data` are its answers instead."""

    port: int = 0
    got: list[EmailMessage] = field(default_factory=list)
    envelopes: list[Envelope] = field(default_factory=list)
    refuse_rcpt: str = ""
    refuse_data: str = ""
    was_encrypted: list[bool] = field(default_factory=list)

    async def handle_RCPT(self, server: SMTP, _: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        assert server.transport is not None
        self.was_encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        if self.refuse_rcpt:
            return self.refuse_rcpt
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 OK"

    async def handle_DATA(self, _: SMTP, __: Session, envelope: Envelope) -> str:
        if self.refuse_data:
            return self.refuse_data
        assert isinstance(envelope.content, bytes)
        self.envelopes.append(envelope)
        self.got.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


def authenticate(_: SMTP, __: Session, ___: Envelope, ____: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=right)


@asynccontextmanager
async def serving(security: Security, ca: trustme.CA, *, with_users: bool = False) -> AsyncIterator[Mailbox]:
    mailbox = Mailbox()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("localhost").configure_cert(context)

    def protocol() -> SMTP:
        return SMTP(
            mailbox,
            tls_context=context if security == "starttls" else None,
            require_starttls=security == "starttls",
            authenticator=authenticate if with_users else None,
            auth_required=with_users,
            auth_require_tls=security == "starttls",
        )

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0, ssl=context if security == "tls" else None)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_of(ca: trustme.CA, tmp_path: Path) -> Callable[..., SmtpServer]:
    """The settings of a server on this machine."""
    file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(file))

    def made(port: int, security: Security = "none", **fields: Any) -> SmtpServer:
        defaults = {"user": "", "password": "", "ca_file": file, "seconds": 10.0}
        return SmtpServer("localhost", port, security, **{**defaults, **fields})

    return made
