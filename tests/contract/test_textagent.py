"""The AI in texts over REST: its turns are listed, to those who may see them; and what an agent texts from a call."""

import json
from typing import Any
from uuid import UUID

import httpx

from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2, runtime_pb2
from storage import text_runs, tool_runs
from storage.db import Tx
from storage.text_runs import TextRunFinish
from storage.tool_runs import NewToolRun, ToolRunRow
from tests.contract.conftest import Edge
from tests.contract.test_carrier_webhooks import CALL, flow_with_number
from tests.contract.test_live_stream import Media, answered, turn
from tests.contract.test_tools import run


async def fetch(edge: Edge, query: str, *values: Any) -> list[Any]:
    async with edge.plane.control.db.system() as tx:
        return list(await tx.fetch(query, *values))


async def joined(edge: Edge) -> tuple[httpx.AsyncClient, Media]:
    """A call to a number whose texts are on."""
    http = await flow_with_number(edge)
    (number,) = (await http.get("/api/numbers")).json()["numbers"]
    assert (await http.patch(f"/api/numbers/{number['id']}", json={"sms_enabled": True})).status_code == 200
    media = await answered(edge)
    await media.acknowledged(1)
    await media.acknowledged(
        media.report(turn=turn(1, calls_pb2.SPEAKER_CALLER, "Could you text me the address, please?"))
    )
    return http, media


async def text(media: Media, id: str, body: str) -> tuple[str, Any]:
    arguments = {"text": body, "consent": "could you text me the address"}
    return await run(media, id, json.dumps(arguments), "send_text")


async def test_an_agent_texts_its_caller_and_nobody_else(edge: Edge) -> None:
    _, media = await joined(edge)
    assert {tool.name for tool in media.session.tools} == {"end_call", "send_text", "stop_texting"}
    status, output = await text(media, "1", "We are at **12 Main St**.")
    assert (status, output["status"]) == ("ok", "queued")
    assert await text(media, "1", "repeated by the link") == (status, output)
    (message,) = await fetch(edge, "SELECT * FROM messages")
    assert (message["body"], message["sent_by"], message["honors_hours"]) == ("We are at 12 Main St.", "ai", False)
    assert (message["number_e164"], message["contact_e164"]) == (CALL["To"], CALL["From"])
    assert ids.show(Kind.MESSAGE, message["id"]) == output["message_id"]
    await fetch(edge, "UPDATE conversations SET status = 'closed' RETURNING id")
    assert (await text(media, "2", "Again"))[1]["status"] == "queued"
    ((opened,),) = await fetch(edge, "SELECT status FROM conversations")
    assert opened == "open", "a closed thread is opened first"
    assert (await text(media, "3", "Third"))[0] == "ok"
    status, output = await text(media, "4", "Fourth")
    assert status == "failed" and "3 texts" in output["error"]
    assert len(await fetch(edge, "SELECT FROM messages")) == 3
    bad = await run(media, "5", '{"text": "Hi", "consent": "text me", "to": "+13175550111"}', "send_text")
    assert bad[0] == "failed" and len(await fetch(edge, "SELECT FROM messages")) == 3


async def test_nobody_is_texted_who_has_not_said_so(edge: Edge) -> None:
    _, media = await joined(edge)
    status, output = await run(media, "1", '{"text": "Offer", "consent": "yes, send me your offers"}', "send_text")
    assert status == "failed" and "Ask them" in output["error"]
    assert await fetch(edge, "SELECT FROM messages") == []
    unfinished = runtime_pb2.CallUnderWay(call_id=media.call_id, stream_number=1)
    unfinished.turns.append(turn(2, calls_pb2.SPEAKER_CALLER, "Yes. Send me your offers!"))
    media.ups.put_nowait(runtime_pb2.LinkUp(under_way=runtime_pb2.CallsUnderWay(calls=[unfinished])))
    status, _ = await run(media, "2", '{"text": "Offer", "consent": "yes, send me your offers"}', "send_text")
    assert status == "ok"
    (activity,) = await fetch(edge, "SELECT count(*) FROM messages")
    assert activity["count"] == 1


async def test_who_wants_none_gets_none_and_the_agent_knows(edge: Edge) -> None:
    _, media = await joined(edge)
    status, output = await run(media, "1", '{"words": "please never text me"}', "stop_texting")
    assert status == "ok" and "START" in output["stopped"]
    (out,) = await fetch(edge, "SELECT contact_e164, source, keyword FROM opt_outs WHERE opted_out")
    assert tuple(out) == (CALL["From"], "agent", "please never text me")
    status, output = await text(media, "2", "One more thing")
    assert (status, output["status"]) == ("failed", "opted_out") and "START" in output["error"]


async def test_nobody_is_texted_at_a_number_that_may_be_forged(edge: Edge) -> None:
    _, media = await joined(edge)
    await fetch(edge, "UPDATE calls SET caller_verification = 'failed' RETURNING id")
    assert (await text(media, "1", "Hi"))[1] == {
        "error": "This tool is not available: the caller's number is withheld, or may be spoofed."
    }
    await fetch(edge, "UPDATE calls SET caller_verification = NULL RETURNING id")
    await fetch(edge, "UPDATE numbers SET sms_enabled = false RETURNING id")
    assert (await text(media, "2", "Hi"))[1] == {
        "error": "This tool is not available: this call's number can't text: its `sms_enabled` is off, or its carrier offers no "
        "texts for it."
    }


async def run_tool(tx: Tx, org: UUID, turn: UUID, name: str, approval: UUID | None = None) -> None:
    """A tool that a turn's agent has run, or (`approval`) that was run for it later."""
    run = NewToolRun(
        id=ids.new(),
        org_id=org,
        channel="text",
        purpose="agent",
        call_id=None,
        conversation_id=None,
        run_id=turn,
        flow_id=None,
        flow_version=None,
        tool_call_id="call_1",
        name=name,
        kind="built_in",
        tool_id=None,
        tool_version=None,
        arguments='{"booked": true}',
        approval_id=approval,
    )
    id = await tool_runs.begin(tx, run)
    assert id is not None
    await tool_runs.finish(tx, id, ToolRunRow("ok", '{"recorded": true}'), 7)


async def test_turns_are_listed_newest_first_in_pages(edge: Edge) -> None:
    http, media = await joined(edge)
    _, output = await text(media, "1", "Hi")
    conversation = ids.require(Kind.CONVERSATION, output["conversation_id"])
    ((org,),) = await fetch(edge, "SELECT org_id FROM conversations")
    runs = [ids.new() for _ in range(3)]
    for id in runs:
        async with edge.plane.control.db.system() as tx:
            await text_runs.create(tx, [(id, org, conversation)])
            await run_tool(tx, org, id, "a_failed_attempt")
            await tx.execute("UPDATE tool_runs SET started_at = now() - interval '1 second' WHERE run_id = $1", id)
            await text_runs.set_model(tx, id, ids.new(), 1, "m")
            await run_tool(tx, org, id, "report_outcome")
            await run_tool(tx, org, id, "approved_later", approval=ids.new())
            end = TextRunFinish("replied", None, ids.require(Kind.MESSAGE, output["message_id"]), 5, 6)
            await text_runs.finish(tx, id, end)
            await text_runs.set_outcome(tx, id, '{"booked": true}')
    path = f"/api/sms/conversations/{output['conversation_id']}/runs"
    first = (await http.get(path, params={"limit": 2})).json()
    second = (await http.get(path, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    shown = [*first["runs"], *second["runs"]]
    assert [each["id"] for each in shown] == [ids.show(Kind.RUN, id) for id in sorted(runs, reverse=True)]
    assert second["next_cursor"] is None
    (activity,) = shown[0]["tool_activity"]
    assert (activity["name"], activity["arguments"], activity["status"]) == ("report_outcome", {"booked": True}, "ok")
    assert (shown[0]["status"], shown[0]["outcome"], shown[0]["input_tokens"]) == ("replied", {"booked": True}, 5)
    assert shown[0]["message_id"] == output["message_id"]
    stranger = await edge.client("Other")
    missing = await stranger.get(path)
    unknown = await stranger.get(f"/api/sms/conversations/{ids.show(Kind.CONVERSATION, ids.new())}/runs")
    assert missing.status_code == unknown.status_code == 404
    assert (await (await edge.client("Third", scopes=("calls:read",))).get(path)).status_code == 403
