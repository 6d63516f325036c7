"""A described clinic over REST: its breaks, closed days and colleagues, and what the model left out."""

from tests.contract.conftest import Edge
from tests.contract.test_studio import limits, made, model, plane, proposed

CLINIC = "Lakeside Dental is open 8am to 12pm and 1pm to 5pm, Monday to Friday, closed December 25 and 12/26. Dr. Lee: 317-555-0188"


async def test_a_clinic_has_what_was_said_of_it_and_the_rest_is_told(edge: Edge) -> None:
    http = await edge.client()
    described = await proposed(http, description=CLINIC)
    hours = described["flow"]["business_hours_json"]
    assert hours["weekly"]["fri"] == [["08:00", "12:00"], ["13:00", "17:00"]] and "sat" not in hours["weekly"]
    assert [day[4:] for day in hours["holidays"]] == ["-12-25"]
    assert described["flow"]["transfer_map_json"] == {"Dr. Lee": "+13175550188"}
    fields = {"name", "channel", "system_prompt", "business_hours_json", "transfer_map_json"}
    flow = await made(http, "/api/flows", {name: described["flow"][name] for name in fields})
    stored = (await http.get(f"/api/flows/{flow['id']}")).json()
    assert stored["business_hours_json"] == hours and stored["transfer_map_json"] == {"Dr. Lee": "+13175550188"}
    assert described["omissions"] == [{"kind": "day", "text": "12/26"}], "the model did not read it"
    await http.patch("/api/organization", json={"business_hours_json": hours})
    again = await proposed(http, description=CLINIC)
    assert again["flow"]["business_hours_json"] is None and again["omissions"] == described["omissions"]
    assert len(again["left_out"]) == 1 and "organization's" in again["left_out"][0]


__all__ = ["limits", "model", "plane"]
