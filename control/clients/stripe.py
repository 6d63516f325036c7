"""Stripe, through its own SDK: customers, checkouts, subscriptions, meters.

No card data passes here: people pay on Stripe's pages.  Amounts, taxes and invoices are Stripe's too; we read a
subscription's prices, status and period.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

import aiohttp
import stripe
from stripe.params import SubscriptionUpdateParams
from stripe.params.checkout import SessionCreateParams

from control.base.subscriptions import CheckoutPage, CheckoutRequest, Contract, SubscriptionChange, SubscriptionItem
from hum import answers, ids
from hum.answers import BadAnswer
from hum.contract.errors import PaymentDeclined, PaymentError, PaymentRefused
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import BillingSettings

LOG = log(__name__)
#: Metadata of customers and subscriptions, for Stripe's dashboard and to find a customer after a lost answer.
ORGANIZATION, PLAN = "hum_organization", "hum_plan"
#: Subscriptions read per customer; more than a customer has.
MOST_SUBSCRIPTIONS = 100
#: Stripe's text for a meter event with a known identifier; the error has no code.
DUPLICATE = "already exists with identifier"
#: Statuses after which the request's outcome is unknown.
TRY_LATER = {409, 429}
INTERNAL = 500


class BoundedHttp(stripe.AIOHTTPClient):
    """The SDK's transport, which reads no answer that is larger than any of Stripe's."""

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        args, options = self._get_request_args_kwargs(method, url, headers, post_data)
        try:
            answer = await self._session.request(*args, **options)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._handle_request_error(error)
        async with answer:
            body = await answers.read(answer.content.iter_any())
            answers.require_few(body)
            return body, answer.status, answer.headers


class StripePayments:
    """`Payments`, implemented with Stripe's SDK."""

    def __init__(self, client: stripe.StripeClient, http: stripe.AIOHTTPClient) -> None:
        self._api, self._http = client.v1, http

    @classmethod
    def open(cls, settings: BillingSettings) -> Self:
        """Create a client; its first request connects."""
        http = BoundedHttp(timeout=aiohttp.ClientTimeout(total=settings.stripe_seconds))
        client = stripe.StripeClient(
            settings.stripe_api_key,
            base_addresses={"api": settings.stripe_api_base.rstrip("/")},
            http_client=http,
            max_network_retries=settings.stripe_retries,
        )
        return cls(client, http)

    async def close(self) -> None:
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def find_customer(self, org: UUID) -> str | None:
        query = f"metadata['{ORGANIZATION}']:'{ids.show(Kind.ORGANIZATION, org)}'"
        async with _converted_errors():
            customers = await self._api.customers.search_async({"query": query, "limit": 100})
        oldest = min(customers.data, key=lambda customer: (customer.created, customer.id), default=None)
        return oldest.id if oldest else None

    async def make_customer(self, org: UUID, name: str, key: str) -> str:
        metadata = {ORGANIZATION: ids.show(Kind.ORGANIZATION, org)}
        async with _converted_errors():
            customer = await self._api.customers.create_async(
                {"name": name, "metadata": metadata}, {"idempotency_key": key}
            )
        return customer.id

    async def open_checkout(self, request: CheckoutRequest) -> CheckoutPage:
        params: SessionCreateParams = {
            "mode": "subscription",
            "customer": request.customer_id,
            "line_items": [
                {"price": price} if quantity is None else {"price": price, "quantity": quantity}
                for price, quantity in request.quantities.items()
            ],
            "success_url": request.return_url,
            "cancel_url": request.return_url,
            "subscription_data": {"metadata": {PLAN: request.plan_id}},
        }
        async with _converted_errors():
            return _page(await self._api.checkout.sessions.create_async(params, {"idempotency_key": request.key}))

    async def checkout(self, id: str) -> CheckoutPage:
        async with _converted_errors():
            return _page(await self._api.checkout.sessions.retrieve_async(id))

    async def expire_checkout(self, id: str) -> None:
        async with _converted_errors():
            await self._api.checkout.sessions.expire_async(id)

    async def open_portal(self, customer_id: str, return_url: str) -> str:
        async with _converted_errors():
            session = await self._api.billing_portal.sessions.create_async(
                {"customer": customer_id, "return_url": return_url}
            )
        return session.url

    async def contracts(self, customer_id: str) -> list[Contract]:
        async with _converted_errors():
            subscriptions = await self._api.subscriptions.list_async(
                {"customer": customer_id, "status": "all", "limit": MOST_SUBSCRIPTIONS}
            )
        return [_contract(subscription) for subscription in subscriptions.data]

    async def unpaid_since(self, subscription_id: str) -> datetime | None:
        async with _converted_errors():
            invoices = await self._api.invoices.list_async(
                {"subscription": subscription_id, "status": "open", "limit": 100}
            )
        return min((_time(invoice.created) for invoice in invoices.data), default=None)

    async def change(self, subscription_id: str, change: SubscriptionChange) -> None:
        params: SubscriptionUpdateParams = {}
        if change.plan_id is not None:
            params["metadata"] = {PLAN: change.plan_id}
        if change.items is not None:
            params["items"] = list(change.items)  # type: ignore[arg-type]  # built by `subscriptionstate` in Stripe's form
            params["proration_behavior"] = "always_invoice" if change.is_paid_now else "create_prorations"
        if change.is_paid_now:
            # A change whose payment fails is a 402, and has not happened.
            params["payment_behavior"] = "error_if_incomplete"
        if change.cancel_at_period_end is not None:
            params["cancel_at_period_end"] = change.cancel_at_period_end
        if change.clears_cancel_at:
            del params["cancel_at_period_end"]  # Stripe accepts only one
            params["cancel_at"] = ""
        async with _converted_errors():
            await self._api.subscriptions.update_async(subscription_id, params)

    async def report_usage(self, event: str, customer_id: str, quantity: int, at: datetime, identifier: str) -> None:
        async with _converted_errors():
            try:
                await self._api.billing.meter_events.create_async(
                    {
                        "event_name": event,
                        "payload": {"stripe_customer_id": customer_id, "value": str(quantity)},
                        "timestamp": int(at.timestamp()),
                        "identifier": identifier,
                    }
                )
            except stripe.InvalidRequestError as error:
                if DUPLICATE not in str(error):
                    raise

    async def meter_total(self, event: str, customer_id: str, hour_at: datetime) -> int:
        async with _converted_errors():
            meters = await self._api.billing.meters.list_async({"status": "active", "limit": 100})
            meter_id = None
            async for meter in meters.auto_paging_iter():
                if meter.event_name == event:
                    meter_id = meter.id
                    break
            # Not 0, which would mean that the usage may be reported again.
            if meter_id is None:
                raise PaymentError("The payment provider has no such meter that is active.")
            since = int(hour_at.timestamp())
            summaries = await self._api.billing.meters.event_summaries.list_async(
                meter_id, {"customer": customer_id, "start_time": since, "end_time": since + 3600}
            )
        return round(sum(summary.aggregated_value for summary in summaries.data))


@asynccontextmanager
async def _converted_errors() -> AsyncIterator[None]:
    """Convert Stripe's errors to ours.  Stripe's own text goes to the operator's log only: it may name prices, keys and
    accounts.
    """
    try:
        yield
    except stripe.StripeError as error:
        status = error.http_status
        LOG.warning("a request to Stripe failed", status=status, code=error.code, request=error.request_id)
        if status is None or status >= INTERNAL or status in TRY_LATER:
            raise PaymentError("The payment provider does not answer; try again in a moment.") from None
        if isinstance(error, stripe.CardError):
            raise PaymentDeclined("The payment was declined; change how it is paid in the portal.") from None
        raise PaymentRefused("The payment provider refused the request; the operator's log says why.") from None
    except (
        aiohttp.ClientError,
        TimeoutError,
        BadAnswer,
    ) as error:  # the connection broke mid-answer, or it was not Stripe's
        raise PaymentError("The payment provider does not answer; try again in a moment.") from error


def _page(session: stripe.checkout.Session) -> CheckoutPage:
    return CheckoutPage(session.id, session.url, session.status or "open", _time(session.expires_at))


def _contract(subscription: stripe.Subscription) -> Contract:
    items = subscription["items"].data  # `.items` is a dict's method
    return Contract(
        id=subscription.id,
        status=subscription.status,
        created_at=_time(subscription.created),
        items=tuple(
            SubscriptionItem(item.id, item.price.id, item.quantity if "quantity" in item else None) for item in items
        ),
        period_starts_at=max((_time(item.current_period_start) for item in items), default=None),
        period_ends_at=min((_time(item.current_period_end) for item in items), default=None),
        cancel_at_period_end=subscription.cancel_at_period_end,
        cancel_at=_time(subscription.cancel_at) if subscription.cancel_at is not None else None,
        plan_id=subscription.metadata[PLAN] if PLAN in subscription.metadata else None,  # noqa: SIM401 - no dict, and has no `get`
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
