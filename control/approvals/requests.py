"""Requests for approval: rows that people see at once.  The agent does not wait for the decision."""

import json
from datetime import timedelta
from functools import partial
from uuid import UUID

from control.approvals import outbox, summaries
from control.tools import ApprovalRequest, Result, failed
from hum import ids
from hum.clock import now
from hum.json.storable import dumped
from hum.settings.approvals import ApprovalSettings
from storage import approvals, events
from storage.approvals import Subject, ToolCall
from storage.db import Db, Tx

#: Seconds without a decision after which an approval is denied, for an agent of texts or events.
APPROVAL_TEXT_SECONDS = 24 * 3600.0
#: Approvals of an organization that may wait for a decision at once.
APPROVALS_PENDING = 500


class ApprovalRequester:
    """The registry's approver is `request`."""

    def __init__(self, db: Db, settings: ApprovalSettings) -> None:
        self._db, self._settings = db, settings

    async def request(self, request: ApprovalRequest) -> Result:
        """Request approval, on a call at once, else when the turn or run ends; return the agent's result."""
        context, flow = request.context, request.context.situation.flow
        if flow is None or (context.call_id is None and context.turn is None and context.event_run is None):
            return failed(summaries.NOWHERE)
        turn = context.turn
        thread, run = (turn.conversation, turn.run) if turn else (None, None)
        subject = Subject(context.call_id, thread, run, context.event_run, flow.id, flow.version)
        name = context.situation.definition.get("name") or "The agent"
        tool_call = ToolCall(
            request.tool.name,
            summaries.summary(name, request.tool.name, request.tool.description, request.tool.fixed),
            dumped(request.arguments),
            json.dumps(request.schema, ensure_ascii=False),
            str(request.tool.origin),
        )
        if len(tool_call.arguments.encode()) > summaries.MOST_ARGUMENTS_BYTES:
            return failed(summaries.LONG)
        org, id = context.organization, ids.new()
        async with self._db.tenant(org) as tx:
            if (complaint := await self._complaint(tx, subject, tool_call)) is not None:
                return failed(complaint)
            if context.call_id is not None:
                await self._create(org, id, subject, tool_call, tx)
        if context.call_id is not None:
            return Result(summaries.ON_CALL)
        return Result(
            summaries.IN_TEXT if turn else summaries.FOR_EVENT,
            at_end=partial(self._create_deferred, org, id, subject, tool_call),
        )

    async def _complaint(self, tx: Tx, subject: Subject, tool_call: ToolCall) -> str | None:
        pending = await approvals.pending(tx, subject, tool_call)
        if pending.is_duplicate:
            return summaries.SAME
        settings = self._settings
        is_full = pending.organization >= APPROVALS_PENDING or pending.subject >= settings.approvals_pending_each
        return summaries.FULL if is_full else None

    async def _create_deferred(self, org: UUID, id: UUID, subject: Subject, tool_call: ToolCall, tx: Tx) -> None:
        """Create a request as a turn or run ends, unless it is a duplicate or beyond the limits by then."""
        if await self._complaint(tx, subject, tool_call) is None:
            await self._create(org, id, subject, tool_call, tx)

    async def _create(self, org: UUID, id: UUID, subject: Subject, tool_call: ToolCall, tx: Tx) -> None:
        settings = self._settings
        seconds = settings.approval_call_seconds if subject.call_id else APPROVAL_TEXT_SECONDS
        await approvals.create(tx, id, subject, tool_call, now() + timedelta(seconds=seconds))
        await events.append(tx, org, id, outbox.requested_event(await approvals.get(tx, id)))
