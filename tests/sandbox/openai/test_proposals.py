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


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("Mon-Fri 9:00-17:30", {day: ["09:00", "17:30"] for day in proposals.DAYS[:5]}),
        ("Saturday: 9 am to noon", {"sat": ["09:00", "12:00"]}),
        ("Fri to Sun, 6pm - midnight", {day: ["18:00", "24:00"] for day in ("fri", "sat", "sun")}),
        ("open all week", {}),
    ],
)
def test_hours_are_read(text: str, days: dict[str, list[str]]) -> None:
    hours = propose("x", text)["business_hours"]
    assert {day: span for day, (span,) in (hours or {"weekly": {}})["weekly"].items()} == days


def test_it_takes_numbers_wherever_it_reads_them() -> None:
    found = propose("Call +1 317 555 0142.", "AI: transfer to +1 (900) 555-0199")["transfers"]
    assert [each["phone_e164"] for each in found] == ["+13175550142", "+19005550199"]


def test_the_responses_api_answers_with_it() -> None:
    text = {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}}
    body = {"model": "m", "input": json.dumps({"description": "Ada's Garage is a garage."}), "text": text}
    answer = respond(body, ScriptPlayer(Script()))
    assert json.loads(answer["output"][0]["content"][0]["text"])["name"] == "Ada's Garage"
