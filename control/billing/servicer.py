"""BillingService (proto/hum/v1/billing.proto)."""

from dataclasses import dataclass

from control.base.wire import timestamp
from control.billing import usecases
from control.billing.account import Accounts
from control.billing.usecases import NO_BILLING, StripeRequests
from control.boundary import ActionContext, TransactionContext
from control.boundary.budget import Budget
from hum.contract.errors import InvalidState
from hum.plans import Plans
from hum.v1 import billing_pb2 as pb
from storage.db import Db


@dataclass(frozen=True, slots=True)
class Billing:
    """The parts of billing, in a deployment that has it."""

    plans: Plans
    accounts: Accounts
    requests: StripeRequests
    budget: Budget


class BillingServicer:
    """The service for plans and subscriptions.  `billing`: None in a deployment without it."""

    def __init__(self, db: Db, billing: Billing | None) -> None:
        self._db, self._billing = db, billing

    async def GetBilling(self, _: pb.GetBillingRequest, ctx: TransactionContext) -> pb.GetBillingResponse:
        plans = self._billing.plans if self._billing is not None else None
        return pb.GetBillingResponse(billing=await usecases.show(ctx.tx, ctx.organization, plans))

    async def CreateCheckout(self, request: pb.CreateCheckoutRequest, ctx: ActionContext) -> pb.CreateCheckoutResponse:
        billing = self._required()
        async with billing.budget.slot(ctx.organization):
            url, expires_at = await billing.requests.check_out(billing.accounts, ctx.principal, request, ctx.request_id)
        return pb.CreateCheckoutResponse(checkout=pb.Checkout(url=url, expires_at=timestamp(expires_at)))

    async def CreatePortalSession(
        self, request: pb.CreatePortalSessionRequest, ctx: ActionContext
    ) -> pb.CreatePortalSessionResponse:
        billing = self._required()
        async with billing.budget.slot(ctx.organization):
            url = await billing.requests.open_portal(ctx.principal, request.return_to, ctx.request_id)
        return pb.CreatePortalSessionResponse(portal_session=pb.PortalSession(url=url))

    async def UpdateSubscription(
        self, request: pb.UpdateSubscriptionRequest, ctx: ActionContext
    ) -> pb.UpdateSubscriptionResponse:
        billing = self._required()
        async with billing.budget.slot(ctx.organization):
            await billing.requests.change(billing.accounts, ctx.principal, request, ctx.request_id)
        async with self._db.tenant(ctx.organization) as tx:
            return pb.UpdateSubscriptionResponse(billing=await usecases.show(tx, ctx.organization, billing.plans))

    def _required(self) -> Billing:
        if self._billing is None:
            raise InvalidState(NO_BILLING)
        return self._billing
