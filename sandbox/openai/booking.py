"""How the receptionist books: it finds times, offers them, holds the one that is chosen, asks for a name, and books.  Pure.

It knows the tools by their names, and says times in the words of their results alone.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from realtime.mind import AnswerSituation
from sandbox.openai import prompt, schema
from sandbox.openai.script import FunctionCall, Turn

FIND, HOLD, BOOK, LIST, CANCEL = "find_times", "hold_time", "book_time", "my_appointments", "cancel_appointment"
#: Never chosen by their words alone.
TOOLS = frozenset({FIND, HOLD, BOOK, LIST, CANCEL, "move_appointment", "verify_caller"})
WHICH, NAME, SURE = "Which one suits you?", "What name is it for?", "Shall I cancel it?"
MOMENT = "One moment, please."
#: An offer, also one that the caller interrupted.
OFFERED = re.compile(r"\bI have (?:today|tomorrow|[A-Z][a-z]+day\b)|Which one suits you")
WANTED = re.compile(r"\b(?:book|appointment|schedule|reserve|reservation|free time|opening)\b", re.IGNORECASE)
CANCELED = re.compile(r"\b(?:cancel|call off)\b", re.IGNORECASE)
OTHERS = re.compile(r"\b(?:other|others|else|different|none of)\b", re.IGNORECASE)
YES = re.compile(r"\b(?:yes|yeah|please|sure|right|correct|okay|ok)\b", re.IGNORECASE)
CLOCK = re.compile(r"\b(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\s*(?P<half>[ap])\.?m", re.IGNORECASE)
DAYS = {
    "mon": r"\bmonday\b",
    "tue": r"\btuesday\b",
    "wed": r"\bwednesday\b",
    "thu": r"\bthursday\b",
    "fri": r"\bfriday\b",
    "sat": r"\bsaturday\b",
    "sun": r"\bsunday\b",
    "today": r"\btoday\b",
    "tomorrow": r"\btomorrow\b",
}
PARTS = {"morning": r"\bmorning\b", "afternoon": r"\bafternoon\b", "evening": r"\bevening\b"}
HOURS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
MINUTES = {"fifteen": 15, "thirty": 30, "forty five": 45, "forty-five": 45}
PLACES = ("first", "second", "third", "fourth")
_INTRODUCTION = re.compile(
    r"^(?:(?:hi|hello|yes)[,.]?\s+)?(?:my name is|the name is|this is|it is|it's|i am|i'm|for)\s+", re.IGNORECASE
)


def answer(situation: AnswerSituation) -> Turn | None:
    """Return the next step of a booking; None if the conversation is about something else, or there are no such tools."""
    if not any(tool.get("name") == FIND for tool in situation.tools):
        return None
    if situation.called:
        return _after(situation) if situation.called[-1] in TOOLS else None
    text = situation.caller_text or ""
    last = next((words for role, words in reversed(situation.dialogue) if role == "assistant"), "")
    if last.endswith(SURE) and YES.search(text):
        return Turn(say=MOMENT, call=FunctionCall(CANCEL, {"appointment": "a1", "confirmed": True}))
    if last.endswith(NAME):
        return Turn(say=MOMENT, call=FunctionCall(BOOK, {"name": _name(text)}))
    if CANCELED.search(text):
        return Turn(say=MOMENT, call=FunctionCall(LIST, {}))
    if not (WANTED.search(text) or OFFERED.search(last) or _has_offered(situation)):
        return None
    return Turn(say=MOMENT, call=FunctionCall(FIND, _wish(situation)))


def _after(situation: AnswerSituation) -> Turn:
    """Go on after a tool's result."""
    tool, result = situation.called[-1], _parsed(situation.results[-1] if situation.results else "")
    status, words, times = str(result.get("status")), str(result.get("say", "")), result.get("times") or []
    match tool, status:
        case ("find_times", "found" | "others") if times and situation.called.count(FIND) < 2:
            chosen = _chosen(situation, times)
            if chosen is not None:
                return Turn(call=FunctionCall(HOLD, {"time": chosen}))
            return Turn(say=f"I have {words}. {WHICH}")
        case ("hold_time", "held"):
            name = prompt.caller(situation.instructions) or _said_name(situation)
            if name is not None:
                return Turn(call=FunctionCall(BOOK, {"name": name}))
            return Turn(say=f"I am holding {words} for you. {NAME}")
        case ("hold_time", "taken"):
            return Turn(say=f"I am sorry, that was just taken. I have {words}. {WHICH}")
        case ("book_time", "booked"):
            return Turn(say=f"You are booked: {words}. Is there anything else?")
        case ("book_time", "pending"):
            return Turn(say=f"I have asked for {words}; a person will confirm it. Is there anything else?")
        case ("book_time" | "hold_time", "expired"):
            return Turn(call=FunctionCall(FIND, _wish(situation)))
        case ("my_appointments", "found") if appointments := result.get("appointments"):
            return Turn(say=f"You have an appointment: {appointments[0].get('say')}. {SURE}")
        case ("my_appointments", "none"):
            return Turn(say="I find no appointment under your number. Is there anything else?")
        case ("cancel_appointment", "canceled"):
            return Turn(say=f"It is canceled: {words}. Is there anything else?")
    return Turn(say="I am sorry, I can't do that; a person will call you back. Is there anything else?")


def _parsed(output: str) -> Mapping[str, Any]:
    try:
        found = json.loads(output)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _wish(situation: AnswerSituation) -> dict[str, Any]:
    """Return the search for what the caller wishes, from all that they said; the latest word counts."""
    spoken = [text for role, text in situation.dialogue if role == "user"] or [situation.caller_text or ""]
    tool = next(tool for tool in situation.tools if tool.get("name") == FIND)
    services = [str(name) for name in tool["parameters"]["properties"]["service"]["enum"]]
    wish: dict[str, Any] = {"service": _service(services, " ".join(spoken))}
    for name, words in (("day", DAYS), ("part", PARTS)):
        for text in spoken:
            found = [key for key, pattern in words.items() if re.search(pattern, text, re.IGNORECASE)]
            wish |= {name: found[-1]} if found else {}
    return wish | ({"more": True} if OTHERS.search(spoken[-1]) else {})


def _service(services: Sequence[str], spoken: str) -> str:
    """Return the service with the most words that the caller used."""
    words = set(re.findall(r"[a-z]+", spoken.lower()))
    return max(services, key=lambda name: len(words & set(re.findall(r"[a-z]+", name.lower()))))


def _chosen(situation: AnswerSituation, times: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the key of the offered time that the caller's words choose, if times were offered before."""
    text = (situation.caller_text or "").lower()
    heard = any(OFFERED.search(words) for role, words in situation.dialogue if role == "assistant")
    if not (heard or _has_offered(situation)):
        return None
    for place, word in enumerate(PLACES[: len(times)]):
        if re.search(rf"\b(?:{word} one|the {word})\b", text):
            return str(times[place]["time"])
    if "last one" in text:
        return str(times[-1]["time"])
    wanted = _clock(text)
    fitting = [each for each in times if wanted is not None and _is_at(str(each["say"]), wanted)]
    return str(fitting[0]["time"]) if fitting else None


def _has_offered(situation: AnswerSituation) -> bool:
    """Tell whether the last of these tools found times, however little of the offer was heard."""
    made = [name for name in situation.made if name in TOOLS]
    return bool(made) and made[-1] == FIND


def _clock(text: str) -> tuple[int, int] | None:
    """Return hour (of twelve) and minute of a time in figures or words."""
    if (match := CLOCK.search(text)) or (match := re.search(r"\b(?P<hour>\d{1,2}):(?P<minute>\d{2})\b", text)):
        return int(match["hour"]) % 12, int(match["minute"] or 0)
    for number, word in enumerate(HOURS, 1):
        if re.search(rf"\bhalf past {word}\b", text):
            return number % 12, 30
        if re.search(rf"\b{word}\b(?! one)", text):
            return number % 12, next((value for minutes, value in MINUTES.items() if f"{word} {minutes}" in text), 0)
    match = re.search(r"\bat (?P<hour>\d{1,2})\b", text)
    return (int(match["hour"]) % 12, 0) if match else None


def _is_at(sentence: str, wanted: tuple[int, int]) -> bool:
    match = CLOCK.search(sentence)
    return match is not None and (int(match["hour"]) % 12, int(match["minute"] or 0)) == wanted


def _name(text: str) -> str:
    return _INTRODUCTION.sub("", text.strip()).strip(" .!?,") or "the caller"


def _said_name(situation: AnswerSituation) -> str | None:
    match = schema.NAME.search("\n".join(text for role, text in situation.dialogue if role == "user"))
    return match["name"] if match else None
