"""Tools of calls over the media link: what the agent may do, the results, and that each runs once."""

import asyncio
import json
from typing import Any

import httpx

from control.calls.calllimits import MAX_FLOW_SWITCHES
from hum.v1 import runtime_pb2
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import flow_with_number
from tests.contract.test_live_stream import Media, answered, in_progress
from tests.support.waits import patience

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


async def test_a_call_that_has_ended_begins_no_tool(edge: Edge) -> None:
    """Its media process may not know that it has."""
    _, media, _ = await joined(edge, outcome_schema_json=SCHEMA)
    first = await run(media, "1", '{"booked": true}')
    async with edge.plane.control.db.system() as tx:
        await tx.execute("UPDATE calls SET status = 'completed', ended_at = now(), end_reason = 'stream_lost'")
    assert await run(media, "2", '{"booked": false}') == ("failed", {"error": "The call has ended."})
    assert await run(media, "1", '{"booked": true}') == first, "it was run before"


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
    async with patience():
        while (await http.get(f"/api/calls/{call_id}")).json()["outcome"] is None:
            await asyncio.sleep(0.02)


async def handed_over(edge: Edge) -> tuple[httpx.AsyncClient, Media, dict[str, str]]:
    """A call whose agent may hand it to `billing`, `texts`, which takes no calls, and to a person."""
    http = await flow_with_number(edge)
    own = (await http.get("/api/flows")).json()["flows"][0]["id"]
    flows = {
        "billing": {"name": "Billing", "system_prompt": "You do bills.", "language": "de"},
        "texts": {"name": "Texts", "channel": "sms"},
    }
    named = {label: (await http.post("/api/flows", json=flow)).json()["id"] for label, flow in flows.items()}
    changed = await http.patch(f"/api/flows/{own}", json={"transfer_map_json": {**named, "front desk": "+14155550123"}})
    assert changed.status_code == 200, changed.text
    media = await answered(edge)
    await media.acknowledged(1)
    return http, media, named


async def switched(media: Media, id: str, target: str) -> runtime_pb2.ToolResult:
    request = runtime_pb2.RunTool(
        call_id=media.call_id, tool_call_id=id, name="transfer_to_flow", arguments_json=json.dumps({"target": target})
    )
    media.ups.put_nowait(runtime_pb2.LinkUp(tool=request))
    return await media.tool_result()


async def test_a_call_is_handed_to_another_flow(edge: Edge) -> None:
    http, media, named = await handed_over(edge)
    offered = {tool.name: json.loads(tool.parameters_json) for tool in media.session.tools}
    assert offered["transfer_to_flow"]["properties"]["target"]["enum"] == ["billing", "texts"], "only flows"
    for _ in range(2):  # the link was lost, and the request is repeated
        result = await switched(media, "1", "billing")
        switch = result.outcome.switch
        assert (result.status, switch.flow_id, switch.flow_version) == ("ok", named["billing"], 1)
    assert switch.session.instructions.startswith("You do bills.") and switch.session.language == "de"
    assert {clip.kind for clip in switch.session.clips} == {"hold", "goodbye", "apology", "limit", "idle"}, (
        "nothing begins again"
    )
    assert [tool.name for tool in switch.session.tools] == ["end_call"]

    before = (await http.get(f"/api/calls/{media.call_id}")).json()
    assert before["flow_switches"] == [], "nothing has happened yet"
    took_over = runtime_pb2.FlowTookOver(flow_id=switch.flow_id, flow_version=1, at_ms=4_000, model="gpt-realtime-mini")
    await media.acknowledged(media.report(flow_took_over=took_over))
    after = (await http.get(f"/api/calls/{media.call_id}")).json()
    assert after["flow_switches"] == [{"flow_id": named["billing"], "flow_version": 1, "at_ms": 4_000}]
    assert after["models"] == [*before["models"], "gpt-realtime-mini"] and len(before["models"]) == 1
    assert after["flow_id"] == before["flow_id"], "the flow that the call began with"
    (event,) = (await http.get("/api/events", params={"type": "call.flow_switched"})).json()["events"]
    assert event["data"] == {"call_id": media.call_id, "flow_id": named["billing"], "flow_version": 1}
    status, problem = await run(media, "2", '{"target": "billing"}', "transfer_to_flow")
    lacks = "This tool is not available: the agent's `transfer_map_json` names no flow."
    assert (status, problem["error"]) == ("failed", lacks), "billing hands over to nobody"


async def test_a_call_stays_with_its_agent_when_nobody_can_take_it(edge: Edge) -> None:
    _, media, _ = await handed_over(edge)
    for id, target in (("1", "texts"), ("2", "front desk")):
        result = await switched(media, id, target)
        assert (result.status, result.HasField("outcome")) == ("failed", False)


async def test_agents_that_hand_a_call_back_and_forth_come_to_an_end(edge: Edge) -> None:
    http, media, named = await handed_over(edge)
    again = {"transfer_map_json": {"billing": named["billing"]}}
    assert (await http.patch(f"/api/flows/{named['billing']}", json=again)).status_code == 200
    for number in range(1, MAX_FLOW_SWITCHES + 1):
        assert (await switched(media, str(number), "billing")).status == "ok"
        took_over = runtime_pb2.FlowTookOver(flow_id=named["billing"], flow_version=2, at_ms=number)
        await media.acknowledged(media.report(flow_took_over=took_over))
    last = await switched(media, "last", "billing")
    assert last.status == "failed" and "too often" in last.output_json


async def test_an_outbound_agent_presses_keys(edge: Edge) -> None:
    _, media, _ = await joined(edge, kind="outbound")
    assert "send_digits" in {tool.name for tool in media.session.tools}
    request = runtime_pb2.RunTool(
        call_id=media.call_id, tool_call_id="1", name="send_digits", arguments_json='{"digits": "4711#w2"}'
    )
    for _ in range(2):  # the link was lost, and the request is repeated
        media.ups.put_nowait(runtime_pb2.LinkUp(tool=request))
        result = await media.tool_result()
        assert (result.status, result.outcome.send_digits.digits) == ("ok", "4711#w2")
    status, problem = await run(media, "2", '{"digits": "call me"}', "send_digits")
    assert status == "failed" and "Only 0-9" in problem["error"]
    status, problem = await run(media, "3", json.dumps({"digits": "1" * 33}), "send_digits")
    assert status == "failed" and "too long" in problem["problems"][0]
