"""A message at the carrier, inbound or outbound, and its segments.  Pure.

Sources: Twilio's Message resource; 3GPP TS 23.038 for the alphabets.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

GSM = set(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_ESCAPED = set("\f^{}\\[~]|€")
FINAL = frozenset({"delivered", "undelivered", "failed", "canceled", "received"})


def segments(body: str) -> int:
    """Return how many segments carriers bill for a body; at least one."""
    if all(char in GSM or char in GSM_ESCAPED for char in body):
        widths, alone, joined = [1 + (char in GSM_ESCAPED) for char in body], 160, 153
    else:
        widths, alone, joined = [len(char.encode("utf-16-be")) // 2 for char in body], 70, 67
    if sum(widths) <= alone:
        return 1
    number, free = 1, joined
    for width in widths:
        if width > free:
            number, free = number + 1, joined
        free -= width
    return number


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file of a message: its content if a handset sent it, its URL if the customer's application gave one, and both once fetched."""

    sid: str
    content_type: str
    content: bytes = b""
    url: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the file's ground truth, with the hash of its content if there is one."""
        sha256 = hashlib.sha256(self.content).hexdigest() if self.content else None
        return {
            "sid": self.sid,
            "content_type": self.content_type,
            "url": self.url,
            "bytes": len(self.content),
            "sha256": sha256,
        }


@dataclass(frozen=True, slots=True)
class Notice:
    """A status callback, sent or lost."""

    status: str
    error_code: int | None
    at_monotonic: float
    http_status: int | None
    """Status of the response to the last attempt; None without a response, or if the callback is lost."""
    lost: bool = False


@dataclass(slots=True, eq=False)
class Message:
    """A Message resource and its ground truth."""

    sid: str
    direction: str
    """inbound, outbound-api, or outbound-reply: a reply by TwiML, or the carrier's own to a keyword."""
    from_: str
    to: str
    body: str
    status: str
    created_at: datetime
    service_sid: str | None = None
    media: tuple[MediaFile, ...] = ()
    callback: str = ""
    validity_s: int = 36_000
    error_code: int | None = None
    updated_at: datetime | None = None
    sent_at: datetime | None = None
    """When it left for the handset, or, if inbound, when the customer's URL was requested; None if it never did."""
    arrived_at: datetime | None = None
    """When the handset received it, regardless of its network's report."""
    notices: list[Notice] = field(default_factory=list)

    @property
    def segments(self) -> int:
        return segments(self.body)

    @property
    def shown_segments(self) -> int:
        """Segments as the API shows them: none before a Messaging Service has chosen a sender."""
        return 0 if self.status in {"accepted", "scheduled"} else self.segments

    @property
    def is_over(self) -> bool:
        return self.status in FINAL

    def as_json(self) -> dict[str, Any]:
        """Return the message's ground truth."""
        return {
            "sid": self.sid,
            "direction": self.direction,
            "from": self.from_,
            "to": self.to,
            "body": self.body,
            "media": [file.as_json() for file in self.media],
            "status": self.status,
            "error_code": self.error_code,
            "messaging_service_sid": self.service_sid,
            "segments": self.segments,
            "created_at": self.created_at.isoformat(),
            "sent_at": self.sent_at.isoformat() if self.sent_at else None,
            "arrived_at": self.arrived_at.isoformat() if self.arrived_at else None,
            "callbacks": [
                {
                    "status": notice.status,
                    "error_code": notice.error_code,
                    "http_status": notice.http_status,
                    "lost": notice.lost,
                }
                for notice in self.notices
            ],
        }
