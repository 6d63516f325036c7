"""The rates and delays of outbound and inbound texts, on running processes: campaigns, conversations, webhooks.

Each figure is measured at the carrier's or the client's end of a socket; CPU is the kernel's account of each plane's processes.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import aiohttp
import numpy as np

from control.texts import writing
from control.texts.writing import TextDraft
from hum import ids
from hum.clock import now
from hum.ids import Kind
from sandbox.twilio import Fault, sign
from storage import conversations
from storage.db import Db
from tests.support.runningplatform import ACCOUNT, NUMBER, TOKEN, Platform
from tests.support.waits import until

ALWAYS = 1 << 30
POLL_SECONDS = 0.2
WAIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Figure:
    what: str
    value: float
    unit: str
    target: float | None = None
    more: str = ""


def cpu_between(before: Mapping[str, float], after: Mapping[str, float], count: int) -> str:
    """Format the CPU time in ms per item, by plane."""
    return ", ".join(f"{plane} {1000 * (after[plane] - before[plane]) / count:.1f}" for plane in after)


def percentiles(ms: list[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(ms, (50, 99))
    return float(p50), float(p99)


# --- campaigns ----------------------------------------------------------------------------------------------------


async def campaign(platform: Platform, first: int, count: int, *, callbacks: bool) -> Figure:
    """Run a campaign without a throttle; measure from the first request at the carrier to the last."""
    book = platform.carrier.texting.book
    if not callbacks:
        platform.carrier.inject_faults(Fault("message_callback", "never", times=ALWAYS))
    contacts = [{"contact_e164": f"+1317{5000000 + first + n}"} for n in range(count)]
    body = {"name": "speed", "twilio_number_id": platform.number, "body_template": "Hello, it is time to refill."}
    created = await platform.ask("POST", "/api/sms/campaigns", json=body)
    path = f"/api/sms/campaigns/{created['id']}"
    for chunk in range(0, count, 2000):
        await platform.ask("POST", f"{path}/recipients", json={"recipients": contacts[chunk : chunk + 2000]})
    before, cpu_before = book.requests_in_all, platform.cpu_seconds()
    await platform.ask("POST", f"{path}/launch")
    await until(lambda: book.requests_in_all >= before + count, POLL_SECONDS, WAIT_SECONDS)
    if callbacks:
        await platform.carrier.texts_settled()
    cpu = cpu_between(cpu_before, platform.cpu_seconds(), count)
    times = [request.at_monotonic for request in list(book.requests)[-count:]]
    platform.carrier.exchange.faults.pending.clear()
    rate = (count - 1) / (max(times) - min(times))
    what = f"campaign of {count}, one worker, callbacks {'with them' if callbacks else 'held back'}"
    return Figure(what, rate, "recipients/s", 120 if callbacks else 300, f"CPU ms a text: {cpu}")


# --- conversations ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def writer(platform: Platform) -> AsyncIterator[Db]:
    db = await Db.open(platform.database_url, size=8)
    try:
        yield db
    finally:
        await db.close()


async def lag(platform: Platform, first: int, count: int, per_second: float) -> list[Figure]:
    """Send texts in `count` conversations; measure from when each is due until the carrier has its request."""
    book, org, number = (
        platform.carrier.texting.book,
        await organization(platform),
        ids.require(Kind.NUMBER, platform.number),
    )
    due = dict[str, float]()
    async with writer(platform) as db:

        async def write(contact: str) -> None:
            async with db.tenant(org) as tx:
                conversation = await conversations.find_or_create(tx, ids.new(), org, number, NUMBER, contact, None)
                draft = TextDraft("Your table is ready.", "api", honors_hours=False)
                await writing.write(tx, conversation[0], draft, now())
            # Due from its commit on: before, no other process can see it.
            due[contact] = asyncio.get_running_loop().time()

        contacts = [f"+1317{6000000 + first + n}" for n in range(count)]
        before = book.requests_in_all
        await paced(contacts, per_second, write)
        await until(lambda: book.requests_in_all >= before + count, POLL_SECONDS, WAIT_SECONDS)
    lags = [1000 * (request.at_monotonic - due[request.to]) for request in list(book.requests)[-count:]]
    p50, p99 = percentiles(lags)
    what = f"due → carrier, {count} conversations, {per_second:.0f} texts/s"
    return [Figure(f"{what}, p50", p50, "ms"), Figure(f"{what}, p99", p99, "ms", 250)]


async def organization(platform: Platform) -> UUID:
    return ids.require(Kind.ORGANIZATION, (await platform.ask("GET", "/api/me"))["organization"]["id"])


async def paced(items: list[str], per_second: float, do: Callable[[str], Any]) -> None:
    """Run `do` for each item at its time, whether or not the earlier ones are done."""
    began = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for n, item in enumerate(items):
            await asyncio.sleep(max(0.0, began + n / per_second - asyncio.get_running_loop().time()))
            group.create_task(do(item))


# --- webhooks -----------------------------------------------------------------------------------------------------


async def inbound(platform: Platform, first: int, count: int, per_second: float) -> list[Figure]:
    """Send inbound texts through the gateway; measure from each scheduled time until the response."""
    url = str(platform.http.base_url) + "/twilio/sms"
    requests = dict[str, tuple[str, str]]()
    for n in range(first, first + count):
        form = {
            "MessageSid": f"SM{n:032x}", "AccountSid": ACCOUNT, "From": f"+1317{7000000 + n}", "To": NUMBER,
            "Body": "Is my order ready?", "NumMedia": "0", "NumSegments": "1",
        }  # fmt: skip
        requests[form["From"]] = urlencode(form), sign(TOKEN, url, list(form.items()))
    took = list[float]()
    loop = asyncio.get_running_loop()
    # Twilio reuses connections; more than it would need are allowed, so that no request waits for one here.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as client:

        async def post(sender: str) -> None:
            began = loop.time()
            body, signature = requests[sender]
            headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
            async with client.post(url, data=body, headers=headers) as answer:
                assert answer.status == HTTPStatus.OK, await answer.text()
            took.append(1000 * (loop.time() - began))

        senders = list(requests)
        # Warm up: open the connections and run the code once.
        await paced(senders[: count // 10], per_second / 2, post)
        took.clear()
        cpu_before, began = platform.cpu_seconds(), time.monotonic()
        await paced(senders[count // 10 :], per_second, post)
        reached = len(took) / (time.monotonic() - began)
    cpu = cpu_between(cpu_before, platform.cpu_seconds(), len(took))
    p50, p99 = percentiles(took)
    what = f"inbound webhook at {per_second:.0f}/s"
    return [
        Figure(f"{what}, p50", p50, "ms", more=f"{reached:.0f}/s reached; CPU ms a text: {cpu}"),
        Figure(f"{what}, p99", p99, "ms", 50),
    ]
