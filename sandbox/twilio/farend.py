"""The far end of outbound calls: people, machines, faxes.  Pure.

Each kind is a `Person`: whether and when they answer, and the steps (`caller.py`) that they take from then on.
Machine detection classifies them by their sound (`amd.py`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.twilio.amd import AnsweredBy
from sandbox.twilio.caller import Step, checked

Answers = Literal["human", "busy", "no_answer", "failed"]

RING_MS = 1_000
BEEP_HZ, BEEP_MS = 1_000, 450
LONG_GREETING = (
    "Hello, you have reached the voicemail of Dana Keller. I am away from my phone at the moment. "
    "Please leave your name and your number after the tone and I will call you back."
)
SHORT_GREETING = "Leave a message."
FULL_MAILBOX = (
    "The mailbox of the person that you are calling is full and cannot accept messages at this time. Goodbye."
)
MENU = "For appointments press one. For billing press two."
SCREENING_QUESTION = "Please say your name and why you are calling, and I will see if this person is available."


@dataclass(slots=True)
class Person:
    """The far end of one outbound call.  By default a human who hangs up at once."""

    answers: Answers = "human"
    """`human` for everyone who answers, machines included."""
    ring_ms: int = 0
    """How long it rings before the answer or refusal; a number that fails does not ring."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    stay: bool = False
    answered_by: AnsweredBy | None = None
    """The verdict that machine detection gives at once, instead of analyzing the sound."""

    def __post_init__(self) -> None:
        self.steps = [checked(step) for step in self.steps]


def human(
    hello: str | Step = "Hello?", *, after_ms: int = 500, ring_ms: int = RING_MS, then: Sequence[Step] = ()
) -> Person:
    """Return a person who says hello and stays on the line, or does `then`.  A Step as `hello` brings real audio."""
    greeting = {"do": "say", "text": hello} if isinstance(hello, str) else hello
    steps = [{"do": "wait", "ms": after_ms}, greeting, *then]
    return Person(ring_ms=ring_ms, steps=[dict(step) for step in steps], stay=not then)


def silent(*, ring_ms: int = RING_MS) -> Person:
    """Return a person who answers and says nothing."""
    return Person(ring_ms=ring_ms, stay=True)


def busy() -> Person:
    return Person(answers="busy")


def declines(*, ring_ms: int = 3 * RING_MS) -> Person:
    """Return a person who declines the call while it rings."""
    return Person(answers="busy", ring_ms=ring_ms)


def no_answer() -> Person:
    return Person(answers="no_answer")


def fails() -> Person:
    """Return a number that is not allocated, or that no network reaches."""
    return Person(answers="failed")


def machine(
    greeting: str | Step = LONG_GREETING,
    *,
    beeps: Iterable[tuple[int, int]] = ((BEEP_HZ, BEEP_MS),),
    pause_ms: int = 500,
    records: bool = True,
    max_ms: int = 60_000,
    quiet_ms: int = 5_000,
    ring_ms: int = 4 * RING_MS,
) -> Person:
    """Return an answering machine: greeting, pause, beeps of (Hz, ms) 200 ms apart, recording, hang-up."""
    announcement = {"do": "say", "text": greeting} if isinstance(greeting, str) else dict(greeting)
    steps: list[dict[str, Any]] = [{"do": "wait", "ms": 300}, announcement, {"do": "wait", "ms": pause_ms}]
    for hz, ms in beeps:
        steps += [{"do": "tone", "hz": hz, "ms": ms}, {"do": "wait", "ms": 200}]
    if records:
        steps.append({"do": "record", "max_ms": max_ms, "quiet_ms": quiet_ms})
    return Person(ring_ms=ring_ms, steps=steps)


def fax(hz: int = 2_100, *, ms: int = 3_000, ring_ms: int = RING_MS) -> Person:
    """Return a fax that answers (2100 Hz), or one that calls (1100 Hz)."""
    return Person(ring_ms=ring_ms, steps=[{"do": "wait", "ms": 500}, {"do": "tone", "hz": hz, "ms": ms}], stay=True)


def screening(
    question: str | Step = SCREENING_QUESTION,
    *,
    connects: bool = True,
    patience_ms: int = 10_000,
    rings_on_ms: int = 3_000,
    hello: str | Step = "Hello?",
    ring_ms: int = RING_MS,
) -> Person:
    """Return a phone that asks who is calling and listens for an answer.

    Then its owner says hello, or it hangs up; without an answer it hangs up.
    """
    ask = {"do": "say", "text": question} if isinstance(question, str) else dict(question)
    listen = {"do": "wait_for_agent_to_finish", "quiet_ms": 1_200, "timeout_ms": patience_ms, "or": "hang_up"}
    owner = {"do": "say", "text": hello} if isinstance(hello, str) else dict(hello)
    after = [owner] if connects else [{"do": "say", "text": "This person is not available. Goodbye."}]
    steps = [{"do": "wait", "ms": 300}, ask, listen, {"do": "wait", "ms": rings_on_ms}, *after]
    return Person(ring_ms=ring_ms, steps=steps, stay=connects)


def presses(digits: str = "1", *, after_ms: int = 1_500, hello: str = "Hello?", ring_ms: int = RING_MS) -> Person:
    """Return a person who says hello, listens to a whisper, presses keys, and stays."""
    steps: list[dict[str, Any]] = [
        {"do": "say", "text": hello},
        {"do": "wait_for_agent_to_talk", "timeout_ms": 10_000},
        {"do": "wait", "ms": after_ms},
        {"do": "press", "digits": digits},
    ]
    return Person(ring_ms=ring_ms, steps=steps, stay=True)


def menu(
    digits: str = "1",
    *,
    prompt: str = MENU,
    hello: str = "Hello?",
    patience_ms: int = 15_000,
    ring_ms: int = RING_MS,
) -> Person:
    """Return another system's menu, which recognizes keys by their tones: the right ones connect to a human, else it hangs up."""
    listen = {"do": "wait_for_keys", "digits": digits, "timeout_ms": patience_ms, "or": "hang_up"}
    ask: list[dict[str, Any]] = [{"do": "wait", "ms": 500}, {"do": "say", "text": prompt}]
    connect: list[dict[str, Any]] = [{"do": "wait", "ms": 1_000}, {"do": "say", "text": hello}]
    return Person(ring_ms=ring_ms, steps=[*ask, listen, *connect], stay=True)


def hangs_up(*, after_ms: int = 1_000, ring_ms: int = RING_MS) -> Person:
    """Return a person who answers, says hello, and hangs up."""
    return human(ring_ms=ring_ms, then=[{"do": "wait", "ms": after_ms}, {"do": "hang_up"}])


def polite(*, ring_ms: int = RING_MS) -> Person:
    """Return a person who says hello, hears the caller out, thanks and hangs up."""
    heard_out = {"do": "wait_for_agent_to_finish", "quiet_ms": 1_200, "timeout_ms": 30_000}
    thanks = {"do": "say", "text": "Yes, that is fine. Thank you, goodbye."}
    return human(ring_ms=ring_ms, then=[heard_out, thanks, {"do": "wait", "ms": 1_500}, {"do": "hang_up"}])


#: Kinds by name, for the control API and the command line.
KINDS: dict[str, Callable[[], Person]] = {
    "human": human,
    "polite": polite,
    "silent": silent,
    "busy": busy,
    "declines": declines,
    "no_answer": no_answer,
    "fails": fails,
    "hangs_up": hangs_up,
    "presses_1": presses,
    "machine": machine,
    "machine_short_greeting": lambda: machine(SHORT_GREETING),
    "machine_two_beeps": lambda: machine(beeps=((BEEP_HZ, 250), (BEEP_HZ, 250))),
    "machine_odd_beep": lambda: machine(beeps=((2_400, BEEP_MS),)),
    "machine_without_beep": lambda: machine(beeps=()),
    "machine_full": lambda: machine(FULL_MAILBOX, beeps=(), records=False),
    "menu": menu,
    "fax": fax,
    "fax_that_calls": lambda: fax(1_100, ms=500),
    "screening": screening,
    "screening_refuses": lambda: screening(connects=False),
}
