"""Execution of agents' tools and its record, for calls, texts and events alike.

Card numbers, passwords and tokens are removed from arguments and results before they are stored.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from control.base import redaction
from control.tools import MAX_ARGUMENTS_BYTES, Registry, Result, ToolChannel, ToolContext
from hum import ids
from hum.clock import monotonic_ms
from hum.json.schemas import bad_json
from hum.json.storable import dumped
from hum.v1 import calls_pb2
from storage import tool_runs
from storage.db import Db, Tx
from storage.tool_runs import NewToolRun, ToolRunRow

NOT_RECORDED = '{"not_recorded": true}'
MOST_NAME_CHARS = 200
#: Longer texts are redacted in a thread: a few milliseconds would delay the event loop of all calls.
LONG_CHARS = 4000


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """A tool call as the model wrote it.  `off_record`: neither arguments nor result are stored."""

    id: str
    name: str
    arguments_json: str
    off_record: bool = False
    #: What is stored instead of the arguments.
    recorded_json: str | None = None
    #: The approval of a call that a person approved; `id` is then the approval's, not the model's.
    approval: UUID | None = None


class Executions:
    """Runs of agents' tools, each recorded as a row.  `is_test`: they belong to a trial, not to a call or a text."""

    def __init__(self, db: Db, registry: Registry, *, is_test: bool = False) -> None:
        self._db, self._registry, self._is_test = db, registry, is_test

    async def run(self, channel: ToolChannel, request: ToolRequest, context: ToolContext) -> Result:
        """Run a tool, between two short transactions."""
        async with self._db.tenant(context.organization) as tx:
            run_context = await self.begin(tx, channel, request, context)
        # Only calls repeat requests, and they use `begin` themselves.
        if run_context is None:
            raise ValueError(f"the tool call {request.id[:40]!r} was run before")
        return await self.carry_out(channel, request, run_context)

    async def begin(
        self, tx: Tx, channel: ToolChannel, request: ToolRequest, context: ToolContext
    ) -> ToolContext | None:
        """Record that a tool starts; return the context to run it with, or None if this tool call was run before."""
        turn, flow = context.turn, context.situation.flow
        origin = self._registry.origin(channel, request.name, context.situation)
        run = NewToolRun(
            id=ids.new(),
            org_id=context.organization,
            channel="test" if self._is_test else channel.stored,
            purpose="test" if self._is_test else "agent",
            call_id=context.call_id,
            conversation_id=turn.conversation if turn else None,
            run_id=turn.run if turn else context.event_run,
            flow_id=flow.id if flow else None,
            flow_version=flow.version if flow else None,
            tool_call_id=name_of(request.id),
            name=name_of(request.name),
            kind=origin.kind if origin else None,
            tool_id=origin.id if origin else None,
            tool_version=origin.version if origin else None,
            arguments=NOT_RECORDED
            if request.off_record
            else await redact_off_loop(
                arguments_without_secrets,
                request.arguments_json if request.recorded_json is None else request.recorded_json,
            ),
            approval_id=request.approval,
        )
        execution = await tool_runs.begin(tx, run)
        return replace(context, execution=execution) if execution is not None else None

    async def carry_out(self, channel: ToolChannel, request: ToolRequest, context: ToolContext) -> Result:
        """Run a tool after `begin`, and record its result."""
        assert context.execution is not None, "`begin` was not called"
        began_ms = monotonic_ms()
        run = self._registry.run if request.approval is None else self._registry.run_approved
        result = await run(channel, request.name, request.arguments_json, context)
        took_ms = round(monotonic_ms() - began_ms)
        row = await run_row(result, off_record=request.off_record)
        # As the system, which runs the tools of calls: the row of a call that is being erased may be gone.
        async with self._db.system() as tx:
            await tool_runs.finish(tx, context.execution, row, took_ms)
        return result


def name_of(text: str) -> str:
    """Return a model's id or name of a tool as it is stored."""
    return text.replace("\0", "")[:MOST_NAME_CHARS]


async def redact_off_loop(redact: Callable[[str], str], text: str) -> str:
    """Redact a text, a long one in a thread."""
    return redact(text) if len(text) <= LONG_CHARS else await asyncio.to_thread(redact, text)


async def run_row(result: Result, *, off_record: bool = False) -> ToolRunRow:
    """Build the row of a result, which is also the answer to a repeated request."""
    to = result.switches_to
    return ToolRunRow(
        status="ok" if result.ok else "failed",
        output=NOT_RECORDED if off_record else await redact_off_loop(json_without_secrets, dumped(result.output)),
        leaves=result.leaves,
        switches_to=to.id if to else None,
        switches_to_version=to.version if to else None,
        digits=result.digits,
    )


async def without_secrets(activity: calls_pb2.ToolActivity) -> calls_pb2.ToolActivity:
    """Return a copy of a tool's activity that may be stored and shown."""
    redacted = calls_pb2.ToolActivity()
    redacted.CopyFrom(activity)
    redacted.arguments = await redact_off_loop(json_without_secrets, activity.arguments)
    if activity.HasField("result"):
        redacted.result = await redact_off_loop(json_without_secrets, activity.result)
    return redacted


def json_without_secrets(text: str) -> str:
    """Redact JSON; return it verbatim if it holds no secrets.  Text that is not JSON is redacted as text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return redaction.text_without_secrets(text)
    cleaned = redaction.without_secrets(value)
    return text if cleaned == value else dumped(cleaned)


def arguments_without_secrets(text: str) -> str:
    """Redact arguments for a JSON column: the object as the model wrote it, or an object with the text that it wrote instead."""
    value: Any
    try:
        value = json.loads(text or "{}") if len(text) <= MAX_ARGUMENTS_BYTES else text[:1000]
    except (ValueError, RecursionError):
        value = text[:1000]
    cleaned = redaction.without_secrets(value)
    if not isinstance(cleaned, dict):
        return dumped({"not_an_object": cleaned})
    return text if text and cleaned == value and bad_json(text) is None else dumped(cleaned)
