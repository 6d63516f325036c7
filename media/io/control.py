"""The link to control: one gRPC stream for the whole process, reports up, commands down.

    report() ─▶ batch ─▶ spool on disk ─▶ Link ─▶ control stores ─▶ acknowledged ─▶ a minute later, forgotten
    refuses() ─▶ Link ─▶ control knows whether to send callers here
    run_tool() ─▶ Link ─▶ control runs it ─▶ result ─▶ the call that waits for it

While the link is down, batches wait on disk and requests in memory; a new link first asks how far control has got, then
sends what it lacks, in order.  Transcript deltas and unfinished turns are never kept.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from grpc import StatusCode, aio

from hum import rpc, tracing
from hum.release import release
from hum.settings import MediaSettings
from hum.spool import Spool, left_beside
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from media import metrics
from media.io.filework import FileThread
from media.io.live import LiveMessages
from media.io.offers import Offers
from media.io.outbox import Outbox
from media.io.store import Store
from media.io.toolrequests import Answer, ToolRequests

LOG = log(__name__)
#: The carrier asks what comes next as soon as control is back, and a stream's last report is waited for no longer than HUM_SETTLE_SECONDS.
RETRY_LIMIT_MS = 1_000.0
#: Reports that processes which are gone have left: how often they are looked for, and how many are taken at once.
ORPHAN_SCAN_SECONDS, ORPHAN_BATCHES = 5.0, 20
CHANGES_PER_HEARTBEAT = 8  # a process that is full now and then does not say so each time


class TokenRefused(Exception):  # noqa: N818 - it says what happened
    """The token opens no stream: it is unknown, spent, expired, or another call's."""


class Unavailable(Exception):  # noqa: N818 - it says what happened
    """Control did not answer in time."""


Command = Callable[[pb.CallCommand], None]
Stream = aio.StreamStreamCall[pb.LinkUp, pb.LinkDown]


class Heartbeat:
    """When control is told how this process is: in equal steps, and soon after a change."""

    def __init__(self, settings: MediaSettings) -> None:
        #: Why this process takes no calls; None: it takes them.
        self.refuses: Callable[[], str | None] = lambda: None
        #: How many calls it carries at once.
        self.places = 0
        #: How many it carries now.
        self.calls: Callable[[], int] = lambda: 0
        self._settings, self._every_ms = settings, settings.link_beat_ms
        self._latest, self._due, self._version = "", False, release()
        self._since_ms = float("-inf")

    def is_due(self, now_ms: float) -> bool:
        """Note how it is, and tell whether control must know."""
        refuses = self.refuses() or ""
        wait_ms = self._every_ms if refuses == self._latest else self._every_ms / CHANGES_PER_HEARTBEAT
        if now_ms >= self._since_ms + wait_ms:
            self._latest, self._due, self._since_ms = refuses, True, now_ms
            self._measure(refuses)
        return self._due

    def take(self) -> pb.NodeState | None:
        """What is due; None when nothing is."""
        due, self._due = self._due, False
        return self._state(self._latest) if due else None

    def state(self) -> pb.NodeState:
        """How this process is now."""
        return self._state(self.refuses() or "")

    def _measure(self, refuses: str) -> None:
        free = 0 if refuses else max(0, self.places - self.calls())
        metrics.FREE_CALLS.set(free)
        metrics.USED_SHARE.set(1 - free / self.places if free else 1)

    def _state(self, refuses: str) -> pb.NodeState:
        return pb.NodeState(
            refuses=refuses,
            places=self.places,
            url=self._settings.media_url,
            beat_ms=round(self._every_ms),
            zone=self._settings.zone,
            version=self._version,
        )


class ControlLink:
    """`outbox`, `run_tool` and `flush` never wait; `run` keeps the link up until it is cancelled."""

    def __init__(self, settings: MediaSettings, channel: aio.Channel, key: bytes, name: str, spool: Spool) -> None:
        self.on_command: Command = lambda _: None
        self.offers = Offers()
        self.outbox = Outbox(Store(spool, settings), settings, FileThread("reports"))
        self._settings = settings
        self._identity = rpc.NodeIdentity(key, "media", f"{name}-{secrets.token_hex(4)}")
        self._stub = runtime_pb2_grpc.MediaServiceStub(channel)
        self._tools = ToolRequests()
        self._live = LiveMessages()
        self._has_data = asyncio.Event()
        self.beat = Heartbeat(settings)

    @property
    def up(self) -> bool:
        """Whether control is there."""
        return self._live.up

    @property
    def node(self) -> str:
        """Unique to this process: control numbers batches by node name, and another spool has other numbers."""
        return self._identity.node.name

    def credential(self) -> tuple[str, str]:
        """Metadata by which control knows this process."""
        return self._identity.metadata()

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
            raise Unavailable(error.code().name) from error

    async def check_files(self, paths: Sequence[str]) -> pb.CheckFilesResponse:
        """Ask which recordings are wanted no more.  Raises Away."""
        request = pb.CheckFilesRequest(paths=paths)
        try:
            return await self._stub.CheckFiles(
                request, timeout=self._settings.session_seconds, metadata=(self._identity.metadata(),)
            )
        except aio.AioRpcError as error:
            raise Unavailable(error.code().name) from error

    async def take_calls(self, from_node: str, call_ids: Sequence[str]) -> None:
        """Tell control that this process has calls which that one had.  Raises Away."""
        request = pb.TakeCallsRequest(from_node=from_node, call_ids=call_ids)
        try:
            await self._stub.TakeCalls(
                request, timeout=self._settings.session_seconds, metadata=(self._identity.metadata(),)
            )
        except aio.AioRpcError as error:
            raise Unavailable(error.code().name) from error

    def run_tool(self, request: pb.RunTool, answer: Answer) -> bool:
        """Have control run a tool; `answer` is called at most once, never after `give_up`.  False if too many wait."""
        added = self._tools.add(request, answer)
        self._has_data.set()
        return added

    def cancel_tool(self, call_id: str, tool_call_id: str) -> None:
        """The result of this tool is no longer needed."""
        self._tools.cancel(call_id, tool_call_id)

    def withdraw_tools(self, call_id: str) -> list[pb.RunTool]:
        """The tools of a call that still run; their results are not delivered here."""
        return self._tools.withdraw(call_id)

    def delta(self, delta: pb.CallDelta) -> None:
        """Send with this tick's deltas; dropped while the link is down or too slow."""
        self._live.delta(delta)

    def under_way(self, call: pb.CallUnderWay) -> None:
        """Send a call's unfinished turns with the next flush; dropped while the link is down."""
        self._live.under_way(call)

    def reply(self, reply: pb.BrowserReply) -> None:
        """Send what became of a browser's offer at once; dropped while the link is down, since nobody waits any more."""
        self._live.reply(reply)
        self._has_data.set()

    def answer(self, command_id: str, outcome: str) -> None:
        """Answer a command that has an id; dropped while the link is down, and then whoever asked learns nothing."""
        if command_id and self.up:
            self._live.answer(pb.CommandAnswer(command_id=command_id, outcome=outcome))
            self._has_data.set()

    # Once every few ticks of the pacer.

    def flush(self, now_ms: float) -> None:
        """Send what was reported since the last flush, and whether this process takes calls."""
        is_due = self.beat.is_due(now_ms)
        if self.outbox.flush(now_ms) or self._live or is_due:
            self._has_data.set()

    async def wait_until_stored(self) -> None:
        """Wait until control has everything."""
        done = asyncio.Event()
        self.outbox.when_stored(done.set)
        await done.wait()

    async def adopt_orphaned(self, scan_seconds: float = ORPHAN_SCAN_SECONDS) -> None:
        """Send what media processes that are gone could not, until cancelled: none of this machine's may start again soon."""
        while True:
            try:
                while taken := await self._adopt_orphaned_batches():
                    LOG.info("reports that another process has left are sent", batches=taken)
                    self._has_data.set()
            except OSError as error:
                LOG.warning("reports that another process has left can't be read", error=str(error))
            except (
                Exception
            ):  # the boundary of one look: the next may go well, and this process's own reports are sent all the same
                LOG.exception("reports that another process has left are not sent: this is a bug")
            await asyncio.sleep(scan_seconds)

    async def _adopt_orphaned_batches(self) -> int:
        """Take some batches from one process, and return how many; files are read and written in a thread.  Raises OSError."""
        spool = await asyncio.to_thread(_first_orphaned_spool, self.outbox.directory)
        if spool is None:
            return 0
        taken, last = 0, 0
        for number, batch in islice(spool.pending(), ORPHAN_BATCHES):
            if not self.outbox.adopt(batch):
                break
            taken, last = taken + 1, number
        await self.outbox.wait_for_disk(
            partial(_finish_spool, spool, last)
        )  # which is done also if nobody waits for it any more
        return taken

    # The stream.

    async def run(self) -> None:
        """Keep a link up; reconnect after `link_retry_ms`, doubled with each failure, up to 1 s."""
        wait_ms = self._settings.link_retry_ms
        while True:
            was_up = False
            try:
                was_up = await self._link()
            except aio.AioRpcError as error:
                LOG.warning("link to control failed", code=error.code().name, error=(error.details() or "")[:200])
            except asyncio.InvalidStateError as error:  # it ended before hello was sent
                LOG.warning("link to control failed", error=str(error))
            except Exception:  # the boundary of one connection: whatever it was, without a link no call can begin
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
            state = self.beat.state()
            state.takes.extend(self.offers.takes)
            await call.write(pb.LinkUp(hello=pb.LinkHello(state=state)))
            while isinstance(down := await call.read(), pb.LinkDown):  # anything else is the end of the stream
                if writer is not None or down.WhichOneof("down") != "acknowledged_seq":
                    self._dispatch(down)
                else:  # the answer to hello: the last batch that control has
                    await self.outbox.resume(down.acknowledged_seq)
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
                await _cancel_writer(writer)
        return writer is not None

    def _dispatch(self, down: pb.LinkDown) -> None:
        match down.WhichOneof("down"):
            case "command":
                self.on_command(down.command)
            case "tool_result":
                self._tools.answered(down.tool_result)
            case "browser":
                self.offers.on_offer(down.browser)
            case "acknowledged_seq":
                self.outbox.acknowledge(down.acknowledged_seq)
            case _:
                pass  # from a later release

    async def _write(self, call: Stream) -> None:
        sent = self.outbox.acknowledged
        while True:
            self._has_data.clear()
            await self._write_urgent(call)
            for batch in self.outbox.pending(sent):
                await call.write(pb.LinkUp(batch=batch))
                sent = batch.seq
                await self._write_urgent(call)  # the backlog may be long
            await self._has_data.wait()

    async def _write_urgent(self, call: Stream) -> None:
        """Send what somebody is waiting for."""
        if (state := self.beat.take()) is not None:
            await call.write(pb.LinkUp(state=state))
        for request in self._tools.drain():
            await call.write(pb.LinkUp(tool=request))
        for up in self._live.drain():  # before the batch in which these turns may be final
            await call.write(up)

    def _set_up(self, up: bool) -> None:
        if up != self.up:
            LOG.info("link to control is up" if up else "link to control is down", node=self.node)
        self._live.set_up(up)
        metrics.LINK_UP.set(up)


def _finish_spool(spool: Spool, number: int) -> None:
    """Note what was taken from a spool, and let it go."""
    with suppress(OSError):  # they are sent again, which does no harm
        spool.finish(number)
    with suppress(OSError):
        spool.close()


def _first_orphaned_spool(own: Path) -> Spool | None:
    for spool in left_beside(own, fsync=False):
        return spool
    return None


async def _cancel_writer(writer: "asyncio.Task[None]") -> None:
    """Cancel a link's writer; what it died of, if it was not the link's end, is a bug."""
    writer.cancel()
    (result,) = await asyncio.gather(writer, return_exceptions=True)
    if isinstance(result, Exception) and not isinstance(result, (aio.AioRpcError, asyncio.InvalidStateError)):
        LOG.error("a link's writer failed: this is a bug", exc_info=result)


def _is_cancelled() -> bool:
    """Whether the current task is asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
