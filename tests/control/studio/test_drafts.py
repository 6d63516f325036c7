"""What a proposal may have: whatever the model writes."""

import json
import re
from dataclasses import replace
from datetime import date
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
    date(2026, 12, 2),
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


def test_hours_keep_their_spans_and_closed_days() -> None:
    weekly = {"mon": [["08:00", "12:00"], ["13:00", "17:00"]], "sat": []}
    closed = ["2026-12-25", "2026-12-24", "2026-12-25"]
    draft = drafted(business_hours={"weekly": weekly, "holidays": closed})
    assert json.loads(draft.flow.business_hours_json) == {
        "weekly": {"mon": [["08:00", "12:00"], ["13:00", "17:00"]]},
        "holidays": ["2026-12-24", "2026-12-25"],
    }
    odd: Any
    for odd in (None, 1, "2026-12-25", [1], {}, []):
        hours = drafted(business_hours={"weekly": weekly, "holidays": odd}).flow.business_hours_json
        assert "holidays" not in json.loads(hours)


def test_hours_of_the_organization_are_not_copied() -> None:
    monday = {"weekly": {"mon": [["08:00", "12:00"], ["13:00", "17:00"]]}}
    draft = drafted(business_hours={**monday, "holidays": ["2026-12-25"]})
    more = ["2026-12-25", "2027-01-01"]
    follows = drafts.following(draft, json.dumps({**monday, "holidays": more, "time_zone": "UTC"}), "UTC")
    assert not follows.flow.HasField("business_hours_json") and follows.left_out == [drafts.FOLLOWS]
    assert draft.flow.HasField("business_hours_json")
    for other in (None, {**monday, "time_zone": "Europe/Berlin"}, monday, {"weekly": {"tue": [["08:00", "12:00"]]}}):
        assert drafts.following(draft, json.dumps(other) if other else None, "UTC") is draft
    assert drafts.following(drafted(), json.dumps(monday), "UTC").left_out == []


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


@pytest.mark.parametrize(
    ("described", "e164", "is_same"),
    [
        ("(317) 555-0142", "+13175550142", True),
        ("1 317 555 0142", "+1 317 555 0142", True),
        ("317 555 0142", "+3175550142", False),
        ("+1 317 555 0142", "+3175550142", False),
        ("+1 317 555 0142", "+13175550142", True),
        ("+1 317 555 0142", "+43175550142", False),
        ("555-0142", "+19005550142", False),
        ("000-0000", "+19005550199", False),
        ("000 00 00 12", "+19005550112", False),
        ("0170 1234567", "+491701234567", True),
        ("0049 170 1234567", "+491701234567", True),
        ("+49 (0)170 1234567", "+491701234567", True),
        ("49 170 1234567", "+491701234567", True),
        ("06 12345678", "+390612345678", True),
        ("06 12345678", "+39612345678", False),
        ("8 (495) 123-45-67", "+74951234567", True),
        ("138 1234 5678", "+8613812345678", True),
    ],
)
def test_a_transfer_goes_to_the_number_that_the_description_writes_in_some_form(
    described: str, e164: str, is_same: bool
) -> None:
    draft = drafted(replace(REQUEST, description=described), transfers=[{"label": "a", "phone_e164": e164}])
    assert draft.flow.HasField("transfer_map_json") is is_same
    assert bool(draft.left_out) is not is_same


@pytest.mark.parametrize(
    ("source", "text", "is_made_up"),
    [
        ("+49 170 1234567", "0170 1234567", False),
        ("+49 170 1234567", "0043 170 1234567", True),
        ("+39 06 12345678", "06 12345678", False),
        ("0170 1234567", "+49 (0)170 1234567", False),
        ("(317) 555-0142", "1-317-555-0142", False),
        ("1-317-555-0142", "317-555-0142", False),
        ("(317) 555-0142", "555-0142", False),
        ("555-0142", "900-555-0142", True),
        ("0000000", "900-555-0142", True),
    ],
)
def test_a_number_of_a_text_is_one_of_the_sources_in_some_form(source: str, text: str, is_made_up: bool) -> None:
    assert bool(drafted(replace(REQUEST, page=source, description=""), system_prompt=text).problems) is is_made_up


@pytest.mark.parametrize(
    ("text", "made_up"),
    [
        ("A@PIPES.example, a@pipes.example.", ""),
        ("a@pipes.example+evil@evil.example", "pipes.example+evil@evil.example"),
        ("x@@evil@evil.example", "evil@evil.example"),
        ("first.last+tag@mail.evil-1.example!", "first.last+tag@mail.evil-1.example"),
        ("Write: -a@pipes.example, ...a@pipes.example", ""),
        ("no@address a@ @b.example", ""),
    ],
)
def test_an_e_mail_address_is_found_whatever_is_around_it(text: str, made_up: str) -> None:
    found = [each.reason.partition(": ")[2] for each in drafted(system_prompt=text).problems]
    assert found == ([made_up] if made_up else [])


@pytest.mark.parametrize("near", ["a" * 12_000, "a." * 6_000, "a" * 6_000 + "@" + "a" * 6_000])
def test_an_address_begins_only_where_a_run_of_characters_does(near: str) -> None:
    """Tried from each character to the end of the run, a text would take the square of its length."""
    begins = re.compile(drafts._EMAIL.pattern.partition("@")[0])
    assert len(begins.findall(near)) == 1 + near.count("@")
    assert begins.match(near, 1) is None


@pytest.mark.parametrize(
    ("text", "is_made_up"),
    [
        ("https://pipes.example:8443/", False),
        ("www.shop.pipes.example.", False),
        ("https://a.shop.pipes.example", True),
        ("https://hop.pipes.example", True),
        ("https://pipes.example.evil.example", True),
        ("https://pipes.example:x@evil.example", True),
        ("https://evil.example\\@pipes.example", True),
        ("https://evil-pipes.example", True),
    ],
)
def test_a_host_is_the_pages_or_above_one_of_the_pages(text: str, is_made_up: bool) -> None:
    request = replace(REQUEST, page="See https://SHOP.pipes.example.")
    assert bool(drafted(request, system_prompt=text).problems) is is_made_up


@pytest.mark.parametrize("kind", ["+1317555{:04}", "n{}@pipes.example", "https://n{}.pipes.example/"])
def test_what_is_compared_with_the_page_is_counted_first(kind: str) -> None:
    """A page may tell the model to list thousands, each of which would be compared with the whole page."""
    few = ", ".join(kind.format(number) for number in range(drafts.MOST_NAMED))
    many = f"{few}, {kind.format(drafts.MOST_NAMED)}"
    request = replace(REQUEST, page=many)
    assert drafted(request, system_prompt=f"{few}; {few}").problems == [], "each counts once"
    (problem,) = drafted(request, system_prompt=many).problems
    assert problem.reason.startswith("names more than 50")


def test_the_schema_has_what_a_channel_has() -> None:
    assert {"voice", "greeting", "transfers"} <= drafts.schema(VOICE, ["ash"])["properties"].keys()
    assert not {"voice", "greeting", "transfers"} & drafts.schema(SMS, ["ash"])["properties"].keys()


def test_an_e_mail_address_is_not_the_end_or_the_beginning_of_another() -> None:
    request = replace(REQUEST, page="ann.a@pipes.example or b@pipes.example.org")
    assert [
        each.reason.partition(": ")[2]
        for each in drafted(request, system_prompt="a@pipes.example b@pipes.example").problems
    ] == ["a@pipes.example, b@pipes.example"]


def test_the_organizations_name_may_look_like_a_number() -> None:
    greeting = "You have reached Cabs 317-555-0177."
    (problem,) = drafted(greeting=greeting).problems
    assert "317" in problem.reason
    assert not drafted(replace(REQUEST, organization="Cabs 317-555-0177"), greeting=greeting).problems
