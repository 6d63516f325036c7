"""TriggersService (proto/hum/v1/triggers.proto)."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from control.base import paging
from control.base.wire import timestamp
from control.boundary import TransactionContext
from control.triggers import usecases
from control.triggers.usecases import Fields, Issued
from hum import ids
from hum.ids import Kind
from hum.secrets import Keyring
from hum.v1 import triggers_pb2 as pb
from storage import event_runs, triggers
from storage.triggers import TriggerDeliveryRow, TriggerRow

HOOKS = "/hooks/"


class TriggersServicer:
    """The service of triggers.  `most`: the limit per organization."""

    def __init__(self, cursors: paging.Cursors, keyring: Keyring, public_url: str, most: int) -> None:
        self._cursors, self._keyring, self._public_url, self._most = cursors, keyring, public_url, most

    async def ListTriggers(self, request: pb.ListTriggersRequest, ctx: TransactionContext) -> pb.ListTriggersResponse:
        page = await triggers.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,))
        return pb.ListTriggersResponse(triggers=[present(row) for row in rows], next_cursor=more)

    async def CreateTrigger(
        self, request: pb.CreateTriggerRequest, ctx: TransactionContext
    ) -> pb.CreateTriggerResponse:
        new = request.trigger
        fields = Fields(
            name=new.name,
            event=new.event,
            enabled=new.enabled if new.HasField("enabled") else True,
            id_field=new.id_field if new.HasField("id_field") else "id",
        )
        issued = await usecases.create(ctx.tx, ctx.principal, self._keyring, fields, self._most, signed=new.signed)
        return pb.CreateTriggerResponse(trigger=self._present(issued))

    async def GetTrigger(self, request: pb.GetTriggerRequest, ctx: TransactionContext) -> pb.GetTriggerResponse:
        row = await triggers.get(ctx.tx, ids.require(Kind.TRIGGER, request.id))
        return pb.GetTriggerResponse(trigger=present(row))

    async def UpdateTrigger(
        self, request: pb.UpdateTriggerRequest, ctx: TransactionContext
    ) -> pb.UpdateTriggerResponse:
        before = await triggers.get(ctx.tx, ids.require(Kind.TRIGGER, request.id), lock=True)
        changed = set(request.update_mask.paths) or {field.name for field, _ in request.trigger.ListFields()}
        new = request.trigger
        after = Fields(
            name=new.name if "name" in changed else before.name,
            event=new.event if "event" in changed else before.event,
            enabled=new.enabled if "enabled" in changed else before.enabled,
            id_field=new.id_field if "id_field" in changed else before.id_field,
        )
        return pb.UpdateTriggerResponse(trigger=present(await usecases.change(ctx.tx, ctx.principal, before.id, after)))

    async def DeleteTrigger(
        self, request: pb.DeleteTriggerRequest, ctx: TransactionContext
    ) -> pb.DeleteTriggerResponse:
        await usecases.delete(ctx.tx, ctx.principal, ids.require(Kind.TRIGGER, request.id))
        return pb.DeleteTriggerResponse()

    async def RotateTriggerToken(
        self, request: pb.RotateTriggerTokenRequest, ctx: TransactionContext
    ) -> pb.RotateTriggerTokenResponse:
        id, overlap = ids.require(Kind.TRIGGER, request.id), timedelta(seconds=request.overlap_seconds)
        issued = await usecases.rotate_token(ctx.tx, ctx.principal, id, overlap)
        return pb.RotateTriggerTokenResponse(trigger=self._present(issued))

    async def RotateTriggerSecret(
        self, request: pb.RotateTriggerSecretRequest, ctx: TransactionContext
    ) -> pb.RotateTriggerSecretResponse:
        id, overlap = ids.require(Kind.TRIGGER, request.id), timedelta(seconds=request.overlap_seconds)
        own_secret = request.secret if request.HasField("secret") else None
        issued = await usecases.rotate_secret(ctx.tx, ctx.principal, self._keyring, id, overlap, own_secret)
        return pb.RotateTriggerSecretResponse(trigger=self._present(issued))

    async def RemoveTriggerSecret(
        self, request: pb.RemoveTriggerSecretRequest, ctx: TransactionContext
    ) -> pb.RemoveTriggerSecretResponse:
        await usecases.remove_secret(ctx.tx, ctx.principal, ids.require(Kind.TRIGGER, request.id))
        return pb.RemoveTriggerSecretResponse()

    async def ListTriggerDeliveries(
        self, request: pb.ListTriggerDeliveriesRequest, ctx: TransactionContext
    ) -> pb.ListTriggerDeliveriesResponse:
        trigger = await triggers.get(ctx.tx, ids.require(Kind.TRIGGER, request.id))
        after, count = self._cursors.after(request), paging.rows_to_fetch(request)
        page = await triggers.page_deliveries(ctx.tx, trigger.id, after, count)
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,))
        started = await event_runs.of_events(ctx.tx, [row.event_id for row in rows])
        deliveries = [present_delivery(row, started.get(row.event_id, ())) for row in rows]
        return pb.ListTriggerDeliveriesResponse(deliveries=deliveries, next_cursor=more)

    async def GetTriggerBody(
        self, request: pb.GetTriggerBodyRequest, ctx: TransactionContext
    ) -> pb.GetTriggerBodyResponse:
        trigger = ids.require(Kind.TRIGGER, request.id)
        delivery = ids.require(Kind.TRIGGER_DELIVERY, request.delivery_id)
        media_type, body = await triggers.body(ctx.tx, trigger, delivery)
        try:
            message = pb.TriggerBody(media_type=media_type, text=body.decode())
        except UnicodeDecodeError:
            message = pb.TriggerBody(media_type=media_type, base64=body)
        return pb.GetTriggerBodyResponse(body=message)

    def _present(self, issued: Issued) -> pb.Trigger:
        trigger = present(issued.row)
        if issued.token:
            trigger.token, trigger.url = issued.token, f"{self._public_url}{HOOKS}{issued.token}"
        if issued.secret:
            trigger.secret = issued.secret
        return trigger


def present(row: TriggerRow) -> pb.Trigger:
    return pb.Trigger(
        id=ids.show(Kind.TRIGGER, row.id),
        name=row.name,
        event=row.event,
        enabled=row.enabled,
        id_field=row.id_field,
        signed=row.secret is not None,
        created_at=timestamp(row.created_at),
        updated_at=timestamp(row.updated_at),
        last_received_at=timestamp(row.last_received_at),
        last_refused_at=timestamp(row.last_refused_at),
        last_refusal=row.last_refusal,
    )


def present_delivery(row: TriggerDeliveryRow, started: Sequence[tuple[UUID, UUID]]) -> pb.TriggerDelivery:
    """Convert a delivery.  `started`: the runs that its event has started, with their flows."""
    return pb.TriggerDelivery(
        id=ids.show(Kind.TRIGGER_DELIVERY, row.id),
        event_id=ids.show(Kind.EVENT, row.event_id),
        event=row.event,
        created_at=timestamp(row.created_at),
        key_source=row.key_source,
        key=row.key,
        media_type=row.media_type,
        body_bytes=row.body_bytes,
        has_body=row.has_body,
        repeats=row.repeats,
        repeats_that_differ=row.repeats_that_differ,
        repeated_at=timestamp(row.repeated_at),
        runs=[pb.TriggerRun(id=ids.show(Kind.RUN, run), flow_id=ids.show(Kind.FLOW, flow)) for run, flow in started],
    )
