"""Each example of the OpenAPI document, sent as it stands: the operation that shows it must not call it invalid."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.api import field_behavior_pb2

from gateway import contract, openapi, schemas
from gateway.contract import Binding
from hum.json import names
from tests.contract.conftest import Edge
from tests.contract.test_authorization import belongings

#: What an example can't name: something else of the organization's, by its id; or a page that is there.
UNKNOWN = ("does not exist", "is not knowledge of this organization", "can't be resolved")
#: These ask a model, and there is none here.
LEFT_OUT = ("ProposeFlow", "PreviewVoice", "TryFlow")
pytestmark = pytest.mark.fuzz


def requests(binding: Binding, told: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Requests with one example each: a body, or a parameter of the query beside one."""
    contents = told.get("requestBody", {}).get("content", {})
    query = {each["name"]: each for each in told["parameters"] if each["in"] == "query" and "example" in each}
    beside_text = {names.rest_name(field): field for field in binding.fields_beside_text}
    must = [
        name for name, field in beside_text.items() if schemas.has_behaviour(field, field_behavior_pb2.REQUIRED)
    ]  # as a member of the other kind of body
    needed = {name: shown(query[name]["example"]) for name in must}
    json: dict[str, Any] = {}
    text: dict[str, Any] = {}
    for kind, content in contents.items():
        if "example" in content and kind == "application/json":
            json = {"json": content["example"]}
            yield json
        elif "example" in content:
            text = {"content": content["example"], "type": kind}
            yield {**text, "params": needed}
    for name, parameter in query.items():
        value = {name: shown(parameter["example"])}
        yield {**text, "params": {**needed, **value}} if name in beside_text else {**json, "params": value}


def shown(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


async def test_an_operation_accepts_its_examples(edge: Edge) -> None:
    owned = await belongings(edge)
    document = openapi.document(list(contract.bindings()), edge.url)
    refused, sent = list[str](), 0
    headers = {"Authorization": f"Bearer {owned['secret']}"}
    async with httpx.AsyncClient(base_url=edge.url, headers=headers, trust_env=False) as http:
        for binding in contract.bindings():
            told = document["paths"][binding.path][binding.verb.lower()]
            if binding.is_stream or binding.method.name in LEFT_OUT:
                continue
            path = binding.path
            for parameter in told["parameters"]:
                if parameter["in"] == "path":
                    path = path.replace("{" + parameter["name"] + "}", str(parameter["example"]))
            for request in requests(binding, told):
                kind = {"Content-Type": request["type"]} if "type" in request else {}
                sending = {name: value for name, value in request.items() if name != "type"}
                answer = await http.request(binding.verb, path, headers=kind, **sending)
                sent += 1
                if answer.status_code in (400, 413, 415, 422, 500) and not any(word in answer.text for word in UNKNOWN):
                    refused.append(f"{binding.verb} {path} {request}: {answer.status_code} {answer.text}")
    assert sent > 200
    assert refused == [], "\n".join(refused)
