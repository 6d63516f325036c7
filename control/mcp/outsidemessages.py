"""The bounds of messages from MCP servers, in what they cost the SDK rather than in bytes.  Pure.

The SDK validates each message, twice, and an invalid member of a list is an error of thousands of bytes for each type that it
might have been.  It also answers each of a server's requests, such as pings, with a request of its own.
"""

import msgspec

from hum.json import outside
from hum.json.outside import TooMuch

MEMBERS, LEVELS = 20_000, 200
#: Members outside of what the SDK takes as it is: those of a result, of tools without their schemas.
VALIDATED_MEMBERS = 2_000
FREE_FORM = frozenset(["inputSchema", "outputSchema", "structuredContent", "_meta"])
#: Messages of an answer, and how many more a lasting stream may have in a second.
MESSAGES, MESSAGES_PER_SECOND = 200, 5


def require_readable(message: bytes) -> None:
    """Raise TooMuch if a message costs the SDK more than its bytes.  It need not be valid."""
    outside.require_few(message, MEMBERS, LEVELS)
    try:
        value = msgspec.json.decode(message)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return
    if outside.count(value, VALIDATED_MEMBERS, FREE_FORM) > VALIDATED_MEMBERS:
        raise TooMuch(f"has more than {VALIDATED_MEMBERS} members besides schemas and structured content")


class MessageBudget:
    """The messages that an answer, or a lasting stream, may still have."""

    def __init__(self, now_ms: float) -> None:
        self._left, self._at_ms = float(MESSAGES), now_ms

    def admits(self, event: bytes, now_ms: float) -> bool:
        """Count an event; return False if it has no data, which the SDK need not read.  Raises TooMuch."""
        # Comments that keep a connection alive have a few bytes each.
        if b"data" not in event:
            return False
        passed_ms, self._at_ms = now_ms - self._at_ms, now_ms
        self._left = min(MESSAGES, self._left + passed_ms / 1000 * MESSAGES_PER_SECOND)
        if event.count(b"\n") + event.count(b"\r") > MEMBERS:
            raise TooMuch(f"has more than {MEMBERS} lines")
        if not (message := outside.data(event)):
            return False
        if self._left < 1:
            raise TooMuch(f"is one of more than {MESSAGES}")
        self._left -= 1
        require_readable(message)
        return True
