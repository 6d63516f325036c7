"""The dialogue of agents for texts, events and tasks of calls: ask the model and run its tools, until it calls none."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from uuid import UUID

from control.clients.openai import ModelError, ModelReply, ModelToolCall, ModelUsage, Question, Responder
from control.executions.runner import Executions, ToolRequest
from control.tools import (
    BUILT_IN,
    AgentTool,
    AtEnd,
    OrganizationTools,
    Registry,
    Result,
    Schema,
    Situation,
    ToolChannel,
    ToolContext,
    failed,
)
from hum.clock import monotonic_ms
from hum.json.storable import dumped
from storage.db import Db, Tx

TOO_MANY = "You have called enough tools. Answer now, with what you know."

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class AnsweredCall:
    """A tool call of the model, with its result."""

    call: ModelToolCall
    result: Result
    took_ms: int


@dataclass(slots=True, kw_only=True)
class Work(ABC):
    """The state of one run of an agent.  `instruct` builds the instructions from a flow's definition."""

    organization: UUID
    situation: Situation
    instruct: Callable[[Mapping[str, Any]], str]
    items: list[Item]
    tool_calls: list[AnsweredCall] = field(default_factory=list)
    at_end: list[AtEnd] = field(default_factory=list)
    #: The model's usage, per response.
    spent: list[ModelUsage] = field(default_factory=list)
    #: A tool that acts on an outside system has started: a restarted run would repeat its effect.
    has_acted: bool = False

    @property
    @abstractmethod
    def most_tool_calls(self) -> int: ...

    @abstractmethod
    def context(self) -> ToolContext:
        """Return the context of the next tool call."""

    @property
    def is_over(self) -> bool:
        """Whether the agent may write nothing more."""
        return False

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens that the model has read and written."""
        return sum(step.text_in + step.cached_text_in for step in self.spent), sum(step.text_out for step in self.spent)

    async def act(self, tx: Tx) -> None:
        """Carry out the deferred effects of the agent's tools."""
        for effect in self.at_end:
            await effect(tx)


WorkT = TypeVar("WorkT", bound=Work)


class Dialogue(Generic[WorkT]):
    """A loop of model responses and tool calls."""

    channel: ToolChannel

    def __init__(self, db: Db, responder: Responder, registry: Registry, most_tokens: int) -> None:
        self._db, self._responder, self._registry = db, responder, registry
        self._executions = Executions(db, registry)
        self._most_tokens = most_tokens

    async def own_tools(self, tx: Tx, organization: UUID, flow: UUID) -> OrganizationTools:
        """Return the organization's own tools that are bound to this flow."""
        return await self._registry.own_tools(tx, organization, flow)

    async def words(self, work: WorkT) -> str:
        """Ask the model and run its tools until it calls none; return its last text, which may be empty.

        Raises ModelError; calling this again resumes from the items so far.
        """
        words = ""
        while True:
            reply = await self._respond(work)
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
        """Return the answer; once a tool has acted, retry after a ModelError, up to `attempts` in all: a retry resumes
        after the tool, while a restart of the work would repeat its effect.  Raises ModelError.
        """
        for retries in reversed(range(attempts)):
            try:
                return await answer(work)
            except ModelError:
                if not retries or not work.has_acted:
                    raise
        raise AssertionError("there is at least one attempt")

    async def _respond(self, work: WorkT) -> ModelReply:
        offered = self._offered(work)
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
            raise ModelError("the model keeps calling tools beyond its limit")
        return reply

    def _offered(self, work: WorkT) -> list[tuple[AgentTool, Schema]]:
        """Return the tools that the model may call, with the schemas of their arguments."""
        return self._registry.offered(self.channel, work.situation)

    async def _run(self, work: WorkT, call: ModelToolCall) -> None:
        began_ms = monotonic_ms()
        if len(work.tool_calls) >= work.most_tool_calls:
            result = failed(TOO_MANY)
        else:
            result = await self._result(work, ToolRequest(call.id, call.name, call.arguments_json))
        if result.at_end is not None:
            work.at_end.append(result.at_end)
        await self._follow(work, call.name, result)
        output = dumped(result.output)
        work.items.append(
            {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments_json}
        )
        work.items.append({"type": "function_call_output", "call_id": call.id, "output": output})
        work.tool_calls.append(AnsweredCall(call, result, round(monotonic_ms() - began_ms)))

    async def _result(self, work: WorkT, request: ToolRequest) -> Result:
        """Run a tool call and return the agent's result."""
        origin = self._registry.origin(self.channel, request.name, work.situation)
        work.has_acted = work.has_acted or origin not in {None, BUILT_IN}
        return await self._executions.run(self.channel, request, work.context())

    async def _follow(self, work: WorkT, name: str, result: Result) -> None:
        """Apply a tool's result to the rest of the work."""
