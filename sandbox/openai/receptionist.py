"""The answers without a script: a polite receptionist, based on the instructions alone.  Pure, deterministic."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.openai import schema
from sandbox.openai.script import Call, Turn

VERBATIM = re.compile(r"\s*say exactly[^:\n]*:\s*(?P<text>.+)", re.IGNORECASE | re.DOTALL)
ORGANIZATION = re.compile(
    r"(?:phones? (?:of|for|at)|receptionist (?:of|for|at)|on behalf of|answering for|works? for|assistant (?:of|for|at))"
    r"\s+(?:the\s+)?(?P<name>[A-Z][\w&'’-]*(?:\s+(?:[A-Z&][\w&'’-]*|of|and))*)"
)
FAREWELL = re.compile(r"\b(good\s?bye|bye|thanks|thank you|that is all|that's all|that will be all)\b", re.IGNORECASE)
END_CALL = "end_call"
QUESTIONS = (
    (r"\bname\b", "May I have your name?"),
    (r"\b(number|phone number|call ?back)\b", "What number can we reach you at?"),
    (r"\b(reason|purpose|about)\b", "What is it about?"),
)
ANYTHING_ELSE = "Is there anything else?"
#: Words of a function's name that do not say what it is for.
IDLE_WORDS = frozenset({"call", "the", "get", "set", "do", "to", "http", "tool", "a", "an", "and"})


@dataclass(frozen=True, slots=True)
class Situation:
    """`sentences` are the agent's so far; `called` are the functions called since the caller spoke."""

    instructions: str = ""
    caller_text: str | None = None
    sentences: Sequence[str] = ()
    called: Sequence[str] = ()
    tools: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def verbatim(instructions: str) -> str | None:
    """The sentence of an instruction like "Say exactly: Good morning."."""
    match = VERBATIM.match(instructions)
    return match["text"].strip() if match else None


def answer(now: Situation) -> Turn:
    if now.called:
        return Turn(say="Goodbye." if END_CALL in now.called else f"That is done. {ANYTHING_ELSE}")
    if now.caller_text is None:
        return Turn(say=_greeting(now.instructions))
    if FAREWELL.search(now.caller_text):
        ends = any(each.get("name") == END_CALL for each in now.tools)
        return Turn(say="Thank you for calling. Goodbye.", call=Call(END_CALL) if ends else None)
    if (call := _fitting_call(now.tools, now.caller_text)) is not None:
        return Turn(say="One moment, please.", call=call)
    heard = now.caller_text.strip().rstrip(".!?")
    understood = f"I heard: {heard}." if heard else "I did not understand you."
    return Turn(say=f"{understood} {_next_question(now)}")


def _greeting(instructions: str) -> str:
    organization = ORGANIZATION.search(instructions)
    calling = f" {organization['name']}" if organization else ""
    return f"Hello, thank you for calling{calling}. How can I help you?"


def _next_question(now: Situation) -> str:
    sentences = " ".join(now.sentences)
    for topic, question in QUESTIONS:
        if re.search(topic, now.instructions, re.IGNORECASE) and question not in sentences:
            return question
    return ANYTHING_ELSE


def _fitting_call(tools: Sequence[Mapping[str, Any]], caller_text: str) -> Call | None:
    """The first function whose significant words the caller all used: `take_message` for "please take a message"."""
    used = set(re.findall(r"[a-z]+", caller_text.lower()))
    for tool in tools:
        name = str(tool.get("name", ""))
        telling = set(re.findall(r"[a-z]+", name.lower())) - IDLE_WORDS
        if name != END_CALL and telling and telling <= used:
            return Call(name, schema.fill_object(tool.get("parameters") or {}, caller_text))
    return None
