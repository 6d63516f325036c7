"""What is sent: the event, or a line about it for people.  The same event gives the same bytes, at each attempt.  Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from control.base.wire import rfc3339
from hum import ids
from hum.ids import Kind

#: What Discord takes of a message.
LONGEST_LINE: Final = 1900
#: What says most about an event, in this order.
TELLING: Final = (
    "from",
    "to",
    "contact_e164",
    "url",
    "body",
    "text",
    "transcript",
    "status",
    "reason",
    "outcome",
    "label",
)


@dataclass(frozen=True, slots=True)
class Content:
    """An event, as it is delivered; `data` is JSON."""

    id: UUID
    organization: UUID
    type: str
    version: int
    created_at: datetime
    sequence: int | None
    data: str


def body(content: Content, format: str) -> bytes:
    """What is sent of an event."""
    match format:
        case "slack":
            return _dumped({"text": line(content)})
        case "discord":
            # Nobody is called by a text that a stranger wrote.
            return _dumped({"content": line(content), "allowed_mentions": {"parse": []}})
        case "teams":
            return _dumped(_card(line(content)))
        case _:
            return event(content)


def event(content: Content) -> bytes:
    """The event as JSON; its data are the very words of the outbox."""
    head = {
        "id": ids.show(Kind.EVENT, content.id),
        "type": content.type,
        "version": content.version,
        "created_at": rfc3339(content.created_at),
        "organization_id": ids.show(Kind.ORGANIZATION, content.organization),
        "sequence": content.sequence,
    }
    return _dumped(head)[:-1] + b',"data":' + content.data.encode() + b"}"


def line(content: Content) -> str:
    """A line about an event, for people."""
    data = json.loads(content.data)
    words = [f"{name}: {_word(data[name])}" for name in TELLING if data.get(name) not in (None, "", [], {})]
    return " · ".join((content.type, *words))[:LONGEST_LINE]


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Slack reads these as mentions and links.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _card(text: str) -> dict[str, Any]:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [{"type": "TextBlock", "text": text, "wrap": True}],
    }
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _dumped(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
