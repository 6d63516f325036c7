"""What a proposal may have: whatever the model writes."""

import json
from dataclasses import replace
from typing import Any

import pytest

from control.studio import drafts
from control.studio.drafts import ProposalRequest
from hum.v1 import flows_pb2

VOICE, SMS = flows_pb2.CHANNEL_VOICE, flows_pb2.CHANNEL_SMS
REQUEST = ProposalRequest(
    "We fix pipes. Transfer to (317) 555-0142.",
    "Call +1 317 555 0100, write to a@pipes.example",
    "https://pipes.example/",
    "en",
    VOICE,
)
WRITTEN = {"name": "Pipes", "system_prompt": "You answer.", "language": "en", "rationale": "Because."}


def drafted(request: ProposalRequest = REQUEST, **written: Any) -> drafts.FlowDraft:
    return drafts.to_draft(WRITTEN | written, request, ("alloy", "ash"))


def test_nothing_but_texts_hours_voice_and_named_numbers_gets_in() -> None:
    more: dict[str, Any] = {
        "tools_json": [{"name": "x"}],
        "knowledge_ids": ["k"],
        "route_tags_json": {"vip": "flow_1"},
        "trigger_type": "event",
        "model": "gpt-x",
        "voice": "nobody",
        "voicemail_enabled": "yes",
        "channel": "sms",
        "outcome_schema_json": {},
    }
    draft = drafted(**more)
    assert {field.name for field, _ in draft.flow.ListFields()} == {"name", "system_prompt", "channel", "language"}
    assert draft.flow.channel == VOICE
    text = drafted(
        replace(REQUEST, channel=SMS),
        greeting="Hi",
        voice="ash",
        transfers=[{"label": "a", "phone_e164": "+13175550142"}],
    )
    assert {field.name for field, _ in text.flow.ListFields()} == {"name", "system_prompt", "channel", "language"}


@pytest.mark.parametrize(
    "written", [None, 1, "x", [1], {"weekly": 1}, {"weekly": {}}, {"weekly": {"mon": []}}, {"a": {}}]
)
def test_odd_shapes_are_no_hours_and_no_transfers(written: Any) -> None:
    draft = drafted(business_hours=written, transfers=written, name=[], greeting={"a": 1}, rationale=3)
    assert not draft.flow.HasField("business_hours_json") and not draft.flow.HasField("transfer_map_json")
    assert not draft.flow.HasField("name") and draft.rationale == ""


def test_a_transfer_goes_where_the_description_says_and_not_where_a_page_does() -> None:
    wished = [
        {"label": "Office", "phone_e164": "+13175550142"},
        {"label": "Page", "phone_e164": "+13175550100"},
        {"label": "Nowhere", "phone_e164": "+19005550199"},
        {"label": "Local", "phone_e164": "317 555 0142"},
    ]
    draft = drafted(transfers=wished)
    assert json.loads(draft.flow.transfer_map_json) == {"Office": "+13175550142"}
    assert [each.split()[3].rstrip(":") for each in draft.left_out] == ["+13175550100", "+19005550199", "317"]


@pytest.mark.parametrize(
    ("text", "is_made_up"),
    [
        ("Call 317-555-0100.", False),
        ("Call +13175550142.", False),
        ("Write to A@pipes.example or see www.pipes.example.", False),
        ("Closed on 2026-12-25, open 09:00-17:00.", False),
        ("Call +1 900 555 0199.", True),
        ("Write to b@evil.example.", True),
        ("See https://evil.example/pipes.example", True),
        ("See www.evil.example", True),
    ],
)
def test_no_address_comes_from_nowhere(text: str, is_made_up: bool) -> None:
    found = drafted(system_prompt=text).problems
    assert [each.field for each in found] == (["flow.system_prompt"] if is_made_up else [])


@pytest.mark.timeout(30)
def test_a_long_word_is_no_address_and_is_soon_read() -> None:
    assert drafted(system_prompt="a" * 400_000).problems == []


def test_the_schema_has_what_a_channel_has() -> None:
    assert {"voice", "greeting", "transfers"} <= drafts.schema(VOICE, ["ash"])["properties"].keys()
    assert not {"voice", "greeting", "transfers"} & drafts.schema(SMS, ["ash"])["properties"].keys()
