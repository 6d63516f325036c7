"""What the agent of a call is made of: the flow's words, the other party, the organization, and what was said so far."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from storage import pauses
from storage.db import Tx

SESSION = f"""
    SELECT c.org_id, v.flow_id, v.version AS flow_version, v.definition, c.announcement_played_ms IS NOT NULL AS announced, k.name AS contact_name,
           (k.said_by_crm || k.said_by_user) ->> 'name' AS contact_known_name, k.email AS contact_email,
           k.phone_e164 AS contact_phone, k.company AS contact_company, k.tags AS contact_tags, k.notes AS contact_notes,
           k.attributes_json AS contact_attributes,
           o.name AS organization, o.time_zone, c.caller_verification, c.origin, c.direction, c.from_e164, c.to_e164,
           c.call_sid IS NOT NULL AS has_carrier, c.answered_at, c.ended_at IS NOT NULL AS has_ended,
           c.answered_by,
           EXISTS (SELECT FROM numbers n WHERE n.id = c.number_id AND n.org_id = c.org_id AND n.status = 'active'
                                           AND n.sms_enabled AND 'sms' = ANY (n.capabilities)) AS can_text,
           (SELECT p.task_context FROM outbound_calls p WHERE p.call_id = c.id) AS task_context,
           coalesce(v.definition ->> 'business_hours_json', o.business_hours_json) AS business_hours_json,
           o.business_hours_json AS organization_hours_json, o.business_identity_json AS identity_json,
           (SELECT count(*) FROM transfers t WHERE t.call_id = c.id) AS transfers,
           {pauses.IS_OPEN} AS recording_paused,
           ARRAY(SELECT ARRAY[r.name, r.told] FROM tool_runs r WHERE r.call_id = c.id AND r.told IS NOT NULL
                  ORDER BY r.place, r.id) AS findings
      FROM calls c
      JOIN organizations o ON o.org_id = c.org_id
      JOIN flow_versions v ON v.flow_id = coalesce($2, c.agent_flow_id, c.flow_id)
                          AND v.version = coalesce($3, c.agent_flow_version, c.flow_version) AND v.org_id = c.org_id
      LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE c.id = $1
"""
# With keypad entries, what a person told the agent, and the results of its approvals; one without a time is the oldest.
LATEST_UTTERANCES = """
    SELECT role, text FROM (
           SELECT role, coalesce(heard_text, text) AS text, start_ms, seq FROM call_turns
            WHERE call_id = $1 AND coalesce(heard_text, text) <> ''
           UNION ALL
           SELECT CASE kind WHEN 'news' THEN 'news' ELSE 'hint' END, text, at_ms, 2147483647
             FROM call_interventions WHERE call_id = $1 AND kind IN ('instruct', 'news')
           UNION ALL
           SELECT 'caller', 'Caller entered ' || keys || ' on the keypad', at_ms, 0
             FROM call_keypad_entries WHERE call_id = $1 AND keys IS NOT NULL) heard
     ORDER BY start_ms DESC NULLS LAST, seq DESC LIMIT $2
"""
# What the agent of a call says first, and its prompt.
OWN_WORDS = """
    SELECT v.definition ->> 'greeting' AS greeting, v.definition ->> 'system_prompt' AS system_prompt FROM calls c
      JOIN flow_versions v ON v.flow_id = coalesce(c.agent_flow_id, c.flow_id)
                          AND v.version = coalesce(c.agent_flow_version, c.flow_version)
     WHERE c.id = $1
"""


@dataclass(frozen=True, slots=True)
class SessionRow:
    org_id: UUID
    flow_id: UUID
    flow_version: int
    definition: dict[str, Any]
    announced: bool  # in an earlier stream
    contact_name: str | None
    #: From a person or a CRM, and not the caller name that a carrier knows, which may be a company's or begin with the last name.
    contact_known_name: str | None
    contact_email: str | None
    contact_phone: str | None
    contact_company: str | None
    contact_tags: list[str] | None
    contact_notes: str | None
    contact_attributes: str | None
    organization: str
    time_zone: str
    caller_verification: str | None
    answered_at: datetime | None  # when its first stream began
    has_ended: bool
    answered_by: str | None
    task_context: str | None  # of an outbound call: JSON
    origin: str
    direction: str
    from_e164: str
    to_e164: str
    has_carrier: bool
    can_text: bool  # from our number on this call
    business_hours_json: str | None
    organization_hours_json: str | None
    identity_json: str | None
    #: The last pause of the recording has no end.
    recording_paused: bool
    #: Number of transfers so far.
    transfers: int
    #: Results of hooks, (name, text), in their order.
    findings: list[list[str]]


async def session(tx: Tx, id: UUID, flow_id: UUID | None = None, flow_version: int | None = None) -> SessionRow | None:
    """Return what the call's agent needs, or the agent of the given flow: flow, caller, organization.  None if there is no flow."""
    row = await tx.fetchrow(SESSION, id, flow_id, flow_version)
    return SessionRow(**{**row, "definition": json.loads(row["definition"])}) if row else None


async def own_words(tx: Tx, id: UUID) -> dict[str, str]:
    """Return the greeting and the prompt of the call's current flow, as far as it has them."""
    row = await tx.fetchrow(OWN_WORDS, id)
    return {name: text for name, text in row.items() if text} if row else {}


async def utterances(tx: Tx, id: UUID, limit: int) -> list[tuple[str, str]]:
    """Return the last `limit` turns as (role, text), oldest first; of an agent's turn, the part that was heard.

    What people told the agent is included as `hint`, results of approvals as `news`, keypad entries as the caller's.
    """
    rows = await tx.fetch(LATEST_UTTERANCES, id, limit)
    return [(row["role"], row["text"]) for row in reversed(rows)]
