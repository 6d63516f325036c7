"""Answers about one of everything are what the OpenAPI document says: required, and null only where it may be."""

from typing import Any

import httpx
import jsonschema
import pytest

from control.identity import usecases as identity
from gateway import contract, openapi
from hum import ids
from hum.contract import authorization
from hum.ids import Kind
from hum.v1 import options_pb2
from tests.contract.conftest import Edge
from tests.contract.test_authorization import belongings, filled
from tests.support.examples import ALL, sample


def answered(document: dict[str, Any], path: str) -> dict[str, Any]:
    """The schema of the answer to a GET."""
    successes: dict[str, Any] = document["paths"][path]["get"]["responses"]
    schema: dict[str, Any] = successes["200"]["content"]["application/json"]["schema"]
    return {**schema, "components": document["components"]}


@pytest.mark.sampled
async def test_answers_are_what_the_document_says(edge: Edge) -> None:
    owned = await belongings(edge)
    org = ids.require(Kind.ORGANIZATION, owned["organization"])
    _, secret = await identity.issue_key(edge.plane.control.db, org, "k", "admin", ["*"])
    document = openapi.document(contract.bindings(), "https://hum.example")
    seen, wrong = 0, []
    headers = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(base_url=edge.url, headers=headers, trust_env=False) as http:
        for each in sample(contract.bindings(), 2):
            access = authorization.access_of(each.method)
            if each.verb != "GET" or each.is_file or each.is_stream or access.session_only:
                continue
            if access.scope == "site:admin" or options_pb2.Audience.Name(access.audience) == "AUDIENCE_NODE":
                continue
            answer = await http.get(filled(each, owned))
            if answer.status_code != 200:
                continue
            seen += 1
            checker = jsonschema.Draft202012Validator(answered(document, each.path))
            wrong += [(each.path, fault.json_path, fault.message[:200]) for fault in checker.iter_errors(answer.json())]
    assert wrong == []
    assert seen > (60 if ALL else 30)
