"""Previews over REST: hours and texts are shown as they are."""

from typing import Any

from control.base.hours import WEEKDAYS
from tests.contract.conftest import Edge


async def previews_in_audit(edge: Edge) -> list[Any]:
    async with edge.plane.control.db.system() as tx:
        return list(await tx.fetch("SELECT FROM audit_log WHERE action ILIKE '%preview%'"))


async def test_hours_are_shown_as_they_are_over_a_clock_change(edge: Edge) -> None:
    http = await edge.client(role="viewer")
    hours = {"time_zone": "America/New_York", "weekly": {"fri": [["22:00", "02:00"]], "mon": [["09:00", "17:00"]]}}
    body = {"business_hours_json": hours, "at": "2026-03-06T12:00:00Z"}  # New York leaves EST on 8 March
    shown = (await http.post("/api/hours/preview", json=body)).json()
    assert shown == {
        "time_zone": "America/New_York",
        "at": "2026-03-06T12:00:00Z",
        "is_open": False,
        "next_change_at": "2026-03-07T03:00:00Z",
        "spans": [
            {"date": "2026-03-06", "opens_at": "2026-03-07T03:00:00Z", "closes_at": "2026-03-07T07:00:00Z"},
            {"date": "2026-03-09", "opens_at": "2026-03-09T13:00:00Z", "closes_at": "2026-03-09T21:00:00Z"},
        ],
        "has_hours": True,
        "mentions": [],
    }
    inside = (await http.post("/api/hours/preview", json=body | {"at": "2026-03-09T14:00:00Z"})).json()
    assert inside["is_open"] and inside["next_change_at"] == "2026-03-09T21:00:00Z"
    always = {"weekly": {day: [["00:00", "24:00"]] for day in WEEKDAYS}}
    shown = (await http.post("/api/hours/preview", json={"business_hours_json": always})).json()
    assert shown["is_open"] and shown["next_change_at"] is None and len(shown["spans"]) == 1
    assert shown["time_zone"] == "UTC"
    bad_times = [body | {"at": at} for at in ("9999-12-31T23:59:59Z", "1800-01-01T00:00:00Z")]
    refused: list[dict[str, Any]] = [{"business_hours_json": {"weekly": {}}}, *bad_times]
    for bad in refused:
        assert (await http.post("/api/hours/preview", json=bad)).status_code == 400
    assert not await previews_in_audit(edge)


async def test_the_organizations_hours_are_previewed_and_what_instructions_say_besides(edge: Edge) -> None:
    http = await edge.client()
    body = {"at": "2026-03-06T12:00:00Z", "system_prompt": "Open Friday 9 to 5. Closed on Mondays."}
    shown = (await http.post("/api/hours/preview", json=body)).json()
    assert shown["is_open"] and not shown["has_hours"] and not shown["mentions"], "they are the only hours"
    await http.patch("/api/organization", json={"business_hours_json": {"weekly": {"fri": [["13:00", "17:00"]]}}})
    shown = (await http.post("/api/hours/preview", json=body)).json()
    assert shown["has_hours"] and not shown["is_open"] and shown["next_change_at"] == "2026-03-06T13:00:00Z"
    said = [{"text": "9 to 5", "is_same": False}, {"text": "Closed on Mondays", "is_same": True}]
    assert sorted(shown["mentions"], key=lambda each: each["text"]) == said


async def test_a_text_is_shown_as_the_carrier_bills_it(edge: Edge) -> None:
    http = await edge.client()
    plain = (await http.post("/api/sms/preview", json={"body": "x" * 161, "to_e164": "+13175550142"})).json()
    assert (plain["encoding"], plain["segments"], plain["characters"], plain["missing"]) == ("gsm_7", 2, 161, [])
    assert plain["cost"]["currency"] == "USD" and float(plain["cost"]["amount"]) > 0
    odd = (await http.post("/api/sms/preview", json={"body": "Grüße 😀 “so” {{"})).json()
    assert (odd["encoding"], odd["cost"]) == ("ucs_2", None)
    assert odd["unusual_characters"] == ["😀", "“", "”"]
    template = {"body": "Hi {{contact.first_name|there}}, {{org.name}}", "is_template": True}
    shown = (await http.post("/api/sms/preview", json=template)).json()
    assert (shown["body"], shown["missing"]) == ("Hi there, ", ["org.name"])
    for bad in (template | {"body": "{{nobody}}"}, {"body": ""}, {"body": "x" * 1601}, {"body": "x", "to_e164": "1"}):
        assert (await http.post("/api/sms/preview", json=bad)).status_code == 400
    unknown = {"body": "x", "conversation_id": "conv_00000000000000000000000000"}
    assert (await http.post("/api/sms/preview", json=unknown)).status_code == 404
