"""The simulated person on the line: says, presses and waits, step by step.  Pure; each call of `frame` is 20 ms.

Steps are JSON objects:
  {"do": "say", "audio_ulaw_b64": "..."}                       speak
  {"do": "say", "wav_b64": "..."}                              the same from a WAV of any kind
  {"do": "say", "text": "Hello?"}                              speak as long as the text would take; with words where
                                                               the stand-in has speech (`voiced.py`)
  {"do": "tone", "hz": 1000, "ms": 400}                        a beep, or a fax
  {"do": "wait", "ms": 500}
  {"do": "wait_for_agent_to_talk", "for_ms": 1200, "timeout_ms": 15000}
  {"do": "wait_for_agent_to_finish", "quiet_ms": 700, "timeout_ms": 30000}
  {"do": "wait_for_tone", "hz": 1000, "timeout_ms": 30000}     until a tone of this pitch is over: a mailbox's beep
  {"do": "wait_for_keys", "digits": "12", "timeout_ms": 15000} until the agent has sent these keys as tones
  {"do": "press", "digits": "12#"}
  {"do": "record", "quiet_ms": 5000, "max_ms": 60000}          an answering machine's recording after its beep
  {"do": "freeze"}                                     the carrier stops reading and writing, the socket stays open
  {"do": "vanish"}                                     the carrier's socket is gone without a close
  {"do": "hang_up"}
The first step begins when the call is answered.  Speech before a stream is open is lost; `freeze` and `vanish`
need an open one.  A `wait_for_...` with "or": "hang_up" hangs up at its timeout.  After the last step the person hangs up, unless
`stay` is set.

Example: [say "Hello", wait_for_agent_to_finish, press "1"] speaks at 0 s, waits for the end of the agent's answer, sends
one key, and hangs up.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sandbox.audio import FRAME_BYTES, FRAME_MS, SILENCE, is_audible
from sandbox.twilio import recordings, tones

QUIET = bytes([SILENCE]) * FRAME_BYTES
DIGIT_FRAMES = 10  # 100 ms of key and 100 of pause
KEY_ONSET_MS = 40
TONE_ONSET_MS, TONE_TOLERANCE_HZ = 100, 15
DIGITS = set("0123456789*#ABCD")

Step = Mapping[str, Any]


class BadStep(ValueError):  # noqa: N818  (it says what is bad)
    """A step that is malformed or impossible."""


@dataclass(slots=True)
class AgentActivity:
    """The agent's audio since the person's own last turn."""

    audible_ms: int = 0
    quiet_ms: int = 0
    audible_now: bool = False
    hangover_ms: int = 200
    keys: str = ""
    """Keys that the agent has sent as tones."""
    _key: str | None = None
    _key_ms: int = 0

    def key(self, key: str | None) -> bool:
        """Count 20 ms of a key's tone, or of none; return whether a key was recognized in them."""
        self._key_ms = self._key_ms + FRAME_MS if key is not None and key == self._key else FRAME_MS
        self._key = key
        if key is None or self._key_ms != KEY_ONSET_MS:
            return False
        self.keys += key
        return True

    def frame(self, audible: bool) -> bool | None:
        """Count 20 ms; return True when the agent becomes audible, False when it has fallen silent, else None."""
        self.audible_ms += FRAME_MS if audible else 0
        self.quiet_ms = 0 if audible else self.quiet_ms + FRAME_MS
        if audible and not self.audible_now:
            self.audible_now = True
            return True
        if self.audible_now and self.quiet_ms >= self.hangover_ms:
            self.audible_now = False
            return False
        return None

    def has_talked(self, ms: int) -> bool:
        return self.audible_ms >= ms

    def has_finished(self, quiet_ms: int) -> bool:
        return self.audible_ms > 0 and self.quiet_ms >= quiet_ms

    def has_sent_keys(self, keys: str) -> bool:
        return keys in self.keys

    def reset(self) -> None:
        self.audible_ms = 0


@dataclass(slots=True)
class CallerFrame:
    """The output of the person in 20 ms."""

    payload: bytes = QUIET
    digit: str | None = None
    act: str | None = None
    """`hang_up`, `freeze` or `vanish`."""
    notes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Caller:
    def __init__(self, steps: Iterable[Step] = (), *, stay: bool = False) -> None:
        self.steps = [checked(step) for step in steps]
        self.agent = AgentActivity()
        self._stay = stay
        self._has_hung_up = False
        self._agent_audio = b""
        self._needs_keys = any(step["do"] == "wait_for_keys" for step in self.steps)
        self._steps_run = self._run_steps()
        next(self._steps_run)
        self._current = CallerFrame()

    def frame(self, agent_audible: bool, agent_audio: bytes = b"") -> CallerFrame:
        """Advance by 20 ms, given the agent's audio in them; return the person's output."""
        self._current, self._agent_audio = CallerFrame(), agent_audio
        if self._needs_keys and self.agent.key(tones.key_of(agent_audio)):
            self._current.notes.append(("caller.heard_key", {"key": self.agent.keys[-1]}))
        change = self.agent.frame(agent_audible)
        if change is not None:
            self._current.notes.append(("agent.audible" if change else "agent.silent", {}))
        next(self._steps_run, None)
        return self._current

    def _run_steps(self) -> Iterator[None]:
        """Run the steps in order; each `yield` ends one frame."""
        yield
        for number, step in enumerate(self.steps):
            match step["do"]:
                case "say" | "tone":
                    yield from self._say(_sound(step), number)
                case "wait":
                    yield from self._frames(step["ms"])
                case "wait_for_agent_to_talk":
                    for_ms = step.get("for_ms", FRAME_MS)
                    yield from self._until(number, step, 15_000, partial(self.agent.has_talked, for_ms))
                case "wait_for_agent_to_finish":
                    quiet_ms = step.get("quiet_ms", 700)
                    yield from self._until(number, step, 30_000, partial(self.agent.has_finished, quiet_ms))
                    self.agent.reset()
                case "wait_for_tone":
                    yield from self._until(number, step, 30_000, self._tone_is_over(step["hz"]))
                    self.agent.reset()
                case "wait_for_keys":
                    yield from self._until(number, step, 15_000, partial(self.agent.has_sent_keys, step["digits"]))
                    self.agent.keys = ""
                case "record":
                    yield from self._record(number, step)
                case "press":
                    yield from self._press(step["digits"])
                case act:
                    yield from self._act(act)
            if self._has_hung_up:
                return
        if not self._stay:
            self._current.act = "hang_up"

    def _act(self, act: str) -> Iterator[None]:
        self._current.act = act
        self._has_hung_up = act == "hang_up"
        yield

    def _record(self, number: int, step: Step) -> Iterator[None]:
        """Record until the other side has been silent for `quiet_ms`; note how many ms of it were audible."""
        self.agent.reset()
        self.agent.quiet_ms = 0
        self._current.notes.append(("machine.recording", {"phase": "begin", "step": number}))
        for _ in self._frames(step.get("max_ms", 60_000)):
            if self.agent.quiet_ms >= step.get("quiet_ms", 5_000):
                break
            yield
        recorded = {"phase": "end", "step": number, "audible_ms": self.agent.audible_ms}
        self._current.notes.append(("machine.recording", recorded))

    def _say(self, speech: bytes, number: int) -> Iterator[None]:
        self._current.notes.append(("caller.said", {"phase": "begin", "step": number}))
        for at in range(0, len(speech), FRAME_BYTES):
            self._current.payload = speech[at : at + FRAME_BYTES].ljust(FRAME_BYTES, bytes([SILENCE]))
            if at + FRAME_BYTES >= len(speech):
                self._current.notes.append(("caller.said", {"phase": "end", "step": number}))
            yield
        self.agent.reset()

    def _press(self, digits: str) -> Iterator[None]:
        for digit in digits:
            self._current.digit = digit
            self._current.notes.append(("caller.pressed", {"digit": digit}))
            for _ in range(DIGIT_FRAMES):
                yield
        self.agent.reset()

    def _tone_is_over(self, hz: int) -> Callable[[], bool]:
        """Return a predicate, called once per frame: whether a tone of this pitch was heard and has ended."""
        heard_ms = 0

        def is_over() -> bool:
            nonlocal heard_ms
            pitch_hz = tones.pitch_hz(self._agent_audio)
            if pitch_hz is not None and abs(pitch_hz - hz) <= TONE_TOLERANCE_HZ:
                heard_ms += FRAME_MS
                return False
            if heard_ms >= TONE_ONSET_MS:
                return not is_audible(self._agent_audio)
            heard_ms = 0
            return False

        return is_over

    def _until(self, number: int, step: Step, default_ms: int, done: Callable[[], bool]) -> Iterator[None]:
        for _ in self._frames(step.get("timeout_ms", default_ms)):
            if done():
                return
            yield
        if not done():
            self._current.notes.append(("caller.gave_up", {"step": number, "do": step["do"]}))
            if step.get("or") == "hang_up":
                yield from self._act("hang_up")

    @staticmethod
    def _frames(ms: int) -> Iterator[None]:
        for _ in range(-(-ms // FRAME_MS)):
            yield


def checked(step: Step) -> dict[str, Any]:
    """Validate a step and return it as a plain dict.  Raises BadStep, whose message says what is wrong."""
    do = step.get("do")
    match do:
        case "say":
            _check_say(step)
        case "tone":
            if not all(_is_whole(step.get(name)) and step[name] for name in ("hz", "ms")):
                raise BadStep("tone needs hz and ms, whole numbers above 0")
        case "press":
            _check_digits(step)
        case (
            "wait"
            | "wait_for_keys"
            | "wait_for_tone"
            | "wait_for_agent_to_talk"
            | "wait_for_agent_to_finish"
            | "record"
            | "freeze"
            | "vanish"
            | "hang_up"
        ):
            if do == "wait" and "ms" not in step:
                raise BadStep("wait needs ms")
            if do == "wait_for_tone" and not (_is_whole(step.get("hz")) and step["hz"]):
                raise BadStep("wait_for_tone needs hz, a whole number above 0")
            if do == "wait_for_keys":
                _check_digits(step)
            spans = [span for span in ("ms", "for_ms", "quiet_ms", "timeout_ms", "max_ms") if span in step]
            for name in spans:
                if not _is_whole(step[name]):
                    raise BadStep(f"{do}: {name} must be a whole number of milliseconds, at least 0")
            if step.get("or", "hang_up") != "hang_up":
                raise BadStep(f'{do}: "or" takes only hang_up')
        case _:
            raise BadStep(f"unknown step {do!r}")
    return dict(step)


def _check_say(step: Step) -> None:
    forms = [form for form in ("audio_ulaw_b64", "wav_b64", "text") if form in step]
    if len(forms) != 1:
        raise BadStep("say needs one of audio_ulaw_b64 (8 kHz μ-law), wav_b64 and text")
    try:
        if not isinstance(step[forms[0]], str) or not (step["text"].strip() if "text" in step else _sound(step)):
            raise BadStep(f"say needs a {forms[0]} that is not empty")
    except (TypeError, ValueError) as error:  # binascii.Error is a ValueError
        raise error if isinstance(error, BadStep) else BadStep(f"say cannot read its {forms[0]}: {error}") from error


def _check_digits(step: Step) -> None:
    digits = step.get("digits")
    if not isinstance(digits, str) or not digits or not set(digits) <= DIGITS:
        raise BadStep(f"{step['do']} needs digits, of 0-9 * # A-D")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _sound(step: Step) -> bytes:
    if step["do"] == "tone":
        return tones.tone([step["hz"]], step["ms"])
    if "text" in step:
        return tones.voice(step["text"])
    if "wav_b64" in step:
        return recordings.read(base64.b64decode(step["wav_b64"], validate=True))
    return base64.b64decode(step["audio_ulaw_b64"], validate=True)


def say(audio_ulaw: bytes) -> dict[str, Any]:
    """Return the step that speaks this μ-law audio."""
    return {"do": "say", "audio_ulaw_b64": base64.b64encode(audio_ulaw).decode()}
