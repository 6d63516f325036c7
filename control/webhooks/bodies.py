"""The bodies of deliveries: the event, or a line about it for people.  All attempts of an event have the same bytes.  Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from control.base.wire import rfc3339
from hum import ids
from hum.ids import Kind

#: The longest message for Discord.
LONGEST_LINE: Final = 1900
#: The fields of an event that a line shows, in this order.
SHOWN_FIELDS: Final = (
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
    """The content of a delivery: an event; `data` is JSON."""

    id: UUID
    organization: UUID
    type: str
    version: int
    created_at: datetime
    sequence: int | None
    data: str


def body(content: Content, format: str) -> bytes:
    """Return the body for a receiver's format."""
    match format:
        case "slack":
            return _dumps({"text": line(content)})
        case "discord":
            # Untrusted texts must not mention members of the channel.
            return _dumps({"content": line(content), "allowed_mentions": {"parse": []}})
        case "teams":
            return _dumps(_card(line(content)))
        case _:
            return event(content)


def event(content: Content) -> bytes:
    """Return the event as JSON, with the outbox's bytes as its data."""
    head = {
        "id": ids.show(Kind.EVENT, content.id),
        "type": content.type,
        "version": content.version,
        "created_at": rfc3339(content.created_at),
        "organization_id": ids.show(Kind.ORGANIZATION, content.organization),
        "sequence": content.sequence,
    }
    return _dumps(head)[:-1] + b',"data":' + content.data.encode() + b"}"


def line(content: Content) -> str:
    """Return a line about an event, for people."""
    data = json.loads(content.data)
    title = f"{content.type} (correction)" if data.get("correction") is True else content.type
    words = [f"{name}: {_word(data[name])}" for name in SHOWN_FIELDS if data.get(name) not in (None, "", [], {})]
    return " · ".join((title, *words))[:LONGEST_LINE]


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Slack parses these characters as mentions and links.
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


def _dumps(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
