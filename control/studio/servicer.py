"""StudioService (proto/hum/v1/studio.proto)."""

from collections.abc import AsyncIterator, Callable

from google.api.httpbody_pb2 import HttpBody

from control.boundary import ActionContext, TenantContext, TransactionContext
from control.flows.choices import Choices
from control.studio import models, previews
from control.studio.previews import Voices
from control.studio.proposals import Proposals
from control.studio.trials import Trials
from control.usage.pricetable import Prices
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.v1 import studio_pb2 as pb
from storage.db import Db


class StudioServicer:
    def __init__(
        self,
        db: Db,
        trials: Trials,
        proposals: Proposals,
        voices: Voices,
        choices: Choices,
        prices: Callable[[], Prices],
    ) -> None:
        self._db, self._trials, self._proposals, self._voices = db, trials, proposals, voices
        self._choices, self._prices = choices, prices

    async def TryFlow(self, request: pb.TryFlowRequest, ctx: ActionContext) -> pb.TryFlowResponse:
        return await self._trials.run(ctx.organization, ids.require(Kind.FLOW, request.id), request)

    async def ProposeFlow(self, request: pb.ProposeFlowRequest, ctx: ActionContext) -> pb.ProposeFlowResponse:
        return await self._proposals.propose(ctx.organization, request)

    async def ListVoices(self, _: pb.ListVoicesRequest, ctx: TransactionContext) -> pb.ListVoicesResponse:  # noqa: ARG002
        return pb.ListVoicesResponse(voices=self._voices.all())

    async def ListModels(self, _: pb.ListModelsRequest, ctx: TransactionContext) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(models=await models.offered(ctx.tx, self._choices, self._prices(), now()))

    async def PreviewVoice(self, request: pb.PreviewVoiceRequest, ctx: TenantContext) -> AsyncIterator[HttpBody]:
        wav = await self._voices.synthesize(ctx.organization, request.voice, request.text)
        yield HttpBody(content_type="audio/wav", data=wav)

    async def PreviewHours(self, request: pb.PreviewHoursRequest, ctx: ActionContext) -> pb.PreviewHoursResponse:
        async with self._db.tenant(ctx.organization) as tx:
            return await previews.hours(tx, ctx.organization, request)

    async def PreviewTextingHours(
        self, request: pb.PreviewTextingHoursRequest, ctx: TransactionContext
    ) -> pb.PreviewTextingHoursResponse:
        return await previews.texting_hours(ctx.tx, ctx.organization, request)

    async def PreviewSms(self, request: pb.PreviewSmsRequest, ctx: ActionContext) -> pb.PreviewSmsResponse:
        async with self._db.tenant(ctx.organization) as tx:
            return await previews.sms(tx, request, self._prices())
