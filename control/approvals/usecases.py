"""Deciding: by a person, or by nobody.  Whoever comes second learns that it was decided."""

import json
from typing import Any
from uuid import UUID

from control import jobs
from control.approvals import rules, telling
from control.eventagents.rules import RUN
from control.texts import turns
from hum import customerschemas, ids
from hum.clock import now
from hum.errors import FieldError, InvalidRequest, InvalidState
from hum.ids import Kind
from storage import approvals, audit, call_records, conversations, event_runs, events
from storage.approvals import ApprovalRow
from storage.db import Db, Tx

#: Who the audit log says it was, when nobody was it.
SYSTEM = "system"
BATCH = 50


async def approve(tx: Tx, id: UUID, by: str, arguments_json: str | None) -> ApprovalRow:
    """Approve; the tool runs soon, with other arguments if there are any.  Raises NotFound, InvalidState, InvalidRequest."""
    before = await _pending(tx, id)
    edited = _edited(before, arguments_json) if arguments_json is not None else None
    return await decide(tx, id, "approved", by, arguments=edited)


async def deny(tx: Tx, id: UUID, by: str, reason: str | None) -> ApprovalRow:
    """Raises NotFound, InvalidState."""
    await _pending(tx, id)
    return await decide(tx, id, "denied", by, reason)


async def decide(
    tx: Tx, id: UUID, state: str, by: str | None, reason: str | None = None, arguments: str | None = None
) -> ApprovalRow:
    """Decide one that is locked and pending: whoever has to do something about it now, does."""
    if state != "approved":  # nothing will be done with them
        arguments = rules.masked_json((await approvals.get(tx, id)).wish.arguments)
    await approvals.decide(tx, id, state, by, reason, arguments)
    row = await approvals.get(tx, id)
    await events.append(tx, row.org_id, id, telling.decided(row))
    if state == "approved" or (state in rules.DECIDED and row.subject.call_id):
        await jobs.enqueue(tx, rules.WORK, row.org_id, id)
    elif state in rules.DECIDED:
        await go_on(tx, row)
    return row


async def go_on(tx: Tx, row: ApprovalRow) -> None:
    """The agent of a conversation has something to say; a run for an event goes on, once all that it asked for is decided.

    A call's agent is told by a job.
    """
    subject = row.subject
    if subject.conversation_id is not None:
        await turns.owe_at_once(tx, await conversations.lock(tx, subject.conversation_id), now())
    elif subject.event_run_id is not None:
        await event_runs.lock(tx, subject.event_run_id)  # of two decisions at once, the second sees the first
        is_undecided = await approvals.is_undecided(tx, subject.event_run_id)
        if not is_undecided and await event_runs.resume(tx, subject.event_run_id):
            await jobs.enqueue(tx, RUN, row.org_id, subject.event_run_id)


async def _pending(tx: Tx, id: UUID) -> ApprovalRow:
    """Lock one that can be decided.  Raises NotFound, InvalidState."""
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
    """Other arguments, None if they are the same.  Raises InvalidRequest."""
    known: Any = json.loads(before.wish.arguments)
    arguments = rules.restored(json.loads(arguments_json), known)
    errors = customerschemas.errors(json.loads(before.wish.schema), arguments)
    if errors:
        raise InvalidRequest(
            [FieldError("arguments" + each.json_path.removeprefix("$"), each.message[:300]) for each in errors]
        )
    return None if arguments == known else json.dumps(arguments, ensure_ascii=False)


async def close_over(db: Db) -> None:
    """Those that nobody decided in time are denied by nobody; those whose call is over are void."""
    async with db.system() as tx:
        over = [(org, id, "void") for org, id in await approvals.void(tx, BATCH)]
        over += [(org, id, "expired") for org, id in await approvals.expired(tx, now(), BATCH)]
        for org, id, state in {id: (org, id, state) for org, id, state in reversed(over)}.values():
            await decide(tx, id, state, None)
            shown = ids.show(Kind.APPROVAL, id)
            await audit.append(
                tx, org, actor=SYSTEM, actor_name=SYSTEM, action=f"{state}Approval", subject=shown, fields=[]
            )
