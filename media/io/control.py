"""The link to control: one gRPC stream for the whole process, reports up, commands down.

    report() ─▶ batch ─▶ spool on disk ─▶ Link ─▶ control stores ─▶ acknowledged ─▶ forgotten

A batch's number is its record's number in the spool.  While the link is away batches wait on disk; a new link first asks
how far control is, then sends what it lacks, in order.  Transcript deltas ride along and are never on disk.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from grpc import StatusCode, aio

from hum import rpc
from hum.settings import MediaSettings
from hum.spool import Spool
from hum.telemetry import log
from hum.v1 import runtime_pb2 as pb
from hum.v1 import runtime_pb2_grpc
from media import metrics

LOG = log(__name__)
RETRY_LIMIT_MS = 5_000.0
FINISH_EVERY_MS = 500.0  # forgetting costs a few file operations
MAX_SPOOLS = 1_000


class TokenRefused(Exception):  # noqa: N818 - it says what happened
    """The token opens no stream: unknown, spent, late, or another call's."""


class Away(Exception):  # noqa: N818 - it says what happened
    """Control did not answer in time."""


def take_spool(root: Path) -> Spool:
    """The first spool below `root` that no living process holds, with all that killed processes left in any of them.

    What is found elsewhere is moved into it, so that it is sent even if no other process ever starts.
    """
    own = next(_free_spools(root, range(MAX_SPOOLS)), None)
    if own is None:
        raise SystemExit(f"hum: all spools below {root} are taken")
    others = sorted(int(folder.name) for folder in root.iterdir() if folder.name.isdecimal())
    for left in _free_spools(root, others):
        for number, batch in left.pending():
            own.append(batch)
            left.finish(number)
        left.close()
    return own


def _free_spools(root: Path, numbers: Iterable[int]) -> Iterator[Spool]:
    for number in numbers:
        with suppress(BlockingIOError):
            yield Spool(root / str(number), fsync=False)


Command = Callable[[pb.CallCommand], None]


class ControlLink:
    """`report` and `flush` never wait; `run` keeps the link up until it is cancelled."""

    def __init__(self, given: MediaSettings, channel: aio.Channel, key: bytes, name: str, spool: Spool) -> None:
        # A name of this very process: control counts batches by name, and another spool would count otherwise.
        self.node = f"{name}-{secrets.token_hex(4)}"
        self.up = False
        self.live: Callable[[], list[str]] = list
        self.on_command: Command = lambda _: None
        self._given, self._spool = given, spool
        self._identity = rpc.NodeIdentity(key, "media", self.node)
        self._stub = runtime_pb2_grpc.MediaServiceStub(channel)
        self._reports: list[pb.Report] = []
        self._with_deltas: dict[int, pb.ReportBatch] = {}
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()
        self._acknowledged = self._sent = spool.done
        self._finished_ms = float("-inf")
        self._filled = asyncio.Event()

    # What calls do.

    async def open_session(self, token: str, call_sid: str, stream_sid: str) -> pb.OpenSessionResponse:
        """Spend a stream's token.  Raises TokenRefused, Away."""
        asked = pb.OpenSessionRequest(token=token, call_sid=call_sid, stream_sid=stream_sid, node=self.node)
        try:
            return await self._stub.OpenSession(
                asked, timeout=self._given.session_seconds, metadata=(self._identity.metadata(),), wait_for_ready=True
            )
        except aio.AioRpcError as error:
            if error.code() in {StatusCode.NOT_FOUND, StatusCode.INVALID_ARGUMENT}:
                raise TokenRefused from error
            raise Away(error.code().name) from error

    def report(self, report: pb.Report) -> None:
        """Leaves with this tick's batch.  A delta (number 0) is dropped while the link is away."""
        if report.seq or self.up:
            self._reports.append(report)

    def when_stored(self, then: Callable[[], None]) -> None:
        """Call `then` once control has acknowledged everything that was reported so far."""
        if self._reports:
            self._waiting.append((self._spool.last + 1, then))
        elif self._acknowledged >= self._spool.last:
            then()
        else:
            self._waiting.append((self._spool.last, then))

    @property
    def awaited(self) -> bool:
        """Whether somebody waits until control has what was reported."""
        return bool(self._waiting)

    # Once per tick of the pacer, or every few.

    def flush(self, now_ms: float) -> None:
        """Put what was reported since the last time on disk, as one batch, and let it leave."""
        if self._reports:
            self._append()
        if self._acknowledged > self._spool.done and now_ms - self._finished_ms >= FINISH_EVERY_MS:
            self._finished_ms = now_ms
            self._spool.finish(self._acknowledged)
            metrics.SPOOL_DEPTH.set(len(self._spool))

    def _append(self) -> None:
        kept = [each for each in self._reports if each.seq]
        try:
            number = self._spool.append(pb.ReportBatch(reports=kept).SerializeToString())
        except OSError:  # a full disk: they stay in memory, and are tried again with the next tick
            LOG.exception("reports are not on disk", reports=len(self._reports))
            return
        if len(kept) < len(self._reports):
            self._with_deltas[number] = pb.ReportBatch(reports=self._reports)
        self._reports = []
        metrics.SPOOL_DEPTH.set(len(self._spool))
        self._filled.set()

    def close(self) -> None:
        self.flush(float("inf"))
        self._spool.close()

    async def stored(self) -> None:
        """Wait until control has everything."""
        done = asyncio.Event()
        self.when_stored(done.set)
        await done.wait()

    # The stream.

    async def run(self) -> None:
        """Keep a link up; first wait `link_retry_ms`, then twice as long each time, up to 5 s."""
        wait_ms = self._given.link_retry_ms
        while True:
            try:
                was_up = await self._link()
            except (aio.AioRpcError, asyncio.InvalidStateError) as error:  # the latter: over before we could say hello
                LOG.warning("link to control failed", error=str(error).partition("\n")[0])
                was_up = False
            if was_up:
                wait_ms = self._given.link_retry_ms
            await asyncio.sleep(wait_ms / 1000)
            wait_ms = min(2 * wait_ms, RETRY_LIMIT_MS)

    async def _link(self) -> bool:
        """One link, until it is lost; whether it was ever up."""
        call = self._stub.Link(metadata=(self._identity.metadata(),))
        writer: asyncio.Task[None] | None = None
        try:
            await call.write(pb.LinkUp(hello=pb.LinkHello(node=self.node, call_ids=self.live())))
            while isinstance(down := await call.read(), pb.LinkDown):  # else it is the end
                self._take(down)
                if writer is None:  # the answer to hello: how far control is
                    self._sent = self._acknowledged
                    self._set_up(True)
                    writer = asyncio.create_task(self._write(call), name="link writer")
        except aio.AioRpcError as error:
            if writer is None:
                raise
            LOG.warning("link to control lost", code=error.code().name)
        finally:
            self._set_up(False)
            call.cancel()
            if writer is not None:
                writer.cancel()
                with suppress(asyncio.CancelledError, aio.AioRpcError, asyncio.InvalidStateError):
                    await writer
        return writer is not None

    def _take(self, down: pb.LinkDown) -> None:
        if down.WhichOneof("down") == "command":
            self.on_command(down.command)
            return
        self._acknowledged = max(self._acknowledged, min(down.acknowledged_seq, self._spool.last))
        while self._waiting and self._waiting[0][0] <= self._acknowledged:
            self._waiting.popleft()[1]()

    async def _write(self, call: "aio.StreamStreamCall[pb.LinkUp, pb.LinkDown]") -> None:
        while True:
            self._filled.clear()
            for number, payload in self._spool.pending(self._sent):
                batch = self._with_deltas.pop(number, None) or pb.ReportBatch.FromString(payload)
                batch.seq = number
                await call.write(pb.LinkUp(batch=batch))
                self._sent = number
            self._with_deltas.clear()
            await self._filled.wait()

    def _set_up(self, up: bool) -> None:
        if up != self.up:
            LOG.info("link to control is up" if up else "link to control is down", node=self.node)
        self.up = up
        metrics.LINK_UP.set(up)
        if not up:
            self._with_deltas.clear()
