"""The AI's turns, from due to finished.

A turn is two transactions with the model's answer between them, while none is open.  The second one, under the thread's lock,
checks again whether the reply may be sent, writes it, commits the actions of the agent's tools, and finishes the turn.  So a turn
that is repeated after a crash has either finished, or had no effects.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from control import jobs
from control.billing import limits
from control.clients.openai import ModelError, Responder
from control.executions import decisions
from control.flows import contactwords, definitions, smsconfig
from control.flows.definitions import usable
from control.textagent import prompt, turndecision
from control.textagent.dialogue import TextDialogue, TextWork
from control.textagent.escalation import escalate
from control.textagent.turndecision import DeferReply, HandOver, NoReply, Recheck, Respond, ThreadMessage, TurnLimits
from control.texts import sendgate, writing
from control.texts.writing import TextDraft
from control.tools import FlowVersion, OrganizationTools, Situation, TextTurn
from control.usage import otherentries as usage
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.observe import tracing
from hum.observe.logs import log
from storage import approvals, conversations, messages, text_runs, tool_runs
from storage.approvals import ApprovalRow
from storage.conversations import ConversationState
from storage.db import Db, Tx
from storage.text_runs import HistoryRow, TextRunClaim, TextRunFinish, TextRunMaterialRow
from storage.usage import Owner

LOG = log(__name__)
#: Due turns started per sweep.
BATCH = 100
#: Results of approvals shown in one turn; the rest is left to the next.
MOST_RESULTS = 5


@dataclass(frozen=True, slots=True)
class _ActiveTurn:
    """A turn that asks the model."""

    claim: TextRunClaim
    thread: ConversationState
    material: TextRunMaterialRow
    history: list[HistoryRow]
    config: smsconfig.Config
    own_tools: OrganizationTools
    #: Approvals with results that the agent does not know yet.
    approvals: list[ApprovalRow]

    @property
    def last_seen(self) -> UUID:
        return self.history[-1].id

    @property
    def answered_sid(self) -> str:
        """The carrier's id of the text that it answers: the latest inbound one."""
        return next((row.carrier_sid or "" for row in reversed(self.history) if row.direction == "inbound"), "")


class Turns:
    """The runner of turns.  `texters` looks up the sender of a text in CRMs, by organization and run."""

    def __init__(
        self,
        db: Db,
        responder: Responder,
        dialogue: TextDialogue,
        limits: TurnLimits,
        stuck: timedelta,
        texters: Callable[[UUID, UUID], Awaitable[None]],
    ) -> None:
        self._db, self._responder, self._dialogue = db, responder, dialogue
        self._limits, self._stuck, self._texters = limits, stuck, texters

    async def start_due(self) -> int:
        """Create a run and a job for each due turn, and a new job for each run without progress; return how many."""
        at = now()
        async with self._db.system() as tx:
            due = [(ids.new(), org, thread) for thread, org in await text_runs.due(tx, at, BATCH)]
            if due:
                await text_runs.create(tx, due)
            stuck = await text_runs.claim_stalled(tx, at - self._stuck, BATCH)
            for run, org in [*((run, org) for run, org, _ in due), *stuck]:
                await jobs.enqueue(tx, turndecision.TURN, org, run)
        return len(due) + len(stuck)

    async def turn(self, org: UUID, run: UUID) -> str | None:
        """Run a turn to its end; return why it was silent, or None if it was answered, or finished before.  Raises ModelError."""
        await self._texters(org, run)
        active = await self._begin(org, run)
        if not isinstance(active, _ActiveTurn):
            return active
        with tracing.text_step_span(active.answered_sid, "text.turn") as span:
            reason = await self._answer(active)
            span.set_attributes({"hum.run": ids.show(Kind.RUN, run), "hum.reason": reason or ""})
            return reason

    async def _answer(self, active: _ActiveTurn) -> str | None:
        org, run, turn = active.thread.org_id, active.claim.id, self._prepare(active)
        try:
            async with asyncio.timeout(self._limits.seconds):
                reply = await self._dialogue.insisting(turn, self._dialogue.answer, self._limits.attempts)
        except (ModelError, TimeoutError) as error:
            if active.claim.attempts < self._limits.attempts and not turn.has_acted:
                async with self._db.tenant(org) as tx:
                    await _count(tx, active, turn)
                raise ModelError(f"the model did not answer a text: {error!r}"[:300]) from error
            LOG.warning("could not answer a text; giving up", run=str(run), error=repr(error)[:300])
            return await self._give_up(active, turn)
        return await self._end(active, turn, reply)

    # --- before the model -----------------------------------------------------------------------------------------

    async def _begin(self, org: UUID, run: UUID) -> _ActiveTurn | str | None:
        """Claim a turn and decide on it; return it if the model is to be asked, else why it is silent, None if it is finished."""
        at = now()
        async with self._db.system() as tx:
            run_thread = await text_runs.of_run(tx, run)
        if run_thread is None:
            return None
        conversation, is_our_own = run_thread
        async with self._db.tenant(org) as tx:
            thread = await conversations.lock(tx, conversation)
            claim = await text_runs.claim(tx, run)
            if claim is None:
                return None
            material = await text_runs.material(tx, thread.id, at - turndecision.WINDOW, at - turndecision.DAY)
            history = await text_runs.history(tx, thread.id, turndecision.HISTORY_MESSAGES)
            config = smsconfig.config(usable(material.flow[2]).get("sms_config_json")) if material.flow else None
            counts = material.counts
            facts = turndecision.TurnFacts(
                is_paused=material.paused is not None,
                is_blocked=material.blocked,
                is_our_own=is_our_own,
                gate=await _gate(tx, thread, at),
                config=config,
                counts=turndecision.TurnCounts(counts.in_window, counts.of_pair, counts.of_organization),
                history=[
                    ThreadMessage(row.direction, row.body, row.created_at, row.sent_by)
                    for row in history
                    if row.status not in turndecision.UNSAID
                ],
                attempts=claim.attempts,
            )
            match turndecision.decide(facts, self._limits):
                case NoReply(reason):
                    await text_runs.finish(tx, run, TextRunFinish("silent", reason))
                    return reason
                case DeferReply() | Respond() if claim.attempts > 1 and await tool_runs.has_acted(tx, run):
                    # An earlier attempt crashed after a tool had acted: repeating it could act twice.
                    assert config is not None
                    await _escalate(tx, claim, thread, "model_failed", config.fallback_message)
                    return "model_failed"
                case DeferReply(until):
                    await text_runs.postpone(tx, thread.id, until)
                    await text_runs.delete(tx, run)
                    return "hours"
                case HandOver(reason, falls_back):
                    assert config is not None
                    await _escalate(tx, claim, thread, reason, config.fallback_message if falls_back else None)
                    return reason
                case Respond():
                    assert config is not None and material.flow is not None
                    await text_runs.set_model(tx, run, *material.flow[:2], self._responder.text_model)
                    own_tools = await self._dialogue.own_tools(tx, org, material.flow[0])
                    decided = await approvals.undelivered(tx, thread.id, MOST_RESULTS)
                    return _ActiveTurn(claim, thread, material, history, config, own_tools, decided)

    def _prepare(self, active: _ActiveTurn) -> TextWork:
        material, thread, at = active.material, active.thread, now()
        assert material.flow is not None
        is_open = definitions.is_open(material.business_hours_json, material.time_zone, at)
        profile = definitions.profile(
            material.organization, material.time_zone, material.organization_hours_json, material.identity_json
        )

        def instruct(definition: Mapping[str, Any]) -> str:
            config = smsconfig.config(definition.get("sms_config_json"))
            return prompt.instructions(definition, config, profile, material, active.history, at, is_open=is_open)

        return TextWork(
            organization=thread.org_id,
            text=TextTurn(active.claim.id, thread.id),
            situation=Situation(
                contactwords.personal(usable(material.flow[2]), prompt.values(material, thread.number_e164)),
                is_open,
                origin="text",
                has_carrier=False,
                from_e164=thread.contact_e164,
                to_e164=thread.number_e164,
                contact_e164=thread.contact_e164,
                is_vouched_for=True,
                flow=FlowVersion(*material.flow[:2]),
                own_tools=active.own_tools,
            ),
            instruct=instruct,
            items=[
                *prompt.items(active.history),
                *prompt.approval_results([decisions.outcome(row) for row in active.approvals]),
            ],
            at_end=[partial(approvals.record_delivery, ids=[row.id for row in active.approvals])]
            if active.approvals
            else [],
        )

    # --- after the model ------------------------------------------------------------------------------------------

    async def _end(self, active: _ActiveTurn, turn: TextWork, reply: str) -> str | None:
        async with self._db.tenant(active.thread.org_id) as tx:
            thread = await conversations.lock(tx, active.thread.id)
            await _count(tx, active, turn)
            if not await text_runs.lock_claimed(tx, active.claim):
                return None
            at = now()
            reason = await self._drop_reason(tx, active, turn, thread, at)
            # A revocation takes effect whatever else has happened.
            if turn.is_silenced:
                await turn.act(tx)
                await text_runs.finish(tx, active.claim.id, _finish(turn, "silent", "revoked"))
                return "revoked"
            if reason is not None:
                await text_runs.finish(tx, active.claim.id, _finish(turn, "silent", reason))
                return reason
            written = None
            if reply:
                draft = TextDraft(reply, "ai", run_id=active.claim.id)
                written = (await writing.write(tx, thread, draft, at)).id
            if turn.flow_id is not None:
                await text_runs.set_flow(tx, thread.id, turn.flow_id)
            await turn.act(tx)
            ended = _finish(turn, "replied" if written else "silent", None if written else "no_reply", written)
            await text_runs.finish(tx, active.claim.id, ended)
            return None

    async def _drop_reason(
        self, tx: Tx, active: _ActiveTurn, turn: TextWork, thread: ConversationState, at: datetime
    ) -> str | None:
        """Return why the reply is no longer sent, or None."""
        latest = await text_runs.latest(tx, thread.id)
        material = await text_runs.material(tx, thread.id, at, at)
        return turndecision.drop_reason(
            Recheck(
                is_paused=thread.ai_paused_reason is not None,
                is_blocked=material.blocked,
                gate=await _gate(tx, thread, at),
                human_wrote=latest is not None and latest[0] != active.last_seen and latest[2] == "human",
                newer_text=material.generation != active.material.generation,
                dropped_before=active.material.last_reason == turndecision.SUPERSEDED,
                has_acted=turn.has_acted,
            )
        )

    async def _give_up(self, active: _ActiveTurn, turn: TextWork) -> str | None:
        """Hand the conversation over to a person, unless the reply is dropped anyway; return the reason."""
        async with self._db.tenant(active.thread.org_id) as tx:
            thread = await conversations.lock(tx, active.thread.id)
            await _count(tx, active, turn)
            if not await text_runs.lock_claimed(tx, active.claim):
                return None
            reason = await self._drop_reason(tx, active, turn, thread, now())
            if reason is not None:
                await text_runs.finish(tx, active.claim.id, _finish(turn, "silent", reason))
                return reason
            await _escalate(tx, active.claim, thread, "model_failed", active.config.fallback_message, turn)
            return "model_failed"


async def _escalate(
    tx: Tx,
    claim: TextRunClaim,
    thread: ConversationState,
    reason: str,
    fallback: str | None,
    turn: TextWork | None = None,
) -> None:
    """Hand the conversation over to a person, after the flow's fallback message to the contact, if there is one."""
    written = None
    if fallback is not None and await limits.has_quota(tx, thread.org_id, "messages"):
        written = (await writing.write(tx, thread, TextDraft(fallback, "ai", run_id=claim.id), now())).id
    await escalate(tx, thread, reason)
    ended = _finish(turn, "handed_over", reason, written) if turn else TextRunFinish("handed_over", reason, written)
    await text_runs.finish(tx, claim.id, ended)


async def _count(tx: Tx, active: _ActiveTurn, turn: TextWork) -> None:
    """Record the model's usage, also of an answer that is not sent."""
    assert active.material.flow is not None
    owner = Owner(active.thread.org_id, active.claim.id, active.material.flow[0], active.thread.number_id)
    await usage.record_turn_usage(tx, owner, active.claim.attempts, turn.spent)


async def _gate(tx: Tx, thread: ConversationState, at: datetime) -> sendgate.Decision:
    """Return the gate's decision on a text of the AI now."""
    row = await messages.rules(tx, thread.id)
    within_plan = await limits.has_quota(tx, thread.org_id, "messages")
    return sendgate.decide_send(writing.facts(row, "ai", True, None, None, within_plan), at)


def _finish(turn: TextWork, status: str, reason: str | None, written: UUID | None = None) -> TextRunFinish:
    return TextRunFinish(status, reason, written, *turn.tokens)
