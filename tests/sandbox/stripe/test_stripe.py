"""The stand-in for Stripe, driven by Stripe's own SDK; its objects have the fields of Stripe's published fixtures.

`shapes.json` lists each field of the fixtures (github.com/stripe/openapi) and the kind of its value there.
"""

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.serving import serving
from sandbox.stripe import Stripe, StripeFault
from sandbox.stripe.forms import nested
from sandbox.stripe.shapes import Json
from tests.support.billing import KEY, SECRET, Time, stock

SHAPES = json.loads((Path(__file__).parent / "shapes.json").read_text())
#: Fields that are no longer there: an invoice's subscription is in its `parent`.
GONE = {"invoice": {"subscription"}}
T0 = 1_800_000_000


@pytest.fixture
async def account() -> AsyncIterator[Stripe]:
    async with Stripe.serve(KEY, SECRET, clock=Time(T0)) as served:
        stock(served)
        yield served


@pytest.fixture
async def sdk(account: Stripe) -> AsyncIterator[stripe.StripeClient]:
    http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=5))
    yield stripe.StripeClient(KEY, base_addresses={"api": account.url}, http_client=http, max_network_retries=0)
    await http.close_async()  # type: ignore[no-untyped-call]


def kind(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "bool"
    return {int: "number", float: "number", str: "text", list: "list", dict: "object"}[type(value)]


def wrong(name: str, held: Json) -> set[str]:
    """Fields that are missing, that Stripe has not, or that are of another kind."""
    due = {field: kind for field, kind in SHAPES[name].items() if field not in GONE.get(name, ())}
    others = {f for f in due.keys() & held.keys() if kind(held[f]) not in {None, due[f]} and due[f] is not None}
    return (due.keys() ^ held.keys()) | others


async def subscribed(sdk: stripe.StripeClient, account: Stripe, *prices: str) -> str:
    customer = await sdk.v1.customers.create_async({"name": "Clinic"})
    session = await sdk.v1.checkout.sessions.create_async(
        {
            "mode": "subscription",
            "customer": customer.id,
            "line_items": [{"price": price} for price in prices or ("price_starter",)],
            "success_url": "https://hum.example/",
        }
    )
    made: str = account.book.complete(session.id)["id"]
    return made


async def test_objects_have_the_fields_of_the_published_fixtures(account: Stripe, sdk: stripe.StripeClient) -> None:
    id = await subscribed(sdk, account, "price_starter", "price_minutes")
    book, subscription = account.book, account.book.subscription(id)
    portal = book.open_portal({"customer": subscription["customer"]})
    event = book.tell_meter(
        {"event_name": "hum_minutes", "payload": {"stripe_customer_id": subscription["customer"], "value": "1"}}
    )
    invoice = next(iter(book.invoices.values()))
    item, metered = subscription["items"]["data"]
    assert "quantity" not in metered
    found = {
        "customer": next(iter(book.customers.values())),
        "price": book.prices["price_starter"],
        "plan": item["plan"],
        "subscription": subscription,
        "subscription_item": item,
        "checkout.session": next(iter(book.checkouts.values())),
        "billing_portal.session": portal,
        "invoice": invoice,
        "line_item": invoice["lines"]["data"][0],
        "billing.meter": next(iter(book.meters.values())),
        "billing.meter_event": event,
        "event": book.events[0],
    }
    assert {name: wrong(name, held) for name, held in found.items() if wrong(name, held)} == {}
    assert found.keys() == SHAPES.keys()


async def test_a_subscriptions_life(account: Stripe, sdk: stripe.StripeClient) -> None:
    id = await subscribed(sdk, account)
    found = await sdk.v1.subscriptions.retrieve_async(id)
    assert (found.status, found["items"].data[0].price.id) == ("active", "price_starter")
    ended = found["items"].data[0].current_period_end
    account.book.renew(id, pays=False)
    assert (await sdk.v1.subscriptions.retrieve_async(id)).status == "past_due"
    owed = await sdk.v1.invoices.list_async({"subscription": id, "status": "open"})
    assert [each.amount_due for each in owed.data] == [2900]
    account.book.pay(id)
    found = await sdk.v1.subscriptions.retrieve_async(id)
    assert (found.status, found["items"].data[0].current_period_start) == ("active", ended)
    await sdk.v1.subscriptions.update_async(id, {"cancel_at_period_end": True})
    account.book.renew(id)
    assert (await sdk.v1.subscriptions.retrieve_async(id)).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.v1.subscriptions.update_async(id, {"cancel_at_period_end": False})
    assert [each["type"] for each in account.book.events if each["type"].startswith("customer.subscription")] == [
        "customer.subscription.created",
        "customer.subscription.updated",
        "customer.subscription.updated",
        "customer.subscription.updated",
        "customer.subscription.deleted",
    ]


async def test_half_a_period_is_prorated(account: Stripe, sdk: stripe.StripeClient) -> None:
    id = await subscribed(sdk, account)
    item = account.book.subscription(id)["items"]["data"][0]
    clock = account._clock
    assert isinstance(clock, Time)
    clock.at += (item["current_period_end"] - item["current_period_start"]) / 2
    await sdk.v1.subscriptions.update_async(id, {"items": [{"id": item["id"], "price": "price_business"}]})
    account.book.renew(id)
    latest = list(account.book.invoices.values())[-1]
    assert latest["total"] == -1450 + 9950 + 19900


async def upgrade(sdk: stripe.StripeClient, account: Stripe, id: str, price: str, **more: Any) -> stripe.Subscription:
    params: Any = {
        "items": [{"id": account.book.subscription(id)["items"]["data"][0]["id"], "price": price}],
        "proration_behavior": "always_invoice",
        **more,
    }
    return await sdk.v1.subscriptions.update_async(id, params)


async def test_a_change_is_billed_at_once_and_a_credit_pays_later_invoices(
    account: Stripe, sdk: stripe.StripeClient
) -> None:
    id = await subscribed(sdk, account)
    await upgrade(sdk, account, id, "price_business")
    await upgrade(sdk, account, id, "price_starter")
    account.book.renew(id)
    _, more, less, renewal = account.book.invoices.values()
    assert [each["billing_reason"] for each in (more, less)] == ["subscription_update"] * 2
    assert (more["total"], more["amount_paid"]) == (17000, 17000)
    assert (less["total"], less["amount_paid"], less["ending_balance"]) == (-17000, 0, -17000)
    assert (renewal["starting_balance"], renewal["amount_due"], renewal["ending_balance"]) == (-17000, 0, -14100)


@pytest.mark.parametrize("code", ["card_declined", "subscription_payment_intent_requires_action"])
async def test_a_change_that_is_an_error_if_it_is_not_paid(
    account: Stripe, sdk: stripe.StripeClient, code: str
) -> None:
    """Nothing is left of it: no invoice, no event, no line for the next invoice."""
    id = await subscribed(sdk, account)
    account.book.decline(id, code)
    before, events = copy.deepcopy(account.book.subscription(id)), len(account.book.events)
    with pytest.raises(stripe.CardError) as refused:
        await upgrade(
            sdk, account, id, "price_business", payment_behavior="error_if_incomplete", metadata={"hum_plan": "x"}
        )
    assert (refused.value.http_status, refused.value.code) == (402, code)
    assert (account.book.subscription(id), len(account.book.events)) == (before, events)
    account.book.pay(id)
    account.book.renew(id)
    assert list(account.book.invoices.values())[-1]["total"] == 2900


async def test_a_key_repeats_a_refused_payment(account: Stripe, sdk: stripe.StripeClient) -> None:
    id = await subscribed(sdk, account)
    account.book.decline(id)
    params: Any = {
        "items": [{"price": "price_seat", "quantity": 2}],
        "proration_behavior": "always_invoice",
        "payment_behavior": "error_if_incomplete",
    }
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            await sdk.v1.subscriptions.update_async(id, params, {"idempotency_key": "k"})
        account.book.pay(id)
    changed = await sdk.v1.subscriptions.update_async(id, params, {"idempotency_key": "l"})
    assert [each.price.id for each in changed["items"].data] == ["price_starter", "price_seat"]


async def test_a_change_that_is_not_paid_is_due_otherwise(account: Stripe, sdk: stripe.StripeClient) -> None:
    id = await subscribed(sdk, account)
    account.book.decline(id)
    changed = await upgrade(sdk, account, id, "price_business")
    assert (changed.status, changed["items"].data[0].price.id) == ("past_due", "price_business")
    assert [each["amount_due"] for each in account.book.open_invoices(id)] == [17000]
    with pytest.raises(stripe.InvalidRequestError):
        await upgrade(sdk, account, id, "price_starter", payment_behavior="pending_if_incomplete")


async def test_a_checkout_is_open_once(account: Stripe, sdk: stripe.StripeClient) -> None:
    await subscribed(sdk, account)
    (session,) = account.book.checkouts
    with pytest.raises(stripe.InvalidRequestError):
        await sdk.v1.checkout.sessions.expire_async(session)
    assert (await sdk.v1.checkout.sessions.retrieve_async(session)).status == "complete"


async def test_keys_repeat_the_first_answer_also_a_failure(account: Stripe, sdk: stripe.StripeClient) -> None:
    made = [await sdk.v1.customers.create_async({"name": "A"}, {"idempotency_key": "k"}) for _ in range(2)]
    assert made[0].id == made[1].id
    with pytest.raises(stripe.IdempotencyError):
        await sdk.v1.customers.create_async({"name": "B"}, {"idempotency_key": "k"})
    account.faults.plan("POST /v1/customers", StripeFault.FAILED)
    for _ in range(2):
        with pytest.raises(stripe.APIError):
            await sdk.v1.customers.create_async({"name": "C"}, {"idempotency_key": "l"})
    account.rest.forget_keys()
    assert (await sdk.v1.customers.create_async({"name": "B"}, {"idempotency_key": "k"})).id != made[0].id


@pytest.mark.parametrize(
    ("fault", "error", "made"),
    [
        (StripeFault.RATE_LIMITED, stripe.RateLimitError, 0),
        (StripeFault.FAILED, stripe.APIError, 0),
        (StripeFault.FAILED_AFTER, stripe.APIError, 1),
        (StripeFault.CUT, stripe.APIConnectionError, 0),
        (StripeFault.LOST, stripe.APIConnectionError, 1),
    ],
)
async def test_faults(
    account: Stripe, sdk: stripe.StripeClient, fault: StripeFault, error: type[Exception], made: int
) -> None:
    account.faults.plan("POST /v1/customers", fault)
    with pytest.raises(error):
        await sdk.v1.customers.create_async({"name": "A"})
    assert len(account.book.customers) == made
    await sdk.v1.customers.create_async({"name": "A"})


async def test_meters_count_an_identifier_once_for_a_day(account: Stripe, sdk: stripe.StripeClient) -> None:
    customer = (await sdk.v1.customers.create_async({})).id

    async def tell(value: int, identifier: str, **more: Any) -> None:
        payload = {"stripe_customer_id": customer, "value": str(value)}
        event: Any = {"event_name": "hum_minutes", "payload": payload, "identifier": identifier, **more}
        await sdk.v1.billing.meter_events.create_async(event)

    await tell(3, "a")
    with pytest.raises(stripe.InvalidRequestError, match="already exists with identifier a"):
        await tell(3, "a")
    for timestamp in (T0 - 36 * 24 * 3600, T0 + 600):
        with pytest.raises(stripe.InvalidRequestError):
            await tell(1, "b", timestamp=timestamp)
    assert account.book.metered("hum_minutes", customer) == 3
    meter = next(each for each in (await sdk.v1.billing.meters.list_async()).data if each.event_name == "hum_minutes")
    start = T0 // 3600 * 3600
    span = {"customer": customer, "start_time": start, "end_time": start + 3600}
    (summary,) = (await sdk.v1.billing.meters.event_summaries.list_async(meter.id, span)).data  # type: ignore[arg-type]
    assert summary.aggregated_value == 3
    clock = account._clock
    assert isinstance(clock, Time)
    clock.at += 24 * 3600 + 1
    await tell(3, "a")
    assert account.book.metered("hum_minutes", customer) == 6


async def test_events_are_signed_and_sent_until_they_are_taken(account: Stripe, sdk: stripe.StripeClient) -> None:
    taken, refusals = list[bytes](), 2

    async def take(request: Request) -> Response:
        nonlocal refusals
        body, header = await request.body(), request.headers["stripe-signature"]
        stripe.WebhookSignature.verify_header(body, header, SECRET)
        taken.append(body)
        refusals -= 1
        return Response(status_code=500 if refusals >= 0 else 200)

    async with serving(Starlette(routes=[Route("/hook", take, methods=["POST"])]), "127.0.0.1:0") as (host, port):
        account.webhook_url = f"http://{host}:{port}/hook"
        await sdk.v1.customers.create_async({})
        await account.deliver()
        await account.deliver()
    assert len(taken) == 3 and len(set(taken)) == 1
    event = stripe.Webhook.construct_event(taken[0], account.signature(taken[0]), SECRET)
    assert event.type == "customer.created"


async def test_nobody_else_may_ask(account: Stripe) -> None:
    stranger = stripe.StripeClient("sk_test_2", base_addresses={"api": account.url}, http_client=stripe.AIOHTTPClient())
    with pytest.raises(stripe.AuthenticationError):
        await stranger.v1.customers.create_async({})
    client = stranger._requestor._client
    assert client is not None
    await client.close_async()  # type: ignore[no-untyped-call]


def test_parameters() -> None:
    pairs = [("a", "1"), ("b[c]", "2"), ("d[0][e]", "3"), ("d[1][e]", "4"), ("f[]", "5"), ("f[]", "6"), ("g[]", "")]
    assert nested(pairs) == {"a": "1", "b": {"c": "2"}, "d": [{"e": "3"}, {"e": "4"}], "f": ["5", "6"], "g": [""]}
