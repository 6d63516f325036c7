"""Execution of decisions: run the approved tool once, and inform a call's agent of the outcome once.

A tool that has started is never started again: if its worker dies, the outcome is unknown, and the agent is told so.  A
call's agent is informed when the call's record says so; until then the command is repeated under the same id, which the
media process carries out once.
"""

import asyncio
from datetime import timedelta
from uuid import UUID

from control import jobs
from control.approvals import expiry, summaries, usecases
from control.base import redaction
from control.calls.situation import situation_of
from control.executions.runner import Executions, ToolRequest
from control.flows.definitions import usable
from control.livecall.callstatus import LIVE
from control.livecall.commands import Commands
from control.tools import FlowVersion, Registry, Result, Situation, TextTurn, ToolChannel, ToolContext, failed
from hum import ids
from hum.clock import monotonic_ms, now
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.json.storable import dumped
from hum.observe.logs import log
from hum.settings.approvals import ApprovalSettings
from hum.v1 import runtime_pb2 as pb
from storage import approvals, call_agents, calls, conversations, flows, interventions
from storage.approvals import ApprovalRow, Subject
from storage.db import Db, Tx

#: Seconds for which one job tries to tell a call's agent what came of it.
APPROVAL_TELL_SECONDS = 20.0
#: Days that decided approvals are kept.
APPROVAL_DAYS = 90.0

LOG = log(__name__)
BATCH = 100
GONE = "The call or flow that asked for it no longer exists. It was not done."


class DecisionExecutor:
    def __init__(self, db: Db, registry: Registry, commands: Commands, settings: ApprovalSettings) -> None:
        self._db, self._registry, self._commands, self._settings = db, registry, commands, settings
        self._executions = Executions(db, registry)

    async def execute(self, org: UUID, id: UUID) -> None:
        """Run the tool of a decided approval, if it is approved, and inform a call's agent.  Idempotent."""
        async with self._db.tenant(org) as tx:
            try:
                row = await approvals.get(tx, id)
            except NotFound:
                return
        if row.state == "approved":
            row = await self._carry_out(row)
        if row.state in summaries.DECIDED and row.told_at is None and row.subject.call_id is not None:
            await self._inform(row, row.subject.call_id)

    async def close_overdue(self) -> None:
        """Close overdue approvals."""
        await expiry.close_overdue(self._db)

    async def requeue_stalled(self) -> None:
        """Enqueue jobs again for decided approvals that are stuck."""
        async with self._db.system() as tx:
            before = now() - timedelta(seconds=self._settings.approval_stuck_seconds)
            for org, id in await approvals.stalled(tx, before, summaries.NEWEST, BATCH):
                await jobs.enqueue(tx, summaries.WORK, org, id)

    async def prune(self) -> None:
        """Delete old approvals."""
        before = now() - timedelta(days=APPROVAL_DAYS)
        while True:
            async with self._db.system() as tx:
                if await approvals.prune(tx, before, BATCH) < BATCH:
                    return

    # --- the tool -------------------------------------------------------------------------------------------------

    async def _carry_out(self, row: ApprovalRow) -> ApprovalRow:
        if row.begun_at is None:
            # What fails before the run has begun is tried again by the job: nothing was done.
            run = await self._prepared(row)
            async with self._db.tenant(row.org_id) as tx:
                if not await approvals.begin(tx, row.id):
                    return row  # another worker is running it
            result = run if isinstance(run, Result) else await self._executions.run(*run)
        elif row.begun_at < now() - timedelta(seconds=self._settings.approval_stuck_seconds):
            result = Result(summaries.UNKNOWN, ok=False)
        else:
            return row  # another worker is running it
        async with self._db.tenant(row.org_id) as tx:
            state = "done" if result.ok else "failed"
            output, arguments = dumped(redaction.masked(result.output)), redaction.masked_json(row.tool_call.arguments)
            finished = await approvals.finish(tx, row.id, state, output, arguments)
            if finished and result.at_end is not None:
                await result.at_end(tx)
            row = await approvals.get(tx, row.id)
            if finished:
                await usecases.resume_agent(tx, row)
        return row

    async def _prepared(self, row: ApprovalRow) -> Result | tuple[ToolChannel, ToolRequest, ToolContext]:
        """Return what to run, or why it is not run."""
        async with self._db.system() as tx:
            context = await self._context(tx, row)
        if context is None:
            return failed(GONE)
        channel = _channel(row.subject)
        origin = self._registry.origin(channel, row.tool_call.tool, context.situation)
        if origin is not None and str(origin) != row.tool_call.origin:
            return failed(summaries.CHANGED)
        request = ToolRequest(
            ids.show(Kind.APPROVAL, row.id), row.tool_call.tool, row.tool_call.arguments, approval=row.id
        )
        return channel, request, context

    async def _context(self, tx: Tx, row: ApprovalRow) -> ToolContext | None:
        """Build the tool's context from the present state of its call, conversation or run; None if that is gone."""
        subject = row.subject
        own_tools = await self._registry.own_tools(tx, row.org_id, subject.flow_id)
        if subject.call_id is not None:
            session = await call_agents.session(tx, subject.call_id, subject.flow_id, subject.flow_version)
            if session is None:
                return None
            return ToolContext(row.org_id, situation_of(session, now(), own_tools), call_id=subject.call_id)
        try:
            flow = await flows.get(tx, subject.flow_id)
        except NotFound:
            return None
        if subject.event_run_id is not None:
            situation = Situation(
                usable(flow.definition),
                origin="event",
                has_carrier=False,
                flow=FlowVersion(flow.id, flow.version),
                own_tools=own_tools,
            )
            return ToolContext(row.org_id, situation, event_run=subject.event_run_id)
        assert subject.conversation_id is not None and subject.run_id is not None, "the subject is a conversation"
        thread = await conversations.lock(tx, subject.conversation_id)
        situation = Situation(
            usable(flow.definition),
            origin="text",
            has_carrier=False,
            from_e164=thread.contact_e164,
            to_e164=thread.number_e164,
            contact_e164=thread.contact_e164,
            is_vouched_for=True,
            flow=FlowVersion(flow.id, flow.version),
            own_tools=own_tools,
        )
        return ToolContext(row.org_id, situation, turn=TextTurn(subject.run_id, subject.conversation_id))

    # --- a call's agent -------------------------------------------------------------------------------------------

    async def _inform(self, row: ApprovalRow, call: UUID) -> None:
        """Send the outcome to the call's media process until the call's record confirms that its agent has it."""
        command_id = ids.show(Kind.INTERVENTION, row.id)
        news = pb.ApprovalNews(approval_id=ids.show(Kind.APPROVAL, row.id))
        command = pb.CallCommand(call_id=ids.show(Kind.CALL, call), command_id=command_id, news=news)
        until_ms = monotonic_ms() + APPROVAL_TELL_SECONDS * 1000
        while monotonic_ms() < until_ms:
            async with self._db.tenant(row.org_id) as tx:
                state = await calls.lock(tx, call)
                if await interventions.find(tx, call, row.id) is not None:
                    await approvals.record_delivery(tx, [row.id])
                    return
            if state.status not in LIVE:
                return
            if state.node is not None:
                await self._commands.carry_out(state.node, command)
            await asyncio.sleep(self._settings.approval_tell_retry_seconds)
        LOG.info(
            "could not inform a call's agent of an approval's outcome yet; the sweep retries", call=command.call_id
        )


def _channel(subject: Subject) -> ToolChannel:
    if subject.call_id is not None:
        return ToolChannel.CALL
    return ToolChannel.TEXT if subject.conversation_id is not None else ToolChannel.EVENT
