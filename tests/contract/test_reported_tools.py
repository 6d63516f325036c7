"""A tool call of a call's agent is one row, which the media process and control write, in any order."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from control.livecall import activity
from hum import ids
from hum.ids import Kind
from hum.v1 import calls_pb2, runtime_pb2
from tests.contract.conftest import Edge
from tests.contract.httptools.conftest import executions
from tests.contract.test_live_stream import Media, event, events, in_progress
from tests.contract.test_tools import run

AT = datetime(2026, 11, 30, 12, 0, 0, 250_000, tzinfo=UTC)
ARGUMENTS = '{"a":1.0, "b": "x"}'


def called(name: str = "nothing") -> calls_pb2.ToolActivity:
    """A tool that the model has just called."""
    tool = calls_pb2.ToolActivity(id="1", name=name, arguments=ARGUMENTS, status="running")
    tool.started_at.FromDatetime(AT)
    return tool


async def begin(media: Media, tool: calls_pb2.ToolActivity) -> None:
    await media.acknowledged(media.report(tool_started=tool))


async def end(media: Media, tool: calls_pb2.ToolActivity, status: str, result: Any) -> None:
    tool.status, tool.result, tool.duration_ms = status, json.dumps(result), 40
    await media.acknowledged(media.report(tool_finished=tool))


async def shown(http: httpx.AsyncClient, call_id: str) -> dict[str, Any]:
    (tool,) = (await http.get(f"/api/calls/{call_id}")).json()["tool_activity"]
    return dict(tool)


async def beside(edge: Edge) -> list[tuple[Any, Any]]:
    """What is stored of reports beside executions."""
    async with edge.plane.control.db.system() as tx:
        rows = await tx.fetch("SELECT report_arguments, report_result FROM tool_runs")
    return [(row["report_arguments"], row["report_result"]) for row in rows]


async def streamed(edge: Edge) -> list[str]:
    """The types of what the call's stream has of tools."""
    async with edge.plane.control.db.system() as tx:
        rows = await tx.fetch("SELECT type FROM call_events WHERE type LIKE 'tool.%' ORDER BY seq")
    return [row["type"] for row in rows]


@pytest.mark.parametrize("is_reported_first", [True, False])
async def test_a_run_and_its_report_are_one_row(edge: Edge, is_reported_first: bool) -> None:
    http, media, call_id = await in_progress(edge)
    tool = called()
    if is_reported_first:
        await begin(media, tool)
    status, output = await run(media, "1", ARGUMENTS, "nothing")
    if not is_reported_first:
        await begin(media, tool)
        assert (await shown(http, call_id))["result"] is None, "the model has not got it"
    await end(media, tool, status, output)
    assert await shown(http, call_id) == {
        "id": "1",
        "name": "nothing",
        "arguments": {"a": 1.0, "b": "x"},
        "result": {"error": "There is no such tool."},
        "status": "failed",
        "started_at": "2026-11-30T12:00:00.250Z",
        "duration_ms": 40,
    }
    (execution,) = await executions(http, call_id=call_id)
    assert (execution["arguments"], execution["status"]) == ({"a": 1.0, "b": "x"}, "failed")
    assert await beside(edge) == [(None, None)]


async def test_a_result_that_came_too_late_stands_beside_what_the_model_got(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    tool = called()
    await begin(media, tool)
    await end(media, tool, "failed", {"error": "The tool did not answer in time."})
    await run(media, "1", ARGUMENTS, "nothing")
    assert (await shown(http, call_id))["result"] == {"error": "The tool did not answer in time."}
    (execution,) = await executions(http, call_id=call_id)
    assert execution["result"] == {"error": "There is no such tool."}


@pytest.mark.parametrize("value", [7, "no object", None])
async def test_arguments_that_are_no_object_are_encoded_once(edge: Edge, value: object) -> None:
    http, media, call_id = await in_progress(edge)
    tool = called()
    tool.arguments = json.dumps(value)
    await begin(media, tool)
    await end(media, tool, "ok", value)
    activity = await shown(http, call_id)
    assert activity["arguments"] == activity["result"] == value
    stream = events(http, call_id)
    told = [(await event(stream)).data for _ in range(4)]
    assert told[2]["arguments"] == told[3]["arguments"] == told[3]["result"] == value


async def test_what_the_call_carries_out_itself_is_no_execution(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    tool = called("end_call")
    await begin(media, tool)
    await end(media, tool, "ok", {})
    assert (await shown(http, call_id))["status"] == "ok"
    assert await executions(http, call_id=call_id) == []


async def test_a_tool_without_an_end_is_lost_with_the_call(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    await begin(media, called())
    await media.acknowledged(media.report(ended=runtime_pb2.StreamEnded(reason="caller", at_ms=9000)))
    lost = await shown(http, call_id)
    assert (lost["status"], lost["result"]) == ("lost", None) and lost["duration_ms"] >= 0
    assert await streamed(edge) == ["tool.started", "tool.finished"]


async def test_a_start_that_comes_late_changes_nothing(edge: Edge) -> None:
    http, media, call_id = await in_progress(edge)
    tool = called()
    await begin(media, tool)
    late = called()
    await end(media, tool, "ok", {"n": 1})
    id = ids.require(Kind.CALL, call_id)
    async with edge.plane.control.db.system() as tx:
        org = await tx.fetchval("SELECT org_id FROM calls")
        await activity.add(tx, org, id, late, AT)
    assert (await shown(http, call_id))["status"] == "ok"
    again = called()
    again.started_at.FromDatetime(AT + timedelta(seconds=1))
    async with edge.plane.control.db.system() as tx:
        await activity.add(tx, org, id, again, AT)
    assert (await shown(http, call_id))["status"] == "running", "the model of a later session has the same id"
    async with edge.plane.control.db.system() as tx:
        await activity.add(tx, org, id, tool, AT)
    assert (await shown(http, call_id))["status"] == "running", "the end of the earlier one came again"
    assert await streamed(edge) == ["tool.started", "tool.finished", "tool.started"]
