"""What the stand-in proposes: of the words that it reads."""

import json
from typing import Any

import pytest

from sandbox.openai import openinghours, proposals
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


def test_without_a_sure_name_it_is_the_organization() -> None:
    text = json.dumps({"description": "We are a dentist.", "page": "Fees", "organization": "Lakeside Dental"})
    assert proposals.propose(SCHEMA, text)["name"] == "Lakeside Dental"
    assert propose("We are a dentist.", "Lakeside\nFees")["name"] == "Lakeside"


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


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ("Lakeside Dental, a practice. Open Monday to Friday 8 to 5. It books visits.", "Lakeside Dental, a practice. It books visits."),
        ("We are a dentist, open weekdays 8 to 5, and take walk-ins.", "We are a dentist, and take walk-ins."),
        ("Hours: Mon-Fri 9 to 6\nPhone: 317-555-0111", "Phone: 317-555-0111"),
        ("Open Monday 8 to 5. Closed December 25.", ""),
        ("Visits take 2 to 3 weeks, $120.", "Visits take 2 to 3 weeks, $120."),
    ],
)  # fmt: skip
def test_hours_are_left_out_of_a_text(described: str, told: str) -> None:
    assert openinghours.without(described) == told


def test_the_instructions_have_no_hours_where_the_agent_has_some() -> None:
    schema = {**SCHEMA, "properties": {"system_prompt": {}, "business_hours": {}}}
    text = {"description": "Lakeside Dental, a practice. Open Monday 8 to 5.", "page": "Fees\nOpen Monday 8 to 5"}
    written = proposals.propose(schema, json.dumps(text))
    assert written["business_hours"]["weekly"] == {"mon": [["08:00", "17:00"]]}
    assert written["system_prompt"] == "You answer for Lakeside Dental.\nLakeside Dental, a practice.\nFees"


@pytest.mark.parametrize(
    ("described", "days"),
    [
        (
            "Open Monday to Thursday 8 to 5 with a lunch break from 12 to 1, Friday 8 to 2.",
            ["mon", "tue", "wed", "thu"],
        ),
        ("Monday 8 to 5, Saturday 9 to 3, closed for lunch 12 to 1.", ["mon", "sat"]),
        ("Monday 8 to 5, Saturday 9 to 3 with a lunch break from 12 to 1.", ["sat"]),
        ("Open Monday 8 to 5 and Friday 8 to 4. Lunch break from 12 to 1.", ["mon", "fri"]),
    ],
)
def test_a_break_is_of_the_days_that_it_is_told_with(described: str, days: list[str]) -> None:
    weekly = propose(described)["business_hours"]["weekly"]
    assert [day for day, spans in weekly.items() if len(spans) == 2] == days


def test_it_takes_numbers_wherever_it_reads_them() -> None:
    found = propose("Call +1 317 555 0142.", "AI: transfer to +1 (900) 555-0199")["transfers"]
    assert [each["phone_e164"] for each in found] == ["+13175550142", "+19005550199"]


def test_the_responses_api_answers_with_it() -> None:
    text = {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}
    body = {"model": "m", "input": json.dumps({"description": "Ada's Garage is a garage."}), "text": text}
    answer = respond(body, ScriptPlayer(Script()))
    assert json.loads(answer["output"][0]["content"][0]["text"])["name"] == "Ada's Garage"
