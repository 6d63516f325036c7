"""The name of a business, as its people begin to describe it.  Pure."""

import re

_WORD = r"(?:Dra?\.|Mrs?\.|St\.|[A-Z0-9][\w'\u2019-]*)"
#: Words with capitals, joined by `&` or small words.
NAME = rf"{_WORD}(?: (?:(?:of|and|the|at|for) )*(?:&|{_WORD}))*"
_VERB = r"(?:is|are|has|have|offers?)"
#: Who speaks, before the name; the surest first.
_OPENINGS = tuple(
    re.compile(rf"\b(?:{words}) (?:the )?(?P<name>{NAME})")
    for words in (
        r"(?i:(?:is|are|we're|we\u2019re) (?:called|named)|called|named)",
        r"(?i:(?:practice|clinic|company|business|office|firm|shop|salon|store|studio)(?:'s|\u2019s)?(?: name)? is|the name is|name of the (?:practice|clinic|company|business) is)",
        r"(?i:i (?:run|own|manage|lead)|we (?:run|own|manage))",
        r"(?i:(?:i work|we work|i answer|answers?|receptionist) (?:for|at)|calling from|welcome to|thank you for calling)",
        r"(?i:(?:this|it) is|i am|i'm|i\u2019m) [A-Z]\w+,? (?:from|with|at|of)",
        r"(?i:we are|we're|we\u2019re|this is|somos|soy de)",
    )
)
#: A name with what it is; and one of several words at the beginning.
_STATED = re.compile(rf"\b(?P<name>{NAME})(?= {_VERB} |,)")
_START = re.compile(rf"(?P<name>{NAME})")
#: What begins a sentence with a capital and no name.
_NO_NAME = re.compile(
    r"(?:we|i|it|you|they)(?:['\u2019]\w+)?|our|my|this|there|here|the|an?|hello|hi|hey|welcome|please|open|closed|\w+day|english|spanish"
    r"|transfer|callers|patients|customers",
    re.IGNORECASE,
)


def read(description: str) -> str:
    """Return the name, or an empty text where none is sure."""
    for pattern in _OPENINGS:
        for match in pattern.finditer(description):
            if name := _name(match["name"]):
                return name
    start = _START.match(description)
    if start is not None and " " in start["name"] and (name := _name(start["name"])):
        return name
    return next(filter(None, (_name(match["name"]) for match in _STATED.finditer(description))), "")


def _name(words: str) -> str:
    return "" if _NO_NAME.fullmatch(words.split(maxsplit=1)[0]) else words
