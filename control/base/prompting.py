"""What the instructions of every agent have in common, on calls and in texts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

#: At most this much of each of a contact's fields goes into the prompt.
CONTEXT_CHARS = 2000


def clock(now: datetime, time_zone: str) -> str:
    """The time, as the organization's clock shows it."""
    return f"It is {local(now, time_zone)} ({time_zone})."


def local(at: datetime, time_zone: str) -> str:
    """A time as people there write it."""
    return f"{at.astimezone(ZoneInfo(time_zone)):%A, %d %B %Y, %H:%M}"


def caller_context(contact: Mapping[str, str | None], findings: Iterable[Sequence[str]] = ()) -> str:
    """Who calls or writes, and what else was found out (a name and a text each), under `# Caller Context`; empty if nothing is
    known.

    Each on one line: a name that somebody registered for a number must not pass for part of the prompt.
    """
    facts = [*contact.items(), *((name, text) for name, text in findings)]
    known = [f"- {name}: {' '.join(text.split())[:CONTEXT_CHARS]}" for name, text in facts if text]
    return "# Caller Context\n" + "\n".join(known) if known else ""
