"""Fixed sentences are rendered once, and only so many a day."""

from datetime import UTC, datetime

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from control.flows.choices import Choices
from control.flows.jobs import NoMoreToday, render_clips
from hum import ids
from hum.ids import Kind
from hum.v1 import flows_pb2 as pb
from hum.v1 import flows_pb2_grpc
from tests.control.conftest import Plane

LIMIT = 20


class Voice:
    """A model that speaks, and keeps what it was asked to say."""

    speech_model = "voice"

    def __init__(self) -> None:
        self.said = list[str]()

    async def synthesize(self, voice: str, text: str) -> bytes:
        self.said.append(text)
        return b"\xff" * 800


async def test_a_greeting_that_changes_all_day_is_rendered_so_often_and_no_more(plane: Plane) -> None:
    stub, me = flows_pb2_grpc.FlowsServiceStub(plane.channel), await plane.tenant()
    flow = (await stub.CreateFlow(pb.CreateFlowRequest(flow=pb.Flow(name="F", greeting="0")), metadata=me)).flow
    async with plane.control.db.system() as tx:
        org = await tx.fetchval("SELECT org_id FROM flows")
    id, voice, choices = ids.require(Kind.FLOW, flow.id), Voice(), Choices.of(plane.settings)

    async def greet(text: str) -> None:
        change = pb.UpdateFlowRequest(
            id=flow.id, flow=pb.Flow(greeting=text), update_mask=FieldMask(paths=["greeting"])
        )
        await stub.UpdateFlow(change, metadata=me)
        await render_clips(plane.control.db, voice, choices, LIMIT, org, id)

    for n in range(LIMIT):
        await greet(str(n % 3))
    assert len(voice.said) == len(set(voice.said)) < LIMIT, "what was said once is known"
    with pytest.raises(NoMoreToday) as refused:
        for n in range(LIMIT):
            await greet(f"Hello {n}")
    assert len(voice.said) == LIMIT
    at = datetime.now(UTC)
    assert 0 < refused.value.retry_after_seconds <= 86_400 - 3600 * at.hour + 3600
    await greet("0")  # costs nothing
