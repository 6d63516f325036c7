"""The line about an event that people read in Slack, Discord or Teams.  Pure."""

import json
from typing import Any, Final

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


def line(type: str, data: str) -> str:
    """Return a line about an event of this type, whose data is JSON."""
    fields = json.loads(data)
    title = f"{type} (correction)" if fields.get("correction") is True else type
    words = [f"{name}: {_word(fields[name])}" for name in SHOWN_FIELDS if fields.get(name) not in (None, "", [], {})]
    return " · ".join((title, *words))[:LONGEST_LINE]


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # Slack parses these characters as mentions and links.
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
