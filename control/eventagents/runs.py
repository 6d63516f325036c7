"""Runs, from the moment that one is taken up to its end.

Two transactions with the model between them, as for a text's turn; but what the organization's own tools do happens at once.
So a run is begun again, after a crash or a failure of the model, only while none of them has begun: each acts at most once.

A run whose agent has asked for approval ends like any other, and waits; once all that it asked for is decided, it goes on with what it
did before and what became of it.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from control.approvals import telling
from control.clients.openai import ModelError, Responder
from control.eventagents import rules, starting
from control.eventagents.rules import Limits
from control.executions import dialogue
from control.executions.dialogue import Work
from control.flows import stored
from control.flows.stored import usable
from control.tools import FlowVersion, Situation, Tool, ToolChannel, ToolContext, dumped
from control.usage import other as usage
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.telemetry import log
from hum.v1 import events_pb2
from storage import approvals, event_runs, events, tool_runs
from storage.approvals import ApprovalRow
from storage.db import Db, Tx
from storage.event_runs import Claim, Finish, MaterialRow
from storage.tool_runs import ActivityRow
from storage.usage import Owner

LOG = log(__name__)
#: Runs that one look takes up again.
BATCH = 100
#: What its tools did, that a run which goes on is reminded of.
MOST_BEFORE = 100


@dataclass(slots=True, kw_only=True)
class EventWork(Work):
    """What an agent does for an event."""

    run: UUID
    limit: int

    @property
    def most_tool_calls(self) -> int:
        return self.limit

    def context(self) -> ToolContext:
        return ToolContext(self.organization, self.situation, event_run=self.run)


class Dialogue(dialogue.Dialogue[EventWork]):
    channel = ToolChannel.EVENT


@dataclass(frozen=True, slots=True)
class _Begun:
    """A run for which the model is asked."""

    claim: Claim
    flow: FlowVersion
    definition: dict[str, Any]
    material: MaterialRow
    own_tools: tuple[Tool, ...]
    #: What its tools did before it went on, and what became of what it had asked for.
    before: list[ActivityRow]
    news: list[ApprovalRow]


class Runs:
    """Carries runs out.  `stuck`: longer than a run may take; whoever had it then is dead."""

    def __init__(self, db: Db, responder: Responder, dialogue: Dialogue, limits: Limits, stuck: timedelta) -> None:
        self._db, self._responder, self._dialogue = db, responder, dialogue
        self._limits, self._stuck = limits, stuck

    async def take_left(self) -> int:
        """Make a new job of each run whose worker has died."""
        async with self._db.system() as tx:
            left = await event_runs.left(tx, now() - self._stuck, BATCH)
            await starting.enqueue(tx, left)
        return len(left)

    async def run(self, org: UUID, run: UUID) -> str | None:
        """Take a run to its end; the reason for which it was skipped or failed.  Raises ModelError: then it waits again."""
        begun = await self._begin(org, run)
        if not isinstance(begun, _Begun):
            return begun
        work = self._prepared(begun)
        try:
            async with asyncio.timeout(self._limits.seconds):
                words = await self._dialogue.insisting(work, self._dialogue.words, self._limits.attempts)
        except (ModelError, TimeoutError) as error:
            reason = rules.TIMED_OUT if isinstance(error, TimeoutError) else rules.MODEL_FAILED
            return await self._fail(begun, work, reason, error)
        await self._end(begun, work, "completed", result=rules.storable(words))
        return None

    async def _begin(self, org: UUID, run: UUID) -> _Begun | str | None:
        async with self._db.tenant(org) as tx:
            claim = await event_runs.claim(tx, run)
            if claim is None:
                return None
            material = await event_runs.material(tx, run)
            has_acted = claim.attempts > 1 and await tool_runs.has_acted(tx, run, claim.resumed_at)
            if claim.attempts > self._limits.attempts or has_acted:
                await _finish(tx, claim, material, Finish("failed", rules.INTERRUPTED))
                return rules.INTERRUPTED
            if material.definition is None or material.data is None:
                reason = "no_flow" if material.definition is None else "no_event"
                if claim.resumed_at is not None:
                    await _finish(tx, claim, material, Finish("failed", reason))
                else:
                    await event_runs.finish(tx, run, Finish("skipped", reason))
                return reason
            assert material.flow_id is not None and material.flow_version is not None
            await event_runs.asked(tx, run, material.flow_version, self._responder.text_model)
            own_tools = await self._dialogue.own_tools(tx, org, material.flow_id)
            flow, definition = FlowVersion(material.flow_id, material.flow_version), json.loads(material.definition)
            before = list[ActivityRow]()
            if claim.resumed_at is not None:
                done = await tool_runs.of_run(tx, run, MOST_BEFORE)
                before = [row for row in done if row.approval_id is None and row.started_at < claim.resumed_at]
            news = await approvals.run_news(tx, run)
            return _Begun(claim, flow, usable(definition), material, own_tools, before, news)

    def _prepared(self, begun: _Begun) -> EventWork:
        claim, material, at = begun.claim, begun.material, now()
        assert material.data is not None and material.event_at is not None
        is_open = stored.is_open(material.business_hours_json, material.time_zone, at)

        def instruct(definition: Mapping[str, Any]) -> str:
            return rules.instructions(definition, material.organization, material.time_zone, at, is_open=is_open)

        shown = rules.shown(
            ids.show(Kind.EVENT, claim.event_id), claim.event_type, material.event_at, json.loads(material.data)
        )
        return EventWork(
            organization=claim.org_id,
            situation=Situation(
                begun.definition,
                is_open,
                origin="event",
                has_carrier=False,
                flow=begun.flow,
                own_tools=begun.own_tools,
            ),
            instruct=instruct,
            items=[{"role": "user", "content": shown}, *_so_far(begun)],
            run=claim.id,
            limit=self._limits.tool_calls,
            at_end=[partial(approvals.tell, ids=[row.id for row in begun.news])] if begun.news else [],
        )

    async def _fail(self, begun: _Begun, work: EventWork, reason: str, error: Exception) -> str | None:
        claim = begun.claim
        async with self._db.tenant(claim.org_id) as tx:
            is_last = claim.attempts >= self._limits.attempts or work.has_acted
            if not is_last:
                await _count(tx, begun, work)
                await event_runs.wait(tx, claim)
        if not is_last:
            raise ModelError(f"the model did not deal with an event: {error!r}"[:300]) from error
        LOG.warning("an agent did not deal with an event", run=str(claim.id), error=repr(error)[:300])
        await self._end(begun, work, "failed", reason)
        return reason

    async def _end(
        self, begun: _Begun, work: EventWork, status: str, reason: str | None = None, result: str | None = None
    ) -> None:
        claim = begun.claim
        async with self._db.tenant(claim.org_id) as tx:
            await _count(tx, begun, work)
            if not await event_runs.hold(tx, claim):
                return
            end = Finish(status, reason, result, *work.tokens)
            if status == "completed":
                await work.act(tx)
                if await approvals.is_undecided(tx, claim.id):
                    await event_runs.await_approval(tx, claim.id, end)
                    return
            await _finish(tx, claim, begun.material, end)


def _so_far(begun: _Begun) -> list[dialogue.Item]:
    """What the agent did and wrote before it went on, and what became of what it asked for."""
    items = list[dialogue.Item]()
    for row in begun.before:
        call = {"type": "function_call", "call_id": row.tool_call_id, "name": row.name, "arguments": row.arguments}
        output = row.output or dumped({"error": "It is not known whether this was done."})
        items += [call, {"type": "function_call_output", "call_id": row.tool_call_id, "output": output}]
    if begun.claim.resumed_at is not None and begun.material.result:
        items.append({"role": "assistant", "content": begun.material.result})
    return items + [{"role": "developer", "content": telling.news(row)} for row in begun.news]


async def _count(tx: Tx, begun: _Begun, work: EventWork) -> None:
    """What the model has used is used, whatever comes of it."""
    owner = Owner(begun.claim.org_id, begun.claim.id, begun.flow.id)
    await usage.turn_taken(tx, owner, begun.claim.attempts, work.spent)


async def _finish(tx: Tx, claim: Claim, material: MaterialRow, end: Finish) -> None:
    outcome = await event_runs.finish(tx, claim.id, end)
    event = events_pb2.AgentRunCompletedEvent(
        run_id=ids.show(Kind.RUN, claim.id),
        flow_id=ids.show(Kind.FLOW, claim.flow_id),
        flow_version=material.flow_version,
        event_id=ids.show(Kind.EVENT, claim.event_id),
        event_type=claim.event_type,
        depth=claim.depth,
        status=end.status,
        reason=end.reason,
        outcome_json=outcome,
    )
    await events.append(tx, claim.org_id, claim.id, event)
