"""The link to control: one gRPC stream for the whole process, reports up, commands down.

    report() ─▶ batch ─▶ spool on disk ─▶ Link ─▶ control stores ─▶ acknowledged ─▶ forgotten
    refuses() ─▶ Link ─▶ control knows whether to send callers here
    run_tool() ─▶ Link ─▶ control runs it ─▶ result ─▶ the call that waits for it

While the link is down, batches wait on disk and requests in memory; a new link first asks how far control has got, then
sends what it lacks, in order.  Transcript deltas and unfinished turns are never kept.
"""

import asyncio
import secrets
from collections.abc import Callable

from grpc import StatusCode, aio

from hum import rpc, tracing
from hum.settings import MediaSettings
from hum.spool import Spool
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from media import metrics
from media.io.live import Live
from media.io.outbox import Outbox
from media.io.store import Store
from media.io.toolrequests import Answer, ToolRequests

LOG = log(__name__)
RETRY_LIMIT_MS = 5_000.0
CHANGES_A_BEAT = 8  # a process that is full now and then does not say so each time


class TokenRefused(Exception):  # noqa: N818 - it says what happened
    """The token opens no stream: it is unknown, spent, expired, or another call's."""


class Away(Exception):  # noqa: N818 - it says what happened
    """Control did not answer in time."""


Command = Callable[[pb.CallCommand], None]
Stream = aio.StreamStreamCall[pb.LinkUp, pb.LinkDown]


class Beat:
    """When control is told how this process is: in equal steps, and soon after a change."""

    def __init__(self, every_ms: float) -> None:
        #: Why this process takes no calls; None: it takes them.
        self.refuses: Callable[[], str | None] = lambda: None
        self._every_ms, self._latest, self._due = every_ms, "", False
        self._begun_ms = float("-inf")

    def is_due(self, now_ms: float) -> bool:
        """Note how it is, and tell whether control must know."""
        refuses = self.refuses() or ""
        wait_ms = self._every_ms if refuses == self._latest else self._every_ms / CHANGES_A_BEAT
        if now_ms >= self._begun_ms + wait_ms:
            self._latest, self._due, self._begun_ms = refuses, True, now_ms
        return self._due

    def take(self) -> str | None:
        """What is due; None when nothing is."""
        due, self._due = self._due, False
        return self._latest if due else None


class ControlLink:
    """`outbox`, `run_tool` and `flush` never wait; `run` keeps the link up until it is cancelled."""

    def __init__(self, settings: MediaSettings, channel: aio.Channel, key: bytes, name: str, spool: Spool) -> None:
        self.up = False
        self.on_command: Command = lambda _: None
        self.outbox = Outbox(Store(spool, settings), settings.disk_check_seconds * 1000)
        self._settings = settings
        self._identity = rpc.NodeIdentity(key, "media", f"{name}-{secrets.token_hex(4)}")
        self._stub = runtime_pb2_grpc.MediaServiceStub(channel)
        self._tools = ToolRequests()
        self._live = Live()
        self._filled = asyncio.Event()
        self.beat = Beat(settings.link_beat_ms)

    @property
    def node(self) -> str:
        """Unique to this process: control numbers batches by node name, and another spool has other numbers."""
        return self._identity.node.name

    # What calls do.

    async def open_session(self, token: str, call_sid: str, stream_sid: str) -> pb.OpenSessionResponse:
        """Spend a stream's token.  Raises TokenRefused, Away."""
        request = pb.OpenSessionRequest(token=token, call_sid=call_sid, stream_sid=stream_sid, node=self.node)
        try:
            return await self._stub.OpenSession(
                request,
                timeout=self._settings.session_seconds,
                metadata=(self._identity.metadata(), *tracing.carried()),
                wait_for_ready=True,
            )
        except aio.AioRpcError as error:
            if error.code() in {StatusCode.NOT_FOUND, StatusCode.INVALID_ARGUMENT}:
                raise TokenRefused from error
            raise Away(error.code().name) from error

    def run_tool(self, request: pb.RunTool, answer: Answer) -> bool:
        """Have control run a tool; `answer` is called at most once, never after `give_up`.  False if too many wait."""
        added = self._tools.add(request, answer)
        self._filled.set()
        return added

    def give_up(self, call_id: str, tool_call_id: str) -> None:
        """The result of this tool is no longer needed."""
        self._tools.give_up(call_id, tool_call_id)

    def delta(self, delta: pb.CallDelta) -> None:
        """Send with this tick's deltas; dropped while the link is down or too slow."""
        if self.up:
            self._live.delta(delta)

    def under_way(self, call: pb.CallUnderWay) -> None:
        """Send a call's unfinished turns with the next flush; dropped while the link is down."""
        if self.up:
            self._live.under_way(call)

    # Once every few ticks of the pacer.

    def flush(self, now_ms: float) -> None:
        """Send what was reported since the last flush, and whether this process takes calls."""
        is_due = self.beat.is_due(now_ms)
        if self.outbox.flush(now_ms) or self._live or is_due:
            self._filled.set()

    async def stored(self) -> None:
        """Wait until control has everything."""
        done = asyncio.Event()
        self.outbox.when_stored(done.set)
        await done.wait()

    # The stream.

    async def run(self) -> None:
        """Keep a link up; reconnect after `link_retry_ms`, doubled with each failure, up to 5 s."""
        wait_ms = self._settings.link_retry_ms
        while True:
            was_up = False
            try:
                was_up = await self._link()
            except aio.AioRpcError as error:
                LOG.warning("link to control failed", code=error.code().name, error=(error.details() or "")[:200])
            except asyncio.InvalidStateError as error:  # it ended before hello was sent
                LOG.warning("link to control failed", error=str(error))
            except Exception:  # whatever it was, without a link no call can begin
                LOG.exception("link to control failed: this is a bug")
            if was_up:
                wait_ms = self._settings.link_retry_ms
            await asyncio.sleep(wait_ms / 1000)
            wait_ms = min(2 * wait_ms, RETRY_LIMIT_MS)

    async def _link(self) -> bool:
        """Run one link until it is lost; return whether it was ever up."""
        call = self._stub.Link(metadata=(self._identity.metadata(),))
        writer: asyncio.Task[None] | None = None
        try:
            state = pb.NodeState(refuses=self.beat.refuses() or "")
            await call.write(pb.LinkUp(hello=pb.LinkHello(state=state)))
            while isinstance(down := await call.read(), pb.LinkDown):  # anything else is the end of the stream
                self._take(down)
                if writer is None:  # the answer to hello: the last batch that control has
                    self._tools.begin_link()
                    self._set_up(True)
                    writer = asyncio.create_task(self._write(call), name="link writer")
                    writer.add_done_callback(lambda _: call.cancel())  # a link that writes nothing is none
        except aio.AioRpcError as error:
            if writer is None:
                raise
            LOG.warning("link to control lost", code=error.code().name)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            LOG.warning("link to control lost", code="CANCELLED")  # only the stream is: gRPC raises the same for it
        finally:
            self._set_up(False)
            call.cancel()
            if writer is not None:
                await _ended(writer)
        return writer is not None

    def _take(self, down: pb.LinkDown) -> None:
        match down.WhichOneof("down"):
            case "command":
                self.on_command(down.command)
            case "tool_result":
                self._tools.answered(down.tool_result)
            case "acknowledged_seq":
                self.outbox.acknowledge(down.acknowledged_seq)
            case _:
                pass  # from a later release

    async def _write(self, call: Stream) -> None:
        sent = self.outbox.acknowledged
        while True:
            self._filled.clear()
            await self._write_urgent(call)
            for batch in self.outbox.pending(sent):
                await call.write(pb.LinkUp(batch=batch))
                sent = batch.seq
                await self._write_urgent(call)  # the backlog may be long
            await self._filled.wait()

    async def _write_urgent(self, call: Stream) -> None:
        """Send what somebody is waiting for."""
        if (refuses := self.beat.take()) is not None:
            await call.write(pb.LinkUp(state=pb.NodeState(refuses=refuses)))
        for request in self._tools.take():
            await call.write(pb.LinkUp(tool=request))
        for up in self._live.take():  # before the batch in which these turns may be final
            await call.write(up)

    def _set_up(self, up: bool) -> None:
        if up != self.up:
            LOG.info("link to control is up" if up else "link to control is down", node=self.node)
        self.up = up
        metrics.LINK_UP.set(up)
        if not up:
            self._live.clear()


async def _ended(writer: "asyncio.Task[None]") -> None:
    """Cancel a link's writer; what it died of, if it was not the link's end, is a bug."""
    writer.cancel()
    (result,) = await asyncio.gather(writer, return_exceptions=True)
    if isinstance(result, Exception) and not isinstance(result, (aio.AioRpcError, asyncio.InvalidStateError)):
        LOG.error("a link's writer failed: this is a bug", exc_info=result)


def _is_cancelled() -> bool:
    """Whether the current task is asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
