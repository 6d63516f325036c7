"""A script of what the stand-in hears and says.

    {"heard": ["I need a plumber", ...],           the text of each caller turn, if there is no speech recognition
     "turns": [{"say": ..., "call": {"name": ..., "arguments": {...}}, "tone": {"hz": 440, "ms": 3000},
                "more_calls": [{...}], "calls_first": false, "latency_ms": 500}, ...],          answers on the realtime socket, in order, before the rules
     "texts": [{"say": ...} | {"call": ...}, ...], answers of /v1/responses, in order, before the rules
     "rules": [{"when": "regex", "once": true, "say": ...}, ...],   on the caller's last words, first match
     "otherwise": "Could you say that again?",     without it, a receptionist made from the instructions answers
     "shared": false,                              true: all sessions share one position in the script
     "faults": {...}, "settings": {...}}           as in settings.py

A turn may both speak and call: it speaks first, unless `calls_first`.  A rule is skipped if its function was already called since
the caller spoke.
"""

import re
from pathlib import Path
from typing import Any

import msgspec

from sandbox.openai.settings import Faults, Settings


class BadScript(Exception):  # noqa: N818  (it says what is bad)
    """An invalid script; the message says where it is wrong."""


class Tone(msgspec.Struct, forbid_unknown_fields=True):
    hz: float
    ms: int


class FunctionCall(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any] = {}


class Turn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One answer."""

    say: str | None = None
    call: FunctionCall | None = None
    tone: Tone | None = None
    more_calls: list[FunctionCall] = []
    """Further function calls of the same answer."""
    calls_first: bool = False
    """Call the functions before the words, while the answer continues."""
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        if self.say is None and self.call is None and self.tone is None:
            raise ValueError("an answer needs say, call or tone")
        if self.say is not None and self.tone is not None:
            raise ValueError("an answer can have say or tone, not both")


class Rule(Turn, kw_only=True, forbid_unknown_fields=True):
    when: str
    once: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            re.compile(self.when)
        except re.error as error:
            raise ValueError(f"{self.when!r} is not a regular expression: {error}") from error


class Script(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    heard: list[str] = []
    turns: list[Turn] = []
    texts: list[Turn] = []
    rules: list[Rule] = []
    otherwise: str | None = None
    shared: bool = False
    faults: Faults | None = None
    settings: Settings | None = None

    @classmethod
    def of(cls, script: dict[str, Any]) -> "Script":
        """Convert a script from plain values.  Raises BadScript."""
        try:
            return msgspec.convert(script, cls)
        except msgspec.ValidationError as error:
            raise BadScript(str(error)) from error

    @classmethod
    def load(cls, path: Path) -> "Script":
        """Read a script from a JSON file.  Raises BadScript, OSError."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except msgspec.DecodeError as error:
            raise BadScript(f"{path}: {error}") from error


class ScriptPlayer:
    """A position in a script."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._heard = iter(script.heard)
        self._turns = iter(script.turns)
        self._texts = iter(script.texts)
        self._used: set[int] = set()

    def next_heard(self) -> str | None:
        return next(self._heard, None)

    def next_turn(self) -> Turn | None:
        return next(self._turns, None)

    def next_text(self) -> Turn | None:
        return next(self._texts, None)

    def by_rule(self, caller_text: str, called: list[str]) -> Turn | None:
        """Return the first rule that matches; `called` are the functions called since the caller spoke."""
        for index, rule in enumerate(self._script.rules):
            skipped = index in self._used or (rule.call is not None and rule.call.name in called)
            if not skipped and re.search(rule.when, caller_text, re.IGNORECASE):
                if rule.once:
                    self._used.add(index)
                return rule
        return None

    def otherwise(self) -> Turn | None:
        return None if self._script.otherwise is None else Turn(say=self._script.otherwise)
