"""A proposal for an agent, made from the words of a description and a page.  Pure, deterministic.

It is as credulous as a model can be: it uses every name, hour, address and number that it reads, also those planted by the page.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sandbox.openai import businessname, openinghours
from sandbox.openai.openinghours import OpeningHours

#: Title of the schema of proposals.
TITLE = "flow_proposal"
ADDRESS = re.compile(
    r"\b\d{1,5} (?:[A-Z][\w.]* ){1,4}(?:Street|St|Avenue|Ave|Road|Rd|Lane|Ln|Drive|Way|Square)\b[^.\n]*"
)
PHONE = re.compile(r"\+\d[\d ().-]{6,}\d|(?<![\d+])(?:1[ .-])?\(?\d{3}\)?[ .-]\d{3}[ .-]\d{4}(?!\d)")
#: Before a number: where the words about it begin, what stands before a name, and what stands behind it.
_FRAGMENT = re.compile(r"(?:[,;\n]|(?<!\bDr)[.!?] )")
_LEAD = re.compile(
    r"(?:and|or|the|our|for|please|also|all|it should|you can|can|transfer(?:s|red)?|forward|connect|send|put|pass|callers?|calls?|to|with"
    r"|about|ask(?:ing)? for|who want)\b\s*",
    re.IGNORECASE,
)
_TAIL = re.compile(
    r"[\s:\u2013-]*(?:\b(?:(?:should |shall )?goe?s?|to|at|on|is|are|under|number)\b[\s:\u2013-]*)*$", re.IGNORECASE
)
#: A number of the business itself.
_OWN = re.compile(
    r"\b(?:our|main) (?:\w+ )?(?:number|phone|line)|\b(?:call|reach|text|fax) us\b|\bfax\b", re.IGNORECASE
)
MAX_FACTS, MAX_LABEL_WORDS = 8, 4


def propose(schema: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the members that the schema has; `text` is a JSON object with a description, a page, the organization's name, and today's date."""
    source = json.loads(text)
    description, page = str(source.get("description") or ""), str(source.get("page") or "")
    name = _name(description, page, str(source.get("organization") or ""))
    facts = [line.strip() for line in page.splitlines() if line.strip()][:MAX_FACTS]
    address = ADDRESS.search(page) or ADDRESS.search(description)
    today = date.fromisoformat(source["today"]) if source.get("today") else None
    hours = openinghours.read(f"{description}\n{page}", today)
    # The agent reads its business hours besides.
    lines = [openinghours.without(text) if hours.weekly else text for text in (description, *facts)]
    prompt = [
        f"You answer for {name}.",
        *filter(None, lines),
        *([f"Address: {address[0].strip()}."] if address else ()),
    ]
    transfers = _transfers(description, page)
    proposal = {
        "name": name,
        "greeting": f"Thank you for calling {name}. How can I help you?",
        "system_prompt": "\n".join(prompt),
        "language": "en-US",
        "voice": schema["properties"].get("voice", {}).get("enum", [""])[0],
        "business_hours": {"weekly": hours.weekly, "holidays": hours.holidays} if hours.weekly else None,
        "after_hours_message": f"{name} is closed at the moment.",
        "goodbye_message": f"Thank you for calling {name}. Goodbye.",
        "voicemail_enabled": "voicemail" in description.lower() or "message" in description.lower(),
        "transfers": [{"label": label, "phone_e164": number} for number, label in transfers.items()],
        "rationale": _rationale(name, hours, list(transfers.values()), len(facts)),
    }
    return {member: value for member, value in proposal.items() if member in schema["properties"]}


def _rationale(name: str, hours: OpeningHours, labels: Sequence[str], facts: int) -> str:
    """Say what was read."""
    parts = [f"the name, {name}"]
    if hours.weekly:
        parts.append(f"the hours of {len([day for day in hours.weekly.values() if day])} days a week")
    if hours.weekly and hours.holidays:
        parts.append(f"closed days: {', '.join(hours.holidays)}")
    if labels:
        parts.append(f"transfers: {', '.join(labels)}")
    if facts:
        parts.append(f"{facts} lines of the page")
    return f"What I read: {'; '.join(parts)}."


def _name(description: str, page: str, organization: str) -> str:
    if name := businessname.read(description):
        return name
    title = next((line.strip()[:60] for line in page.splitlines() if line.strip()), "")
    return organization or title or "the business"


def _transfers(*texts: str) -> dict[str, str]:
    """Return the numbers that are not the business's own, each with a name, of which none comes twice."""
    named = dict[str, str]()
    for text in texts:
        end = 0
        for match in PHONE.finditer(text):
            before, end = _FRAGMENT.split(text[end : match.start()])[-1], match.end()
            digits = re.sub(r"\D", "", match[0])
            number = f"+{digits}" if match[0].startswith("+") or len(digits) == 11 else f"+1{digits}"
            if number in named or _OWN.search(before):
                continue
            label = _label(before)
            count = sum(other == label or other.startswith(f"{label} ") for other in named.values())
            named[number] = f"{label} {count + 1}" if count else label
    return named


def _label(before: str) -> str:
    """Return the name of a number from the words before it: `Dr. Lee`, `Billing`."""
    words = re.split(
        r": |\b(?:transfer|forward|connect)\w* to ", _TAIL.sub("", before.strip(" ()")), flags=re.IGNORECASE
    )[-1]
    while (lead := _LEAD.match(words)) is not None and lead.end() < len(words):
        words = words[lead.end() :]
    words = " ".join(words.split()[-MAX_LABEL_WORDS:]).strip(" :-")
    return words[:1].upper() + words[1:] if words and not _LEAD.fullmatch(words) else "Office"
