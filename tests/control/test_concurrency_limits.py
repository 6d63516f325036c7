"""One organization's requests leave room for the others'."""

import asyncio
from uuid import UUID

import grpc
import pytest
from grpc import aio

from control.base.rates import Rates
from control.boundary import RateLimits, authentication, requestconcurrency
from control.boundary.requestconcurrency import ConcurrencyLimits
from control.identity import usecases as identity
from hum import ids
from hum.contract.errors import RateLimited
from hum.contract.principal import Principal
from hum.v1 import flows_pb2, flows_pb2_grpc, runtime_pb2, runtime_pb2_grpc
from tests.control.conftest import Plane, bearer

ONE, OTHER = ids.new(), ids.new()


async def hold(limits: ConcurrencyLimits, organization: UUID, release: asyncio.Event, inside: list[UUID]) -> None:
    async with limits.enter(organization):
        inside.append(organization)
        await release.wait()


async def test_so_many_at_once_and_others_beside_them() -> None:
    limits, release, inside = ConcurrencyLimits(2, 30), asyncio.Event(), list[UUID]()
    tasks = [asyncio.create_task(hold(limits, ONE, release, inside)) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert inside == [ONE, ONE]
    async with limits.enter(OTHER):
        release.set()
    await asyncio.gather(*tasks)
    assert inside == [ONE] * 5
    assert limits._organizations == {}


async def test_who_waits_too_long_is_refused_and_leaves_nothing() -> None:
    limits, release = ConcurrencyLimits(1, 0.05), asyncio.Event()
    holder = asyncio.create_task(hold(limits, ONE, release, []))
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await asyncio.wait_for(hold(limits, ONE, release, []), 30)
    waiting = asyncio.create_task(hold(limits, ONE, release, []))
    await asyncio.sleep(0)
    waiting.cancel()
    release.set()
    await holder
    async with limits.enter(ONE):
        pass
    assert limits._organizations == {}


async def test_only_so_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requestconcurrency, "QUEUED_PER_SLOT", 2)
    limits, release = ConcurrencyLimits(1, 30, "messages"), asyncio.Event()
    tasks = [asyncio.create_task(hold(limits, ONE, release, [])) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited, match="More than 1 messages of this organization are in flight"):
        await asyncio.wait_for(hold(limits, ONE, release, []), 30)
    release.set()
    await asyncio.gather(*tasks)


def test_known_credentials_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "MAX_RECENT_CREDENTIALS", 2)
    limits = RateLimits(Rates(1, 1), Rates(1, 1), Rates(1, 1), Rates(1, 1))
    admitting = authentication.Authentication(None, [bytes(32)], limits, ConcurrencyLimits(1, 1), lambda: 0.0)  # type: ignore[arg-type]
    principal = Principal(ONE, "admin", (), ids.new(), None, None, "k")
    for name in (b"a", b"b", b"a", b"c"):
        admitting._cache(name, principal)
    assert list(admitting._recent) == [b"a", b"c"]


@pytest.fixture
def limits() -> dict[str, float]:
    return {"rate_burst": 10_000, "organization_requests": 3, "organization_wait_seconds": 1.0, "lock_seconds": 300}


async def test_an_organization_that_waits_for_a_lock_takes_nobody_elses_connections(plane: Plane) -> None:
    """Forty requests of two keys, on a lock that is held: others are answered, calls too, and the forty are refused."""
    db = plane.control.db
    org = await identity.create_organization(db, "Noisy", "owner@noisy.example")
    keys = [bearer((await identity.issue_key(db, org, "k", "admin", []))[1]) for _ in range(2)]
    other, stub = await plane.tenant("Quiet"), flows_pb2_grpc.FlowsServiceStub(plane.channel)
    flow = (await stub.CreateFlow(flows_pb2.CreateFlowRequest(flow=flows_pb2.Flow(name="F")), metadata=keys[0])).flow
    change = flows_pb2.UpdateFlowRequest(id=flow.id, flow=flows_pb2.Flow(name="G"))
    change.update_mask.paths.append("name")
    async with db.system() as tx:
        await tx.execute("SELECT id FROM flows FOR UPDATE")
        stuck = [asyncio.ensure_future(stub.UpdateFlow(change, metadata=keys[n % 2])) for n in range(40)]
        await asyncio.sleep(0.2)
        await stub.ListFlows(
            flows_pb2.ListFlowsRequest(), metadata=other, timeout=60
        )  # or they would wait for the lock
        ingress = runtime_pb2_grpc.IngressServiceStub(plane.channel)
        ring = runtime_pb2.RouteCallRequest(call_sid="CA1", from_e164="+13175550199", to_e164="+13175550100")
        await ingress.RouteCall(ring, metadata=plane.node("gateway"), timeout=30)
        done, _ = await asyncio.wait(stuck, timeout=30, return_when=asyncio.FIRST_COMPLETED)
        refused = next(iter(done)).exception()
        assert isinstance(refused, aio.AioRpcError)
        assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    results = await asyncio.gather(*stuck, return_exceptions=True)
    assert len([each for each in results if not isinstance(each, BaseException)]) >= 3
