"""The standing of a contact's words on texts: the latest by its own time wins, whatever order they come in.  Pure.

A word is an opt-out or an opt-in: a keyword, a sentence, a person's change, a refusal by the carrier.  It may be delivered late: a
gateway has kept STOP of 10:01 while control was unavailable, and another has delivered START of 10:02 at once.  STOP comes second
and changes nothing.  Of two words of the same time the opt-out stands: it can be undone, an unwanted text can't.

The carrier's block is a standing of its own, because only words that the carrier hears set it or end it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ConsentWord:
    """One opt-out or opt-in, and its evidence."""

    at: datetime
    is_out: bool
    source: str
    keyword: str | None = None
    message_id: UUID | None = None
    #: Whether the carrier blocks texts from then on; None: the carrier says nothing by this word.
    carrier_blocks: bool | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What follows from the words so far.  Without any, the contact is not opted out.

    `first` and `last` are the first and the last word since the latest one that said the opposite, at `opposed_at`.
    """

    is_out: bool = False
    first: ConsentWord | None = None
    last: ConsentWord | None = None
    opposed_at: datetime | None = None
    was_ever_out: bool = False
    carrier_blocks: bool = False
    carrier_at: datetime | None = None


NOTHING = Standing()


def hear(standing: Standing, word: ConsentWord) -> Standing:
    """Return the standing after a word more; the order of words makes no difference to who is out, and who is blocked."""
    new = replace(_consent(standing, word), was_ever_out=standing.was_ever_out or word.is_out)
    blocks = word.carrier_blocks
    if blocks is None or not _is_later(word.at, blocks, standing.carrier_at, standing.carrier_blocks):
        return new
    return replace(new, carrier_blocks=blocks, carrier_at=word.at)


def _consent(standing: Standing, word: ConsentWord) -> Standing:
    first, last, opposed_at = standing.first, standing.last, standing.opposed_at
    if first is None or last is None:
        return replace(standing, is_out=word.is_out, first=word, last=word)
    if word.is_out == standing.is_out:
        if not _is_later(word.at, word.is_out, opposed_at, not word.is_out):
            return standing
        return replace(standing, first=word if word.at < first.at else first, last=word if word.at > last.at else last)
    if _is_later(word.at, word.is_out, last.at, standing.is_out):
        return replace(standing, is_out=word.is_out, first=word, last=word, opposed_at=last.at)
    # An earlier word of the other kind: what stands begins after it.
    opposed_at = word.at if opposed_at is None else max(opposed_at, word.at)
    return replace(
        standing,
        opposed_at=opposed_at,
        first=first if _is_later(first.at, standing.is_out, opposed_at, word.is_out) else last,
    )


def _is_later(at: datetime, is_out: bool, than: datetime | None, than_is_out: bool) -> bool:
    """Return whether a word comes after another one in the order of times; at the same time an opt-out comes last."""
    return than is None or (at, is_out) > (than, than_is_out)
