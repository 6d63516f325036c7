"""What an organization's stream tells of, how, and to whom."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from control.approvals import present as presented
from control.base.principal import has_scope
from control.calls import present
from control.following import Shown
from control.texts import live
from hum import ids
from hum.ids import Kind
from hum.principal import Principal
from hum.v1 import approvals_pb2, calls_pb2, review_pb2
from hum.v1 import changes_pb2 as pb
from storage import approvals, call_records, voicemails
from storage.db import Tx


@dataclass(frozen=True, slots=True)
class Listed:
    """A kind of things, and what a key needs to list them."""

    shown: Shown
    scope: str


def seen_by(who: Principal) -> dict[str, Shown]:
    """The kinds that `who` may list: any of the organization's people all of them, a key those of its scopes."""
    return {kind: each.shown for kind, each in KINDS.items() if who.key_id is None or has_scope(who.scopes, each.scope)}


async def _calls(tx: Tx, wanted: Sequence[UUID]) -> dict[UUID, calls_pb2.Call]:
    return {row.id: present.listed(row) for row in await call_records.some(tx, wanted)}


async def _voicemails(tx: Tx, wanted: Sequence[UUID]) -> dict[UUID, review_pb2.Voicemail]:
    return {row.id: present.voicemail(row) for row in await voicemails.some(tx, wanted)}


async def _approvals(tx: Tx, wanted: Sequence[UUID]) -> dict[UUID, approvals_pb2.Approval]:
    return {row.id: presented.approval(row, listed=True) for row in await approvals.some(tx, wanted)}


def _resource(kind: pb.ResourceKind.ValueType, prefix: Kind, id: UUID) -> pb.ChangedResource:
    return pb.ChangedResource(kind=kind, id=ids.show(prefix, id))


def _gone(kind: pb.ResourceKind.ValueType, prefix: Kind) -> Callable[[UUID], Mapping[str, Any]]:
    return lambda gone: {"resource_deleted": _resource(kind, prefix, gone)}


def _setting(kind: pb.ResourceKind.ValueType, prefix: Kind) -> Shown:
    """It is told which one has changed; whoever shows it loads it."""

    async def named(_: Tx, wanted: Sequence[UUID]) -> dict[UUID, pb.ChangedResource]:
        return {id: _resource(kind, prefix, id) for id in wanted}

    return Shown(named, "resource_changed", "resource_changed")


KINDS = {
    "call": Listed(
        Shown(_calls, "call_created", "call_updated", _gone(pb.RESOURCE_KIND_CALL, Kind.CALL)),
        "calls:read",
    ),
    "voicemail": Listed(
        Shown(_voicemails, "voicemail_created", "voicemail_updated", _gone(pb.RESOURCE_KIND_VOICEMAIL, Kind.VOICEMAIL)),
        "calls:read",
    ),
    "message": Listed(live.MESSAGE, "sms:read"),
    "conversation": Listed(
        replace(live.CONVERSATION, gone=_gone(pb.RESOURCE_KIND_CONVERSATION, Kind.CONVERSATION)), "sms:read"
    ),
    "campaign": Listed(replace(live.CAMPAIGN, gone=_gone(pb.RESOURCE_KIND_CAMPAIGN, Kind.CAMPAIGN)), "campaigns:read"),
    "approval": Listed(
        Shown(_approvals, "approval_updated", "approval_updated", _gone(pb.RESOURCE_KIND_APPROVAL, Kind.APPROVAL)),
        "approvals:read",
    ),
    "flow": Listed(_setting(pb.RESOURCE_KIND_FLOW, Kind.FLOW), "flows:read"),
    "number": Listed(_setting(pb.RESOURCE_KIND_NUMBER, Kind.NUMBER), "numbers:read"),
    "webhook": Listed(_setting(pb.RESOURCE_KIND_WEBHOOK, Kind.WEBHOOK), "webhooks:read"),
    "knowledge": Listed(_setting(pb.RESOURCE_KIND_KNOWLEDGE, Kind.KNOWLEDGE), "knowledge:read"),
    "tool": Listed(_setting(pb.RESOURCE_KIND_TOOL, Kind.TOOL), "integrations:read"),
    "mcp_server": Listed(_setting(pb.RESOURCE_KIND_MCP_SERVER, Kind.MCP_SERVER), "integrations:read"),
    "contact": Listed(_setting(pb.RESOURCE_KIND_CONTACT, Kind.CONTACT), "contacts:read"),
    "crm_connector": Listed(_setting(pb.RESOURCE_KIND_CRM_CONNECTOR, Kind.CRM_CONNECTOR), "integrations:read"),
}
