"""Texts for agents and summaries for people, edited arguments, and the job of decisions.  Pure."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from control.base import redaction
from control.base.job import Job

#: Runs an approved tool, and sends the outcome to a call's agent.  Callers wait for these.
WORK = Job("approval", concurrency=32, per_organization=8, priority=5, timeout_seconds=120)
#: States of which the agent must be informed.
DECIDED = frozenset({"done", "failed", "denied", "expired"})
#: The oldest decision of which an agent is still informed.
NEWEST = timedelta(days=1)
MOST_SUMMARY_CHARS, MOST_FIXED_CHARS, MOST_ARGUMENTS_BYTES = 400, 250, 16 << 10
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
SAME = "You have asked for this already, and it is not decided yet. Go on, and wait."
FULL = "Too much waits for approval already. It was not asked for."
CHANGED = "The tool has changed since, so it was not done. Ask again, if it is still wanted."
NOWHERE = "This needs a person's approval, which can't be requested here."


def summary(agent: str, tool: str, description: str, fixed: Mapping[str, Any]) -> str:
    """Summarize a tool call in plain words; the description may be another system's.  `fixed`: arguments that the
    binding sets, which neither the agent nor a person can change.
    """
    line = " ".join(description.split())
    also = f" with {json.dumps(redaction.masked(fixed), ensure_ascii=False)}"[:MOST_FIXED_CHARS] if fixed else ""
    return f"{agent} wants to use {tool}{also}: {line}"[:MOST_SUMMARY_CHARS].rstrip()


def restored(edited: Any, before: Any) -> Any:
    """Return edited arguments with the original values restored where the person left the masked ones unchanged."""
    return _restored(edited, before, redaction.masked(before))


def _restored(edited: Any, before: Any, mask: Any) -> Any:
    if edited == mask:
        return before
    if isinstance(edited, dict) and isinstance(before, dict) and isinstance(mask, dict) and len(mask) == len(before):
        # By masked name: the original name and value, and the masked value.
        originals = {name: (*item, value) for item, (name, value) in zip(before.items(), mask.items(), strict=True)}
        sources = {name: originals.get(name, (name, value, value)) for name, value in edited.items()}
        return {sources[name][0]: _restored(value, *sources[name][1:]) for name, value in edited.items()}
    if isinstance(edited, list) and isinstance(before, list) and len(edited) == len(before):
        return [_restored(*values) for values in zip(edited, before, mask, strict=True)]
    return edited
