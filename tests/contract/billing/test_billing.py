"""Billing over REST: checkouts, subscriptions and Stripe's webhooks."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from control.base.subscriptions import Payments
from control.billing.feature import STRIPE_BUDGET
from hum.contract.errors import PaymentRefused
from sandbox.stripe import Stripe, StripeFault
from sandbox.stripe.shapes import Json
from storage import billing
from storage.db import Tx
from tests.contract.billing.conftest import checkout, fetched, get, org_of
from tests.contract.billing.test_plan_limits import use
from tests.contract.conftest import Edge
from tests.support.cases import in_turn
from tests.support.waits import until

NO_BILLING = "This deployment has no billing"


async def test_from_the_free_plan_to_a_paid_one_and_back(sold: Edge, stripe: Stripe, payments: Payments) -> None:
    async with await sold.client() as http:
        before = await get(http)
        assert (before["enabled"], before["plan"]["id"], before["by_subscription"]) == (True, "free", False)
        assert before["subscription"] is None
        assert [plan["id"] for plan in before["plans"] if plan["for_sale"]] == ["starter", "business"]

        made = stripe.book.complete(await checkout(http, extra_seats=2))
        assert [(each["price"]["id"], each["quantity"]) for each in made["items"]["data"]] == [
            ("price_starter", 1),
            ("price_seat", 2),
        ]
        await stripe.deliver()
        assert await fetched(sold, payments) == 1
        found = await get(http)
        assert (found["plan"]["id"], found["by_subscription"]) == ("starter", True)
        assert found["subscription"]["status"] == "active"
        assert found["subscription"]["extra_seats"] == 2
        seats = next(each for each in found["resources"] if each["resource"] == "seats")
        assert (seats["used"], seats["limit"], seats["reached"]) == (1, 4, False)

        answer = await http.patch("/api/billing/subscription", json={"plan": "business"})
        assert answer.status_code == 200, answer.text
        assert (answer.json()["plan"]["id"], answer.json()["subscription"]["extra_seats"]) == ("business", 0)
        prices = [each["price"]["id"] for each in stripe.book.subscription(made["id"])["items"]["data"]]
        assert prices == ["price_business", "price_minutes"]

        answer = await http.patch("/api/billing/subscription", json={"cancel_at_period_end": True})
        assert answer.json()["subscription"]["cancel_at_period_end"] is True
        stripe.book.renew(made["id"])
        await stripe.deliver()
        await fetched(sold, payments)
        found = await get(http)
        assert (found["plan"]["id"], found["subscription"]["status"]) == ("free", "canceled")
        log = (await http.get("/api/audit-log")).json()["entries"]
        assert {each["action"] for each in log} >= {"createCheckout", "updateSubscription"}


async def test_the_portal(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        answer = await http.post("/api/billing/portal", json={})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state")
        await checkout(http)
        answer = await http.post("/api/billing/portal", json={"return_to": "/settings"})
        assert answer.status_code == 201
        assert answer.json()["url"].startswith(stripe.url)


@in_turn(("path",), ["https://evil.example", "//evil.example", "/\\evil.example", "settings", "/a b"])
async def test_nobody_is_sent_elsewhere(sold: Edge, path: str) -> None:
    async with await sold.client() as http:
        answer = await http.post("/api/billing/checkout", json={"plan": "starter", "return_to": path})
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["details"][0]["field"] == "return_to"


@in_turn(
    ("body", "field"),
    [({"plan": "free"}, "plan"), ({"plan": "none"}, "plan"), ({"plan": "business", "extra_seats": 1}, "extra_seats")],
)
async def test_what_is_not_for_sale(sold: Edge, body: dict[str, Any], field: str) -> None:
    async with await sold.client() as http:
        answer = await http.post("/api/billing/checkout", json=body)
        assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (400, field)


async def test_two_checkouts_at_once_are_one(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        found = await asyncio.gather(*(checkout(http) for _ in range(4)))
        assert len(set(found)) == 1
        assert len(stripe.book.checkouts) == len(stripe.book.customers) == 1


async def test_of_different_checkouts_one_can_be_paid(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:

        async def begin(plan: str) -> int:
            return (await http.post("/api/billing/checkout", json={"plan": plan})).status_code

        answers = await asyncio.gather(*(begin(plan) for plan in ("starter", "business") * 3))
        assert set(answers) <= {201, 409}
        assert [each["status"] for each in stripe.book.checkouts.values()].count("open") <= 1
        await checkout(http, "business")
        assert [each["status"] for each in stripe.book.checkouts.values()].count("open") == 1


async def test_while_a_page_can_not_be_closed_no_other_checkout_begins(
    sold: Edge, stripe: Stripe, payments: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(_: str) -> None:
        raise PaymentRefused("Only Checkout Sessions without a payment in progress can be expired.")

    async with await sold.client() as http:
        page = await checkout(http)
        with monkeypatch.context() as patched:
            patched.setattr(payments, "expire_checkout", refuse)
            answer = await http.post("/api/billing/checkout", json={"plan": "business"})
            assert answer.status_code == 502, answer.text
        assert [each["status"] for each in stripe.book.checkouts.values()] == ["open"]
        assert await checkout(http) == page, "it may still be paid"


async def test_a_checkout_that_is_opened_while_another_looks_stays_the_only_one(
    sold: Edge, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, answered = asyncio.Event(), asyncio.Event()
    open_checkout, record_checkout = billing.open_checkout, billing.record_checkout

    async def reads(tx: Tx, org: UUID) -> billing.CheckoutRow | None:
        row = await open_checkout(tx, org)
        read.set()
        await answered.wait()
        return row

    async def made(tx: Tx, *page: Any) -> bool:
        await read.wait()
        return await record_checkout(tx, *page)

    monkeypatch.setattr(billing, "open_checkout", reads)
    monkeypatch.setattr(billing, "record_checkout", made)
    async with await sold.client() as http:
        first = asyncio.create_task(http.post("/api/billing/checkout", json={"plan": "starter"}))
        await until(lambda: bool(stripe.book.checkouts))
        second = asyncio.create_task(http.post("/api/billing/checkout", json={"plan": "business"}))
        assert (await first).status_code == 201
        answered.set()
        assert (await second).status_code == 409
        assert [each["status"] for each in stripe.book.checkouts.values()] == ["open"]
        await checkout(http, "business")
        assert [each["status"] for each in stripe.book.checkouts.values()] == ["expired", "open"]


async def test_who_has_a_subscription_begins_no_other(sold: Edge, stripe: Stripe) -> None:
    """Also before Stripe has told of it; and the checkout that is left is of no use."""
    async with await sold.client() as http:
        stripe.book.complete(await checkout(http))
        for plan in ("starter", "business"):
            answer = await http.post("/api/billing/checkout", json={"plan": plan})
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state"), answer.text
        assert (await get(http))["plan"]["id"] == "starter"
        assert [each["status"] for each in stripe.book.checkouts.values()] == ["complete"]


async def subscribed(http: httpx.AsyncClient, stripe: Stripe) -> Json:
    """The customer's subscription from another page, such as one that the operator has made."""
    (customer,) = stripe.book.customers
    line = {"mode": "subscription", "customer": customer, "line_items": [{"price": "price_starter"}]}
    return stripe.book.complete(stripe.book.open_checkout(line)["id"])


async def test_whoever_has_a_subscription_pays_no_other_on_a_page_that_was_open(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        page = await checkout(http)
        await subscribed(http, stripe)
        answer = await http.post("/api/billing/checkout", json={"plan": "starter"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state"), answer.text
        assert stripe.book.checkouts[page]["status"] == "expired"


async def test_a_page_that_another_request_opens_meanwhile_is_closed_too(
    sold: Edge, stripe: Stripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, read = asyncio.Event(), asyncio.Event()
    record_checkout, end_checkout = billing.record_checkout, billing.end_checkout

    async def made(tx: Tx, *page: Any) -> bool:
        opened.set()
        await read.wait()
        return await record_checkout(tx, *page)

    async def ended(tx: Tx, row: billing.CheckoutRow) -> bool:
        read.set()
        await until(first.done)
        return await end_checkout(tx, row)

    monkeypatch.setattr(billing, "record_checkout", made)
    monkeypatch.setattr(billing, "end_checkout", ended)
    async with await sold.client() as http:
        first = asyncio.create_task(http.post("/api/billing/checkout", json={"plan": "starter"}))
        await opened.wait()
        await subscribed(http, stripe)
        second = await http.post("/api/billing/checkout", json={"plan": "starter"})
        assert (second.status_code, second.json()["error"]["code"]) == (409, "invalid_state"), second.text
        assert (await first).status_code == 201
        assert "open" not in [each["status"] for each in stripe.book.checkouts.values()]


async def test_a_first_payment_that_failed_can_be_repeated_on_its_page(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        page = await checkout(http)
        stripe.book.complete(page, pays=False)
        assert await checkout(http) == page
        assert stripe.book.checkouts[page]["status"] == "open"


@pytest.mark.parametrize("settles", ["paid", "void", "uncollectible"])
async def test_who_owes_of_an_ended_subscription_begins_no_other_until_it_is_settled(
    sold: Edge, stripe: Stripe, payments: Payments, settles: str
) -> None:
    """Else each renewal that fails would give a period for nothing."""
    async with await sold.client() as http:
        made = stripe.book.complete(await checkout(http))
        stripe.book.renew(made["id"], pays=False)
        stripe.book.end(made["id"])
        await stripe.deliver()
        await fetched(sold, payments)
        before = len(stripe.book.checkouts)
        for plan in ("starter", "business"):
            answer = await http.post("/api/billing/checkout", json={"plan": plan})
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state"), answer.text
            assert "pay it in the portal" in answer.json()["error"]["message"]
        assert len(stripe.book.checkouts) == before
        assert (await http.post("/api/billing/portal", json={})).status_code == 201
        if settles == "paid":
            stripe.book.pay(made["id"])
        for invoice in stripe.book.open_invoices(made["id"]):
            invoice["status"] = settles
        stripe.book.complete(await checkout(http))
        assert made["status"] == "canceled"
        await stripe.deliver()
        await fetched(sold, payments)
        assert (await get(http))["subscription"]["status"] == "active"


async def test_requests_that_ask_stripe_have_a_budget(sold: Edge, stripe: Stripe) -> None:
    """An organization's own: Stripe limits the requests of all organizations together."""
    async with await sold.client() as http, await sold.client("Other") as other:
        await checkout(http)
        answers = [await http.post("/api/billing/portal", json={}) for _ in range(STRIPE_BUDGET.burst)]
        assert [each.status_code for each in answers] == [201] * (STRIPE_BUDGET.burst - 1) + [429]
        assert int(answers[-1].headers["Retry-After"]) <= 1 / STRIPE_BUDGET.per_second
        for refused in (
            await http.post("/api/billing/checkout", json={"plan": "starter"}),
            await http.patch("/api/billing/subscription", json={"extra_seats": 1}),
        ):
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limited"), refused.text
        await get(http)
        await checkout(other)


async def test_the_webhook_is_faster_than_the_checkouts_answer(sold: Edge, stripe: Stripe, payments: Payments) -> None:
    """The answer to the checkout is lost, and yet it is paid: nobody knows how, but the subscription is there."""
    async with await sold.client() as http:
        stripe.faults.plan("POST /v1/checkout/sessions", StripeFault.LOST)
        answer = await http.post("/api/billing/checkout", json={"plan": "starter"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "payment_error")
        (session,) = stripe.book.checkouts
        stripe.book.complete(session)
        await stripe.deliver()
        await fetched(sold, payments)
        assert (await get(http))["plan"]["id"] == "starter"


async def individually_priced(http: httpx.AsyncClient, stripe: Stripe) -> Json:
    """The subscription of an organization with which the operator has agreed on a price, as docs/billing.md says."""
    await checkout(http)
    (customer,) = stripe.book.customers
    stripe.book.add_price("price_agreed", 9900)
    session = stripe.book.open_checkout(
        {
            "mode": "subscription",
            "customer": customer,
            "line_items": [{"price": "price_agreed"}],
            "subscription_data": {"metadata": {"hum_plan": "starter"}},
        }
    )
    return stripe.book.complete(session["id"])


@pytest.mark.parametrize("change", [{"extra_seats": 3}, {"plan": "business"}, {"plan": "starter"}])
async def test_an_individual_price_is_changed_by_the_operator_alone(
    sold: Edge, stripe: Stripe, change: dict[str, Any]
) -> None:
    """A line of the list would be charged besides the agreed one."""
    async with await sold.client() as http:
        made = await individually_priced(http, stripe)
        answer = await http.patch("/api/billing/subscription", json=change)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state"), answer.text
        assert "operator" in answer.json()["error"]["message"]
        assert [each["price"]["id"] for each in made["items"]["data"]] == ["price_agreed"]


async def test_an_individual_price_is_told_and_ended_like_any_other(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        await individually_priced(http, stripe)
        for ends in (True, False):
            answer = await http.patch("/api/billing/subscription", json={"cancel_at_period_end": ends})
            assert answer.status_code == 200, answer.text
            assert answer.json()["subscription"]["cancel_at_period_end"] is ends
        told = answer.json()
        assert (told["plan"]["id"], told["subscription"]["individual_price"]) == ("starter", True)


async def test_two_admins_change_different_things(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        made = stripe.book.complete(await checkout(http))
        answers = await asyncio.gather(
            http.patch("/api/billing/subscription", json={"extra_seats": 3}),
            http.patch("/api/billing/subscription", json={"cancel_at_period_end": True}),
        )
        assert [each.status_code for each in answers] == [200, 200]
        found = (await get(http))["subscription"]
        assert (found["extra_seats"], found["cancel_at_period_end"]) == (3, True)
        assert stripe.book.subscription(made["id"])["cancel_at_period_end"] is True


async def test_a_larger_plan_is_paid_at_once_and_a_smaller_one_with_the_next_invoice(
    sold: Edge, stripe: Stripe
) -> None:
    async with await sold.client() as http:
        made = stripe.book.complete(await checkout(http))
        invoices = stripe.book.invoices
        for change, total in (({"extra_seats": 2}, 1000), ({"plan": "business"}, 19900 - 2900 - 1000)):
            answer = await http.patch("/api/billing/subscription", json=change)
            assert answer.status_code == 200, answer.text
            latest = list(invoices.values())[-1]
            assert (latest["billing_reason"], latest["status"]) == ("subscription_update", "paid")
            assert latest["amount_paid"] == total
        before = len(invoices)
        answer = await http.patch("/api/billing/subscription", json={"plan": "starter"})
        assert (answer.status_code, answer.json()["plan"]["id"]) == (200, "starter"), answer.text
        assert len(invoices) == before
        stripe.book.renew(made["id"])
        assert list(invoices.values())[-1]["total"] == 2900 - (19900 - 2900)


@pytest.mark.parametrize("change", [{"plan": "starter"}, {"plan": "starter", "extra_seats": 2}])
@pytest.mark.parametrize("used", [{"minutes": 1}, {"messages": 1}])
async def test_who_has_used_a_larger_plan_keeps_it_until_the_period_ends(
    sold: Edge, stripe: Stripe, change: dict[str, Any], used: dict[str, int]
) -> None:
    """Its price is credited by time: a day's use of it would cost a day, whatever it was."""
    async with await sold.client() as http:
        made = stripe.book.complete(await checkout(http, "business"))
        assert (await http.patch("/api/billing/subscription", json={"plan": "starter"})).status_code == 200
        await use(sold, http, minutes=100, messages=10)
        assert (await http.patch("/api/billing/subscription", json={"plan": "business"})).status_code == 200
        items, invoices = made["items"]["data"][:], len(stripe.book.invoices)
        await use(sold, http, **used)
        answer = await http.patch("/api/billing/subscription", json=change)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state"), answer.text
        assert "next" in answer.json()["error"]["message"]
        assert (made["items"]["data"], len(stripe.book.invoices)) == (items, invoices)
        assert (await get(http))["plan"]["id"] == "business"
        assert (await http.patch("/api/billing/subscription", json={"cancel_at_period_end": True})).status_code == 200
        async with sold.plane.control.db.system() as tx:  # the next period
            await tx.execute("UPDATE usage_rollups SET quarter_at = quarter_at - interval '2 hours'")
        assert (await http.patch("/api/billing/subscription", json=change)).status_code == 200


@pytest.mark.parametrize("code", ["card_declined", "subscription_payment_intent_requires_action"])
@pytest.mark.parametrize("change", [{"plan": "business"}, {"extra_seats": 2, "cancel_at_period_end": True}])
async def test_without_a_payment_nothing_becomes_larger(
    sold: Edge, stripe: Stripe, payments: Payments, code: str, change: dict[str, Any]
) -> None:
    async with await sold.client() as http:
        made = stripe.book.complete(await checkout(http))
        stripe.book.decline(made["id"], code)
        await stripe.deliver()
        await fetched(sold, payments)
        before, invoices = await get(http), len(stripe.book.invoices)
        answer = await http.patch("/api/billing/subscription", json=change)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state"), answer.text
        assert "declined" in answer.json()["error"]["message"]
        after = await get(http)
        assert (after["plan"], after["subscription"]) == (before["plan"], before["subscription"])
        assert (len(stripe.book.invoices), made["status"]) == (invoices, "active")
        stripe.book.pay(made["id"])
        assert (await http.patch("/api/billing/subscription", json=change)).status_code == 200


async def test_who_owes_gets_nothing_larger(sold: Edge, stripe: Stripe) -> None:
    """One small invoice that is paid would make the subscription active again."""
    async with await sold.client() as http:
        made = stripe.book.complete(await checkout(http, extra_seats=2))
        stripe.book.renew(made["id"], pays=False)
        for change in ({"plan": "business"}, {"extra_seats": 3}):
            answer = await http.patch("/api/billing/subscription", json=change)
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state"), answer.text
        for smaller in ({"extra_seats": 1}, {"cancel_at_period_end": True}):
            assert (await http.patch("/api/billing/subscription", json=smaller)).status_code == 200
        assert made["status"] == "past_due"


async def test_a_key_changes_once(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        made = stripe.book.complete(await checkout(http))
        for _ in range(2):
            answer = await http.patch(
                "/api/billing/subscription", json={"extra_seats": 1}, headers={"Idempotency-Key": "k"}
            )
            assert answer.status_code == 200, answer.text
        changes = [each for each in stripe.book.events if each["type"] == "customer.subscription.updated"]
        assert len(changes) == 1
        assert made["id"] == changes[0]["data"]["object"]["id"]


async def test_only_stripe_is_believed(sold: Edge, stripe: Stripe) -> None:
    async with await sold.client() as http:
        stripe.book.complete(await checkout(http))
        event = json.dumps(stripe.book.events[-1]).encode()
        at = stripe.book.now

        async def post(body: bytes, signature: str | None) -> int:
            headers = {"Stripe-Signature": signature} if signature is not None else {}
            return (await http.post("/stripe/webhook", content=body, headers=headers)).status_code

        assert await post(event, None) == 403
        assert await post(event, "t=1,v1=00") == 403
        assert await post(event + b" ", stripe.signature(event)) == 403
        assert await post(event, stripe.signature(event, at - 400)) == 403
        assert await post(event, stripe.signature(event, at + 400)) == 403
        assert await post(b"[]", stripe.signature(b"[]")) == 200
        assert await post(b"x" * (2 << 20), "t=1,v1=00") == 413
        assert await post(event, stripe.signature(event)) == 200
        stripe.webhook_secret = "whsec_next"  # the other secret, during a rotation
        assert await post(event, stripe.signature(event)) == 200


async def test_every_event_once(sold: Edge, stripe: Stripe, payments: Payments) -> None:
    async with await sold.client() as http:
        stripe.book.complete(await checkout(http))
        for _ in range(3):
            await stripe.deliver(stripe.book.events)
        org = await org_of(http)
        async with sold.plane.control.db.tenant(org) as tx:
            row = await billing.account(tx, org)
        assert row is not None and row.notices == len(
            [each for each in stripe.book.events if "deleted" not in each["type"]]
        )


class TestWithoutBilling:
    @pytest.fixture
    def payments(self) -> None:
        return None

    async def test_there_are_no_plans_and_use_is_told(self, edge: Edge) -> None:
        async with await edge.client() as http:
            found = await get(http)
            assert (found["enabled"], found["plan"], found["plans"]) == (False, None, [])
            assert {each["resource"]: each["limit"] for each in found["resources"]} == dict.fromkeys(
                ("numbers", "minutes", "messages", "seats")
            )
            for path in ("checkout", "portal"):
                answer = await http.post(f"/api/billing/{path}", json={"plan": "starter"} if path == "checkout" else {})
                assert (answer.status_code, answer.json()["error"]["code"]) == (409, "invalid_state")
                assert answer.json()["error"]["message"].startswith(NO_BILLING)
            for index in range(4):
                answer = await http.post("/api/team/invites", json={"email": f"a{index}@x.example", "role": "viewer"})
                assert answer.status_code == 201
