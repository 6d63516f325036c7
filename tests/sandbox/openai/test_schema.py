"""The schema filler: valid for every schema, and made of the caller's words."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.openai import schema
from tests.support.examples import examples

TRANSCRIPT = """\
agent: Hello, how can I help you?
caller: My name is Ada Lovelace. I need a plumber for 2 taps, please.
agent: What number can we reach you at?
caller: Call me at +1 415 555 0123. It is urgent.
"""
SUMMARY = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "key_points": {"type": "array", "items": {"type": "string"}, "maxItems": 20},
        "next_actions": {"type": "array", "items": {"type": "string"}},
        "label": {"type": "string"},
        "outcome": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "phone": {"type": "string"},
                "taps": {"type": "integer"},
                "urgent": {"type": "boolean"},
                "trade": {"enum": ["electrician", "plumber"]},
                "reason": {"type": ["string", "null"]},
            },
        },
    },
}


def test_a_summary_is_extracted_from_what_the_caller_said() -> None:
    assert schema.fill(SUMMARY, TRANSCRIPT) == {
        "text": "My name is Ada Lovelace. I need a plumber for 2 taps, please. Call me at +1 415 555 0123.",
        "key_points": [
            "My name is Ada Lovelace.",
            "I need a plumber for 2 taps, please.",
            "Call me at +1 415 555 0123.",
            "It is urgent.",
        ],
        "next_actions": ["I need a plumber for 2 taps, please.", "Call me at +1 415 555 0123."],
        "label": "callback",
        "outcome": {
            "name": "Ada Lovelace",
            "phone": "+1 415 555 0123",
            "taps": 2,
            "urgent": True,
            "trade": "plumber",
            "reason": "My name is Ada Lovelace.",
        },
    }


def strings() -> st.SearchStrategy[dict[str, Any]]:
    low = st.integers(0, 30)
    bounded = st.tuples(low, low).map(lambda ends: {"type": "string", "minLength": min(ends), "maxLength": max(ends)})
    formats = st.sampled_from(sorted(schema.FORMATS)).map(lambda name: {"type": "string", "format": name})
    return st.one_of(st.just({"type": "string"}), bounded, formats, st.just({"type": "string", "pattern": "^[a-z]+$"}))


def numbers() -> st.SearchStrategy[dict[str, Any]]:
    ends = st.tuples(st.integers(-50, 50), st.integers(-50, 50))
    bounded = st.tuples(st.sampled_from(["integer", "number"]), ends).map(
        lambda drawn: {"type": drawn[0], "minimum": min(drawn[1]), "maximum": max(drawn[1])}
    )
    exclusive = st.integers(-50, 50).map(lambda low: {"type": "integer", "exclusiveMinimum": low})
    steps = st.integers(1, 7).map(lambda step: {"type": "integer", "multipleOf": step, "minimum": 3})
    return st.one_of(bounded, exclusive, steps)


def leaves() -> st.SearchStrategy[dict[str, Any]]:
    choices = st.lists(st.one_of(st.text(max_size=5), st.integers(), st.none()), min_size=1, max_size=3)
    plain = st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"type": ["null", "string"]}, {"const": 7}, {}])
    return st.one_of(strings(), numbers(), plain, choices.map(lambda values: {"enum": values}))


def nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["name", "text", "next_actions", "label", "is_urgent", "count"])
    objects = st.dictionaries(names, inner, max_size=4).map(
        lambda parts: {
            "type": "object",
            "properties": parts,
            "required": sorted(parts),
            "additionalProperties": False,
        }
    )
    arrays = st.tuples(inner, st.integers(0, 3), st.integers(3, 5)).map(
        lambda drawn: {"type": "array", "items": drawn[0], "minItems": drawn[1], "maxItems": drawn[2]}
    )
    either = st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"anyOf": parts})
    return st.one_of(objects, arrays, either)


@settings(max_examples=examples(150), deadline=None)
@given(
    wanted=st.recursive(leaves(), nested, max_leaves=8), text=st.sampled_from([TRANSCRIPT, "", "No.", "caller: 12!"])
)
def test_what_is_filled_in_is_valid(wanted: dict[str, Any], text: str) -> None:
    filled = schema.fill(wanted, text)
    jsonschema.Draft202012Validator(wanted, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER).validate(
        filled
    )


def test_definitions_are_followed() -> None:
    wanted = {
        "$defs": {"who": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
        "allOf": [{"properties": {"caller": {"$ref": "#/$defs/who"}}, "required": ["caller"]}],
        "type": "object",
    }
    assert schema.fill(wanted, TRANSCRIPT) == {"caller": {"name": "Ada Lovelace"}}


def test_a_schema_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="deep"):
        schema.fill({"type": "object", "properties": {"again": {"$ref": "#"}}}, "")
