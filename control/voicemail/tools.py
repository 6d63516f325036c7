"""The agent's tool `take_voicemail`."""

from collections.abc import Mapping
from typing import Any

from control.livecall.nextsteps import VOICEMAIL, TakeMessage, encode
from control.livecall.state import require_live
from control.tools import AgentTool, Result, Schema, Situation, ToolChannel, ToolContext, ToolUnavailable, failed
from storage import calls
from storage.db import Db

NOTHING: Schema = {"type": "object", "properties": {}, "additionalProperties": False}


def take_voicemail(db: Db, timeout_ms: int) -> AgentTool:
    """Return the tool; the call continues in the mailbox after the agent has finished speaking."""

    async def run(context: ToolContext, _: Mapping[str, Any]) -> Result:
        async with db.tenant(context.organization) as tx:
            state = await require_live(tx, context.call)
            if state.call_sid is None:
                return failed("Only callers on the phone can leave a message. Note down what they say instead.")
            await calls.set_next_step(tx, context.call, encode(TakeMessage("agent")))
        return Result({"taking_message": True}, leaves=VOICEMAIL)

    return AgentTool(
        name="take_voicemail",
        description=(
            "Let the caller leave a message for the team, when they ask for that or nobody can help them. Tell them that you "
            "connect them to the mailbox, then call this: you leave the call, and they speak after a tone."
        ),
        parameters=_if_enabled,
        run=run,
        channels=frozenset({ToolChannel.CALL}),
        timeout_ms=timeout_ms,
    )


def _if_enabled(situation: Situation) -> Schema | ToolUnavailable:
    if situation.origin != "phone":
        return ToolUnavailable("only callers on the phone can leave a message")
    return (
        NOTHING
        if situation.definition.get("voicemail_enabled")
        else ToolUnavailable("the agent's `voicemail_enabled` is off")
    )
