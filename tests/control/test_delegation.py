"""Tasks of calls whose model leaves to us what is to be done."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from control.calls import delegation
from control.calls.delegation import NOT_DONE, TASK_TOKENS, UNKNOWN, TaskDelegation, TaskDialogue
from control.calls.session import Sessions
from control.calls.toolruns import ToolRuns
from control.calls.tools import END_CALL, PAUSE_RECORDING
from control.clients.openai import ModelError, ModelReply, ModelToolCall, ModelUsage, Question
from control.tools import AgentTool, FlowVersion, Origin, Registry, Result, ToolChannel, ToolContext
from hum import ids
from hum.ids import Kind
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2
from storage import call_records, calls, flows, identity, tool_runs
from storage.calls import NewCall
from storage.db import Db
from storage.tool_runs import ToolRunFilter
from tests.support.waits import patience

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
WISH = ({"role": "agent", "text": "How can I help?"}, {"role": "caller", "text": "Book me for Monday."})
Step = ModelReply | Exception


def says(text: str, *uses: ModelToolCall) -> ModelReply:
    return ModelReply(text, uses, ModelUsage("gpt-text", text_in=10, text_out=5))


def use(name: str, id: str = "c1", **arguments: str) -> ModelToolCall:
    return ModelToolCall(id, name, json.dumps(arguments))


class Mind:
    """The model of texts: it answers each question with the next step."""

    text_model = "gpt-text"

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.asked: list[Question] = []

    async def respond(self, question: Question) -> ModelReply:
        self.asked.append(question)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    @property
    def tools(self) -> set[str]:
        return {tool["name"] for tool in self.asked[-1].tools}


class Desk:
    """A live call, its tools, and who does its tasks."""

    def __init__(self, db: Db, org: UUID, call: UUID) -> None:
        self.db, self.org, self.call, self.mind = db, org, call, Mind()
        self.booked = list[str]()
        self.registry = registry = Registry()
        registry.add([self.tool("book", self._book), self.tool("connect", self._connect), END_CALL, PAUSE_RECORDING])
        sessions = Sessions(db, ControlSettings(), registry)
        dialogue = TaskDialogue(db, self.mind, registry, TASK_TOKENS)
        registry.add([TaskDelegation(db, dialogue, sessions).tool()])
        self.runs = ToolRuns(db, registry, sessions, wait_seconds=5.0)

    @staticmethod
    def tool(name: str, run: Any) -> AgentTool:
        channels, origin = frozenset({ToolChannel.CALL}), Origin("http")
        return AgentTool(name, f"What {name} does.", lambda _: SCHEMA, run, channels, 10_000, origin=origin)

    async def _book(self, _: ToolContext, arguments: Mapping[str, Any]) -> Result:
        self.booked.append(arguments["day"])
        return Result({"booked": arguments["day"]})

    async def _connect(self, _: ToolContext, __: Mapping[str, Any]) -> Result:
        return Result({"connecting": True}, leaves="transfer")

    async def leave(
        self, *steps: Step, id: str = "t1", turns: Sequence[Mapping[str, str]] = WISH, off_record: bool = False
    ) -> runtime_pb2.ToolResult:
        """Leave a task to the desk; return its result."""
        self.mind.steps += steps
        return await self.runs.run(
            runtime_pb2.RunTool(
                call_id=ids.show(Kind.CALL, self.call),
                tool_call_id=id,
                name="delegate",
                arguments_json=json.dumps({"turns": turns}),
                off_record=off_record,
            )
        )

    async def rows(self) -> list[tuple[str, Any, Any]]:
        """Return the recorded runs, oldest first: name, arguments and output."""
        async with self.db.tenant(self.org) as tx:
            rows = await tool_runs.page(tx, None, 50, ToolRunFilter(call=self.call), timedelta(days=1))
        return [
            (row.name, json.loads(row.arguments or "null"), json.loads(row.output or "null")) for row in reversed(rows)
        ]

    async def shown(self) -> list[tuple[str, str]]:
        """Return the tools in the call's record, with how they ended."""
        async with self.db.tenant(self.org) as tx:
            activity = (await call_records.detail(tx, self.call)).tool_activity
        return [(each["name"], each["status"]) for each in map(json.loads, activity)]


def output(result: runtime_pb2.ToolResult) -> Any:
    return json.loads(result.output_json)


@pytest.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    db, org, call, flow = await Db.open(database_url, size=4), ids.new(), ids.new(), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    async with db.tenant(org) as tx:
        await flows.create(tx, flow, "voice", {"name": "F", "system_prompt": "Be kind.", "recording_enabled": True})
    async with db.system() as tx:
        await calls.create(tx, NewCall(call, org, "CA1", "inbound", "in_progress", "+1", "+2", None, flow, 1, None))
    yield Desk(db, org, call)
    await db.close()


async def test_a_task_is_done_with_the_calls_tools_and_leaves_its_rows(desk: Desk) -> None:
    result = await desk.leave(says("", use("book", day="Monday")), says("You are booked for Monday."))
    assert (result.status, output(result)) == ("ok", {"say": "You are booked for Monday."})
    assert desk.booked == ["Monday"]
    assert await desk.rows() == [
        ("delegate", {}, {"say": "You are booked for Monday."}),
        ("book", {"day": "Monday"}, {"booked": "Monday"}),
    ]
    assert await desk.shown() == [("book", "ok")]
    first = desk.mind.asked[0]
    assert [(item["role"], item["content"]) for item in first.items] == [
        ("assistant", "How can I help?"),
        ("user", "Book me for Monday."),
        ("developer", delegation.NOW),
    ]
    assert first.instructions.startswith("Be kind.")
    assert "behind the voice" in first.instructions
    assert desk.mind.tools == {"book", "connect", "end_call"}, "no tool for a task, and none that pauses the recording"
    async with desk.db.tenant(desk.org) as tx:
        used = await tx.fetch(
            "SELECT meter, sum(quantity) AS n FROM usage_entries WHERE subject_id = $1 GROUP BY 1", desk.call
        )
    assert {row["meter"]: row["n"] for row in used} == {"text_tokens_in": 20, "text_tokens_out": 10}


async def test_a_voice_has_one_tool_and_is_told_what_can_be_done_in_words(desk: Desk) -> None:
    flow = ids.new()
    async with desk.db.tenant(desk.org) as tx:
        await flows.create(tx, flow, "voice", {"name": "Live", "system_prompt": "Be kind.", "model": "gpt-live-1.1"})
    sessions = Sessions(desk.db, ControlSettings(live_models="gpt-live-1.1"), desk.registry)
    session = (await sessions.of_flow(desk.call, FlowVersion(flow, 1))).session
    assert [tool.name for tool in session.tools] == ["delegate"]
    assert session.instructions.startswith("Be kind.")
    assert "- What book does.\n- What connect does." in session.instructions
    assert "end_call" not in session.instructions


async def test_a_task_that_is_asked_for_again_is_not_done_again(desk: Desk) -> None:
    first = await desk.leave(says("", use("book", day="Monday")), says("Booked."))
    assert await desk.leave() == first
    assert desk.booked == ["Monday"]


async def test_a_later_task_knows_what_an_earlier_one_did(desk: Desk) -> None:
    await desk.leave(says("", use("book", day="Monday")), says("Booked for Monday."))
    await desk.leave(says("", use("book", "c1", day="Tuesday")), says("Moved to Tuesday."), id="t2")
    items = desk.mind.asked[2].items
    assert [item.get("content") or item.get("arguments") or item["output"] for item in items][:3] == [
        delegation.BEFORE + "Booked for Monday.",
        '{"day": "Monday"}',
        '{"booked": "Monday"}',
    ]
    assert desk.booked == ["Monday", "Tuesday"], "the model's ids begin anew with each task"


async def test_a_tool_that_moves_the_call_on_ends_the_task(desk: Desk) -> None:
    result = await desk.leave(says("One moment, I connect you.", use("connect", day="now")))
    assert result.outcome.leave.reason == "transfer"
    assert output(result) == {"say": "One moment, I connect you."}
    silent = await desk.leave(says("", use("connect", day="now")), id="t2")
    assert output(silent) == {"connecting": True}


@pytest.mark.parametrize("words", ["Goodbye.", ""])
async def test_a_task_ends_the_call(desk: Desk, words: str) -> None:
    result = await desk.leave(says(words, use("end_call")))
    assert result.outcome.HasField("hang_up")
    assert output(result) == {"say": words}
    assert await desk.leave() == result


async def test_a_model_that_fails_is_asked_again_only_after_a_tool_has_acted(desk: Desk) -> None:
    result = await desk.leave(ModelError("down"))
    assert (result.status, output(result)) == ("failed", {"error": NOT_DONE})
    again = await desk.leave(says("", use("book", day="Monday")), ModelError("down"), says("Booked."), id="t2")
    assert output(again) == {"say": "Booked."}
    assert desk.booked == ["Monday"]
    failing: list[Step] = [says("", use("book", day="Friday")), ModelError("down"), ModelError("down")]
    assert output(await desk.leave(*failing, id="t3")) == {"error": UNKNOWN}
    assert desk.booked == ["Monday", "Friday"]


async def test_a_model_that_calls_tools_for_ever_is_stopped(desk: Desk) -> None:
    steps = [says("", use("book", f"c{n}", day=str(n))) for n in range(delegation.TASK_TOOL_CALLS)]
    result = await desk.leave(*steps, says("", use("book", "more", day="x")), says("", use("book", "more", day="x")))
    assert output(result) == {"error": UNKNOWN}
    assert len(desk.booked) == delegation.TASK_TOOL_CALLS


async def test_nothing_of_a_secret_task_is_kept(desk: Desk) -> None:
    result = await desk.leave(says("", use("book", day="4111")), says("Done with 4111."), off_record=True)
    assert output(result) == {"say": "Done with 4111."}
    kept = json.dumps(await desk.rows())
    assert "4111" not in kept
    async with desk.db.tenant(desk.org) as tx:
        assert "4111" not in json.dumps((await call_records.detail(tx, desk.call)).tool_activity)
    await desk.leave(says("Hello."), id="t2")
    assert "not_recorded" not in json.dumps(desk.mind.asked[-1].items)


@pytest.mark.parametrize(
    "turns", ["x", [{"role": "root", "text": "x"}], [{"role": "caller"}], [{"role": "caller", "text": "x" * 5_000}]]
)
async def test_turns_that_are_none_are_refused(desk: Desk, turns: Any) -> None:
    result = await desk.leave(turns=turns)
    assert result.status == "failed"
    assert output(result)["error"].startswith("The arguments are not valid")
    assert desk.mind.asked == []


async def test_a_tool_in_progress_ends_though_the_tasks_time_is_over(desk: Desk) -> None:
    begun, going_on = asyncio.Event(), asyncio.Event()

    async def slow(_: ToolContext, __: Mapping[str, Any]) -> Result:
        begun.set()
        await going_on.wait()
        return Result({"done": True})

    desk.registry.add([desk.tool("slow", slow)])
    task = asyncio.create_task(desk.leave(says("", use("slow", day="x"))))
    async with patience():
        await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    going_on.set()
    async with patience():
        await asyncio.gather(task, return_exceptions=True)
    assert ("slow", {"day": "x"}, {"done": True}) in await desk.rows()
    assert await desk.shown() == [("slow", "ok")]
