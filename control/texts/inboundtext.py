"""One inbound text, in the contract's order: the thread, the message once, keywords, the event, the AI's turn.

One transaction does all of it, so a repeated webhook changes nothing, wherever the first one failed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import asyncpg
from prometheus_client import Counter

from control import jobs
from control.contacts.carrierlookups import LOOK_UP_SENDER, is_lookup_due
from control.mms.mediatypes import FETCH
from control.optouts import usecases as optouts
from control.optouts.usecases import Evidence
from control.texts import keywords, outbox, replies, revocation, segments, turns, writing
from control.texts.keywords import Keyword
from control.texts.writing import TextDraft
from control.usage import otherentries as usage
from hum import ids
from hum.contract.errors import InvalidState, NotFound
from hum.contract.validation import bad_e164
from hum.observe.logs import log
from storage import contacts, conversations, messages, textroutes
from storage.conversations import ConversationState
from storage.db import Tx, savepoint
from storage.textroutes import TextRouteRow

LOG = log(__name__)
#: The sender of a text without a sender's number.
ANONYMOUS = "anonymous"
RECEIVED = Counter("hum_texts_received_total", "Inbound texts, by outcome", ["how"])


@dataclass(frozen=True, slots=True)
class InboundTextLimits:
    """The lifetime of a contact's lookup, the lookups per day, and the keyword replies per conversation within a time."""

    lookup: timedelta
    lookups: int
    replies: int
    replies_within: timedelta


@dataclass(frozen=True, slots=True)
class Received:
    """A text as the carrier reports it."""

    sid: str
    account: str
    sender: str
    to_e164: str
    body: str
    media: Sequence[tuple[str, str]]
    #: `STOP`, `START` or `HELP`, if the carrier reads the text as one.
    carrier_type: str
    is_group: bool
    #: When it arrived, if the gateway had to keep it first.
    at: datetime | None
    #: When it arrived at the gateway, also if it was delivered at once.
    arrived_at: datetime | None = None


async def receive(tx: Tx, text: Received, limits: InboundTextLimits, now: datetime) -> bool:
    """Store a text as the system; return False if it is stored already.  Raises NotFound if no organization has the number."""
    route = await textroutes.route(tx, text.to_e164, text.sender, text.account, text.sid)
    if route is None:
        RECEIVED.labels("nobodys").inc()
        raise NotFound("No organization has this number.")
    if route.known:
        return False
    at, is_person = text.at or now, bad_e164(text.sender) is None
    contact = await _meet(tx, route, text.sender) if is_person else None
    thread, is_new = await conversations.find_or_create(
        tx, ids.new(), route.org_id, route.number_id, text.to_e164, text.sender, contact
    )
    message = ids.new(at)
    is_first = is_new or (thread.last_message_at is None and await messages.is_first(tx, thread.id))
    if not await messages.receive(
        tx,
        message,
        thread.org_id,
        thread.id,
        thread.number_e164,
        thread.contact_e164,
        text.body,
        segments.count(text.body),
        text.sid,
        text.media,
        text.at,
    ):
        return False  # a concurrent duplicate was first
    await usage.record_received_texts(tx, {message: segments.count(text.body)}, text.to_e164, at)
    if is_new and route.blocked:
        await conversations.close(tx, thread.id)
    await conversations.touch(tx, thread.id, at, text.body, "inbound", opens=not route.blocked)
    if route.untextable:
        await contacts.mark_textable(tx, [(route.org_id, text.sender)])
    if text.media:
        await jobs.enqueue(tx, FETCH, thread.org_id, message)
    word = keywords.recognize(text.body, text.carrier_type) if is_person else None
    keyword = word.value if word else revocation.revokes(text.body) if is_person else None
    evidence = Evidence(keyword, message, thread.id, text.at or text.arrived_at)
    reopened = thread.status == "closed" and not route.blocked
    # The keyword or revocation appends events of its own, which come after the thread's beginning.
    if keyword is not None:
        await outbox.begun(tx, thread, is_first=is_first, reopened=reopened)
        is_first = reopened = False
    silent = route.opted_out if keyword is None else await _keyword(tx, route, thread, word, evidence, limits, now)
    await outbox.received(tx, thread, message, text.body, len(text.media), at, is_first=is_first, reopened=reopened)
    if is_person and not (silent or text.is_group or route.blocked) and may_answer(route, thread):
        await turns.schedule(tx, thread, now)
    if contact and not route.blocked and may_look_up(route, limits, now):
        await jobs.enqueue(tx, LOOK_UP_SENDER, route.org_id, contact)
    RECEIVED.labels("blocked" if route.blocked else word.value.lower() if word else "stored").inc()
    return True


async def _meet(tx: Tx, route: TextRouteRow, sender: str) -> UUID:
    """Return the sender's contact, created if there is none."""
    if route.contact_id is not None:
        return route.contact_id
    return (await contacts.find_or_create(tx, ids.new(), route.org_id, sender, None)).id


def may_answer(route: TextRouteRow, thread: ConversationState) -> bool:
    """Return whether the thread's or the number's flow may have an AI answer."""
    return route.answers and (route.has_flow or thread.flow_id is not None)


def may_look_up(route: TextRouteRow, limits: InboundTextLimits, now: datetime) -> bool:
    """Return whether a carrier lookup of the sender is due."""
    return route.lookups < limits.lookups and is_lookup_due(route.looked_up_at, now, limits.lookup)


async def _keyword(
    tx: Tx,
    route: TextRouteRow,
    thread: ConversationState,
    word: Keyword | None,
    evidence: Evidence,
    limits: InboundTextLimits,
    now: datetime,
) -> bool:
    """Apply a keyword, or a revocation in the contact's own words; return whether the AI stays silent."""
    org, contact_e164 = thread.org_id, thread.contact_e164
    # The carrier knows keywords only: it neither blocks nor confirms after a sentence.
    by_carrier = word is not None and route.keyword_replies == "carrier"
    match word:
        case Keyword.STOP | None:
            changed = await optouts.opt_out(tx, org, contact_e164, "keyword", evidence, carrier_blocks=by_carrier)
        case Keyword.START:
            changed = await optouts.opt_in(tx, org, contact_e164, "keyword", evidence, carrier_lifts=True)
        case Keyword.HELP:
            changed = True
    if changed and not by_carrier and route.answers and not route.blocked:
        reply = replies.reply(word or Keyword.STOP, route.organization, route.keyword_texts_json)
        await _reply(tx, thread, reply, limits, now)
    return changed or word is not Keyword.START or route.opted_out


async def _reply(tx: Tx, thread: ConversationState, body: str, limits: InboundTextLimits, now: datetime) -> None:
    """Answer a keyword, unless the conversation has had its limit of keyword replies."""
    if await textroutes.replies_since(tx, thread.id, now - limits.replies_within) >= limits.replies:
        return
    try:
        async with savepoint(tx):
            await writing.write(tx, thread, TextDraft(body, "system", honors_hours=False), now)
    except InvalidState as error:  # its number can't send
        LOG.warning("could not answer a keyword", why=str(error))
    except asyncpg.DataError:
        # An opt-out, and the text itself, don't depend on the reply to them.
        LOG.exception("could not write the reply to a keyword: check the organization's texts for keywords")
