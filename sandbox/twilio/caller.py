"""The simulated person on the line: what they say, press and wait for.  Pure; each call of `frame` is 20 ms.

Steps are JSON objects:
  {"do": "say", "audio_ulaw_b64": "..."}                       speak
  {"do": "wait", "ms": 500}
  {"do": "wait_for_agent_to_talk", "for_ms": 1200, "timeout_ms": 15000}
  {"do": "wait_for_agent_to_finish", "quiet_ms": 700, "timeout_ms": 30000}
  {"do": "press", "digits": "12#"}
  {"do": "freeze"}                                     the carrier stops reading and writing, the socket stays open
  {"do": "vanish"}                                     the carrier's socket is gone without a close
  {"do": "hang_up"}
The first step begins when the call is answered.  What is said before a stream is open is lost; `freeze` and `vanish`
need an open one.  After the last step the person hangs up, unless told to `stay`.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.twilio.audio import FRAME_BYTES, FRAME_MS, SILENCE

QUIET = bytes([SILENCE]) * FRAME_BYTES
DIGIT_FRAMES = 10  # 100 ms of key, 100 ms of pause
DIGITS = set("0123456789*#ABCD")

Step = Mapping[str, Any]


class BadStep(ValueError):  # noqa: N818  (it says what is bad)
    """A step that is malformed or impossible."""


@dataclass(slots=True)
class Ear:
    """What the person has heard of the agent since their own last turn."""

    audible_ms: int = 0
    quiet_ms: int = 0
    hears: bool = False
    hangover_ms: int = 200

    def frame(self, audible: bool) -> bool | None:
        """Count 20 ms; return True when the agent becomes audible, False when it has fallen silent, else None."""
        self.audible_ms += FRAME_MS if audible else 0
        self.quiet_ms = 0 if audible else self.quiet_ms + FRAME_MS
        if audible and not self.hears:
            self.hears = True
            return True
        if self.hears and self.quiet_ms >= self.hangover_ms:
            self.hears = False
            return False
        return None

    def forget(self) -> None:
        self.audible_ms = 0


@dataclass(slots=True)
class Breath:
    """What the person does in 20 ms."""

    payload: bytes = QUIET
    digit: str | None = None
    act: str | None = None
    """`hang_up`, `freeze` or `vanish`."""
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Caller:
    def __init__(self, steps: Iterable[Step] = (), *, stay: bool = False) -> None:
        self.steps = [checked(step) for step in steps]
        self.ear = Ear()
        self._stay = stay
        self._life = self._live()
        next(self._life)
        self._breath = Breath()

    def frame(self, agent_audible: bool) -> Breath:
        """Advance by 20 ms: take whether the agent was audible in them, return what the person does in them."""
        self._breath = Breath()
        change = self.ear.frame(agent_audible)
        if change is not None:
            self._breath.notes.append(("agent.audible" if change else "agent.silent", {}))
        next(self._life, None)
        return self._breath

    def _live(self) -> Iterator[None]:
        """Each `yield` ends one frame; the code follows the order of the steps."""
        yield
        for number, step in enumerate(self.steps):
            match step["do"]:
                case "say":
                    yield from self._say(base64.b64decode(step["audio_ulaw_b64"]), number)
                case "wait":
                    yield from self._frames(step["ms"])
                case "wait_for_agent_to_talk":
                    for_ms = step.get("for_ms", FRAME_MS)
                    yield from self._until(number, step, 15_000, lambda ms=for_ms: self.ear.audible_ms >= ms)
                case "wait_for_agent_to_finish":
                    quiet_ms = step.get("quiet_ms", 700)
                    yield from self._until(
                        number, step, 30_000, lambda ms=quiet_ms: self.ear.audible_ms > 0 and self.ear.quiet_ms >= ms
                    )
                    self.ear.forget()
                case "press":
                    yield from self._press(step["digits"])
                case act:
                    self._breath.act = act
                    yield
                    if act == "hang_up":
                        return
        if not self._stay:
            self._breath.act = "hang_up"

    def _say(self, speech: bytes, number: int) -> Iterator[None]:
        self._breath.notes.append(("caller.said", {"phase": "begin", "step": number}))
        for at in range(0, len(speech), FRAME_BYTES):
            self._breath.payload = speech[at : at + FRAME_BYTES].ljust(FRAME_BYTES, bytes([SILENCE]))
            if at + FRAME_BYTES >= len(speech):
                self._breath.notes.append(("caller.said", {"phase": "end", "step": number}))
            yield
        self.ear.forget()

    def _press(self, digits: str) -> Iterator[None]:
        for digit in digits:
            self._breath.digit = digit
            self._breath.notes.append(("caller.pressed", {"digit": digit}))
            for _ in range(DIGIT_FRAMES):
                yield
        self.ear.forget()

    def _until(self, number: int, step: Step, patience_ms: int, done: Any) -> Iterator[None]:
        for _ in self._frames(step.get("timeout_ms", patience_ms)):
            if done():
                return
            yield
        if not done():
            self._breath.notes.append(("caller.gave_up", {"step": number, "do": step["do"]}))

    @staticmethod
    def _frames(ms: int) -> Iterator[None]:
        for _ in range(-(-ms // FRAME_MS)):
            yield


def checked(step: Step) -> dict[str, Any]:
    """A step as a plain dict; raises BadStep with a sentence that says what is wrong with it."""
    do = step.get("do")
    match do:
        case "say":
            try:
                speech = base64.b64decode(step["audio_ulaw_b64"], validate=True)
            except (KeyError, TypeError, binascii.Error) as error:
                raise BadStep("say needs audio_ulaw_b64, base64 of 8 kHz μ-law") from error
            if not speech:
                raise BadStep("say needs a non-empty audio_ulaw_b64")
        case "press":
            digits = step.get("digits")
            if not isinstance(digits, str) or not digits or not set(digits) <= DIGITS:
                raise BadStep("press needs digits, of 0-9 * # A-D")
        case "wait" | "wait_for_agent_to_talk" | "wait_for_agent_to_finish" | "freeze" | "vanish" | "hang_up":
            if do == "wait" and "ms" not in step:
                raise BadStep("wait needs ms")
            spans = {name: step[name] for name in ("ms", "for_ms", "quiet_ms", "timeout_ms") if name in step}
            for name, value in spans.items():
                if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                    raise BadStep(f"{do}: {name} must be a whole number of milliseconds, at least 0")
        case _:
            raise BadStep(f"unknown step {do!r}")
    return dict(step)


def say(audio_ulaw: bytes) -> dict[str, Any]:
    """The step that speaks this μ-law audio."""
    return {"do": "say", "audio_ulaw_b64": base64.b64encode(audio_ulaw).decode()}
