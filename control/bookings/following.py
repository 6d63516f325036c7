"""What follows from calls and conversations: holds end with their call, and a claim without a row is shown to a person."""

from collections.abc import Sequence
from uuid import UUID

from control.bookings import promises
from hum import ids
from hum.ids import Kind
from hum.v1 import events_pb2
from storage import appointments, events, review
from storage.db import Tx
from storage.events import Event

ENDED, SUMMARY, CLOSED = "call.completed", "call.summary", "conversation.closed"
TYPES = frozenset({ENDED, SUMMARY, CLOSED})
#: The tag of calls whose summary claims what no row has.
UNKEPT = "unkept-promise"


async def follow(tx: Tx, stored: Sequence[Event]) -> None:
    """Handle a reader's batch of events."""
    for event in stored:
        if event.type == ENDED:
            await appointments.release_of_call(tx, event.subject_id)
        elif event.data is not None:
            await _check(tx, event)


async def _check(tx: Tx, event: Event) -> None:
    """Flag a call or a conversation that claims a booking and has none."""
    data, org, subject = event.data or {}, event.org_id, event.subject_id
    if event.type == SUMMARY:
        call_id = ids.show(Kind.CALL, subject)
        if not promises.claims([data.get("text") or "", *(data.get("key_points") or ())]):
            return
        has_row = await appointments.has_changed(tx, org, call_id, f"call:{subject}")
        if not has_row and await review.add_tag(tx, subject, UNKEPT):
            await _tell(tx, org, subject, events_pb2.AppointmentUnkeptPromiseEvent(call_id=call_id))
        return
    conversation_id = ids.show(Kind.CONVERSATION, subject)
    if data.get("by") != "ai" or not promises.claims([data.get("reason") or ""]):
        return
    if not await appointments.has_changed(tx, org, conversation_id, f"conversation:{subject}"):
        await _tell(tx, org, subject, events_pb2.AppointmentUnkeptPromiseEvent(conversation_id=conversation_id))


async def _tell(tx: Tx, org: UUID, subject: UUID, event: events_pb2.AppointmentUnkeptPromiseEvent) -> None:
    await events.append(tx, org, subject, event)
