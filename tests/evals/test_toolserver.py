"""A flow's tools are asked at the runner's server, with what they write into path, query and body; each call has its own world."""

import json
from typing import Any

import aiohttp
import pytest

from control.calls import tools as call_tools
from control.httptools import toolrequest
from evals.flowfile import BUILT_IN, CALLER_HEADER, FlowFile, at_address
from evals.toolserver import ToolServer
from evals.world import World
from tests.support.waits import patience

TOOL = {"name": "book", "description": "Book.", "url": "https://clinic.example/days/{{ args.day }}?x=1"}
WORLD = World.model_validate(
    {"state": {"log": []}, "tools": {"book": [{"append": {"log": "$args"}, "returns": {"ok": True}}]}}
)
CALL = {"from_e164": "+13175550001"}


@pytest.mark.parametrize(
    ("more", "arguments"),
    [
        ({}, {"day": "Tue/sday", "x": "1"}),
        ({"query_json": {"name": "{{ args.name }}"}}, {"day": "Tue/sday", "x": "1", "name": "Åsa & Łukasz"}),
        ({"method": "POST", "body_json": {"who": {"name": "{{ args.name }}"}}}, {"day": "Tue/sday", "x": "1", "who": {"name": "Åsa & Łukasz"}}),
        ({"method": "POST", "body_type": "TOOL_BODY_TYPE_FORM", "body_json": {"name": "{{ args.name }}"}}, {"day": "Tue/sday", "x": "1", "name": "Åsa & Łukasz"}),
    ],
    ids=["path", "query", "body", "form"],
)  # fmt: skip
async def test_the_request_that_the_platform_makes_is_understood(more: dict[str, Any], arguments: Any) -> None:
    tool = TOOL | more
    async with ToolServer.serve() as server, aiohttp.ClientSession() as http:
        address = server.add(FlowFile({}, {}, [tool]), 0)["book"]
        created = at_address(tool, address)
        stored = created | {name: json.dumps(created[name]) for name in created if name.endswith("_json")}
        values = {"args": {"day": "Tue/sday", "name": "Åsa & Łukasz"}, "call": CALL, "caller": {"phone_e164": None}}
        request = toolrequest.fill_secrets(toolrequest.render_request(stored, values, "key"), {})
        mine, other = server.begin(CALL["from_e164"], WORLD), server.begin("+13175550002", WORLD)
        options: Any = {"headers": dict(request.headers), "data": request.body or None}
        async with patience(), http.request(request.method, request.url, **options) as answer:
            assert (answer.status, await answer.json()) == (200, {"ok": True})
        assert (mine.state["log"], other.state["log"]) == ([arguments], [])
        server.end(CALL["from_e164"])
        async with patience(), http.request(request.method, request.url, **options) as answer:
            assert answer.status == 404


async def test_a_text_belongs_to_the_person_who_wrote_it() -> None:
    stored = {
        "url": TOOL["url"],
        "headers_json": json.dumps(at_address(TOOL, "http://x/0/book")["headers_json"]),
    }
    values = {"args": {"day": "x"}, "call": {}, "caller": {"phone_e164": "+13175550001"}}
    assert toolrequest.render_request(stored, values, "key").headers[CALLER_HEADER] == "+13175550001"


def test_the_tools_of_hum_are_known() -> None:
    assert {
        tool.name for tool in (call_tools.END_CALL, call_tools.PAUSE_RECORDING, call_tools.RESUME_RECORDING)
    } <= BUILT_IN
