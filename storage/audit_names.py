"""The names of what entries of the audit log are about, as they are now."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from storage.db import Tx

# Ids are unique among all tables, so one list is looked up in each.  A webhook's URL may hold a secret: its host is its name.
NAMES = """
    SELECT f.id, v.definition ->> 'name' AS name
      FROM flows f JOIN flow_versions v ON v.flow_id = f.id AND v.version = f.version
     WHERE f.id = ANY ($1::uuid[]) AND f.deleted_at IS NULL
    UNION ALL
    SELECT c.id, coalesce(k.name, k.caller_name, k.phone_e164, c.contact_e164)
      FROM calls c LEFT JOIN contacts k ON k.id = c.contact_id WHERE c.id = ANY ($1)
    UNION ALL
    SELECT m.id, coalesce(k.name, k.caller_name, k.phone_e164, c.contact_e164)
      FROM voicemails m JOIN calls c ON c.id = m.call_id LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE m.id = ANY ($1) AND m.deleted_at IS NULL
    UNION ALL
    SELECT id, coalesce(name, caller_name, phone_e164) FROM contacts WHERE id = ANY ($1)
    UNION ALL
    SELECT c.id, coalesce(k.name, k.caller_name, c.contact_e164)
      FROM conversations c LEFT JOIN contacts k ON k.id = c.contact_id WHERE c.id = ANY ($1)
    UNION ALL
    SELECT m.id, coalesce(k.name, k.caller_name, m.contact_e164)
      FROM messages m JOIN conversations c ON c.id = m.conversation_id LEFT JOIN contacts k ON k.id = c.contact_id
     WHERE m.id = ANY ($1)
    UNION ALL SELECT id, name FROM campaigns WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM sms_templates WHERE id = ANY ($1)
    UNION ALL SELECT id, coalesce(friendly_name, e164) FROM numbers WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM knowledge_documents WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM http_tools WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM tool_secrets WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM mcp_servers WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM crm_connectors WHERE id = ANY ($1)
    UNION ALL
    SELECT id, coalesce(nullif(description, ''), substring(url FROM '^[a-z]+://(?:[^/@]*@)?([^/?#]+)')) FROM webhooks WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM triggers WHERE id = ANY ($1) AND deleted_at IS NULL
    UNION ALL SELECT id, tool FROM approvals WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM booking_resources WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM booking_services WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM appointments WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM booking_waits WHERE id = ANY ($1)
    UNION ALL SELECT id, reason FROM booking_time_off WHERE id = ANY ($1)
    UNION ALL
    SELECT x.id, a.name FROM appointment_conflicts x JOIN appointments a ON a.id = x.appointment_id WHERE x.id = ANY ($1)
    UNION ALL
    SELECT u.id, coalesce(u.name, u.email) FROM memberships m JOIN users u ON u.id = m.user_id WHERE m.user_id = ANY ($1)
    UNION ALL SELECT id, email FROM invites WHERE id = ANY ($1)
    UNION ALL SELECT id, name FROM api_keys WHERE id = ANY ($1)
    UNION ALL SELECT org_id, name FROM organizations WHERE org_id = ANY ($1)
"""


async def names(tx: Tx, ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Return the names of those of the tenant's things that exist and have one."""
    if not ids:
        return {}
    return {row["id"]: row["name"] for row in await tx.fetch(NAMES, ids) if row["name"]}
