"""An organization with a number, a flow and a media process that takes calls; and the dialler that a worker runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from google.protobuf.timestamp_pb2 import Timestamp

from control.outbound.dialdecision import OutboundLimits
from control.outbound.dialler import CallDialler, DialLimits
from hum import ids
from hum.ids import Kind
from hum.v1 import (
    calls_pb2,
    calls_pb2_grpc,
    flows_pb2,
    flows_pb2_grpc,
    outbound_pb2_grpc,
    runtime_pb2,
    runtime_pb2_grpc,
)
from hum.v1 import outbound_pb2 as pb
from storage import media_links
from storage.media_links import NodeState
from tests.control.conftest import Plane

CALLEE = "+13175550199"
PACE = DialLimits(
    calls_per_second=1000.0,
    of_accounts={},
    our_account="AC0",
    width=8,
    pause_seconds=0.05,
    retry_seconds=0.0,
    request_seconds=2.0,
    look_up=timedelta(seconds=2.0),
    ring_slack_seconds=1.0,
    silent=timedelta(seconds=60),
)
LIMITS = OutboundLimits(live_calls=50, a_day=1000, a_day_to_one=20, patience=timedelta(hours=1), pause_seconds=0.0)
NODE = "media-1"


class Desk:
    def __init__(self, plane: Plane, **pace: Any) -> None:
        self.plane, self.db, self.carrier = plane, plane.control.db, plane.carrier
        self.pace, self.limits = replace(PACE, **pace), LIMITS
        self.link = ids.new()
        self.outbound = outbound_pb2_grpc.OutboundServiceStub(plane.channel)
        self.calls = calls_pb2_grpc.CallsServiceStub(plane.channel)
        self.webhooks = runtime_pb2_grpc.PlacedCallsServiceStub(plane.channel)
        self.gateway = plane.node("gateway", "gateway-1")

    async def set_up(self, **flow: Any) -> None:
        self.who = await self.plane.tenant()
        self.flow, self.number = await self.line(self.who, "+13175550100", **flow)
        async with self.db.system() as tx:
            await media_links.open(tx, NODE, self.link, NodeState(beat=timedelta(hours=1)))

    async def line(self, who: Any, e164: str, **flow: Any) -> tuple[str, str]:
        """A flow and a number that it answers."""
        made = await flows_pb2_grpc.FlowsServiceStub(self.plane.channel).CreateFlow(
            flows_pb2.CreateFlowRequest(flow=flows_pb2.Flow(name="F", **flow)), metadata=who
        )
        async with self.db.system() as tx:
            number = ids.new()
            await tx.execute(
                """INSERT INTO numbers (id, org_id, e164, carrier_sid, capabilities, flow_id)
                   SELECT $1, f.org_id, $2, 'PN' || $2, '{voice}', f.id FROM flows f WHERE f.id = $3""",
                number,
                e164,
                ids.require(Kind.FLOW, made.flow.id),
            )
        return made.flow.id, ids.show(Kind.NUMBER, number)

    def dialler(self, **pace: Any) -> CallDialler:
        return CallDialler(self.db, self.carrier, "https://hum.example", replace(self.pace, **pace), self.limits)

    async def order(self, to: str = CALLEE, *, metadata: Any = None, key: str = "", **fields: Any) -> pb.OutboundCall:
        who = metadata or self.who
        request = pb.PlaceCallRequest(to=to, **{"flow_id": self.flow, **fields})
        sent = (*who, ("idempotency-key", key)) if key else who
        return (await self.outbound.PlaceCall(request, metadata=sent)).call

    async def get(self, call: pb.OutboundCall) -> pb.OutboundCall:
        return (await self.outbound.GetOutboundCall(pb.GetOutboundCallRequest(id=call.id), metadata=self.who)).call

    async def state(self, call: pb.OutboundCall) -> tuple[str, str, list[str]]:
        """Status, reason, and the attempts' statuses."""
        found = await self.get(call)
        status = calls_pb2.CallStatus.Name(found.status).removeprefix("CALL_STATUS_").lower()
        return status, found.end_reason, [each.status for each in found.attempts]

    # -- what the carrier says

    def attempt(self, sid: str) -> str:
        """The attempt that a call at the carrier names in its URLs."""
        return self.carrier.placed[sid].url.partition("#")[0].rpartition("/")[2]

    async def says(self, sid: str, status: str, **fields: str) -> None:
        told: dict[str, Any] = {"attempt_id": self.attempt(sid), "to_e164": self.carrier.placed[sid].to_e164, **fields}
        await self.webhooks.ReportPlacedCall(
            runtime_pb2.ReportPlacedCallRequest(call_sid=sid, carrier_status=status, **told), metadata=self.gateway
        )

    async def answers(self, sid: str, **fields: str) -> runtime_pb2.CarrierStep:
        told: dict[str, Any] = {"attempt_id": self.attempt(sid), "to_e164": self.carrier.placed[sid].to_e164, **fields}
        request = runtime_pb2.AnswerPlacedCallRequest(call_sid=sid, **told)
        return (await self.webhooks.AnswerPlacedCall(request, metadata=self.gateway)).step

    # -- time

    async def later(self, call: pb.OutboundCall, seconds: float) -> None:
        """Let time pass for an order and its attempts."""
        id = ids.require(Kind.CALL, call.id)
        async with self.db.system() as tx:
            passed = timedelta(seconds=seconds)
            await tx.execute("UPDATE outbound_calls SET due_at = due_at - $2::interval WHERE call_id = $1", id, passed)
            await tx.execute(
                """UPDATE outbound_attempts SET started_at = started_at - $2::interval,
                                                looked_at = looked_at - $2::interval WHERE call_id = $1""",
                id,
                passed,
            )

    async def paces(self) -> None:
        """The carrier may be asked again."""
        async with self.db.system() as tx:
            await tx.execute("UPDATE carrier_paces SET next_at = now()")

    async def is_silent(self) -> None:
        async with self.db.system() as tx:
            await media_links.close(tx, NODE, self.link)


def at(moment: datetime) -> Timestamp:
    sent = Timestamp()
    sent.FromDatetime(moment.astimezone(UTC))
    return sent


def call_id(call: pb.OutboundCall) -> UUID:
    return ids.require(Kind.CALL, call.id)
