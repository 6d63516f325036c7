"""Answers without a script: a polite receptionist that knows only the instructions.  Pure, deterministic.

It asks for the facts that the flow's prompt wants, one at a time; answers questions with the prompt's own statements;
calls the tool that the caller names; repeats its notes, and says goodbye.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.openai import prompt, schema
from sandbox.openai.script import FunctionCall, Turn

VERBATIM = re.compile(r"\s*say exactly[^:\n]*:\s*(?P<text>.+)", re.IGNORECASE | re.DOTALL)
ORGANIZATION = re.compile(
    r"(?:phones? (?:of|for|at)|receptionist (?:of|for|at)|on behalf of|answering for|works? for|assistant (?:of|for|at))"
    r"\s+(?:the\s+)?(?P<name>[A-Z][\w&'’-]*(?:\s+(?:[A-Z&][\w&'’-]*|of|and))*)"
)
FAREWELL = re.compile(r"\b(good\s?bye|bye|that is all|that['\u2019]s all|that will be all)\b", re.IGNORECASE)
#: Also a farewell, unless questions are open.
THANKS = re.compile(r"\b(thanks|thank you)\b", re.IGNORECASE)
#: A request to speak with a person.
PERSON = re.compile(
    r"\b(?:speak|talk)\s+(?:to|with)\b|\b(?:transfer|connect|put)\s+me\b|\b(?:real|human)\s+(?:person|being)\b|\b(?:operator|human)\b",
    re.IGNORECASE,
)
#: A question for the caller's own name.
WHO = re.compile(r"\bwho i am\b|\bmy name\b.*\?", re.IGNORECASE)
#: A first utterance of this many words includes the reason for the call.
REASON_WORDS = 4
END_CALL = "end_call"
ANYTHING_ELSE = "Is there anything else?"
#: Words of a function's name that do not describe its purpose.
STOP_WORDS = frozenset({"call", "the", "get", "set", "do", "to", "http", "tool", "a", "an", "and"})


@dataclass(frozen=True, slots=True)
class AnswerSituation:
    """`dialogue` is the conversation so far, as (role, text); `called` are the functions called since the caller spoke."""

    instructions: str = ""
    caller_text: str | None = None
    dialogue: Sequence[tuple[str, str]] = ()
    called: Sequence[str] = ()
    tools: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


def verbatim(instructions: str) -> str | None:
    """Return the sentence of an instruction like "Say exactly: Good morning.", or None."""
    match = VERBATIM.match(instructions)
    return match["text"].strip() if match else None


def answer(situation: AnswerSituation) -> Turn:
    if situation.called:
        return Turn(say="Goodbye." if END_CALL in situation.called else f"That is done. {ANYTHING_ELSE}")
    if situation.caller_text is None:
        return Turn(say=_greeting(situation.instructions))
    answered, open_questions = _interview(situation)
    if FAREWELL.search(situation.caller_text) or (not open_questions and THANKS.search(situation.caller_text)):
        ends = any(tool.get("name") == END_CALL for tool in situation.tools)
        return Turn(say="Thank you for calling. Goodbye.", call=FunctionCall(END_CALL) if ends else None)
    if (call := _matching_call(situation.tools, situation.caller_text)) is not None:
        return Turn(say="One moment, please.", call=call)
    following = open_questions[0] if open_questions else ANYTHING_ELSE
    if PERSON.search(situation.caller_text):
        return Turn(say=f"I can't transfer this call, but I will pass it on. {following}")
    if WHO.search(situation.caller_text) and (name := prompt.caller(situation.instructions)) is not None:
        return Turn(say=f"You are {name}. {following}")
    if (statement := prompt.matching_statement(situation.instructions, situation.caller_text)) is not None:
        return Turn(say=f"{statement} {following}")
    return Turn(say=f"{_acknowledgement(situation, answered, open_questions)} {following}")


def _interview(situation: AnswerSituation) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the answered questions, each with the caller's answer, and the open ones."""
    questions = list(dict.fromkeys(prompt.question(fact) for fact in prompt.facts(situation.instructions)))
    answered: list[tuple[str, str]] = []
    pending = ""
    callers = 0
    for role, text in situation.dialogue:
        if role == "assistant":
            pending = next((question for question in questions if question in text), "")
            continue
        callers += 1
        if not pending and callers == 1 and len(text.split()) >= REASON_WORDS:
            pending = next((question for question in questions if prompt.is_reason(question)), "")
        if pending and prompt.matching_statement(situation.instructions, text) is None:
            answered.append((pending, text))
        pending = ""
    closed = {question for question, _ in answered}
    return answered, [question for question in questions if question not in closed]


def _acknowledgement(
    situation: AnswerSituation, answered: Sequence[tuple[str, str]], open_questions: Sequence[str]
) -> str:
    utterance = (situation.caller_text or "").strip().rstrip(".!?")
    if not utterance:
        return "I did not understand you."
    if not answered:
        return "Certainly." if open_questions else f"I heard: {utterance}."
    if open_questions or answered[-1][1] != situation.caller_text:
        return "Certainly." if prompt.is_question(utterance) else "Thank you."
    noted = "; ".join(text.strip().rstrip(".!?") for _, text in answered)
    return f"Thank you. I have noted: {noted}."


def _greeting(instructions: str) -> str:
    organization = ORGANIZATION.search(instructions)
    calling = f" {organization['name']}" if organization else ""
    return f"Hello, thank you for calling{calling}. How can I help you?"


def _matching_call(tools: Sequence[Mapping[str, Any]], caller_text: str) -> FunctionCall | None:
    """Return a call of the first function whose significant words the caller all used.

    `take_message` matches "please take a message".
    """
    used = set(re.findall(r"[a-z]+", caller_text.lower()))
    for tool in tools:
        name = str(tool.get("name", ""))
        significant = set(re.findall(r"[a-z]+", name.lower())) - STOP_WORDS
        if name != END_CALL and significant and significant <= used:
            return FunctionCall(name, schema.fill_object(tool.get("parameters") or {}, caller_text))
    return None
