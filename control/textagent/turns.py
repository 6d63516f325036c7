"""Turns, from the moment that one is due to its end.

Two transactions with the model between them: nothing is open while it is asked.  The second one, under the thread's lock,
looks again whether the answer may go, writes it, does what the agent's tools have promised, and ends the turn; so a turn
that is begun again after a crash is either done, or has done nothing.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from control import jobs
from control.approvals import telling
from control.billing import limits
from control.clients.openai import ModelError, Responder
from control.flows import stored
from control.flows.stored import usable
from control.textagent import prompt, rules
from control.textagent.dialogue import Dialogue, Turn
from control.textagent.handover import hand_over
from control.textagent.rules import Go, HandOver, Later, Limits, Meanwhile, Said, Silent
from control.texts import gate, writing
from control.texts.writing import Draft
from control.tools import FlowVersion, Situation, TextTurn, Tool
from control.usage import other as usage
from hum import ids, tracing
from hum.clock import now
from hum.ids import Kind
from hum.telemetry import log
from storage import approvals, conversations, messages, text_runs, tool_runs
from storage.approvals import ApprovalRow
from storage.conversations import ConversationState
from storage.db import Db, Tx
from storage.text_runs import Claim, Finish, HistoryRow, MaterialRow
from storage.usage import Owner

LOG = log(__name__)
#: Turns that one look takes up.
BATCH = 100
#: What one turn is told of approvals; the rest is for the next one.
MOST_NEWS = 5


@dataclass(frozen=True, slots=True)
class _Begun:
    """A turn for which the model is asked."""

    claim: Claim
    thread: ConversationState
    material: MaterialRow
    history: list[HistoryRow]
    config: rules.Config
    own_tools: tuple[Tool, ...]
    #: What became of what the agent had asked approval for, and does not know yet.
    news: list[ApprovalRow]

    @property
    def last_seen(self) -> UUID:
        return self.history[-1].id

    @property
    def answers(self) -> str:
        """The carrier's id of the text that it answers: the last one that came."""
        return next((each.carrier_sid or "" for each in reversed(self.history) if each.direction == "inbound"), "")


class Turns:
    """Takes the turns that are due."""

    """`texters` finds out, by organization and run, who has sent the text."""

    def __init__(
        self,
        db: Db,
        responder: Responder,
        dialogue: Dialogue,
        limits: Limits,
        stuck: timedelta,
        texters: Callable[[UUID, UUID], Awaitable[None]],
    ) -> None:
        self._db, self._responder, self._dialogue = db, responder, dialogue
        self._limits, self._stuck, self._texters = limits, stuck, texters

    async def take_due(self) -> int:
        """Make a run and a job of each turn that is due; of those that a lost job left, a new job."""
        at = now()
        async with self._db.system() as tx:
            due = [(ids.new(), org, thread) for thread, org in await text_runs.due(tx, at, BATCH)]
            if due:
                await text_runs.create(tx, due)
            left = await text_runs.left(tx, at - self._stuck, BATCH)
            for run, org in [*((run, org) for run, org, _ in due), *left]:
                await jobs.enqueue(tx, rules.TURN, org, run)
        return len(due) + len(left)

    async def turn(self, org: UUID, run: UUID) -> str | None:
        """Take a turn to its end; the reason for which it was silent, None if it was over, or answered.  Raises ModelError."""
        await self._texters(org, run)
        begun = await self._begin(org, run)
        if not isinstance(begun, _Begun):
            return begun
        with tracing.text_step(begun.answers, "text.turn") as span:
            reason = await self._answer(begun)
            span.set_attributes({"hum.run": ids.show(Kind.RUN, run), "hum.reason": reason or ""})
            return reason

    async def _answer(self, begun: _Begun) -> str | None:
        org, run, turn = begun.thread.org_id, begun.claim.id, self._prepared(begun)
        try:
            async with asyncio.timeout(self._limits.seconds):
                reply = await self._dialogue.insisting(turn, self._dialogue.answer, self._limits.attempts)
        except (ModelError, TimeoutError) as error:
            if begun.claim.attempts < self._limits.attempts and not turn.has_acted:
                async with self._db.tenant(org) as tx:
                    await _count(tx, begun, turn)
                raise ModelError(f"the model did not answer a text: {error!r}"[:300]) from error
            LOG.warning("a text is not answered", run=str(run), error=repr(error)[:300])
            return await self._give_up(begun, turn)
        return await self._end(begun, turn, reply)

    # --- before the model -----------------------------------------------------------------------------------------

    async def _begin(self, org: UUID, run: UUID) -> _Begun | str | None:
        at = now()
        async with self._db.system() as tx:
            known = await text_runs.of_run(tx, run)
        if known is None:
            return None
        conversation, is_our_own = known
        async with self._db.tenant(org) as tx:
            thread = await conversations.lock(tx, conversation)
            claim = await text_runs.claim(tx, run)
            if claim is None:
                return None
            material = await text_runs.material(tx, thread.id, at - rules.WINDOW, at - rules.DAY)
            history = await text_runs.history(tx, thread.id, rules.HISTORY_MESSAGES)
            config = rules.config(usable(material.flow[2]).get("sms_config_json")) if material.flow else None
            facts = rules.Facts(
                is_paused=material.paused is not None,
                is_blocked=material.blocked,
                is_our_own=is_our_own,
                gate=await _gate(tx, thread, at),
                config=config,
                counts=rules.Counts(*(getattr(material.counts, name) for name in rules.Counts.__slots__)),
                history=[
                    Said(each.direction, each.body, each.created_at, each.sent_by)
                    for each in history
                    if each.status not in rules.UNSAID
                ],
                attempts=claim.attempts,
            )
            match rules.before(facts, self._limits):
                case Silent(reason):
                    await text_runs.finish(tx, run, Finish("silent", reason))
                    return reason
                case Later() | Go() if claim.attempts > 1 and await tool_runs.has_acted(tx, run):
                    assert config is not None  # whoever had it died, and what its tools did may be done
                    await _hand_over(tx, claim, thread, "model_failed", config.fallback_message)
                    return "model_failed"
                case Later(until):
                    await text_runs.postpone(tx, thread.id, until)
                    await text_runs.forget(tx, run)
                    return "hours"
                case HandOver(reason, falls_back):
                    assert config is not None
                    await _hand_over(tx, claim, thread, reason, config.fallback_message if falls_back else None)
                    return reason
                case Go():
                    assert config is not None and material.flow is not None
                    await text_runs.asked(tx, run, *material.flow[:2], self._responder.text_model)
                    own_tools = await self._dialogue.own_tools(tx, org, material.flow[0])
                    news = await approvals.news(tx, thread.id, MOST_NEWS)
                    return _Begun(claim, thread, material, history, config, own_tools, news)

    def _prepared(self, begun: _Begun) -> Turn:
        material, thread, at = begun.material, begun.thread, now()
        assert material.flow is not None
        is_open = stored.is_open(material.business_hours_json, material.time_zone, at)

        def instruct(definition: Mapping[str, Any]) -> str:
            config = rules.config(definition.get("sms_config_json"))
            return prompt.instructions(definition, config, material, begun.history, at, is_open=is_open)

        return Turn(
            organization=thread.org_id,
            text=TextTurn(begun.claim.id, thread.id),
            situation=Situation(
                usable(material.flow[2]),
                is_open,
                origin="text",
                has_carrier=False,
                from_e164=thread.contact_e164,
                to_e164=thread.number_e164,
                contact_e164=thread.contact_e164,
                flow=FlowVersion(*material.flow[:2]),
                own_tools=begun.own_tools,
            ),
            instruct=instruct,
            items=[*prompt.items(begun.history), *prompt.news([telling.news(row) for row in begun.news])],
            at_end=[partial(approvals.tell, ids=[row.id for row in begun.news])] if begun.news else [],
        )

    # --- after it -------------------------------------------------------------------------------------------------

    async def _end(self, begun: _Begun, turn: Turn, reply: str) -> str | None:
        async with self._db.tenant(begun.thread.org_id) as tx:
            thread = await conversations.lock(tx, begun.thread.id)
            await _count(tx, begun, turn)
            if not await text_runs.hold(tx, begun.claim):
                return None
            at = now()
            reason = await self._dropped(tx, begun, turn, thread, at)
            if turn.is_silenced:  # whatever happened meanwhile: this is what the contact wants
                await turn.act(tx)
                await text_runs.finish(tx, begun.claim.id, _finish(turn, "silent", "revoked"))
                return "revoked"
            if reason is not None:
                await text_runs.finish(tx, begun.claim.id, _finish(turn, "silent", reason))
                return reason
            written = None
            if reply:
                draft = Draft(reply, "ai", run_id=begun.claim.id)
                written = (await writing.write(tx, thread, draft, at)).id
            if turn.flow_id is not None:
                await text_runs.set_flow(tx, thread.id, turn.flow_id)
            await turn.act(tx)
            ended = _finish(turn, "replied" if written else "silent", None if written else "no_reply", written)
            await text_runs.finish(tx, begun.claim.id, ended)
            return None

    async def _dropped(self, tx: Tx, begun: _Begun, turn: Turn, thread: ConversationState, at: datetime) -> str | None:
        """Why the answer is not sent any more."""
        latest = await text_runs.latest(tx, thread.id)
        material = await text_runs.material(tx, thread.id, at, at)
        return rules.after(
            Meanwhile(
                is_paused=thread.ai_paused_reason is not None,
                is_blocked=material.blocked,
                gate=await _gate(tx, thread, at),
                human_wrote=latest is not None and latest[0] != begun.last_seen and latest[2] == "human",
                newer_text=material.generation != begun.material.generation,
                dropped_before=begun.material.last_reason == rules.SUPERSEDED,
                has_acted=turn.has_acted,
            )
        )

    async def _give_up(self, begun: _Begun, turn: Turn) -> str | None:
        async with self._db.tenant(begun.thread.org_id) as tx:
            thread = await conversations.lock(tx, begun.thread.id)
            await _count(tx, begun, turn)
            if not await text_runs.hold(tx, begun.claim):
                return None
            reason = await self._dropped(tx, begun, turn, thread, now())
            if reason is not None:
                await text_runs.finish(tx, begun.claim.id, _finish(turn, "silent", reason))
                return reason
            await _hand_over(tx, begun.claim, thread, "model_failed", begun.config.fallback_message, turn)
            return "model_failed"


async def _hand_over(
    tx: Tx, claim: Claim, thread: ConversationState, reason: str, fallback: str | None, turn: Turn | None = None
) -> None:
    """A person has to answer; the contact is told so with the flow's fallback message, if it has one."""
    written = None
    if fallback is not None and await limits.has_room(tx, thread.org_id, "messages"):
        written = (await writing.write(tx, thread, Draft(fallback, "ai", run_id=claim.id), now())).id
    await hand_over(tx, thread, reason)
    ended = _finish(turn, "handed_over", reason, written) if turn else Finish("handed_over", reason, written)
    await text_runs.finish(tx, claim.id, ended)


async def _count(tx: Tx, begun: _Begun, turn: Turn) -> None:
    """What the model has used is used, whatever becomes of the answer."""
    assert begun.material.flow is not None
    owner = Owner(begun.thread.org_id, begun.claim.id, begun.material.flow[0], begun.thread.number_id)
    await usage.turn_taken(tx, owner, begun.claim.attempts, turn.spent)


async def _gate(tx: Tx, thread: ConversationState, at: datetime) -> gate.Decision:
    """What would become of a text of the AI's now."""
    row = await messages.rules(tx, thread.id)
    within_plan = await limits.has_room(tx, thread.org_id, "messages")
    return gate.decide(writing.facts(row, "ai", True, None, None, within_plan), at)


def _finish(turn: Turn, status: str, reason: str | None, written: UUID | None = None) -> Finish:
    return Finish(status, reason, written, *turn.tokens, json.dumps(turn.tool_calls, ensure_ascii=False))
