"""The payloads of customers' webhooks, derived from the contract: for the OpenAPI document, and for docs/webhooks.md.

`python -m gateway.payloads docs/webhooks.md` regenerates the page's last section; a test compares them.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

from gateway import examples, schemas
from hum.contract import eventtypes
from hum.contract.comments import comment
from hum.contract.eventtypes import EventType

Schema = dict[str, Any]

#: An example of a name that a customer gives a trigger's event.
NAMED: Final = "external.order_paid"
HEADING: Final = "## Payloads"
#: The members of every delivery besides `data`.
MEMBERS: Final[dict[str, Schema]] = {
    "id": {
        "type": "string",
        "pattern": "^evt_",
        "description": "The event's id: the same at each attempt, for each webhook",
    },
    "type": {"type": "string"},
    "version": {"type": "integer", "description": "The type's version: incremented when a field changes its meaning"},
    "created_at": {"type": "string", "format": "date-time"},
    "organization_id": {"type": "string", "pattern": "^org_"},
    "sequence": {
        "type": ["integer", "null"],
        "minimum": 1,
        "description": "Its place among the events of its call or conversation; null for an event of neither",
    },
}
HEADERS: Final[dict[str, str]] = {
    "X-HUM-Event": "The event's type",
    "X-HUM-Delivery": "The delivery's id: the same at each attempt",
    "X-HUM-Signature": "`sha256=` and the HMAC-SHA256 of the body in hexadecimal, by the newest secret",
    "webhook-id": "The event's id",
    "webhook-timestamp": "When this attempt was made, in Unix seconds",
    "webhook-signature": "Signatures as of Standard Webhooks, one for each valid secret, with a space between",
}


def example(event: EventType) -> dict[str, Any]:
    """Return an example of a delivery's body."""
    data = examples.of_message(event.message)
    has_sequence = "call_id" in data or "conversation_id" in data
    return {
        "id": f"evt_{examples.ULID}",
        "type": NAMED if event.name == eventtypes.EXTERNAL else event.name,
        "version": event.version,
        "created_at": examples.TIMESTAMP,
        "organization_id": f"org_{examples.ULID}",
        "sequence": 7 if has_sequence else None,
        "data": data,
    }


def operations() -> Schema:
    """Return the section `webhooks` of the OpenAPI document."""
    return {event.name: {"post": _operation(event)} for event in schemas.sent_types()}


def _operation(event: EventType) -> Schema:
    properties = {
        **MEMBERS,
        "type": {"pattern": r"^external\."} if event.name == eventtypes.EXTERNAL else {"const": event.name},
        "version": {**MEMBERS["version"], "const": event.version},
        "data": schemas.reference(event.message, "output"),
    }
    return {
        "operationId": f"receive{''.join(word.capitalize() for word in re.split('[._]', event.name))}",
        "summary": comment(event.message.full_name).partition(". ")[0].rstrip("."),
        "tags": ["webhooks"],
        "parameters": [
            {"name": name, "in": "header", "required": True, "description": description, "schema": {"type": "string"}}
            for name, description in HEADERS.items()
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "object", "required": list(properties), "properties": properties},
                    "example": example(event),
                }
            },
        },
        "responses": {
            "2XX": {"description": "Taken"},
            "410": {"description": "No more of these, ever: the webhook is disabled"},
            "default": {"description": "Not taken: the delivery is tried again, after `Retry-After` if that is sent"},
        },
    }


def as_markdown() -> str:
    """Return the generated section of docs/webhooks.md."""
    parts = [HEADING, "", "One example of each type; the OpenAPI document has their schemas, under `webhooks`.", ""]
    for event in schemas.sent_types():
        description = comment(event.message.full_name)
        parts += [f"### {event.name}", "", description, "", "```json", json.dumps(example(event), indent=2), "```", ""]
    return "\n".join(parts)


def regenerate(page: str) -> str:
    """Return the page with its section regenerated."""
    return page.partition(f"\n{HEADING}\n")[0] + "\n" + as_markdown()


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(regenerate(path.read_text()))
