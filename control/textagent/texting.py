"""The tool `send_text`: the agent of a call texts the caller, who has asked for it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from control.textagent import consent, turndecision
from control.texts import threads, writing
from control.texts.writing import TextDraft
from control.tools import AgentTool, Result, Schema, Situation, ToolChannel, ToolContext, ToolUnavailable, failed
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from storage import call_records, calls, conversations, text_runs, unfinished_turns
from storage.db import Db

NAME = "send_text"
#: Higher than the number of any stream of a call.
LAST_STREAM = 1 << 30
MAX_CHARS, MAX_CONSENT_CHARS = 1000, 300
#: The transcript lags behind the voice: wait for it during this part of the tool's timeout, polling at this interval.
PATIENCE, POLL_SECONDS = 0.5, 0.2
NOT_AGREED = "They have not said that they want a text. Ask them; once they agree, call this again with their words."
ARGUMENTS: Schema = {
    "type": "object",
    "properties": {
        "text": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_CHARS,
            "pattern": "\\S",
            "description": "The text.",
        },
        "consent": {
            "type": "string",
            "minLength": 1,
            "maxLength": MAX_CONSENT_CHARS,
            "description": "What they said when they asked for the text or agreed to it, in their own words.",
        },
    },
    "required": ["text", "consent"],
    "additionalProperties": False,
}
OPTED_OUT = "They want no texts from us, so nothing was sent. They can text START to this number, and then get it."


def send_text(db: Db, timeout_ms: int, most_per_call: int, most_segments: int) -> AgentTool:
    """Return the tool.  It texts the caller's number only, from the call's number, at any hour, as the caller asked for it."""

    async def run(context: ToolContext, arguments: Mapping[str, Any]) -> Result:
        body = turndecision.plain(arguments["text"])
        if not body or not turndecision.fits(body, MAX_CHARS, most_segments):
            return failed("The text is too long. Shorten it.")
        if not await _has_agreed(db, context, arguments["consent"], timeout_ms / 1000 * PATIENCE):
            return failed(NOT_AGREED)
        async with db.tenant(context.organization) as tx:
            await calls.lock(tx, context.call)  # one text after another
            if await text_runs.of_call(tx, context.call, NAME) > most_per_call:
                return failed(f"{most_per_call} texts were sent in this call already; there can't be more.")
            number = await text_runs.number_of_call(tx, context.call)
            if number is None:
                return failed("This number can't send texts any more.")
            thread, _ = await conversations.find_or_create(
                tx,
                ids.new(),
                context.organization,
                number.id,
                number.e164,
                context.situation.contact_e164,
                number.contact_id,
            )
            await threads.reopen(tx, thread, threads.AI)
            written = await writing.write(tx, thread, TextDraft(body, "ai", honors_hours=False), now())
        sent = {
            "message_id": ids.show(Kind.MESSAGE, written.id),
            "conversation_id": ids.show(Kind.CONVERSATION, thread.id),
            "status": written.status,
        }
        return Result(sent) if written.status == "queued" else Result(sent | {"error": OPTED_OUT}, ok=False)

    return AgentTool(
        NAME,
        "Text the person you are talking with, at the number of this call: an address, a link, a confirmation. Only what they "
        "asked for or agreed to. `queued` means that it will be sent in a moment, not that it has arrived.",
        _parameters,
        run,
        frozenset({ToolChannel.CALL}),
        timeout_ms,
    )


async def _has_agreed(db: Db, context: ToolContext, quote: str, patience_seconds: float) -> bool:
    """Return whether the caller's words are in the transcript, or appear there in time."""
    try:
        async with asyncio.timeout(patience_seconds):
            while True:
                if consent.is_found(quote, await _caller_turns(db, context.organization, context.call)):
                    return True
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        return False


async def _caller_turns(db: Db, org: UUID, call: UUID) -> Sequence[str]:
    """Return the caller's turns so far, including unfinished ones."""
    async with db.tenant(org) as tx:
        turns = [turn.text for turn in await call_records.turns(tx, call) if turn.role == "caller"]
        rows = await unfinished_turns.of_call(tx, call, LAST_STREAM)
    unfinished = [turn for row in rows for turn in pb.CallUnderWay.FromString(row.under_way).turns]
    return turns + [turn.text for turn in unfinished if turn.role == calls_pb2.SPEAKER_CALLER]


def _parameters(situation: Situation) -> Schema | ToolUnavailable:
    return lacks(situation) or ARGUMENTS


def lacks(situation: Situation) -> ToolUnavailable | None:
    """Return why the other party of a call can't be texted from the call's number; None if they can."""
    if not situation.can_text:
        return ToolUnavailable(
            "this call's number can't text: its `sms_enabled` is off, or its carrier offers no texts for it"
        )
    return None if situation.contact_e164 else ToolUnavailable("the caller's number is withheld, or may be spoofed")
