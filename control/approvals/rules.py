"""What people are asked, what they are shown of it, and what the agent is told then: pure."""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from control.base import redaction
from control.base.job import Job

#: Runs what was approved, and tells a call's agent what came of it.  Calls wait for these.
WORK = Job("approval", concurrency=32, per_organization=8, priority=5, timeout_seconds=120)
#: States in which something is to be told to the agent.
DECIDED = frozenset({"done", "failed", "denied", "expired"})
#: After that an agent that was never told is told no more.
NEWEST = timedelta(days=1)
MOST_SUMMARY_CHARS, MOST_FIXED_CHARS, MOST_NEWS_CHARS, MOST_ARGUMENTS_BYTES = 400, 250, 8_000, 16 << 10
UNKNOWN = {"error": "It is not known whether this was done."}
ON_CALL = {
    "status": "waiting_for_approval",
    "what_now": "A person of the organization was asked. Tell the caller so in a few words, and go on with the conversation. You will "
    "be told what came of it; do not use this tool for it again meanwhile, and do not say that it is done.",
}
IN_TEXT = {
    "status": "waiting_for_approval",
    "what_now": "A person of the organization was asked. Write that somebody has to look at it first. You will be told what came of "
    "it, and may write then; do not say that it is done.",
}
FOR_EVENT = {
    "status": "waiting_for_approval",
    "note": "A person has to approve it, and is asked when you end. Do what else can be done now, and write what waits; you go on once it "
    "is decided. Do not say that it is done.",
}
LONG = "The arguments are too long for a person to look at. Ask for less at once."
SAME = "You have asked for this already, and nobody has decided yet. Go on, and wait."
FULL = "Too much waits for approval already. It was not asked for."
CHANGED = "The tool has changed since, so it was not done. Ask again, if it is still wanted."
NOWHERE = "This needs a person's approval, and nobody can give it here."
_CARD = re.compile(r"(?<![0-9A-Za-z+])(?:[0-9][ -]?){12,18}[0-9](?![0-9A-Za-z])")


def summary(agent: str, tool: str, description: str, fixed: Mapping[str, Any]) -> str:
    """What an agent wants to do, in plain words; the description may be another system's.  `fixed`: arguments that are set already,
    and that nobody can change.
    """
    line = " ".join(description.split())
    also = f" with {json.dumps(masked(fixed), ensure_ascii=False)}"[:MOST_FIXED_CHARS] if fixed else ""
    return f"{agent} wants to use {tool}{also}: {line}"[:MOST_SUMMARY_CHARS].rstrip()


def masked(value: Any) -> Any:
    """Arguments and results as they are shown, and kept once nothing is to be done with them: without passwords and tokens, and of
    card numbers the last four digits.
    """
    return redaction.without_secrets(_shortened(value))


def _shortened(value: Any) -> Any:
    match value:
        case str():
            return _CARD.sub(_short, value)
        case int() if not isinstance(value, bool) and value >= 10**12:
            short = _shortened(str(value))
            return value if short == str(value) else short
        case dict():
            return {name: _shortened(each) for name, each in value.items()}
        case list():
            return [_shortened(each) for each in value]
        case _:
            return value


def masked_json(text: str) -> str:
    return json.dumps(masked(json.loads(text)), ensure_ascii=False)


def restored(edited: Any, before: Any) -> Any:
    """What a person sent back, with what they were shown only in part in its place again."""
    return _restored(edited, before, masked(before))


def _restored(edited: Any, before: Any, shown: Any) -> Any:
    if edited == shown:
        return before
    if isinstance(edited, dict) and isinstance(before, dict) and isinstance(shown, dict) and len(shown) == len(before):
        known = {name: (*own, each) for own, (name, each) in zip(before.items(), shown.items(), strict=True)}
        there = {name: known.get(name, (name, each, each)) for name, each in edited.items()}
        return {there[name][0]: _restored(each, *there[name][1:]) for name, each in edited.items()}
    if isinstance(edited, list) and isinstance(before, list) and len(edited) == len(before):
        return [_restored(*each) for each in zip(edited, before, shown, strict=True)]
    return edited


def _short(match: re.Match[str]) -> str:
    digits = re.sub(r"[ -]", "", match[0])
    return f"[card ...{digits[-4:]}]" if _is_card(digits) else match[0]


def _is_card(digits: str) -> bool:
    """Luhn's check."""
    doubled = [int(each) * (1 + place % 2) for place, each in enumerate(reversed(digits))]
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0
