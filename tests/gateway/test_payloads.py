"""What webhooks send, as the OpenAPI document and docs/webhooks.md say it."""

from pathlib import Path

from jsonschema import Draft202012Validator

from gateway import payloads
from hum.contract import eventtypes
from tests.gateway.test_openapi import DOCUMENT, schema_of

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == payloads.regenerate(PAGE.read_text()), "run make docs"


def test_every_type_that_is_sent_has_a_schema_and_an_example_that_it_allows() -> None:
    section = DOCUMENT["webhooks"]
    assert section.keys() == {*eventtypes.visible(), "webhook.test"}
    for name, item in section.items():
        content = item["post"]["requestBody"]["content"]["application/json"]
        assert eventtypes.family(content["example"]["type"]) == name
        Draft202012Validator(schema_of(content["schema"])).validate(content["example"])
        assert item["post"]["summary"]
