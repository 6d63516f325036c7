"""The tool `stop_texting`: opts a contact out who says, in a text or on a call, that they want no more texts."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from control.optouts.usecases import Evidence, opt_out
from control.texts import replies, writing
from control.texts.keywords import Keyword
from control.texts.writing import TextDraft
from control.tools import AgentTool, Result, Schema, Situation, ToolChannel, ToolContext
from hum.clock import now
from hum.contract.errors import InvalidState
from storage import conversations, text_runs
from storage.conversations import ConversationState
from storage.db import Db, Tx

NAME = "stop_texting"
SOURCE = "agent"
WORDS_CHARS = 200
ARGUMENTS: Schema = {
    "type": "object",
    "properties": {
        "words": {
            "type": "string",
            "minLength": 1,
            "maxLength": WORDS_CHARS,
            "description": "The words with which they said so.",
        }
    },
    "required": ["words"],
    "additionalProperties": False,
}


def stop_texting(db: Db, timeout_ms: int) -> list[AgentTool]:
    """Return the tool for texts and the one for calls."""

    async def in_text(context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        turn = context.turn
        assert turn is not None

        async def stop(tx: Tx) -> None:
            thread = await conversations.lock(tx, turn.conversation)
            message = await text_runs.latest_inbound(tx, thread.id)
            evidence = Evidence(arguments["words"], message, thread.id)
            if await opt_out(tx, thread.org_id, thread.contact_e164, SOURCE, evidence):
                await _confirm(tx, thread, now())

        return Result({"stopped": True}, at_end=stop, silences=True)

    async def on_call(context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        evidence = Evidence(arguments["words"])
        async with db.tenant(context.organization) as tx:
            await opt_out(tx, context.organization, context.situation.contact_e164, SOURCE, evidence)
        return Result({"stopped": "They get no more texts from us. They can text START to get them again."})

    def call_parameters(situation: Situation) -> Schema | None:
        return ARGUMENTS if situation.contact_e164 and situation.can_text else None

    condition = "if they say, in whatever words, that they want no more texts from us"
    return [
        AgentTool(
            NAME,
            f"End all texts to them, {condition}. They are told so; you say nothing more.",
            lambda _: ARGUMENTS,
            in_text,
            frozenset({ToolChannel.TEXT}),
            timeout_ms,
        ),
        AgentTool(
            NAME,
            f"End all texts to the caller, {condition}.",
            call_parameters,
            on_call,
            frozenset({ToolChannel.CALL}),
            timeout_ms,
        ),
    ]


async def _confirm(tx: Tx, thread: ConversationState, at: datetime) -> None:
    """Send the confirmation of an opt-out, the one text that may still be sent."""
    body = replies.reply(Keyword.STOP, *await text_runs.organization(tx, thread.id))
    try:
        await writing.write(tx, thread, TextDraft(body, "system", honors_hours=False), at)
    except InvalidState:  # its number can't send
        return
