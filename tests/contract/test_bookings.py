"""The organization's own book, over REST."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.contract.bookings import NEW_YORK, at, booked, chair, checkup, hold, post
from tests.contract.conftest import Edge
from tests.contract.inbox import numbered
from tests.contract.test_authorization import belongings
from tests.contract.test_limited_members import limit, member, owner_of


async def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


async def test_a_time_is_found_held_booked_moved_and_canceled(edge: Edge) -> None:
    http = await edge.client()
    service = await checkup(http, [await chair(http, "Chair 1"), await chair(http, "Chair 2")])
    query = {"service_id": service, "since": at(9), "until": at(10)}
    found = (await http.get("/api/booking/times", params=query)).json()
    assert [time["starts_at"] for time in found["times"]] == [at(9), at(9, 30)]
    assert (found["time_zone"], found["has_more"], found["never"], found["next"]) == (
        "America/New_York",
        False,
        False,
        None,
    )
    held = (await hold(http, service, at(9))).json()
    assert held["id"].startswith("hold_") and len(held["resource_ids"]) == 1
    renewed = await post(http, f"/api/booking/holds/{held['id']}/renew", {}, 200)
    assert renewed["expires_at"] >= held["expires_at"]
    assert (await hold(http, service, at(9))).status_code == 201  # the second chair
    await refused(await hold(http, service, at(9)), 409, "time_taken")
    assert [time["starts_at"] for time in (await http.get("/api/booking/times", params=query)).json()["times"]] == [
        at(9, 30)
    ]
    body = {"hold_id": held["id"], "name": "Ann Lee", "contact_e164": "+13175550199", "note": "Left side"}
    appointment = await post(http, "/api/appointments", body)
    assert (appointment["state"], appointment["version"], appointment["origin"]) == ("booked", 1, "api")
    assert (await post(http, "/api/appointments", body)) == appointment
    path = f"/api/appointments/{appointment['id']}"
    moved = await post(http, f"{path}/move", {"starts_at": at(11), "if_version": 1}, 200)
    assert (moved["starts_at"], moved["version"], moved["resource_ids"]) == (at(11), 2, appointment["resource_ids"])
    await refused(await http.post(f"{path}/move", json={"starts_at": at(12), "if_version": 1}), 409, "conflict")
    canceled = await post(http, f"{path}/cancel", {"if_version": 2}, 200)
    assert (canceled["state"], canceled["resource_ids"]) == ("canceled", [])
    changes = (await http.get(path)).json()["changes"]
    assert [(change["version"], change["state"]) for change in changes] == [
        (1, "booked"),
        (2, "booked"),
        (3, "canceled"),
    ]
    types = [event["type"] for event in (await http.get("/api/events")).json()["events"]]
    assert [type for type in types if type.startswith("appointment.")] == [
        "appointment.booked",
        "appointment.moved",
        "appointment.canceled",
    ]


async def test_twenty_at_once_for_one_time(edge: Edge) -> None:
    http = await edge.client()
    service = await checkup(http, [await chair(http)])
    answers = await asyncio.gather(*(hold(http, service, at(9)) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 19


async def test_lists_are_paged_and_filtered(edge: Edge) -> None:
    http = await edge.client()
    one, other = await chair(http, "One"), await chair(http, "Other")
    service = await checkup(http, [one, other])
    for hour in (9, 10, 11):
        await booked(http, service, at(hour), contact_e164="+13175550199")
    first = (await http.get("/api/appointments", params={"limit": 2})).json()
    query = {"limit": 2, "cursor": first["next_cursor"]}
    rest = (await http.get("/api/appointments", params=query)).json()
    starts = [each["starts_at"] for each in first["appointments"] + rest["appointments"]]
    assert (starts, rest["next_cursor"]) == ([at(9), at(10), at(11)], None)
    for wanted, count in (
        ({"since": at(10)}, 2),
        ({"until": at(10)}, 1),
        ({"state": "canceled"}, 0),
        ({"resource_id": one}, 3),
        ({"resource_id": other}, 0),
        ({"contact_e164": "+13175550199"}, 3),
        ({"contact_e164": "+13175550198"}, 0),
    ):
        assert len((await http.get("/api/appointments", params=wanted)).json()["appointments"]) == count, wanted


async def test_time_off_lies_over_appointments_and_makes_conflicts(edge: Edge) -> None:
    http = await edge.client()
    room = await chair(http)
    service = await checkup(http, [room])
    kept, canceled = await booked(http, service, at(9)), await booked(http, service, at(10))
    off = await post(http, "/api/booking/time-off", {"resource_id": room, "starts_at": at(8), "ends_at": at(12)})
    assert off["conflicts"] == 2
    await refused(await hold(http, service, at(11)), 409, "time_taken")
    conflicts = (await http.get("/api/appointments/conflicts")).json()["conflicts"]
    assert {conflict["appointment_id"] for conflict in conflicts} == {kept["id"], canceled["id"]}
    for conflict in conflicts:
        resolution = "kept" if conflict["appointment_id"] == kept["id"] else "canceled"
        path = f"/api/appointments/conflicts/{conflict['id']}/resolve"
        assert (await post(http, path, {"resolution": resolution}, 200))["resolution"] == resolution
        await refused(await http.post(path, json={"resolution": "kept"}), 409, "conflict")
    assert (await http.get("/api/appointments/conflicts")).json()["conflicts"] == []
    assert (await http.get(f"/api/appointments/{canceled['id']}")).json()["state"] == "canceled"
    assert (await http.delete(f"/api/booking/time-off/{off['id']}")).status_code == 204
    assert (await hold(http, service, at(11))).status_code == 201


async def test_a_time_that_is_closed_while_it_is_held_is_booked_as_a_conflict(edge: Edge) -> None:
    http = await edge.client()
    service = await checkup(http, [await chair(http)])
    held = [(await hold(http, service, at(hour))).json()["id"] for hour in (9, 10, 11, 12)]

    async def close(hour: int) -> httpx.Response:
        return await http.post("/api/booking/time-off", json={"starts_at": at(hour), "ends_at": at(hour + 1)})

    async def book(hour: int) -> httpx.Response:
        return await http.post("/api/appointments", json={"hold_id": held[hour - 9], "name": "Ann Lee"})

    await close(9)
    # At the same time, one of the two sees the other.
    answers = [await book(9), *await asyncio.gather(*(each(hour) for hour in (10, 11, 12) for each in (close, book)))]
    assert {answer.status_code for answer in answers} == {201}
    conflicts = (await http.get("/api/appointments/conflicts")).json()["conflicts"]
    assert len({conflict["appointment_id"] for conflict in conflicts}) == 4
    types = [event["type"] for event in (await http.get("/api/events")).json()["events"]]
    assert types.count("appointment.conflict") == 4


async def test_approval_arrival_and_absence(edge: Edge) -> None:
    http = await edge.client()
    service = await checkup(http, [await chair(http)], needs_approval=True)
    pending, other = await booked(http, service, at(9)), await booked(http, service, at(10))
    assert pending["state"] == "pending"
    await refused(await http.post(f"/api/appointments/{pending['id']}/arrive"), 409, "invalid_state")
    assert (await http.post(f"/api/appointments/{pending['id']}/approve")).json()["state"] == "booked"
    await refused(await http.post(f"/api/appointments/{pending['id']}/no-show"), 409, "invalid_state")
    assert (await http.post(f"/api/appointments/{pending['id']}/arrive")).json()["state"] == "arrived"
    assert (await http.post(f"/api/appointments/{other['id']}/refuse")).json()["state"] == "refused"
    assert (await hold(http, service, at(10))).status_code == 201


async def test_what_is_in_use_is_not_deleted(edge: Edge) -> None:
    http = await edge.client()
    room, unused = await chair(http, capacity=2), await chair(http)
    service = await checkup(http, [room])
    for _ in range(2):
        await booked(http, service, at(9))
    await refused(await http.delete(f"/api/booking/resources/{room}"), 409, "in_use")
    await refused(await http.delete(f"/api/booking/services/{service}"), 409, "in_use")
    await refused(await http.patch(f"/api/booking/resources/{room}", json={"capacity": 1}), 409, "in_use")
    assert (await http.delete(f"/api/booking/resources/{unused}")).status_code == 204
    assert (await http.patch(f"/api/booking/services/{service}", json={"active": False})).json()["active"] is False
    await refused(await hold(http, service, at(12)), 404, "not_found")


async def test_bad_input_is_refused_and_never_open_is_said(edge: Edge) -> None:
    http = await edge.client()
    room = await chair(http)
    closed = await chair(http)
    await post(
        http, "/api/booking/time-off", {"resource_id": closed, "starts_at": at(0, ahead=-1), "ends_at": at(0, ahead=90)}
    )
    service, never = await checkup(http, [room]), await checkup(http, [closed])
    for path, body in (
        ("/api/booking/resources", {"kind": "room", "name": "None", "capacity": 0}),
        ("/api/booking/resources", {"kind": "room", "name": "Zone", "time_zone": "Mars/Base"}),
        ("/api/booking/services", {"name": "None", "duration_minutes": 0, "groups": [{"resource_ids": [room]}]}),
        (
            "/api/booking/services",
            {"name": "Step", "duration_minutes": 9, "step_minutes": 1, "groups": [{"resource_ids": [room]}]},
        ),
        (
            "/api/booking/services",
            {"name": "Twice", "duration_minutes": 9, "groups": [{"resource_ids": [room]}, {"resource_ids": [room]}]},
        ),
        ("/api/booking/time-off", {"starts_at": at(9), "ends_at": at(9)}),
        (
            "/api/booking/waits",
            {"service_id": service, "contact_e164": "+13175550199", "name": "Ann", "since": at(9), "until": at(8)},
        ),
    ):
        await refused(await http.post(path, json=body), 400, "invalid_request")
    query = {"service_id": service, "since": at(9), "until": at(9, ahead=90)}
    await refused(await http.get("/api/booking/times", params=query), 400, "invalid_request")
    answer = (await http.get("/api/booking/times", params={"service_id": never})).json()
    assert (answer["times"], answer["next"], answer["never"]) == ([], None, True)
    night = {"service_id": service, "since": at(20), "until": at(23)}
    answer = (await http.get("/api/booking/times", params=night)).json()
    assert (answer["times"], answer["next"]["starts_at"], answer["never"]) == ([], at(8, ahead=4), False)
    await refused(await hold(http, service, at(9, ahead=-1)), 409, "time_taken")
    await refused(await hold(http, service, at(9, 10)), 409, "time_taken")


async def test_people_wait_in_the_order_in_which_they_came(edge: Edge) -> None:
    http = await edge.client()
    service = await checkup(http, [await chair(http)])
    body = {"service_id": service, "contact_e164": "+13175550199", "since": at(9), "until": at(12)}
    waits = [await post(http, "/api/booking/waits", {**body, "name": name}) for name in ("Ann", "Ben")]
    assert (await http.get("/api/booking/waits")).json()["waits"] == waits
    assert (await http.delete(f"/api/booking/waits/{waits[0]['id']}")).status_code == 204
    assert (await http.get("/api/booking/waits", params={"service_id": service})).json()["waits"] == waits[1:]


async def test_roles_scopes_and_other_organizations(edge: Edge) -> None:
    http, stranger = await edge.client(), await edge.client("Other")
    room = await chair(http)
    service = await checkup(http, [room])
    appointment = await booked(http, service, at(9))
    for path in (
        f"/api/booking/resources/{room}",
        f"/api/booking/services/{service}",
        f"/api/appointments/{appointment['id']}",
    ):
        assert (await stranger.get(path)).status_code == 404
    await refused(await hold(stranger, service, at(10)), 404, "not_found")
    body = {"name": "Theirs", "duration_minutes": 30, "groups": [{"resource_ids": [room]}]}
    await refused(await stranger.post("/api/booking/services", json=body), 404, "not_found")
    reader = await edge.key(http, "bookings:read")
    assert (await reader.get("/api/appointments")).status_code == 200
    await refused(await hold(reader, service, at(10)), 403, "insufficient_scope")


async def test_a_limited_member_sees_no_appointments(edge: Edge) -> None:
    http = await owner_of(edge, await belongings(edge))
    service = await checkup(http, [await chair(http)])
    await booked(http, service, at(9))
    viewer, user = await member(edge, http)
    assert len((await viewer.get("/api/appointments")).json()["appointments"]) == 2
    await limit(http, user, await numbered(edge, http, "+13175550300"))
    await refused(await viewer.get("/api/appointments"), 403, "forbidden")
    assert (await viewer.get("/api/booking/services")).status_code == 200


async def test_a_repeated_booking_with_its_key_is_answered_once(edge: Edge) -> None:
    http = await edge.client()
    service = await checkup(http, [await chair(http)])
    body, headers = {"service_id": service, "starts_at": at(9)}, {"Idempotency-Key": "one"}
    first, again = [await http.post("/api/booking/holds", json=body, headers=headers) for _ in range(2)]
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()


@pytest.mark.parametrize("day", ["2027-03-14", "2027-11-07"])
async def test_a_day_of_23_and_one_of_25_hours(edge: Edge, day: str) -> None:
    http = await edge.client()
    always = {"time_zone": "America/New_York", "weekly": {"sun": [["00:00", "24:00"]]}}
    service = await checkup(
        http, [await chair(http, business_hours=always)], duration_minutes=60, step_minutes=60, horizon_days=400
    )
    begin = datetime.fromisoformat(day).replace(tzinfo=NEW_YORK)
    end = begin + timedelta(days=1)
    query = {
        "service_id": service,
        "since": begin.astimezone(UTC).isoformat(),
        "until": end.astimezone(UTC).isoformat(),
    }
    times = (await http.get("/api/booking/times", params=query)).json()["times"]
    hours = [datetime.fromisoformat(time["starts_at"]).astimezone(NEW_YORK).hour for time in times]
    # The skipped hour is not offered, and the doubled one is once.
    assert hours == [hour for hour in range(24) if day != "2027-03-14" or hour != 2]
