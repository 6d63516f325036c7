"""A control that stores what the media plane reports."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from grpc import StatusCode, aio

from hum import rpc
from hum.settings import MediaSettings
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from tests.support.present import present

NODE_KEY = "node key of these tests which is long enough"
Downs = asyncio.Queue[pb.LinkDown]
Context = aio.ServicerContext[Any, Any]


class FakeControl(runtime_pb2_grpc.MediaServiceServicer):
    """Opens sessions, stores batches once and in order, acknowledges; can be killed and restarted with its state."""

    def __init__(self) -> None:
        self.sessions: dict[str, tuple[str | None, pb.OpenSessionResponse]] = {}
        self.opened: list[pb.OpenSessionRequest] = []
        self.opens = asyncio.Event()  # while it is not set, sessions are slow to open
        self.opens.set()
        self.batches: list[tuple[str, pb.ReportBatch]] = []
        self.deltas: list[pb.CallDelta] = []
        self.tool_requests: list[pb.RunTool] = []
        self.answers: dict[str, str] = {}
        self.heard: dict[str, list[pb.Sound]] = {}  # by token: pieces
        self.overhears = asyncio.Event()  # while it is not set, nothing more is read
        self.overhears.set()
        self.leaves = asyncio.Event()  # the listeners do
        self.nodes = set[str]()
        self.hellos: list[pb.LinkHello] = []
        self.states: list[str] = []
        self.replies: list[pb.BrowserReply] = []
        self.stored: dict[str, int] = {}
        self.taken: list[tuple[str, str, list[str]]] = []
        self.links: dict[str, Downs] = {}  # by node
        self.downs: Downs | None = None  # of the latest link
        self.acknowledges = True
        self.port = 0
        self._server: aio.Server | None = None

    async def start(self) -> None:
        settings = MediaSettings(node_key=NODE_KEY, keepalive_seconds=0.05, keepalive_timeout_seconds=20)
        self._server, self.port = rpc.server(settings, f"127.0.0.1:{self.port}")
        runtime_pb2_grpc.add_MediaServiceServicer_to_server(self, self._server)
        await self._server.start()

    async def stop(self) -> None:
        await present(self._server).stop(0)

    def offer(self, token: str, call_sid: str | None = None, **session: Any) -> None:
        facts: dict[str, Any] = {
            "call_id": f"call_{token}",
            "organization_id": "org_1",
            "instructions": "Be brief.",
            "model": "m",
        }
        self.sessions[token] = call_sid, pb.OpenSessionResponse(**(facts | session))

    async def OpenSession(self, request: pb.OpenSessionRequest, context: Context) -> pb.OpenSessionResponse:
        await self._node(context)
        call_sid, session = self.sessions.pop(request.token, (None, None))
        if session is None or call_sid not in (None, request.call_sid):
            await context.abort(StatusCode.NOT_FOUND, "the token opens no stream")
        self.opened.append(request)
        await self.opens.wait()
        return session

    async def Link(self, ups: AsyncIterator[pb.LinkUp], context: Context) -> AsyncIterator[pb.LinkDown]:
        node = await self._node(context)
        downs = self.downs = self.links[node] = asyncio.Queue()
        reader = asyncio.create_task(self._read(ups, node, downs))
        try:
            while True:
                yield await downs.get()
        finally:
            reader.cancel()

    async def _read(self, ups: AsyncIterator[pb.LinkUp], node: str, downs: Downs) -> None:
        async for up in ups:
            if up.WhichOneof("up") == "hello":
                self.hellos.append(up.hello)
                downs.put_nowait(pb.LinkDown(acknowledged_seq=self.stored.get(node, 0)))
                continue
            if up.WhichOneof("up") == "state":
                self.states.append(up.state.refuses)
                continue
            if up.WhichOneof("up") == "browser":
                self.replies.append(up.browser)
                continue
            if up.WhichOneof("up") == "tool":
                self.tool_requests.append(up.tool)
                continue
            if up.WhichOneof("up") == "answer":
                self.answers[up.answer.command_id] = up.answer.outcome
                continue
            if up.WhichOneof("up") == "deltas":
                self.deltas += up.deltas.deltas
                continue
            self.batches.append((node, up.batch))
            self.stored[node] = up.batch.seq
            if self.acknowledges:
                downs.put_nowait(pb.LinkDown(acknowledged_seq=up.batch.seq))

    async def TakeCalls(self, request: pb.TakeCallsRequest, context: Context) -> pb.TakeCallsResponse:
        self.taken.append((request.from_node, await self._node(context), list(request.call_ids)))
        return pb.TakeCallsResponse()

    async def Overhear(
        self, requests: AsyncIterator[pb.OverhearRequest], context: Context
    ) -> AsyncIterator[pb.OverhearResponse]:
        await self._node(context)
        pieces = None

        async def read() -> None:
            nonlocal pieces
            async for request in requests:
                if pieces is None:
                    pieces = self.heard[request.token] = []
                else:
                    pieces.append(request.sound)
                await self.overhears.wait()

        yield pb.OverhearResponse()
        tasks = [asyncio.create_task(read()), asyncio.create_task(self.leaves.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()

    def listen(self, call_id: str, token: str) -> None:
        ear = pb.OpenEar(address=f"127.0.0.1:{self.port}", token=token)
        self.command(call_id, listen=ear, command_id=token)

    async def _node(self, context: Context) -> str:
        metadata = dict(present(context.invocation_metadata()))
        node = rpc.verify_node(NODE_KEY.encode(), str(metadata[rpc.CREDENTIAL]).removeprefix(rpc.NODE_SCHEME))
        assert node is not None
        assert node.plane == "media"
        self.nodes.add(node.name)
        return node.name

    def reports(self, call_id: str | None = None) -> list[pb.Report]:
        return [
            each for _, batch in self.batches for each in batch.reports if (call_id is None or each.call_id == call_id)
        ]

    def kinds(self, call_id: str | None = None) -> list[str | None]:
        return [each.WhichOneof("report") for each in self.reports(call_id)]

    def ended(self, call_id: str | None = None) -> pb.StreamEnded | None:
        return next((each.ended for each in self.reports(call_id) if each.WhichOneof("report") == "ended"), None)

    def answer(self, request: pb.RunTool, output_json: str, status: str = "ok") -> None:
        result = pb.ToolResult(
            call_id=request.call_id, tool_call_id=request.tool_call_id, output_json=output_json, status=status
        )
        present(self.downs).put_nowait(pb.LinkDown(tool_result=result))

    def command(self, call_id: str, node: str | None = None, **command: Any) -> None:
        downs = present(self.downs) if node is None else self.links[node]
        downs.put_nowait(pb.LinkDown(command=pb.CallCommand(call_id=call_id, **command)))
