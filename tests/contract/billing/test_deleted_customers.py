"""The deletion of an organization that may still pay: no subscription is left without an organization."""

import asyncio
from typing import Any
from uuid import UUID

import grpc
import httpx
import pytest
import structlog
from grpc import aio

from control.base.subscriptions import Payments
from control.billing.account import MOST_STRANGERS, Accounts
from control.retention import organizations
from hum.contract.errors import InvalidState
from hum.objects.files import Files
from hum.v1 import runtime_pb2, runtime_pb2_grpc
from sandbox.stripe import Stripe, StripeFault
from storage import deleted_organizations
from storage.db import Db
from storage.deleted_organizations import DeletionRow
from tests.contract.billing.conftest import checkout, org_of
from tests.contract.conftest import Edge
from tests.support.billing import known
from tests.support.present import present


async def deleted(
    edge: Edge, http: httpx.AsyncClient, name: str | None = None
) -> runtime_pb2.DeleteOrganizationResponse:
    """As an operator deletes the organization of this person."""
    mine = (await http.get("/api/me")).json()["organization"]
    request = runtime_pb2.DeleteOrganizationRequest(organization_id=mine["id"], name=name or mine["name"])
    admin = runtime_pb2_grpc.AdminServiceStub(edge.plane.channel)
    return await admin.DeleteOrganization(request, metadata=edge.plane.node("admin"))


def pages(stripe: Stripe) -> list[str]:
    return [each["status"] for each in stripe.book.checkouts.values()]


async def test_an_open_checkout_can_no_longer_be_paid(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        await checkout(http)
        assert (await deleted(sold, http)).done
        assert pages(stripe) == ["expired"]


async def test_what_hinders_or_is_mistaken_closes_no_checkout(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        await checkout(http)
        with pytest.raises(aio.AioRpcError) as refused:
            await deleted(sold, http, "Another")
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert pages(stripe) == ["open"]


async def test_a_checkout_that_was_paid_before_stripe_told_of_it_hinders(sold: Edge, stripe: Stripe) -> None:
    """Until its subscription is over; of that, too, nothing was told."""
    async with await sold.client() as http:
        made = stripe.book.complete(await checkout(http))
        with pytest.raises(aio.AioRpcError) as refused:
            await deleted(sold, http)
        assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        assert "was paid" in str(refused.value.details())
        stripe.book.end(made["id"])
        assert (await deleted(sold, http)).done


async def test_a_checkout_that_is_paid_while_it_is_closed_hinders(
    sold: Edge, stripe: Stripe, payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    expire = payments.expire_checkout

    async def late(id: str) -> None:
        stripe.book.complete(id)
        await expire(id)

    monkeypatch.setattr(payments, "expire_checkout", late)
    async with await sold.client() as http:
        await checkout(http)
        with pytest.raises(aio.AioRpcError) as refused:
            await deleted(sold, http)
        assert "was paid" in str(refused.value.details())


async def test_without_an_answer_of_stripes_nothing_is_deleted(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        await checkout(http)
        stripe.faults.plan("POST /v1/checkout/sessions", StripeFault.FAILED)
        with pytest.raises(aio.AioRpcError) as refused:
            await deleted(sold, http)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        assert (await http.get("/api/billing")).status_code == 200
        assert (await deleted(sold, http)).done
        assert pages(stripe) == ["expired"]


@pytest.mark.parametrize("step", ["make_customer", "open_checkout"])
async def test_a_checkout_that_is_being_opened_leads_nowhere(
    sold: Edge, stripe: Stripe, payments: Payments, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The deletion begins before the checkout is claimed, or before Stripe answers."""
    original, reached, goes_on = getattr(payments, step), asyncio.Event(), asyncio.Event()

    async def slow(*arguments: Any) -> Any:
        result = await original(*arguments)
        reached.set()
        await goes_on.wait()
        return result

    monkeypatch.setattr(payments, step, slow)
    # Its rows would be gone: what is meant is the moment in which only its beginning is committed.
    monkeypatch.setattr(organizations, "resume", begun)
    async with await sold.client() as http:
        opening = asyncio.create_task(http.post("/api/billing/checkout", json={"plan": "starter"}))
        await reached.wait()
        await deleted(sold, http)
        goes_on.set()
        answer = await opening
        assert answer.status_code == 409, answer.text
        assert "open" not in pages(stripe)


async def begun(db: Db, _: Files, org: UUID, __: float) -> DeletionRow:
    async with db.system() as tx:
        return present(await deleted_organizations.get(tx, org))


class TestWithoutStripesKey:
    """The operator has taken it away, and yet the page is there."""

    async def test_a_checkout_hinders_until_it_has_expired(self, sold: Edge) -> None:
        db = sold.plane.control.db
        async with await sold.client() as http:
            await checkout(http)
            org, name = await org_of(http), (await http.get("/api/me")).json()["organization"]["name"]
        store = Files.of(sold.plane.settings)
        with pytest.raises(InvalidState, match="may still be paid"):
            await organizations.delete(db, store, None, org, name, 60)
        async with db.system() as tx:
            await tx.execute("UPDATE billing_checkouts SET expires_at = now() - interval '25 hours'")
        assert (await organizations.delete(db, store, None, org, name, 60)).is_done

    async def test_a_checkout_of_which_no_page_is_known_hinders_nothing(self, sold: Edge) -> None:
        """The process that opened it has died."""
        async with await sold.client() as http:
            await checkout(http)
            org, name = await org_of(http), (await http.get("/api/me")).json()["organization"]["name"]
        db = sold.plane.control.db
        async with db.system() as tx:
            await tx.execute("UPDATE billing_checkouts SET session_id = NULL, url = NULL, expires_at = NULL")
        assert (await organizations.delete(db, Files.of(sold.plane.settings), None, org, name, 60)).is_done


async def test_of_a_customer_without_an_organization_the_log_tells_once(
    sold: Edge, stripe: Stripe, payments: Payments
) -> None:
    accounts = Accounts(sold.plane.control.db, payments, known(), sold.plane.settings)
    with structlog.testing.capture_logs() as logs:
        for number in range(MOST_STRANGERS + 1):
            for event in ("a", "b"):
                await accounts.schedule_fetch(f"evt_{event}{number}", "customer.subscription.created", f"cus_{number}")
    told = [each for each in logs if each["event"] == "Stripe tells of a customer of no organization"]
    assert [each["customer"] for each in told] == [f"cus_{number}" for number in range(MOST_STRANGERS)]
    assert {each["log_level"] for each in told} == {"warning"}
