"""A call's events as lines for people.  Pure."""

from collections.abc import Sequence
from typing import Any

Event = dict[str, Any]
INDENT = " " * 22
#: By what a sound over the agent was taken for a voice, and why the overlap ended as it did.
ONSETS = {
    "voice": "a voice",
    "pitch": "a likely voice with a pitch that moves",
    "breath": "a likely voice after a breath",
    "hiss": "a hiss as of an s",
    "webrtcvad": "a voice for webrtcvad",
}
REASONS = {
    "kept_speaking": "the caller kept speaking",
    "fell_silent": "the caller fell silent",
    "echo": "it was the agent's own echo",
    "no_audio": "no more audio came from the caller",
    "call_ended": "the call ended",
}
REFUSALS = {"echo": "as loud as the agent's own echo, or a copy of it"}
OUTCOMES = {"cut": "cut", "resumed": "taken back, the agent goes on"}


def lines(name: str, event: Event) -> list[str]:
    """What to print for an event of a call's stream: its name and data as REST has them."""
    match name:
        case "transcript.turn":
            cut = " [interrupted]" if event["interrupted"] else ""
            turn = [f"  {event['start_ms'] / 1000:6.2f} s  {event['role']:>6}: {event['text']}{cut}"]
            return turn + ([f"{INDENT}the caller heard: {event['heard_text'] or ''}"] if cut else [])
        case "barge_in":
            return _overlap(event)
        case "onset.refused":
            onset, why = ONSETS.get(event["onset"], event["onset"]), REFUSALS.get(event["reason"], event["reason"])
            lasted_ms = event["until_ms"] - event["at_ms"]
            return [f"  {event['at_ms'] / 1000:6.2f} s          (not stopped for {onset}: {why}, {lasted_ms} ms)"]
        case "tool.finished":
            return [f"{'':10}         -- {event['name']}: {event['status']}"]
        case "call.state" | "call.ended":
            reason = f", {event['reason']}" if event.get("reason") else ""
            return [f"{'':10}         -- {event['status']}{reason}"]
    return []


def _overlap(event: Event) -> list[str]:
    """An overlap: the onset and its clear, and the verdict."""
    verdict = OUTCOMES.get(event["verdict"], event["verdict"])
    if event.get("decided_ms") is None:  # recorded by an earlier release
        return [f"  {event['at_ms'] / 1000:6.2f} s          (the caller speaks over the agent: {verdict})"]
    onset = ONSETS.get(event["onset"], event["onset"])
    reason = REASONS.get(event["reason"], event["reason"])
    return [
        f"  {event['at_ms'] / 1000:6.2f} s          (over the agent: {onset}; cleared after {event['reaction_ms']} ms)",
        f"  {event['decided_ms'] / 1000:6.2f} s          ({verdict}: {reason}, {event['spoken_ms']} ms of voice)",
    ]


def heard(turns: Sequence[Event]) -> list[str]:
    """What the caller heard of the agent, a line for each turn that was heard at all."""
    found = []
    for turn in turns:
        words = turn["text"] if turn.get("heard_text") is None else turn["heard_text"]
        if turn["role"] == "agent" and words:
            found.append(f"  {words}{' ...' if turn['interrupted'] else ''}")
    return found
