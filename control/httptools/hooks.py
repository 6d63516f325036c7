"""Hooks: requests that run in the background before a call's agent speaks, while it rings or the greeting plays.

call answered ──▶ all hooks concurrently, with a timeout ──▶ their texts, in order ──▶ the agent's context is updated
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from control.base.fairshare import SharedPlaces
from control.base.redaction import without_secrets
from control.crm.client import ConnectorClient, ConnectorRequest
from control.crm.connectorwire import ConnectorEvent, lookup_body
from control.executions.runner import run_row
from control.httptools import toolrequest
from control.httptools.agents import bound, fixed_arguments
from control.httptools.rendering import in_thread
from control.httptools.requestsender import Requests
from control.httptools.toolrequest import ToolOutcome
from control.livecall import activity
from control.livecall.callerid import is_vouched_for
from control.tools import Result, bounded
from hum import ids
from hum.clock import monotonic_ms, now
from hum.ids import Kind
from hum.json.storable import dumped
from hum.observe.logs import log
from hum.settings.httptools import HttpToolSettings
from hum.v1 import calls_pb2
from storage import calls, crm, http_tools, tool_runs
from storage.db import BUSY, UNAVAILABLE, Db
from storage.http_tools import ActiveBindingRow, HookCallRow
from storage.tool_runs import NewToolRun

#: Calls whose hooks one process runs at once, shared by the organizations; those of more calls are left out.
HOOK_CALLS = 200
#: Tasks at once: hooks, and calls of which the organization is still being read.
HOOK_TASKS = 2 * HOOK_CALLS

LOG = log(__name__)
LATE = "It did not answer in time."
UNAPPROVED = "A person must approve each use of this tool, which is not possible before a call."
Inform = Callable[[UUID, UUID], Coroutine[Any, Any, None]]
"""Update the context of a live call's agent, by organization and call."""


@dataclass(frozen=True, slots=True)
class _Hook:
    """A hook of a call: its binding, its row, and the values for its templates."""

    used: ActiveBindingRow
    run: NewToolRun
    values: Mapping[str, Any]


class Hooks:
    """The hooks of one process."""

    def __init__(
        self, db: Db, requests: Requests, connector_client: ConnectorClient, settings: HttpToolSettings, inform: Inform
    ) -> None:
        self._db, self._requests, self._connector_client, self._settings = db, requests, connector_client, settings
        self._inform = inform
        self._running, self._places = set[asyncio.Task[None]](), SharedPlaces(HOOK_CALLS)

    def begin(self, call: UUID) -> asyncio.Task[None] | None:
        """Start a call's hooks, as `CallerLookup` says; each runs once in a call."""
        if len(self._running) >= HOOK_TASKS:
            LOG.warning("skipped a call's hooks: those of too many calls are in flight")
            return None
        task = asyncio.create_task(self._guarded(call), name="hooks")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _guarded(self, call: UUID) -> None:
        """Run the hooks, and contain any failure: the call continues without them."""
        try:
            await self._of_call(call)
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning("could not run a call's hooks", error=repr(error)[:200])
        # The boundary of one call's hooks: without them, the call goes on.
        except Exception:
            LOG.exception("a call's hooks failed: this is a bug")

    async def _of_call(self, call: UUID) -> None:
        until_ms = monotonic_ms() + self._settings.hooks_seconds * 1000
        async with self._db.system() as tx:
            caller = await http_tools.caller(tx, call)
            rows = await http_tools.in_use(tx, caller.org_id, caller.flow_id, "pre_call") if caller else []
        if caller is None or not rows:
            return
        hooks = [_hook(row, place, call, caller) for place, row in enumerate(rows)]
        with self._places.place(caller.org_id) as is_free:
            if not is_free:
                LOG.warning("skipped a call's hooks: those of too many calls of the organization are in flight")
                return
            async with self._db.tenant(caller.org_id) as tx:
                hooks = [hook for hook in hooks if await tool_runs.begin(tx, hook.run)]
            if hooks and await self._run_all(call, caller, hooks, until_ms):
                await self._inform(caller.org_id, call)

    async def _run_all(self, call: UUID, caller: HookCallRow, hooks: Sequence[_Hook], until_ms: float) -> bool:
        """Run the hooks concurrently and store their outcomes; return whether a media process must inform its agent."""
        began_at, began_ms = now(), monotonic_ms()
        tasks = [asyncio.create_task(self._outcome(caller, hook), name="hook") for hook in hooks]
        try:
            await asyncio.wait(tasks, timeout=max(0.0, (until_ms - monotonic_ms()) / 1000))
            finished = [_finished(task) for task in tasks]
        finally:
            for task in tasks:
                task.cancel()
        results = [
            (hook, result[0], result[1]) if result else (hook, await _timed_out(hook), round(monotonic_ms() - began_ms))
            for hook, result in zip(hooks, finished, strict=True)
        ]
        rows = [await run_row(bounded(Result(outcome.output, outcome.ok))) for _, outcome, __ in results]
        async with self._db.tenant(caller.org_id) as tx:
            await calls.lock(tx, call)
            for (hook, outcome, took_ms), row in zip(results, rows, strict=True):
                await tool_runs.finish(tx, hook.run.id, row, took_ms)
                if outcome.text:
                    await tool_runs.set_agent_text(tx, hook.run.id, without_secrets(outcome.text))
                tool = calls_pb2.ToolActivity(
                    id=hook.run.tool_call_id,
                    name=hook.run.name,
                    arguments=hook.run.arguments,
                    result=row.output,
                    status=row.status,
                    duration_ms=took_ms,
                )
                tool.started_at.FromDatetime(began_at)
                await activity.add(tx, caller.org_id, call, tool, now())
            # A media process that opens its session concurrently waits for this transaction, and sees the outcomes.
            node = await crm.node_of(tx, call)
        return node is not None and any(outcome.text for _, outcome, __ in results)

    async def _outcome(self, caller: HookCallRow, hook: _Hook) -> tuple[ToolOutcome, int]:
        began_ms = monotonic_ms()
        ask = self._look_up if hook.used.definition is None else self._request
        limit_ms = round(self._settings.hook_seconds * 1000)
        if (own_ms := hook.used.binding.overrides.timeout_ms) is not None:
            limit_ms = min(limit_ms, own_ms)
        try:
            async with asyncio.timeout(limit_ms / 1000):
                outcome = await ask(caller, hook, limit_ms)
        except TimeoutError:
            outcome = await _timed_out(hook)
        except (*UNAVAILABLE, *BUSY):
            outcome = await _fallback(hook, "This can't be done at the moment.")
        return outcome, round(monotonic_ms() - began_ms)

    async def _request(self, caller: HookCallRow, hook: _Hook, limit_ms: int) -> ToolOutcome:
        definition = bound(hook.used)
        # The tool was changed after it was bound: a binding that requires approval is refused.
        if definition.get("requires_approval"):
            return await _fallback(hook, UNAPPROVED)
        key = ids.show(Kind.TOOL_EXECUTION, hook.run.id)
        exchange = await self._requests.send(caller.org_id, definition, hook.values, key, limit_ms)
        outcome = exchange.outcome
        # Without a template, the text is the answer itself.
        if outcome.ok and outcome.text is None:
            body = outcome.output["result"]
            text = body if isinstance(body, str) else dumped(body)
            return ToolOutcome(True, text[: toolrequest.MOST_TEXT_CHARS], None, outcome.output)
        return outcome

    async def _look_up(self, caller: HookCallRow, hook: _Hook, limit_ms: int) -> ToolOutcome:  # noqa: ARG002 - like `_request`
        assert hook.used.binding.connector_id is not None, "a hook asks a tool or a connector"
        phone = hook.values["caller"]["phone_e164"]
        if phone is None:
            return ToolOutcome(True, None, None, {"found": False})
        async with self._db.tenant(caller.org_id) as tx:
            connector = await crm.get(tx, hook.used.binding.connector_id)
        if self._connector_client.is_busy(connector.id) or not await self._connector_client.may_request(connector):
            return await _fallback(hook, "The connector rests, or is busy.")
        body = lookup_body(phone, caller.direction, hook.values["call"]["id"])
        request = ConnectorRequest(ConnectorEvent.LOOKUP, body, hook.run.id, caller.contact_id, hook.run.call_id)
        reply = (await self._connector_client.request(connector, request)).reply
        if reply.failed:
            return await _fallback(hook, reply.message or "The connector gave no usable answer.")
        if reply.contact is None:
            return ToolOutcome(True, None, None, {"found": False})
        fields = {name: value for name, value in reply.contact.fields.items() if name != "attributes_json"}
        contact = {
            "id": reply.contact.id,
            **fields,
            "attributes": json.loads(reply.contact.fields.get("attributes_json", "{}")),
        }
        definition = {
            "output_template": hook.used.binding.overrides.output_template or "{{ response.contact | tojson }}"
        }
        return await in_thread(toolrequest.outcome, definition, hook.values, {"found": True, "contact": contact}, None)


def _hook(used: ActiveBindingRow, place: int, call: UUID, caller: HookCallRow) -> _Hook:
    arguments = fixed_arguments(used.binding.overrides)
    run = NewToolRun(
        id=ids.new(),
        org_id=caller.org_id,
        channel="call",
        purpose="hook",
        call_id=call,
        conversation_id=None,
        run_id=None,
        flow_id=caller.flow_id,
        flow_version=caller.flow_version,
        tool_call_id=f"hook_{used.binding.id.hex}",
        name=used.name,
        kind=used.binding.kind,
        tool_id=used.binding.tool_id,
        tool_version=used.version,
        arguments=dumped(without_secrets(arguments)),
        place=place,
    )
    # The agent is told what the hook finds: unless the network vouches for the caller ID, withhold it from the hook.
    is_vouched = is_vouched_for(caller.caller_verification, caller.direction, caller.from_e164, caller.to_e164)
    phone = caller.phone_e164 if is_vouched else None
    facts = {
        "id": ids.show(Kind.CALL, call),
        "direction": caller.direction,
        "from_e164": caller.from_e164 if phone else "",
        "to_e164": caller.to_e164,
    }
    values = {"args": arguments, "caller": {"phone_e164": phone}, "call": facts, "conversation": {}}
    return _Hook(used, run, values)


def _finished(task: "asyncio.Task[tuple[ToolOutcome, int]]") -> tuple[ToolOutcome, int] | None:
    """Return a hook's outcome and duration, or None if it is still running or failed by a bug of ours."""
    if not task.done():
        return None
    if (error := task.exception()) is not None:
        LOG.error("a hook failed: this is a bug", error=repr(error)[:300])
        return None
    return task.result()


async def _timed_out(hook: _Hook) -> ToolOutcome:
    return await _fallback(hook, LATE)


async def _fallback(hook: _Hook, error: str) -> ToolOutcome:
    """Render the fallback template, if there is one, in a thread like all templates."""
    definition = bound(hook.used) if hook.used.definition else {}
    template = hook.used.binding.overrides.fallback_template or definition.get("fallback_template")
    return await in_thread(toolrequest.outcome, {"fallback_template": template}, hook.values, None, error)
