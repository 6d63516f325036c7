"""Our replies to keywords, where the carrier sends none.  Pure."""

import json

from control.texts import keywords
from control.texts.keywords import Keyword

#: The limit of the organization's name, which keeps a reply within two segments.
NAME_CHARS = 60


def reply(keyword: Keyword, organization: str, texts_json: str | None = None) -> str:
    """Return the reply to a keyword: the organization's own text, or ours with its name."""
    own = json.loads(texts_json or "{}").get(keyword.value.lower(), "").strip()
    # A reply that is itself a keyword could start an endless exchange with another auto-responder.
    return own if own and keywords.recognize(own) is None else _ours(keyword, organization.strip()[:NAME_CHARS])


def _ours(keyword: Keyword, name: str) -> str:
    match keyword:
        case Keyword.STOP:
            return f"{name}: you are unsubscribed and will get no more texts from us. Reply START to get them again."
        case Keyword.START:
            return f"{name}: you will get texts from us again. Reply HELP for help, STOP to end them."
        case Keyword.HELP:
            return f"{name}: reply here and we will get back to you. Message and data rates may apply. Reply STOP to end texts."
