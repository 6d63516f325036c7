"""Validation walks messages, lists and maps at every depth, and names what is wrong by its path."""

from typing import Any

from google.api import field_behavior_pb2
from google.protobuf import descriptor_pool, field_mask_pb2

from hum.contract import validation
from hum.v1 import options_pb2, validate_pb2
from tests.hum.everything import KIND, add, add_map, build, file

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
