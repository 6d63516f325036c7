"""The execution of runs, from the claim to the end.

A run has two transactions with the model's dialogue between them, as a text's turn has; but the organization's own
tools take effect at once.  So a run is restarted after a crash or a model failure only if none of them has started:
each acts at most once.

A run that has requested approval ends its dialogue and waits.  Once all its requests are decided it resumes, with its
earlier tool calls and the outcomes as input.  Example: the agent ships an order and requests a refund; the run waits; a
person approves; the refund runs; the run resumes with both results and writes its summary.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from control.clients.openai import ModelError, Responder
from control.eventagents import eventmatching, starting
from control.eventagents.eventmatching import EventRunLimits
from control.executions import decisions, dialogue
from control.executions.dialogue import Work
from control.flows import contactwords, definitions
from control.flows.definitions import usable
from control.tools import FlowVersion, OrganizationTools, Situation, ToolChannel, ToolContext
from control.usage import otherentries as usage
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.json.storable import dumped
from hum.observe.logs import log
from hum.v1 import events_pb2
from storage import approvals, event_runs, events, tool_runs
from storage.approvals import ApprovalRow
from storage.db import Db, Tx
from storage.event_runs import EventRunClaim, EventRunFinish, EventRunMaterialRow
from storage.tool_runs import ActivityRow
from storage.usage import Owner

LOG = log(__name__)
#: Stuck runs that one sweep requeues.
BATCH = 100
#: The earlier tool calls that a resumed run gets as input.
MOST_BEFORE = 100


@dataclass(slots=True, kw_only=True)
class EventWork(Work):
    """The state of an agent's run for an event."""

    run: UUID
    limit: int

    @property
    def most_tool_calls(self) -> int:
        return self.limit

    def context(self) -> ToolContext:
        return ToolContext(self.organization, self.situation, event_run=self.run)


class EventDialogue(dialogue.Dialogue[EventWork]):
    channel = ToolChannel.EVENT


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt at a run, with what its dialogue needs."""

    claim: EventRunClaim
    flow: FlowVersion
    definition: dict[str, Any]
    material: EventRunMaterialRow
    own_tools: OrganizationTools
    #: For a resumed run: its earlier tool calls, and the outcomes of its requests for approval.
    before: list[ActivityRow]
    outcomes: list[ApprovalRow]


class Runs:
    """The executor of runs.

    `orphaned`: the age after which a run whose job is given to another worker counts as one of a dead worker; `stuck`:
    the age after which its worker must have died, and its job is gone.
    """

    def __init__(
        self,
        db: Db,
        responder: Responder,
        dialogue: EventDialogue,
        limits: EventRunLimits,
        orphaned: timedelta,
        stuck: timedelta,
    ) -> None:
        self._db, self._responder, self._dialogue = db, responder, dialogue
        self._limits, self._orphaned, self._stuck = limits, orphaned, stuck

    async def requeue_stuck(self) -> int:
        """Enqueue a new job for each run of a dead worker; return how many."""
        async with self._db.system() as tx:
            stuck_runs = await event_runs.release_orphaned(tx, now() - self._stuck, BATCH)
            await starting.enqueue(tx, stuck_runs)
        return len(stuck_runs)

    async def run(self, org: UUID, run: UUID) -> str | None:
        """Execute a run; return the reason if it was skipped or failed.  Raises ModelError if a later attempt may help."""
        attempt = await self._begin(org, run)
        if not isinstance(attempt, _Attempt):
            return attempt
        work = self._work(attempt)
        try:
            async with asyncio.timeout(self._limits.seconds):
                text = await self._dialogue.insisting(work, self._dialogue.words, self._limits.attempts)
        except (ModelError, TimeoutError) as error:
            reason = eventmatching.TIMED_OUT if isinstance(error, TimeoutError) else eventmatching.MODEL_FAILED
            return await self._fail(attempt, work, reason, error)
        await self._end(attempt, work, "completed", result=eventmatching.storable(text))
        return None

    async def _begin(self, org: UUID, run: UUID) -> _Attempt | str | None:
        async with self._db.tenant(org) as tx:
            claim = await event_runs.claim(tx, run, self._orphaned)
            if claim is None:
                return None
            material = await event_runs.material(tx, run)
            has_acted = claim.attempts > 1 and await tool_runs.has_acted(tx, run, claim.resumed_at)
            if claim.attempts > self._limits.attempts or has_acted:
                await _finish(tx, claim, material, EventRunFinish("failed", eventmatching.INTERRUPTED))
                return eventmatching.INTERRUPTED
            if material.definition is None or material.data is None:
                reason = "no_flow" if material.definition is None else "no_event"
                if claim.resumed_at is not None:
                    await _finish(tx, claim, material, EventRunFinish("failed", reason))
                else:
                    await event_runs.finish(tx, run, EventRunFinish("skipped", reason))
                return reason
            assert material.flow_id is not None and material.flow_version is not None
            await event_runs.set_model(tx, run, material.flow_version, self._responder.text_model)
            own_tools = await self._dialogue.own_tools(tx, org, material.flow_id)
            flow, definition = FlowVersion(material.flow_id, material.flow_version), json.loads(material.definition)
            before = list[ActivityRow]()
            if claim.resumed_at is not None:
                rows = await tool_runs.of_run(tx, run, MOST_BEFORE)
                before = [row for row in rows if row.approval_id is None and row.started_at < claim.resumed_at]
            outcomes = await approvals.undelivered_of_run(tx, run)
            return _Attempt(claim, flow, usable(definition), material, own_tools, before, outcomes)

    def _work(self, attempt: _Attempt) -> EventWork:
        claim, material, at = attempt.claim, attempt.material, now()
        assert material.data is not None and material.event_at is not None
        is_open = definitions.is_open(material.business_hours_json, material.time_zone, at)
        profile = definitions.profile(
            material.organization, material.time_zone, material.organization_hours_json, material.identity_json
        )

        def instruct(definition: Mapping[str, Any]) -> str:
            return eventmatching.instructions(definition, profile, at, is_open=is_open)

        event = eventmatching.event_text(
            ids.show(Kind.EVENT, claim.event_id), claim.event_type, material.event_at, json.loads(material.data)
        )
        return EventWork(
            organization=claim.org_id,
            situation=Situation(
                contactwords.personal(attempt.definition, {"org.name": material.organization}),
                is_open,
                origin="event",
                has_carrier=False,
                flow=attempt.flow,
                own_tools=attempt.own_tools,
            ),
            instruct=instruct,
            items=[{"role": "user", "content": event}, *_earlier_items(attempt)],
            run=claim.id,
            limit=self._limits.tool_calls,
            at_end=[partial(approvals.record_delivery, ids=[row.id for row in attempt.outcomes])]
            if attempt.outcomes
            else [],
        )

    async def _fail(self, attempt: _Attempt, work: EventWork, reason: str, error: Exception) -> str | None:
        claim = attempt.claim
        async with self._db.tenant(claim.org_id) as tx:
            is_last = claim.attempts >= self._limits.attempts or work.has_acted
            if not is_last:
                await _count(tx, attempt, work)
                await event_runs.release(tx, claim)
        if not is_last:
            raise ModelError(f"the model failed on an event: {error!r}"[:300]) from error
        LOG.warning(
            "could not handle an event: the model failed, or took too long", run=str(claim.id), error=repr(error)[:300]
        )
        await self._end(attempt, work, "failed", reason)
        return reason

    async def _end(
        self, attempt: _Attempt, work: EventWork, status: str, reason: str | None = None, result: str | None = None
    ) -> None:
        claim = attempt.claim
        async with self._db.tenant(claim.org_id) as tx:
            await _count(tx, attempt, work)
            if not await event_runs.lock_claimed(tx, claim):
                return
            end = EventRunFinish(status, reason, result, *work.tokens)
            if status == "completed":
                await work.act(tx)
                if await approvals.is_undecided(tx, claim.id):
                    await event_runs.await_approval(tx, claim.id, end)
                    return
            await _finish(tx, claim, attempt.material, end)


def _earlier_items(attempt: _Attempt) -> list[dialogue.Item]:
    """Return a resumed run's earlier tool calls and text, and the outcomes of its requests."""
    items = list[dialogue.Item]()
    for row in attempt.before:
        call = {"type": "function_call", "call_id": row.tool_call_id, "name": row.name, "arguments": row.arguments}
        output = row.output or dumped({"error": "It is not known whether this was done."})
        items += [call, {"type": "function_call_output", "call_id": row.tool_call_id, "output": output}]
    if attempt.claim.resumed_at is not None and attempt.material.result:
        items.append({"role": "assistant", "content": attempt.material.result})
    return items + [{"role": "developer", "content": decisions.outcome(row)} for row in attempt.outcomes]


async def _count(tx: Tx, attempt: _Attempt, work: EventWork) -> None:
    """Record the model's usage, whatever the result of the attempt."""
    owner = Owner(attempt.claim.org_id, attempt.claim.id, attempt.flow.id)
    await usage.record_turn_usage(tx, owner, attempt.claim.attempts, work.spent)


async def _finish(tx: Tx, claim: EventRunClaim, material: EventRunMaterialRow, end: EventRunFinish) -> None:
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
