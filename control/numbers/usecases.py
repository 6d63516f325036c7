"""Registering and changing numbers."""

from dataclasses import replace
from uuid import UUID

from control.base.principal import Principal
from control.clients.twilio import Carrier, Webhooks
from hum import ids
from hum.clock import now
from hum.errors import FieldError, InvalidRequest, NotAtCarrier, NotFound
from hum.ids import Kind
from hum.v1 import numbers_pb2 as pb
from storage import events, flows, numbers
from storage.db import Tx
from storage.numbers import NumberRow

FIELDS = ("friendly_name", "flow_id", "sms_flow_id", "sms_enabled")


async def register(tx: Tx, who: Principal, carrier: Carrier, webhooks: Webhooks, asked: pb.Number) -> NumberRow:
    """Take a number that the carrier account holds, and point its webhooks here.

    The row comes first, so that of two who want the number one gets it; pointing is idempotent, and when it fails the
    row is gone with the transaction.
    """
    held = await carrier.find_number(asked.e164)
    if held is None:
        raise NotAtCarrier
    row = NumberRow(
        id=ids.new(),
        e164=asked.e164,
        carrier_sid=held.sid,
        friendly_name=asked.friendly_name if asked.HasField("friendly_name") else held.friendly_name,
        flow_id=await _flow(tx, asked, "flow_id", "voice"),
        sms_flow_id=await _flow(tx, asked, "sms_flow_id", "sms"),
        sms_enabled=asked.sms_enabled,
        capabilities=list(held.capabilities),
        status="active",
        created_at=now(),
    )
    row = await numbers.create(tx, row)
    await events.append(tx, who.org_id, "number.registered", row.id, {"by": who.name})
    await carrier.point_number(held.sid, webhooks)
    return row


async def change(tx: Tx, who: Principal, id: UUID, asked: pb.Number, paths: list[str]) -> NumberRow:
    before = await numbers.get(tx, id, lock=True)
    after = before
    for path in paths or [field.name for field, _ in asked.ListFields()]:
        if path == "friendly_name":
            after = replace(after, friendly_name=asked.friendly_name if asked.HasField("friendly_name") else None)
        elif path == "flow_id":
            after = replace(after, flow_id=await _flow(tx, asked, path, "voice"))
        elif path == "sms_flow_id":
            after = replace(after, sms_flow_id=await _flow(tx, asked, path, "sms"))
        elif path == "sms_enabled":
            after = replace(after, sms_enabled=asked.sms_enabled)
    await numbers.update(tx, after)
    await events.append(tx, who.org_id, "number.updated", id, {"by": who.name})
    return after


async def _flow(tx: Tx, asked: pb.Number, field: str, channel: str) -> UUID | None:
    """The flow that a field names, which must be of that channel."""
    name: str = getattr(asked, field)
    if not name:
        return None
    id = ids.parse(Kind.FLOW, name)
    try:
        found = await flows.get(tx, id) if id else None
    except NotFound:
        found = None
    if found is None:
        raise InvalidRequest([FieldError(f"number.{field}", "there is no such flow")])
    if found.channel != channel:
        raise InvalidRequest([FieldError(f"number.{field}", f"must be a flow of the channel {channel}")])
    return id
