"""E-mails to people."""

import email.utils
from pathlib import Path

from pydantic import field_validator, model_validator

from hum import smtp
from hum.settings.base import Common, constant, setting

#: Seconds that handing over one e-mail may take.
SMTP_SECONDS = 20.0


class NotificationSettings(Common):
    """The SMTP server, and the limit on the e-mails that a person gets."""

    smtp_url: str = setting(
        "HUM_SMTP_URL",
        "",
        "the server that takes e-mails: smtps://host (TLS, port 465), smtp://host (STARTTLS, 587) or smtp+plain://host "
        "(unencrypted, 25); unset: no e-mails are sent",
    )
    smtp_user: str = setting("HUM_SMTP_USER", "", "user name at that server; unset: none")
    smtp_password: str = setting("HUM_SMTP_PASSWORD", "", "password at that server")
    smtp_from: str = setting(
        "HUM_SMTP_FROM", "", "whom e-mails are from, `HUM <hum@example.com>`; required with HUM_SMTP_URL"
    )
    smtp_ca: str = constant("", "file of certificates that the server's must be signed by; unset: the system's")
    notification_seconds: float = constant(2.0, "seconds between looks for something to tell", gt=0)

    @field_validator("smtp_url")
    @classmethod
    def _valid_url(cls, text: str) -> str:
        if text:
            smtp.read_url(text)
        return text

    @field_validator("smtp_from")
    @classmethod
    def _valid_from(cls, text: str) -> str:
        _, address = email.utils.parseaddr(text)
        if text and ("@" not in address or not text.isascii() or not text.isprintable()):
            raise ValueError("must be an address, like HUM <hum@example.com>")
        return text

    @model_validator(mode="after")
    def _whole(self) -> "NotificationSettings":
        if self.smtp_url and not self.smtp_from:
            raise ValueError("HUM_SMTP_FROM must be set with HUM_SMTP_URL")
        if self.smtp_user and self.smtp_url and smtp.read_url(self.smtp_url)[2] == "none":
            raise ValueError(
                "HUM_SMTP_URL must be smtps:// or smtp:// with HUM_SMTP_USER: no password is sent unencrypted"
            )
        return self

    @property
    def smtp_server(self) -> smtp.SmtpServer | None:
        """The SMTP server; None if no e-mails are sent."""
        if not self.smtp_url:
            return None
        host, port, security = smtp.read_url(self.smtp_url)
        ca_file = Path(self.smtp_ca) if self.smtp_ca else None
        return smtp.SmtpServer(host, port, security, self.smtp_user, self.smtp_password, ca_file, SMTP_SECONDS)
