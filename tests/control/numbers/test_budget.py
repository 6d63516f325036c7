"""What one organization asks the carrier about numbers leaves the carrier to the others."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from grpc import aio

from control.boundary.budget import Budget
from control.numbers.feature import CARRIER_BUDGET
from hum import ids
from hum.contract.errors import RateLimited
from hum.v1 import numbers_pb2 as pb
from tests.control.numbers.desk import Desk
from tests.support.waits import patience, until

ASKED = 100


@pytest.fixture
def limits() -> dict[str, float]:
    return {"rate_burst": 10_000, "organization_rate_burst": 10_000, "organization_wait_seconds": 0.3}


async def walk(desk: Desk) -> None:
    await desk.stub.ListAvailableNumbers(pb.ListAvailableNumbersRequest(country="US"), metadata=desk.who)


async def sync(desk: Desk) -> None:
    await desk.stub.SyncNumbers(pb.SyncNumbersRequest(), metadata=desk.who)


@pytest.mark.parametrize(("ask", "method"), [(walk, "offers"), (sync, "list_numbers")])
async def test_a_carrier_that_is_slow_is_asked_little_at_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, ask: Callable[[Desk], Awaitable[None]], method: str
) -> None:
    other, under_way, answering = Desk(desk.plane, await desk.plane.tenant("Other")), 0, asyncio.Event()
    real = getattr(desk.carrier, method)

    async def slow(*values: Any) -> Any:
        nonlocal under_way
        under_way += 1
        await answering.wait()
        return await real(*values)

    monkeypatch.setattr(desk.carrier, method, slow)
    asking = [asyncio.ensure_future(ask(desk)) for _ in range(ASKED)]
    async with patience():
        await until(lambda: under_way == CARRIER_BUDGET.in_flight)
        await asyncio.wait(asking, return_when=asyncio.FIRST_EXCEPTION)
        assert under_way == CARRIER_BUDGET.in_flight
        theirs = asyncio.ensure_future(ask(other))
        await until(lambda: under_way == CARRIER_BUDGET.in_flight + 1)
        answering.set()
        await theirs
        results = await asyncio.gather(*asking, return_exceptions=True)
    refused = [each for each in results if isinstance(each, aio.AioRpcError)]
    assert {each.code() for each in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert under_way <= CARRIER_BUDGET.burst + 1


async def test_a_walk_ends_at_the_budget_and_goes_on_slowly() -> None:
    at_ms = 0.0
    budgets, org = Budget(CARRIER_BUDGET, 1, lambda: at_ms), ids.new()

    async def ask() -> None:
        async with budgets.slot(org):
            pass

    for _ in range(CARRIER_BUDGET.burst):
        await ask()
    with pytest.raises(RateLimited) as refused:
        await ask()
    at_ms += float(refused.value.metadata["retry_after_seconds"]) * 1000
    await ask()
    with pytest.raises(RateLimited):
        await ask()
