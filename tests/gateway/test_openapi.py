"""The OpenAPI document: every example is valid against its own schema."""

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from gateway import contract, openapi
from gateway.contract import Binding
from hum.contract import eventtypes, validation, wire
from hum.contract.comments import about
from hum.contract.errors import FieldError
from hum.json import names as jsonnames
from hum.json import schemas as jsonschemas
from hum.v1 import options_pb2, validate_pb2

BINDINGS = list(contract.bindings())
DOCUMENT = openapi.document(BINDINGS, "https://hum.example")


def schema_of(reference: dict[str, Any]) -> dict[str, Any]:
    return {**reference, "components": DOCUMENT["components"]}


def operation(binding: Binding) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][binding.path][binding.verb.lower()]
    return found


def name(binding: Binding) -> str:
    return str(binding.method.name)


@pytest.mark.parametrize("binding", BINDINGS, ids=name)
def test_examples_are_what_the_schemas_allow(binding: Binding) -> None:
    told = operation(binding)
    for content in (told.get("requestBody", {}), *told["responses"].values()):
        for part in content.get("content", {}).values():
            if "example" in part:
                Draft202012Validator(schema_of(part["schema"])).validate(part["example"])
    for parameter in told["parameters"]:
        if "example" in parameter:
            Draft202012Validator(schema_of(parameter["schema"])).validate(parameter["example"])


@pytest.mark.parametrize("binding", [each for each in BINDINGS if each.body_type], ids=name)
def test_an_example_body_is_a_valid_request(binding: Binding) -> None:
    message, problems = binding.request_type(), list[FieldError]()
    target: Any = getattr(message, binding.body_field.name) if binding.body_field else message
    members = wire.read_body(msgspec.json.encode(openapi.body_example(binding)), target, problems)
    if binding.body_field:
        target.SetInParent()
    if binding.has_update_mask:
        getattr(message, contract.MASK).paths.extend(members)
    assert [*problems, *validation.check(message)] == []


def test_an_example_of_an_event_is_what_its_schema_allows() -> None:
    assert len(DOCUMENT["x-event-types"]) >= 5
    for known in DOCUMENT["x-event-types"].values():
        Draft202012Validator(schema_of(known["schema"])).validate(known["example"])


def test_every_operation_has_words_errors_and_examples() -> None:
    for binding in BINDINGS:
        told = operation(binding)
        assert told["summary"] and len(told["summary"]) < 140, name(binding)
        assert {"400", "401", "403", "429"} <= set(told["responses"]), name(binding)
        if binding.verb != "GET" or binding.method.server_streaming:
            assert "409" in told["responses"], name(binding)
        if binding.body_type is not None:
            assert "example" in told["requestBody"]["content"]["application/json"], name(binding)


def test_descriptions_say_what_is_not_implemented() -> None:
    flow = DOCUMENT["components"]["schemas"]["Flow"]["properties"]
    provision = DOCUMENT["components"]["schemas"]["ProvisionOrgRequestInput"]["properties"]
    assert provision["adminNotes"]["description"].startswith("Not implemented: ")
    assert "`sms`: Its agent answers" in flow["channel"]["description"]  # a word of an enum
    assert "`voice`" not in flow["channel"]["description"]  # it has no comment


def test_operation_ids_are_unique() -> None:
    ids = [operation(binding)["operationId"] for binding in BINDINGS]
    assert len(ids) == len(set(ids))
    assert "provisionOrg" in ids  # as the product guide names it


def test_a_file_says_what_it_is_and_nothing_else_does() -> None:
    assert {kind for binding in BINDINGS for kind in binding.media_types} == {
        "audio/wav",
        "text/csv",
        "application/x-ndjson",
        "application/octet-stream",
        *("image/*", "audio/*", "video/*", "text/vcard", "text/x-vcard", "application/pdf"),
    }
    for binding in BINDINGS:
        assert bool(binding.media_types) == binding.is_file, name(binding)


def test_every_pattern_is_said_in_words() -> None:
    """protovalidate's and JSON Schema's own messages show the expression."""
    for binding in contract.bindings():
        waiting = [binding.method.input_type]
        for message in waiting:
            for field in message.fields:
                rules = field.GetOptions().Extensions[validate_pb2.field]
                patterns = (rules.string.pattern, rules.repeated.items.string.pattern, rules.map.values.string.pattern)
                assert not any(patterns) or field.GetOptions().Extensions[options_pb2.must_be], field.full_name
                if (held := jsonnames.message_type(field)) is not None and held not in waiting:
                    waiting.append(held)
    parts: list[Any] = [jsonschemas.schema(name) for name in jsonschemas.names()]
    for part in parts:
        assert not isinstance(part, dict) or ("pattern" in part) == (jsonschemas.PATTERN_IN_WORDS in part), part
        parts += part.values() if isinstance(part, dict) else part if isinstance(part, list) else []


def test_clients_can_be_generated_from_it() -> None:
    """What made generators drop an operation, or give a type in which nothing can be said."""
    schemas = DOCUMENT["components"]["schemas"]
    parts: list[Any] = [DOCUMENT["paths"], schemas]
    for part in parts:
        if isinstance(part, dict):
            kinds = part.get("type")
            if kinds == "object" and "properties" not in part and "$schema" not in part:
                assert "additionalProperties" in part, part
            if kinds == "array":
                assert "items" in part, part
            if "enum" in part and isinstance(part["enum"], list):
                assert part["type"] == "string" and None not in part["enum"], part
            parts += part.values()
        elif isinstance(part, list):
            parts += part
    assert schemas["Flow"]["properties"]["voicemail_enabled"]["type"] == "boolean"
    assert schemas["FlowInput"]["properties"]["voicemail_enabled"]["type"] == ["boolean", "null"]
    assert schemas["Call"]["properties"]["status"]["$ref"] == "#/components/schemas/CallStatus"
    assert schemas["FlowPatch"]["properties"]["turn_config_json"]["oneOf"][0]["$ref"].endswith("/TurnConfigJson")
    stream = DOCUMENT["paths"]["/api/calls/{id}/stream"]["get"]["responses"]["200"]["content"]["text/event-stream"]
    events = schemas[stream["x-sse-events"]["$ref"].rpartition("/")[2]]["properties"]
    assert events["transcript.turn"]["$ref"] == "#/components/schemas/Turn" and "transcript.delta" in events
    for path in DOCUMENT["paths"].values():
        assert path.get("patch", {}).get("requestBody", {"required": True})["required"]
        for told in path.values():
            assert told["responses"]["429"] == {"$ref": "#/components/responses/Error429"}
    assert {"Retry-After", "RateLimit-Limit", "X-Request-Id"} <= DOCUMENT["components"]["responses"]["Error429"][
        "headers"
    ].keys()


def names_of(schema: dict[str, Any]) -> tuple[list[str], re.Pattern[str]]:
    """The types of events that a schema lists, and the pattern of those that customers name."""
    ours, theirs = schema["anyOf"]
    return ours["enum"], re.compile(theirs["pattern"])


def parameter(path: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in DOCUMENT["paths"][path]["get"]["parameters"] if each["name"] == name]
    schema: dict[str, Any] = found["schema"]
    return schema


def test_words_that_a_field_may_hold_are_listed() -> None:
    wanted = parameter("/api/numbers/available", "capabilities")
    assert wanted["items"]["enum"] == ["voice", "sms", "mms"] and wanted["uniqueItems"]
    types = [name for name, type in eventtypes.by_name().items() if type.visible]
    own = [name for name in types if name != eventtypes.EXTERNAL]
    assert len(own) >= 20

    in_answers, named = names_of(DOCUMENT["components"]["schemas"]["Event"]["properties"]["type"])
    assert in_answers == own, "no event has the type external.*"
    assert set(DOCUMENT["x-event-types"]) == set(types)
    assert named.search("external.order_paid") and not named.search("order_paid")

    asked, named = names_of(parameter("/api/events", "type")["items"])
    assert asked == types and named.search("external.order_paid")

    kinds = {f"{name.partition('.')[0]}.*" for name in types}
    for shape in ("Webhook", "WebhookInput", "WebhookPatch"):
        filters, named = names_of(DOCUMENT["components"]["schemas"][shape]["properties"]["events"]["items"])
        assert set(filters) == {"*", *kinds, *types} and len(filters) == len(set(filters)), shape
        assert named.search("external.order_paid"), shape


def test_what_is_listed_is_what_is_accepted() -> None:
    for format, schema in (
        (options_pb2.FORMAT_EVENT_TYPE, parameter("/api/events", "type")["items"]),
        (
            options_pb2.FORMAT_EVENT_FILTER,
            DOCUMENT["components"]["schemas"]["WebhookInput"]["properties"]["events"]["items"],
        ),
    ):
        check, validator = validation.FORMATS[format], Draft202012Validator(schema)
        texts = [
            *names_of(schema)[0],
            "external.order_paid",
            "external.a.b_1",
            "external.",
            "external.Order",
            "webhook.test",
        ]
        texts += ["*", "sms.*", "nothing.*", "sms", "sms.unknown", ""]
        for text in texts:
            assert (check(text) is None) == validator.is_valid(text), text


def test_a_field_is_described_by_its_own_words_alone() -> None:
    times = DOCUMENT["components"]["schemas"]["Call"]["properties"]
    assert "description" not in times["created_at"]
    assert times["answered_at"]["description"] == "When the caller and the agent were connected."


def test_the_known_refusals_are_named() -> None:
    said = DOCUMENT["components"]["schemas"]["ErrorBody"]["properties"]["code"]["description"]
    assert all(f"`{each}`" in said for each in ("not_found", "invalid_request", "organization_changed", "rate_limited"))


def test_every_section_of_the_contract_is_in_a_description() -> None:
    page = Path("docs/contract.md").read_text(encoding="utf-8")
    titles = set(re.findall(r"^## (.+)$", page, re.MULTILINE)) - {"Routes"}
    general: str = DOCUMENT["info"]["description"]
    tags = {tag["name"]: tag.get("description", "") for tag in DOCUMENT["tags"]}
    for title in titles:
        assert f"## {title}\n" in "\n".join((general, *tags.values())), title
    assert "## Pagination\n" in general and "## Routes\n" not in general
    assert "## Contacts\n" in tags["contacts"] and tags["contacts"].startswith(about("hum/v1/contacts.proto"))
    for text in (general, *tags.values()):
        assert not re.findall(r"\]\((?!https://)", text), "only links that lead somewhere from anywhere"


def test_no_body_offers_what_the_path_has() -> None:
    for binding in (each for each in BINDINGS if each.whole_body and each.path_fields):
        body = operation(binding)["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        offered = DOCUMENT["components"]["schemas"][body]["properties"].keys()
        assert not offered & set(binding.path_fields), binding.method.name


def test_every_operation_has_a_name_of_its_own() -> None:
    paths = [*DOCUMENT["paths"].values(), *DOCUMENT["webhooks"].values()]
    names = [told["operationId"] for path in paths for told in path.values()]
    assert len(names) == len(set(names))
    assert "receiveWebhookTest" in names


def test_every_schema_is_used() -> None:
    text = msgspec.json.encode(DOCUMENT).decode()
    unused = [name for name in DOCUMENT["components"]["schemas"] if f'"#/components/schemas/{name}"' not in text]
    assert not unused


def test_addresses_and_phone_numbers_of_requests_say_what_they_are() -> None:
    """Besides a tool's URL, which is a template, and what may be no phone number yet."""
    shapes = DOCUMENT["components"]["schemas"]
    told = {
        f"{shape}.{name}": schema.get("items", schema)
        for shape in shapes
        if shape.endswith(("Input", "Patch")) and not shape.startswith("HttpTool")
        for name, schema in shapes[shape].get("properties", {}).items()
        if name in {"url", "base_url", "oauth_token_url", "media_urls"} or name.endswith("e164")
    }
    without = {name for name, schema in told.items() if "format" not in schema}
    assert len(told) > 15 and without == {"NewRecipientInput.contact_e164"}
    undescribed = {
        (name(binding), parameter["name"])
        for binding in BINDINGS
        for parameter in operation(binding)["parameters"]
        if parameter["in"] == "query"
        and parameter["name"] not in {"limit", "cursor"}
        and "description" not in parameter
    }
    assert undescribed == set()
