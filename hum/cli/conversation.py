"""A call's events as lines for people.  Pure."""

from collections.abc import Sequence
from typing import Any

Event = dict[str, Any]
INDENT = " " * 22


def lines(name: str, event: Event) -> list[str]:
    """What to print for an event of a call's stream: its name and data as REST has them."""
    match name:
        case "transcript.turn":
            cut = " [interrupted]" if event["interrupted"] else ""
            turn = [f"  {event['start_ms'] / 1000:6.2f} s  {event['role']:>6}: {event['text']}{cut}"]
            return turn + ([f"{INDENT}the caller heard: {event['heard_text'] or ''}"] if cut else [])
        case "barge_in":
            return [f"  {event['at_ms'] / 1000:6.2f} s          (the caller speaks over the agent: {event['verdict']})"]
        case "tool.finished":
            return [f"{'':10}         -- {event['name']}: {event['status']}"]
        case "call.state" | "call.ended":
            reason = f", {event['reason']}" if event.get("reason") else ""
            return [f"{'':10}         -- {event['status']}{reason}"]
    return []


def heard(turns: Sequence[Event]) -> list[str]:
    """What the caller heard of the agent, a line for each turn that was heard at all."""
    found = []
    for turn in turns:
        words = turn["text"] if turn.get("heard_text") is None else turn["heard_text"]
        if turn["role"] == "agent" and words:
            found.append(f"  {words}{' ...' if turn['interrupted'] else ''}")
    return found
