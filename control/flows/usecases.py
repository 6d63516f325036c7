"""Creating, changing, copying and deleting flows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from google.protobuf import json_format

from control import jobs
from control.base import masks
from control.base.wire import word
from control.flows import contactwords, flowchecks
from control.flows.choices import Choices
from hum import ids
from hum.contract import eventtypes
from hum.contract.errors import Conflict, FieldError, InUse, InvalidRequest
from hum.contract.principal import Principal
from hum.ids import Kind
from hum.v1 import events_pb2
from hum.v1 import flows_pb2 as pb
from storage import booking_services, events, flows, http_tools, knowledge, numbers
from storage.db import Tx
from storage.flows import FlowRow

READ_ONLY = ("id", "version", "created_at", "updated_at")


def definition_of(flow: pb.Flow) -> dict[str, Any]:
    """Convert a flow's own fields to their stored form: proto names, enums by name, free-form JSON as text."""
    bare = pb.Flow()
    bare.CopyFrom(flow)
    for name in READ_ONLY:
        bare.ClearField(name)  # type: ignore[arg-type]  # names of fields
    return json_format.MessageToDict(bare, preserving_proto_field_name=True)


def flow_of(definition: dict[str, Any]) -> pb.Flow:
    """Convert a stored definition to a flow, ignoring fields of a later release."""
    return json_format.ParseDict(definition, pb.Flow(), ignore_unknown_fields=True)


async def create(tx: Tx, principal: Principal, flow: pb.Flow, choices: Choices) -> FlowRow:
    """Create a flow.  Raises InvalidRequest for unknown flows, documents, voices, models, event types, and bad numbers."""
    return await _create(tx, principal, await as_created(tx, flow, choices))


async def _create(tx: Tx, principal: Principal, full: pb.Flow) -> FlowRow:
    row = await flows.create(tx, ids.new(), _channel(full), definition_of(full))
    await events.append(tx, principal.org_id, row.id, events_pb2.FlowCreatedEvent(by=principal.name))
    await _render(tx, principal, row)
    return row


@dataclass(frozen=True, slots=True)
class FlowChange:
    """New values for the fields `paths`, taken from `flow`; `if_version`: the version that they apply to, or any."""

    flow: pb.Flow
    paths: Sequence[str]
    if_version: int | None = None


async def change(tx: Tx, principal: Principal, id: UUID, edit: FlowChange, choices: Choices) -> FlowRow:
    """Store the next version, unless nothing changes.  Raises InvalidRequest as `create` does, Conflict, InUse."""
    before = await flows.get(tx, id, lock=True)
    full = _changed(before, edit.flow, edit.paths)
    if (definition := definition_of(full)) == before.definition:
        return before
    if edit.if_version not in (None, before.version):
        raise Conflict(
            f"The flow has version {before.version} by now, not {edit.if_version}: it was changed meanwhile.",
            version=str(before.version),
        )
    if (channel := _channel(full)) != before.channel and (number := await flows.used_by(tx, id)):
        raise InUse(f"The number {number} uses this flow; assign it another flow before you change the channel.")
    await _require_known(tx, full, flow_of(before.definition), choices)
    row = await flows.change(tx, before, channel, definition)
    await events.append(tx, principal.org_id, id, events_pb2.FlowUpdatedEvent(by=principal.name, version=row.version))
    await _render(tx, principal, row)
    return row


def _changed(before: FlowRow, flow: pb.Flow, paths: Sequence[str]) -> pb.Flow:
    merged = cast("pb.Flow", masks.masked(flow_of(before.definition), flow, paths))
    if "channel" in paths and "trigger_type" not in paths:
        merged.ClearField("trigger_type")  # it follows from the channel
    return flowchecks.complete(merged)


async def as_created(tx: Tx, flow: pb.Flow, choices: Choices) -> pb.Flow:
    """Return a flow as `create` would store it, without storing it.  Raises as `create` does."""
    full = flowchecks.complete(flow)
    await _require_known(tx, full, pb.Flow(), choices)
    return full


async def as_changed(tx: Tx, before: FlowRow, flow: pb.Flow, paths: Sequence[str], choices: Choices) -> pb.Flow:
    """Return a flow as `change` would store it, without storing it.  Raises InvalidRequest as `change` does."""
    full = _changed(before, flow, paths)
    await _require_known(tx, full, flow_of(before.definition), choices)
    return full


async def duplicate(tx: Tx, principal: Principal, id: UUID) -> tuple[FlowRow, int]:
    """Copy a flow with its bindings of tools; return the copy, and the bindings' size in bytes.  Raises NotFound."""
    flow = flow_of((await flows.get(tx, id)).definition)
    flow.name = flowchecks.copy_name(flow.name)
    if flow.trigger_type == pb.TRIGGER_TYPE_EVENT:
        # An event that starts the original must not start the copy too, unless a user asks for it.
        flow.ClearField("trigger_type")
    copy = await _create(tx, principal, flowchecks.complete(flow))
    ids_of_copies = [ids.new() for _ in range(await http_tools.count_bindings(tx, id))]
    return copy, await http_tools.copy_bindings(tx, id, copy.id, ids_of_copies)


async def delete(tx: Tx, principal: Principal, id: UUID) -> None:
    await flows.get(tx, id, lock=True)
    if (number := await flows.used_by(tx, id)) is not None:
        raise InUse(f"The number {number} uses this flow; assign it another flow first.")
    if (other_name := await flows.named_by(tx, id, ids.show(Kind.FLOW, id))) is not None:
        raise InUse(f"The flow {other_name!r} transfers to this flow; change its transfer map or route tags first.")
    await flows.delete(tx, id)
    await events.append(tx, principal.org_id, id, events_pb2.FlowDeletedEvent(by=principal.name))


async def _require_known(tx: Tx, flow: pb.Flow, before: pb.Flow, choices: Choices) -> None:
    """Check what a change adds to a flow.  Raises InvalidRequest for unknown flows, documents, voices, models and event
    types, and for bad numbers.  The flows that it names stay locked, so that none is deleted before the commit.
    """
    ids_by_path = {path: ids.parse(Kind.FLOW, id) for path, id in flowchecks.references(flow, before).items()}
    existing = (
        await flows.lock_existing(tx, [id for id in ids_by_path.values() if id is not None]) if ids_by_path else set()
    )
    missing = [path for path, id in ids_by_path.items() if id not in existing]
    problems = [FieldError(f"flow.{path}", "is not a flow of this organization") for path in missing]
    if flow.transfer_map_json != before.transfer_map_json:
        bad = flowchecks.bad_numbers(flow, await numbers.active(tx), choices.countries)
        problems += (FieldError(f"flow.{path}", reason) for path, reason in bad.items())
    problems += choices.problems(flow, before)
    problems += contactwords.problems(flow, before)
    problems += await _bad_events(tx, flow, before)
    if flow.knowledge_ids != before.knowledge_ids:
        problems += await _unknown_knowledge(tx, flow)
    if flow.booking_service_ids != before.booking_service_ids:
        problems += await _unknown_services(tx, flow)
    if problems:
        raise InvalidRequest(problems)


async def _bad_events(tx: Tx, flow: pb.Flow, before: pb.Flow) -> list[FieldError]:
    bad = flowchecks.bad_events(flow, before, eventtypes.visible())
    problems = [FieldError(f"flow.{path}", reason) for path, reason in bad.items()]
    limit = flowchecks.MOST_STARTED_BY_EVENTS
    if flowchecks.is_started_anew(flow, before) and await flows.count_started(tx) >= limit:
        problems.append(FieldError("flow.trigger_type", f"events start {limit} flows already, and no more"))
    return problems


async def _unknown_knowledge(tx: Tx, flow: pb.Flow) -> list[FieldError]:
    """Return errors for unknown documents that the flow names.  Known ones stay locked until the commit."""
    documents = [ids.parse(Kind.KNOWLEDGE, text) for text in flow.knowledge_ids]
    existing = await knowledge.lock_existing(tx, [id for id in documents if id is not None])
    return [
        FieldError(f"flow.knowledge_ids[{n}]", "is not knowledge of this organization")
        for n, id in enumerate(documents)
        if id not in existing
    ]


async def _unknown_services(tx: Tx, flow: pb.Flow) -> list[FieldError]:
    """Return errors for unknown services that the flow names.  Known ones stay locked until the commit."""
    services = [ids.parse(Kind.BOOKABLE_SERVICE, text) for text in flow.booking_service_ids]
    existing = await booking_services.lock_existing(tx, [id for id in services if id is not None])
    return [
        FieldError(f"flow.booking_service_ids[{n}]", "is not a service of this organization that can be booked")
        for n, id in enumerate(services)
        if id not in existing
    ]


def _channel(flow: pb.Flow) -> str:
    return word(pb.Channel, flow.channel) or "voice"


async def _render(tx: Tx, principal: Principal, row: FlowRow) -> None:
    if row.channel == "voice":
        await jobs.enqueue(tx, flowchecks.RENDER_CLIPS, principal.org_id, row.id)
