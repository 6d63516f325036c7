"""What the simulated caller says to the agent's words.  Pure and deterministic.

`answer(heard)` gets all that the agent has said since the caller spoke.  A person answers what asks something, and listens on after an
announcement or a statement.  Example: "This call may be recorded." → wait; "How can I help you today?" → the wish;
"Is there anything else?" → goodbye; "Goodbye." → wait until the agent hangs up.  An agent that has been silent for long has asked
something, also if it did not sound like a question: then `insists` is set.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from evals.scenario import Fact, Scenario

ASKS = re.compile(r"\?|\b(?:please (?:tell|give|say|spell)|tell me|may i have|let me know)\b", re.IGNORECASE)
FAREWELL = re.compile(r"\bgood\s?bye\b", re.IGNORECASE)
AGAIN = re.compile(r"\b(?:say that again|repeat|did(?:n't| not) (?:catch|understand|hear)|pardon)\b", re.IGNORECASE)
CLOSING = re.compile(r"\banything else\b", re.IGNORECASE)
YES = re.compile(r"\b(?:is that|shall i|should i|would you like|do you want|correct|right)\b", re.IGNORECASE)
MOST_REPEATS = 2


@dataclass(frozen=True, slots=True)
class Action:
    """What the caller does; `facts` are the names of those that the words tell."""

    do: Literal["say", "wait", "hang_up"]
    text: str = ""
    facts: tuple[str, ...] = ()
    #: Not a fact: `yes`, `again`, `unknown`, `goodbye`, `script`.
    phrase: str = ""


WAIT, HANG_UP = Action("wait"), Action("hang_up")


class Brain(Protocol):
    """A source of answers."""

    def begin(self) -> Action:
        """Return the first words of who writes, and is not asked."""

    def answer(self, heard: str, *, insists: bool = False) -> Action: ...
    def put_back(self, action: Action) -> None:
        """Undo the last answer: the agent has gone on, so that it was not said."""


class ScriptBrain:
    """Fixed sentences, one whenever the agent has asked something."""

    def __init__(self, sentences: Sequence[str]) -> None:
        self._left = list(sentences)

    def begin(self) -> Action:
        return self.answer("", insists=True)

    def answer(self, heard: str, *, insists: bool = False) -> Action:
        if not self._left or (not insists and ASKS.search(heard) is None):
            return WAIT
        return Action("say", self._left.pop(0), phrase="script")

    def put_back(self, action: Action) -> None:
        if action.do == "say":
            self._left.insert(0, action.text)


class FactsBrain:
    """Facts, each told when the agent's question matches."""

    def __init__(self, facts: Mapping[str, Fact], most_turns: int) -> None:
        self._facts = facts
        self._most_turns = most_turns
        self._last: Action | None = None
        self._known: set[str] = set()
        self._before: tuple[set[str], Action | None] = (set(), None)
        self._turns = self._repeats = 0

    def begin(self) -> Action:
        name, fact = next(iter(self._facts.items()))
        return self._noted(Action("say", fact.say, (name,)))

    def answer(self, heard: str, *, insists: bool = False) -> Action:
        if FAREWELL.search(heard):
            return WAIT
        if self._turns >= self._most_turns:
            return HANG_UP
        question = asking(heard)
        if not question:
            if not insists or not _matching(self._facts, heard):
                return WAIT
            question = heard
        return self._noted(self._reply(question))

    def _noted(self, action: Action) -> Action:
        if action.do == "say":
            self._turns += 1
            self._before = (set(self._known), self._last)
            self._known |= set(action.facts)
            self._last = action
        return action

    def put_back(self, action: Action) -> None:
        if action.do == "say":
            self._turns -= 1
            self._known, self._last = self._before

    def _reply(self, question: str) -> Action:
        if AGAIN.search(question) and self._last is not None:
            self._repeats += 1
            return self._last if self._repeats <= MOST_REPEATS else HANG_UP
        self._repeats = 0
        wanted = _matching(self._facts, question)
        # What was told already is told again only if nothing new is asked.
        names = [name for name in wanted if name not in self._known] or ([] if CLOSING.search(question) else wanted[:1])
        if names:
            return Action("say", " ".join(self._facts[name].say for name in names), tuple(names))
        if CLOSING.search(question):
            return Action("say", "No thank you, that is all. Goodbye.", phrase="goodbye")
        if YES.search(question):
            return Action("say", "Yes, please.", phrase="yes")
        return Action("say", "I am not sure, sorry.", phrase="unknown")


def brain_of(scenario: Scenario) -> Brain:
    """Return the brain that a scenario's caller has."""
    if scenario.brain == "facts":
        return FactsBrain(scenario.facts, scenario.most_turns)
    return ScriptBrain(scenario.script)


def asking(heard: str) -> str:
    """Return the sentences that ask something."""
    sentences = re.split(r"(?<=[.!?])\s+", heard.strip())
    return " ".join(sentence for sentence in sentences if ASKS.search(sentence) or AGAIN.search(sentence))


def asked_for(facts: Mapping[str, Fact], words: str) -> list[str]:
    """Return the names of the facts that these words ask for."""
    return _matching(facts, asking(words))


def _matching(facts: Mapping[str, Fact], words: str) -> list[str]:
    return [name for name, fact in facts.items() if re.search(rf"\b(?:{fact.when})\b", words, re.IGNORECASE)]
