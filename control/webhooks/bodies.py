"""The bodies of deliveries: the event, or a message with its line.  All attempts of an event have the same bytes.  Pure."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from control.base.wire import rfc3339
from control.webhooks.eventlines import as_it_is, for_discord, for_slack, line
from hum import ids
from hum.ids import Kind


@dataclass(frozen=True, slots=True)
class DeliveryContent:
    """The content of a delivery: an event; `data` is JSON."""

    id: UUID
    organization: UUID
    type: str
    version: int
    created_at: datetime
    sequence: int | None
    data: str


def body(content: DeliveryContent, format: str) -> bytes:
    """Return the body for a receiver's format."""
    match format:
        case "slack":
            return _dumps({"text": line(content.type, content.data, for_slack), "mrkdwn": False})
        case "discord":
            # Untrusted texts must not mention members of the channel.
            return _dumps({"content": line(content.type, content.data, for_discord), "allowed_mentions": {"parse": []}})
        case "teams":
            return _dumps(_card(line(content.type, content.data, as_it_is)))
        case _:
            return event(content)


def event(content: DeliveryContent) -> bytes:
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


def _card(text: str) -> dict[str, Any]:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        # Unlike those of a text block, its words are no Markdown.
        "body": [{"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]}],
    }
    return {
        "type": "message",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}],
    }


def _dumps(value: Any) -> bytes:
    # An event's text may escape half of a surrogate pair, which UTF-8 can't encode.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
