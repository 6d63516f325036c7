"""Running the tools of agents, and keeping what came of it: the one way for calls, texts and events.

Kept is what may be: arguments and results lose card numbers, passwords and tokens before they are written.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from control.base import redaction
from control.tools import MAX_ARGUMENTS_BYTES, Registry, Result, ToolChannel, ToolContext, dumped
from hum import ids
from hum.clock import monotonic_ms
from hum.v1 import calls_pb2
from storage import tool_runs
from storage.db import Db, Tx
from storage.tool_runs import NewRun, RunRow

NOT_RECORDED = '{"not_recorded": true}'
MOST_NAME_CHARS = 200
#: What is longer is cleaned in a thread: milliseconds are much for the loop that carries everybody's calls.
LONG_CHARS = 4000


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call, as the model wrote it.  `off_record`: neither arguments nor result are kept."""

    id: str
    name: str
    arguments_json: str
    off_record: bool = False
    #: A person has approved it: `id` is the approval's, and not the model's.
    approval: UUID | None = None


class Executions:
    """`is_test`: for a trial, and not for whoever calls or writes."""

    def __init__(self, db: Db, registry: Registry, *, is_test: bool = False) -> None:
        self._db, self._registry, self._is_test = db, registry, is_test

    async def run(self, channel: ToolChannel, called: Called, context: ToolContext) -> Result:
        """Run a tool, between two short transactions."""
        async with self._db.tenant(context.organization) as tx:
            begun = await self.begin(tx, channel, called, context)
        if begun is None:  # only a call can repeat its request, and asks `begin` itself
            raise ValueError(f"the tool call {called.id[:40]!r} was run before")
        return await self.carry_out(channel, called, begun)

    async def begin(self, tx: Tx, channel: ToolChannel, called: Called, context: ToolContext) -> ToolContext | None:
        """Note that a tool runs from now on; the context that it runs with, or None if this tool call of the call was run
        before.
        """
        id, turn, flow = ids.new(), context.turn, context.situation.flow
        origin = self._registry.origin(channel, called.name, context.situation)
        run = NewRun(
            id=id,
            org_id=context.organization,
            channel="test" if self._is_test else channel.name.lower(),
            purpose="test" if self._is_test else "agent",
            call_id=context.call_id,
            conversation_id=turn.conversation if turn else None,
            run_id=turn.run if turn else context.event_run,
            flow_id=flow.id if flow else None,
            flow_version=flow.version if flow else None,
            tool_call_id=called.id.replace("\0", "")[:MOST_NAME_CHARS],
            name=called.name.replace("\0", "")[:MOST_NAME_CHARS],
            kind=origin.kind if origin else None,
            tool_id=origin.id if origin else None,
            tool_version=origin.version if origin else None,
            arguments=NOT_RECORDED
            if called.off_record
            else await aside(arguments_without_secrets, called.arguments_json),
            approval_id=called.approval,
        )
        return replace(context, execution=id) if await tool_runs.begin(tx, run) else None

    async def carry_out(self, channel: ToolChannel, called: Called, context: ToolContext) -> Result:
        """Run a tool whose row is there already."""
        assert context.execution is not None, "it was not begun"
        began_ms = monotonic_ms()
        run = self._registry.run if called.approval is None else self._registry.run_approved
        result = await run(channel, called.name, called.arguments_json, context)
        took_ms = round(monotonic_ms() - began_ms)
        kept = await run_row(result, off_record=called.off_record)
        # As the system, which is who runs the tools of calls: a call of which everything is being deleted has no row any more.
        async with self._db.system() as tx:
            await tool_runs.finish(tx, context.execution, kept, took_ms)
        return result


async def aside(clean: Callable[[str], str], text: str) -> str:
    """Clean a text without holding up anybody."""
    return clean(text) if len(text) <= LONG_CHARS else await asyncio.to_thread(clean, text)


async def run_row(result: Result, *, off_record: bool = False) -> RunRow:
    """What is kept of a result, which is bounded; whoever repeats a request gets that."""
    to = result.switches_to
    return RunRow(
        status="ok" if result.ok else "failed",
        output=NOT_RECORDED if off_record else await aside(json_without_secrets, dumped(result.output)),
        leaves=result.leaves,
        switches_to=to.id if to else None,
        switches_to_version=to.version if to else None,
        digits=result.digits,
    )


async def without_secrets(activity: calls_pb2.ToolActivity) -> calls_pb2.ToolActivity:
    """A tool's activity, as it may be kept and shown."""
    kept = calls_pb2.ToolActivity()
    kept.CopyFrom(activity)
    kept.arguments = await aside(json_without_secrets, activity.arguments)
    if activity.HasField("result"):
        kept.result = await aside(json_without_secrets, activity.result)
    return kept


def json_without_secrets(text: str) -> str:
    """JSON as it is written, if there is nothing secret in it; what is no JSON is cleaned as a text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return redaction.text_without_secrets(text)
    cleaned = redaction.without_secrets(value)
    return text if cleaned == value else dumped(cleaned)


def arguments_without_secrets(text: str) -> str:
    """Arguments for a JSON column: an object, or what the model wrote instead of one."""
    value: Any
    try:
        value = json.loads(text or "{}") if len(text) <= MAX_ARGUMENTS_BYTES else text[:1000]
    except (ValueError, RecursionError):
        value = text[:1000]
    cleaned = redaction.without_secrets(value)
    return dumped(cleaned if isinstance(cleaned, dict) else {"not_an_object": cleaned})
