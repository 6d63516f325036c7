"""The flow that answers a call, chosen by a contact's tag."""

import json
from dataclasses import replace
from uuid import UUID

from storage.calls import CallRouteRow
from storage.db import Tx

TAGGED = """
    SELECT f.id, f.version, v.definition,
           coalesce(v.definition ->> 'business_hours_json', o.business_hours_json) AS business_hours_json
      FROM flows f
      JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
      JOIN organizations o ON o.org_id = f.org_id
     WHERE f.org_id = $1 AND f.id = $2 AND f.channel = 'voice' AND f.deleted_at IS NULL
"""


async def with_flow(tx: Tx, route: CallRouteRow, flow: UUID) -> CallRouteRow | None:
    """Return the route with another voice flow of the organization, or None if there is no such flow.  Runs as the system."""
    row = await tx.fetchrow(TAGGED, route.org_id, flow)
    if row is None:
        return None
    return replace(
        route,
        flow_id=row["id"],
        flow_version=row["version"],
        definition=json.loads(row["definition"]),
        business_hours_json=row["business_hours_json"],
    )
