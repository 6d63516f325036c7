"""Pages of lists are bounded in bytes: each list ends by them, or its largest page is small."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from hum.contract.services import services
from hum.pages import PAGE_BYTES
from hum.v1 import validate_pb2
from tests.house import sources

ROOT = Path(__file__).parents[2]
#: The most bytes of a page that does not end by them, and the most rows that a client may ask for.
MOST_BYTES, MOST_ROWS = 2 * PAGE_BYTES, 200
#: Bytes of a character of UTF-8; of a number, a time, an id, a phone number or a word.
CHAR, PLAIN = 4, 64

#: The rows of a list that is bounded otherwise than by its pages.
ROWS = {
    "ListAvailableNumbers": 50,
    "ListCallTags": 1,
    "ListContactLinks": 20,
    "ListFlowMcpServers": 5,
    "ListSetAside": 1000,
    "ListSignIns": 20,
    "ListModels": 20,
    "ListVoices": 20,
    "ListWebhookPresets": 10,
}
#: The most bytes of listed fields for which the contract has no limit, or another one; 0: it is in no list.
FIELDS = {
    "UsageCost.amount": 40,
    "UsageCost.currency": 3,
    "ApiKey.prefix": 20,
    "AppointmentConflict.resolved_by": 254,
    "ApiKey.scopes": 40 * 32,
    "ApiKey.secret": 0,
    "AuditEntry.action": 60,
    "AuditEntry.actor": 60,
    "AuditEntry.actor_name": 254,
    "AuditEntry.fields": 100 * 40,
    "AuditEntry.hash": 64,
    "AuditEntry.request_id": 128,
    "AuditEntry.subject": 200,
    "AuditEntry.subject_name": 800,
    "AvailableNumber.country": 2,
    "AvailableNumber.friendly_name": 256,
    "AvailableNumber.locality": 256,
    "AvailableNumber.region": 256,
    "Conversation.ai_paused_reason": 60,
    "Conversation.last_message_preview": CHAR * 160,
    "ConversationContact.company": CHAR * 200,
    "ConversationContact.name": CHAR * 200,
    "CrmConnector.base_url": 2000,
    "CrmConnector.failure": CHAR * 300,
    "CrmConnector.secret": 0,
    "Email.error": CHAR * 300,
    "Email.to": 254,
    "Invite.email": 254,
    "Invite.invited_by": 300,
    "KnowledgeDocument.failure": CHAR * 200,
    "KnowledgeDocument.language": 30,
    "KnowledgeDocument.url": 2048,
    "KnowledgePassage.heading": CHAR * 200,
    "KnowledgePassage.text": CHAR * 1000,
    "LimitedTo.flow_ids": 100 * 32,
    "LimitedTo.number_ids": 100 * 32,
    "LinkedContact.company": CHAR * 200,
    "LinkedContact.name": CHAR * 200,
    "ListCallTagsResponse.tags": 50 * CHAR * 60,
    "ListedOrganization.name": CHAR * 120,
    "McpServer.allowed_tools_json": 64 << 10,
    "McpServer.auto_approve_tools_json": 64 << 10,
    "McpServer.failure": CHAR * 300,
    "McpServer.headers_json": 20 * 120,
    "McpServer.protocol_version": 60,
    "Member.email": 254,
    "Member.name": CHAR * 200,
    "OptOut.keyword": 64,
    "OrganizationRequest.name": CHAR * 120,
    "SetAside.about": 200,
    "SetAside.reason": CHAR * 300,
    "SignIn.email": 254,
    "SignIn.issuer": 2048,
    "ToolSecret.name": 64,
    "ToolSecret.value": 0,
    "Trigger.last_refusal": 60,
    "Trigger.secret": 0,
    "Trigger.token": 64,
    "Trigger.url": 2048,
    "TriggerDelivery.event": 100,
    "TriggerDelivery.key": CHAR * 255,
    "TriggerDelivery.key_source": 200,
    "TriggerDelivery.media_type": CHAR * 255,
    "TriggerDelivery.runs": 50 * 64,
    "User.email": 254,
    "User.name": CHAR * 200,
    "Voice.name": 100,
    "WebhookDelivery.attempts": 0,
    "WebhookDelivery.body": 0,
    "WebhookDelivery.error": 200,
    "WebhookDelivery.event_type": 100,
    "WebhookPreset.events": 100 * 100,
    "WebhookPreset.instructions": 4000,
    "WebhookPreset.name": 60,
    "WebhookPreset.title": 60,
    "WebhookPreset.url_prefixes": 1000,
}


def lists() -> Iterator[MethodDescriptor]:
    for service in services():
        yield from (
            method for method in service.methods if method.name.startswith("List") and not method.server_streaming
        )


def ends_by_bytes() -> set[str]:
    """Return the methods whose rows are measured: those that name their rows' `size`."""
    found = set[str]()
    for path in sorted(ROOT.glob("control/*/*servicer.py")):
        for function in sources.functions(sources.tree(path)):
            names = {node.attr for node in sources.nodes(function, ast.Attribute)}
            if function.name.startswith("List") and "size" in names:
                found.add(function.name)
    return found


def rows_of(method: MethodDescriptor) -> FieldDescriptor:
    return next(field for field in method.output_type.fields if field.is_repeated)


def field_bytes(field: FieldDescriptor, above: tuple[str, ...]) -> int:
    """Return the most bytes of a field, by its rules in the contract or by `FIELDS`."""
    assert field.containing_type is not None
    name = f"{field.containing_type.name}.{field.name}"
    if name in FIELDS:
        return FIELDS[name]
    rules = field.GetOptions().Extensions[validate_pb2.field]
    each = PLAIN
    if field.message_type is not None and field.message_type.file.package.startswith("hum"):
        assert field.message_type.name not in above, f"{name} holds itself"
        each = row_bytes(field.message_type, above)
    elif field.type in {FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES}:
        is_plain = field.name in {"id", "e164"} or field.name.endswith(("_id", "_e164", "_ids"))
        string = rules.repeated.items.string if field.is_repeated else rules.string
        each = PLAIN if is_plain else string.max_bytes or CHAR * string.max_len
    count = rules.repeated.max_items if field.is_repeated else 1
    assert each and count, f"{name} has no limit: give it one in the contract, or say it in FIELDS"
    return each * count


def row_bytes(message: Descriptor, above: tuple[str, ...] = ()) -> int:
    return sum(field_bytes(field, (*above, message.name)) for field in message.fields)


@pytest.mark.parametrize("method", list(lists()), ids=lambda method: str(method.name))
def test_a_page_is_bounded_in_bytes(method: MethodDescriptor) -> None:
    if method.name in ends_by_bytes():
        return
    field = rows_of(method)
    row = row_bytes(field.message_type) if field.message_type else field_bytes(field, ())
    assert row * ROWS.get(method.name, MOST_ROWS) <= MOST_BYTES


def test_every_limit_is_of_a_listed_field() -> None:
    """Nothing in the tables outlives what it is about."""
    bounded = [method for method in lists() if method.name not in ends_by_bytes()]
    assert set(ROWS) <= {method.name for method in bounded}
    messages, known = [method.output_type for method in bounded], set[str]()
    while messages:
        message = messages.pop()
        known |= {f"{message.name}.{field.name}" for field in message.fields}
        messages += [field.message_type for field in message.fields if field.message_type is not None]
    assert set(FIELDS) <= known
