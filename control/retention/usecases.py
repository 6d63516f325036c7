"""The deletion of calls, texts and people: at once if there is little data, else in a job that continues where the last one stopped."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from prometheus_client import Counter

from control.base.wire import timestamp
from control.livecall.callstatus import LIVE
from control.retention import deletionlimits
from hum import ids
from hum.contract.errors import InvalidState
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import (
    appointment_erasures,
    appointments,
    audit,
    calls,
    contact_imports,
    contacts,
    erasures,
    events,
    text_erasures,
)
from storage.db import Tx
from storage.erasures import ErasureRow
from storage.text_erasures import ErasedMessageRow

ERASED = Counter("hum_erased_total", "Rows deleted by retention or on request", ["what"])
NOT_OVER = "The call is not over yet."
HELD_BACK = (
    "A call that was placed can be deleted a day after its end: until then it counts for the limits of outbound calls."
)
LIVE_WITH = "A call with this contact is not over yet, or one that was placed ended less than a day ago."
SENDING = "A text to this contact is on its way; try again in a moment."
IMPORTING = "An import of contacts is under way, and may hold this one; try again when it has ended."


async def erase_call(tx: Tx, id: UUID) -> None:
    """Delete a call with all its data; the next sweep deletes its files.  Raises NotFound, InvalidState for a live call."""
    state = await calls.lock(tx, id)
    if state.status in LIVE:
        raise InvalidState(NOT_OVER)
    if await erasures.is_deferred(tx, id):
        raise InvalidState(HELD_BACK)
    await erase(tx, [id])


async def begin_of_contact(tx: Tx, id: UUID) -> ErasureRow | None:
    """Delete a contact with all its data; return the erasure if a job must finish it, else None.  Raises NotFound, InvalidState."""
    contact = await contacts.get(tx, id, lock=True)
    if await erasures.is_live_with(tx, contact.phone_e164):
        raise InvalidState(LIVE_WITH)
    if await text_erasures.is_sending_to(tx, contact.phone_e164):
        raise InvalidState(SENDING)
    if await contact_imports.count_open(tx):
        raise InvalidState(IMPORTING)
    row = await erasures.begin_of_contact(tx, ids.new(), id, contact.phone_e164)
    await _cancel_appointments(tx, row.org_id, await appointment_erasures.erase_contact(tx, id, contact.phone_e164))
    # A contact with few calls and texts is deleted within the request.
    more = await _erase_calls_of(tx, row) or await _erase_texts_of(tx, row)
    await erasures.unlink(tx)
    await contacts.delete(tx, id)
    await contact_imports.forget(tx, contact.phone_e164)
    await erasures.empty_events(tx, [id])
    if more:
        return row
    await _end_of_texts(tx, row)
    await _end(tx, row)
    return None


async def _cancel_appointments(tx: Tx, org: UUID, canceled: Sequence[UUID]) -> None:
    """Publish that the appointments of an erased contact are canceled."""
    for id in canceled:
        appointment = await appointments.get(tx, id)
        event = events_pb2.AppointmentCanceledEvent(
            appointment_id=ids.show(Kind.APPOINTMENT, id),
            service_id=ids.show(Kind.BOOKABLE_SERVICE, appointment.service_id),
            starts_at=timestamp(appointment.starts_at),
            ends_at=timestamp(appointment.ends_at),
            appointment_version=appointment.version,
        )
        await events.append(tx, org, id, event)


async def delete_batch(tx: Tx, row: ErasureRow, at: datetime) -> bool:
    """Delete a batch of a deletion and record the progress; return whether it was the last."""
    return await (_erase_batch(tx, row) if row.kind == "contact" else _prune_batch(tx, row, at))


async def _erase_batch(tx: Tx, row: ErasureRow) -> bool:
    """Delete a batch of a contact's data; return whether it was the last."""
    more = await _erase_calls_of(tx, row) or await _erase_texts_of(tx, row)
    return not more and await _end_of_contact(tx, row)


async def _prune_batch(tx: Tx, row: ErasureRow, at: datetime) -> bool:
    """Delete a batch of an organization's data that is older than its retention; return whether it was the last."""
    days = await erasures.retention_days(tx)
    if days is None:  # retention was switched off meanwhile
        return await _end(tx, row)
    before = deletionlimits.cutoff(at, days)
    if call_ids := await erasures.lock_old_calls(tx, before, deletionlimits.CALLS):
        await erasures.count(tx, row.id, calls=len(call_ids), events=await erase(tx, call_ids))
        return False
    if texts := await text_erasures.lock_old(tx, before, deletionlimits.MESSAGES):
        await _erase_texts(tx, row, texts, before)
        return False
    if await text_erasures.empty_old(tx, before, deletionlimits.MESSAGES):
        return False
    if await appointment_erasures.delete_old(tx, before, deletionlimits.APPOINTMENTS):
        return False
    if emptied := await erasures.empty_old_events(tx, before, deletionlimits.EVENTS):
        ERASED.labels("events").inc(emptied)
        await erasures.count(tx, row.id, events=emptied)
        return False
    return await _end(tx, row)


async def _erase_calls_of(tx: Tx, row: ErasureRow) -> bool:
    """Delete a batch of a contact's calls; return whether there may be more."""
    assert row.phone_e164 is not None, "a contact's erasure has its number until it is done"
    call_ids = await erasures.lock_calls_with(tx, row.phone_e164, row.created_at, deletionlimits.CALLS)
    if call_ids:
        await erasures.count(tx, row.id, calls=len(call_ids), events=await erase(tx, call_ids))
    return len(call_ids) == deletionlimits.CALLS


async def _erase_texts_of(tx: Tx, row: ErasureRow) -> bool:
    """Delete a batch of a contact's texts; return whether there may be more."""
    assert row.phone_e164 is not None, "a contact's erasure has its number until it is done"
    texts = await text_erasures.lock_of_contact(tx, row.phone_e164, row.created_at, deletionlimits.MESSAGES)
    if texts:
        await _erase_texts(tx, row, texts, row.created_at)
    return len(texts) == deletionlimits.MESSAGES


async def _erase_texts(tx: Tx, row: ErasureRow, texts: Sequence[ErasedMessageRow], runs_before: datetime) -> None:
    await text_erasures.erase(tx, texts, runs_before)
    ERASED.labels("messages").inc(len(texts))
    await erasures.count(tx, row.id, messages=len(texts))


async def _end_of_texts(tx: Tx, row: ErasureRow) -> None:
    """Empty the events of a contact's conversations, after its last text was deleted."""
    assert row.phone_e164 is not None, "as above"
    threads = await text_erasures.end_of_contact(tx, row.phone_e164, row.created_at)
    emptied = await erasures.empty_events(tx, threads)
    ERASED.labels("events").inc(emptied)
    await erasures.count(tx, row.id, events=emptied)


async def _end_of_contact(tx: Tx, row: ErasureRow) -> bool:
    await _end_of_texts(tx, row)
    # A backfill may have recreated the contact from calls that were left.
    if row.phone_e164 and (recreated := await erasures.delete_recreated_contact(tx, row.phone_e164)) is not None:
        await erasures.empty_events(tx, [recreated])
    return await _end(tx, row)


async def erase(tx: Tx, call_ids: Sequence[UUID]) -> int:
    """Delete locked calls, and owe the deletion of their files; return how many events were emptied."""
    emptied = await erasures.erase(tx, call_ids)
    ERASED.labels("calls").inc(len(call_ids))
    ERASED.labels("events").inc(emptied)
    return emptied


async def _end(tx: Tx, row: ErasureRow) -> bool:
    """Finish an erasure, and append its counts to the audit log, once."""
    done = await erasures.lock_open(tx, row.id)  # including this transaction's counts
    assert done is not None, "it is locked"
    await erasures.end(tx, row.id)
    if done.kind == "contact" or done.calls or done.events or done.messages:
        await audit.append(
            tx,
            done.org_id,
            actor=deletionlimits.ACTOR,
            actor_name=deletionlimits.ACTOR,
            action="erasedContact" if done.kind == "contact" else "erasedByRetention",
            subject=ids.show(Kind.CONTACT, done.contact_id) if done.contact_id else "",
            fields=deletionlimits.counted(calls=done.calls, events=done.events, messages=done.messages),
        )
    return True
