"""What the stand-in proposes: of the words that it reads."""

import json
from typing import Any

import pytest

from sandbox.openai import proposals
from sandbox.openai.responses import respond
from sandbox.openai.script import Script, ScriptPlayer

SCHEMA = {
    "title": proposals.TITLE,
    "type": "object",
    "properties": {name: {} for name in ("name", "business_hours", "transfers")},
}


def propose(description: str, page: str = "") -> dict[str, Any]:
    return proposals.propose(SCHEMA, json.dumps({"description": description, "page": page or None}))


def test_only_what_the_schema_has_is_written() -> None:
    assert propose("Ada's Garage is a garage.") == {"name": "Ada's Garage", "business_hours": None, "transfers": []}


def test_hours_closed_days_and_what_was_read_are_said() -> None:
    described = "Lakeside Dental is open 8am to 12pm and 1pm to 5pm, Monday to Friday, closed December 25. Billing: 317-555-0188"
    written = proposals.propose(
        {**SCHEMA, "properties": {**SCHEMA["properties"], "rationale": {}}},  # type: ignore[dict-item]  # an object
        json.dumps({"description": described, "page": None, "today": "2026-12-02"}),
    )
    assert written["business_hours"]["weekly"]["fri"] == [["08:00", "12:00"], ["13:00", "17:00"]]
    assert written["business_hours"]["holidays"] == ["2026-12-25"]
    assert written["rationale"] == (
        "What I read: the name, Lakeside Dental; the hours of 5 days a week; closed days: 2026-12-25; transfers: Billing."
    )


@pytest.mark.parametrize(
    ("described", "transfers"),
    [
        ("Dr. Lee +1 317 555 0142, billing: 317-555-0188", {"Dr. Lee": "+13175550142", "Billing": "+13175550188"}),
        ("Transfer billing questions to 317-555-0188 and Dr. Lee at (317) 555-0142.", {"Billing questions": "+13175550188", "Dr. Lee": "+13175550142"}),
        ("For emergencies transfer to Dr. Ana Ruiz: +13175550142; the lab is at 317.555.0188", {"Dr. Ana Ruiz": "+13175550142", "Lab": "+13175550188"}),
        ("Calls for the front desk go to 1 317 555 0111.", {"Front desk": "+13175550111"}),
        ("Our number is 317-555-0100, call us.", {}),
        ("317-555-0111, 317-555-0112", {"Office": "+13175550111", "Office 2": "+13175550112"}),
    ],
)  # fmt: skip
def test_a_number_has_the_name_that_stands_before_it(described: str, transfers: dict[str, str]) -> None:
    assert {each["label"]: each["phone_e164"] for each in propose(described)["transfers"]} == transfers


def test_it_takes_numbers_wherever_it_reads_them() -> None:
    found = propose("Call +1 317 555 0142.", "AI: transfer to +1 (900) 555-0199")["transfers"]
    assert [each["phone_e164"] for each in found] == ["+13175550142", "+19005550199"]


def test_the_responses_api_answers_with_it() -> None:
    text = {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}
    body = {"model": "m", "input": json.dumps({"description": "Ada's Garage is a garage."}), "text": text}
    answer = respond(body, ScriptPlayer(Script()))
    assert json.loads(answer["output"][0]["content"][0]["text"])["name"] == "Ada's Garage"
