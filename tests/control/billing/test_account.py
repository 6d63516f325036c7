"""The customer, made once; the subscription, the same in whatever order its events come."""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from control.base.subscriptions import Contract
from control.billing.account import Accounts
from control.clients.stripe import StripePayments as Client
from hum.contract.errors import PaymentError
from sandbox.stripe import Book, StripeFault
from sandbox.stripe.shapes import Json
from storage import billing
from storage.billing import AccountRow
from tests.control.billing.conftest import Desks
from tests.support import billing as stock
from tests.support.examples import sample

Step = Callable[[Book, str], None]
CUSTOMERS = "POST /v1/customers"


def renew(book: Book, id: str) -> None:
    book.renew(id)


def fail(book: Book, id: str) -> None:
    book.renew(id, pays=False)


def upgrade(book: Book, id: str) -> None:
    item = book.subscription(id)["items"]["data"][0]["id"]
    book.update_subscription(id, {"items": [{"id": item, "price": "price_business"}]})


def cancel(book: Book, id: str) -> None:
    book.update_subscription(id, {"cancel_at_period_end": "true"})


#: What becomes of a subscription after it was paid for the first time.
HISTORIES: dict[str, Sequence[Step]] = {
    "pays": (renew,),
    "fails and pays": (fail, Book.pay),
    "fails for good": (fail, Book.give_up),
    "upgrades and cancels": (upgrade, cancel, renew),
}
every_history = pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)


def lasting(row: AccountRow) -> AccountRow:
    """Without what counts the fetches."""
    return replace(row, fetches=0, applied=0, notices=0)


#: docs/billing.md has an operator choose these.
HEARD = ("customer.subscription.", "invoice.paid", "invoice.payment_failed")


def heard(events: Sequence[Json]) -> list[Json]:
    """Those that change something about a subscription."""
    return [each for each in events if each["type"].startswith(HEARD)]


def orders(events: Sequence[Json]) -> Iterator[list[Json]]:
    """Every permutation of them, each with one event repeated in its middle and at its end."""
    for index, order in enumerate(itertools.permutations(events)):
        repeated, middle = order[index % len(order)], len(order) // 2
        yield [*order[:middle], repeated, *order[middle:], repeated]


async def take(desks: Desks, event: Json) -> None:
    held = event["data"]["object"]
    await desks.accounts.schedule_fetch(event["id"], event["type"], held.get("customer") or held["id"])


async def in_every_order(desks: Desks, history: Sequence[Step], every: int) -> None:
    """Take the events of a history in every `every`th order, with a worker that fetches somewhere in between."""
    made = await desks.subscribed()
    for step in history:
        step(desks.stripe.book, made["id"])
    found = set[AccountRow]()
    for number, order in enumerate(itertools.islice(orders(heard(desks.stripe.book.events)), 0, None, every)):
        async with desks.db.system() as tx:
            await tx.execute("DELETE FROM billing_events")
            await tx.execute("UPDATE billing_accounts SET subscription_id = NULL, status = NULL, fetch_at = NULL")
        for place, event in enumerate(order):
            await take(desks, event)
            if place == number % len(order):
                await desks.accounts.fetch_due()
        await desks.accounts.fetch_due()
        found.add(lasting(await desks.row()))
    (row,) = found
    assert row.status == desks.stripe.book.subscription(made["id"])["status"]


@every_history
async def test_the_order_and_repetition_of_events_do_not_matter(desks: Desks, history: Sequence[Step]) -> None:
    await in_every_order(desks, history, every=23)


@pytest.mark.fuzz
@every_history
async def test_every_order_of_every_history(desks: Desks, history: Sequence[Step]) -> None:
    await in_every_order(desks, history, every=1)


class Held(Client):
    """The SDK's client, whose answers arrive when a test says so."""

    def __init__(self, client: Client) -> None:
        self.inner, self.waiting = client, list[asyncio.Future[None]]()

    async def contracts(self, customer_id: str) -> list[Contract]:
        found = await self.inner.contracts(customer_id)
        arrival = asyncio.get_running_loop().create_future()
        self.waiting.append(arrival)
        await arrival
        return found

    async def unpaid_since(self, subscription_id: str) -> datetime | None:
        return await self.inner.unpaid_since(subscription_id)


@every_history
@pytest.mark.sampled
@pytest.mark.parametrize("seed", sample(range(4), 2))
async def test_fetches_that_overlap_changes_and_each_other(desks: Desks, history: Sequence[Step], seed: int) -> None:
    """Steps at Stripe, deliveries in any order, fetches that begin, and answers that arrive, in a random order; at last everything is
    delivered and fetched, and the row is what Stripe has.
    """
    chance, held = random.Random(seed), Held(desks.client)
    accounts = Accounts(desks.db, held, stock.known(), desks.settings)
    made = await desks.subscribed()
    steps, fetching, delivered = list(history), list[asyncio.Task[int]](), set[str]()

    def undelivered() -> list[Json]:
        return [each for each in heard(desks.stripe.book.events) if each["id"] not in delivered]

    async def begin() -> None:
        before = len(held.waiting)
        fetching.append(asyncio.create_task(accounts.fetch_due()))
        while len(held.waiting) == before and not fetching[-1].done():
            await asyncio.sleep(0.001)

    async def deliver() -> None:
        event = chance.choice(undelivered())
        delivered.add(event["id"])
        await take(desks, event)

    while steps or undelivered():
        match chance.randrange(4):
            case 0 if steps:
                steps.pop(0)(desks.stripe.book, made["id"])
            case 1 if undelivered():
                await deliver()
            case 2:
                await begin()
            case 3 if held.waiting:
                held.waiting.pop(chance.randrange(len(held.waiting))).set_result(None)
    while not all(each.done() for each in fetching):
        if held.waiting:
            held.waiting.pop(chance.randrange(len(held.waiting))).set_result(None)
        await asyncio.sleep(0.001)
    while await desks.accounts.fetch_due():
        pass
    known = lasting(await desks.row())
    await desks.accounts.contract(desks.org)
    assert known == lasting(await desks.row())
    assert known.status == desks.stripe.book.subscription(made["id"])["status"]


@every_history
async def test_late_events_of_each_step_lead_to_the_last(desks: Desks, history: Sequence[Step]) -> None:
    """Events come while the history goes on, each of them late, and last of all the first."""
    made = await desks.subscribed()
    for step in history:
        await take(desks, heard(desks.stripe.book.events)[-1])
        await desks.accounts.fetch_due()
        step(desks.stripe.book, made["id"])
    for event in reversed(heard(desks.stripe.book.events)):
        await take(desks, event)
        await desks.accounts.fetch_due()
    at_stripe, row = desks.stripe.book.subscription(made["id"]), await desks.row()
    assert (row.status, row.subscription_id) == (at_stripe["status"], made["id"])
    assert row.period_ends_at is not None
    assert row.period_ends_at.timestamp() == at_stripe["items"]["data"][0]["current_period_end"]


async def test_a_fetch_that_was_overtaken_changes_nothing(desks: Desks) -> None:
    """Two fetches begin; the later one sees the end, and ends first."""
    made = await desks.subscribed()
    async with desks.db.tenant(desks.org) as tx:
        slow = await billing.begin_fetch(tx, desks.org, timedelta(seconds=30))
    assert slow is not None
    desks.stripe.book.end(made["id"])
    await desks.accounts.contract(desks.org)
    assert (await desks.row()).status == "canceled"
    desks.stripe.book.subscription(made["id"])["status"] = "active"  # as it was when the slow one asked
    await desks.accounts._fetch(slow)
    assert (await desks.row()).status == "canceled"


async def test_a_change_during_a_fetch_is_fetched_again(desks: Desks) -> None:
    made = await desks.subscribed()
    async with desks.db.tenant(desks.org) as tx:
        begun = await billing.begin_fetch(tx, desks.org, timedelta(seconds=30))
    assert begun is not None
    await take(desks, desks.stripe.book.events[-1])
    await desks.accounts._fetch(begun)
    desks.stripe.book.end(made["id"])
    assert await desks.accounts.fetch_due() == 1
    assert (await desks.row()).status == "canceled"
    assert await desks.accounts.fetch_due() == 0


async def test_an_event_of_somebody_elses_customer_is_nobodys(desks: Desks) -> None:
    await desks.accounts.customer(desks.org)
    await desks.accounts.fetch_due()
    await desks.accounts.schedule_fetch("evt_1", "customer.updated", "cus_of_another_product")
    assert await desks.accounts.fetch_due() == 0


# --- the customer -------------------------------------------------------------------------------------------------


async def test_ten_requests_at_once_make_one_customer(desks: Desks) -> None:
    found = await asyncio.gather(*(desks.accounts.customer(desks.org) for _ in range(10)))
    assert len(set(found)) == 1
    assert list(desks.stripe.book.customers) == [found[0]]


@pytest.mark.parametrize("fault", [StripeFault.LOST, StripeFault.FAILED_AFTER, StripeFault.FAILED, StripeFault.CUT])
@pytest.mark.parametrize("billing_settings", [{"stripe_look_seconds": 1e-6}])
async def test_a_customer_whose_answer_was_lost_is_found_again(desks: Desks, fault: StripeFault) -> None:
    """Also after Stripe has forgotten the key."""
    desks.stripe.faults.plan(CUSTOMERS, fault)
    with pytest.raises(PaymentError):
        await desks.accounts.customer(desks.org)
    desks.stripe.rest.forget_keys()
    found = await desks.accounts.customer(desks.org)
    assert list(desks.stripe.book.customers) == [found]


async def test_until_the_search_has_caught_up_nobody_is_made(desks: Desks) -> None:
    desks.stripe.faults.plan(CUSTOMERS, StripeFault.LOST)
    for _ in range(2):
        with pytest.raises(PaymentError):
            await desks.accounts.customer(desks.org)
    assert len(desks.stripe.book.customers) == 1


async def test_the_sdk_repeats_a_lost_request_with_its_key(desks: Desks) -> None:
    async with stock.client(desks.stripe, stripe_retries=2) as patient:
        desks.stripe.faults.plan(CUSTOMERS, StripeFault.LOST)
        found = await patient.make_customer(desks.org, "Clinic", "one")
    assert list(desks.stripe.book.customers) == [found]
