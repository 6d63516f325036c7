"""What the receptionist says of a tool's result.  Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.openai import prompt, schema

MAX_CHARS = 240
MAX_FACTS = 4
#: The members of a result that are sentences, in order of preference.
_TEXTS = ("message", "summary", "answer", "result", "text", "note")


def found_nothing(output: str) -> bool:
    """Return whether this is the result of a search of documents that found no passage."""
    try:
        found = json.loads(output)
    except ValueError:
        return False
    return isinstance(found, Mapping) and found.get("passages") == []


def sentence(output: str, caller_text: str) -> str:
    """Return the result as a sentence; `output` is the tool's JSON, or any text."""
    try:
        found = json.loads(output)
    except ValueError:
        found = output
    return _shortened(_sentence(found, caller_text))


def _sentence(found: Any, caller_text: str) -> str:
    if isinstance(found, Mapping):
        if isinstance(found.get("error"), str):
            return f"I am sorry. {found['error']}"
        if isinstance(found.get("passages"), list):
            return _passage(found["passages"], caller_text)
        if found.get("assigned") is True:
            return "Somebody of the team will answer you here."
        if text := next(
            (found[name] for name in _TEXTS if isinstance(found.get(name), str) and found[name].strip()), None
        ):
            return _ended(text)
        facts = [f"{_spoken(name)} {str(value).strip()}" for name, value in found.items() if _is_plain(value)]
        return f"That is done. {_ended(_capital('; '.join(facts[:MAX_FACTS])))}" if facts else "That is done."
    if isinstance(found, list) and found:
        return f"I found {len(found)}. The first: {_sentence(found[0], caller_text).removeprefix('That is done. ')}"
    if isinstance(found, str) and found.strip():
        return _ended(found)
    return "That is done."


def _passage(passages: list[Any], caller_text: str) -> str:
    """Return the sentences of the best passage that answer the caller."""
    texts = [str(each.get("text", "")) for each in passages if isinstance(each, Mapping)]
    for text in texts:
        if (statement := prompt.best_statement(schema.sentences(text), caller_text)) is not None:
            return _ended(statement)
    return (
        _ended(schema.sentences(texts[0])[0]) if texts and schema.sentences(texts[0]) else "I found nothing about that."
    )


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and len(str(value)) <= MAX_CHARS


def _spoken(name: Any) -> str:
    return re.sub(r"[_-]+", " ", str(name)).strip()


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ended(text: str) -> str:
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _shortened(text: str) -> str:
    """Return whole sentences within the limit, else whole words."""
    if len(text) <= MAX_CHARS:
        return text
    kept = text[:MAX_CHARS]
    at = max(kept.rfind(". "), kept.rfind("! "), kept.rfind("? "))
    return kept[: at + 1] if at > 0 else f"{kept.rsplit(' ', 1)[0]}."
