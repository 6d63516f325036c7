"""A call as `hum call` and `hum demo` print it in the terminal: the lines for its events, and its refusal.  Pure."""

from collections.abc import Sequence
from typing import Any

Event = dict[str, Any]
INDENT = " " * 22
#: The evidence of an onset over the agent, the reasons for an overlap's verdict, and those why an onset did not stop it.
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
ONSET_REFUSALS = {
    "echo": "as loud as the agent's own echo, or a copy of it",
    "background": "a voice that goes on in the caller's room",
}
OUTCOMES = {"cut": "cut", "resumed": "taken back, the agent goes on"}


def lines(name: str, event: Event) -> list[str]:
    """Return the lines for an event of a call's stream, from its name and data in REST's form."""
    match name:
        case "transcript.turn":
            interrupted = " [interrupted]" if event["interrupted"] else ""
            turn = [f"  {event['start_ms'] / 1000:6.2f} s  {event['role']:>6}: {event['text']}{interrupted}"]
            return turn + ([f"{INDENT}the caller heard: {event['heard_text'] or ''}"] if interrupted else [])
        case "barge_in":
            return _overlap(event)
        case "onset.refused":
            onset = ONSETS.get(event["onset"], event["onset"])
            reason = ONSET_REFUSALS.get(event["reason"], event["reason"])
            lasted_ms = event["until_ms"] - event["at_ms"]
            return [f"  {event['at_ms'] / 1000:6.2f} s          (not stopped for {onset}: {reason}, {lasted_ms} ms)"]
        case "tool.finished":
            return [f"{'':10}         -- {event['name']}: {event['status']}"]
        case "call.state" | "call.ended":
            reason = f", {event['reason']}" if event.get("reason") else ""
            return [f"{'':10}         -- {event['status']}{reason}"]
    return []


def _overlap(event: Event) -> list[str]:
    """Return the lines for an overlap: the onset and its clear, and the verdict."""
    verdict = OUTCOMES.get(event["verdict"], event["verdict"])
    if event.get("decided_ms") is None:  # recorded by an earlier release
        return [f"  {event['at_ms'] / 1000:6.2f} s          (the caller speaks over the agent: {verdict})"]
    onset = ONSETS.get(event["onset"], event["onset"])
    reason = REASONS.get(event["reason"], event["reason"])
    return [
        f"  {event['at_ms'] / 1000:6.2f} s          (over the agent: {onset}; cleared after {event['reaction_ms']} ms)",
        f"  {event['decided_ms'] / 1000:6.2f} s          ({verdict}: {reason}, {event['spoken_ms']} ms of voice)",
    ]


def heard_lines(turns: Sequence[Event]) -> list[str]:
    """Return the heard part of the agent's turns, a line for each turn of which the caller heard anything."""
    lines_heard = []
    for turn in turns:
        text = turn["text"] if turn.get("heard_text") is None else turn["heard_text"]
        if turn["role"] == "agent" and text:
            lines_heard.append(f"  {text}{' ...' if turn['interrupted'] else ''}")
    return lines_heard


def refusal(to: str, ended: Event | None) -> str:
    """Return the sentence about a call without an agent, from its end; None if it was not recorded."""
    if ended is None and not to.startswith("+"):
        return f"no agent answered, and no call was recorded: {to} is not in E.164, which begins with +"
    if ended is None:
        return f"no agent answered, and no call was recorded: {to} is none of the platform's numbers"
    return f"no agent answered: {ended['status']}, {ended['reason']}"
