"""Inbound texts received in batches: one transaction for the plain texts that arrive together.

Each text has the effects described in `inboundtext`.  A text that needs more than its row (a keyword, a file, a blocked contact, a
second text of the same contact) is left to `inboundtext`, one by one, after the batch.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from weakref import WeakValueDictionary

from control import jobs
from control.contacts.carrierlookups import LOOK_UP_SENDER
from control.texts import inboundtext, keywords, outbox, revocation, segments, turns
from control.texts.batcher import Batcher
from control.texts.inboundtext import RECEIVED, InboundTextLimits, Received
from control.usage import otherentries as usage
from hum import ids
from hum.clock import now
from hum.contract.validation import bad_e164
from storage import contacts, conversations, events, messages, textroutes
from storage.conversations import ConversationState
from storage.db import Db, Tx
from storage.textroutes import TextRouteRow

#: Texts per transaction, which locks the rows of their conversations.
MOST = 32


class Arrivals:
    """The receiver of inbound texts, batched per number: a locked conversation delays no other number's texts."""

    def __init__(self, db: Db, limits: InboundTextLimits) -> None:
        self._db, self._limits = db, limits
        #: By number; the callers waiting in `receive` keep a batcher alive.
        self._batchers = WeakValueDictionary[str, Batcher[Received]]()

    async def receive(self, text: Received) -> None:
        """Return once the text is committed.  Raises NotFound if no organization has the number."""
        batcher = self._batchers.get(text.to_e164)
        if batcher is None:
            batcher = self._batchers[text.to_e164] = Batcher(self._several, self._one, MOST)
        await batcher.process(text)

    async def _several(self, texts: Sequence[Received]) -> frozenset[int]:
        if len(texts) == 1:
            return frozenset({0})
        async with self._db.system() as tx:
            return await receive_plain(tx, texts, self._limits, now())

    async def _one(self, text: Received) -> None:
        async with self._db.system() as tx:
            await inboundtext.receive(tx, text, self._limits, now())


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A text, the route of its number, and the message that it becomes."""

    text: Received
    route: TextRouteRow
    message: UUID
    segments: int


async def receive_plain(tx: Tx, texts: Sequence[Received], limits: InboundTextLimits, at: datetime) -> frozenset[int]:
    """Store the plain texts as the system; return the indexes of the others, of which nothing is stored."""
    plain = _plain(texts)
    if not plain:
        return frozenset(range(len(texts)))
    routes = await textroutes.routes(
        tx, [(text.to_e164, text.sender, text.account, text.sid) for text in plain.values()]
    )
    done = list[int]()
    groups = defaultdict[tuple[UUID, UUID], list[_Arrival]](list)
    for n, (index, text) in enumerate(plain.items()):
        route = routes.get(n)
        if route is None or route.blocked:
            continue
        done.append(index)
        if not route.known:
            arrival = _Arrival(text, route, ids.new(at), segments.count(text.body))
            groups[route.org_id, route.number_id].append(arrival)
    for key in sorted(groups):
        await _receive_group(tx, groups[key], limits, at)
    return frozenset(range(len(texts))) - frozenset(done)


def _plain(texts: Sequence[Received]) -> dict[int, Received]:
    """Return the plain texts by index: at most one per contact and number, the first."""
    plain, seen = dict[int, Received](), set[tuple[str, str]]()
    for index, text in enumerate(texts):
        pair = text.to_e164, text.sender
        if pair not in seen and _is_plain(text):
            plain[index] = text
        seen.add(pair)
    return plain


def _is_plain(text: Received) -> bool:
    return (
        not text.media
        and not text.is_group
        and text.at is None
        and bad_e164(text.sender) is None
        and keywords.recognize(text.body, text.carrier_type) is None
        and revocation.revokes(text.body) is None
    )


async def _receive_group(tx: Tx, group: Sequence[_Arrival], limits: InboundTextLimits, at: datetime) -> None:
    """Store texts to one number, each from a different contact."""
    route, to_e164 = group[0].route, group[0].text.to_e164
    contact_ids = {arrival.text.sender: arrival.route.contact_id for arrival in group}
    new_contacts = await contacts.find_or_create_all(
        tx, route.org_id, [sender for sender, id in contact_ids.items() if id is None]
    )
    contact_of = {sender: id or new_contacts[sender] for sender, id in contact_ids.items()}
    threads = await conversations.find_or_create_all(tx, route.org_id, route.number_id, to_e164, contact_of)
    empty = [thread.id for thread in threads.values() if thread.last_message_at is None]
    first = await messages.first_of(tx, empty) if empty else set()
    written = await messages.receive_all(tx, route.org_id, to_e164, [_row(arrival, threads) for arrival in group])
    # The others are duplicates of messages that are stored already.
    stored = [arrival for arrival in group if arrival.message in written]
    if not stored:
        return
    await usage.record_received_texts(tx, {arrival.message: arrival.segments for arrival in stored}, to_e164, at)
    bodies = {threads[arrival.text.sender].id: arrival.text.body for arrival in stored}
    await conversations.touch_all(tx, bodies, at, "inbound", opens=True)
    await contacts.mark_textable(
        tx, [(route.org_id, arrival.text.sender) for arrival in stored if arrival.route.untextable]
    )
    await events.append_all(tx, [event for arrival in stored for event in _events(arrival, threads, first, at)])
    answered = [(arrival.route, threads[arrival.text.sender]) for arrival in stored if not arrival.route.opted_out]
    await turns.schedule_all(tx, [thread for route, thread in answered if inboundtext.may_answer(route, thread)], at)
    strangers = [
        contact_of[arrival.text.sender] for arrival in stored if inboundtext.may_look_up(arrival.route, limits, at)
    ]
    await jobs.enqueue_all(tx, LOOK_UP_SENDER, route.org_id, strangers)
    RECEIVED.labels("stored").inc(len(stored))


def _row(arrival: _Arrival, threads: Mapping[str, ConversationState]) -> tuple[UUID, UUID, str, str, int, str]:
    text = arrival.text
    return arrival.message, threads[text.sender].id, text.sender, text.body, arrival.segments, text.sid


def _events(
    arrival: _Arrival, threads: Mapping[str, ConversationState], first: set[UUID], at: datetime
) -> list[events.NewEvent]:
    thread = threads[arrival.text.sender]
    is_first, reopened = thread.id in first, thread.status == "closed"
    return outbox.received_events(
        thread, arrival.message, arrival.text.body, 0, at, is_first=is_first, reopened=reopened
    )
