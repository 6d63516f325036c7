"""What a call's agent is offered depends on: the flow that the call began with, and whether its hours are over by now."""

from datetime import datetime

from control.flows import stored
from control.flows.stored import usable
from control.tools import FlowVersion, Situation, Tool
from hum.validation import bad_e164
from storage.calls import SessionRow


def situation_of(row: SessionRow, at: datetime, own_tools: tuple[Tool, ...]) -> Situation:
    """The situation of a call at this time.

    The flow is the version that the call began with; the organization's own hours, where the flow has none, are today's.
    """
    return Situation(
        usable(row.definition),
        stored.is_open(row.business_hours_json, row.time_zone, at),
        row.direction,
        row.origin,
        row.has_carrier,
        row.from_e164,
        row.to_e164,
        row.transfers,
        contact_e164=_contact_e164(row),
        can_text=row.can_text,
        flow=FlowVersion(row.flow_id, row.flow_version),
        own_tools=own_tools,
    )


def _contact_e164(row: SessionRow) -> str:
    """The number of whoever is on the line; empty if there is none, or the network does not vouch for it."""
    e164 = row.to_e164 if row.direction == "outbound" else row.from_e164
    return "" if row.caller_verification == "failed" or bad_e164(e164) else e164
