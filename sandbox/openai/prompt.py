"""Facts in a flow's prompt: what to ask callers for, and what to tell them.  Pure.

It matches phrases such as "Ask for the caller's name, number and reason", "take their name and what hurts" or "Collect:" before a list, and plain
statements such as "We are open from nine to five".  It understands nothing else.
"""

import re
from collections.abc import Iterable, Iterator

MAX_FACTS = 12
MAX_FACT_WORDS = 7
_REQUESTS = re.compile(
    r"\b(?:ask(?: (?:them|(?:the )?callers?|people))?(?: for)?|collect|gather|find out|write down|note down|"
    r"(?:get|takes?) (?=(?:the caller|their|his|her|a message)))\b(?P<list>[^.\n;]*)",
    re.IGNORECASE,
)
_BULLET = re.compile(r"\s*(?:[-*\u2022]|\d+[.)])\s+(?P<fact>.+)")
_DETERMINERS = re.compile(
    r"^(?:for|the|their|his|her|a|an|your|(?:the )?callers?['\u2019]?s?|one at a time|first|then|also)\s+",
    re.IGNORECASE,
)
#: Pattern of a fact in a prompt -> the question for it.
_QUESTIONS = (
    (r"\bname\b", "May I have your name?"),
    (r"birth", "What is your date of birth?"),
    (r"e-?mail", "What is your e-mail address?"),
    (r"\b(numbers?|phone|call ?back)\b", "What number can we reach you at?"),
    (r"\bmessage\b", "What may I write down?"),
    (r"\b(reason|purpose|about|concern|problem|issue|calling|need)\b", "What is it about?"),
    (r"\b(time|day|date|when)\b", "What day and time would suit you?"),
    (r"\baddress\b", "What is the address?"),
)
_REASON = "What is it about?"
#: Facts that are questions as they stand: "what hurts".
_OWN_QUESTION = re.compile(r"(?:what|which) ", re.IGNORECASE)
#: Sentences that instruct the agent instead of describing the business.
_INSTRUCTIONS = re.compile(
    r"(?:you|be|ask|collect|gather|find|write|note|get|take|speak|say|do|don['\u2019]t|never|always|when|if|once|offer|book|answer|greet|"
    r"use|keep|stay|try|make|transfer|call|it is|only|please|otherwise|end|thank|help|act|confirm|repeat)\b",
    re.IGNORECASE,
)
_QUESTION_MARKERS = re.compile(
    r"\?|\b(?:what|when|where|which|who|how|are you|do you|is there|can i|could i|may i|will you|tell me)\b",
    re.IGNORECASE,
)
#: A wish to know something, and not for something to be done.
_WISHES_TO_KNOW = re.compile(r"\b(?:what|when|where|which|who|how|are you|do you|is there|tell me)\b", re.IGNORECASE)
#: Sets of words that count as one, in the singular.
_SYNONYMS = (
    {"open", "opening", "hour", "close", "closed", "closing", "weekend", "today", "tomorrow"},
    {"where", "addres", "located", "location", "street", "find", "direction"},
    {"cost", "price", "fee", "charge", "much", "dollar", "euro"},
    {"park", "parking"},
    {"insurance", "insured"},
)
_STOP_WORDS = frozenset(
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
    """Return the facts that the prompt wants from a caller, in its words and order."""
    candidates = (_strip_determiners(fact) for fact in _requested_facts(prompt))
    short = (fact for fact in candidates if fact and len(fact.split()) <= MAX_FACT_WORDS)
    return list(dict.fromkeys(short))[:MAX_FACTS]


def _requested_facts(prompt: str) -> Iterator[str]:
    lines = prompt.splitlines()
    for number, line in enumerate(lines):
        for match in _REQUESTS.finditer(line):
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


def _strip_determiners(fact: str) -> str:
    fact = fact.strip(" :,.\u201c\u201d\"'")
    fact = re.sub(r"\s+(?:they have|they want|it is|is)$", "", fact)
    while (shorter := _DETERMINERS.sub("", fact)) != fact:
        fact = shorter
    return fact


def question(fact: str) -> str:
    """Return the question for a fact."""
    own = f"{fact[:1].upper()}{fact[1:]}?" if _OWN_QUESTION.match(fact) else f"Could you tell me the {fact}?"
    return known_question(fact) or own


def known_question(fact: str) -> str | None:
    """Return the question for a fact that every business asks for, else None."""
    return next((text for topic, text in _QUESTIONS if re.search(topic, fact, re.IGNORECASE)), None)


def is_reason(text: str) -> bool:
    """Return whether this question asks for the reason of the call, which callers give unasked."""
    return text == _REASON


def is_question(text: str) -> bool:
    return _QUESTION_MARKERS.search(text) is not None


def asks_to_know(text: str) -> bool:
    return _WISHES_TO_KNOW.search(text) is not None


def matching_statement(prompt: str, caller_text: str) -> str | None:
    """Return the prompt's statement that best answers the caller's question; None without a question or a match."""
    if not is_question(caller_text):
        return None
    return best_statement(_statements(prompt), caller_text)


def covers(statement: str, caller_text: str) -> bool:
    """Return whether a statement has all significant words of a question."""
    return _keywords(caller_text) <= _keywords(statement)


def best_statement(statements: Iterable[str], caller_text: str) -> str | None:
    """Return the statement with the most of the caller's words; None if none has any."""
    keywords = _keywords(caller_text)
    scored = [(len(keywords & _keywords(statement)), statement) for statement in statements]
    score, best = max(scored, key=lambda each: each[0], default=(0, ""))
    return best if score else None


def caller(prompt: str) -> str | None:
    """Return the caller's name, if the prompt has it."""
    _, _, context = prompt.partition("# Caller Context")
    match = re.search(r"^- name: (.+)$", context, re.MULTILINE)
    return match[1] if match else None


def _statements(prompt: str) -> Iterator[str]:
    own, _, _ = prompt.partition("# Caller Context")
    listed = set(_requested_facts(own))
    for sentence in re.split(r"(?<=[.!?])\s+|\n+", own):
        plain = sentence.strip(" -*\u2022\t")
        if (
            plain.rstrip(".;,") not in listed
            and len(plain.split()) >= 3
            and _INSTRUCTIONS.match(plain) is None
            and not plain.endswith(("?", ":"))
        ):
            yield plain if plain.endswith((".", "!")) else f"{plain}."


def _keywords(text: str) -> set[str]:
    words = {_singular(word) for word in set(re.findall(r"[a-z]{3,}", text.lower())) - _STOP_WORDS}
    for number, synonyms in enumerate(_SYNONYMS):
        if words & synonyms:
            words = (words - synonyms) | {f"#{number}"}
    return words


def _singular(word: str) -> str:
    """Return a word without the ending of its plural; the same for all that is compared."""
    return word.removesuffix("s")
