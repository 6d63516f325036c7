"""The link to control: one gRPC stream for the whole process, reports up, commands down.

    report() ─▶ batch ─▶ spool on disk ─▶ Link ─▶ control stores ─▶ acknowledged ─▶ a minute later, purged
    refuses() ─▶ Link ─▶ control knows whether to route calls here
    run_tool() ─▶ Link ─▶ control runs it ─▶ result ─▶ the call that waits for it

While the link is down, batches wait on disk and tool requests in memory.  A new link begins with our hello; control answers
with the last batch that it has, and the link sends the later ones, in order.  Transcript deltas and unfinished turns are sent
at once or never.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path

from grpc import StatusCode, aio

from hum import rpc
from hum.observe import tracing
from hum.observe.logs import log
from hum.process.release import release
from hum.settings import MediaSettings
from hum.spool import Spool, orphaned_spools
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from media import metrics
from media.core.runningtools import TOO_MANY, error_json
from media.io.filework import FileThread
from media.io.live import LiveMessages
from media.io.offers import Offers
from media.io.outbox import Outbox
from media.io.store import Store
from media.io.toolrequests import Answer, ToolRequests

LOG = log(__name__)
#: Once control is back, the carrier requests the next step, and control waits for the stream's last report no longer than
#: `settle_seconds`: so the back-off must stay short.
RETRY_LIMIT_MS = 1_000.0
#: Reports orphaned by dead processes: how often to scan for them, and how many batches to adopt at once.
ORPHAN_SCAN_SECONDS, ORPHAN_BATCHES = 5.0, 20
#: Limits how often a change is reported: a process that alternates between full and not full would flood control.
CHANGES_PER_HEARTBEAT = 8


class TokenRefused(Exception):  # noqa: N818 - it says what happened
    """The token opens no stream: it is unknown, spent, expired, or belongs to another call."""


class ControlUnavailable(Exception):  # noqa: N818 - it says what happened
    """Control did not answer in time."""


Command = Callable[[pb.CallCommand], None]
Stream = aio.StreamStreamCall[pb.LinkUp, pb.LinkDown]


class Heartbeat:
    """The schedule on which control gets this process's state: at equal intervals, and soon after a change."""

    def __init__(self, settings: MediaSettings) -> None:
        #: Why this process admits no calls; None if it admits them.
        self.refuses: Callable[[], str | None] = lambda: None
        #: This process's capacity for calls.
        self.places = 0
        #: The number of its calls.
        self.calls: Callable[[], int] = lambda: 0
        self._settings, self._every_ms = settings, settings.link_beat_ms
        self._latest, self._due, self._version = "", False, release()
        self._since_ms = float("-inf")

    def is_due(self, now_ms: float) -> bool:
        """Sample the state if it is time to; return whether a state is due to be sent."""
        refuses = self.refuses() or ""
        wait_ms = self._every_ms if refuses == self._latest else self._every_ms / CHANGES_PER_HEARTBEAT
        if now_ms >= self._since_ms + wait_ms:
            self._latest, self._due, self._since_ms = refuses, True, now_ms
            self._measure(refuses)
        return self._due

    def take(self) -> pb.NodeState | None:
        """Return the state that is due, once; None if none is."""
        due, self._due = self._due, False
        return self._state(self._latest) if due else None

    def state(self) -> pb.NodeState:
        """Return the current state."""
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
    """The link of this process.  `outbox`, `run_tool` and `flush` never block; `run` keeps the link up until cancelled."""

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
        """Whether the link is up."""
        return self._live.up

    @property
    def node(self) -> str:
        """The node name, unique to this process: control tracks batch numbers per node, and each spool has its own numbers."""
        return self._identity.node.name

    def credential(self) -> tuple[str, str]:
        """Return the metadata that authenticates this process to control."""
        return self._identity.metadata()

    # Called by calls.

    async def open_session(self, token: str, call_sid: str, stream_sid: str) -> pb.OpenSessionResponse:
        """Spend a stream's token; return the call's session.  Raises TokenRefused, ControlUnavailable."""
        request = pb.OpenSessionRequest(token=token, call_sid=call_sid, stream_sid=stream_sid, node=self.node)
        try:
            return await self._stub.OpenSession(
                request,
                timeout=self._settings.session_seconds,
                metadata=(self._identity.metadata(), *tracing.metadata()),
                wait_for_ready=True,
            )
        except aio.AioRpcError as error:
            if error.code() in {StatusCode.NOT_FOUND, StatusCode.INVALID_ARGUMENT}:
                raise TokenRefused from error
            raise ControlUnavailable(error.code().name) from error

    async def check_files(self, paths: Sequence[str]) -> pb.CheckFilesResponse:
        """Return which of these recordings are no longer wanted, and which are unknown to control.  Raises ControlUnavailable."""
        request = pb.CheckFilesRequest(paths=paths)
        try:
            return await self._stub.CheckFiles(
                request, timeout=self._settings.session_seconds, metadata=(self._identity.metadata(),)
            )
        except aio.AioRpcError as error:
            raise ControlUnavailable(error.code().name) from error

    async def take_calls(self, from_node: str, call_ids: Sequence[str]) -> None:
        """Report to control that another node has handed over calls to this process.  Raises ControlUnavailable."""
        request = pb.TakeCallsRequest(from_node=from_node, call_ids=call_ids)
        try:
            await self._stub.TakeCalls(
                request, timeout=self._settings.session_seconds, metadata=(self._identity.metadata(),)
            )
        except aio.AioRpcError as error:
            raise ControlUnavailable(error.code().name) from error

    def run_tool(self, request: pb.RunTool, answer: Answer) -> bool:
        """Have control run a tool; return False if too many requests are pending.

        `answer` is called at most once, and never after `cancel_tool`.
        """
        added = self._tools.add(request, answer)
        self._has_data.set()
        return added

    def repeat_tool(self, request: pb.RunTool, answer: Answer) -> None:
        """Have control run a tool whose request was withdrawn; if too many requests are pending, answer at once that it failed."""
        if not self.run_tool(request, answer):
            failure = pb.ToolResult(call_id=request.call_id, tool_call_id=request.tool_call_id, status="failed")
            failure.output_json = error_json(TOO_MANY)
            answer(failure)

    def cancel_tool(self, call_id: str, tool_call_id: str) -> None:
        """Cancel a tool request: its result is no longer needed."""
        self._tools.cancel(call_id, tool_call_id)

    def withdraw_tools(self, call_id: str) -> list[pb.RunTool]:
        """Cancel a call's pending tool requests, and return them."""
        return self._tools.withdraw(call_id)

    def delta(self, delta: pb.CallDelta) -> None:
        """Send a transcript delta with the next flush; drop it while the link is down or too slow."""
        self._live.delta(delta)

    def under_way(self, call: pb.CallUnderWay) -> None:
        """Send a call's unfinished turns with the next flush; drop them while the link is down."""
        self._live.under_way(call)

    def reply(self, reply: pb.BrowserReply) -> None:
        """Send a browser offer's outcome at once; drop it while the link is down, since a late one is useless."""
        self._live.reply(reply)
        self._has_data.set()

    def answer(self, command_id: str, outcome: str) -> None:
        """Answer a command that has an id; drop the answer while the link is down."""
        if command_id and self.up:
            self._live.answer(pb.CommandAnswer(command_id=command_id, outcome=outcome))
            self._has_data.set()

    # Once every few ticks of the ticker.

    def flush(self, now_ms: float) -> None:
        """Send the reports since the last flush, and this process's state if it is due."""
        is_due = self.beat.is_due(now_ms)
        if self.outbox.flush(now_ms) or self._live or is_due:
            self._has_data.set()

    async def wait_until_stored(self) -> None:
        """Wait until control has acknowledged everything that was reported so far."""
        done = asyncio.Event()
        self.outbox.when_stored(done.set)
        await done.wait()

    async def adopt_orphaned(self, scan_seconds: float = ORPHAN_SCAN_SECONDS) -> None:
        """Adopt and send the reports that dead processes could not send, until cancelled.

        A dead process's own successor can't be relied on for that: it may not start soon.
        """
        while True:
            try:
                while count := await self._adopt_orphaned_batches():
                    LOG.info("sending a dead process's orphaned reports", batches=count)
                    self._has_data.set()
            except OSError as error:
                LOG.warning("could not read a dead process's orphaned reports", error=str(error))
            # The boundary of one scan: the next may succeed, and this process's own reports are sent all the same.
            except Exception:
                LOG.exception("could not send a dead process's orphaned reports: this is a bug")
            await asyncio.sleep(scan_seconds)

    async def _adopt_orphaned_batches(self) -> int:
        """Adopt some batches of one dead process, and return how many.  Raises OSError."""
        spool = await asyncio.to_thread(_first_orphaned_spool, self.outbox.directory)
        if spool is None:
            return 0
        count, last = 0, 0
        for number, batch in islice(spool.pending(), ORPHAN_BATCHES):
            if not self.outbox.adopt(batch):
                break
            count, last = count + 1, number
        # The spool is finished even if this wait is cancelled.
        await self.outbox.run_after_writes(partial(_finish_spool, spool, last))
        return count

    # The stream.

    async def run(self) -> None:
        """Keep a link up; reconnect with back-off: after `link_retry_ms`, doubled with each failure, up to 1 s."""
        wait_ms = self._settings.link_retry_ms
        while True:
            was_up = False
            try:
                was_up = await self._link()
            except aio.AioRpcError as error:
                LOG.warning("link to control failed", code=error.code().name, error=(error.details() or "")[:200])
            except asyncio.InvalidStateError as error:  # it ended before the hello
                LOG.warning("link to control failed", error=str(error))
            # The boundary of one connection: without a link, no call can begin.
            except Exception:
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
            # Anything but a LinkDown is the end of the stream.
            while isinstance(down := await call.read(), pb.LinkDown):
                if writer is not None or down.WhichOneof("down") != "acknowledged_seq":
                    self._dispatch(down)
                # The answer to our hello: the last batch that control has.
                else:
                    await self.outbox.resume(down.acknowledged_seq)
                    self._tools.begin_link()
                    self._set_up(True)
                    writer = asyncio.create_task(self._write(call), name="link writer")
                    # Without its writer, the link is useless: end it.
                    writer.add_done_callback(lambda _: call.cancel())
        except aio.AioRpcError as error:
            if writer is None:
                raise
            LOG.warning("link to control lost", code=error.code().name)
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            # gRPC raises the same error when only the stream is cancelled, and not this task.
            LOG.warning("link to control lost", code="CANCELLED")
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
        """Write the messages that are urgent: state, tool requests, answers, live transcript."""
        if (state := self.beat.take()) is not None:
            await call.write(pb.LinkUp(state=state))
        for request in self._tools.drain():
            await call.write(pb.LinkUp(tool=request))
        # Before the batch in which these unfinished turns may be final.
        for up in self._live.drain():
            await call.write(up)

    def _set_up(self, up: bool) -> None:
        if up != self.up:
            LOG.info("link to control is up" if up else "link to control is down", node=self.node)
        self._live.set_up(up)
        metrics.LINK_UP.set(up)


def _finish_spool(spool: Spool, number: int) -> None:
    """Mark an orphaned spool's batches as adopted, and close it."""
    # If this fails, the batches are sent again, and control ignores the duplicates.
    with suppress(OSError):
        spool.finish(number)
    with suppress(OSError):
        spool.close()


def _first_orphaned_spool(own: Path) -> Spool | None:
    for spool in orphaned_spools(own, fsync=False):
        return spool
    return None


async def _cancel_writer(writer: "asyncio.Task[None]") -> None:
    """Cancel a link's writer; log an exception that the end of the link does not explain, since it is a bug."""
    writer.cancel()
    (result,) = await asyncio.gather(writer, return_exceptions=True)
    if isinstance(result, Exception) and not isinstance(result, (aio.AioRpcError, asyncio.InvalidStateError)):
        LOG.error("a link's writer failed: this is a bug", exc_info=result)


def _is_cancelled() -> bool:
    """Return whether the current task is being cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
