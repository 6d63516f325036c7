"""Plans of tests, and a stand-in for Stripe that sells them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from control.clients.stripe import StripePayments as Client
from hum import plans
from hum.settings import BillingSettings
from sandbox.stripe import Stripe

PLANS = """{
  "plans": [
    {"id": "free", "name": "Free", "numbers": 1, "minutes": 2, "messages": 3, "seats": 2},
    {"id": "starter", "name": "Starter", "numbers": 3, "minutes": 100, "messages": 10, "seats": 2,
     "price_id": "price_starter", "seat_price_id": "price_seat", "price_text": "$29 a month"},
    {"id": "business", "name": "Business", "numbers": 20, "minutes": null, "messages": null, "seats": 25,
     "price_id": "price_business", "metered_price_ids": ["price_minutes"]}
  ],
  "meters": {"minutes": "hum_minutes", "messages": "hum_messages"}
}"""
KEY, SECRET = "sk_test_1", "whsec_1"


@dataclass(slots=True)
class Time:
    """The stand-in's clock, which a test moves."""

    at: float

    def __call__(self) -> float:
        return self.at


def stock(stripe: Stripe) -> None:
    """What the operator has set up for `PLANS`."""
    stripe.book.add_price("price_starter", 2900)
    stripe.book.add_price("price_seat", 500)
    stripe.book.add_price("price_business", 19900)
    stripe.book.add_price("price_minutes", 1, meter="hum_minutes")
    stripe.book.add_meter("hum_messages")


def known() -> plans.Plans:
    return plans.parse(PLANS)


@asynccontextmanager
async def client(stripe: Stripe, **settings: Any) -> AsyncIterator[Client]:
    """The SDK in front of the stand-in; it repeats nothing by itself, unless a test says so."""
    usual: dict[str, Any] = {
        "stripe_api_key": KEY,
        "stripe_api_base": stripe.url,
        "stripe_retries": 0,
        "stripe_seconds": 5.0,
    }
    opened = Client.open(BillingSettings(**(usual | settings)))
    try:
        yield opened
    finally:
        await opened.close()
