"""Subscriptions and checkouts as the payment provider has them, and changes to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Item:
    """A line of a subscription; `quantity`: None for what is metered."""

    id: str
    price_id: str
    quantity: int | None


@dataclass(frozen=True, slots=True)
class Contract:
    """A subscription as Stripe has it."""

    id: str
    status: str
    created_at: datetime
    items: tuple[Item, ...]
    period_starts_at: datetime | None
    period_ends_at: datetime | None
    cancel_at_period_end: bool
    #: A day on which it ends, which is set apart from its period's end.
    cancel_at: datetime | None
    #: The plan that it was made for.
    plan_id: str | None


@dataclass(frozen=True, slots=True)
class Wanted:
    """A checkout that is asked for.  `quantities`: of each price; None: it is metered."""

    key: str
    customer_id: str
    plan_id: str
    quantities: Mapping[str, int | None]
    return_url: str


@dataclass(frozen=True, slots=True)
class Page:
    """A checkout's page; `status`: `open`, `complete` or `expired`."""

    id: str
    url: str | None
    status: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of a subscription; None: that stays as it is."""

    plan_id: str | None = None
    #: Items by id with their new price and quantity; ids that are not there yet are prices' own.
    items: tuple[Mapping[str, Any], ...] | None = None
    cancel_at_period_end: bool | None = None
    clears_cancel_at: bool = False


class Payments(Protocol):
    """What billing asks of the payment provider.  Each raises PaymentError."""

    async def find_customer(self, org: UUID) -> str | None:
        """A customer that was made for this organization a while ago; the search lags by up to a minute."""

    async def make_customer(self, org: UUID, name: str, key: str) -> str: ...

    async def open_checkout(self, wanted: Wanted) -> Page: ...

    async def checkout(self, id: str) -> Page: ...

    async def expire_checkout(self, id: str) -> None:
        """Close it.  Raises PaymentRefused if it is not open any more."""

    async def open_portal(self, customer_id: str, return_url: str) -> str:
        """The page's URL."""

    async def contracts(self, customer_id: str) -> list[Contract]:
        """All that the customer ever had."""

    async def unpaid_since(self, subscription_id: str) -> datetime | None:
        """When the oldest invoice was made that is not paid."""

    async def change(self, subscription_id: str, change: Change) -> None: ...

    async def tell_meter(self, event: str, customer_id: str, quantity: int, at: datetime, identifier: str) -> None:
        """Add to a meter.  The same identifier counts once, for at least 24 hours."""

    async def meter_total(self, event: str, customer_id: str, hour_at: datetime) -> int:
        """What a meter has of an hour.  Raises PaymentError, also when there is no such meter."""
