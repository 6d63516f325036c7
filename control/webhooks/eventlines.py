"""The line about an event that people read in Slack, Discord or Teams.  Pure."""

import json
import re
from collections.abc import Callable
from typing import Any, Final

from hum import visibletext

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

#: What Discord makes links with other names, mentions and emphasis of. `_` is left, since addresses have it.
_MARKDOWN: Final = re.compile(r"[\\*~`|<>\[\]]")

Escape = Callable[[str], str]


def line(type: str, data: str, escape: Escape) -> str:
    """Return a line about an event of this type, whose data is JSON.

    `escape`: what others have written must be shown as it is written; as a chat's own markup, it could name a link as it likes.
    """
    fields = json.loads(data)
    title = f"{type} (correction)" if fields.get("correction") is True else type
    words = [
        f"{name}: {escape(_word(fields[name]))}" for name in SHOWN_FIELDS if fields.get(name) not in (None, "", [], {})
    ]
    return " \u00b7 ".join((title, *words))[:LONGEST_LINE]


def for_slack(text: str) -> str:
    """Escape what Slack parses as mentions and links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def for_discord(text: str) -> str:
    """Escape Discord's Markdown and mentions."""
    return _MARKDOWN.sub(r"\\\g<0>", text)


def as_it_is(text: str) -> str:
    """Leave a text for a place that has no markup."""
    return text


def _word(value: Any) -> str:
    """Return a value as one visible line: a further line would pass for another event, or begin a heading or a quote."""
    return visibletext.line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
