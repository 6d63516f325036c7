"""Plans that are sold over REST, with the official SDK in front of the stand-in for Stripe."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from control.base.subscriptions import Payments
from control.billing.account import Accounts
from control.billing.sweeps import rows
from hum import ids
from hum.ids import Kind
from sandbox.stripe import Stripe
from storage import billing
from tests.contract.conftest import PUBLIC, Edge
from tests.control.conftest import UNLIMITED
from tests.support import billing as stock
from tests.support.billing import KEY, PLANS, SECRET


@pytest.fixture
async def stripe() -> AsyncIterator[Stripe]:
    """Its clock stands still: what is credited by time is known to the cent."""
    async with Stripe.serve(KEY, SECRET, clock=stock.Time(time.time())) as served:
        stock.stock(served)
        yield served


@pytest.fixture
async def payments(stripe: Stripe) -> AsyncIterator[Payments]:
    async with stock.client(stripe) as client:
        yield client


@pytest.fixture
def limits(tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "plans.json"
    file.write_text(PLANS)
    return {**UNLIMITED, "plans_file": file, "public_url": PUBLIC}


@pytest.fixture
def public_socket() -> dict[str, Any]:
    return {"stripe_webhook_secret": f"whsec_next, {SECRET}"}


@pytest.fixture
async def sold(edge: Edge, stripe: Stripe) -> Edge:
    """The plans are in force, and Stripe's webhooks come here."""
    stripe.webhook_url = f"{edge.url}/stripe/webhook"
    async with edge.plane.control.db.system() as tx:
        await billing.set_plans(tx, rows(stock.known()))
    return edge


async def fetched(edge: Edge, payments: Payments) -> int:
    """What a worker does."""
    db = edge.plane.control.db
    return await Accounts(db, payments, stock.known(), edge.plane.settings).fetch_due()


async def get(http: httpx.AsyncClient) -> dict[str, Any]:
    answer = await http.get("/api/billing")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def checkout(http: httpx.AsyncClient, plan: str = "starter", **more: Any) -> str:
    """The id of the checkout's session."""
    answer = await http.post("/api/billing/checkout", json={"plan": plan, **more})
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["url"]
    return url.rpartition("/")[2]


async def org_of(http: httpx.AsyncClient) -> UUID:
    return ids.require(Kind.ORGANIZATION, (await http.get("/api/me")).json()["organization"]["id"])
