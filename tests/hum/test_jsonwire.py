"""Golden answers for each pitfall between messages and REST's JSON."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from hum.contract import wire
from hum.contract.errors import FieldError
from hum.contract.wire import NotJson
from hum.json import names
from hum.v1 import calls_pb2, contacts_pb2, flows_pb2, identity_pb2, numbers_pb2


def read(text: str, into: Message) -> list[FieldError]:
    problems: list[FieldError] = []
    wire.read_body(text.encode(), into, problems)
    return problems


def test_zero_values_and_nulls_are_written() -> None:
    number = numbers_pb2.Number(id="01HVN", e164="+13175550100")
    assert json.loads(wire.write(number)) == {
        "id": "01HVN",
        "e164": "+13175550100",
        "friendly_name": None,
        "flow_id": None,
        "sms_flow_id": None,
        "sms_enabled": False,
        "missed_call_text": None,
        "capabilities": None,
        "status": None,
        "created_at": None,
    }


def test_names_enums_and_times() -> None:
    call = calls_pb2.Call(id="call_1", status=calls_pb2.CALL_STATUS_IN_PROGRESS, from_e164="+1", to_e164="+2")
    call.created_at.FromDatetime(datetime(2026, 2, 1, 9, 0, 0, 120_000, tzinfo=UTC))
    written = json.loads(wire.write(call))
    assert (written["from"], written["to"], written["status"]) == ("+1", "+2", "in_progress")
    assert written["created_at"] == "2026-02-01T09:00:00.120Z"
    assert "from_e164" not in written
    assert written["tags"] == []


def test_large_numbers_stay_numbers() -> None:
    event = calls_pb2.StreamCallResponse(seq=9_007_199_254_740_993)
    assert b'"seq":9007199254740993' in wire.write(event)


@pytest.mark.parametrize(
    "raw",
    [
        '{"b": 1, "a": [1.50, 1e400, 12345678901234567890123]}',
        "[ ]",
        '{"a":{"a":{"a":null}}, "a": 2}',
        '{"emoji": "\U0001f600", "escape": "\\ud83d\\ude00"}',
    ],
)
def test_free_form_json_is_untouched(raw: str) -> None:
    flow = flows_pb2.Flow()
    assert read(f'{{"tools_json": {raw}}}', flow) == []
    assert flow.tools_json == raw
    assert f'"tools_json":{raw}'.encode() in wire.write(flow)
    as_string = flows_pb2.Flow()
    assert read(json.dumps({"tools_json": raw}), as_string) == []
    assert as_string.tools_json == raw


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("false", False), ("1", True), ("0", False), ("null", False)],
)
def test_flags(value: str, expected: bool) -> None:
    flow = flows_pb2.Flow(voicemail_enabled=False)
    assert read(f'{{"voicemail_enabled": {value}}}', flow) == []
    assert flow.voicemail_enabled is expected


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ('"voicemail_enabled": 2', "must be true or false"),
        ('"voicemail_enabled": "yes"', "must be true or false"),
        ('"voicemail_enabled": "true"', "must be true or false"),
        ('"voicemail_enabled": "0"', "must be true or false"),
        ('"voicemail_enabled": 1.0', "must be true or false"),
        ('"max_call_seconds": "60"', "must be a whole number"),
        ('"max_call_seconds": 1.5', "must be a whole number"),
        ('"max_call_seconds": true', "must be a whole number"),
        ('"max_call_seconds": 99999999999', "must be between -2147483648 and 2147483647"),
        ('"name": 5', "must be a string"),
        ('"channel": "fax"', "must be one of voice, sms"),
        ('"channel": 1', "must be one of voice, sms"),
        ('"channel": "CHANNEL_VOICE"', "must be one of voice, sms"),
        ('"filler_phrases": "um"', "must be a list"),
        ('"tools_json": 7', "must be an object, an array, or a string that holds one"),
        ('"version": 3', "is read-only"),
        ('"Name": "x"', "is not a field"),
    ],
)
def test_bad_members_are_named(member: str, reason: str) -> None:
    field = member.partition(":")[0].strip('"')
    assert read(f"{{{member}}}", flows_pb2.Flow()) == [FieldError(field, reason)]


def test_a_whole_float_is_a_whole_number() -> None:
    flow = flows_pb2.Flow()
    assert read('{"max_call_seconds": 60.0}', flow) == []
    assert flow.max_call_seconds == 60


def test_all_problems_come_at_once_and_good_members_are_read() -> None:
    flow = flows_pb2.Flow()
    problems = read('{"name": "ok", "channel": 3, "nonsense": {}, "filler_phrases": ["a", 1, null]}', flow)
    assert [each.field for each in problems] == ["channel", "nonsense", "filler_phrases[1]", "filler_phrases[2]"]
    assert flow.name == "ok"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{'a': 1}", '{"a": NaN}', "{}{}"])
def test_what_is_no_object(text: str) -> None:
    with pytest.raises(NotJson):
        read(text, flows_pb2.Flow())


@pytest.mark.parametrize("text", ["2026-02-01T09:00:00Z", "2026-02-01T10:00:00+01:00", "2026-02-01T09:00:00.000000Z"])
def test_times_that_are_read(text: str) -> None:
    key = identity_pb2.ApiKey()
    assert read(f'{{"expires_at": "{text}"}}', key) == []
    assert key.expires_at.ToJsonString() == "2026-02-01T09:00:00Z"


@pytest.mark.parametrize(
    "value", ['"2026-02-01"', '"tomorrow"', "5", '"2026-02-30T00:00:00Z"', '"2026-02-01T09:00:00"']
)
def test_times_that_are_not(value: str) -> None:
    (problem,) = read(f'{{"expires_at": {value}}}', identity_pb2.ApiKey())
    assert problem.field == "expires_at"


def test_queries() -> None:
    request, problems = calls_pb2.ListCallsRequest(), list[FieldError]()
    fields = {names.rest_name(field): field for field in request.DESCRIPTOR.fields}
    for name, values in {
        "limit": ["5"],
        "status": ["busy"],
        "created_from": ["2026-01-01T00:00:00Z"],
        "q": ["a b"],
    }.items():
        wire.read_query(fields[name], values, request, problems)
    assert problems == []
    assert (request.limit, request.status, request.q, request.created_from.seconds) == (
        5,
        calls_pb2.CALL_STATUS_BUSY,
        "a b",
        1767225600,
    )
    for name, values in {"limit": ["-"], "status": ["asleep"], "q": ["a", "b"], "created_to": ["x"]}.items():
        wire.read_query(fields[name], values, request, problems)
    assert [each.field for each in problems] == ["limit", "status", "q", "created_to"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from([names.rest_name(field) for field in flows_pb2.Flow.DESCRIPTOR.fields])


@given(st.dictionaries(NAMES | st.text(max_size=8), JSON, max_size=8))
def test_no_object_breaks_the_reader(body: dict[str, Any]) -> None:
    flow = flows_pb2.Flow()
    problems = read(json.dumps(body), flow)
    assert all(any(each.field.startswith(name) for name in body) for each in problems)


@given(st.binary(max_size=60))
def test_no_bytes_break_the_reader(body: bytes) -> None:
    try:
        wire.read_body(body, flows_pb2.Flow(), [])
    except NotJson:
        pass


@given(
    st.text(),
    st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=4),
    st.sampled_from([None, 2, "\r", "\n\n"]),
)
def test_what_is_written_is_one_line(text: str, attributes: dict[str, str], indent: Any) -> None:
    """Lines of exports and of event streams end with a line break: what people write must not end one."""
    raw = json.dumps(attributes, indent=indent)
    contact = contacts_pb2.Contact(name=text.encode(errors="replace").decode(), attributes_json=raw)
    written = wire.write(contact)
    assert b"\n" not in written and b"\r" not in written
    assert json.loads(written)["attributes_json"] == attributes
