"""MediaService (proto/hum/v1/runtime.proto): the sessions and links of media processes.

reports ──▶ stored ──▶ acknowledged          tools ──▶ run, each in a task ──▶ results
state ──▶ stored: availability and admission
deltas ──▶ the bus, in full batches          commands ◀── the bus
answers to commands ──▶ the bus
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

from opentelemetry.trace import use_span
from prometheus_client import Counter

from control.base.wire import word
from control.boundary import NodeContext
from control.bus import MAX_PAYLOAD_BYTES, Bus
from control.calls import filecheck, handover, reports, unfinished
from control.calls.browser import BrowserOffers
from control.calls.listenerstreams import ListenerStreams
from control.calls.session import Sessions
from control.calls.toolruns import ToolRuns
from control.livecall.channels import ANSWERS, COMMANDS, DELTAS
from control.tools import failed
from hum import rpc
from hum.contract.errors import NotFound
from hum.json.storable import dumped
from hum.observe import tracing
from hum.observe.logs import log
from hum.rpc import run_to_completion
from hum.v1 import calls_pb2
from hum.v1 import runtime_pb2 as pb
from storage import media_links
from storage.db import BUSY, UNAVAILABLE, Db
from storage.media_links import NodeState

LOG = log(__name__)
DELTAS_DROPPED = Counter("hum_deltas_dropped_total", "Transcript deltas that the bus could not take")
MAX_DOWNS = 10_000
#: Requests for tools at once, with those that are being refused (`toolruns.MAX_TOOLS`).
MAX_TOOL_REQUESTS = 400
MAX_DELTAS = 2_000
MAX_REFUSAL_CHARS = 60
#: Attempts to store a batch before its link ends; each waits for a locked row as long as any transaction.
STORE_ATTEMPTS = 3
PHONE = "phone"
MAX_URL_CHARS = 300
MAX_VERSION_CHARS = 60
MAX_PLACES = 1_000_000
#: How many bytes of protobuf fit into one message of the bus, which carries them as base64.
DELTA_BYTES = MAX_PAYLOAD_BYTES * 3 // 4


class MediaServicer:
    """The servicer of media processes."""

    def __init__(
        self,
        db: Db,
        bus: Bus,
        sessions: Sessions,
        tools: ToolRuns,
        listeners: ListenerStreams,
        offers: BrowserOffers,
        stopping: asyncio.Event,
        note: Callable[[], None] = lambda: None,
    ) -> None:
        """`note` is called when something happens that may be work for the workers."""
        self._db, self._bus, self._sessions, self._tools, self._stopping = db, bus, sessions, tools, stopping
        self._note = note
        self._listeners, self._offers = listeners, offers

    async def OpenSession(self, request: pb.OpenSessionRequest, _: NodeContext) -> pb.OpenSessionResponse:
        """Open a stream's session.  Raises NotFound for a token that is spent, expired, or another call's."""
        return await self._sessions.open(request)

    async def Link(self, ups: AsyncIterator[pb.LinkUp], ctx: NodeContext) -> AsyncIterator[pb.LinkDown]:
        """Serve a media process until it leaves or this process shuts down, after which it links to another."""
        link = _Link(self._db, self._bus, self._tools.of_link(), ctx.node.name, self._offers)
        unsubscribe = self._bus.subscribe(COMMANDS, link.command, key=link.node)
        tasks = [
            asyncio.create_task(link.read(ups), name=f"link {link.node}"),
            asyncio.create_task(link.publish_deltas(), name=f"deltas {link.node}"),
            asyncio.create_task(link.end_with(self._stopping), name=f"link end {link.node}"),
        ]
        LOG.info("media link up", node=link.node)
        try:
            while (down := await link.downs.get()) is not None:
                # Most acknowledge reports, which may be work for the workers.
                self._note()
                yield down
            # An error of the reading task is the link's.
            if tasks[0].done():
                tasks[0].result()
        finally:
            unsubscribe()
            for task in tasks:
                task.cancel()
            await run_to_completion(self._end(link, tasks))

    async def CheckFiles(self, request: pb.CheckFilesRequest, _: NodeContext) -> pb.CheckFilesResponse:
        unwanted, unknown = await filecheck.check(self._db, request.paths)
        return pb.CheckFilesResponse(unwanted=unwanted, unknown=unknown)

    async def TakeCalls(self, request: pb.TakeCallsRequest, ctx: NodeContext) -> pb.TakeCallsResponse:
        await handover.reassign(self._db, request.from_node, ctx.node.name, request.call_ids)
        return pb.TakeCallsResponse()

    async def Overhear(
        self, requests: AsyncIterator[pb.OverhearRequest], _: NodeContext
    ) -> AsyncIterator[pb.OverhearResponse]:
        """Receive a call's sound for a listener.  Raises NotFound if the token is used or another process's."""
        async for response in self._listeners.overhear(requests, self._stopping):
            yield response

    async def _end(self, link: "_Link", tasks: Sequence[asyncio.Task[None]]) -> None:
        await asyncio.gather(*tasks, return_exceptions=True)
        # While this process shuts down, the media process links to another in a moment.
        if not self._stopping.is_set():
            await link.record_loss()
        self._note()
        LOG.info("media link down", node=link.node)


@dataclass
class _StoredState:
    """The state and the last batch of a media process that this process has stored."""

    state: NodeState = field(default_factory=NodeState)
    acknowledged: int = 0


class _Link:
    """The traffic of a link.  Tools that run when it is lost continue, and a repeated request gets their results."""

    def __init__(self, db: Db, bus: Bus, tools: ToolRuns, node: str, offers: BrowserOffers) -> None:
        self.node, self._offers = node, offers
        self.downs: asyncio.Queue[pb.LinkDown | None] = asyncio.Queue(MAX_DOWNS)
        self._db, self._bus, self._tools = db, bus, tools
        self._deltas: asyncio.Queue[pb.CallDelta] = asyncio.Queue(MAX_DELTAS)
        self._running: set[asyncio.Task[None]] = set()
        self._id, self._stored = uuid4(), _StoredState()

    def command(self, message: pb.NodeCommand | None) -> None:
        """Send a command from the bus down the link, after adding what the bus does not carry."""
        if message is None:
            return
        if message.WhichOneof("message") == "command":
            match message.command.WhichOneof("command"):
                case "switch":
                    self._begin(self._send_switch(message.command), "flow switch")
                case "caller":
                    self._begin(self._inform(message.command), "caller's context")
                case "news":
                    self._begin(self._report_approval(message.command), "approval's news")
                case _:
                    self._down(pb.LinkDown(command=message.command))
        else:
            self._begin(self._offer(message.browser_call_id), "browser's offer")

    async def read(self, ups: AsyncIterator[pb.LinkUp]) -> None:
        """Handle the media process's messages until it sends no more.  Raises LostReports, UNAVAILABLE, BUSY."""
        try:
            async for up in ups:
                match up.WhichOneof("up"):
                    case "hello":
                        await self._begin_link(up.hello.state)
                    case "state":
                        await self._store_state(up.state)
                    case "batch":
                        await self._store(up.batch)
                    case "tool":
                        self._begin_tool(up.tool)
                    case "deltas":
                        self._buffer_deltas(up.deltas)
                    case "browser":
                        await self._offers.reply(self.node, up.browser)
                    case "under_way":
                        await unfinished.store(self._db, up.under_way.calls)
                    case "answer":
                        await self._publish_answer(up.answer)
                    case unknown:
                        LOG.warning("unknown message from a media process", node=self.node, kind=unknown)
        finally:
            self.downs.put_nowait(None)

    async def _store(self, batch: pb.ReportBatch) -> None:
        """Store and acknowledge a batch.

        Raises the error of the last attempt, after which the media process links again.
        """
        for _ in range(STORE_ATTEMPTS - 1):
            try:
                await reports.apply_batch(self._db, self.node, batch, self._stored.acknowledged)
                break
            except BUSY as error:
                # A locked row must not cost all calls of the process their link.
                LOG.warning("could not store reports; retrying", node=self.node, seq=batch.seq, error=repr(error)[:200])
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

    async def _store_state(self, state: pb.NodeState) -> None:
        """Store the media process's state.  Raises LostReports if the database lacks a batch that was acknowledged."""
        new = _node_state(state)
        try:
            async with self._db.system() as tx:
                seq = await media_links.record_heartbeat(
                    tx, self.node, self._id, new, changed=new != self._stored.state
                )
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning(
                "could not store a media process's state; the next one follows", node=self.node, error=repr(error)[:200]
            )
        else:
            self._stored.state = new
            if seq is None or seq < self._stored.acknowledged:
                raise reports.LostReports

    async def record_loss(self) -> None:
        """Record that the link was lost, so that waits for its reports end and the sweep checks its calls."""
        try:
            async with self._db.system() as tx:
                await media_links.close(tx, self.node, self._id)
        except (*UNAVAILABLE, *BUSY) as error:
            # The media process counts as unavailable once it has been silent for a time.
            LOG.warning("could not record that a media link closed", node=self.node, error=repr(error)[:200])

    async def end_with(self, stopping: asyncio.Event) -> None:
        """End the link when this process is asked to stop."""
        await stopping.wait()
        self.downs.put_nowait(None)

    def _down(self, down: pb.LinkDown) -> None:
        """Send a message; end the link instead if too many are unread: on the next one the media process asks again for what it lacks."""
        # The last places are for the end markers: this one, and those of `read` and `end_with`.  What follows a marker is never sent.
        places = MAX_DOWNS - 3 - self.downs.qsize()
        if places > 0:
            self.downs.put_nowait(down)
        elif places == 0:
            LOG.warning(
                "a media process does not read its link: it ends, and unsent results are asked for again",
                node=self.node,
            )
            self.downs.put_nowait(None)

    async def _publish_answer(self, answer: pb.CommandAnswer) -> None:
        try:
            await self._bus.publish(ANSWERS, answer)
        except (*UNAVAILABLE, *BUSY) as error:
            # The process that sent the command reports its outcome as unknown.
            LOG.warning("could not publish a command's answer", node=self.node, error=repr(error)[:200])

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _send_switch(self, command: pb.CallCommand) -> None:
        """Send a flow switch with the agent of the flow that it names: the bus carries only the flow's id."""
        try:
            command.switch.CopyFrom(await self._tools.successor(command.call_id, command.switch))
        except (*UNAVAILABLE, *BUSY, NotFound) as error:
            # The process that sent the command reports its outcome as unknown.
            LOG.warning("could not switch a call to another flow", call=command.call_id, error=repr(error)[:200])
        else:
            self._down(pb.LinkDown(command=command))

    async def _inform(self, command: pb.CallCommand) -> None:
        """Send an agent the current caller context, which the bus does not carry."""
        try:
            command.caller.text = await self._tools.caller_context(command.call_id)
        except (*UNAVAILABLE, *BUSY, NotFound) as error:
            # The process that sent the command gets no answer, and retries.
            LOG.warning("could not update an agent's caller context", call=command.call_id, error=repr(error)[:200])
        else:
            self._down(pb.LinkDown(command=command))

    async def _report_approval(self, command: pb.CallCommand) -> None:
        """Send an agent the outcome of an approval, which the bus does not carry."""
        try:
            command.news.text = await self._tools.approval_outcome(command.call_id, command.news.approval_id)
        except (*UNAVAILABLE, *BUSY, NotFound) as error:
            # The process that sent the command gets no answer, and retries.
            LOG.warning("could not send an agent an approval's outcome", call=command.call_id, error=repr(error)[:200])
        else:
            self._down(pb.LinkDown(command=command))

    # Browsers.

    async def _offer(self, call_id: str) -> None:
        try:
            offer = await self._offers.claim(self.node, call_id)
        except (*UNAVAILABLE, *BUSY) as error:
            # The request that placed the call times out.
            LOG.warning("could not send a browser's offer", call=call_id, error=repr(error)[:200])
            return
        if offer is not None:
            self._down(pb.LinkDown(browser=offer))

    # Tools.

    def _begin_tool(self, request: pb.RunTool) -> None:
        if len(self._running) >= MAX_TOOL_REQUESTS:
            self._down(pb.LinkDown(tool_result=_busy(request)))
            return
        self._begin(self._run(request), f"tool {request.name[:40]}")

    async def _run(self, request: pb.RunTool) -> None:
        span = tracing.server_span("tool.run", {"traceparent": request.traceparent})
        try:
            with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
                result = await self._tools.run(request)
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning("could not run a tool", call=request.call_id, tool=request.name[:100], error=repr(error)[:200])
            result = _busy(request)
        # The call waits for a result in any case.
        except Exception:
            LOG.exception("a tool failed: this is a bug", call=request.call_id, tool=request.name[:100])
            result = _busy(request)
        self._down(pb.LinkDown(tool_result=result))

    # Deltas.

    def _buffer_deltas(self, deltas: pb.CallDeltas) -> None:
        for delta in deltas.deltas:
            if self._deltas.full():
                DELTAS_DROPPED.inc()
            else:
                self._deltas.put_nowait(delta)

    async def publish_deltas(self) -> None:
        """Publish deltas for ever; those that arrive while the bus is busy are sent together."""
        while True:
            pending = [await self._deltas.get()]
            while not self._deltas.empty():
                pending.append(self._deltas.get_nowait())
            for batch in in_batches(pending):
                try:
                    if not await self._bus.publish(DELTAS, batch):
                        DELTAS_DROPPED.inc(len(batch.deltas))
                except (*UNAVAILABLE, *BUSY):
                    DELTAS_DROPPED.inc(len(batch.deltas))
                # The boundary of one batch: those after it are published.
                except Exception:
                    LOG.exception("could not publish transcript deltas: this is a bug")
                    DELTAS_DROPPED.inc(len(batch.deltas))


def in_batches(deltas: list[pb.CallDelta]) -> Iterator[pb.CallDeltas]:
    """Pack deltas into as few messages of the bus as possible."""
    batch, batch_bytes = pb.CallDeltas(), 0
    for delta in deltas:
        delta_bytes = delta.ByteSize() + 4  # its tag and length
        if batch.deltas and batch_bytes + delta_bytes > DELTA_BYTES:
            yield batch
            batch, batch_bytes = pb.CallDeltas(), 0
        batch.deltas.append(delta)
        batch_bytes += delta_bytes
    if batch.deltas:
        yield batch


def _origins(state: pb.NodeState) -> list[str]:
    """Return the origins of the calls that a process takes, without those of a later release."""
    known_origins = calls_pb2.CallOrigin.values()
    return [
        origin for number in state.takes if number in known_origins and (origin := word(calls_pb2.CallOrigin, number))
    ]


def _node_state(state: pb.NodeState) -> NodeState:
    return NodeState(
        refuses=state.refuses[:MAX_REFUSAL_CHARS] or None,
        places=max(0, min(state.places, MAX_PLACES)) if state.HasField("places") else None,
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
