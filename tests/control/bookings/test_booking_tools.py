"""The agents' tools that book: keys instead of times, one hold for a dialogue, and no booking without a row."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from control.bookings import following, reserving, toolschemas
from control.tools import ToolChannel
from hum import ids
from hum.clock import now
from storage import booking_services
from storage.events import Event
from tests.control.bookings.conftest import Clinic, all_of
from tests.control.bookings.dialogues import ANNS, BENS, BookingDesk, open_desk

FIELDS = {"cancel_minutes": 60, "needs_approval": False, "is_health_related": True, "number_suffices": False}


@pytest.fixture
async def desk(clinic: Clinic) -> BookingDesk:
    return await open_desk(clinic)


async def change(clinic: Clinic, **fields: object) -> None:
    async with clinic.db.tenant(clinic.org) as tx:
        row = await booking_services.get(tx, clinic.service, lock=True)
        await booking_services.change(tx, clinic.service, replace(row.fields, **fields))  # type: ignore[arg-type]


async def test_a_caller_is_offered_times_holds_one_and_books_it(clinic: Clinic, desk: BookingDesk) -> None:
    call = await desk.call()
    found = await call.find(day="tomorrow")
    assert (found["status"], [each["time"] for each in found["times"]]) == ("found", ["t1", "t2", "t3", "t4"])
    day = (now().astimezone(ZoneInfo("America/New_York")) + timedelta(days=1)).strftime("%A, %B ")
    assert found["times"][0]["say"].startswith(f"tomorrow, {day}")
    assert found["times"][0]["say"].endswith(", at 8 AM")
    held = await call.say("hold_time", time="t2")
    assert held == {"status": "held", "say": found["times"][1]["say"]}
    assert await clinic.states() == {"held": 1}
    booked = await call.say("book_time", name=" Ann Lee ", note="first visit")
    assert booked == {"status": "booked", "say": held["say"]}
    assert await call.say("book_time", name="Ann Lee") == booked  # asked again, as after a time-out
    rows = await clinic.fetch("SELECT state, name, note, contact_e164, origin, call_id FROM appointments")
    assert rows == [("booked", "Ann Lee", "first visit", ANNS, "call", call.context.call_id)]
    [[by]] = await clinic.fetch("SELECT by FROM appointment_changes")
    assert by == ids.show(ids.Kind.CALL, call.context.call)


async def test_what_was_not_offered_is_not_held(clinic: Clinic, desk: BookingDesk) -> None:
    call, other = await desk.call(), await desk.call(BENS)
    assert (await call.say("hold_time", time="t9"))["status"] == "refused"
    await other.find()
    assert (await call.say("hold_time", time="t1"))["status"] == "refused"  # of another call
    for key in ("2026-03-09T14:30", "t", "t-1", "t0", "a1", "t99999", ""):
        assert (await call.say("hold_time", time=key))["status"] == "refused"
    for day in ("next friday", "2026-3-9", "tomorrow\n", ""):
        assert "date" in (await call.find(day=day))["note"]
    assert "problems" in await call.find(service="Surgery")
    assert (await call.say("book_time", name="Ann Lee"))["status"] == "refused"
    assert (await call.say("book_time", name="   "))["status"] == "refused"
    assert (await call.say("cancel_appointment", appointment="a1", confirmed=True))["status"] == "refused"
    assert "problems" in await call.say("cancel_appointment", appointment="a1", confirmed=False)
    assert await clinic.states() == {}


async def test_of_two_who_want_one_time_the_second_is_offered_others(clinic: Clinic, desk: BookingDesk) -> None:
    talks = [await desk.call(ANNS), await desk.call(BENS)]
    for talk in talks:
        await talk.find(day="tomorrow")
    results, errors = await all_of([talk.say("hold_time", time="t1") for talk in talks])
    assert errors == []
    by_status = {result["status"]: result for result in results}
    assert by_status.keys() == {"held", "taken"}
    taken = by_status["taken"]
    assert by_status["held"]["say"] not in [each["say"] for each in taken["times"]] and taken["times"]
    loser = talks[results.index(taken)]
    assert (await loser.say("hold_time", time=taken["times"][0]["time"]))["status"] == "held"
    assert [(await talk.say("book_time", name="Somebody"))["status"] for talk in talks] == ["booked", "booked"]
    assert await clinic.overlaps() == 0


async def test_other_times_are_told_once_each_and_then_none_is_made_up(clinic: Clinic, desk: BookingDesk) -> None:
    call = await desk.call()
    told = [each["say"] for each in (await call.find(day="tomorrow", part="morning"))["times"]]
    more = await call.find(day="tomorrow", part="morning", more=True)
    told += [each["say"] for each in more["times"]]
    assert len(set(told)) == len(told) == 8  # from 8 AM to noon, in half hours
    others = await call.find(day="tomorrow", part="morning", more=True)
    assert others["status"] == "others"
    assert all("PM" in each["say"] for each in others["times"])


async def test_a_day_that_can_not_be_booked_gives_the_nearest_and_a_full_one_the_next(
    clinic: Clinic, desk: BookingDesk
) -> None:
    call = await desk.call()
    assert (await call.find(day="2020-02-30"))["status"] == "others"
    assert (await call.find(day="9999-12-31"))["status"] in {"others", "never"}
    await clinic.fetch(
        "INSERT INTO booking_time_off (id, org_id, resource_id, during) VALUES ($1, $2, NULL, tstzrange($3, $4)) RETURNING 1",
        ids.new(),
        clinic.org,
        now(),
        clinic.at(0),
    )
    found = await call.find(day="tomorrow")
    assert (found["status"], len(found["times"])) == ("others", 1)
    await change(clinic, horizon_days=1)
    assert (await (await desk.call()).find())["status"] == "never"


async def test_a_caller_has_one_hold_and_a_second_appointment_only_on_purpose(
    clinic: Clinic, desk: BookingDesk
) -> None:
    call = await desk.call()
    await call.book("tomorrow")
    await call.hold("tomorrow")
    assert (await call.say("book_time", name="Ann Lee"))["status"] == "refused"
    assert (await call.say("book_time", name="Ann Lee", another=True))["status"] == "booked"
    again = await desk.call()
    await again.hold("tomorrow")
    assert (await again.say("book_time", name="Ann Lee"))["status"] == "refused"
    assert await clinic.states() == {"booked": 2, "held": 1}


async def test_a_hold_that_is_over_is_not_booked(clinic: Clinic, desk: BookingDesk) -> None:
    call = await desk.call()
    await call.hold()
    await clinic.fetch("UPDATE appointments SET lease_until = now() - interval '1 second' RETURNING 1")
    assert (await call.say("book_time", name="Ann Lee"))["status"] == "expired"
    await reserving.expire(clinic.db)
    assert (await call.say("book_time", name="Ann Lee"))["status"] == "expired"
    assert await clinic.states() == {"expired": 1}


async def test_a_hold_lives_as_long_as_its_call_and_is_free_after_it(clinic: Clinic, desk: BookingDesk) -> None:
    call = await desk.call()
    await call.hold()
    soon = "UPDATE appointments SET lease_until = clock_timestamp() + interval '5 seconds' RETURNING lease_until"
    [[before]] = await clinic.fetch(soon)
    await reserving.expire(clinic.db)
    [[after]] = await clinic.fetch("SELECT lease_until FROM appointments")
    assert after > before  # type: ignore[operator]
    await ended(clinic, call.context.call)
    assert await clinic.states() == {"released": 1}
    assert await clinic.fetch("SELECT count(*) FROM booking_claims") == [(0,)]


async def ended(clinic: Clinic, call: object) -> None:
    event = Event(1, "", clinic.org, following.ENDED, call, {}, now(), ids.new())  # type: ignore[arg-type]
    async with clinic.db.system() as tx:
        await following.follow(tx, [event])


async def test_a_text_books_with_its_reply_and_a_dropped_reply_books_nothing(clinic: Clinic, desk: BookingDesk) -> None:
    thread = await desk.thread()
    assert (await thread.book("tomorrow"))["status"] == "booked"
    assert "answer" in (await thread.say("hold_time", time="t2"))["error"].lower()
    assert await clinic.states() == {"held": 1}
    thread.owed.clear()  # the reply was dropped
    await thread.end_turn()
    assert (await thread.say("book_time", name="Ann Lee"))["status"] == "booked"
    await thread.end_turn()
    [row] = await clinic.fetch("SELECT state, origin, conversation_id FROM appointments")
    turn = thread.context.turn
    assert turn is not None and row == ("booked", "conversation", turn.conversation)


async def test_an_agent_of_events_books_with_its_run(clinic: Clinic, desk: BookingDesk) -> None:
    run = await desk.run_for_event()
    assert (await run.book("tomorrow"))["status"] == "booked"
    await run.end_turn()
    assert await clinic.fetch("SELECT state, origin FROM appointments") == [("booked", "event")]
    offered = {tool.name for tool, _ in desk.registry.offered(ToolChannel.EVENT, run.context.situation)}
    assert offered == {toolschemas.FIND, toolschemas.HOLD, toolschemas.BOOK}


async def test_without_services_an_agent_has_none_of_the_tools(clinic: Clinic) -> None:
    desk = await open_desk(clinic, booking_service_ids=[])
    call = await desk.call()
    assert desk.registry.offered(ToolChannel.CALL, call.context.situation) == []
    assert "booking_service_ids" in (await call.find())["error"]


async def test_a_service_that_needs_approval_is_pending(clinic: Clinic, desk: BookingDesk) -> None:
    await change(clinic, needs_approval=True)
    assert (await (await desk.call()).book())["status"] == "pending"
    assert await clinic.states() == {"pending": 1}


async def test_the_language_of_the_flow_is_that_of_the_times(clinic: Clinic) -> None:
    desk = await open_desk(clinic, language="es-US")
    found = await (await desk.call()).find(day="tomorrow", part="afternoon")
    assert found["times"][0]["say"].startswith("mañana, ") and "de la tarde" in found["times"][0]["say"]
    assert "; o mañana" in found["say"]


async def test_who_holds_and_never_books_gets_a_person(clinic: Clinic, desk: BookingDesk) -> None:
    for _ in range(3):
        assert (await (await desk.call()).hold())["status"] == "held"
    assert (await (await desk.call()).hold())["status"] == "refused"
    assert (await (await desk.call(BENS)).hold())["status"] == "held"
