"""The tool that a caller's words ask for, its arguments from the conversation, and what has to be asked first.  Pure.

A tool is wanted when the caller used all significant words of its name, or words that count as the same:
`book_appointment` by "I'd like to schedule a cleaning".  A request for a person wants a transfer (in texts, to be assigned), and a
question that nothing else answers wants the knowledge.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.openai import booking, prompt, schema
from sandbox.openai.script import FunctionCall

Tool = Mapping[str, Any]
Dialogue = Sequence[tuple[str, str]]

#: Never chosen by its words: a farewell chooses the first, the end of a call the second, a booking the others.
UNNAMED = frozenset({"end_call", "report_outcome"}) | booking.TOOLS
#: Only text agents have it.
ASSIGN = "assign_to_human"
#: By preference.
TRANSFERS = ("transfer_to_number", "transfer_call", "transfer_to_flow", ASSIGN)
KNOWLEDGE = "lookup_knowledge"
#: Words of a function's name that do not describe its purpose.
STOP_WORDS = frozenset({"call", "the", "get", "set", "do", "to", "http", "tool", "a", "an", "and"})
#: Words that count as one.
_SAME = (
    {"book", "booking", "appointment", "appointments", "schedule", "reserve", "reservation", "slot"},
    {"cancel", "cancellation"},
    {"move", "reschedule", "postpone"},
    {"find", "look", "lookup", "check", "search", "status", "where", "track"},
    {"order", "orders", "package", "parcel", "delivery"},
    {"take", "leave"},
    {"message", "voicemail"},
    {"text", "sms"},
)
#: A request to speak with a person.
PERSON = re.compile(
    r"\b(?:speak|talk|chat)\s+(?:to|with)\b|\b(?:transfer|connect|put)\s+me\b|\b(?:real|human)\s+(?:person|being)\b"
    r"|\b(?:operator|human)\b",
    re.IGNORECASE,
)
_INTRODUCTION = re.compile(
    r"^(?:(?:hi|hello|yes)[,.]?\s+)?(?:my name is|this is|it is|it['\u2019]s|i am|i['\u2019]m)\s+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class WantedTool:
    """A tool that the caller wants; `question` asks for the first argument that it lacks, or is None."""

    call: FunctionCall
    question: str | None


def named(tools: Sequence[Tool], caller_text: str) -> Tool | None:
    """Return the first tool that the words ask for by its name."""
    used = _meanings(caller_text)
    for tool in tools:
        name = _name(tool)
        significant = _meanings(name.replace("_", " ")) - STOP_WORDS
        if name not in UNNAMED and significant and significant <= used:
            return tool
    return None


def transfer(tools: Sequence[Tool]) -> Tool | None:
    return next((tool for wanted in TRANSFERS for tool in tools if _name(tool) == wanted), None)


def writes(tools: Sequence[Tool]) -> bool:
    """Return whether these are the tools of an agent that answers texts."""
    return any(_name(tool) == ASSIGN for tool in tools)


def knowledge(tools: Sequence[Tool]) -> Tool | None:
    return next((tool for tool in tools if _name(tool) == KNOWLEDGE), None)


def pending(tools: Sequence[Tool], dialogue: Dialogue, made: Sequence[str]) -> Tool | None:
    """Return the tool for which the last question to the caller was asked, unless it was called already."""
    last_words = next((text for role, text in reversed(dialogue) if role == "assistant"), "")
    for role, text in reversed(dialogue):
        tool = named(tools, text) if role == "user" else None
        if tool is not None and _name(tool) not in made:
            return tool if any(question in last_words for _, question in _asked_for(tool)) else None
    return None


def request(tool: Tool, instructions: str, dialogue: Dialogue) -> WantedTool:
    """Return the call of a tool with arguments from what the caller has said, and what is still to be asked."""
    spoken = [text for role, text in dialogue if role == "user"]
    arguments = schema.fill_object(tool.get("parameters") or {}, spoken[-1] if spoken else "")
    question = None
    for name, asking in _asked_for(tool):
        known = _answer(asking, dialogue) or _said(name, spoken) or _on_file(name, instructions)
        if known is not None:
            arguments[name] = known
        else:
            question = question or asking
    for name in arguments:
        if name in {"question", "query"} and spoken:
            arguments[name] = _question_in(spoken[-1])
    return WantedTool(FunctionCall(_name(tool), arguments), question)


def _name(tool: Tool) -> str:
    return str(tool.get("name", ""))


def _meanings(text: str) -> set[str]:
    words = set(re.findall(r"[a-z]+", text.lower()))
    for number, same in enumerate(_SAME):
        if words & same:
            words = (words - same) | {f"#{number}"}
    return words


def _asked_for(tool: Tool) -> list[tuple[str, str]]:
    """Return the required texts that only a caller can know, each with the question for it."""
    parameters = tool.get("parameters") or {}
    properties: Mapping[str, Any] = parameters.get("properties") or {}
    found = []
    for name in parameters.get("required") or ():
        part = properties.get(name)
        is_free = (
            isinstance(part, Mapping)
            and part.get("type") == "string"
            and not {"enum", "const", "format", "pattern"} & part.keys()
        )
        if is_free and (question := prompt.known_question(str(name).replace("_", " "))) is not None:
            found.append((str(name), question))
    return found


def _answer(question: str, dialogue: Dialogue) -> str | None:
    """Return what the caller said to a question."""
    follows = False
    answer = None
    for role, text in dialogue:
        if role == "assistant":
            follows = question in text
        elif follows and text.strip() and not prompt.is_question(text):
            answer, follows = _INTRODUCTION.sub("", text.strip()).rstrip(".!"), False
    return answer


def _said(name: str, spoken: Sequence[str]) -> str | None:
    """Return a name, an address or a number that the caller has given unasked."""
    patterns = (("mail", schema.EMAIL), ("phone", schema.PHONE), ("number", schema.PHONE), ("name", schema.NAME))
    for clue, pattern in patterns:
        if clue in name.lower():
            match = pattern.search("\n".join(spoken))
            return (match.groupdict().get("name") or match.group()).strip() if match else None
    return None


def _on_file(name: str, instructions: str) -> str | None:
    return prompt.caller(instructions) if "name" in name.lower() else None


def _question_in(text: str) -> str:
    return next(
        (sentence for sentence in reversed(schema.sentences(text)) if prompt.is_question(sentence)), text.strip()
    )
