"""HTTP tools in calls: an agent uses them, and what they did is kept."""

import json

from hum.v1 import calls_pb2, runtime_pb2
from tests.contract.conftest import Edge
from tests.contract.httptools.conftest import ORDER_ID, TOOL, executions, flow_of, made, serving
from tests.contract.test_carrier_webhooks import flow_with_number
from tests.contract.test_live_stream import answered
from tests.contract.test_tools import run

CARD = "4111 1111 1111 1111"


async def test_an_agent_calls_a_tool_and_what_it_did_is_kept(edge: Edge) -> None:
    http = await flow_with_number(edge)
    flow = await flow_of(http)
    async with serving() as shop:
        schema = {
            "type": "object",
            "properties": {"id": {"type": "string"}, "shop": {"type": "string"}},
            "required": ["id", "shop"],
        }
        tool = await made(
            http,
            "/api/tools",
            TOOL
            | {
                "url": f"{shop.url}/{{{{ args.shop }}}}/{{{{ args.id }}}}",
                "query_json": {"phone": "{{ caller.phone_e164 }}"},
                "parameters_json": schema,
            },
        )
        bind = {
            "tool_id": tool["id"],
            "name": "order",
            "arguments_json": {"shop": "main"},
            "output_template": "It is {{ response.body.state }}, {{ args.id }}.",
        }
        bound = await made(http, f"/api/flows/{flow}/tools", bind)
        media = await answered(edge)
        await media.acknowledged(1)
        offered = {each.name: each for each in media.session.tools}
        assert json.loads(offered["order"].parameters_json) == {
            "type": "object",
            "properties": {"id": {"type": "string"}},
            "required": ["id"],
        }
        assert offered["order"].timeout_ms == 8500 and "look_up_order" not in offered
        assert await run(media, "1", json.dumps({"id": CARD}), "order") == ("ok", {"result": f"It is sent, {CARD}."})
        assert shop.asked[0][1].startswith("/main/4111%201111%201111%201111?phone=%2B")
        assert (await run(media, "2", json.dumps({"id": "7", "shop": "other"}), "order"))[0] == "ok"
        assert shop.asked[1][1].startswith("/main/7?"), "what is fixed can't be chosen"
        assert (await run(media, "3", "{}", "order"))[0] == "failed"
        assert (await run(media, "4", "{}", "nothing"))[0] == "failed"
        rows = await executions(http, call_id=media.call_id)
        assert [(row["name"], row["kind"], row["status"]) for row in rows] == [
            ("nothing", None, "failed"),
            ("order", "http", "failed"),
            ("order", "http", "ok"),
            ("order", "http", "ok"),
        ]
        assert (rows[3]["arguments"], rows[3]["result"]) == (
            {"id": "[card number]"},
            {"result": "It is sent, [card number]."},
        )
        assert (rows[3]["flow_id"], rows[3]["tool_id"], rows[3]["tool_version"]) == (flow, tool["id"], 1)
        assert [row["id"] for row in await executions(http, status="failed", flow_id=flow)] == [
            rows[0]["id"],
            rows[1]["id"],
        ]
        page = (await http.get("/api/tool-executions", params={"tool": "order", "limit": 2})).json()
        more = await executions(http, tool="order", limit=2, cursor=page["next_cursor"])
        assert [row["id"] for row in [*page["executions"], *more]] == [row["id"] for row in rows[1:]]
        await http.patch(f"/api/flows/{flow}/tools/{bound['id']}", json={"enabled": False})
        assert (await run(media, "5", json.dumps({"id": "7"}), "order"))[0] == "failed", "it may not be used any more"
        await http.patch(f"/api/flows/{flow}/tools/{bound['id']}", json={"enabled": True, "requires_approval": True})
        assert (await run(media, "6", json.dumps({"id": "7"}), "order"))[0] == "failed" and len(shop.asked) == 2
    strangers = await edge.client("Stranger")
    assert await executions(strangers) == []
    assert (await strangers.get("/api/tool-executions", params={"call_id": media.call_id})).json()["executions"] == []


async def test_what_is_off_the_record_leaves_no_trace(edge: Edge) -> None:
    http = await flow_with_number(edge)
    async with serving() as shop:
        tool = await made(http, "/api/tools", TOOL | {"url": f"{shop.url}/x", "parameters_json": ORDER_ID})
        await made(http, f"/api/flows/{await flow_of(http)}/tools", {"tool_id": tool["id"]})
        media = await answered(edge)
        await media.acknowledged(1)
        request = runtime_pb2.RunTool(
            call_id=media.call_id,
            tool_call_id="1",
            name="look_up_order",
            arguments_json='{"order_id": "my mother\'s name"}',
            off_record=True,
        )
        media.ups.put_nowait(runtime_pb2.LinkUp(tool=request))
        assert json.loads((await media.tool_result()).output_json)["result"]["state"] == "sent", "the model gets it"
    (row,) = await executions(http, call_id=media.call_id)
    assert (row["arguments"], row["result"]) == ({"not_recorded": True}, {"not_recorded": True})


async def test_tool_activity_has_no_card(edge: Edge) -> None:
    http = await flow_with_number(edge)
    media = await answered(edge)
    activity = calls_pb2.ToolActivity(id="1", name="t", arguments=json.dumps({"card": CARD}), status="running")
    activity.started_at.GetCurrentTime()
    await media.acknowledged(media.report(tool_started=activity))
    activity.result, activity.status = json.dumps({"password": "hunter2", "n": 1.0}), "ok"
    await media.acknowledged(media.report(tool_finished=activity))
    answer = await http.get(f"/api/calls/{media.call_id}")
    (kept,) = answer.json()["tool_activity"]
    assert (kept["arguments"], kept["result"]) == ({"card": "[card number]"}, {"password": "[secret]", "n": 1.0})
    async with edge.plane.control.db.system() as tx:
        streamed = await tx.fetchval("SELECT string_agg(data::text, ' ') FROM call_events")
    assert CARD not in streamed and "hunter2" not in streamed and "[card number]" in streamed


async def test_a_flow_says_which_of_its_tools_its_agent_may_use(edge: Edge) -> None:
    http = await flow_with_number(edge)
    flow = await flow_of(http)
    for name in ("one", "two"):
        tool = await made(http, "/api/tools", TOOL | {"name": name})
        await made(http, f"/api/flows/{flow}/tools", {"tool_id": tool["id"]})
    (await http.patch(f"/api/flows/{flow}", json={"tools_json": [{"name": "two"}]})).raise_for_status()
    media = await answered(edge)
    assert [tool.name for tool in media.session.tools] == ["end_call", "two"]
