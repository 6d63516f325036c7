"""The tools of a text agent.

A tool checks whether its action is possible, and returns the action, which is committed with the reply when the turn ends.  So a
reply that is dropped, because a person has written meanwhile, has no effects either.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from control.base import prompting
from control.billing import limits
from control.flows import smsconfig
from control.flows.flowchecks import colleagues, outcome_schema
from control.textagent import turndecision
from control.textagent.escalation import escalate
from control.texts import threads, writing
from control.texts.writing import TextDraft
from control.tools import (
    AgentTool,
    Definition,
    FlowVersion,
    Result,
    Run,
    Schema,
    Situation,
    TextTurn,
    ToolChannel,
    ToolContext,
    ToolUnavailable,
    failed,
)
from hum import ids
from hum.clock import now
from hum.contract.errors import ConversationClosed, InvalidState, NotFound
from hum.ids import Kind
from hum.json.storable import dumped
from hum.observe.logs import log
from hum.v1 import events_pb2
from storage import conversations, events, flows, text_runs
from storage.db import Db, Tx

LOG = log(__name__)

TEXT = frozenset({ToolChannel.TEXT})
FOLLOW_UP, CLOSE = "schedule_followup_sms", "close_conversation"
#: The limit of a follow-up's time.
FARTHEST = timedelta(days=30)
#: The limit of transfers between flows in a turn.
MAX_TRANSFERS = 2
NO_OUTCOME = ToolUnavailable("the agent has no `outcome_schema_json`")
NO_COLLEAGUE = ToolUnavailable("the agent's `transfer_map_json` names no flow")
NO_FOLLOW_UP = ToolUnavailable(
    "the agent's `sms_config_json` allows none (`max_pending_followups`, `max_messages_per_run` of at least 2)"
)


def _object(**properties: Schema) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _text(most: int, description: str) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": "\\S", "description": description}


def _turn(context: ToolContext) -> TextTurn:
    assert context.turn is not None, "a tool of texts ran in a call"
    return context.turn


class TextTools:
    """The tools of every text agent."""

    def __init__(self, db: Db, timeout_ms: int, most_segments: int) -> None:
        self._db, self._timeout_ms, self._most_segments = db, timeout_ms, most_segments

    def all(self) -> list[AgentTool]:
        return [
            self._tool(
                "assign_to_human",
                "Give the conversation to a person of the team, who will answer; you answer no more here. Do it when they ask "
                "for a person, or need something that you can't do. Then tell them that somebody will write.",
                lambda _: _object(reason=_text(500, "What the person has to know or do.")),
                self._assign,
            ),
            self._tool(
                CLOSE,
                "Close the conversation, when what it was about is done and they said goodbye. Their next text opens it again.",
                lambda _: _object(reason=_text(200, "What came of it, in a few words.")),
                self._close,
            ),
            self._tool(
                "transfer_sms_to_flow",
                "Let a colleague answer in your place, from this text on; they know the conversation.",
                _colleagues,
                self._transfer,
            ),
            self._tool(
                FOLLOW_UP,
                "Have a text sent to them later. It waits for the hours in which people may be texted.",
                lambda situation: _follow_up(situation.definition),
                self._follow_up,
            ),
            self._tool(
                "report_outcome",
                "Report what came of this conversation, once you know it. Report again if it changes.",
                lambda situation: outcome_schema(situation.definition) or NO_OUTCOME,
                self._report,
            ),
        ]

    def _tool(self, name: str, description: str, parameters: Any, run: Run) -> AgentTool:
        return AgentTool(name, description, parameters, run, TEXT, self._timeout_ms)

    async def _assign(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        conversation = _turn(context).conversation

        async def assign(tx: Tx) -> None:
            await escalate(tx, await conversations.lock(tx, conversation), "assigned", arguments["reason"])

        return Result({"assigned": True}, at_end=assign)

    async def _close(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        conversation = _turn(context).conversation
        if FOLLOW_UP in _turn(context).done:
            return failed("You have scheduled a text; in a closed conversation none is sent. Leave it open.")

        async def end(tx: Tx) -> None:
            await threads.close(tx, await conversations.lock(tx, conversation), threads.AI, arguments["reason"])

        return Result({"closes": "after your answer"}, at_end=end)

    async def _transfer(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        if _turn(context).done.count("transfer_sms_to_flow") >= MAX_TRANSFERS:
            return failed("This was handed over too often already. Answer it yourself.")
        id = colleagues(context.situation.definition)[arguments["target"]]
        async with self._db.tenant(context.organization) as tx:
            try:
                flow = await flows.get(tx, ids.require(Kind.FLOW, id))
            except NotFound:
                return failed("There is no such colleague any more. Answer yourself.")
        if flow.channel != "sms":
            return failed("This colleague answers no texts. Answer yourself.")
        return Result({"you_are": "the colleague now; answer the text"}, switches_to=FlowVersion(flow.id, flow.version))

    async def _report(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        turn, outcome = _turn(context), dumped(arguments)

        async def report(tx: Tx) -> None:
            await text_runs.set_outcome(tx, turn.run, outcome)
            event = events_pb2.ConversationOutcomeEvent(
                conversation_id=ids.show(Kind.CONVERSATION, turn.conversation),
                run_id=ids.show(Kind.RUN, turn.run),
                outcome_json=outcome,
            )
            await events.append(tx, context.organization, turn.conversation, event)

        return Result({"recorded": True}, at_end=report)

    async def _follow_up(self, context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        turn, config = _turn(context), smsconfig.config(context.situation.definition.get("sms_config_json"))
        async with self._db.tenant(context.organization) as tx:
            pending = await text_runs.pending(tx, turn.conversation)
            zone = await text_runs.time_zone(tx, turn.conversation)
        in_this_turn = turn.done.count(FOLLOW_UP)
        if pending + in_this_turn >= config.max_pending_followups:
            return failed(f"{pending + in_this_turn} texts are scheduled already; there can't be more.")
        if 1 + in_this_turn >= config.max_messages_per_run:
            return failed("You can't schedule more in this answer.")
        if CLOSE in turn.done:
            return failed("You have closed the conversation; no text can be scheduled in it.")
        body = turndecision.plain(arguments["text"])
        if not body or not turndecision.fits(body, config.max_reply_chars, self._most_segments):
            return failed("The text is empty, or too long. Write a shorter one.")
        at, complaint = when(arguments["send_at"], zone, now())
        if at is None:
            return failed(complaint)

        async def schedule(tx: Tx) -> None:
            thread = await conversations.lock(tx, turn.conversation)
            draft = TextDraft(body, "ai", scheduled_at=at, source="ai_followup", run_id=turn.run)
            if not await limits.has_quota(tx, context.organization, "messages"):
                return  # the reply has used up the plan
            try:
                await writing.write(tx, thread, draft, now())
            # The state has changed since the check.  The turn's other actions stand.
            except (ConversationClosed, InvalidState) as error:
                LOG.warning("could not schedule a follow-up", conversation=str(thread.id), error=str(error))

        return Result(
            {"scheduled_for": f"{prompting.local(at, zone)} ({zone}), or when the hours allow"}, at_end=schedule
        )


def _colleagues(situation: Situation) -> Schema | ToolUnavailable:
    labels = list(colleagues(situation.definition))
    return _object(target={"type": "string", "enum": labels}) if labels else NO_COLLEAGUE


def _follow_up(definition: Definition) -> Schema | ToolUnavailable:
    config = smsconfig.config(definition.get("sms_config_json"))
    if not config.max_pending_followups or config.max_messages_per_run < 2:
        return NO_FOLLOW_UP
    return _object(
        text=_text(config.max_reply_chars, "The text."),
        send_at={
            "type": "string",
            "pattern": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$",
            "description": "When, by the business's clock: 2026-03-01T09:30",
        },
    )


def when(text: str, time_zone: str, at: datetime) -> tuple[datetime | None, str]:
    """Parse a time by the organization's clock; return it, or None and the complaint for the agent."""
    try:
        time = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(time_zone)).astimezone(ZoneInfo("UTC"))
    except (ValueError, OverflowError):
        return None, "There is no such time."
    if time <= at:
        return None, f"That is past: it is {prompting.local(at, time_zone)}."
    if time > at + FARTHEST:
        return None, f"That is more than {FARTHEST.days} days ahead."
    return time, ""
