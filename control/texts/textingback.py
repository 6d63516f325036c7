"""Texts to callers who reached nobody: which calls owe one, and writing it, once."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from prometheus_client import Counter

from control import jobs
from control.base import texttemplates
from control.texts import inboxchecks, missedcalls, threads, writing
from control.texts.missedcalls import EndedCall
from control.texts.writing import TextDraft
from hum import ids
from hum.clock import now
from hum.contract.errors import BillingRequired, ConversationClosed, InvalidState, NotFound
from hum.contract.validation import bad_e164
from hum.ids import Kind
from hum.observe.logs import log
from storage import contacts, conversations, missed_calls
from storage.contacts import ContactRow
from storage.db import Db, Tx
from storage.events import Event
from storage.missed_calls import MissedCallRow

LOG = log(__name__)
READER = "missed_calls"
EVENTS = frozenset({"call.completed", "call.corrected"})
TEXTED = Counter("hum_missed_calls_total", "Missed calls of numbers that text back, by what came of it", ["what"])


async def enqueue(tx: Tx, batch: Sequence[Event]) -> None:
    """Enqueue a job for each call that its caller may have to be texted about.  Runs as the system."""
    # A corrected end names no direction; the job looks at the call's.
    ended = [
        event.subject_id
        for event in batch
        if event.data is not None
        and missedcalls.may_be_missed(event.data.get("direction", "inbound"), event.data["reason"])
    ]
    by_org: dict[UUID, list[UUID]] = {}
    for call, org in await missed_calls.answered_by_text(tx, ended) if ended else ():
        by_org.setdefault(org, []).append(call)
    # Sorted against deadlocks: each organization's jobs are counted under a lock.
    for org in sorted(by_org):
        await jobs.enqueue_all(tx, missedcalls.TEXT_BACK, org, by_org[org])


async def text_back(db: Db, countries: frozenset[str], org: UUID, call: UUID) -> bool:
    """Write the text of a number to a caller who reached nobody; return whether one was written.

    Idempotent: the text names its call.  `countries`: as in `phone.bad_callee`.
    """
    try:
        async with db.tenant(org) as tx:
            is_written = await _write(tx, countries, org, call, now())
    except (BillingRequired, ConversationClosed, InvalidState, NotFound) as error:
        LOG.info("could not text back a missed call", call=ids.show(Kind.CALL, call), error=str(error)[:200])
        TEXTED.labels("refused").inc()
        return False
    TEXTED.labels("texted" if is_written else "none").inc()
    return is_written


async def _write(tx: Tx, countries: frozenset[str], org: UUID, id: UUID, at: datetime) -> bool:
    """Write the text, unless the call was not missed, its caller can't be texted, or had one.  Raises what `writing.write` does."""
    call = await missed_calls.get(tx, id)
    if call is None or not missedcalls.is_missed(_ended(call), at):
        return False
    if bad_e164(call.from_e164) or inboxchecks.bad_contact(call.from_e164, call.number_e164, countries):
        return False
    found = await contacts.find_or_create(tx, ids.new(), org, call.from_e164, None)
    # Locked: calls of one person to two numbers are answered once.
    contact = await contacts.get(tx, found.id, lock=True)
    if contact.line_type == "landline" or contact.untextable_code is not None:
        return False
    if await missed_calls.was_texted(tx, id, call.from_e164, at - missedcalls.APART):
        return False
    thread, _ = await conversations.find_or_create(
        tx, ids.new(), org, call.number_id, call.number_e164, call.from_e164, contact.id
    )
    await threads.reopen(tx, thread, threads.AI)
    written = await writing.write(tx, thread, TextDraft(_body(call, contact), "ai"), at)
    await missed_calls.set_call(tx, written.id, id)
    return True


def _ended(call: MissedCallRow) -> EndedCall:
    return EndedCall(
        direction=call.direction,
        origin=call.origin,
        reason=call.reason,
        ended_at=call.ended_at,
        verification=call.caller_verification,
        was_heard=call.was_heard,
        left_message=call.left_message,
        was_taken=call.was_taken,
        has_process=call.has_process,
        untranscribed_ms=call.untranscribed_ms,
    )


def _body(call: MissedCallRow, contact: ContactRow) -> str:
    values = texttemplates.values_of(
        name=contact.name,
        company=contact.company,
        email=contact.email,
        phone=call.from_e164,
        organization=call.organization,
        number=call.number_e164,
    )
    return missedcalls.render(call.text, values)
