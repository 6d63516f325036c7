"""Validation walks messages, lists and maps at every depth, and names what is wrong by its path."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from google.api import field_behavior_pb2
from google.protobuf import descriptor_pool, field_mask_pb2, message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hum.contract import eventtypes, services, validation
from hum.json import names
from hum.v1 import flows_pb2, identity_pb2, numbers_pb2, options_pb2, validate_pb2
from tests.hum.everything import KIND, add, add_map, build, file
from tests.support.examples import examples

PACKAGE = "hum.test.checked"


def _request() -> Any:
    made = file("tests/checked.proto", PACKAGE)
    made.dependency.extend(["google/api/field_behavior.proto", validate_pb2.DESCRIPTOR.name])
    step = made.message_type.add(name="Step")
    phone = add(step, "phone_e164", "string")
    phone.options.Extensions[options_pb2.format] = options_pb2.FORMAT_E164
    required(add(step, "name", "string"))
    limited = add(step, "weight", "double")
    limited.options.Extensions[validate_pb2.field].double.lte = 1.0
    add(step, "next", f".{PACKAGE}.Step").label = KIND.LABEL_REPEATED
    add_map(step, "by_key", "string", f".{PACKAGE}.Step", PACKAGE)
    add_map(step, "labels", "string", "string", PACKAGE)
    add(step, "phones", "string").CopyFrom(phone)
    step.field[-1].name, step.field[-1].number, step.field[-1].label = "phones", len(step.field), KIND.LABEL_REPEATED
    add(step, "data", ".google.protobuf.Struct")
    immutable = add(step, "kind", "string")
    immutable.options.Extensions[field_behavior_pb2.field_behavior].append(field_behavior_pb2.IMMUTABLE)
    create = made.message_type.add(name="Create")
    add(create, "step", f".{PACKAGE}.Step")
    add(create, "steps", f".{PACKAGE}.Step").label = KIND.LABEL_REPEATED
    update = made.message_type.add(name="Update")
    add(update, "step", f".{PACKAGE}.Step")
    add(update, "update_mask", ".google.protobuf.FieldMask")
    return build(made, "Create")


def required(field: Any) -> None:
    field.options.Extensions[field_behavior_pb2.field_behavior].append(field_behavior_pb2.REQUIRED)


Create: Any = _request()
Update: Any = __import__("google.protobuf.message_factory", fromlist=["GetMessageClass"]).GetMessageClass(
    descriptor_pool.Default().FindMessageTypeByName(f"{PACKAGE}.Update")
)


def found(request: Any) -> dict[str, str]:
    return {each.field: each.reason for each in validation.check(request)}


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda name: flows_pb2.CreateFlowRequest(flow=flows_pb2.Flow(name=name)), "flow.name"),
        (lambda name: identity_pb2.OnboardOrganizationRequest(name=name), "name"),
        (lambda name: identity_pb2.CreateApiKeyRequest(api_key=identity_pb2.ApiKey(name=name)), "api_key.name"),
        (
            lambda name: numbers_pb2.UpdateNumberRequest(number=numbers_pb2.Number(friendly_name=name)),
            "number.friendly_name",
        ),
    ],
)
def test_a_name_has_what_people_see_alone(make: Callable[[str], Message], path: str) -> None:
    for hidden in ("Ada\u200b", "Ada\U000e0041", "Ada\u202e", "Ada\nLovelace"):
        assert found(make(hidden)).get(path) == "has characters that people can't see"
    assert path not in found(make("Zoë's 牙医 🦷"))


def test_a_good_request_is_good() -> None:
    request = Create()
    request.step.name, request.step.phone_e164 = "one", "+13175551234"
    request.step.next.add(name="two", weight=0.5).by_key["a"].name = "three"
    request.step.labels["tier"] = "gold"
    assert found(request) == {}


def test_formats_in_lists_and_maps() -> None:
    request = Create()
    request.step.name = "one"
    request.step.phones.extend(["+13175551234", "317"])
    request.step.next.add(name="x").next.add(name="y", phone_e164="12")
    request.step.by_key["a.b"].name = "z"
    request.step.by_key["a.b"].phone_e164 = "12"
    request.steps.add(name="s").next.add(name="t", phone_e164="12")
    assert set(found(request)) == {
        "step.phones[1]",
        "step.next[0].next[0].phone_e164",
        'step.by_key["a.b"].phone_e164',
        "steps[0].next[0].phone_e164",
    }
    assert "E.164" in found(request)["step.phones[1]"]


def test_what_is_required_at_every_depth() -> None:
    request = Create()
    request.step.next.add().next.add()
    request.step.by_key["k"].SetInParent()
    request.steps.add()
    assert found(request) == dict.fromkeys(
        ("step.name", "step.next[0].name", "step.next[0].next[0].name", 'step.by_key["k"].name', "steps[0].name"),
        "is required",
    )


def test_rules_of_protovalidate_have_the_same_paths() -> None:
    request = Create()
    request.step.name = "one"
    request.step.next.add(name="x").next.add(name="y", weight=1.5)
    request.step.by_key["k"].name = "z"
    request.step.by_key["k"].weight = 2
    assert set(found(request)) == {"step.next[0].next[0].weight", 'step.by_key["k"].weight'}


def test_nul_characters_anywhere() -> None:
    request = Create()
    request.step.name = "one"
    request.step.labels["tier"] = "go\0ld"
    request.step.labels["a\0"] = "fine"
    request.step.data.update({"deep": [{"er": "\0"}]})
    paths = set(found(request))
    assert {'step.labels["tier"]', "step.labels"} <= paths
    assert any(path.startswith('step.data.fields["deep"].list_value.values[0]') for path in paths)


def test_an_update_looks_into_what_its_mask_names_and_at_nothing_else() -> None:
    request = Update(update_mask=field_mask_pb2.FieldMask(paths=["next", "kind"]))
    request.step.next.add()
    request.step.kind = "other"
    assert found(request) == {"step.next[0].name": "is required", "step.kind": "can't be changed"}
    request = Update(update_mask=field_mask_pb2.FieldMask(paths=["weight"]))
    request.step.weight = 0.5
    assert found(request) == {}
    request.update_mask.paths.append("name")
    assert found(request) == {"step.name": "can't be cleared"}


def patterns() -> Iterator[tuple[FieldDescriptor, str]]:
    """Every field of the contract whose texts, list items or map values must have a form from their beginning to their end."""
    for proto in services.files():
        for message in proto.message_types_by_name.values():
            for field in message.fields:
                rules = field.GetOptions().Extensions[validate_pb2.field]
                for texts in (rules.string, rules.repeated.items.string, rules.map.values.string):
                    if texts.pattern.startswith("^"):
                        yield field, texts.pattern


PATTERNS = list(patterns())
BREAKS = st.sampled_from(["\n", "\r\n", "\n\n", "\nx"])


def pattern_errors(field: FieldDescriptor, text: str) -> list[str]:
    """What is said of the form of a text, the one value of a field."""
    assert field.containing_type is not None, "a message's field"
    message: Any = message_factory.GetMessageClass(field.containing_type)()
    if names.is_map(field):
        getattr(message, field.name)["key"] = text
    elif field.is_repeated:
        getattr(message, field.name).append(text)
    else:
        setattr(message, field.name, text)
    must_be = f"must be {field.GetOptions().Extensions[options_pb2.must_be]}"
    found = validation.check(message)
    return [each.reason for each in found if each.field.startswith(field.name) and each.reason == must_be]


@pytest.mark.parametrize(("field", "pattern"), PATTERNS, ids=[field.full_name for field, _ in PATTERNS])
@settings(max_examples=examples(100, 5))
@given(data=st.data())
def test_no_pattern_takes_a_line_break_at_its_end(field: FieldDescriptor, pattern: str, data: st.DataObject) -> None:
    """Some regular expressions' `$` stands before a last line break, too."""
    text = data.draw(st.from_regex(pattern, fullmatch=True, alphabet=st.characters(codec="ascii")))
    assume(not pattern_errors(field, text))
    assert pattern_errors(field, text + data.draw(BREAKS))


def test_patterns_are_found() -> None:
    assert len(PATTERNS) >= 25
    kinds = {(field.is_repeated, names.is_map(field)) for field, _ in PATTERNS}
    assert {(False, False), (True, False)} <= kinds


#: What each format accepts.
GOOD: dict[int, st.SearchStrategy[str]] = {
    options_pb2.FORMAT_E164: st.from_regex(r"\+1317555[0-9]{4}|\+4915112[0-9]{6}", fullmatch=True),
    options_pb2.FORMAT_TIME_ZONE: st.sampled_from(["America/New_York", "UTC", "Europe/Berlin"]),
    options_pb2.FORMAT_EMAIL: st.from_regex(r"[a-z]{1,9}@[a-z]{1,9}\.example", fullmatch=True),
    options_pb2.FORMAT_DATE: st.dates().map(lambda day: day.isoformat()),
    options_pb2.FORMAT_EVENT_TYPE: st.sampled_from([*eventtypes.visible(), "external.order_paid", "external.a.b"]),
    options_pb2.FORMAT_EVENT_FILTER: st.sampled_from(["*", *eventtypes.kinds(), *eventtypes.visible(), "external.a"]),
}


@pytest.mark.parametrize("format", sorted(validation.FORMATS), ids=options_pb2.Format.Name)
@given(data=st.data())
def test_no_format_takes_a_line_break_at_its_end(format: int, data: st.DataObject) -> None:
    check, text = validation.FORMATS[format], data.draw(GOOD[format])
    assert check(text) is None
    assert check(text + data.draw(BREAKS)) is not None
    assert check(f"{data.draw(BREAKS)}{text}") is not None


@pytest.mark.parametrize(
    ("zone", "is_good"),
    [
        ("America/Indiana/Indianapolis", True),
        ("America/Indianapolis", True),
        ("UTC", True),
        ("Etc/GMT+5", True),
        ("Etc/UTC", True),
        ("Factory", False),
        ("localtime", False),
        ("posixrules", False),
        ("Etc/Unknown", False),
        ("right/UTC", False),
        ("posix/America/New_York", False),
        ("America/new_york", False),
        ("../etc/passwd", False),
        ("", False),
    ],
)
def test_a_time_zone_is_that_of_a_place(zone: str, is_good: bool) -> None:
    assert (validation.bad_time_zone(zone) is None) == is_good
