"""The parameters of a <Dial>.  Pure.

Source: Twilio's pages "TwiML Voice: <Dial>" and "<Number>", and its dictionary of errors (13212 to 13227).  An invalid
attribute is reported, and its default is used; a dial whose numbers cannot be called fails.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.twilio.twiml import Verb

E164 = re.compile(r"\+[1-9]\d{6,14}")
TIMEOUT_S, MAX_TIMEOUT_S = 30, 600
TIME_LIMIT_S = 4 * 3600
MAX_NUMBERS = 10

Report = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Callee:
    """One <Number>: the number to call, its whisper, and its status callback."""

    e164: str
    number: Verb
    """The <Number> with its attributes: url and method of the whisper, statusCallback and others."""


@dataclass(frozen=True, slots=True)
class DialPlan:
    callees: tuple[Callee, ...]
    timeout_s: float = TIMEOUT_S
    time_limit_s: float = TIME_LIMIT_S
    caller_id: str | None = None
    hangs_up_on_star: bool = False
    answers_on_bridge: bool = False
    sequential: bool = False
    ring_tone: str = ""


def read(verb: Verb, report: Report) -> DialPlan:
    """Parse a <Dial>; report errors with Twilio's codes.  Without callees the dial fails."""

    def seconds(name: str, default: int, high: int, code: int) -> int:
        text = verb.get(name)
        if not text:
            return default
        if not text.isdecimal() or not 1 <= int(text) <= high:
            report(code, f"Dial: Invalid {name} value: {text}")
            return default
        return int(text)

    nouns = [child for child in verb.nouns if child.name == "Number"] or [Verb("Number", {}, verb.text)]
    callees = []
    for noun in nouns[:MAX_NUMBERS]:
        e164 = e164_of(noun.text)
        if e164 is None:
            report(13223, f"Dial->Number: Invalid phone number format: {noun.text}")
        else:
            callees.append(Callee(e164, noun))
    ring_tone = verb.get("ringTone", "automatic").lower()
    return DialPlan(
        tuple(callees),
        seconds("timeout", TIMEOUT_S, MAX_TIMEOUT_S, 13212),
        seconds("timeLimit", TIME_LIMIT_S, TIME_LIMIT_S, 13216),
        verb.get("callerId") or None,
        verb.get("hangupOnStar").lower() == "true",
        verb.get("answerOnBridge").lower() == "true",
        verb.get("sequential").lower() == "true",
        "" if ring_tone == "automatic" else ring_tone,
    )


def e164_of(text: str) -> str | None:
    """Normalize a number as Twilio does: E.164, or a US number in any notation; None if it is neither."""
    digits = re.sub(r"[^\d+]", "", text)
    if not digits.startswith("+"):
        digits = f"+1{digits}" if len(digits) == 10 else f"+{digits}"
    return digits if E164.fullmatch(digits) else None
