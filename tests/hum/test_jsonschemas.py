"""The schemas of free-form fields: what a client may write, and that whatever is let in makes a call."""

import json
import re
from typing import Any
from unittest.mock import Mock

import pytest
from google.protobuf.descriptor import Descriptor
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway import contract
from hum.contract import validation
from hum.json import budget, names
from hum.json import schemas as jsonschemas
from hum.settings import MediaSettings
from hum.v1 import flows_pb2, runtime_pb2
from media.plan import plan_of
from tests.support.work import calls

FLOW = "flow_01HVN5J8Q0ZR4TB8M3C2Y7K6WD"


def said(name: str, value: object) -> dict[str, str]:
    return dict(jsonschemas.problems(name, json.dumps(value)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("business_hours", {"weekly": {"mon": [["09:00", "12:00"], ["13:00", "17:00"]], "fri": [["22:00", "06:00"]]}}),
        ("business_hours", {"weekly": {"mon": [["00:00", "24:00"]]}, "holidays": ["2026-12-25"], "time_zone": "UTC"}),
        ("business_hours", {"weekly": {"mon": []}}),
        ("turn_config", {}),
        ("idle_prompts", {"8": "Hello?", "16.5": "Are you there?"}),
        ("tools", [{"name": "look_up", "kind": "http", "url": "https://x.example"}]),
        ("transfer_map", {"billing": "+13175551235", "sales": FLOW}),
        ("route_tags", {"vip": FLOW}),
        ("outcome_schema", {"properties": {"a": {"$ref": "#/$defs/b~1c"}}, "$defs": {"b/c": {"type": "string"}}}),
        ("sms_config", {"max_reply_chars": 1600, "debounce_ms": 1500, "fallback_message": "We'll get back to you."}),
        ("attributes", {"customer": {"number": 4711}}),
        ("business_identity", {}),
        ("keyword_texts", {"help": "Call us."}),
    ],
)
def test_what_is_meant_is_taken(name: str, value: object) -> None:
    assert said(name, value) == {}


DEEP: dict[str, Any] = {"type": "object", "$defs": {"d0": {"type": "string"}}}
for _n in range(40):
    DEEP["$defs"][f"d{_n + 1}"] = {"allOf": [{"$ref": f"#/$defs/d{_n}"}, {"$ref": f"#/$defs/d{_n}"}]}
DEEP["allOf"] = [{"$ref": "#/$defs/d40"}]


@pytest.mark.parametrize(
    ("name", "value", "at", "reason"),
    [
        ("business_hours", {}, "", "'weekly' is a required property"),
        ("business_hours", {"weekly": {}}, ".weekly", "should be non-empty"),
        ("business_hours", [], "", "is not of type 'object'"),
        ("business_hours", {"weekly": {"monday": []}}, ".weekly", "'monday' is not one of"),
        (
            "business_hours",
            {"weekly": {"mon": [["09:00", "09:00"]]}},
            ".weekly.mon",
            "opens and closes at the same time",
        ),
        ("business_hours", {"weekly": {"mon": [["24:00", "07:16"]]}}, ".weekly.mon", "opens at 24:00"),
        ("keyword_texts", {"help": "\0 call us"}, "", "NUL"),
        ("keyword_texts", {"help": "cut \ud83d"}, "", "surrogate"),
        ("attributes", {"of": [{"a \ud83d": 1}]}, "", "surrogate"),
        (
            "business_hours",
            {"weekly": {"mon": [["09:00", "12:00"], ["11:00", "17:00"]]}},
            ".weekly.mon",
            "overlap",
        ),
        ("business_hours", {"weekly": {"mon": [["9:00", "12:00"]]}}, ".weekly.mon[0][0]", "must be a time"),
        ("business_hours", {"weekly": {"mon": [["09:00\n", "12:00"]]}}, ".weekly.mon[0][0]", "must be a time"),
        ("business_hours", {"weekly": {"mon": [["09:00"]]}}, ".weekly.mon[0]", "is too short"),
        ("business_hours", {"weekly": {}, "holidays": ["25.12.2026"]}, ".holidays[0]", "is not a date"),
        ("business_hours", {"weekly": {}, "time_zone": "Mars"}, ".time_zone", "is not a time zone"),
        ("business_hours", {"weekly": {}, "time_zone": "localtime"}, ".time_zone", "is not a time zone"),
        ("business_hours", {"weekly": {}, "days": 1}, "", "'days' was unexpected"),
        ("turn_config", {"cut_after_ms": 350.0}, ".cut_after_ms", "is not of type 'integer'"),
        ("turn_config", {"cut_after_ms": 99}, ".cut_after_ms", "is less than"),
        ("turn_config", {"eagerness": "very"}, ".eagerness", "is not one of"),
        ("turn_config", {"x": 1}, "", "'x' was unexpected"),
        ("idle_prompts", [[1]], "", "is not of type 'object'"),
        ("idle_prompts", {"abc": "x"}, "", "must be seconds"),
        ("idle_prompts", {"8.0": "x"}, "", "must be seconds"),
        ("idle_prompts", {"0": "x"}, "", "must be seconds"),
        ("idle_prompts", {"8\n": "x"}, "", "must be seconds"),
        ("transfer_map", {"billing": "+13175550142\n"}, ".billing", "must be a phone number"),
        ("tools", [{"name": "a\n"}], "[0].name", "must be letters"),
        ("idle_prompts", {"8": 1}, '["8"]', "is not of type 'string'"),
        ("tools", {"a": 1}, "", "is not of type 'array'"),
        ("tools", [{"name": "a b"}], "[0].name", "must be letters"),
        ("transfer_map", {"billing": "317"}, ".billing", "must be a phone number"),
        ("route_tags", {"vip": "call_01HVN5J8Q0ZR4TB8M3C2Y7K6WD"}, ".vip", "must be the id of a flow"),
        ("outcome_schema", {"type": "array"}, ".type", "'object' was expected"),
        ("outcome_schema", {"type": 7}, "", "is not a JSON Schema"),
        ("outcome_schema", {"$ref": "http://127.0.0.1/x"}, "", "which is not in it"),
        ("outcome_schema", {"$ref": "%23/$defs/a", "$defs": {"a": {}}}, "", "which is not in it"),
        ("outcome_schema", {"$ref": "#%2F$defs/a", "$defs": {"a": {}}}, "", "which is not in it"),
        ("outcome_schema", {"$ref": "#/title", "title": "x"}, "", "where no schema is"),
        ("outcome_schema", {"$ref": "#"}, "", "refers to itself"),
        ("outcome_schema", {"properties": {"a": {"anyOf": [{"$ref": "#"}]}}}, "", "refers to itself"),
        ("outcome_schema", DEEP, "", "too big"),
        ("outcome_schema", {"patternProperties": {"(a+)+$": {}}}, "", "patternProperties"),
        ("sms_config", {"max_reply_chars": 0}, ".max_reply_chars", "is less than"),
        ("attributes", [1], "", "is not of type 'object'"),
    ],
)
def test_what_is_not_says_where_and_why(name: str, value: object, at: str, reason: str) -> None:
    found = said(name, value)
    assert at in found and reason in found[at], found


def test_a_name_that_comes_twice_is_refused() -> None:
    assert jsonschemas.problems("turn_config", '{"cut_after_ms": "x", "cut_after_ms": 350}') == (
        ("", "has 'cut_after_ms' twice in one object"),
    )


def fields(descriptor: Descriptor) -> list[str]:
    """The free-form fields that clients write, and that no schema is named for."""
    return [
        field.full_name
        for field in descriptor.fields
        if names.is_raw_json(field)
        and not names.is_read_only(field)
        and field.name not in jsonschemas.of_fields(descriptor)
    ]


def test_every_field_that_is_written_has_a_schema_and_each_schema_a_field() -> None:
    waiting = [binding.body_type for binding in contract.bindings() if binding.body_type is not None]
    seen, named, without = set[str](), set[str](), list[str]()
    while waiting:
        descriptor = waiting.pop()
        if descriptor.full_name in seen:
            continue
        seen.add(descriptor.full_name)
        named |= set(jsonschemas.of_fields(descriptor).values())
        without += fields(descriptor)
        waiting += [inner for field in descriptor.fields if (inner := names.message_type(field)) is not None]
    assert without == []
    assert named == set(jsonschemas.names())


def test_schemas_are_schemas_and_their_examples_are_taken() -> None:
    for name in jsonschemas.names():
        schema = jsonschemas.schema(name)
        Draft202012Validator.check_schema(schema)
        assert schema["title"] and schema["description"] and schema["type"]
        assert [said(name, example) for example in schema["examples"]] == [{}] * len(schema["examples"])


def test_a_request_names_the_place_in_the_value() -> None:
    flow = flows_pb2.Flow(name="F", idle_prompts_json="[[1]]", business_hours_json='{"weekly":{"mon":[["9","17:00"]]}}')
    found = dict(validation.check(flows_pb2.CreateFlowRequest(flow=flow)))
    assert found.keys() == {"flow.idle_prompts_json", "flow.business_hours_json.weekly.mon[0][0]"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
turn_configs = st.dictionaries(
    st.sampled_from(["interruptible", "protect_announcement", "cut_after_ms", "resume_after_ms", "eagerness", "x"]),
    st.booleans() | st.integers(0, 6000) | st.floats(0, 6000) | st.sampled_from(["low", "high", "never"]),
)
prompts = st.dictionaries(
    st.from_regex(r"[0-9]{1,5}(\.[0-9]{1,3})?", fullmatch=True) | st.text(max_size=4), st.text() | st.integers()
)


@given(json_values | turn_configs, json_values | prompts)
def test_what_is_taken_makes_a_call(turns: object, idle: object) -> None:
    """The media plane can read whatever the schemas let in."""
    session = runtime_pb2.OpenSessionResponse()
    for name, value in (("turn_config", turns), ("idle_prompts", idle)):
        text = json.dumps(value)
        if not jsonschemas.problems(name, text):
            setattr(session, f"{name}_json", text)
    plan = plan_of(session, MediaSettings())
    assert all(gap > 0 for gap in plan.silences.idle_gaps_ms)


@given(json_values)
def test_any_value_gets_a_verdict(value: object) -> None:
    for name in jsonschemas.names():
        assert isinstance(said(name, value), dict)


def test_a_tools_name_holds_what_the_database_can() -> None:
    assert said("mcp_tool_names", ["find_order", "Søk & finn"]) == {}
    assert said("mcp_tool_names", ["find\0order"]) != {}


# --- what a client may cost ---------------------------------------------------------------------------------------


def of(a: object) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": a}}


@pytest.mark.parametrize(
    "pattern",
    ["(?i)" + "[!-\ud7a3]" * 10, "a{99999999999999999999}", "(" * 600 + ")" * 600, "[", "(?L)a"],
    ids=["classes", "repetitions", "groups", "open", "flag"],
)
def test_no_pattern_of_a_customers_schema_is_compiled(monkeypatch: pytest.MonkeyPatch, pattern: str) -> None:
    compile = Mock(wraps=re.compile)
    monkeypatch.setattr(re, "compile", compile)
    assert said("outcome_schema", of({"pattern": pattern})) == {}
    assert pattern not in [call.args[0] for call in compile.call_args_list]


@pytest.mark.parametrize(
    ("name", "value", "most_calls"),
    [
        ("outcome_schema", of({"type": ["x", *range(600)]}), 20_000),
        ("outcome_schema", {"type": "object", "properties": dict.fromkeys(map(str, range(3_000)), True)}, 600_000),
        ("mcp_tool_names", ["x", *range(600)], 20_000),
        ("mcp_tool_names", list(map(str, range(3_000))), 20_000),
        ("tools", [{"name": "a"}] * 2_000, 50_000),
    ],
    ids=["mixed types", "booleans", "mixed items", "many items", "many tools"],
)
def test_what_is_refused_in_the_end_costs_little(name: str, value: object, most_calls: int) -> None:
    text = json.dumps(value)
    jsonschemas.problems(name, json.dumps(jsonschemas.schema(name)["examples"][0]))  # makes the validators
    assert calls(lambda: jsonschemas.problems(name, text)) < most_calls


def test_a_value_beyond_the_budget_is_a_problem_and_the_biggest_schema_is_not() -> None:
    assert said("tool_body", [1] * 21_000) == {"": "is too big to be checked"}
    part = {"type": "string", "maxLength": 2}
    assert said("outcome_schema", {"type": "object", "properties": dict.fromkeys(map(str, range(990)), part)}) == {}


REFERS, EXAMPLES = of({"$ref": "#/examples/0"}), {"examples": [{"maxItems": "x"}]}


@pytest.mark.parametrize("schema", [REFERS | EXAMPLES, EXAMPLES | REFERS], ids=["reference first", "example first"])
def test_where_a_reference_leads_to_is_a_schema(schema: dict[str, Any]) -> None:
    found = said("outcome_schema", schema)
    assert found == {"": "is not a JSON Schema: 'x' is not of type 'integer'"}


WORDS = st.sampled_from(sorted(jsonschemas._flat_metaschema()["properties"]))
words_of_schemas: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([True, False, None, 0, -1, 1.5, 2.0, "object", "a", "#", [], {}, ["a", "a"], ["object", "null"]]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.sampled_from("ab"), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(WORDS, words_of_schemas, min_size=1, max_size=3))
def test_a_schema_is_one_by_the_flat_metaschema_and_by_the_librarys(schema: dict[str, Any]) -> None:
    with budget.limit(1_000_000):
        is_one = jsonschemas._metaschema_validator().is_valid(schema)
    assert is_one == Draft202012Validator(Draft202012Validator.META_SCHEMA).is_valid(schema)
