"""What the carrier says of many texts, in one transaction: the good news, which most of it is.

The rules are those of `statuses`.  Whatever needs more than its words to be decided, an error, a price, an attempt after which there were
others, a text that was taken back, is left to that, one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from control.delivery import outbox, rules
from control.delivery.rules import Standing
from control.texts import statuses
from control.texts.statuses import News
from control.texts.together import Together
from control.usage import other as usage
from hum.clock import now
from hum.v1.events_pb2 import UsageRecordedEvent
from storage import contacts, events, text_attempts
from storage.db import Db, Tx
from storage.events import New
from storage.text_attempts import AttemptRow

#: Words that one transaction records; the rows of their texts are locked for as long.
MOST = 64


@dataclass(frozen=True, slots=True)
class Saying:
    """What the carrier says of an attempt.  `to_e164`: to whom the text went, if it says so."""

    attempt: UUID
    news: News
    to_e164: str | None = None


class Recorder:
    """Records what the carrier says, with whatever else it says meanwhile."""

    def __init__(self, db: Db) -> None:
        self._db = db
        self._together = Together(self._several, self._one, MOST)

    async def record(self, saying: Saying) -> None:
        """Return once it is committed.  Raises NotFound for an attempt that there is not, or that other facts don't fit."""
        await self._together.do(saying)

    async def _several(self, sayings: Sequence[Saying]) -> frozenset[int]:
        async with self._db.system() as tx:
            return await take_all(tx, sayings)

    async def _one(self, saying: Saying) -> None:
        async with self._db.system() as tx:
            await statuses.report(tx, saying.attempt, saying.news, saying.to_e164)


@dataclass(slots=True)
class _Taken:
    """An attempt, and what is said of it now."""

    attempt: AttemptRow
    known: list[tuple[str, str | None]]
    standing: Standing | None = None
    places: list[int] = field(default_factory=list)
    segments: int = 0


async def take_all(tx: Tx, sayings: Sequence[Saying]) -> frozenset[int]:
    """Record these; return the places of those that are left to `statuses`, of which nothing is recorded."""
    ids = list(dict.fromkeys(each.attempt for each in sayings))
    attempts = await text_attempts.lock_all(tx, ids)
    words = await text_attempts.words_of(tx, list(attempts))
    superseded = await text_attempts.superseded(tx, list(attempts))
    taken = {
        id: _Taken(row, [(row.carrier_status or "", row.error_code), *words[id]])
        for id, row in attempts.items()
        if id not in superseded and row.status != "canceled"
    }
    for place, saying in enumerate(sayings):
        if (each := taken.get(saying.attempt)) is not None:
            each.places.append(place)
    good = [each for each in taken.values() if _is_good(each, sayings)]
    if not good:
        return frozenset(range(len(sayings)))
    await text_attempts.say_all(tx, [_word(each.attempt, sayings[place]) for each in good for place in each.places])
    accepted = [(each, each.standing) for each in good if each.standing is not None]
    await text_attempts.accept_all(
        tx, [(each.attempt.id, _sid(each, sayings), standing.carrier_status) for each, standing in accepted]
    )
    await _count(tx, good)
    await _set_messages(tx, accepted, sayings)
    recorded = {place for each in good for place in each.places}
    return frozenset(place for place in range(len(sayings)) if place not in recorded)


def _is_good(each: _Taken, sayings: Sequence[Saying]) -> bool:
    """Whether an attempt stands well after what is said of it; then `standing` is how."""
    words = [sayings[place] for place in each.places]
    fits = all(
        each.attempt.carrier_sid in {None, saying.news.sid} and saying.to_e164 in {None, each.attempt.to_e164}
        for saying in words
    )
    is_one = len({saying.news.sid for saying in words}) == 1
    if not (fits and is_one) or any(saying.news.error_code or saying.news.price for saying in words):
        return False
    if len(each.known) + len(words) > rules.MOST_WORDS:
        return False
    each.standing = statuses.standing([*each.known, *((saying.news.status, None) for saying in words)])
    each.segments = next((saying.news.segments for saying in words if saying.news.segments), 0) or each.attempt.segments
    return each.standing is not None and each.standing.status in {"sent", "delivered"}


def _sid(each: _Taken, sayings: Sequence[Saying]) -> str:
    return sayings[each.places[0]].news.sid


def _word(attempt: AttemptRow, saying: Saying) -> tuple[AttemptRow, str, str | None, str]:
    return attempt, saying.news.status, saying.news.error_code, saying.news.by


async def _count(tx: Tx, good: Sequence[_Taken]) -> None:
    """The carrier has these texts, and charges for them."""
    texts = [(each.attempt, statuses.counted(each.attempt, each.segments)) for each in good]
    await usage.texts_sent(tx, [text for _, text in texts if text is not None], now())
    # Of the others, that they are sent will be read.
    late = [attempt for attempt, text in texts if text is not None and attempt.sent_at is not None]
    await events.append_all(tx, [New(each.org_id, each.message_id, UsageRecordedEvent()) for each in late])


async def _set_messages(tx: Tx, accepted: Sequence[tuple[_Taken, Standing]], sayings: Sequence[Saying]) -> None:
    """The messages stand as their attempts do; each change is told of once."""
    changed = [(each, standing) for each, standing in accepted if _changes(each, standing)]
    times = await text_attempts.set_messages(
        tx,
        [(each.attempt.message_id, standing.status, _sid(each, sayings), each.segments) for each, standing in changed],
    )
    news = list[New]()
    for each, standing in changed:
        attempt = each.attempt
        sent_at, delivered_at = times[attempt.message_id]
        if attempt.sent_at is None and sent_at is not None:
            news.append(outbox.sent_event(attempt, each.segments, sent_at))
        if standing.status == "delivered" and attempt.status != "delivered" and delivered_at is not None:
            news.append(outbox.delivered_event(attempt, delivered_at))
    await events.append_all(tx, news)
    arrived = [each.attempt for each, standing in changed if standing.status == "delivered"]
    await contacts.textable(tx, [(attempt.org_id, attempt.to_e164) for attempt in arrived])


def _changes(each: _Taken, standing: Standing) -> bool:
    attempt = each.attempt
    is_known = attempt.carrier_sid is not None and attempt.sent_at is not None and attempt.due_at is None
    return not (
        is_known
        and (attempt.status, attempt.message_error_code, attempt.segments) == (standing.status, None, each.segments)
    )
