"""Tools of calls over the media link: what the agent may do, the results, and that each runs once."""

import asyncio
import json
from typing import Any

import httpx

from hum.v1 import runtime_pb2
from tests.contract.conftest import Edge
from tests.contract.test_live_stream import Media, in_progress

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"booked": {"type": "boolean"}},
    "required": ["booked"],
    "additionalProperties": False,
}


async def joined(edge: Edge, **flow: Any) -> tuple[httpx.AsyncClient, Media, str]:
    http, media, call_id = await in_progress(edge, **flow)
    await media.acknowledged(1)
    return http, media, call_id


async def run(media: Media, id: str, arguments: str, name: str = "report_outcome") -> tuple[str, Any]:
    media.ups.put_nowait(
        runtime_pb2.LinkUp(
            tool=runtime_pb2.RunTool(call_id=media.call_id, tool_call_id=id, name=name, arguments_json=arguments)
        )
    )
    result = await media.tool_result()
    assert (result.call_id, result.tool_call_id) == (media.call_id, id)
    return result.status, json.loads(result.output_json)


async def test_an_agent_is_offered_what_its_flow_has_a_use_for(edge: Edge) -> None:
    _, media, _ = await joined(edge)
    (end_call,) = media.session.tools
    assert (end_call.name, end_call.outcome.WhichOneof("outcome")) == ("end_call", "hang_up")


async def test_the_outcome_is_reported_by_the_flows_schema(edge: Edge) -> None:
    http, media, call_id = await joined(edge, outcome_schema_json=SCHEMA)
    offered = {tool.name: tool for tool in media.session.tools}
    assert json.loads(offered["report_outcome"].parameters_json) == SCHEMA
    assert not offered["report_outcome"].HasField("outcome") and offered["report_outcome"].timeout_ms == 10_000
    status, problem = await run(media, "1", '{"booked": "yes"}')
    assert status == "failed"
    assert problem["problems"] == ["$.booked: 'yes' is not of type 'boolean'"]
    assert (await http.get(f"/api/calls/{call_id}")).json()["outcome"] is None
    assert await run(media, "2", '{"booked": true}') == ("ok", {"recorded": True})
    assert (await http.get(f"/api/calls/{call_id}")).json()["outcome"] == {"booked": True}


async def test_a_run_is_asked_for_twice_and_done_once(edge: Edge) -> None:
    http, media, call_id = await joined(edge, outcome_schema_json=SCHEMA)
    first = await run(media, "1", '{"booked": true}')
    assert await run(media, "1", '{"booked": false}') == first, "the link was lost, and the request was repeated"
    assert (await http.get(f"/api/calls/{call_id}")).json()["outcome"] == {"booked": True}


async def test_a_tool_that_failed_twice_is_not_tried_for_ever(edge: Edge) -> None:
    _, media, _ = await joined(edge, outcome_schema_json=SCHEMA)
    for id in ("1", "2"):
        assert "valid" in (await run(media, id, "{}"))[1]["error"]
    assert "Do not call" in (await run(media, "3", '{"booked": true}'))[1]["error"]


async def test_what_no_tool_can_be_is_a_sentence(edge: Edge) -> None:
    _, media, _ = await joined(edge, outcome_schema_json=SCHEMA)
    for id, name, arguments in (
        ("1", "launch_missiles", "{}"),
        ("2", "end_call", "{}"),
        ("3", "report_outcome", "[" * 100_000),
        ("4", "report_outcome", "\0"),
        ("x" * 300, "report_outcome", "{}"),
    ):
        status, output = await run(media, id, arguments, name)
        assert status == "failed" and isinstance(output["error"], str)
    media.call_id = "call_01M89B3YABZKHEB9X59C9JX1YY"
    assert (await run(media, "1", "{}"))[0] == "failed", "an unknown call"


async def test_tools_of_a_call_run_side_by_side_and_hold_no_report(edge: Edge) -> None:
    http, media, call_id = await joined(edge, outcome_schema_json=SCHEMA)
    async with edge.plane.control.db.system() as tx:
        await tx.execute("SELECT FROM calls FOR NO KEY UPDATE")  # the tool waits for this row
        media.ups.put_nowait(
            runtime_pb2.LinkUp(
                tool=runtime_pb2.RunTool(
                    call_id=call_id, tool_call_id="1", name="report_outcome", arguments_json='{"booked": true}'
                )
            )
        )
        assert (await run(media, "2", "{}", "nothing"))[0] == "failed"
    assert (await media.tool_result()).status == "ok"
    async with asyncio.timeout(5):
        while (await http.get(f"/api/calls/{call_id}")).json()["outcome"] is None:
            await asyncio.sleep(0.02)
