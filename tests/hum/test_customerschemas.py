"""A customer's schema, and what the model makes of it, take a bounded time."""

import json
from typing import Any

import pytest

from hum.json import budget, customer_schemas, schemas


def messages(schema: dict[str, Any], value: Any) -> list[str]:
    assert schemas.problems("outcome_schema", json.dumps(schema)) == (), "only those are stored"
    return [error.message for error in customer_schemas.errors(schema, value)]


def of(a: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": a}, "required": ["a"]}


def test_what_fits_has_no_errors_and_what_does_not_has_some() -> None:
    schema = of({"type": "array", "items": {"enum": ["x", "y"]}, "uniqueItems": True})
    assert messages(schema, {"a": ["x", "y"]}) == []
    assert messages(schema, {"a": ["x", "x"]}) == ["it has the same item twice"]
    assert messages(schema, {"a": ["z"]}) == ["'z' is not one of ['x', 'y']"]
    assert messages(schema, {}) == ["'a' is a required property"]
    assert len(messages(schema, {"a": list(range(500))})) == customer_schemas.MAX_ERRORS


@pytest.mark.timeout(30)
def test_no_pattern_is_looked_for() -> None:
    schema = of({"type": "string", "pattern": "^(a+)+$"})
    assert messages(schema, {"a": "a" * 40 + "!"}) == []
    assert messages(schema, {"a": 1}) == ["1 is not of type 'string'"]


@pytest.mark.timeout(30)
def test_many_items_are_not_compared_with_each_other() -> None:
    schema = of({"type": "array", "uniqueItems": True})
    items: list[Any] = [{"number": number} for number in range(6_000)]
    assert messages(schema, {"a": items}) == []
    assert messages(schema, {"a": [*items, items[0]]}) == ["it has the same item twice"]


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("a", "value"),
    [
        ({"items": {"enum": list(range(-5_000, 1))}}, [0] * 10_000),
        ({"items": {"allOf": [{"type": "integer"}] * 400}}, list(range(10_000))),
        ({"items": {"anyOf": [*[{"type": "string"}] * 400, True]}}, list(range(10_000))),
        ({"unevaluatedItems": {"not": {"allOf": [{"type": "string"}] * 400}}}, list(range(10_000))),
    ],
    ids=["enum", "allOf", "anyOf", "unevaluatedItems"],
)
def test_a_big_value_by_a_big_schema_is_an_error(a: dict[str, Any], value: Any) -> None:
    assert messages(of(a), {"a": value}) == ["it is too big to be checked"]


NAMES = [f"n{number}" for number in range(60)]
REQUIRED: dict[str, Any] = {"required": NAMES}
for _ in range(20):
    REQUIRED = {"allOf": [REQUIRED]}


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    ("a", "value"),
    [
        ({"items": True, "unevaluatedItems": False}, [1] * 3_000),
        ({"contains": {"const": [[*range(3_000)]]}}, [1] * 1_000),
        ({"anyOf": [{"type": "string"}] * 300}, [[*range(10_000)]]),
        ({"allOf": [{"uniqueItems": True}] * 300}, [[*range(10_000)]]),
        ({"items": {"allOf": [{"enum": [[[*[0] * 400, n]] for n in range(20)]}] * 2}}, [[[*[0] * 400, 19]]] * 20),
        ({"items": {"$ref": "#/" + "/".join(["properties", "a", "not", "properties", "%41" * 3_000])}}, [1] * 2_000),
        ({"items": dict.fromkeys(map(str, range(3_000)), 0)}, [0] * 300),
        ({"items": {"dependentRequired": dict.fromkeys(NAMES, NAMES)}}, [dict.fromkeys(NAMES, 0)] * 20),
        ({"items": {"anyOf": [REQUIRED, True]}}, [{}] * 20),
        ({"allOf": [{"uniqueItems": True}] * 20}, [10**4_000 + number for number in range(10)]),
    ],
    ids=[
        "unevaluatedItems",
        "const",
        "messages",
        "uniqueItems",
        "enum",
        "long reference",
        "members that are no keywords",
        "dependentRequired",
        "errors",
        "digits",
    ],
)
def test_what_a_check_compares_or_quotes_counts(a: dict[str, Any], value: Any) -> None:
    schema = of({**a, "not": {"properties": {"A" * 3_000: {"type": "integer"}}, "type": "object"}})
    assert messages(schema, {"a": value}) == ["it is too big to be checked"]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("draft", ["draft/2020-12/schema", "draft-07/schema#", "draft-04/schema#"])
def test_a_part_that_names_a_draft_is_checked_like_the_others(monkeypatch: pytest.MonkeyPatch, draft: str) -> None:
    """The library would go on with that draft's own checks: search for the pattern, and fetch the reference."""
    fetched = list[object]()
    monkeypatch.setattr("urllib.request.urlopen", lambda url, *_: fetched.append(url))
    for base in ("https://json-schema.org/", "http://json-schema.org/"):
        named = {"$schema": f"{base}{draft}"}
        assert messages(of({**named, "type": "string", "pattern": "^(a+)+$"}), {"a": "a" * 18 + "!"}) == []
        elsewhere = {**named, "allOf": [{"id": "http://127.0.0.1:1/x", "allOf": [{"$ref": "#/definitions/x"}]}]}
        schema = {"type": "object", "definitions": {"x": {}}, "far": elsewhere, "allOf": [{"$ref": "#/far"}]}
        assert messages(schema, {}) == []
    assert fetched == []


@pytest.mark.parametrize(
    "part",
    [
        {"maxItems": "x"},
        {"type": "foo"},
        {"$ref": "%23/$defs/x"},
        {"$ref": "#/$defs/x"},
        {"$ref": "#/allOf/x", "allOf": [1]},
        {"items": {"dependentRequired": [1]}},
        {"items": {"patternProperties": {"(": {}}}},
        {"$id": "http://[", "$ref": "x"},
    ],
    ids=str,
)
def test_a_schema_that_only_an_earlier_release_accepted_is_an_error(part: dict[str, Any]) -> None:
    (error,) = customer_schemas.errors(of(part), {"a": [{"b": 1}]})
    assert error.message.startswith("it can't be checked: its schema is not valid (")


def test_a_bug_is_not_taken_for_a_bad_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> object:
        raise TypeError("a bug")

    monkeypatch.setattr(budget, "_cost", fails)
    with pytest.raises(TypeError, match="a bug"):
        customer_schemas.errors(of({"type": "integer"}), {"a": 1})


def test_a_schema_inside_another_refers_to_its_own_parts() -> None:
    schema = {**of({"anyOf": [{"$ref": "#/$defs/x"}]}), "$defs": {"x": {"type": "integer"}}}
    outer = {"$defs": {"x": False}, "properties": {"b": customer_schemas.inside(schema, "/properties/b")}}
    assert customer_schemas.errors(outer, {"b": {"a": 1}}) == []
    assert [error.json_path for error in customer_schemas.errors(outer, {"b": {"a": "1"}})] == ["$.b.a"]


@pytest.mark.parametrize("word", ["const", "default", "enum", "examples"])
def test_what_a_schema_compares_with_is_no_reference(word: str) -> None:
    value = {"$ref": "#/$defs/x"}
    data: Any = [value] if word in {"enum", "examples"} else value
    schema = {"properties": {"a": {word: data}}, "$defs": {"x": True}}
    moved = customer_schemas.inside(schema, "/properties/b")
    assert moved["properties"]["a"] == {word: data}
    assert customer_schemas.errors({"properties": {"b": moved}}, {"b": {"a": value}}) == []


@pytest.mark.parametrize("name", ["const", "enum", "$ref", "properties"])
def test_a_property_with_the_name_of_a_keyword_has_a_schema(name: str) -> None:
    schema = {"properties": {name: {"$ref": "#/$defs/enum"}}, "$defs": {"enum": {"type": "integer"}}}
    outer = {"$defs": {"enum": False}, "properties": {"b": customer_schemas.inside(schema, "/properties/b")}}
    assert customer_schemas.errors(outer, {"b": {name: 1}}) == []
    assert [error.message for error in customer_schemas.errors(outer, {"b": {name: "x"}})]


def test_nor_is_a_deep_one_a_fault() -> None:
    deep: Any = 0
    for _ in range(100_000):
        deep = [deep]
    assert messages(of({"uniqueItems": True}), {"a": [deep]}) == ["it is too big to be checked"]


def test_a_number_beyond_all_numbers_is_no_fault() -> None:
    for value, step in ((float("inf"), 2), (10**400, 0.5)):
        assert customer_schemas.errors({"multipleOf": step}, value)
