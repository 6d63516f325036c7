"""What a clinic books, over REST."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from hum.clock import now

NEW_YORK = ZoneInfo("America/New_York")
OPEN = {
    "time_zone": "America/New_York",
    "weekly": {day: [["08:00", "18:00"]] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")},
}


def at(hour: int, minute: int = 0, ahead: int = 3) -> str:
    """Return a wall time in New York some days ahead, as the API writes it."""
    day = now().astimezone(NEW_YORK).date() + timedelta(days=ahead)
    wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK)
    return wall.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def post(http: httpx.AsyncClient, path: str, body: dict[str, Any], status: int = 201) -> Any:
    answer = await http.post(path, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()


async def chair(http: httpx.AsyncClient, name: str = "Chair", **fields: Any) -> str:
    body = {"kind": "room", "name": name, "business_hours": OPEN, **fields}
    body["business_hours_json"] = body.pop("business_hours")
    return str((await post(http, "/api/booking/resources", body))["id"])


async def checkup(http: httpx.AsyncClient, *groups: list[str], **fields: Any) -> str:
    body = {
        "name": "Check-up",
        "duration_minutes": 30,
        "step_minutes": 30,
        "time_zone": "America/New_York",
        "groups": [{"resource_ids": group} for group in groups],
        **fields,
    }
    return str((await post(http, "/api/booking/services", body))["id"])


async def hold(http: httpx.AsyncClient, service: str, start: str) -> httpx.Response:
    return await http.post("/api/booking/holds", json={"service_id": service, "starts_at": start})


async def booked(http: httpx.AsyncClient, service: str, start: str, **fields: Any) -> Any:
    held = (await hold(http, service, start)).json()
    return await post(http, "/api/appointments", {"hold_id": held["id"], "name": "Ann Lee", **fields})


async def bookings_of(http: httpx.AsyncClient) -> dict[str, str]:
    """An appointment with all that belongs to it, a time that is held, and a person who waits."""
    room = await chair(http)
    service = await checkup(http, [room])
    appointment = await booked(http, service, at(9))
    off = await post(http, "/api/booking/time-off", {"resource_id": room, "starts_at": at(9), "ends_at": at(10)})
    wait = {"service_id": service, "contact_e164": "+13175550156", "name": "Ann", "since": at(9), "until": at(12)}
    conflicts = (await http.get("/api/appointments/conflicts")).json()["conflicts"]
    return {
        "resources": room,
        "services": service,
        "appointments": appointment["id"],
        "time-off": off["id"],
        "conflicts": conflicts[0]["id"],
        "holds": (await hold(http, service, at(11))).json()["id"],
        "waits": (await post(http, "/api/booking/waits", wait))["id"],
    }
