"""The tool `stop_texting`: opts a contact out who says, in a text or on a call, that they want no more texts.

In texts the agent has to quote them: the sentence must be in one of their recent messages, and is kept as the evidence with that
message.  It takes effect at the message's time, so that an agent that reads an old message again undoes no later opt-in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from control.optouts.usecases import Evidence, opt_out
from control.textagent import consent, turndecision
from control.texts import replies, writing
from control.texts.keywords import Keyword
from control.texts.writing import TextDraft
from control.tools import AgentTool, Result, Schema, Situation, ToolChannel, ToolContext, failed
from hum.clock import now
from hum.contract.errors import InvalidState
from storage import conversations, opt_outs, text_runs
from storage.conversations import ConversationState
from storage.db import Db, Tx

NAME = "stop_texting"
SOURCE = "agent"
WORDS_CHARS = 200
#: The contact's latest messages that may be quoted, of the thread's latest ones.
MOST_QUOTED = 20
NOT_SAID = (
    "They did not write that. If one of their messages says that they want no more texts, call this again with its sentence, word "
    "for word; if none does, answer them."
)
SAID_OTHERWISE = "They have asked for texts again since they wrote that. Answer them."


def _arguments(description: str) -> Schema:
    words = {"type": "string", "minLength": 1, "maxLength": WORDS_CHARS, "description": description}
    return {"type": "object", "properties": {"words": words}, "required": ["words"], "additionalProperties": False}


IN_TEXT = _arguments("The sentence in which they wrote so, word for word.")
ON_CALL = _arguments("The words with which they said so.")


def stop_texting(db: Db, timeout_ms: int) -> list[AgentTool]:
    """Return the tool for texts and the one for calls."""

    async def in_text(context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        turn = context.turn
        assert turn is not None
        async with db.tenant(context.organization) as tx:
            quote = await _find(tx, turn.conversation, arguments["words"])
            if quote is None:
                return failed(NOT_SAID)
            row = await opt_outs.find(tx, context.organization, context.situation.contact_e164)
            if row is not None and not row.opted_out and row.changed_at > quote.at:
                return failed(SAID_OTHERWISE)

        async def stop(tx: Tx) -> None:
            thread = await conversations.lock(tx, turn.conversation)
            # The message may have been erased meanwhile.
            still = await _find(tx, thread.id, arguments["words"])
            evidence = Evidence(quote.sentence, still.message if still else None, thread.id, quote.at)
            if await opt_out(tx, thread.org_id, thread.contact_e164, SOURCE, evidence):
                await _confirm(tx, thread, now())

        return Result({"stopped": True}, at_end=stop, silences=True)

    async def on_call(context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        evidence = Evidence(arguments["words"])
        async with db.tenant(context.organization) as tx:
            await opt_out(tx, context.organization, context.situation.contact_e164, SOURCE, evidence)
        return Result({"stopped": "They get no more texts from us. They can text START to get them again."})

    def call_parameters(situation: Situation) -> Schema | None:
        return ON_CALL if situation.contact_e164 and situation.can_text else None

    condition = "if they say, in whatever words, that they want no more texts from us"
    return [
        AgentTool(
            NAME,
            f"End all texts to them, {condition}. They are told so; you say nothing more.",
            lambda _: IN_TEXT,
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


@dataclass(frozen=True, slots=True)
class _Quote:
    sentence: str
    message: UUID
    at: datetime


async def _find(tx: Tx, conversation: UUID, words: str) -> _Quote | None:
    """Return the contact's latest message with these words, and its own wording of them."""
    history = await text_runs.history(tx, conversation, turndecision.HISTORY_MESSAGES)
    for row in [row for row in reversed(history) if row.direction == "inbound"][:MOST_QUOTED]:
        if (sentence := consent.in_text(words, row.body)) is not None:
            return _Quote(sentence, row.id, row.created_at)
    return None


async def _confirm(tx: Tx, thread: ConversationState, at: datetime) -> None:
    """Send the confirmation of an opt-out, the one text that may still be sent."""
    body = replies.reply(Keyword.STOP, *await text_runs.organization(tx, thread.id))
    try:
        await writing.write(tx, thread, TextDraft(body, "system", honors_hours=False), at)
    except InvalidState:  # its number can't send
        return
