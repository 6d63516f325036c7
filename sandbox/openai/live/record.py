"""The record of a Live session, beyond what each session has.  Pure."""

from dataclasses import dataclass, field
from typing import Any, Literal

from sandbox.openai.live.voice import Sentence
from sandbox.openai.script import FunctionCall

Kind = Literal["instructions", "thinking", "commentary"]


@dataclass(frozen=True, slots=True)
class Appended:
    """A text that the client has appended, at this time of the session."""

    kind: Kind
    content: str
    delegation_id: str | None
    at_ms: int


@dataclass(slots=True)
class Delegated:
    """A task that the model has delegated; the client is not told what it is."""

    id: str
    task: FunctionCall
    offset_ms: int
    answers: list[Appended] = field(default_factory=list)


@dataclass(slots=True)
class LiveRecord:
    """What was said, appended and delegated.  The model believes that the caller heard all of `sentences` that was sent."""

    sentences: list[Sentence] = field(default_factory=list)
    appended: list[Appended] = field(default_factory=list)
    delegations: dict[str, Delegated] = field(default_factory=dict)
    seconds: float = 0.0
    """That were reported as used."""

    def spoken(self) -> str:
        """Return the model's words that were sent, in order."""
        return " ".join(sentence.sent_text for sentence in self.sentences if sentence.sent_words)

    def as_json(self) -> dict[str, Any]:
        """Return the record."""
        return {
            "sentences": [
                {"text": each.text, "sent": each.sent_text, "began_ms": each.began_ms, "was_cut": each.was_cut}
                for each in self.sentences
            ],
            "appended": [[each.kind, each.content, each.delegation_id, each.at_ms] for each in self.appended],
            "delegations": [
                {"id": each.id, "task": each.task.name, "answers": [answer.content for answer in each.answers]}
                for each in self.delegations.values()
            ],
            "seconds": self.seconds,
        }
