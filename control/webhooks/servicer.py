"""WebhooksService (proto/hum/v1/webhooks.proto)."""

import json

from control.base import eventscopes, masks, paging
from control.base.wire import moment, word
from control.boundary import TransactionContext
from control.webhooks import present, usecases
from control.webhooks.present import webhook_id
from control.webhooks.sealing import WebhookSealer
from control.webhooks.usecases import RequestedSettings, WebhookLimits
from hum import ids
from hum.contract.errors import InvalidState
from hum.ids import Kind
from hum.v1 import webhooks_pb2 as pb
from storage import webhook_deliveries, webhooks
from storage.db import Tx
from storage.webhook_deliveries import MOST_REPLAYED
from storage.webhooks import WebhookRow


class WebhooksServicer:
    """The service of webhooks.  `retries`: those of a replayed delivery."""

    def __init__(
        self, cursors: paging.Cursors, sealer: WebhookSealer, limits: WebhookLimits, disable_days: float, retries: int
    ) -> None:
        self._cursors, self._sealer, self._limits = cursors, sealer, limits
        self._disable_days, self._retries = disable_days, retries

    async def ListWebhooks(self, request: pb.ListWebhooksRequest, ctx: TransactionContext) -> pb.ListWebhooksResponse:
        page = await webhooks.page(ctx.tx, self._cursors.after(request), paging.rows_to_fetch(request))
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,), lambda row: row.size)
        return pb.ListWebhooksResponse(webhooks=[self._present(row) for row in rows], next_cursor=more)

    async def CreateWebhook(
        self, request: pb.CreateWebhookRequest, ctx: TransactionContext
    ) -> pb.CreateWebhookResponse:
        row, secret = await usecases.create(
            ctx.tx, ctx.principal, _requested(request.webhook), self._sealer, self._limits
        )
        return pb.CreateWebhookResponse(webhook=self._present(row, secret))

    async def GetWebhook(self, request: pb.GetWebhookRequest, ctx: TransactionContext) -> pb.GetWebhookResponse:
        return pb.GetWebhookResponse(webhook=self._present(await webhooks.get(ctx.tx, webhook_id(request.id))))

    async def UpdateWebhook(
        self, request: pb.UpdateWebhookRequest, ctx: TransactionContext
    ) -> pb.UpdateWebhookResponse:
        before = await webhooks.get(ctx.tx, webhook_id(request.id), lock=True)
        after = masks.masked(self._present(before), request.webhook, list(request.update_mask.paths))
        assert isinstance(after, pb.Webhook), "it is what it was made from"
        row = await usecases.change(ctx.tx, ctx.principal, before, _requested(after), self._sealer, self._limits)
        return pb.UpdateWebhookResponse(webhook=self._present(row))

    async def DeleteWebhook(
        self, request: pb.DeleteWebhookRequest, ctx: TransactionContext
    ) -> pb.DeleteWebhookResponse:
        await webhooks.delete(ctx.tx, webhook_id(request.id))
        return pb.DeleteWebhookResponse()

    async def RotateWebhookSecret(
        self, request: pb.RotateWebhookSecretRequest, ctx: TransactionContext
    ) -> pb.RotateWebhookSecretResponse:
        row, secret = await usecases.rotate(ctx.tx, webhook_id(request.id), self._sealer, self._limits)
        return pb.RotateWebhookSecretResponse(webhook=self._present(row, secret))

    async def TestWebhook(self, request: pb.TestWebhookRequest, ctx: TransactionContext) -> pb.TestWebhookResponse:
        id = webhook_id(request.id)
        delivery = await usecases.test(ctx.tx, ctx.principal, id)
        return pb.TestWebhookResponse(delivery=present.delivery(await webhook_deliveries.get(ctx.tx, id, delivery)))

    async def ListWebhookDeliveries(
        self, request: pb.ListWebhookDeliveriesRequest, ctx: TransactionContext
    ) -> pb.ListWebhookDeliveriesResponse:
        row, state = await self._row(ctx.tx, request.id), word(pb.WebhookDeliveryState, request.state)
        page = await webhook_deliveries.page(
            ctx.tx, row.id, state, self._cursors.after(request), paging.rows_to_fetch(request)
        )
        rows, more = self._cursors.cut(request, page, lambda row: (row.id,))
        return pb.ListWebhookDeliveriesResponse(deliveries=[present.delivery(row) for row in rows], next_cursor=more)

    async def GetWebhookDelivery(
        self, request: pb.GetWebhookDeliveryRequest, ctx: TransactionContext
    ) -> pb.GetWebhookDeliveryResponse:
        row = await self._row(ctx.tx, request.id)
        delivery = await webhook_deliveries.get(ctx.tx, row.id, ids.require(Kind.DELIVERY, request.delivery_id))
        eventscopes.require(ctx.principal, [delivery.event_type])
        content = await webhook_deliveries.content(ctx.tx, delivery.event_id)
        attempts = await webhook_deliveries.attempts(ctx.tx, delivery.id)
        return pb.GetWebhookDeliveryResponse(delivery=present.detailed(delivery, content, row.format, attempts))

    async def RedeliverWebhookDelivery(
        self, request: pb.RedeliverWebhookDeliveryRequest, ctx: TransactionContext
    ) -> pb.RedeliverWebhookDeliveryResponse:
        id, delivery = webhook_id(request.id), ids.require(Kind.DELIVERY, request.delivery_id)
        await usecases.redeliver(ctx.tx, id, delivery)
        row = await webhook_deliveries.get(ctx.tx, id, delivery)
        return pb.RedeliverWebhookDeliveryResponse(delivery=present.delivery(row))

    async def ReplayWebhook(
        self, request: pb.ReplayWebhookRequest, ctx: TransactionContext
    ) -> pb.ReplayWebhookResponse:
        row = await webhooks.get(ctx.tx, webhook_id(request.id), lock=True)
        if row.disabled_reason is not None:
            raise InvalidState(usecases.NOT_ENABLED)
        state = word(pb.WebhookDeliveryState, request.state)
        since = moment(request.since) if request.HasField("since") else None
        states = [state] if state else ["failed", "missed"]
        queued = await webhook_deliveries.replay(ctx.tx, row.id, since, states, self._retries)
        return pb.ReplayWebhookResponse(queued=queued, has_more=queued == MOST_REPLAYED)

    async def ListWebhookPresets(
        self,
        request: pb.ListWebhookPresetsRequest,  # noqa: ARG002 - it has no fields
        ctx: TransactionContext,  # noqa: ARG002 - presets are global
    ) -> pb.ListWebhookPresetsResponse:
        return pb.ListWebhookPresetsResponse(presets=present.presets())

    async def _row(self, tx: Tx, id: str) -> WebhookRow:
        return await webhooks.get(tx, webhook_id(id))

    def _present(self, row: WebhookRow, secret: str | None = None) -> pb.Webhook:
        names = self._sealer.headers(row.sealed_headers, row.id, row.org_id)
        return present.webhook(row, names, self._disable_days, secret)


def _requested(webhook: pb.Webhook) -> RequestedSettings:
    return RequestedSettings(
        url=webhook.url,
        description=webhook.description,
        events=list(webhook.events),
        numbers=list(webhook.number_ids),
        flows=list(webhook.flow_ids),
        headers=json.loads(webhook.headers_json) if webhook.headers_json else {},
        enabled=webhook.enabled if webhook.HasField("enabled") else True,
        ordered=webhook.ordered if webhook.HasField("ordered") else None,
        format=word(pb.WebhookFormat, webhook.format),
        preset=webhook.preset if webhook.HasField("preset") else None,
    )
