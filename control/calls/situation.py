"""The situation of a call, on which the tools of its agent depend."""

from datetime import datetime

from control.base import texttemplates
from control.flows import contactwords, definitions
from control.flows.definitions import usable
from control.livecall.callerid import is_vouched_for
from control.tools import FlowVersion, OrganizationTools, Situation
from hum.contract.validation import bad_e164
from storage.call_agents import SessionRow


def situation_of(row: SessionRow, at: datetime, own_tools: OrganizationTools) -> Situation:
    """Return the situation of a call at this time.

    The flow is the version with which the call began, its words those for this contact.  Without hours in the flow, the organization's current hours
    apply.
    """
    return Situation(
        contactwords.personal(usable(row.definition), _values(row)),
        definitions.is_open(row.business_hours_json, row.time_zone, at),
        row.direction,
        row.origin,
        row.has_carrier,
        row.from_e164,
        row.to_e164,
        row.transfers,
        contact_e164=_contact_e164(row),
        is_vouched_for=is_vouched_for(row.caller_verification, row.direction, row.from_e164, row.to_e164),
        can_text=row.can_text,
        flow=FlowVersion(row.flow_id, row.flow_version),
        own_tools=own_tools,
    )


def _values(row: SessionRow) -> contactwords.Values:
    """Return the values of the variables in the agent's words; of a contact whose number may be forged, the number alone."""
    is_known = is_vouched_for(row.caller_verification, row.direction, row.from_e164, row.to_e164)
    return texttemplates.values_of(
        name=row.contact_known_name if is_known else None,
        company=row.contact_company if is_known else None,
        email=row.contact_email if is_known else None,
        phone=row.contact_phone or "",
        organization=row.organization,
        number=row.from_e164 if row.direction == "outbound" else row.to_e164,
    )


def _contact_e164(row: SessionRow) -> str:
    """Return the other party's number; empty if there is none, or if caller ID failed STIR/SHAKEN."""
    e164 = row.to_e164 if row.direction == "outbound" else row.from_e164
    return "" if row.caller_verification == "failed" or bad_e164(e164) else e164
