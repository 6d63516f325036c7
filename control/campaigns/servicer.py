"""CampaignService (proto/hum/v1/campaigns.proto)."""

from collections.abc import Callable
from dataclasses import asdict
from uuid import UUID

from control.base import masks, paging
from control.base.wire import moment, timestamp, word
from control.boundary import TransactionContext
from control.campaigns import forecasting, present, usecases
from control.campaigns.halting import CampaignLimits
from control.campaigns.usecases import CampaignDraft
from control.texts.paces import Paces
from control.usage.pricetable import Prices
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.v1 import campaigns_pb2 as pb
from storage import campaigns, recipients
from storage.campaigns import CampaignRow
from storage.db import Tx

#: What a recipient counts as who is added by a tag, about the size of its row.
RECIPIENT_BYTES = 100


class CampaignServicer:
    def __init__(
        self, cursors: paging.Cursors, limits: CampaignLimits, paces: Paces, prices: Callable[[], Prices]
    ) -> None:
        self._cursors, self._limits = cursors, limits
        self._paces, self._prices = paces, prices

    async def ListCampaigns(
        self, request: pb.ListCampaignsRequest, ctx: TransactionContext
    ) -> pb.ListCampaignsResponse:
        status = word(pb.CampaignStatus, request.status)
        rows = await campaigns.page(ctx.tx, status, self._cursors.after(request), paging.rows_to_fetch(request))
        page, more = self._cursors.cut(request, rows, lambda row: (row.id,), lambda row: row.size)
        return pb.ListCampaignsResponse(campaigns=[present.campaign(row) for row in page], next_cursor=more)

    async def CreateCampaign(
        self, request: pb.CreateCampaignRequest, ctx: TransactionContext
    ) -> pb.CreateCampaignResponse:
        draft = CampaignDraft(
            name=request.name,
            number=request.twilio_number_id,
            flow=request.flow_id,
            body_template=request.body_template,
            media_urls=list(request.media_urls),
            throttle_per_minute=request.throttle_per_minute if request.HasField("throttle_per_minute") else None,
            scheduled_start_at=moment(request.scheduled_start_at) if request.HasField("scheduled_start_at") else None,
            expires_at=moment(request.expires_at) if request.HasField("expires_at") else None,
            honor_quiet_hours=request.honor_quiet_hours if request.HasField("honor_quiet_hours") else True,
        )
        row = await usecases.create(ctx.tx, ctx.principal, draft, request.recipients, self._limits)
        return pb.CreateCampaignResponse(campaign=present.campaign(row))

    async def GetCampaign(self, request: pb.GetCampaignRequest, ctx: TransactionContext) -> pb.GetCampaignResponse:
        return pb.GetCampaignResponse(campaign=present.campaign(await campaigns.get(ctx.tx, _id(request.id))))

    async def UpdateCampaign(
        self, request: pb.UpdateCampaignRequest, ctx: TransactionContext
    ) -> pb.UpdateCampaignResponse:
        id = _id(request.id)
        before = present.campaign(await campaigns.get(ctx.tx, id, lock=True))
        after = masks.masked(before, request.campaign, list(request.update_mask.paths))
        assert isinstance(after, pb.Campaign), "`masked` returns the type of `before`"
        return pb.UpdateCampaignResponse(campaign=present.campaign(await usecases.change(ctx.tx, id, _draft(after))))

    async def DeleteCampaign(
        self, request: pb.DeleteCampaignRequest, ctx: TransactionContext
    ) -> pb.DeleteCampaignResponse:
        await usecases.delete(ctx.tx, _id(request.id))
        return pb.DeleteCampaignResponse()

    async def AddCampaignRecipients(
        self, request: pb.AddCampaignRecipientsRequest, ctx: TransactionContext
    ) -> pb.AddCampaignRecipientsResponse:
        id = _id(request.campaign_id)
        added = await usecases.add(ctx.tx, id, request.recipients, request.tag, self._limits)
        if request.tag:
            ctx.incoming.count_stored(added.added * RECIPIENT_BYTES)
        return pb.AddCampaignRecipientsResponse(added=added.added, duplicates=added.duplicates, invalid=added.invalid)

    async def ListCampaignRecipients(
        self, request: pb.ListCampaignRecipientsRequest, ctx: TransactionContext
    ) -> pb.ListCampaignRecipientsResponse:
        campaign = await campaigns.get(ctx.tx, _id(request.campaign_id))
        status, after = word(pb.RecipientStatus, request.status), self._cursors.after(request) or 0
        rows = await recipients.page(ctx.tx, campaign.id, status, after, paging.rows_to_fetch(request))
        page, more = self._cursors.cut(request, rows, lambda row: (row.position,), lambda row: row.size)
        return pb.ListCampaignRecipientsResponse(recipients=[present.recipient(row) for row in page], next_cursor=more)

    async def ForecastCampaign(
        self, request: pb.ForecastCampaignRequest, ctx: TransactionContext
    ) -> pb.ForecastCampaignResponse:
        row = await usecases.launchable(ctx.tx, _id(request.id))
        return pb.ForecastCampaignResponse(forecast=await self._forecast(ctx.tx, row))

    async def LaunchCampaign(
        self, request: pb.LaunchCampaignRequest, ctx: TransactionContext
    ) -> pb.LaunchCampaignResponse:
        id = _id(request.id)
        if not request.validate_only:
            return pb.LaunchCampaignResponse(
                campaign=present.campaign(await usecases.launch(ctx.tx, ctx.principal, id))
            )
        row = await usecases.launchable(ctx.tx, id)
        campaign = present.campaign(row)
        campaign.forecast.CopyFrom(await self._forecast(ctx.tx, row))
        return pb.LaunchCampaignResponse(campaign=campaign)

    async def PauseCampaign(
        self, request: pb.PauseCampaignRequest, ctx: TransactionContext
    ) -> pb.PauseCampaignResponse:
        return pb.PauseCampaignResponse(
            campaign=present.campaign(await usecases.pause(ctx.tx, ctx.principal, _id(request.id)))
        )

    async def CancelCampaign(
        self, request: pb.CancelCampaignRequest, ctx: TransactionContext
    ) -> pb.CancelCampaignResponse:
        return pb.CancelCampaignResponse(
            campaign=present.campaign(await usecases.cancel(ctx.tx, ctx.principal, _id(request.id)))
        )

    async def _forecast(self, tx: Tx, row: CampaignRow) -> pb.CampaignForecast:
        forecast = await forecasting.forecast(tx, row, self._paces, self._limits.countries, self._prices(), now())
        texts, course, cost = forecast.texts, forecast.course, forecast.cost
        return pb.CampaignForecast(
            recipients=forecast.recipients,
            segments=texts.segments,
            segments_estimated=texts.estimated,
            cost=f"{cost[0]:f}" if cost else None,
            cost_currency=cost[1] if cost else None,
            opted_out=forecast.opted_out,
            blocked=forecast.blocked,
            invalid=forecast.invalid,
            unreachable=forecast.unreachable,
            duplicates=row.duplicates,
            landlines=forecast.landlines,
            unsendable=texts.unsendable,
            deferred=course.deferred,
            hours=[pb.ForecastHour(at=timestamp(at), recipients=count) for at, count in course.hours],
            finishes_at=timestamp(course.finishes_at),
            samples=[
                pb.SampleText(contact_e164=sample.contact_e164, body=sample.body, segments=sample.segments)
                for sample in texts.samples
            ],
            zones=[pb.ForecastZone(**asdict(zone)) for zone in forecast.zones],
            at_night=course.at_night,
        )


def _id(text: str) -> UUID:
    return ids.require(Kind.CAMPAIGN, text)


def _draft(campaign: pb.Campaign) -> CampaignDraft:
    """Return the draft of a campaign's message."""
    return CampaignDraft(
        name=campaign.name,
        number=campaign.twilio_number_id,
        flow=campaign.flow_id,
        body_template=campaign.body_template,
        media_urls=list(campaign.media_urls),
        throttle_per_minute=campaign.throttle_per_minute if campaign.HasField("throttle_per_minute") else None,
        scheduled_start_at=moment(campaign.scheduled_start_at) if campaign.HasField("scheduled_start_at") else None,
        expires_at=moment(campaign.expires_at) if campaign.HasField("expires_at") else None,
        honor_quiet_hours=campaign.honor_quiet_hours if campaign.HasField("honor_quiet_hours") else True,
    )
