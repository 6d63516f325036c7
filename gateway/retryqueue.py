"""The retry queue of webhooks that control could not process: stored on disk, and delivered in order of arrival.

The carrier has its answer by then, so control only records what happened: that a caller heard an apology, how a call
ended.  Deliveries are idempotent, so a crash between a delivery and its removal does no harm.  A gateway that shuts down
delivers its queue first, unless control is unavailable; gateways that serve on the same machine adopt what it leaves.

While the disk rejects writes, a webhook that the carrier would send again is refused.  One that it would not send again
stays in memory, and is stored as soon as the disk accepts it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

import msgspec
from grpc import aio
from prometheus_client import Counter, Gauge

from gateway.controlclient import ControlUnavailable
from hum.clock import now
from hum.observe.logs import log
from hum.settings import GatewaySettings
from hum.spool import Spool, adopt_orphans

LOG = log(__name__)
WAITING = Gauge("hum_webhooks_waiting", "Webhooks that are not delivered to control yet")
ENDED = Counter("hum_webhooks_postponed_total", "Postponed webhooks, by how they ended", ["how"])
#: Internal errors, of control or the gateway, after which a webhook is dropped, so that those behind it are delivered.
MAX_ATTEMPTS = 5
#: Webhooks adopted from another gateway in one step: new ones wait for the disk meanwhile.
MAX_ADOPTED = 100


class StoredWebhook(msgspec.Struct, frozen=True):
    """A signed request of the carrier as it came."""

    path: str
    form: bytes
    at: datetime


Deliver = Callable[[StoredWebhook], Awaitable[None]]
"""Delivers a webhook to control.  Raises ControlUnavailable, and AioRpcError for a webhook that control refuses."""


class RetryQueue:
    """`add` stores webhooks; `run` delivers them until it is cancelled, and adopts what processes that ended have left."""

    def __init__(self, spool: Spool, settings: GatewaySettings) -> None:
        self._spool, self._settings = spool, settings
        #: Records that the disk did not accept; they arrived after those in the spool.
        self._in_memory = deque[bytes]()
        self._added, self._progress = asyncio.Event(), asyncio.Event()
        self._write_lock = asyncio.Lock()
        #: Why delivery has stopped; empty while it goes on.
        self.fault = ""
        WAITING.set(len(self))

    def __len__(self) -> int:
        """Return the number of webhooks not delivered to control yet."""
        return len(self._spool) + len(self._in_memory)

    @property
    def has_backlog(self) -> bool:
        """Whether an earlier webhook is still to be delivered."""
        return len(self) > 0 and not self.fault

    async def add(self, path: str, form: bytes, at: datetime | None = None, *, keep_in_memory: bool = False) -> bool:
        """Store a webhook that arrived now, or `at` an earlier time; return False if it is lost.

        With `keep_in_memory`, a webhook that the disk does not accept stays in memory: the carrier sends it only once.
        """
        if len(self) >= self._settings.postponed_webhooks:
            LOG.error("could not queue a webhook for control: the queue is full", waiting=len(self))
            ENDED.labels("lost").inc()
            return False
        record = msgspec.json.encode(StoredWebhook(path, form, at or now()))
        async with self._write_lock:
            try:
                await self._store_in_memory()
                await asyncio.to_thread(self._spool.append, record)
            except OSError as error:
                if not keep_in_memory:
                    LOG.exception("could not store a webhook")
                    ENDED.labels("lost").inc()
                    return False
                LOG.warning(
                    "could not store a webhook; it stays in memory",
                    in_memory=len(self._in_memory) + 1,
                    error=error.strerror,
                )
                self._in_memory.append(record)
        WAITING.set(len(self))
        self._added.set()
        return True

    async def _store_in_memory(self) -> None:
        """Move the records in memory to the disk, in order.  Raises OSError."""
        while self._in_memory:
            await asyncio.to_thread(self._spool.append, self._in_memory[0])
            self._in_memory.popleft()

    async def run(self, deliver: Deliver) -> None:
        try:
            while True:
                self._added.clear()
                for number, record in self._spool.pending():
                    await self._deliver(deliver, number, record)
                    await self._finish(number)
                if not len(self._spool) and self._in_memory:
                    await self._deliver_from_memory(deliver)
                if not len(self):
                    await self._adopt_orphans()
                if not len(self):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._settings.postponed_retry_seconds):
                            await self._added.wait()
        # The task's boundary: from then on the gateway is not ready, and gives this as the reason.
        except Exception as error:
            LOG.exception("stopped delivering postponed webhooks; restart this gateway")
            self.fault = f"postponed webhooks are not delivered to control any more: {error!r}"[:200]

    async def _adopt_orphans(self) -> None:
        """Adopt the webhooks that gateways which shut down, or died, could not deliver."""
        async with self._write_lock:
            with suppress(OSError):
                count = await asyncio.to_thread(adopt_orphans, self._spool, fsync=True, most=MAX_ADOPTED)
                if count:
                    LOG.info("adopted the webhooks of a gateway that ended", webhooks=count)
        WAITING.set(len(self))

    async def wait_until_delivered(self, patience_seconds: float) -> None:
        """Wait until the queue is empty, or no webhook has been delivered for `patience_seconds`."""
        with suppress(TimeoutError):
            while len(self) and not self.fault:
                self._progress.clear()
                async with asyncio.timeout(patience_seconds):
                    await self._progress.wait()

    async def _deliver_from_memory(self, deliver: Deliver) -> None:
        """Deliver the first webhook that is in memory alone; if it is stored meanwhile, it is delivered again."""
        record = self._in_memory[0]
        await self._deliver(deliver, 0, record)
        if self._in_memory and self._in_memory[0] is record:
            self._in_memory.popleft()
        WAITING.set(len(self))
        self._progress.set()

    async def _deliver(self, deliver: Deliver, number: int, record: bytes) -> None:
        try:
            webhook = msgspec.json.decode(record, type=StoredWebhook)
        # Another version may have written it; those behind it are delivered.
        except (msgspec.DecodeError, UnicodeDecodeError):
            LOG.exception("could not read a stored webhook; it is dropped", number=number)
            ENDED.labels("lost").inc()
            return
        failures = 0
        while failures < MAX_ATTEMPTS:
            try:
                await deliver(webhook)
            except ControlUnavailable as error:
                failures += str(error) == "INTERNAL"
            except aio.AioRpcError as error:
                LOG.warning("control refused a webhook", path=webhook.path, code=error.code().name)
                ENDED.labels("refused").inc()
                return
            # The boundary of one webhook: those behind it are delivered.
            except Exception:
                failures += 1
                LOG.exception("could not deliver a webhook to control: this is a bug", path=webhook.path)
            else:
                ENDED.labels("told").inc()
                return
            await asyncio.sleep(self._settings.postponed_retry_seconds)
        LOG.error("could not deliver a webhook to control; it is dropped", path=webhook.path, at=webhook.at.isoformat())
        ENDED.labels("lost").inc()

    async def _finish(self, number: int) -> None:
        async with self._write_lock:
            # Otherwise it is delivered again after a restart, which does no harm.
            with suppress(OSError):
                await asyncio.to_thread(self._spool.finish, number)
        WAITING.set(len(self))
        self._progress.set()

    def close(self) -> None:
        """Close the spool, after storing the records in memory if the disk accepts them now."""
        try:
            while self._in_memory:
                self._spool.append(self._in_memory[0])
                self._in_memory.popleft()
        except OSError:
            LOG.exception("could not store webhooks: they are lost", lost=len(self._in_memory))
            ENDED.labels("lost").inc(len(self._in_memory))
        self._spool.close()
