"""Answers without a script: a polite receptionist that knows only the instructions.  Pure, deterministic.

It asks for the facts that the flow's prompt wants, one at a time; answers questions with the prompt's own statements, else from
the agent's documents; calls the tool that the caller's words ask for, after asking for what it needs, and says what came of it;
books times (`booking`); transfers who wants a person; repeats its notes, and says goodbye.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from realtime.mind import AnswerSituation
from sandbox.openai import booking, prompt, toolchoice, toolresults
from sandbox.openai.script import FunctionCall, Turn

ORGANIZATION = re.compile(
    r"(?:phones? (?:of|for|at)|receptionist (?:of|for|at)|on behalf of|answering for|works? for|assistant (?:of|for|at))"
    r"\s+(?:the\s+)?(?P<name>[A-Z][\w&'’-]*(?:\s+(?:[A-Z&][\w&'’-]*|of|and))*)"
)
FAREWELL = re.compile(r"\b(good\s?bye|bye|that is all|that['\u2019]s all|that will be all)\b", re.IGNORECASE)
#: Also a farewell, unless questions are open.
THANKS = re.compile(r"\b(thanks|thank you)\b", re.IGNORECASE)
#: A question for the caller's own name.
WHO = re.compile(r"\bwho i am\b|\bmy name\b.*\?", re.IGNORECASE)
#: A first utterance of this many words includes the reason for the call.
REASON_WORDS = 4
END_CALL = "end_call"
ANYTHING_ELSE = "Is there anything else?"


def answer(situation: AnswerSituation) -> Turn:
    booked = booking.answer(situation)
    if situation.called:
        return booked or Turn(say=_outcome(situation))
    if situation.caller_text is None:
        return Turn(say=_greeting(situation.instructions))
    answered, open_questions = _interview(situation)
    if FAREWELL.search(situation.caller_text) or (not open_questions and THANKS.search(situation.caller_text)):
        ends = any(tool.get("name") == END_CALL for tool in situation.tools)
        writes = toolchoice.writes(situation.tools)
        return Turn(
            say=f"Thank you{'' if writes else ' for calling'}. Goodbye.", call=FunctionCall(END_CALL) if ends else None
        )
    if (turn := booked or _by_tool(situation)) is not None:
        return turn
    following = open_questions[0] if open_questions else ANYTHING_ELSE
    if toolchoice.PERSON.search(situation.caller_text):
        return Turn(say=f"I can't put you through, but your message will be seen. {following}")
    if WHO.search(situation.caller_text) and (name := prompt.caller(situation.instructions)) is not None:
        return Turn(say=f"You are {name}. {following}")
    statement = prompt.matching_statement(situation.instructions, situation.caller_text)
    library = toolchoice.knowledge(situation.tools)
    if statement is not None and (library is None or prompt.covers(statement, situation.caller_text)):
        return Turn(say=f"{statement} {following}")
    if library is not None and prompt.is_question(situation.caller_text):
        return _using(library, situation)
    return Turn(say=f"{_acknowledgement(situation, answered, open_questions)} {following}")


def _outcome(situation: AnswerSituation) -> str:
    """Say what came of the functions that were called."""
    if END_CALL in situation.called:
        return "Goodbye."
    if not situation.results:
        return f"That is done. {ANYTHING_ELSE}"
    if all(map(toolresults.found_nothing, situation.results)):
        statement = prompt.matching_statement(situation.instructions, situation.caller_text or "")
        if statement is not None:
            return f"{statement} {ANYTHING_ELSE}"
    if toolchoice.ASSIGN in situation.called:
        return " ".join(toolresults.sentence(result, "") for result in situation.results)
    sentences = dict.fromkeys(toolresults.sentence(result, situation.caller_text or "") for result in situation.results)
    return " ".join([*sentences, ANYTHING_ELSE])


def _by_tool(situation: AnswerSituation) -> Turn | None:
    """Return the call of the tool that the caller wants, or the question for what it lacks."""
    caller_text = situation.caller_text or ""
    tool = toolchoice.named(situation.tools, caller_text)
    if tool is None and toolchoice.PERSON.search(caller_text):
        tool = toolchoice.transfer(situation.tools)
    if tool is None:
        tool = toolchoice.pending(situation.tools, situation.dialogue, situation.made)
    return None if tool is None else _using(tool, situation)


def _using(tool: Mapping[str, Any], situation: AnswerSituation) -> Turn:
    dialogue = situation.dialogue or [("user", situation.caller_text or "")]
    wanted = toolchoice.request(tool, situation.instructions, dialogue)
    if wanted.question is not None:
        return Turn(say=f"Certainly. {wanted.question}")
    return Turn(say="One moment, please.", call=wanted.call)


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
        if pending and not prompt.asks_to_know(text):
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
    if prompt.asks_to_know(utterance):
        return "I can't say."
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
