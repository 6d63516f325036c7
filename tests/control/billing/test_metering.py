"""Usage for Stripe's meters: each hour once, whatever fails."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from control.billing import metering
from control.billing.metering import Metering
from hum.clock import now
from hum.contract.errors import PaymentError, PaymentRefused
from sandbox.stripe import StripeFault
from storage import billing
from storage.db import Db
from tests.control.billing.conftest import Desks
from tests.support import billing as stock
from tests.support.examples import sample

EVENTS = "POST /v1/billing/meter_events"
USE = """
    INSERT INTO usage_rollups AS r (org_id, quarter_at, flow_id, number_id, meter, item, basis, currency, quantity, cost)
    VALUES ($1, $2, $3, $3, $4, '', 'none', '', $5, 0)
    ON CONFLICT (org_id, quarter_at, flow_id, number_id, meter, item, basis, currency)
    DO UPDATE SET quantity = r.quantity + excluded.quantity
"""


def hours_ago(hours: float) -> datetime:
    return (now() - timedelta(hours=hours)).replace(minute=15, second=0, microsecond=0)


async def use(db: Db, org: UUID, at: datetime, minutes: int = 0, messages: int = 0) -> None:
    async with db.system() as tx:
        for meter, quantity in (("call_minutes", minutes), ("messages_sent", messages)):
            if quantity:
                await tx.execute(USE, org, at, UUID(int=0), meter, quantity)


@pytest.fixture
async def metered(desks: Desks) -> Desks:
    """An organization that subscribed two days ago."""
    await desks.subscribed()
    await desks.accounts.contract(desks.org)
    await begin_earlier(desks, timedelta(days=2))
    return desks


async def begin_earlier(desks: Desks, by: timedelta) -> None:
    async with desks.db.system() as tx:
        await tx.execute("UPDATE billing_accounts SET metered_from = metered_from - $1::interval", by)


def meter(desks: Desks) -> Metering:
    """A worker; each is a new one."""
    return Metering(desks.db, desks.client, stock.known(), desks.settings)


async def look(desks: Desks, again: float = 0.0) -> None:
    """A worker's look, at once; `again`: what is on its way since so many hours is asked about."""
    async with desks.db.system() as tx:
        await tx.execute("UPDATE billing_accounts SET meter_at = now()")
        await tx.execute(
            "UPDATE billing_meter_hours SET sending_at = sending_at - $1::interval", timedelta(hours=again)
        )
    await meter(desks).report_due()


def told(desks: Desks, event: str = "hum_minutes") -> int:
    (customer,) = desks.stripe.book.customers
    return desks.stripe.book.metered(event, customer)


async def test_each_hour_is_told_once(metered: Desks) -> None:
    at = hours_ago(5)
    await use(metered.db, metered.org, at, minutes=7, messages=2)
    await use(metered.db, metered.org, at + timedelta(hours=2), minutes=5)
    await use(metered.db, metered.org, now(), minutes=100)  # this hour is not over
    for _ in range(3):
        await look(metered)
    assert (told(metered), told(metered, "hum_messages")) == (12, 2)
    assert len(metered.stripe.book.meter_events) == 3
    first = metered.stripe.book.meter_events[0]
    assert datetime.fromtimestamp(first["timestamp"], UTC) == at.replace(minute=0)


async def test_what_comes_late_is_told_besides(metered: Desks) -> None:
    await use(metered.db, metered.org, hours_ago(5), minutes=7)
    await look(metered)
    await use(metered.db, metered.org, hours_ago(5), minutes=3)
    await look(metered)
    assert [each["payload"]["value"] for each in metered.stripe.book.meter_events] == ["7", "3"]
    assert len({each["identifier"] for each in metered.stripe.book.meter_events}) == 2


async def test_after_a_night_away_everything_is_told(metered: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    """More hours than one look takes, and none of them twice."""
    monkeypatch.setattr(metering, "HOURS", 8)
    await begin_earlier(metered, timedelta(days=10))
    for hours in range(2, 22):
        await use(metered.db, metered.org, hours_ago(10 * hours), minutes=1)
    for _ in range(3):
        await look(metered)
    assert told(metered) == 20
    assert len(metered.stripe.book.meter_events) == 20


async def test_nothing_before_the_subscription_is_told(desks: Desks) -> None:
    await use(desks.db, desks.org, hours_ago(30), minutes=9)
    await desks.subscribed()
    await desks.accounts.contract(desks.org)
    await look(desks)
    assert told(desks) == 0


@pytest.mark.sampled
@pytest.mark.parametrize(
    "fault",
    sample(
        [StripeFault.LOST, StripeFault.FAILED, StripeFault.FAILED_AFTER, StripeFault.CUT, StripeFault.RATE_LIMITED], 2
    ),
)
@pytest.mark.parametrize("hours", [1.0, 21.0, 45.0])
async def test_what_was_not_confirmed_is_told_once(metered: Desks, fault: StripeFault, hours: float) -> None:
    """Soon after, under the same identifier; when Stripe may have forgotten that, after asking it."""
    await use(metered.db, metered.org, hours_ago(4), minutes=7)
    metered.stripe.faults.plan(EVENTS, fault)
    await look(metered)
    metered.clock.at += hours * 3600  # Stripe's memory of identifiers ends by its own clock
    await look(metered, again=hours)
    await look(metered)
    assert told(metered) == 7


async def test_a_meter_that_refuses_is_asked_again(metered: Desks) -> None:
    """The operator has not made it for more than a week."""
    held = dict(metered.stripe.book.meters)
    metered.stripe.book.meters.clear()
    await begin_earlier(metered, timedelta(days=10))
    await use(metered.db, metered.org, hours_ago(200), minutes=7)
    await look(metered)
    assert told(metered) == 0
    metered.stripe.book.meters.update(held)
    await look(metered)
    assert told(metered) == 7


async def unconfirmed(desks: Desks, *hours: float) -> None:
    """Stripe has taken a minute and a message of these hours, and its answers were lost, two days ago."""
    for each in hours:
        await use(desks.db, desks.org, hours_ago(each), minutes=1, messages=1)
        for _ in range(2):
            desks.stripe.faults.plan(EVENTS, StripeFault.LOST)
            await look(desks)
    desks.clock.at += 45 * 3600
    async with desks.db.system() as tx:
        await tx.execute("UPDATE billing_meter_hours SET sending_at = sending_at - interval '45 hours'")


async def on_their_way(desks: Desks) -> list[tuple[str, datetime]]:
    async with desks.db.system() as tx:
        found = await tx.fetch(
            "SELECT resource, hour_at FROM billing_meter_hours WHERE sending IS NOT NULL ORDER BY 1, 2"
        )
    return [(row["resource"], row["hour_at"]) for row in found]


async def test_what_can_not_be_confirmed_holds_up_nothing_else(metered: Desks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is it told again: what Stripe refuses to say, it may have counted."""
    await unconfirmed(metered, 8, 6, 4)
    hours = [hours_ago(each).replace(minute=0) for each in (8, 6, 4)]
    assert len(await on_their_way(metered)) == 6
    ask = metered.client.meter_total

    async def refused(event: str, customer_id: str, hour_at: datetime) -> int:
        if hour_at in hours[:2]:
            raise PaymentRefused
        return await ask(event, customer_id, hour_at)

    monkeypatch.setattr(metered.client, "meter_total", refused)
    monkeypatch.setattr(metering, "RESENDS", 2)
    worker = meter(metered)
    for _ in range(3):
        await worker.report_due()
    assert {hour_at for _, hour_at in await on_their_way(metered)} == set(hours[:2])
    monkeypatch.setattr(metered.client, "meter_total", ask)
    for _ in range(4):
        await worker.report_due()
    assert await on_their_way(metered) == []
    assert (told(metered), told(metered, "hum_messages")) == (3, 3)


async def test_a_meter_that_is_not_in_the_file_any_more_holds_up_no_other(
    metered: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    await unconfirmed(metered, 6, 4)
    monkeypatch.setattr(metering, "RESENDS", 1)
    plans = stock.known()
    plans = plans.model_copy(update={"meters": {"messages": plans.meters["messages"]}})
    worker = Metering(metered.db, metered.client, plans, metered.settings)
    for _ in range(2):
        await worker.report_due()
    assert {resource for resource, _ in await on_their_way(metered)} == {"minutes"}


async def test_a_meter_is_found_among_many(metered: Desks) -> None:
    meters = metered.stripe.book.meters
    held = dict(meters)
    meters.clear()
    for n in range(250):
        metered.stripe.book.add_meter(f"other_{n}")
    meters.update(held)
    await unconfirmed(metered, 4)
    await look(metered)
    assert await on_their_way(metered) == []
    assert (told(metered), told(metered, "hum_messages")) == (1, 1)


async def test_a_meter_that_is_not_there_has_not_nothing(metered: Desks) -> None:
    """It may be archived, or another key's; 0 would mean that the hour is told again."""
    await unconfirmed(metered, 4)
    held = dict(metered.stripe.book.meters)
    metered.stripe.book.meters.clear()
    (customer,) = metered.stripe.book.customers
    with pytest.raises(PaymentError, match="no such meter"):
        await metered.client.meter_total("hum_minutes", customer, hours_ago(4).replace(minute=0))
    await look(metered)
    assert len(await on_their_way(metered)) == 2
    metered.stripe.book.meters.update(held)
    await look(metered)
    assert (await on_their_way(metered), told(metered)) == ([], 1)


async def test_two_workers_tell_it_once(metered: Desks) -> None:
    for hours in range(2, 12):
        await use(metered.db, metered.org, hours_ago(hours), minutes=hours)
    async with metered.db.system() as tx:
        await tx.execute("UPDATE billing_accounts SET meter_at = now()")
        (row,) = await billing.claim_due_reports(tx, timedelta(0), 10)
    await asyncio.gather(*(meter(metered)._report_organization(replace(row)) for _ in range(4)))
    assert told(metered) == sum(range(2, 12))
    assert len(metered.stripe.book.meter_events) == 10


# --- killed -------------------------------------------------------------------------------------------------------

WORKER = """
import asyncio, os, signal, sys
from control.billing import metering
from storage import billing
from storage.db import Db
from hum.settings import BillingSettings
from tests.support import billing as stock
from control.clients.stripe import StripePayments

url, api, step, number = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
count = 0

def killing(what, *, after):
    async def killed(*values, **more):
        global count
        count += 1
        if not after and count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        result = await what(*values, **more)
        if after and count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return killed

match step:
    case "before it is on its way": billing.begin_report = killing(billing.begin_report, after=False)
    case "in the transaction": billing.begin_report = killing(billing.begin_report, after=True)
    case "on its way": StripePayments.report_usage = killing(StripePayments.report_usage, after=False)
    case "answered": StripePayments.report_usage = killing(StripePayments.report_usage, after=True)
    case "recorded": billing.record_report = killing(billing.record_report, after=True)

async def main():
    settings = BillingSettings(stripe_api_key=stock.KEY, stripe_api_base=api)
    db = await Db.open(url)
    await metering.Metering(db, StripePayments.open(settings), stock.known(), settings).report_due()

asyncio.run(main())
"""
STEPS = ("before it is on its way", "in the transaction", "on its way", "answered", "recorded")


@pytest.mark.chaos
@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_that_is_killed_tells_nothing_twice(metered: Desks, database_url: str, step: str) -> None:
    """SIGKILL at the third hour of five, at each step; the next worker goes on."""
    for hours in range(2, 7):
        await use(metered.db, metered.org, hours_ago(hours), minutes=hours)
    async with metered.db.system() as tx:
        await tx.execute("UPDATE billing_accounts SET meter_at = now()")
    worker = [sys.executable, "-c", WORKER, database_url, metered.stripe.url, step, "3"]
    killed = await asyncio.to_thread(
        subprocess.run,
        worker,
        cwd=Path(__file__).parents[3],
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    before = told(metered)
    assert before < sum(range(2, 7))
    await look(metered, again=1.0)
    await look(metered)
    assert told(metered) == sum(range(2, 7))
    assert len(metered.stripe.book.meter_events) == 5
