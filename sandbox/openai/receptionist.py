"""The answers without a script: a polite receptionist, based on the instructions alone.  Pure, deterministic.

It asks for what the flow's prompt wants to know, one thing at a time; answers questions with the prompt's own statements;
calls the tool that the caller names; repeats what it noted, and says goodbye.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.openai import prompt, schema
from sandbox.openai.script import Call, Turn

VERBATIM = re.compile(r"\s*say exactly[^:\n]*:\s*(?P<text>.+)", re.IGNORECASE | re.DOTALL)
ORGANIZATION = re.compile(
    r"(?:phones? (?:of|for|at)|receptionist (?:of|for|at)|on behalf of|answering for|works? for|assistant (?:of|for|at))"
    r"\s+(?:the\s+)?(?P<name>[A-Z][\w&'’-]*(?:\s+(?:[A-Z&][\w&'’-]*|of|and))*)"
)
FAREWELL = re.compile(r"\b(good\s?bye|bye|that is all|that['\u2019]s all|that will be all)\b", re.IGNORECASE)
#: Also a farewell, unless something is still to be asked.
THANKS = re.compile(r"\b(thanks|thank you)\b", re.IGNORECASE)
#: The caller wants to speak with somebody.
PERSON = re.compile(
    r"\b(?:speak|talk)\s+(?:to|with)\b|\b(?:transfer|connect|put)\s+me\b|\b(?:real|human)\s+(?:person|being)\b|\b(?:operator|human)\b",
    re.IGNORECASE,
)
#: The caller wants to know whether they are known.
WHO = re.compile(r"\bwho i am\b|\bmy name\b.*\?", re.IGNORECASE)
#: A caller who says so much at first has said why they call.
REASON_WORDS = 4
END_CALL = "end_call"
ANYTHING_ELSE = "Is there anything else?"
#: Words of a function's name that do not say what it is for.
IDLE_WORDS = frozenset({"call", "the", "get", "set", "do", "to", "http", "tool", "a", "an", "and"})


@dataclass(frozen=True, slots=True)
class Situation:
    """`dialogue` is what was said so far, as (role, text); `called` are the functions called since the caller spoke."""

    instructions: str = ""
    caller_text: str | None = None
    dialogue: Sequence[tuple[str, str]] = ()
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
    answered, open_ones = _asked(now)
    if FAREWELL.search(now.caller_text) or (not open_ones and THANKS.search(now.caller_text)):
        ends = any(each.get("name") == END_CALL for each in now.tools)
        return Turn(say="Thank you for calling. Goodbye.", call=Call(END_CALL) if ends else None)
    if (call := _fitting_call(now.tools, now.caller_text)) is not None:
        return Turn(say="One moment, please.", call=call)
    following = open_ones[0] if open_ones else ANYTHING_ELSE
    if PERSON.search(now.caller_text):
        return Turn(say=f"I can't transfer this call, but I will pass it on. {following}")
    if WHO.search(now.caller_text) and (name := prompt.caller(now.instructions)) is not None:
        return Turn(say=f"You are {name}. {following}")
    if (statement := prompt.told(now.instructions, now.caller_text)) is not None:
        return Turn(say=f"{statement} {following}")
    return Turn(say=f"{_acknowledged(now, answered, open_ones)} {following}")


def _asked(now: Situation) -> tuple[list[tuple[str, str]], list[str]]:
    """The questions that were asked, each with the caller's answer; and those that are still to be asked."""
    questions = list(dict.fromkeys(prompt.question(each) for each in prompt.facts(now.instructions)))
    answered: list[tuple[str, str]] = []
    pending = ""
    callers = 0
    for role, text in now.dialogue:
        if role == "assistant":
            pending = next((each for each in questions if each in text), "")
            continue
        callers += 1
        if not pending and callers == 1 and len(text.split()) >= REASON_WORDS:
            pending = next((each for each in questions if prompt.is_reason(each)), "")
        if pending and prompt.told(now.instructions, text) is None:
            answered.append((pending, text))
        pending = ""
    known = {question for question, _ in answered}
    return answered, [each for each in questions if each not in known]


def _acknowledged(now: Situation, answered: Sequence[tuple[str, str]], open_ones: Sequence[str]) -> str:
    heard = (now.caller_text or "").strip().rstrip(".!?")
    if not heard:
        return "I did not understand you."
    if not answered:
        return "Certainly." if open_ones else f"I heard: {heard}."
    if open_ones or answered[-1][1] != now.caller_text:
        return "Certainly." if prompt.is_question(heard) else "Thank you."
    noted = "; ".join(text.strip().rstrip(".!?") for _, text in answered)
    return f"Thank you. I have noted: {noted}."


def _greeting(instructions: str) -> str:
    organization = ORGANIZATION.search(instructions)
    calling = f" {organization['name']}" if organization else ""
    return f"Hello, thank you for calling{calling}. How can I help you?"


def _fitting_call(tools: Sequence[Mapping[str, Any]], caller_text: str) -> Call | None:
    """The first function whose significant words the caller all used: `take_message` for "please take a message"."""
    used = set(re.findall(r"[a-z]+", caller_text.lower()))
    for tool in tools:
        name = str(tool.get("name", ""))
        telling = set(re.findall(r"[a-z]+", name.lower())) - IDLE_WORDS
        if name != END_CALL and telling and telling <= used:
            return Call(name, schema.fill_object(tool.get("parameters") or {}, caller_text))
    return None
