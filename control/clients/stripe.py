"""Stripe, through its own SDK: customers, checkouts, subscriptions, meters.

No card's data passes here: people pay on Stripe's pages.  Amounts, taxes and invoices are Stripe's too; what we read of a subscription is
its prices, its status and its period.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Self
from uuid import UUID

import aiohttp
import stripe
from stripe.params import SubscriptionUpdateParams
from stripe.params.checkout import SessionCreateParams

from control.base.subscriptions import Change, Contract, Item, Page, Wanted
from hum import ids
from hum.errors import PaymentError, PaymentRefused
from hum.ids import Kind
from hum.settings import BillingSettings
from hum.telemetry import log

LOG = log(__name__)
#: What a customer and a subscription carry, for whoever looks at them at Stripe, and to find a customer whose answer was lost.
ORGANIZATION, PLAN = "hum_organization", "hum_plan"
#: Of a customer; more subscriptions than anybody has.
MOST_SUBSCRIPTIONS = 100
#: How Stripe refuses a meter event whose identifier it has; the error has no code.
ALREADY_TOLD = "already exists with identifier"
#: Answers that say nothing about what became of the request.
TRY_LATER = {409, 429}
INTERNAL = 500


class Stripe:
    """`Payments` by Stripe's SDK."""

    def __init__(self, client: stripe.StripeClient, http: stripe.AIOHTTPClient) -> None:
        self._api, self._http = client.v1, http

    @classmethod
    def open(cls, settings: BillingSettings) -> Self:
        """The first request connects."""
        http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=settings.stripe_seconds))
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
        async with _asked():
            found = await self._api.customers.search_async({"query": query, "limit": 100})
        oldest = min(found.data, key=lambda each: (each.created, each.id), default=None)
        return oldest.id if oldest else None

    async def make_customer(self, org: UUID, name: str, key: str) -> str:
        metadata = {ORGANIZATION: ids.show(Kind.ORGANIZATION, org)}
        async with _asked():
            made = await self._api.customers.create_async(
                {"name": name, "metadata": metadata}, {"idempotency_key": key}
            )
        return made.id

    async def open_checkout(self, wanted: Wanted) -> Page:
        params: SessionCreateParams = {
            "mode": "subscription",
            "customer": wanted.customer_id,
            "line_items": [
                {"price": price} if quantity is None else {"price": price, "quantity": quantity}
                for price, quantity in wanted.quantities.items()
            ],
            "success_url": wanted.return_url,
            "cancel_url": wanted.return_url,
            "subscription_data": {"metadata": {PLAN: wanted.plan_id}},
        }
        async with _asked():
            return _page(await self._api.checkout.sessions.create_async(params, {"idempotency_key": wanted.key}))

    async def checkout(self, id: str) -> Page:
        async with _asked():
            return _page(await self._api.checkout.sessions.retrieve_async(id))

    async def expire_checkout(self, id: str) -> None:
        async with _asked():
            await self._api.checkout.sessions.expire_async(id)

    async def open_portal(self, customer_id: str, return_url: str) -> str:
        async with _asked():
            session = await self._api.billing_portal.sessions.create_async(
                {"customer": customer_id, "return_url": return_url}
            )
        return session.url

    async def contracts(self, customer_id: str) -> list[Contract]:
        async with _asked():
            found = await self._api.subscriptions.list_async(
                {"customer": customer_id, "status": "all", "limit": MOST_SUBSCRIPTIONS}
            )
        return [_contract(each) for each in found.data]

    async def unpaid_since(self, subscription_id: str) -> datetime | None:
        async with _asked():
            found = await self._api.invoices.list_async(
                {"subscription": subscription_id, "status": "open", "limit": 100}
            )
        return min((_time(each.created) for each in found.data), default=None)

    async def change(self, subscription_id: str, change: Change) -> None:
        params: SubscriptionUpdateParams = {}
        if change.plan_id is not None:
            params["metadata"] = {PLAN: change.plan_id}
        if change.items is not None:
            params["items"] = list(change.items)  # type: ignore[arg-type]  # made by `rules`, of what Stripe takes
            params["proration_behavior"] = "create_prorations"
        if change.cancel_at_period_end is not None:
            params["cancel_at_period_end"] = change.cancel_at_period_end
        if change.clears_cancel_at:
            del params["cancel_at_period_end"]  # Stripe takes one of the two
            params["cancel_at"] = ""
        async with _asked():
            await self._api.subscriptions.update_async(subscription_id, params)

    async def tell_meter(self, event: str, customer_id: str, quantity: int, at: datetime, identifier: str) -> None:
        async with _asked():
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
                if ALREADY_TOLD not in str(error):
                    raise

    async def meter_total(self, event: str, customer_id: str, hour_at: datetime) -> int:
        async with _asked():
            meters = await self._api.billing.meters.list_async({"status": "active", "limit": 100})
            found_id = None
            async for meter in meters.auto_paging_iter():
                if meter.event_name == event:
                    found_id = meter.id
                    break
            if found_id is None:  # 0 would mean that it may be told again
                raise PaymentError("The payment provider has no such meter that is active.")
            since = int(hour_at.timestamp())
            found = await self._api.billing.meters.event_summaries.list_async(
                found_id, {"customer": customer_id, "start_time": since, "end_time": since + 3600}
            )
        return round(sum(each.aggregated_value for each in found.data))


@asynccontextmanager
async def _asked() -> AsyncIterator[None]:
    """A request to Stripe, with its failures as ours.  What Stripe says of a refusal is for the operator's log, not for customers: it may
    name prices, keys and accounts.
    """
    try:
        yield
    except stripe.StripeError as error:
        status = error.http_status
        LOG.warning("Stripe did not do what was asked", status=status, code=error.code, request=error.request_id)
        if status is None or status >= INTERNAL or status in TRY_LATER:
            raise PaymentError("The payment provider does not answer; try again in a moment.") from error
        if isinstance(error, stripe.CardError):
            raise PaymentRefused("The payment was declined; change how it is paid in the portal.") from error
        raise PaymentRefused("The payment provider refused the request; the operator's log says why.") from error
    except (aiohttp.ClientError, TimeoutError) as error:  # the connection broke in the middle of the answer
        raise PaymentError("The payment provider does not answer; try again in a moment.") from error


def _page(session: stripe.checkout.Session) -> Page:
    return Page(session.id, session.url, session.status or "open", _time(session.expires_at))


def _contract(found: stripe.Subscription) -> Contract:
    items = found["items"].data  # `items` is the method of a dict
    return Contract(
        id=found.id,
        status=found.status,
        created_at=_time(found.created),
        items=tuple(Item(each.id, each.price.id, each.quantity if "quantity" in each else None) for each in items),
        period_starts_at=max((_time(each.current_period_start) for each in items), default=None),
        period_ends_at=min((_time(each.current_period_end) for each in items), default=None),
        cancel_at_period_end=found.cancel_at_period_end,
        cancel_at=_time(found.cancel_at) if found.cancel_at is not None else None,
        plan_id=found.metadata[PLAN] if PLAN in found.metadata else None,  # noqa: SIM401 - no dict, and has no `get`
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
