"""BillingIngressService (proto/hum/v1/runtime.proto): Stripe's webhooks, as the gateway forwards them."""

from control.billing.account import Accounts
from control.boundary import NodeContext
from hum.v1 import runtime_pb2 as pb


class BillingIngressServicer:
    """The service for Stripe's events.  `accounts`: None in a deployment without billing, which ignores them."""

    def __init__(self, accounts: Accounts | None) -> None:
        self._accounts = accounts

    async def TakeStripeEvent(self, request: pb.TakeStripeEventRequest, _: NodeContext) -> pb.TakeStripeEventResponse:
        if self._accounts is not None and request.event_id and request.customer_id:
            await self._accounts.schedule_fetch(request.event_id, request.type, request.customer_id)
        return pb.TakeStripeEventResponse()
