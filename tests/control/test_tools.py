"""The registry of tools: what may run, for how long, and with what result; and a run whose owner died."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast
from uuid import UUID

import pytest

from control.calls.session import Sessions
from control.calls.toolruns import BUSY_ORGANIZATION, ToolRuns
from control.executions.runner import LONG_CHARS, Executions, ToolRequest, redact_off_loop
from control.tools import (
    MAX_OUTPUT_BYTES,
    AgentTool,
    ApprovalRequest,
    OrganizationTools,
    Registry,
    Result,
    Run,
    Situation,
    ToolChannel,
    ToolContext,
    ToolPolicy,
    ToolUnavailable,
)
from hum import ids
from hum.contract.errors import InvalidState
from hum.ids import Kind
from hum.json.storable import dumped
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2
from storage import calls, flows, identity
from storage.calls import NewCall
from storage.db import Db, Tx
from tests.support.metrics import sample
from tests.support.waits import patience

CONTEXT = ToolContext(ids.new(), Situation({}), call_id=ids.new())
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def tool(run: Run | None, **changes: Any) -> AgentTool:
    known: dict[str, Any] = {
        "name": "t",
        "description": "A tool.",
        "parameters": lambda _: SCHEMA,
        "run": run,
        "channels": frozenset({ToolChannel.CALL}),
        "timeout_ms": 50,
    }
    return AgentTool(**(known | changes))


async def test_the_model_gets_what_people_see_alone() -> None:
    """A server's answer may hide instructions, also in the names of its members."""

    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        return Result({"a\u200bb": ["x\U000e0041y", "two\nlines", 'a "quote" \\ \u202e'], "n": 1})

    made = await answer(tool(run))
    assert made.output == {"ab": ["xy", "two\nlines", 'a "quote" \\ '], "n": 1}


async def answer(made: AgentTool, arguments: str = '{"n": 1}') -> Result:
    registry = Registry()
    registry.add([made])
    return await registry.run(ToolChannel.CALL, made.name, arguments, CONTEXT)


async def test_what_a_tool_returns_and_raises_is_what_the_agent_can_say() -> None:
    async def double(_: ToolContext, arguments: Mapping[str, Any]) -> Result:
        return Result(arguments["n"] * 2)

    async def hang(_: ToolContext, __: Mapping[str, Any]) -> Result:
        await asyncio.sleep(10)
        raise AssertionError("it was not waited for")

    async def refuse(_: ToolContext, __: Mapping[str, Any]) -> Result:
        raise InvalidState("The call is over.")

    async def break_down(_: ToolContext, __: Mapping[str, Any]) -> Result:
        raise ZeroDivisionError("secret")

    async def away(_: ToolContext, __: Mapping[str, Any]) -> Result:
        raise ConnectionRefusedError

    assert await answer(tool(double, name="measured")) == Result(2)
    assert sample("hum_tool_seconds_count", {"tool": "measured", "status": "ok"}) == 1
    for run, sentence in (
        (hang, "This took too long. It is not known whether it was done."),
        (refuse, "The call is over."),
        (break_down, "Something went wrong. It is not known whether it was done."),
        (away, "This can't be done at the moment."),
    ):
        result = await answer(tool(run, name="measured"))
        assert (result.ok, result.output) == (False, {"error": sentence})
    assert sample("hum_tool_seconds_count", {"tool": "measured", "status": "failed"}) == 4


async def test_bad_arguments_run_nothing() -> None:
    async def never(_: ToolContext, __: Mapping[str, Any]) -> Result:
        raise AssertionError("it ran")

    for arguments in (
        "",
        "{}",
        "[]",
        "nonsense",
        '{"n": 1e999}',
        '{"n": NaN}',
        '{"n": "1"}',
        '{"n": 1' + " " * 70_000 + "}",
        "{" * 5000,
        '{"n": 1, "m": ' + "[" * 64 + "]" * 64 + "}",
    ):
        result = await answer(tool(never), arguments)
        assert not result.ok and result.output["problems"], arguments[:20]
    assert not (await answer(tool(never, policy=ToolPolicy.APPROVAL))).ok
    assert not (await answer(tool(never, parameters=lambda _: ToolUnavailable("the flow has no use for it")))).ok, (
        "the flow has no use for it"
    )
    assert not (await answer(tool(never, channels=frozenset()))).ok
    assert not (await answer(tool(None))).ok, "the media process carries it out itself"


async def test_a_tool_that_is_not_offered_says_what_is_missing() -> None:
    async def do(_: ToolContext, __: Mapping[str, Any]) -> Result:
        return Result("done")

    registry = Registry()
    registry.add([tool(do, name="own"), tool(do, name="other", parameters=lambda _: ToolUnavailable("`x` is off"))])
    orders, stock = tool(do, name="orders"), tool(do, name="stock")

    async def errors(tools_json: str | None) -> dict[str, str]:
        situation = Situation({"tools_json": tools_json}, own_tools=OrganizationTools((orders, stock)))
        reasons = registry.unavailable(ToolChannel.CALL, situation)
        offered = {each.name for each, _ in registry.offered(ToolChannel.CALL, situation)}
        assert offered == {"own", "other", "orders", "stock"} - reasons.keys()
        context = ToolContext(ids.new(), situation, call_id=ids.new())
        for name, reason in reasons.items():
            result = await registry.run(ToolChannel.CALL, name, '{"n": 1}', context)
            assert (result.ok, result.output) == (False, {"error": str(reason)})
        return {name: reason.reason for name, reason in reasons.items()}

    x, off, unlisted = (
        "`x` is off",
        "the agent's `tools_json` switches it off",
        "the agent's `tools_json` does not list it",
    )
    assert await errors(None) == {"other": x}
    assert await errors("[]") == {"other": x, "orders": unlisted, "stock": unlisted}
    assert await errors('[{"name": "orders"}]') == {"other": x, "stock": unlisted}
    assert await errors('[{"name": "own", "enabled": false}]') == {"other": x, "own": off}
    assert await errors('[{"name": "own", "enabled": false}, {"name": "stock"}]') == {
        "other": x,
        "own": off,
        "orders": unlisted,
    }
    unknown = await registry.run(ToolChannel.CALL, "nothing", "{}", CONTEXT)
    assert unknown.output == {"error": "There is no such tool."}


async def test_what_is_long_is_cleaned_where_it_holds_up_nobody() -> None:
    threads = list[int]()

    def clean(text: str) -> str:
        threads.append(threading.get_ident())
        return text.upper()

    for size in (LONG_CHARS, LONG_CHARS + 1):
        assert await redact_off_loop(clean, "a" * size) == "A" * size
    assert threads[0] == threading.get_ident() != threads[1]


async def test_a_long_result_is_cut_and_says_so() -> None:
    async def talk(_: ToolContext, __: Mapping[str, Any]) -> Result:
        return Result({"text": "\u20ac" * MAX_OUTPUT_BYTES})

    result = await answer(tool(talk))
    assert result.ok and result.output["cut"]
    assert len(dumped(result.output).encode()) < MAX_OUTPUT_BYTES * 1.2
    odd = {"far": float("inf"), "none": [float("nan")], "half": "\ud83d", "half \udc00": 1.5}
    assert json.loads(dumped(odd)) == {"far": None, "none": [None], "half": "?", "half ?": 1.5}
    assert json.loads(dumped({"nul": ["a\0b"], "no\0": r"\u0000"})) == {"nul": ["a\ufffdb"], "no\ufffd": r"\u0000"}


def test_two_tools_of_one_name_are_a_bug() -> None:
    with pytest.raises(AssertionError, match="two tools"):
        Registry().add([tool(None), tool(None)])
    Registry().add([tool(None), tool(None, channels=frozenset({ToolChannel.TEXT}))])


async def test_what_an_organization_made_is_offered_to_its_flow_and_never_instead_of_ours() -> None:
    async def ours(_: ToolContext, __: Mapping[str, Any]) -> Result:
        return Result("ours")

    async def theirs(_: ToolContext, __: Mapping[str, Any]) -> Result:
        return Result("theirs")

    organization, flow = ids.new(), ids.new()

    async def source(_: Tx, org: UUID, of: UUID) -> list[AgentTool]:
        return [tool(theirs), tool(theirs, name="own")] if (org, of) == (organization, flow) else []

    registry = Registry()
    registry.add([tool(ours)])
    registry.add_sources([source, source])
    tx = cast("Tx", None)
    assert await registry.own_tools(tx, organization, ids.new()) == OrganizationTools()
    situation = Situation({}, own_tools=await registry.own_tools(tx, organization, flow))
    assert [each.name for each, _ in registry.offered(ToolChannel.CALL, situation)] == ["t", "own"]
    assert registry.offered(ToolChannel.TEXT, situation) == []
    context = ToolContext(organization, situation, call_id=ids.new())
    for name, output in (("t", "ours"), ("own", "theirs")):
        assert (await registry.run(ToolChannel.CALL, name, '{"n": 1}', context)).output == output
    assert not (await registry.run(ToolChannel.CALL, "own", '{"n": 1}', CONTEXT)).ok, "another flow's"


@pytest.fixture
async def call(database_url: str) -> AsyncIterator[tuple[Db, UUID, UUID]]:
    db, org, call, flow = await Db.open(database_url, size=4), ids.new(), ids.new(), ids.new()
    async with db.system() as tx:
        await identity.create_organization(tx, org, "Clinic")
    async with db.tenant(org) as tx:
        await flows.create(tx, flow, "voice", {"name": "F"})
    async with db.system() as tx:
        await calls.create(tx, NewCall(call, org, "CA1", "inbound", "in_progress", "+1", "+2", None, flow, 1, None))
    yield db, org, call
    await db.close()


async def test_a_run_whose_owner_died_is_never_done_again(call: tuple[Db, UUID, UUID]) -> None:
    db, org, id = call
    runs = 0

    async def count(_: ToolContext, __: Mapping[str, Any]) -> Result:
        nonlocal runs
        runs += 1
        return Result(runs)

    registry = Registry()
    registry.add([tool(count)])
    tools = ToolRuns(db, registry, Sessions(db, ControlSettings(), registry), wait_seconds=2.0)

    def asked(tool_call_id: str) -> runtime_pb2.RunTool:
        return runtime_pb2.RunTool(
            call_id=ids.show(Kind.CALL, id), tool_call_id=tool_call_id, name="t", arguments_json='{"n": 1}'
        )

    async with db.system() as tx:
        context = ToolContext(org, Situation({}), call_id=id)
        begun = await Executions(db, registry).begin(tx, ToolChannel.CALL, ToolRequest("died", "t", "{}"), context)
    assert begun is not None  # and its process is gone
    result = await tools.run(asked("died"))
    assert (result.status, runs) == ("failed", 0)
    assert json.loads(result.output_json) == {"error": "It is not known whether this was done."}
    both = await asyncio.gather(*(tools.run(asked("twice")) for _ in range(4)))
    assert {(each.status, each.output_json) for each in both} == {("ok", "1")}
    assert runs == 1


async def test_one_organizations_slow_tools_leave_places_for_the_others(call: tuple[Db, UUID, UUID]) -> None:
    db, _, id = call
    begun, going_on = asyncio.Semaphore(0), asyncio.Event()

    async def slow(_: ToolContext, __: Mapping[str, Any]) -> Result:
        begun.release()
        await going_on.wait()
        return Result(1)

    registry = Registry()
    registry.add([tool(slow, timeout_ms=60_000)])
    tools = ToolRuns(db, registry, Sessions(db, ControlSettings(), registry), wait_seconds=60.0)
    link, other_link = tools.of_link(4), tools.of_link(4)

    def request_of(tool_call_id: str) -> runtime_pb2.RunTool:
        call_id = ids.show(Kind.CALL, id)
        return runtime_pb2.RunTool(call_id=call_id, tool_call_id=tool_call_id, name="t", arguments_json='{"n": 1}')

    async def run(tool_call_id: str) -> runtime_pb2.ToolResult:
        return await link.run(request_of(tool_call_id))

    both = [asyncio.create_task(run(name)) for name in ("first", "second")]
    async with patience():
        await begun.acquire()
        await begun.acquire()
    refused = await run("third")
    assert (refused.status, json.loads(refused.output_json)) == ("failed", {"error": BUSY_ORGANIZATION})
    elsewhere = asyncio.create_task(other_link.run(request_of("elsewhere")))
    async with patience():
        await begun.acquire()
    with link._places.place(ids.new()) as has_place:
        assert has_place
    going_on.set()
    assert [each.status for each in await asyncio.gather(*both, elsewhere)] == ["ok"] * 3
    assert (await run("third")).status == "ok"


async def test_a_tool_that_needs_approval_asks_and_runs_once_a_person_has_approved() -> None:
    questions = list[ApprovalRequest]()

    async def double(_: ToolContext, arguments: Mapping[str, Any]) -> Result:
        return Result(arguments["n"] * 2)

    async def ask(question: ApprovalRequest) -> Result:
        questions.append(question)
        return Result({"status": "waiting"})

    registry = Registry()
    registry.add([tool(double, policy=ToolPolicy.APPROVAL)])
    registry.set_approver(ask)
    assert not (await registry.run(ToolChannel.CALL, "t", '{"n": "x"}', CONTEXT)).ok and not questions
    assert (await registry.run(ToolChannel.CALL, "t", '{"n": 4}', CONTEXT)).output == {"status": "waiting"}
    (question,) = questions
    assert (question.tool.name, question.arguments, question.schema) == ("t", {"n": 4}, SCHEMA)
    assert (await registry.run_approved(ToolChannel.CALL, "t", '{"n": 4}', CONTEXT)).output == 8
    assert not (await registry.run_approved(ToolChannel.CALL, "t", '{"n": "x"}', CONTEXT)).ok
    assert not (await registry.run_approved(ToolChannel.TEXT, "t", '{"n": 4}', CONTEXT)).ok, (
        "not where it is not offered"
    )
