"""The model's instructions for a call, and what the agent of a next stream is told.  Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from control.base import businessprofile, prompting
from control.base.businessprofile import BusinessProfile

#: How much of the conversation the agent of a call's next stream gets: turns, characters of each, characters in all.
RECENT_TURNS, RECENT_TURN_CHARS, RECENT_CHARS = 100, 2_000, 20_000


def recent_turns(turns_heard: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the latest turns (role, text), oldest first, for the agent of a call's next stream."""
    recent: list[tuple[str, str]] = []
    remaining_chars = RECENT_CHARS
    for role, text in reversed(turns_heard):
        # The end of a turn is the latest state of the conversation.
        text = text[-RECENT_TURN_CHARS:]
        remaining_chars -= len(text)
        if remaining_chars < 0:
            break
        recent.append((role, text))
    return recent[::-1]


def instructions(
    definition: Mapping[str, Any],
    profile: BusinessProfile,
    caller_context: str,
    now: datetime,
    *,
    is_open: bool = True,
    task: str = "",
) -> str:
    """Return the model's instructions: the flow's prompt, the business, language, time, outbound task and caller context."""
    parts = [definition.get("system_prompt") or f"You answer the phone of {profile.name}. Be brief and helpful."]
    parts.append(businessprofile.block(profile, definition.get("business_hours_json"), now))
    if language := definition.get("language"):
        parts.append(f"Speak {language} unless the caller speaks another language.")
    parts.append(
        "You are on a phone call. Speak in short sentences, without lists or markup. When the conversation is over, say "
        "goodbye and call the tool end_call."
    )
    parts.append(prompting.clock(now, profile.time_zone))
    if not is_open:
        parts.append("The business is closed now. Offer no transfer to anybody, whatever was said above.")
    parts += [task, caller_context]
    return "\n\n".join(filter(None, parts))
