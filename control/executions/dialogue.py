"""What the agents of texts and of events do alike: the model is asked, its tools are run one after another, until it calls no
more.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from control.clients.openai import ModelError, Question, Reply, Responder, Spent, ToolCall
from control.executions.keeping import Called, Executions, aside, json_without_secrets
from control.tools import BUILT_IN, AtEnd, Registry, Result, Situation, Tool, ToolChannel, ToolContext, dumped, failed
from hum.clock import monotonic_ms, now
from storage.db import Db, Tx

#: A call's arguments and results are kept up to so many characters each.
KEPT_CHARS = 8_000
TOO_MANY = "You have called enough tools. Answer now, with what you know."

Item = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Work(ABC):
    """What an agent does in one go, as it goes on.  `instruct` makes the instructions for a flow's definition."""

    organization: UUID
    situation: Situation
    instruct: Callable[[Mapping[str, Any]], str]
    items: list[Item]
    #: For the record: what each tool was called with, and answered.
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    at_end: list[AtEnd] = field(default_factory=list)
    #: What the model used, step by step.
    spent: list[Spent] = field(default_factory=list)
    #: A tool was begun that acts at once, outside: what is begun anew would do it again.
    has_acted: bool = False

    @property
    @abstractmethod
    def most_tool_calls(self) -> int: ...

    @abstractmethod
    def context(self) -> ToolContext:
        """What a tool runs for now."""

    @property
    def is_over(self) -> bool:
        """Whether nothing more may be written."""
        return False

    @property
    def tokens(self) -> tuple[int, int]:
        """How many the model has read and written."""
        return sum(each.text_in + each.cached_text_in for each in self.spent), sum(each.text_out for each in self.spent)

    async def act(self, tx: Tx) -> None:
        """Do what the agent's tools have promised."""
        for each in self.at_end:
            await each(tx)


WorkT = TypeVar("WorkT", bound=Work)


class Dialogue(Generic[WorkT]):
    """Asks the model, as often as it calls tools."""

    channel: ToolChannel

    def __init__(self, db: Db, responder: Responder, registry: Registry, most_tokens: int) -> None:
        self._db, self._responder, self._registry = db, responder, registry
        self._executions = Executions(db, registry)
        self._most_tokens = most_tokens

    async def own_tools(self, tx: Tx, organization: UUID, flow: UUID) -> tuple[Tool, ...]:
        """For a situation: what the organization itself lets this flow's agent use."""
        return await self._registry.own_tools(tx, organization, flow)

    async def words(self, work: WorkT) -> str:
        """What the model writes once it calls no more tools, or with its last call; may be empty.  Raises ModelError, after
        which it can be asked again: it goes on from there.
        """
        words = ""
        while True:
            reply = await self._ask(work)
            words = reply.text.strip() or words
            if not reply.calls:
                return words
            if reply.text.strip():
                work.items.append({"role": "assistant", "content": reply.text})
            for call in reply.calls:
                await self._run(work, call)
            if work.is_over:
                return words

    async def insisting(self, work: WorkT, answer: Callable[[WorkT], Awaitable[str]], attempts: int) -> str:
        """What it answers.  Raises ModelError; once a tool has acted, only if the model fails again and again: it goes on from
        there, while work that is begun anew would do it twice.
        """
        for left in reversed(range(attempts)):
            try:
                return await answer(work)
            except ModelError:
                if not left or not work.has_acted:
                    raise
        raise AssertionError("there is at least one attempt")

    async def _ask(self, work: WorkT) -> Reply:
        offered = self._registry.offered(self.channel, work.situation)
        may_call = len(work.tool_calls) < work.most_tool_calls
        tools: list[Mapping[str, Any]] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(schema),
                "strict": False,
            }
            for tool, schema in offered
        ]
        instructions = work.instruct(work.situation.definition)
        reply = await self._responder.respond(
            Question(instructions, tuple(work.items), tools, may_call, self._most_tokens)
        )
        work.spent.append(reply.spent)
        if reply.calls and not may_call:
            raise ModelError("the model goes on calling tools")
        return reply

    async def _run(self, work: WorkT, call: ToolCall) -> None:
        began_at, began_ms = now(), monotonic_ms()
        if len(work.tool_calls) >= work.most_tool_calls:
            result = failed(TOO_MANY)
        else:
            result = await self._result(work, Called(call.id, call.name, call.arguments_json))
        if result.at_end is not None:
            work.at_end.append(result.at_end)
        await self._follow(work, call.name, result)
        output = dumped(result.output)
        work.items.append(
            {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments_json}
        )
        work.items.append({"type": "function_call_output", "call_id": call.id, "output": output})
        work.tool_calls.append(await _kept(call, output, result, began_at, round(monotonic_ms() - began_ms)))

    async def _result(self, work: WorkT, called: Called) -> Result:
        """What the agent gets for a tool call."""
        origin = self._registry.origin(self.channel, called.name, work.situation)
        work.has_acted = work.has_acted or origin not in {None, BUILT_IN}
        return await self._executions.run(self.channel, called, work.context())

    async def _follow(self, work: WorkT, name: str, result: Result) -> None:
        """What else a tool's result changes for the rest of the work."""


async def _kept(call: ToolCall, output: str, result: Result, began_at: datetime, took_ms: int) -> dict[str, Any]:
    return {
        "id": call.id.replace("\0", "")[:200],
        "name": call.name.replace("\0", "")[:200],
        "arguments_json": (await aside(json_without_secrets, call.arguments_json.replace("\0", "")))[:KEPT_CHARS],
        "result_json": (await aside(json_without_secrets, output))[:KEPT_CHARS],
        "status": "ok" if result.ok else "failed",
        "started_at": began_at.isoformat(),
        "duration_ms": took_ms,
    }
