"""The agent's tool `transfer_to_number`: transfers the caller to a number of the flow's transfer map."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from control.livecall.callstatus import LIVE
from control.livecall.nextsteps import AGENT, TRANSFER, Transfer, decode, encode
from control.tools import AgentTool, Result, Schema, Situation, ToolChannel, ToolContext, ToolUnavailable, failed
from control.transfers import transfertargets
from control.transfers.transfertargets import Parties, TransferTarget
from hum import ids
from storage import calls
from storage.db import Db

DESCRIPTION = (
    "Transfer the caller to a person. Say first to whom you transfer them: the telephone rings there once your last words were "
    "heard. If nobody takes the call you are told so, and the caller is back with you."
)


def transfer_to_number(db: Db, countries: frozenset[str], timeout_ms: int) -> AgentTool:
    """Return the tool; the agent names a label, never a number.

    `countries`: which may be called besides that of the called number.
    """
    return AgentTool(
        name="transfer_to_number",
        description=DESCRIPTION,
        parameters=partial(_parameters, countries),
        run=partial(_run, db, countries),
        channels=frozenset({ToolChannel.CALL}),
        timeout_ms=timeout_ms,
    )


def offered(situation: Situation, countries: frozenset[str]) -> dict[str, TransferTarget]:
    """Return the targets that the agent of a call is offered, by label.

    There are none on browser calls, outside the business hours, or after too many transfers; never the call's own numbers,
    nor one in a country that must not be called.
    """
    if situation.origin != "phone" or not situation.has_carrier or not situation.is_open:
        return {}
    if situation.transfers >= transfertargets.MAX_OF_AGENT:
        return {}
    parties = Parties.of(situation.direction, situation.from_e164, situation.to_e164)
    targets = transfertargets.targets(situation.definition)
    return {label: target for label, target in targets.items() if parties.bad_target(target.to_e164, countries) is None}


def _lacks(situation: Situation) -> ToolUnavailable:
    """Return why the agent of a call is offered no target."""
    if situation.origin != "phone" or not situation.has_carrier:
        return ToolUnavailable("only calls on the phone can be transferred")
    if not transfertargets.targets(situation.definition):
        return ToolUnavailable("the agent's `transfer_map_json` names no number")
    if not situation.is_open:
        return ToolUnavailable("it is outside the agent's business hours (`business_hours_json`)")
    if situation.transfers >= transfertargets.MAX_OF_AGENT:
        return ToolUnavailable("this call was transferred too often already")
    return ToolUnavailable("none of the numbers in the agent's `transfer_map_json` may be called from this call")


def _parameters(countries: frozenset[str], situation: Situation) -> Schema | ToolUnavailable:
    labels = list(offered(situation, countries))
    if not labels:
        return _lacks(situation)
    return {
        "type": "object",
        "properties": {
            "target": {"type": "string", "enum": labels, "description": "To whom."},
            "summary": {
                "type": "string",
                "maxLength": transfertargets.SUMMARY_CHARS,
                "description": "What that person should know before they talk to the caller, in one or two sentences.",
            },
        },
        "required": ["target", "summary"],
        "additionalProperties": False,
    }


async def _run(db: Db, countries: frozenset[str], context: ToolContext, arguments: Mapping[str, Any]) -> Result:
    """Store the transfer as the call's pending step; it is due once the stream is left for it."""
    label = arguments["target"]
    target = offered(context.situation, countries)[label]  # the registry has validated the label
    transfer = Transfer(
        id=ids.new(),
        to_e164=target.to_e164,
        label=label,
        summary=arguments["summary"],
        needs_key=target.needs_key,
        ring_seconds=target.ring_seconds,
        unanswered=target.unanswered,
    )
    async with db.tenant(context.organization) as tx:
        state = await calls.lock(tx, context.call)
        if state.status not in LIVE:
            return failed("The call is over.")
        step = decode(state.next_step)
        if isinstance(step, Transfer) and step.asked_by != AGENT:
            return Result({"transferring": "A person is transferring the call already."}, leaves=TRANSFER)
        await calls.set_next_step(tx, context.call, encode(transfer))
    return Result({"transferring_to": label}, leaves=TRANSFER)
