"""What the stand-in reads out of a flow's prompt: what to ask callers for, and what to tell them.  Pure.

It looks for phrases such as "Ask for the caller's name, number and reason" or "Collect:" before a list, and for plain
statements such as "We are open from nine to five".  It understands nothing else.
"""

import re
from collections.abc import Iterator

MOST_FACTS = 12
MOST_FACT_WORDS = 7
_ASKS = re.compile(
    r"\b(?:ask(?: (?:them|(?:the )?callers?|people))?(?: for)?|collect|gather|find out|write down|note down|"
    r"get (?=(?:the caller|their|his|her)))\b(?P<list>[^.\n;]*)",
    re.IGNORECASE,
)
_BULLET = re.compile(r"\s*(?:[-*\u2022]|\d+[.)])\s+(?P<fact>.+)")
_DETERMINERS = re.compile(
    r"^(?:for|the|their|his|her|a|an|your|(?:the )?callers?['\u2019]?s?|what|which|one at a time|first|then|also)\s+",
    re.IGNORECASE,
)
#: What a prompt may call a fact -> how a receptionist asks for it.
_QUESTIONS = (
    (r"\bname\b", "May I have your name?"),
    (r"birth", "What is your date of birth?"),
    (r"e-?mail", "What is your e-mail address?"),
    (r"\b(numbers?|phone|call ?back)\b", "What number can we reach you at?"),
    (r"\b(reason|purpose|about|concern|problem|issue|calling|need)\b", "What is it about?"),
    (r"\b(time|day|date|when)\b", "What day and time would suit you?"),
    (r"\baddress\b", "What is the address?"),
)
_REASON = "What is it about?"
#: Sentences with which a prompt speaks to the agent, not of the business.
_ORDERS = re.compile(
    r"(?:you|be|ask|collect|gather|find|write|note|get|take|speak|say|do|don['\u2019]t|never|always|when|if|once|offer|book|answer|greet|"
    r"use|keep|stay|try|make|transfer|call|it is|only|please|otherwise|end|thank|help|act|confirm|repeat)\b",
    re.IGNORECASE,
)
_ASKED = re.compile(
    r"\?|\b(?:what|when|where|which|who|how|are you|do you|is there|can i|could i|may i|will you|tell me)\b",
    re.IGNORECASE,
)
#: Words that ask for the same.
_ALIKE = (
    {"open", "opening", "hours", "close", "closed", "closing", "weekend", "today", "tomorrow"},
    {"where", "address", "located", "location", "street", "find", "directions"},
    {"cost", "costs", "price", "prices", "fee", "fees", "charge", "much", "dollars", "euros"},
    {"park", "parking"},
    {"insurance", "insurances", "insured"},
)
_IDLE = frozenset(
    [
        "the",
        "and",
        "you",
        "are",
        "for",
        "with",
        "what",
        "when",
        "where",
        "which",
        "who",
        "how",
        "can",
        "could",
        "may",
        "will",
        "your",
        "our",
        "have",
        "has",
        "there",
        "this",
        "that",
        "from",
        "about",
        "not",
        "but",
        "all",
        "any",
        "please",
        "tell",
        "know",
        "like",
        "would",
        "want",
        "does",
        "was",
        "were",
        "been",
        "they",
        "them",
    ]
)


def facts(prompt: str) -> list[str]:
    """What the prompt wants to know of a caller, in its words and order."""
    found = (_bare(each) for each in _named(prompt))
    short = (each for each in found if each and len(each.split()) <= MOST_FACT_WORDS)
    return list(dict.fromkeys(short))[:MOST_FACTS]


def _named(prompt: str) -> Iterator[str]:
    lines = prompt.splitlines()
    for number, line in enumerate(lines):
        for match in _ASKS.finditer(line):
            if match["list"].rstrip().endswith(":") or not match["list"].strip():
                yield from _bullets(lines[number + 1 :])
            else:
                yield from re.split(r",\s*(?:and\s+)?|\s+and\s+", match["list"])


def _bullets(lines: list[str]) -> Iterator[str]:
    for line in lines:
        match = _BULLET.fullmatch(line)
        if match is None:
            return
        yield match["fact"].rstrip(".;,")


def _bare(fact: str) -> str:
    fact = fact.strip(" :,.\u201c\u201d\"'")
    fact = re.sub(r"\s+(?:they have|they want|it is|is)$", "", fact)
    while (shorter := _DETERMINERS.sub("", fact)) != fact:
        fact = shorter
    return fact


def question(fact: str) -> str:
    """How to ask for a fact."""
    for topic, known in _QUESTIONS:
        if re.search(topic, fact, re.IGNORECASE):
            return known
    return f"Could you tell me the {fact}?"


def is_reason(text: str) -> bool:
    """Whether this question asks why somebody calls, which callers say by themselves."""
    return text == _REASON


def is_question(text: str) -> bool:
    return _ASKED.search(text) is not None


def told(prompt: str, caller_text: str) -> str | None:
    """The statement of the prompt that answers the caller's question best; None if it is no question, or none does."""
    if not is_question(caller_text):
        return None
    wanted = _telling(caller_text)
    statements = [(len(wanted & _telling(each)), each) for each in _statements(prompt)]
    score, best = max(statements, key=lambda each: each[0], default=(0, ""))
    return best if score else None


def caller(prompt: str) -> str | None:
    """Who calls, as the prompt knows it."""
    _, _, context = prompt.partition("# Caller Context")
    match = re.search(r"^- name: (.+)$", context, re.MULTILINE)
    return match[1] if match else None


def _statements(prompt: str) -> Iterator[str]:
    own, _, _ = prompt.partition("# Caller Context")
    listed = set(_named(own))
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", own):
        plain = sentence.strip(" -*\u2022\t")
        if (
            plain.rstrip(".;,") not in listed
            and len(plain.split()) >= 3
            and _ORDERS.match(plain) is None
            and not plain.endswith(("?", ":"))
        ):
            yield plain if plain.endswith((".", "!")) else f"{plain}."


def _telling(text: str) -> set[str]:
    words = set(re.findall(r"[a-z]{3,}", text.lower())) - _IDLE
    for number, alike in enumerate(_ALIKE):
        if words & alike:
            words = (words - alike) | {f"#{number}"}
    return words
