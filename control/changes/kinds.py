"""The kinds of resources in an organization's stream of changes, their presentation, and the scopes they need."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from control.approvals import present as presented
from control.base.principal import has_scope
from control.calls import present
from control.campaigns.live import CAMPAIGN
from control.changestreams import Presentation
from control.texts.live import CONVERSATION, MESSAGE
from hum import ids
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import approvals_pb2, calls_pb2, review_pb2
from hum.v1 import changes_pb2 as pb
from storage import approvals, call_records, voicemails
from storage.db import Tx


@dataclass(frozen=True, slots=True)
class ListedKind:
    """A kind of resource, and the scope with which a key may list it."""

    presentation: Presentation
    scope: str


def visible_to(principal: Principal) -> dict[str, Presentation]:
    """Return the kinds that a principal may list: a person all of them, a key those of its scopes."""
    return {
        name: kind.presentation
        for name, kind in KINDS.items()
        if principal.key_id is None or has_scope(principal.scopes, kind.scope)
    }


async def _calls(tx: Tx, ids_wanted: Sequence[UUID]) -> dict[UUID, calls_pb2.Call]:
    return {row.id: present.listed(row) for row in await call_records.get_many(tx, ids_wanted)}


async def _voicemails(tx: Tx, ids_wanted: Sequence[UUID]) -> dict[UUID, review_pb2.Voicemail]:
    return {row.id: present.voicemail(row) for row in await voicemails.get_many(tx, ids_wanted)}


async def _approvals(tx: Tx, ids_wanted: Sequence[UUID]) -> dict[UUID, approvals_pb2.Approval]:
    return {row.id: presented.approval(row, listed=True) for row in await approvals.get_many(tx, ids_wanted)}


def _resource(kind: pb.ResourceKind.ValueType, prefix: Kind, id: UUID) -> pb.ChangedResource:
    return pb.ChangedResource(kind=kind, id=ids.show(prefix, id))


def _deletion(kind: pb.ResourceKind.ValueType, prefix: Kind) -> Callable[[UUID], Mapping[str, Any]]:
    return lambda gone: {"resource_deleted": _resource(kind, prefix, gone)}


def _setting(kind: pb.ResourceKind.ValueType, prefix: Kind) -> Presentation:
    """Return the presentation of a kind with only the id of a changed resource, which the client loads."""

    async def changed(_: Tx, ids_wanted: Sequence[UUID]) -> dict[UUID, pb.ChangedResource]:
        return {id: _resource(kind, prefix, id) for id in ids_wanted}

    return Presentation(changed, "resource_changed", "resource_changed")


KINDS = {
    "call": ListedKind(
        Presentation(_calls, "call_created", "call_updated", _deletion(pb.RESOURCE_KIND_CALL, Kind.CALL)),
        "calls:read",
    ),
    "voicemail": ListedKind(
        Presentation(
            _voicemails, "voicemail_created", "voicemail_updated", _deletion(pb.RESOURCE_KIND_VOICEMAIL, Kind.VOICEMAIL)
        ),
        "calls:read",
    ),
    "message": ListedKind(MESSAGE, "sms:read"),
    "conversation": ListedKind(
        replace(CONVERSATION, deleted=_deletion(pb.RESOURCE_KIND_CONVERSATION, Kind.CONVERSATION)), "sms:read"
    ),
    "campaign": ListedKind(
        replace(CAMPAIGN, deleted=_deletion(pb.RESOURCE_KIND_CAMPAIGN, Kind.CAMPAIGN)), "campaigns:read"
    ),
    "approval": ListedKind(
        Presentation(
            _approvals, "approval_updated", "approval_updated", _deletion(pb.RESOURCE_KIND_APPROVAL, Kind.APPROVAL)
        ),
        "approvals:read",
    ),
    "flow": ListedKind(_setting(pb.RESOURCE_KIND_FLOW, Kind.FLOW), "flows:read"),
    "number": ListedKind(_setting(pb.RESOURCE_KIND_NUMBER, Kind.NUMBER), "numbers:read"),
    "webhook": ListedKind(_setting(pb.RESOURCE_KIND_WEBHOOK, Kind.WEBHOOK), "webhooks:read"),
    "knowledge": ListedKind(_setting(pb.RESOURCE_KIND_KNOWLEDGE, Kind.KNOWLEDGE), "knowledge:read"),
    "tool": ListedKind(_setting(pb.RESOURCE_KIND_TOOL, Kind.TOOL), "integrations:read"),
    "mcp_server": ListedKind(_setting(pb.RESOURCE_KIND_MCP_SERVER, Kind.MCP_SERVER), "integrations:read"),
    "contact": ListedKind(_setting(pb.RESOURCE_KIND_CONTACT, Kind.CONTACT), "contacts:read"),
    "crm_connector": ListedKind(_setting(pb.RESOURCE_KIND_CRM_CONNECTOR, Kind.CRM_CONNECTOR), "integrations:read"),
}
