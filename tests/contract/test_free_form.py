"""Free-form JSON of flows: refused where it would break a call; what an earlier release stored breaks none."""

import json
import xml.etree.ElementTree as ET
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from hum import secrets
from hum.json import schemas
from hum.v1 import runtime_pb2, runtime_pb2_grpc
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number, post
from tests.support.cases import in_turn


async def details(http: httpx.AsyncClient, verb: str, path: str, **body: object) -> list[str]:
    answer = await http.request(verb, path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request"), answer.text
    return [each["field"] for each in answer.json()["error"]["details"]]


@in_turn(
    ("field", "value", "path"),
    [
        ("idle_prompts_json", [[1]], ""),
        ("idle_prompts_json", {"abc": 1}, ""),
        ("idle_prompts_json", {"8": 1}, '["8"]'),
        ("tools_json", {"a": 1}, ""),
        ("tools_json", [{"name": "a"}, {}], "[1]"),
        ("business_hours_json", {}, ""),
        ("business_hours_json", {"weekly": {"mon": [["09:00", "x"]]}}, ".weekly.mon[0][1]"),
        ("turn_config_json", {"cut_after_ms": "350"}, ".cut_after_ms"),
        ("transfer_map_json", {"billing": 7}, ".billing"),
        ("route_tags_json", [], ""),
        ("outcome_schema_json", {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}}, ""),
        ("sms_config_json", {"max_reply_chars": "many"}, ".max_reply_chars"),
    ],
)
async def test_a_flow_that_could_not_be_used_is_not_stored(edge: Edge, field: str, value: object, path: str) -> None:
    http = await edge.client()
    assert f"{field}{path}" in await details(http, "POST", "/api/flows", name="F", **{field: value})
    flow = (await http.post("/api/flows", json={"name": "F"})).json()
    assert f"{field}{path}" in await details(http, "PATCH", f"/api/flows/{flow['id']}", **{field: json.dumps(value)})
    assert (await http.get("/api/flows")).json()["flows"] == [flow]


async def test_so_are_an_organizations_hours_and_a_contacts_attributes(edge: Edge) -> None:
    http = await edge.client()
    assert await details(http, "PATCH", "/api/organization", business_hours_json={}) == ["business_hours_json"]
    found = await details(http, "POST", "/api/contacts", phone_e164="+13175551234", attributes_json=[1])
    assert found == ["attributes_json"]


async def test_the_gateway_checks_no_value_by_its_schema_and_of_a_strangers_none(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gateway refuses some requests itself, but first asks control whose they are."""
    problems = Mock(wraps=schemas.problems)
    monkeypatch.setattr(schemas, "problems", problems)
    body = {"name": "F", "wrong": 1, "outcome_schema_json": {"type": 7}, "tools_json": 7}
    unknown = {"Authorization": f"Bearer {secrets.API_KEY_PREFIX}{'a' * secrets.API_KEY_CHARS}"}
    async with httpx.AsyncClient(base_url=edge.url, headers=unknown, trust_env=False) as http:
        assert (await http.post("/api/flows", json=body)).status_code == 401
        good = {name: body[name] for name in ("name", "outcome_schema_json")}
        assert (await http.post("/api/flows", json=good)).status_code == 401
    async with await edge.client() as http:
        assert set(await details(http, "POST", "/api/flows", **body)) == {"wrong", "tools_json"}
    problems.assert_not_called()


STALE = {
    "business_hours_json": "{}",
    "turn_config_json": '{"eagerness": "very", "x": 1}',
    "idle_prompts_json": '{"abc": 1}',
    "outcome_schema_json": '{"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}}',
    "tools_json": '{"a": 1}',
}


async def test_what_an_earlier_release_stored_breaks_no_call(edge: Edge) -> None:
    await flow_with_number(edge, greeting="Hi")
    async with edge.plane.control.db.system() as tx:
        await tx.execute(
            "UPDATE flow_versions SET definition = (definition::jsonb || $1::jsonb)::json", json.dumps(STALE)
        )
    answer = await post(edge, "/twilio/voice", CALL)
    parameter = ET.fromstring(answer.text).find("Connect/Stream/Parameter")
    assert parameter is not None, answer.text
    media: Any = runtime_pb2_grpc.MediaServiceStub(edge.plane.channel)
    request = runtime_pb2.OpenSessionRequest(
        token=str(parameter.get("value")), call_sid=CALL["CallSid"], stream_sid="MZ1", node="m"
    )
    session = await media.OpenSession(request, metadata=edge.plane.node())
    assert (session.turn_config_json, json.loads(session.idle_prompts_json)) == (
        "",
        dict.fromkeys(("12", "24"), "Are you still there?"),
    )
    assert [tool.name for tool in session.tools] == ["end_call"]
    assert session.clips[0].text == "Hi"
