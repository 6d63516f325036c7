"""Calls of the command line to control, as the deployment's operator."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from grpc import aio

from hum import rpc
from hum.contract import wire
from hum.process import home
from hum.refusal import refuse
from hum.settings import UpSettings
from hum.v1 import calls_pb2, options_pb2, runtime_pb2, runtime_pb2_grpc


@dataclass(frozen=True, slots=True)
class Operator:
    """A channel to control, with the identity of an operator."""

    address: str
    stub: "runtime_pb2_grpc.AdminServiceAsyncStub"
    _identity: rpc.NodeIdentity

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return (self._identity.metadata(),)

    async def follow(self, call_id: str = "", *, call_sid: str = "") -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield a call's events until it is over, as (name, data) in REST's form.  Raises AioRpcError."""
        request = runtime_pb2.FollowCallRequest(call_id=call_id, call_sid=call_sid)
        async for response in self.stub.FollowCall(request, metadata=self.metadata):
            if (member := response.event.WhichOneof("event")) is not None:
                yield _name(member), json.loads(wire.write(getattr(response.event, member)))


def _name(member: str) -> str:
    field = calls_pb2.StreamCallResponse.DESCRIPTOR.fields_by_name[member]
    return str(field.GetOptions().Extensions[options_pb2.sse_event])


@asynccontextmanager
async def operator(settings: UpSettings, name: str = "hum-admin") -> AsyncIterator[Operator]:
    """Connect to the control of this machine (`run.json`), else of the settings; `name` appears in its log."""
    address = home.read_run(settings.home).get("control_address", settings.control_address)
    if not settings.node_key and not (settings.home / "node.key").exists():  # reading it would create it
        refuse(
            f"no `hum up` has run in {settings.home} (HUM_HOME), so that its key is not there; set HUM_HOME to the "
            "directory of the one that runs, or HUM_CONTROL_ADDRESS and HUM_NODE_KEY"
        )
    try:
        identity = rpc.NodeIdentity(home.node_key(settings), "admin", name)
    except OSError as error:
        reason = error.strerror or str(error)
        refuse(f"can't use the node key in {settings.home} (HUM_HOME): {reason}; set HUM_HOME or HUM_NODE_KEY")
    async with rpc.channel(settings.model_copy(update={"control_address": address})) as channel:
        yield Operator(address, runtime_pb2_grpc.AdminServiceStub(channel), identity)


def sentence(error: aio.AioRpcError, address: str) -> str:
    """Return an RPC's error as a sentence for the operator."""
    return f"{error.details() or error.code().name} (control at {address})"
