"""MediaService (proto/hum/v1/runtime.proto): the sessions and links of media processes.

reports ──▶ stored ──▶ acknowledged          tools ──▶ run, each in a task ──▶ results
state ──▶ stored: whether it is there, and takes calls
deltas ──▶ the bus, in full batches          commands ◀── the bus
answers to commands ──▶ the bus
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from opentelemetry.trace import use_span
from prometheus_client import Counter

from control.base.wire import word
from control.boundary import Call
from control.bus import MAX_PAYLOAD_BYTES, Bus
from control.calls import kept, reports, takeover, under_way
from control.calls.browser import Offers
from control.calls.channels import ANSWERS, COMMANDS, DELTAS
from control.calls.ears import Ears
from control.calls.session import Sessions
from control.calls.toolruns import CallTools
from control.tools import dumped, failed
from hum import rpc, tracing
from hum.errors import NotFound
from hum.rpc import to_its_end
from hum.telemetry import log
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from storage import media_links
from storage.db import AWAY, BUSY, Db
from storage.media_links import NodeState

LOG = log(__name__)
DELTAS_DROPPED = Counter("hum_deltas_dropped_total", "Transcript deltas that the bus could not take")
MAX_DOWNS = 10_000
MAX_TOOLS = 200
MAX_DELTAS = 2_000
MAX_REFUSAL_CHARS = 60
#: How often a batch is stored before its link ends; each try waits for a locked row as long as any transaction.
STORE_TRIES = 3
PHONE = "phone"
MAX_URL_CHARS = 300
MAX_VERSION_CHARS = 60
MOST_PLACES = 1_000_000
#: How many bytes of protobuf fit into one message of the bus, which carries them as base64.
DELTA_BYTES = MAX_PAYLOAD_BYTES * 3 // 4


class MediaServicer:
    def __init__(
        self,
        db: Db,
        bus: Bus,
        sessions: Sessions,
        tools: CallTools,
        ears: Ears,
        offers: Offers,
        stopping: asyncio.Event,
    ) -> None:
        self._db, self._bus, self._sessions, self._tools, self._stopping = db, bus, sessions, tools, stopping
        self._ears, self._offers = ears, offers

    async def OpenSession(self, request: pb.OpenSessionRequest, _: Call) -> pb.OpenSessionResponse:
        """Raises NotFound for a token that is spent, expired, or another call's."""
        return await self._sessions.open(request)

    async def Link(self, ups: AsyncIterator[pb.LinkUp], call: Call) -> AsyncIterator[pb.LinkDown]:
        """Serve one media process until it leaves, or until this process is asked to stop; then it links to another."""
        link = _Link(self._db, self._bus, self._tools, call.node.name, self._offers)
        unsubscribe = self._bus.subscribe(COMMANDS, link.command, key=link.node)
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

    async def CheckFiles(self, request: pb.CheckFilesRequest, _: Call) -> pb.CheckFilesResponse:
        unwanted, unknown = await kept.check(self._db, request.paths)
        return pb.CheckFilesResponse(unwanted=unwanted, unknown=unknown)

    async def TakeCalls(self, request: pb.TakeCallsRequest, call: Call) -> pb.TakeCallsResponse:
        await takeover.take(self._db, request.from_node, call.node.name, request.call_ids)
        return pb.TakeCallsResponse()

    async def Overhear(
        self, requests: AsyncIterator[pb.OverhearRequest], _: Call
    ) -> AsyncIterator[pb.OverhearResponse]:
        """Raises NotFound for a token that is used, or another process's."""
        async for response in self._ears.overhear(requests, self._stopping):
            yield response

    async def _end(self, link: "_Link", tasks: Sequence[asyncio.Task[None]]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)
        if not self._stopping.is_set():  # else it links to another process in a moment
            await link.lost()
        LOG.info("media link down", node=link.node)


@dataclass
class _Stored:
    """What the database has of a link, as far as this process knows: how the media process is, and its last batch."""

    state: NodeState = field(default_factory=NodeState)
    acknowledged: int = 0


class _Link:
    """The traffic of one link.  Tools running when it is lost run on; whoever asks again finds their results."""

    def __init__(self, db: Db, bus: Bus, tools: CallTools, node: str, offers: Offers) -> None:
        self.node, self._offers = node, offers
        self.downs: asyncio.Queue[pb.LinkDown | None] = asyncio.Queue(MAX_DOWNS)
        self._db, self._bus, self._tools = db, bus, tools
        self._deltas: asyncio.Queue[pb.CallDelta] = asyncio.Queue(MAX_DELTAS)
        self._running: set[asyncio.Task[None]] = set()
        self._id, self._stored = uuid4(), _Stored()

    def command(self, message: pb.NodeCommand | None) -> None:
        if message is None:
            return
        if message.WhichOneof("message") == "command":
            match message.command.WhichOneof("command"):
                case "switch":
                    self._begin(self._hand_over(message.command), "hand-over")
                case "caller":
                    self._begin(self._inform(message.command), "caller's context")
                case "news":
                    self._begin(self._tell(message.command), "approval's news")
                case _:
                    self._down(pb.LinkDown(command=message.command))
        else:
            self._begin(self._offer(message.browser_call_id), "browser's offer")

    async def read(self, ups: AsyncIterator[pb.LinkUp]) -> None:
        try:
            async for up in ups:
                match up.WhichOneof("up"):
                    case "hello":
                        await self._begin_link(up.hello.state)
                    case "state":
                        await self._seen(up.state)
                    case "batch":
                        await self._store(up.batch)
                    case "tool":
                        self._begin_tool(up.tool)
                    case "deltas":
                        self._keep(up.deltas)
                    case "browser":
                        await self._offers.reply(self.node, up.browser)
                    case "under_way":
                        await under_way.keep(self._db, up.under_way.calls)
                    case "answer":
                        await self._answered(up.answer)
                    case unknown:
                        LOG.warning("unknown message from a media process", node=self.node, kind=unknown)
        finally:
            self.downs.put_nowait(None)

    async def _store(self, batch: pb.ReportBatch) -> None:
        """Store and acknowledge it.  Raises what `apply_batch` does, after several tries: then the link is begun anew."""
        for _ in range(STORE_TRIES - 1):
            try:
                await reports.apply_batch(self._db, self.node, batch, self._stored.acknowledged)
                break
            except BUSY as error:  # one locked row is no reason to take all calls of the process off their link
                LOG.warning("reports are stored again", node=self.node, seq=batch.seq, error=repr(error)[:200])
        else:
            await reports.apply_batch(self._db, self.node, batch, self._stored.acknowledged)
        self._stored.acknowledged = max(self._stored.acknowledged, batch.seq)
        self._down(pb.LinkDown(acknowledged_seq=batch.seq))

    async def _begin_link(self, state: pb.NodeState) -> None:
        self._stored.state = _node_state(state)
        async with self._db.system() as tx:
            await media_links.open(tx, self.node, self._id, self._stored.state)
            await media_links.set_takes(tx, self.node, _origins(state) or (PHONE,))
            self._stored.acknowledged = await media_links.seq(tx, self.node)
        self._down(pb.LinkDown(acknowledged_seq=self._stored.acknowledged))

    async def _seen(self, state: pb.NodeState) -> None:
        """Raises LostReports when the database knows less of this link than it did."""
        seen = _node_state(state)
        try:
            async with self._db.system() as tx:
                stored = await media_links.seen(tx, self.node, self._id, seen, changed=seen != self._stored.state)
        except (*AWAY, *BUSY) as error:  # the next one comes soon
            LOG.warning("a media process's state is not stored", node=self.node, error=repr(error)[:200])
        else:
            self._stored.state = seen
            if stored is None or stored < self._stored.acknowledged:
                raise reports.LostReports

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

    async def _answered(self, answer: pb.CommandAnswer) -> None:
        try:
            await self._bus.publish(ANSWERS, answer)
        except (*AWAY, *BUSY) as error:  # whoever asked learns nothing, and says so
            LOG.warning("a command's answer is lost", node=self.node, error=repr(error)[:200])

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _hand_over(self, command: pb.CallCommand) -> None:
        """The bus says which flow; its agent, with all that it says, goes down the link alone."""
        try:
            command.switch.CopyFrom(await self._tools.successor(command.call_id, command.switch))
        except (*AWAY, *BUSY, NotFound) as error:  # whoever asked learns nothing, and says so
            LOG.warning("a call can't be handed over", call=command.call_id, error=repr(error)[:200])
        else:
            self._down(pb.LinkDown(command=command))

    async def _inform(self, command: pb.CallCommand) -> None:
        """The bus says that the caller is known; what is known goes down the link alone."""
        try:
            command.caller.text = await self._tools.caller_context(command.call_id)
        except (*AWAY, *BUSY, NotFound) as error:  # whoever asked learns nothing, and asks again
            LOG.warning("an agent can't be told who calls", call=command.call_id, error=repr(error)[:200])
        else:
            self._down(pb.LinkDown(command=command))

    async def _tell(self, command: pb.CallCommand) -> None:
        """The bus says that something was decided; what came of it goes down the link alone."""
        try:
            command.news.text = await self._tools.news(command.call_id, command.news.approval_id)
        except (*AWAY, *BUSY, NotFound) as error:  # whoever asked learns nothing, and asks again
            LOG.warning("an agent can't be told of an approval", call=command.call_id, error=repr(error)[:200])
        else:
            self._down(pb.LinkDown(command=command))

    # Browsers.

    async def _offer(self, call_id: str) -> None:
        try:
            offer = await self._offers.take(self.node, call_id)
        except (*AWAY, *BUSY) as error:  # whoever waits for the answer is told that there is none
            LOG.warning("a browser's offer can't be passed on", call=call_id, error=repr(error)[:200])
            return
        if offer is not None:
            self._down(pb.LinkDown(browser=offer))

    # Tools.

    def _begin_tool(self, request: pb.RunTool) -> None:
        if len(self._running) >= MAX_TOOLS:
            self._down(pb.LinkDown(tool_result=_busy(request)))
            return
        self._begin(self._run(request), f"tool {request.name[:40]}")

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


def _origins(state: pb.NodeState) -> list[str]:
    """Where the calls come from that a process takes; those of a later release are left out."""
    known = calls_pb2.CallOrigin.values()
    return [origin for each in state.takes if each in known and (origin := word(calls_pb2.CallOrigin, each))]


def _node_state(state: pb.NodeState) -> NodeState:
    return NodeState(
        refuses=state.refuses[:MAX_REFUSAL_CHARS] or None,
        places=max(0, min(state.places, MOST_PLACES)) if state.HasField("places") else None,
        url=state.url[:MAX_URL_CHARS],
        beat=timedelta(milliseconds=state.beat_ms) if state.beat_ms > 0 else None,
        zone=state.zone[: rpc.MAX_ZONE_CHARS],
        version=state.version[:MAX_VERSION_CHARS],
    )


def _busy(request: pb.RunTool) -> pb.ToolResult:
    result = failed("This can't be done at the moment.")
    return pb.ToolResult(
        call_id=request.call_id, tool_call_id=request.tool_call_id, output_json=dumped(result.output), status="failed"
    )
