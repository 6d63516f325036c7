"""Billing on a real database, with the official SDK in front of the stand-in for Stripe."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from control.billing.account import Accounts
from control.billing.sweeps import rows
from control.billing.usecases import StripeRequests
from control.clients.stripe import StripePayments as Client
from control.identity import usecases as identity
from hum.settings import BillingSettings
from sandbox.stripe import Stripe
from sandbox.stripe.shapes import Json
from storage import billing
from storage.billing import AccountRow
from storage.db import Db
from tests.support import billing as stock
from tests.support.billing import KEY, SECRET, Time


@dataclass(frozen=True)
class Desks:
    """Everything of billing, and one organization."""

    db: Db
    org: UUID
    stripe: Stripe
    client: Client
    clock: Time
    settings: BillingSettings
    accounts: Accounts
    requests: StripeRequests

    async def row(self) -> AccountRow:
        async with self.db.tenant(self.org) as tx:
            found = await billing.account(tx, self.org)
        assert found is not None
        return found

    async def subscribed(self, *prices: str, plan: str = "starter") -> Json:
        """The organization has paid for these prices, in a checkout of its own; nobody has told us of it yet."""
        customer = await self.accounts.customer(self.org)
        session = self.stripe.book.open_checkout(
            {
                "mode": "subscription",
                "customer": customer,
                "line_items": [{"price": each} for each in prices or ("price_starter",)],
                "subscription_data": {"metadata": {"hum_plan": plan}},
            }
        )
        return self.stripe.book.complete(session["id"])


@pytest.fixture
def billing_settings() -> dict[str, Any]:
    """How they differ from the usual ones."""
    return {}


@pytest.fixture
async def desks(database_url: str, billing_settings: dict[str, Any]) -> AsyncIterator[Desks]:
    clock = Time(time.time())
    db = await Db.open(database_url)
    org = await identity.create_organization(db, "Clinic", "owner@clinic.example")
    async with db.system() as tx:
        await billing.set_plans(tx, rows(stock.known()))
    async with Stripe.serve(KEY, SECRET, clock=clock) as stripe, stock.client(stripe, **billing_settings) as client:
        stock.stock(stripe)
        settings = BillingSettings(billing_retry_seconds=0.001, **billing_settings)
        accounts = Accounts(db, client, stock.known(), settings)
        requests = StripeRequests(db, client, stock.known(), "https://hum.example")
        yield Desks(db, org, stripe, client, clock, settings, accounts, requests)
    await db.close()
