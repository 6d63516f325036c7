"""A control that opens a session for every token and acknowledges every batch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hum import rpc
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc


class Control(runtime_pb2_grpc.MediaServiceServicer):
    def __init__(self, recording: bool = False) -> None:
        self.up = asyncio.Semaphore(0)  # released once per link
        self.reports = 0
        self._recording = recording

    async def OpenSession(self, request: pb.OpenSessionRequest, _: object) -> pb.OpenSessionResponse:
        return pb.OpenSessionResponse(
            call_id=f"call_{request.token}",
            organization_id="org_1",
            instructions="You answer the telephone of a small hotel. Be brief.",
            model="m",
            recording_enabled=self._recording,
        )

    async def Link(self, ups: AsyncIterator[pb.LinkUp], _: object) -> AsyncIterator[pb.LinkDown]:
        async for up in ups:
            if up.WhichOneof("up") == "hello":
                self.up.release()
                yield pb.LinkDown(acknowledged_seq=0)
            elif up.WhichOneof("up") == "batch":
                self.reports += len(up.batch.reports)
                yield pb.LinkDown(acknowledged_seq=up.batch.seq)


@asynccontextmanager
async def serving(settings: MediaSettings, recording: bool = False) -> AsyncIterator[tuple[Control, int]]:
    """Run a control; yield it and its port."""
    control = Control(recording)  # type: ignore[abstract]  # other methods are unused
    server, port = rpc.server(settings, "127.0.0.1:0")
    runtime_pb2_grpc.add_MediaServiceServicer_to_server(control, server)
    await server.start()
    try:
        yield control, port
    finally:
        await server.stop(0)
