"""Subscriptions and checkouts at the payment provider, and changes to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class SubscriptionItem:
    """A line of a subscription; `quantity`: None for a metered price."""

    id: str
    price_id: str
    quantity: int | None


@dataclass(frozen=True, slots=True)
class Contract:
    """A subscription in Stripe."""

    id: str
    status: str
    created_at: datetime
    items: tuple[SubscriptionItem, ...]
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    cancel_at_period_end: bool
    #: When it ends, if that was set independently of its period's end.
    cancel_at: datetime | None
    #: The plan for which it was created.
    plan_id: str | None


@dataclass(frozen=True, slots=True)
class CheckoutRequest:
    """The request for a checkout.  `quantities`: by price; None for a metered price."""

    key: str
    customer_id: str
    plan_id: str
    quantities: Mapping[str, int | None]
    return_url: str


@dataclass(frozen=True, slots=True)
class CheckoutPage:
    """A checkout's page; `status`: `open`, `complete` or `expired`."""

    id: str
    url: str | None
    status: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SubscriptionChange:
    """The change of a subscription; None leaves a field unchanged."""

    plan_id: str | None = None
    #: Items by id with their new price and quantity; new items have a price and no id.
    items: tuple[Mapping[str, Any], ...] | None = None
    #: Whether the difference is paid at once, rather than with the next invoice.
    is_paid_now: bool = False
    cancel_at_period_end: bool | None = None
    clears_cancel_at: bool = False


class Payments(Protocol):
    """The payment provider's interface for billing.  Every method raises PaymentError."""

    async def find_customer(self, org: UUID) -> str | None:
        """Return the customer that was created for this organization; the search lags by up to a minute."""

    async def make_customer(self, org: UUID, name: str, key: str) -> str: ...

    async def open_checkout(self, request: CheckoutRequest) -> CheckoutPage: ...

    async def checkout(self, id: str) -> CheckoutPage: ...

    async def expire_checkout(self, id: str) -> None:
        """Close a checkout.  Raises PaymentRefused if it is no longer open."""

    async def open_portal(self, customer_id: str, return_url: str) -> str:
        """Create a session of the customer portal and return its URL."""

    async def contracts(self, customer_id: str) -> list[Contract]:
        """Return all subscriptions that the customer has or had."""

    async def unpaid_since(self, subscription_id: str) -> datetime | None:
        """Return when the oldest unpaid invoice was created, or None."""

    async def change(self, subscription_id: str, change: SubscriptionChange) -> None:
        """Change a subscription.  Raises PaymentDeclined if it is to be paid now and is not: then nothing has changed."""

    async def report_usage(self, event: str, customer_id: str, quantity: int, at: datetime, identifier: str) -> None:
        """Add to a meter.  The same identifier counts once, for at least 24 hours."""

    async def meter_total(self, event: str, customer_id: str, hour_at: datetime) -> int:
        """Return a meter's total of an hour.  Raises PaymentError, also if there is no such meter."""
