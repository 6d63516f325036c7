"""E-mails over SMTP: one connection for each, encrypted unless the operator decides otherwise, and bounded in time."""

import asyncio
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import aiosmtplib
from aiosmtplib.errors import (
    SMTPAuthenticationError,
    SMTPException,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
)

Security = Literal["tls", "starttls", "none"]
SECURITIES: dict[str, tuple[Security, int]] = {
    "smtps": ("tls", 465),
    "smtp": ("starttls", 587),
    "smtp+plain": ("none", 25),
}
PERMANENT = 500
#: Codes about a mailbox (RFC 5321), unless the enhanced status says that a policy refuses.
NO_MAILBOX, POLICY = (550, 551, 553), "5.7."
ERROR_CHARS = 300


class NotSent(Exception):  # noqa: N818 - it says what happened
    """The server did not accept an e-mail; a later attempt may succeed."""


class Rejected(Exception):  # noqa: N818
    """The server refused this e-mail permanently."""


class Bounced(Rejected):
    """The server accepts nothing for this address."""


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The SMTP server.  `seconds` is the time limit of a whole delivery."""

    host: str
    port: int
    security: Security
    user: str
    password: str
    ca_file: Path | None
    seconds: float


def read_url(url: str) -> tuple[str, int, Security]:
    """Return host, port and encryption of `smtps://host`, `smtp://host:587` or `smtp+plain://host:25`.

    Raises ValueError.
    """
    parts = urlsplit(url)
    if (
        parts.scheme not in SECURITIES
        or not parts.hostname
        or parts.username
        or parts.path.strip("/")
        or parts.query
        or parts.fragment
    ):
        raise ValueError("must be smtps://host[:port], smtp://host[:port] (STARTTLS) or smtp+plain://host[:port]")
    security, port = SECURITIES[parts.scheme]
    return parts.hostname, parts.port or port, security


async def send(server: SmtpServer, message: EmailMessage) -> None:
    """Send an e-mail.  Raises NotSent, Rejected, Bounced; after NotSent the server may have accepted it all the same."""
    try:
        async with asyncio.timeout(server.seconds):
            client = await _connect(server)
            try:
                await client.send_message(message)
            finally:
                client.close()
    except SMTPRecipientsRefused as error:
        first = error.recipients[0]
        raise _error_of(first.code, first.message, Bounced if _is_about_mailbox(first) else Rejected) from error
    # The operator's mistake, not the e-mail's: a later attempt may succeed.
    except (SMTPAuthenticationError, SMTPSenderRefused) as error:
        raise NotSent(_text(error)) from error
    except SMTPResponseException as error:
        raise _error_of(error.code, error.message, Rejected) from error
    except (SMTPException, OSError, TimeoutError, ValueError) as error:
        raise NotSent(_text(error)) from error


async def check(server: SmtpServer) -> None:
    """Connect, encrypt, sign in and disconnect.  Raises NotSent."""
    try:
        async with asyncio.timeout(server.seconds):
            client = await _connect(server)
            try:
                await client.noop()
            finally:
                client.close()
    except (SMTPException, OSError, TimeoutError, ValueError) as error:
        raise NotSent(_text(error)) from error


async def _connect(server: SmtpServer) -> aiosmtplib.SMTP:
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        username=server.user or None,
        password=server.password or None,
        timeout=server.seconds,
        use_tls=server.security == "tls",
        start_tls=server.security == "starttls",
        tls_context=None if server.security == "none" else ssl.create_default_context(cafile=server.ca_file),
    )
    try:
        await client.connect()
    # Also a cancellation: the connection must not stay open.
    except BaseException:
        client.close()
        raise
    return client


def _is_about_mailbox(refused: SMTPResponseException) -> bool:
    """Tell whether the server refused the address: a policy (RFC 3463, X.7.X) would refuse others too."""
    return refused.code in NO_MAILBOX and not refused.message.startswith(POLICY)


def _error_of(code: int, message: str, permanent: type[Rejected]) -> Exception:
    text = f"{code} {message}"[:ERROR_CHARS]
    return permanent(text) if code >= PERMANENT else NotSent(text)


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return "the server was too slow"
    return f"{type(error).__name__}: {error}"[:ERROR_CHARS]
