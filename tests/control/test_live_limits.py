"""A call that another agent takes over is no longer followed by those who see only the first one's calls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from control.calls.live import LiveCall
from control.livecall.channels import DELTAS
from hum import ids
from hum.contract.principal import Limits
from hum.ids import Kind
from hum.v1 import runtime_pb2
from storage.db import LIMITS
from tests.storage.conftest import Two, two_organizations


@pytest.fixture
async def two(database_url: str) -> AsyncIterator[Two]:
    async with two_organizations(database_url) as made:
        yield made


class Bus:
    """A bus of one process."""

    def __init__(self) -> None:
        self.subscribers = dict[Any, Callable[[Any], None]]()

    def subscribe(self, channel: Any, subscriber: Callable[[Any], None]) -> Callable[[], None]:
        self.subscribers[channel] = subscriber
        return lambda: None

    async def publish(self, channel: Any, message: Any) -> bool:
        return True


async def test_words_of_an_agent_that_is_not_seen_reach_nobody(two: Two) -> None:
    call, seen, hidden = ids.new(), ids.new(), ids.new()
    async with two.db.system() as tx:
        for flow in (seen, hidden):
            await tx.execute(
                "INSERT INTO flows (id, org_id, channel, version) VALUES ($1, $2, 'voice', 1)", flow, two.mine
            )
        await tx.execute(
            "INSERT INTO calls (id, org_id, direction, status, from_e164, to_e164, flow_id, flow_version, agent_flow_id, agent_flow_version)"
            " VALUES ($1, $2, 'inbound', 'in_progress', '+13175550100', '+13175550101', $3, 1, $4, 1)",
            call,
            two.mine,
            hidden,
            seen,
        )
    bus = Bus()
    token = LIMITS.set(Limits((), (seen,)))
    try:
        events = LiveCall(two.db, bus, asyncio.Event(), two.mine, call).events(0)  # type: ignore[arg-type]
        first = asyncio.ensure_future(anext(events))
        while DELTAS not in bus.subscribers:
            await asyncio.sleep(0)
        bus.subscribers[DELTAS](words(ids.show(Kind.CALL, call), "seen"))
        assert (await first).delta.text == "seen"
        async with two.db.system() as tx:
            await tx.execute("UPDATE calls SET agent_flow_id = $2 WHERE id = $1", call, hidden)
        bus.subscribers[DELTAS](words(ids.show(Kind.CALL, call), "hidden"))
        assert [event async for event in events] == []
    finally:
        LIMITS.reset(token)


def words(call: str, text: str) -> runtime_pb2.CallDeltas:
    delta = runtime_pb2.CallDelta(call_id=call, stream_number=1)
    delta.delta.text = text
    delta.delta.item_id = text
    return runtime_pb2.CallDeltas(deltas=[delta])
