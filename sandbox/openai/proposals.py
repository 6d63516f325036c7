"""A proposal for an agent, made from the words of a description and a page.  Pure, deterministic.

It is as credulous as a model can be: it uses every name, hour, address and number that it reads, also those planted by the page.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

#: Title of the schema of proposals.
TITLE = "flow_proposal"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = r"(mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?"
_TIME = r"(?:(\d{1,2})(?::(\d{2}))?\s*(am|pm)?|(noon|midnight))"
_TO = r"\s*(?:-|\u2013|to|through|until|till)\s*"
HOURS = re.compile(rf"\b{_DAY}(?:{_TO}{_DAY})?\s*:?,?\s*(?:from\s+)?{_TIME}{_TO}{_TIME}", re.IGNORECASE)
NAME = re.compile(r"\b([A-Z][\w&'\u2019-]*(?: (?:[A-Z&][\w&'\u2019-]*|of|and))*)(?= (?:is|are|has|offers) |,)")
#: A description that begins with a name of several words.
START = re.compile(r"([A-Z][\w&'\u2019-]*(?: [A-Z&][\w&'\u2019-]*)+)")
ADDRESS = re.compile(
    r"\b\d{1,5} (?:[A-Z][\w.]* ){1,4}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Way|Square)\b[^.\n]*"
)
PHONE = re.compile(r"\+\d[\d ().-]{6,}\d")
MAX_FACTS = 8


def propose(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the members that the schema has; `text` is a JSON object with a description and a page."""
    source = json.loads(text)
    description, page = str(source.get("description") or ""), str(source.get("page") or "")
    name = _name(description, page)
    facts = [line.strip() for line in page.splitlines() if line.strip()][:MAX_FACTS]
    address = ADDRESS.search(page) or ADDRESS.search(description)
    prompt = [f"You answer for {name}.", description, *facts, *([f"Address: {address[0].strip()}."] if address else ())]
    hours = _hours(f"{description}\n{page}")
    proposal = {
        "name": name,
        "greeting": f"Thank you for calling {name}. How can I help you?",
        "system_prompt": "\n".join(prompt),
        "language": "en-US",
        "voice": schema["properties"].get("voice", {}).get("enum", [""])[0],
        "business_hours": {"weekly": hours} if hours else None,
        "after_hours_message": f"{name} is closed at the moment.",
        "goodbye_message": f"Thank you for calling {name}. Goodbye.",
        "voicemail_enabled": "voicemail" in description.lower() or "message" in description.lower(),
        "transfers": [
            {"label": f"number {n}", "phone_e164": number} for n, number in enumerate(_numbers(description, page), 1)
        ],
        "rationale": f"The name, {len(facts)} facts and {'the hours' if hours else 'no hours'} are from what I read.",
    }
    return {member: value for member, value in proposal.items() if member in schema["properties"]}


def _name(description: str, page: str) -> str:
    if (match := START.match(description) or NAME.search(description)) is not None:
        return match[1].strip()
    lines = [line.strip() for line in page.splitlines() if line.strip()]
    return lines[0][:60] if lines else "the business"


def _numbers(*texts: str) -> list[str]:
    numbers = ("+" + re.sub(r"\D", "", match) for text in texts for match in PHONE.findall(text))
    return list(dict.fromkeys(numbers))


def _hours(text: str) -> dict[str, list[list[str]]]:
    weekly: dict[str, list[list[str]]] = {}
    for match in HOURS.finditer(text):
        first, last, *clock = match.groups()
        opens, closes = _time(*clock[:4], noon_after=False), _time(*clock[4:], noon_after=not clock[6])
        for day in _from(first, last or first):
            weekly.setdefault(day, [[opens, closes]])
    return weekly


def _from(first: str, last: str) -> Iterator[str]:
    at, end = DAYS.index(first.lower()), DAYS.index(last.lower())
    while True:
        yield DAYS[at]
        if at == end:
            return
        at = (at + 1) % len(DAYS)


def _time(hour: str | None, minute: str | None, half: str | None, word: str | None, *, noon_after: bool) -> str:
    """Return a time as `17:00`; with `noon_after`, an hour up to six without am or pm is in the afternoon."""
    if word is not None:
        return "12:00" if word.lower() == "noon" else "24:00"
    value = int(hour or 0) % 24
    if half is not None:
        value = value % 12 + (12 if half.lower() == "pm" else 0)
    elif noon_after and value <= 6:
        value += 12
    return f"{value:02}:{minute or '00'}"
