"""The mind of a session: what it is given, and the parts of an answer that it gives, one by one as they come.  Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from realtime.codec import Codec
from realtime.sound import Word

VERBATIM = re.compile(r"\s*say exactly[^:\n]*:\s*(?P<text>.+)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Voiced:
    """An utterance's audio in the wire format, and the times of its words."""

    payload: bytes
    words: list[Word]


@dataclass(frozen=True, slots=True)
class AnswerSituation:
    """What an answer is for.  `dialogue` is the conversation so far, as (role, text), the model's words as far as they were heard.

    `called` are the functions called since the caller spoke, `results` their results, `made` those called before.  `items` is the same
    conversation with its calls in between, item by item with its text.  `exact`: words that are to be said as they are.  `in_band`:
    the answer belongs to the conversation.
    """

    instructions: str = ""
    caller_text: str | None = None
    dialogue: Sequence[tuple[str, str]] = ()
    called: Sequence[str] = ()
    results: Sequence[str] = ()
    made: Sequence[str] = ()
    tools: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    items: Sequence[tuple[Mapping[str, Any], str]] = ()
    exact: str | None = None
    in_band: bool = True


@dataclass(frozen=True, slots=True)
class WaitPart:
    """What follows comes this long after the answer began, at the earliest."""

    ms: float


@dataclass(frozen=True, slots=True)
class SpokenPart:
    """A piece of speech: words, which the session's voice speaks unless `sound` makes their sound."""

    text: str
    sound: Callable[[Codec], Voiced] | None = None


@dataclass(frozen=True, slots=True)
class CallPart:
    """A function call."""

    name: str
    arguments_json: str


Part = WaitPart | SpokenPart | CallPart
Take = Callable[[Part | Exception | None], None]
"""Takes the next part of an answer; None after the last one, an Exception instead of what can't be given."""


class Mind(Protocol):
    def answer(self, situation: AnswerSituation, take: Take) -> Callable[[], None]:
        """Give `take` the parts of an answer, now or later, in order; return what stops that."""


def verbatim(instructions: str) -> str | None:
    """Return the sentence of an instruction like "Say exactly: Good morning.", or None."""
    match = VERBATIM.match(instructions)
    return match["text"].strip() if match else None
