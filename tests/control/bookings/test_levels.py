"""Who is calling decides what is told and what may be changed: levels 0 to 2, and the time up to which clients may cancel."""

from typing import Any

from hum import ids
from storage import contacts
from tests.control.bookings.conftest import Clinic
from tests.control.bookings.dialogues import ANNS, BENS, WITHHELD, BookingDesk, BookingTalk, open_desk
from tests.control.bookings.test_booking_tools import change

BORN = "1980-12-31"


async def desk_with_ann(clinic: Clinic, name: str = "Ann Lee") -> BookingDesk:
    """A desk where Ann, who is a contact with a birth date, has an appointment."""
    desk = await open_desk(clinic)
    async with clinic.db.tenant(clinic.org) as tx:
        await contacts.create(
            tx, ids.new(), ANNS, {"name": "Ann Lee", "attributes_json": f'{{"birth_date": "{BORN}"}}'}, None, []
        )
    assert (await (await desk.call()).book("tomorrow", name))["status"] == "booked"
    return desk


async def told(talk: BookingTalk) -> tuple[str, list[set[str]]]:
    answer = await talk.say("my_appointments")
    return answer["status"], [each.keys() - {"appointment", "say"} for each in answer.get("appointments", ())]


async def cancel(talk: BookingTalk) -> dict[str, Any]:
    return await talk.say("cancel_appointment", appointment="a1", confirmed=True)


async def test_a_number_that_is_withheld_or_not_vouched_for_is_told_nothing(clinic: Clinic) -> None:
    desk = await desk_with_ann(clinic)
    for call in (await desk.call(WITHHELD), await desk.call(ANNS, vouched=False)):
        assert await told(call) == ("verify", [])
        assert (await cancel(call))["status"] == "refused"
        assert (await call.book("tomorrow", "Bo"))["status"] == "booked"
        assert await told(call) == ("found", [{"service", "name"}])  # what was booked in this call
        assert (await cancel(call))["status"] == "canceled"
    assert await clinic.states() == {"booked": 1, "canceled": 2}


async def test_a_vouched_number_is_told_times_without_names_and_changes_nothing(clinic: Clinic) -> None:
    desk = await desk_with_ann(clinic)
    for talk in (await desk.call(), await desk.thread()):
        assert await told(talk) == ("found", [set()])
        assert (await cancel(talk))["status"] == "verify"
        await talk.hold("tomorrow")
        assert (await talk.say("move_appointment", appointment="a1"))["status"] == "verify"
    await change(clinic, is_health_related=False)
    assert await told(await desk.call()) == ("found", [{"service"}])
    assert await told(await desk.call(BENS)) == ("none", [])


async def test_who_shows_who_they_are_is_told_all_moves_and_cancels(clinic: Clinic) -> None:
    desk = await desk_with_ann(clinic)
    call = await desk.call(WITHHELD)
    assert (await call.say("verify_caller", name="ann  LEE", birth_date=BORN))["status"] == "refused"
    call = await desk.call()
    assert (await call.say("verify_caller", name="lee ann", birth_date=BORN))["status"] == "verified"
    assert await told(call) == ("found", [{"service", "name"}])
    held = await call.hold("tomorrow")
    moved = await call.say("move_appointment", appointment="a1")
    assert moved == {"status": "moved", "say": held["say"]}
    assert await call.say("move_appointment", appointment="a1") == moved  # asked again
    assert await clinic.states() == {"booked": 1, "released": 1}
    assert await clinic.fetch("SELECT count(*) FROM booking_claims") == [(2,)]
    assert (await cancel(call))["status"] == "canceled"
    assert (await cancel(call))["status"] == "canceled"
    assert await clinic.fetch("SELECT count(*) FROM booking_claims") == [(0,)]


async def test_a_withheld_number_shows_who_it_is_by_name_and_birth_date(clinic: Clinic) -> None:
    desk = await desk_with_ann(clinic)
    call = await desk.call(WITHHELD)
    assert (await call.say("verify_caller", name="Ann Lee", birth_date=BORN))["status"] == "verified"
    assert await told(call) == ("found", [{"service", "name"}])


async def test_what_is_booked_for_another_of_the_family_stays_theirs(clinic: Clinic) -> None:
    desk = await desk_with_ann(clinic, "Tim Lee")
    call = await desk.call()
    await call.say("verify_caller", name="Ann Lee", birth_date=BORN)
    assert await told(call) == ("found", [set()])
    assert (await cancel(call))["status"] == "verify"


async def test_wrong_names_and_dates_are_alike_and_end_after_three_tries(clinic: Clinic) -> None:
    desk = await desk_with_ann(clinic)
    call = await desk.call()
    answers = [
        await call.say("verify_caller", name=name, birth_date=date)
        for name, date in (("Nobody Here", BORN), ("Ann Lee", "1980-12-30"), ("Bo", "1999-01-01"))
    ]
    assert len({str(answer) for answer in answers}) == 1
    assert "too often" in (await call.say("verify_caller", name="Ann Lee", birth_date=BORN))["note"]
    again = await desk.call()
    for _ in range(2):
        await again.say("verify_caller", name="Bo", birth_date=BORN)
    assert "too often" in (await again.say("verify_caller", name="Ann Lee", birth_date=BORN))["note"]
    assert await told(again) == ("found", [set()])


async def test_a_service_may_trust_the_number_alone(clinic: Clinic) -> None:
    desk = await desk_with_ann(clinic)
    await change(clinic, number_suffices=True)
    forged = await desk.call(ANNS, vouched=False)
    assert await told(forged) == ("verify", [])
    thread = await desk.thread()
    assert await told(thread) == ("found", [set()])
    assert (await cancel(thread))["status"] == "canceled"
    assert await clinic.states() == {"booked": 1}
    await thread.end_turn()
    assert await clinic.states() == {"canceled": 1}


async def test_after_the_latest_time_clients_neither_move_nor_cancel(clinic: Clinic) -> None:
    desk = await desk_with_ann(clinic)
    await change(clinic, number_suffices=True, cancel_minutes=7 * 24 * 60)
    call = await desk.call()
    await told(call)
    assert "too late" in (await cancel(call))["note"]
    await call.hold("tomorrow")
    assert "too late" in (await call.say("move_appointment", appointment="a1"))["note"]
    assert await clinic.states() == {"booked": 1, "held": 1}
