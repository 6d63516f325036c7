"""MediaService (proto/hum/v1/runtime.proto): the sessions and links of media processes.

reports ──▶ stored ──▶ acknowledged          tools ──▶ run, each in a task ──▶ results
state ──▶ stored: whether it is there, and takes calls
deltas ──▶ the bus, in full batches          commands ◀── the bus
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from uuid import uuid4

from opentelemetry.trace import use_span
from prometheus_client import Counter

from control.boundary import Call
from control.bus import MAX_PAYLOAD_BYTES, Bus
from control.calls import reports, under_way
from control.calls.channels import COMMANDS, DELTAS
from control.calls.session import Sessions
from control.calls.tools import CallTools
from control.tools import dumped, failed
from hum import tracing
from hum.rpc import to_its_end
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from storage import media_links
from storage.db import AWAY, BUSY, Db

LOG = log(__name__)
DELTAS_DROPPED = Counter("hum_deltas_dropped_total", "Transcript deltas that the bus could not take")
MAX_DOWNS = 10_000
MAX_TOOLS = 200
MAX_DELTAS = 2_000
MAX_REFUSAL_CHARS = 60
#: How many bytes of protobuf fit into one message of the bus, which carries them as base64.
DELTA_BYTES = MAX_PAYLOAD_BYTES * 3 // 4


class MediaServicer:
    def __init__(self, db: Db, bus: Bus, sessions: Sessions, tools: CallTools, stopping: asyncio.Event) -> None:
        self._db, self._bus, self._sessions, self._tools, self._stopping = db, bus, sessions, tools, stopping

    async def OpenSession(self, request: pb.OpenSessionRequest, _: Call) -> pb.OpenSessionResponse:
        """Raises NotFound for a token that is spent, expired, or another call's."""
        return await self._sessions.open(request)

    async def Link(self, ups: AsyncIterator[pb.LinkUp], call: Call) -> AsyncIterator[pb.LinkDown]:
        """Serve one media process until it leaves, or until this process is asked to stop; then it links to another."""
        link = _Link(self._db, self._bus, self._tools, call.node.name)
        unsubscribe = self._bus.subscribe(COMMANDS, link.command)
        tasks = [
            asyncio.create_task(link.read(ups), name=f"link {link.node}"),
            asyncio.create_task(link.pass_on_deltas(), name=f"deltas {link.node}"),
            asyncio.create_task(link.end_with(self._stopping), name=f"link end {link.node}"),
        ]
        LOG.info("media link up", node=link.node)
        try:
            while (down := await link.downs.get()) is not None:
                yield down
            if tasks[0].done():
                tasks[0].result()  # its error, if it had one, is the link's
        finally:
            unsubscribe()
            for task in tasks:
                task.cancel()
            await to_its_end(self._end(link, tasks))

    async def _end(self, link: "_Link", tasks: Sequence[asyncio.Task[None]]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self._stopping.is_set():  # else it links to another process in a moment
            await link.lost()
        LOG.info("media link down", node=link.node)


class _Link:
    """The traffic of one link.  Tools running when it is lost run on; whoever asks again finds their results."""

    def __init__(self, db: Db, bus: Bus, tools: CallTools, node: str) -> None:
        self.node = node
        self.downs: asyncio.Queue[pb.LinkDown | None] = asyncio.Queue(MAX_DOWNS)
        self._db, self._bus, self._tools = db, bus, tools
        self._deltas: asyncio.Queue[pb.CallDelta] = asyncio.Queue(MAX_DELTAS)
        self._running: set[asyncio.Task[None]] = set()
        self._id, self._refuses = uuid4(), ""

    def command(self, message: pb.NodeCommand | None) -> None:
        if message is not None and message.node == self.node:
            self._down(pb.LinkDown(command=message.command))

    async def read(self, ups: AsyncIterator[pb.LinkUp]) -> None:
        try:
            async for up in ups:
                match up.WhichOneof("up"):
                    case "hello":
                        await self._begin_link(up.hello.state)
                    case "state":
                        await self._seen(up.state)
                    case "batch":
                        await reports.apply_batch(self._db, self.node, up.batch)
                        self._down(pb.LinkDown(acknowledged_seq=up.batch.seq))
                    case "tool":
                        self._begin_tool(up.tool)
                    case "deltas":
                        self._keep(up.deltas)
                    case "under_way":
                        await under_way.keep(self._db, up.under_way.calls)
                    case unknown:
                        LOG.warning("unknown message from a media process", node=self.node, kind=unknown)
        finally:
            self.downs.put_nowait(None)

    async def _begin_link(self, state: pb.NodeState) -> None:
        self._refuses = state.refuses[:MAX_REFUSAL_CHARS]
        async with self._db.system() as tx:
            await media_links.open(tx, self.node, self._id, self._refuses)
            acknowledged = await media_links.seq(tx, self.node)
        self._down(pb.LinkDown(acknowledged_seq=acknowledged))

    async def _seen(self, state: pb.NodeState) -> None:
        refuses = state.refuses[:MAX_REFUSAL_CHARS]
        try:
            async with self._db.system() as tx:
                await media_links.seen(tx, self.node, self._id, refuses, changed=refuses != self._refuses)
        except (*AWAY, *BUSY) as error:  # the next one comes soon
            LOG.warning("a media process's state is not stored", node=self.node, error=repr(error)[:200])
        else:
            self._refuses = refuses

    async def lost(self) -> None:
        """Whoever waits for a report of this process need not, and its calls are to be looked after."""
        try:
            async with self._db.system() as tx:
                await media_links.close(tx, self.node, self._id)
        except (*AWAY, *BUSY) as error:  # then its silence will tell
            LOG.warning("a lost link is not noted", node=self.node, error=repr(error)[:200])

    async def end_with(self, stopping: asyncio.Event) -> None:
        await stopping.wait()
        self.downs.put_nowait(None)

    def _down(self, down: pb.LinkDown) -> None:
        if self.downs.qsize() < MAX_DOWNS - 2:  # leaves room for the two markers of the end
            self.downs.put_nowait(down)
        else:
            LOG.warning("a media process does not read its link; a message was dropped", node=self.node)

    # Tools.

    def _begin_tool(self, request: pb.RunTool) -> None:
        if len(self._running) >= MAX_TOOLS:
            self._down(pb.LinkDown(tool_result=_busy(request)))
            return
        task = asyncio.create_task(self._run(request), name=f"tool {request.name[:40]}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _run(self, request: pb.RunTool) -> None:
        span = tracing.served("tool.run", {"traceparent": request.traceparent})
        try:
            with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
                result = await self._tools.run(request)
        except (*AWAY, *BUSY) as error:
            LOG.warning("a tool could not run", call=request.call_id, tool=request.name[:100], error=repr(error)[:200])
            result = _busy(request)
        except Exception:  # the call waits for an answer, whatever it is
            LOG.exception("a tool failed: this is a bug", call=request.call_id, tool=request.name[:100])
            result = _busy(request)
        self._down(pb.LinkDown(tool_result=result))

    # Deltas.

    def _keep(self, deltas: pb.CallDeltas) -> None:
        for delta in deltas.deltas:
            if self._deltas.full():
                DELTAS_DROPPED.inc()
            else:
                self._deltas.put_nowait(delta)

    async def pass_on_deltas(self) -> None:
        """Publish deltas; those that arrive while the bus is busy are sent together."""
        while True:
            waiting = [await self._deltas.get()]
            while not self._deltas.empty():
                waiting.append(self._deltas.get_nowait())
            for batch in in_batches(waiting):
                try:
                    if not await self._bus.publish(DELTAS, batch):
                        DELTAS_DROPPED.inc(len(batch.deltas))
                except (*AWAY, *BUSY):
                    DELTAS_DROPPED.inc(len(batch.deltas))
                except Exception:  # these are lost, and those after them are not
                    LOG.exception("transcript deltas could not be published: this is a bug")
                    DELTAS_DROPPED.inc(len(batch.deltas))


def in_batches(deltas: list[pb.CallDelta]) -> Iterator[pb.CallDeltas]:
    """Pack deltas into as few messages of the bus as possible."""
    batch, size = pb.CallDeltas(), 0
    for delta in deltas:
        grows = delta.ByteSize() + 4  # its tag and length
        if batch.deltas and size + grows > DELTA_BYTES:
            yield batch
            batch, size = pb.CallDeltas(), 0
        batch.deltas.append(delta)
        size += grows
    if batch.deltas:
        yield batch


def _busy(request: pb.RunTool) -> pb.ToolResult:
    result = failed("This can't be done at the moment.")
    return pb.ToolResult(
        call_id=request.call_id, tool_call_id=request.tool_call_id, output_json=dumped(result.output), status="failed"
    )
