"""What an entry of the audit log is about: its kind by the operation, and the scope that a key needs to be told its name."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Final
from uuid import UUID

from hum import ids
from hum.contract.services import services
from hum.ids import Kind

#: By service; operations that are about something else are in `BY_ACTION`.
BY_SERVICE: Final = MappingProxyType(
    {
        "AppointmentsService": "appointment",
        "ApprovalsService": "approval",
        "AuditService": "audit_log",
        "BillingService": "billing",
        "BookingsService": "booking",
        "CallsService": "call",
        "CampaignService": "campaign",
        "ContactsService": "contact",
        "CrmConnectorsService": "crm_connector",
        "EventsService": "event",
        "FlowsService": "flow",
        "IdentityService": "member",
        "KnowledgeService": "knowledge",
        "McpServersService": "mcp_server",
        "NotificationsService": "member",
        "NumbersService": "number",
        "OptOutService": "opt_out",
        "OutboundService": "call",
        "ReviewService": "call",
        "SmsService": "conversation",
        "SmsDeliveryService": "message",
        "SmsMediaService": "message",
        "SmsTemplatesService": "template",
        "StudioService": "flow",
        "TeamService": "member",
        "ToolBindingsService": "flow",
        "ToolSecretsService": "tool_secret",
        "ToolsService": "tool",
        "TriggersService": "trigger",
        "WebhooksService": "webhook",
    }
)
#: Actions that no operation of the contract has: those of operators, of the platform itself, and parts of others.
OTHER_ACTIONS: Final = MappingProxyType(
    {
        "assignNumber": "number",
        "createOrganization": "organization",
        "deleteOrganization": "organization",
        "disabledWebhook": "webhook",
        "erasedByRetention": "organization",
        "erasedContact": "contact",
        "expiredApproval": "approval",
        "followCall": "call",
        "linkSignIn": "member",
        "listenToCall": "call",
        "stopListeningToCall": "call",
        "voidApproval": "approval",
        "warnedOfWebhook": "webhook",
    }
)
BY_ACTION: Final = MappingProxyType(
    {
        **OTHER_ACTIONS,
        **dict.fromkeys(("addFlowMcpServer", "removeFlowMcpServer", "testCall"), "flow"),
        **dict.fromkeys(("blockNumber", "unblockNumber"), "blocked_number"),
        **dict.fromkeys(("getVoicemail", "getVoicemailAudio", "updateVoicemail", "deleteVoicemail"), "voicemail"),
        **dict.fromkeys(("createInvite", "deleteInvite", "acceptInvitation", "declineInvitation"), "invite"),
        **dict.fromkeys(("createApiKey", "revokeApiKey"), "api_key"),
        **dict.fromkeys(("onboardOrganization", "provisionOrg", "updateOrganization"), "organization"),
        **dict.fromkeys(("approveOrganization", "denyOrganization"), "organization"),
        "cancelScheduledMessage": "message",
        "previewSms": "conversation",
    }
)
#: Of each kind whose subjects are rows with names: the kind of id, and the scope with which a key may read what has the name.
NAMED: Final = MappingProxyType(
    {
        "api_key": (Kind.API_KEY, "team:read"),
        "approval": (Kind.APPROVAL, "approvals:read"),
        "call": (Kind.CALL, "calls:read"),
        "campaign": (Kind.CAMPAIGN, "campaigns:read"),
        "contact": (Kind.CONTACT, "contacts:read"),
        "conversation": (Kind.CONVERSATION, "sms:read"),
        "crm_connector": (Kind.CRM_CONNECTOR, "integrations:read"),
        "flow": (Kind.FLOW, "flows:read"),
        "invite": (Kind.INVITE, "team:read"),
        "knowledge": (Kind.KNOWLEDGE, "knowledge:read"),
        "mcp_server": (Kind.MCP_SERVER, "integrations:read"),
        "member": (Kind.USER, "team:read"),
        "message": (Kind.MESSAGE, "sms:read"),
        "number": (Kind.NUMBER, "numbers:read"),
        "organization": (Kind.ORGANIZATION, "team:read"),
        "template": (Kind.TEMPLATE, "sms:read"),
        "tool": (Kind.TOOL, "integrations:read"),
        "tool_secret": (Kind.TOOL_SECRET, "integrations:read"),
        "trigger": (Kind.TRIGGER, "integrations:read"),
        "voicemail": (Kind.VOICEMAIL, "calls:read"),
        "webhook": (Kind.WEBHOOK, "webhooks:read"),
    }
)


@cache
def kinds() -> Mapping[str, str]:
    """Return the kind of each action."""
    of_contract = {
        method.name[0].lower() + method.name[1:]: BY_SERVICE[service.name]
        for service in services()
        if service.name in BY_SERVICE
        for method in service.methods
    }
    return {**of_contract, **BY_ACTION}


def actions_of(kind: str | None) -> Sequence[str] | None:
    """Return the actions about a kind; None, for all, without one."""
    return None if kind is None else [action for action, its_kind in kinds().items() if its_kind == kind]


def named_id(action: str, subject: str, may_read: Callable[[str], bool]) -> UUID | None:
    """Return the first id of an entry's subject, if that has a name and `may_read` its scope."""
    kind, scope = NAMED.get(kinds().get(action, ""), (None, ""))
    return ids.parse(kind, subject.partition("/")[0]) if kind is not None and may_read(scope) else None
