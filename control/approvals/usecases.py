"""Decisions on approvals: by a person, or by the system when time or call are over.  A second decision is refused."""

import json
from typing import Any
from uuid import UUID

from control import jobs
from control.approvals import outbox, summaries
from control.base import redaction
from control.eventagents.eventmatching import RUN
from control.texts import turns
from hum.clock import now
from hum.contract.errors import FieldError, InvalidRequest, InvalidState
from hum.json import customer_schemas
from storage import approvals, call_records, conversations, event_runs, events
from storage.approvals import ApprovalRow
from storage.db import Tx


async def approve(tx: Tx, id: UUID, by: str, arguments_json: str | None) -> ApprovalRow:
    """Approve, with edited arguments if given; a job runs the tool.  Raises NotFound, InvalidState, InvalidRequest."""
    before = await _pending(tx, id)
    edited = _edited(before, arguments_json) if arguments_json is not None else None
    return await decide(tx, id, "approved", by, arguments=edited)


async def deny(tx: Tx, id: UUID, by: str, reason: str | None) -> ApprovalRow:
    """Deny.  Raises NotFound, InvalidState."""
    await _pending(tx, id)
    return await decide(tx, id, "denied", by, reason)


async def decide(
    tx: Tx, id: UUID, state: str, by: str | None, reason: str | None = None, arguments: str | None = None
) -> ApprovalRow:
    """Decide a locked, pending approval, and schedule what follows: its job, or the agent's next turn or run."""
    # The tool will not run, so its arguments are stored masked.
    if state != "approved":
        arguments = redaction.masked_json((await approvals.get(tx, id)).tool_call.arguments)
    await approvals.decide(tx, id, state, by, reason, arguments)
    row = await approvals.get(tx, id)
    await events.append(tx, row.org_id, id, outbox.decided_event(row))
    if state == "approved" or (state in summaries.DECIDED and row.subject.call_id):
        await jobs.enqueue(tx, summaries.WORK, row.org_id, id)
    elif state in summaries.DECIDED:
        await resume_agent(tx, row)
    return row


async def resume_agent(tx: Tx, row: ApprovalRow) -> None:
    """Let the agent continue: owe a conversation its turn; resume a run for an event once all its requests are decided.

    A call's agent is informed by a job.
    """
    subject = row.subject
    if subject.conversation_id is not None:
        await turns.schedule_now(tx, await conversations.lock(tx, subject.conversation_id), now())
    elif subject.event_run_id is not None:
        # Of two concurrent decisions, the second sees the first.
        await event_runs.lock(tx, subject.event_run_id)
        is_undecided = await approvals.is_undecided(tx, subject.event_run_id)
        if not is_undecided and await event_runs.resume(tx, subject.event_run_id):
            await jobs.enqueue(tx, RUN, row.org_id, subject.event_run_id)


async def _pending(tx: Tx, id: UUID) -> ApprovalRow:
    """Lock an approval that can be decided.  Raises NotFound, InvalidState."""
    row = await approvals.get(tx, id, lock=True)
    if row.state != "pending":
        by = f" by {row.decision.by}" if row.decision.by else ""
        raise InvalidState(f"It is {row.state}{by} already.")
    if row.expires_at <= now():
        raise InvalidState("Its time is over.")
    if row.subject.call_id and await call_records.has_ended(tx, row.subject.call_id):
        raise InvalidState("The call is over.")
    return row


def _edited(before: ApprovalRow, arguments_json: str) -> str | None:
    """Return the edited arguments, or None if they equal the original ones.  Raises InvalidRequest."""
    original: Any = json.loads(before.tool_call.arguments)
    arguments = summaries.restored(json.loads(arguments_json), original)
    errors = customer_schemas.errors(json.loads(before.tool_call.schema), arguments)
    if errors:
        raise InvalidRequest(
            [FieldError("arguments" + error.json_path.removeprefix("$"), error.message[:300]) for error in errors]
        )
    return None if arguments == original else json.dumps(arguments, ensure_ascii=False)
