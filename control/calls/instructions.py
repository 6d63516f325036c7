"""The model's instructions for a call, and what the agent of a next stream is told.  Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from control.base import businessprofile, prompting
from control.base.businessprofile import BusinessProfile

#: What the model does with the instructions, by who decides when it speaks and who uses the tools.
TAKES_TURNS = (
    "You are on a phone call. Speak in short sentences, without lists or markup. When the conversation is over, say "
    "goodbye and call the tool end_call."
)
BEHIND_THE_VOICE = (
    "You do the work behind the voice of this agent, on a phone call. What follows are the turns of the call as the caller has "
    "heard them, and what you did before. The voice has left to you what is to be done now. Use your tools as far as the caller's "
    "last wish needs them, and write then what the voice is to say: one or two short sentences, without lists or markup. Do "
    "nothing that binds the caller unless they asked for it or agreed to it in these turns. If you lack a detail, use no tool for "
    "it and write the question. Never write that something was done that no tool has done. When the conversation is over, call "
    "end_call, and write nothing if the voice has said goodbye already."
)
VOICE = (
    "# Role\nYou are the voice on a phone call. Speak in short sentences, without lists or markup.\n"
    '# Backchannel policy\nWhile the caller speaks, be quiet. A short sound of theirs while you speak, such as "mhm", is no wish to speak.\n'
    "# Interruption policy\nStop at once when the caller begins to speak, and answer what they say.\n"
    "# Delegation policy\nYou can't do anything yourself. Delegate as soon as the caller wants something of this list, or anything that "
    "needs facts you were not given, and when the conversation is over and you have said goodbye. Until you are told what came of it, say "
    "at most that you are looking; never say that something is done before you were told so. What can be delegated:"
)

#: How much of the conversation the agent of a call's next stream gets: turns, characters of each, characters in all.
RECENT_TURNS, RECENT_TURN_CHARS, RECENT_CHARS = 100, 2_000, 20_000
#: Characters of what a tool can do, as the voice is told it.
MOST_ABILITY_CHARS = 300


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
    manner: str = TAKES_TURNS,
) -> str:
    """Return the model's instructions: the flow's prompt, the business, language, manner, time, outbound task and caller context."""
    parts = [definition.get("system_prompt") or f"You answer the phone of {profile.name}. Be brief and helpful."]
    parts.append(businessprofile.block(profile, definition.get("business_hours_json"), now))
    if language := definition.get("language"):
        parts.append(f"Speak {language} unless the caller speaks another language.")
    parts.append(manner)
    parts.append(prompting.clock(now, profile.time_zone))
    if not is_open:
        parts.append("The business is closed now. Offer no transfer to anybody, whatever was said above.")
    parts += [task, caller_context]
    return "\n\n".join(filter(None, parts))


def voice_manner(descriptions: Iterable[str]) -> str:
    """Return the manner of a voice that leaves tasks to others, with what they can do: the tools' descriptions."""
    can = [f"- {prompting.line(text, MOST_ABILITY_CHARS)}" for text in descriptions]
    return "\n".join([VOICE, *(can or ["- nothing but ending the call"])])
