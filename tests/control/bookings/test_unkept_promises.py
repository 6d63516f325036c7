"""A summary that claims a booking without a row is flagged once; one with a row is not."""

from typing import Any
from uuid import UUID

import pytest

from control.bookings import following
from hum import ids
from hum.clock import now
from hum.ids import Kind
from storage.events import Event
from tests.control.bookings.conftest import Clinic
from tests.control.bookings.dialogues import BookingDesk, open_desk

CLAIM = {"text": "Ann Lee booked a check-up for tomorrow at 8 AM.", "key_points": [], "label": "appointment"}


@pytest.fixture
async def desk(clinic: Clinic) -> BookingDesk:
    return await open_desk(clinic)


async def follow(clinic: Clinic, type: str, subject: UUID, data: dict[str, Any] | None) -> None:
    async with clinic.db.system() as tx:
        await following.follow(tx, [Event(1, "", clinic.org, type, subject, data, now(), ids.new())])


async def flags(clinic: Clinic) -> list[tuple[object, ...]]:
    return await clinic.fetch("SELECT subject_id FROM events WHERE type = 'appointment.unkept_promise' ORDER BY id")


async def test_a_call_that_claims_a_booking_without_a_row_is_flagged_once(clinic: Clinic, desk: BookingDesk) -> None:
    call = await desk.call()
    await call.hold()  # a hold is no booking
    for _ in range(2):  # a summary may be corrected
        await follow(clinic, following.SUMMARY, call.context.call, CLAIM)
    assert await flags(clinic) == [(call.context.call,)]
    assert await clinic.fetch("SELECT call_id, tag FROM call_tags") == [(call.context.call, following.UNKEPT)]


async def test_a_call_that_booked_or_canceled_is_not(clinic: Clinic, desk: BookingDesk) -> None:
    call = await desk.call()
    await call.book("tomorrow")
    await follow(clinic, following.SUMMARY, call.context.call, CLAIM)
    await call.say("my_appointments")
    await call.say("cancel_appointment", appointment="a1", confirmed=True)
    await follow(clinic, following.SUMMARY, call.context.call, CLAIM)
    other = await desk.call()
    await follow(clinic, following.SUMMARY, other.context.call, {**CLAIM, "text": "She wants to book a check-up."})
    await follow(clinic, following.SUMMARY, other.context.call, None)
    assert await flags(clinic) == []


async def test_a_claim_in_the_key_points_counts(clinic: Clinic, desk: BookingDesk) -> None:
    call = await desk.call()
    data = {"text": "They talked.", "key_points": ["The appointment was moved to Friday"]}
    await follow(clinic, following.SUMMARY, call.context.call, data)
    assert await flags(clinic) == [(call.context.call,)]


async def test_a_thread_that_the_agent_closes_with_a_claim_is_flagged(clinic: Clinic, desk: BookingDesk) -> None:
    booked, claimed = await desk.thread(), await desk.thread("+13175550177")
    await booked.book("tomorrow")
    await booked.end_turn()
    for talk, by in ((booked, "ai"), (claimed, "user_1"), (claimed, "ai")):
        turn = talk.context.turn
        assert turn is not None
        data = {
            "conversation_id": ids.show(Kind.CONVERSATION, turn.conversation),
            "by": by,
            "reason": "Booked a check-up",
        }
        await follow(clinic, following.CLOSED, turn.conversation, data)
    turn = claimed.context.turn
    assert turn is not None
    assert await flags(clinic) == [(turn.conversation,)]
