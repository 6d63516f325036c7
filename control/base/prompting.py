"""The parts of a prompt that all agents share, on calls and in texts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from hum import visibletext

#: Most characters of a contact's field in the prompt.
CONTEXT_CHARS = 2000


def clock(now: datetime, time_zone: str) -> str:
    """Return the sentence with the organization's local time."""
    return f"It is {local(now, time_zone)} ({time_zone})."


def local(at: datetime, time_zone: str) -> str:
    """Format a time in a time zone for a prompt."""
    return f"{at.astimezone(ZoneInfo(time_zone)):%A, %d %B %Y, %H:%M}"


def caller_context(contact: Mapping[str, str | None], findings: Iterable[Sequence[str]] = ()) -> str:
    """Return the contact's fields and the findings (name and text) under `# Caller Context`; empty if there are none.

    Each is a single line, so that a name registered for a number can't pass for a part of the prompt.
    """
    facts = [*contact.items(), *((name, text) for name, text in findings)]
    lines = [f"- {name}: {line(text, CONTEXT_CHARS)}" for name, text in facts if text]
    return "# Caller Context\n" + "\n".join(lines) if lines else ""


def line(text: str, most_chars: int) -> str:
    """Return a text as one visible line, cut to a number of characters."""
    return visibletext.line(text)[:most_chars]
