"""Texts that come in at the same moment, in one transaction: the plain ones, which most are.

What each of them does is as in `receiving`.  Whatever needs more than its row to be decided, a keyword, a file, a contact who is
blocked, a second text of the same contact, is left to that, one by one, after these.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from weakref import WeakValueDictionary

from control import jobs
from control.contacts.rules import LOOK_UP_SENDER
from control.texts import keywords, outbox, receiving, revocation, segments, turns
from control.texts.receiving import RECEIVED, Limits, Received
from control.texts.together import Together
from control.usage import other as usage
from hum import ids
from hum.clock import now
from hum.validation import bad_e164
from storage import contacts, conversations, events, messages, received
from storage.conversations import ConversationState
from storage.db import Db, Tx
from storage.received import RouteRow

#: Texts that one transaction takes; the rows of their conversations are locked for as long.
MOST = 32


class Arrivals:
    """Takes what comes in, with whatever else comes to the same number meanwhile: a conversation that somebody has locked delays
    no other number's texts.
    """

    def __init__(self, db: Db, limits: Limits) -> None:
        self._db, self._limits = db, limits
        #: By the number; each is kept by those who wait for it.
        self._lanes = WeakValueDictionary[str, Together[Received]]()

    async def take(self, text: Received) -> None:
        """Return once it is committed.  Raises NotFound for a number that is nobody's."""
        lane = self._lanes.get(text.to_e164)
        if lane is None:
            lane = self._lanes[text.to_e164] = Together(self._several, self._one, MOST)
        await lane.do(text)

    async def _several(self, texts: Sequence[Received]) -> frozenset[int]:
        if len(texts) == 1:
            return frozenset({0})
        async with self._db.system() as tx:
            return await take_all(tx, texts, self._limits, now())

    async def _one(self, text: Received) -> None:
        async with self._db.system() as tx:
            await receiving.receive(tx, text, self._limits, now())


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A text, whose number it came to, and the message that it becomes."""

    text: Received
    route: RouteRow
    message: UUID
    segments: int


async def take_all(tx: Tx, texts: Sequence[Received], limits: Limits, at: datetime) -> frozenset[int]:
    """As the system: take those that are plain; return the places of the others, of which nothing is stored."""
    plain = _plain(texts)
    if not plain:
        return frozenset(range(len(texts)))
    routes = await received.routes(tx, [(each.to_e164, each.sender, each.account, each.sid) for each in plain.values()])
    taken = list[int]()
    groups = defaultdict[tuple[UUID, UUID], list[_Arrival]](list)
    for n, (place, text) in enumerate(plain.items()):
        route = routes.get(n)
        if route is None or route.blocked:
            continue
        taken.append(place)
        if not route.known:
            arrival = _Arrival(text, route, ids.new(at), segments.count(text.body))
            groups[route.org_id, route.number_id].append(arrival)
    for key in sorted(groups):
        await _take_group(tx, groups[key], limits, at)
    return frozenset(range(len(texts))) - frozenset(taken)


def _plain(texts: Sequence[Received]) -> dict[int, Received]:
    """By their places: of each contact and number the first, if nothing about it needs a closer look."""
    found, seen = dict[int, Received](), set[tuple[str, str]]()
    for place, text in enumerate(texts):
        pair = text.to_e164, text.sender
        if pair not in seen and _is_plain(text):
            found[place] = text
        seen.add(pair)
    return found


def _is_plain(text: Received) -> bool:
    return (
        not text.media
        and not text.is_group
        and text.at is None
        and bad_e164(text.sender) is None
        and keywords.read(text.body, text.carrier_type) is None
        and revocation.revokes(text.body) is None
    )


async def _take_group(tx: Tx, group: Sequence[_Arrival], limits: Limits, at: datetime) -> None:
    """Texts of one organization's number, each of another contact."""
    route, to_e164 = group[0].route, group[0].text.to_e164
    known = {each.text.sender: each.route.contact_id for each in group}
    met = await contacts.meet_these(tx, route.org_id, [sender for sender, id in known.items() if id is None])
    people = {sender: id or met[sender] for sender, id in known.items()}
    threads = await conversations.find_or_create_all(tx, route.org_id, route.number_id, to_e164, people)
    empty = [thread.id for thread in threads.values() if thread.last_message_at is None]
    first = await messages.first_of(tx, empty) if empty else set()
    written = await messages.receive_all(tx, route.org_id, to_e164, [_row(each, threads) for each in group])
    stored = [each for each in group if each.message in written]  # a twin of the others came first
    if not stored:
        return
    await usage.texts_received(tx, {each.message: each.segments for each in stored}, to_e164, at)
    bodies = {threads[each.text.sender].id: each.text.body for each in stored}
    await conversations.touch_all(tx, bodies, at, "inbound", opens=True)
    await contacts.textable(tx, [(route.org_id, each.text.sender) for each in stored if each.route.untextable])
    await events.append_all(tx, [event for each in stored for event in _events(each, threads, first, at)])
    answered = [(each.route, threads[each.text.sender]) for each in stored if not each.route.opted_out]
    await turns.owe_all(tx, [thread for route, thread in answered if receiving.may_answer(route, thread)], at)
    strangers = [people[each.text.sender] for each in stored if receiving.owes(each.route, limits, at)]
    await jobs.enqueue_all(tx, LOOK_UP_SENDER, route.org_id, strangers)
    RECEIVED.labels("stored").inc(len(stored))


def _row(each: _Arrival, threads: Mapping[str, ConversationState]) -> tuple[UUID, UUID, str, str, int, str]:
    text = each.text
    return each.message, threads[text.sender].id, text.sender, text.body, each.segments, text.sid


def _events(
    each: _Arrival, threads: Mapping[str, ConversationState], first: set[UUID], at: datetime
) -> list[events.New]:
    thread = threads[each.text.sender]
    is_first, reopened = thread.id in first, thread.status == "closed"
    return outbox.received_events(thread, each.message, each.text.body, 0, at, is_first=is_first, reopened=reopened)
