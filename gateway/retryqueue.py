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
from datetime import datetime, timedelta
from typing import ParamSpec, TypeVar

import msgspec
from grpc import aio
from prometheus_client import Counter, Gauge

from gateway.controlclient import ControlUnavailable, NotConfirmedYet, TimeLimitMet
from hum.clock import monotonic_ms, now
from hum.observe.logs import log
from hum.settings import GatewaySettings
from hum.spool import Spool, adopt_orphans

LOG = log(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")
WAITING = Gauge("hum_webhooks_waiting", "Webhooks that are not delivered to control yet")
ENDED = Counter("hum_webhooks_postponed_total", "Postponed webhooks, by how they ended", ["how"])
#: Internal errors, of control or the gateway, after which a webhook is dropped, if the first was as many retry intervals ago.
#: After each it goes behind the others, so that one which control can't process delays none.
MAX_ATTEMPTS = 5
#: A webhook that a call's process does not confirm goes behind the others as well, and is dropped when it is so old: no machine
#: waits that long for a message.
MAX_UNCONFIRMED_AGE = timedelta(minutes=5)
#: Neither does one that meets the database's time limit hold up others; it may be the database that is slow, so it stays longer.
MAX_SLOW_AGE = timedelta(hours=1)
#: Seconds from one pass over the queue to the next while there are such webhooks.
PASS_SECONDS = 0.2
#: Webhooks adopted from another gateway in one step: new ones wait for the disk meanwhile.
MAX_ADOPTED = 100


class StoredWebhook(msgspec.Struct, frozen=True):
    """A signed request of the carrier as it came."""

    path: str
    form: bytes
    at: datetime


async def _to_its_end(work: Callable[_P, _T], *args: _P.args, **options: _P.kwargs) -> _T:
    """Run work on the spool in a thread; who is cancelled meanwhile waits for its end, since the spool may be closed then."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **options))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


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
        #: Of webhooks that were moved behind the others, by record: internal errors, and the time of the first.
        self._failures = dict[bytes, tuple[int, float]]()
        #: Records that hold up no others: control has them, but not yet the process that has the call, or they meet a time limit.
        self._behind = set[bytes]()
        #: Why delivery has stopped; empty while it goes on.
        self.fault = ""
        WAITING.set(len(self))

    def __len__(self) -> int:
        """Return the number of webhooks not delivered to control yet."""
        return len(self._spool) + len(self._in_memory)

    @property
    def has_backlog(self) -> bool:
        """Whether an earlier webhook is still to be delivered to control."""
        return len(self) > len(self._behind) and not self.fault

    async def add_copy(self, path: str, form: bytes) -> None:
        """Store a webhook that control has accepted before those that wait, if there is room: it may mean more after them."""
        if len(self) >= self._settings.postponed_webhooks // 2:
            return
        async with self._write_lock:
            with suppress(OSError):
                await self._append(StoredWebhook(path, form, now()))
        self._wake()

    async def add(self, path: str, form: bytes, at: datetime | None = None, *, keep_in_memory: bool = False) -> bool:
        """Store a webhook that arrived now, or `at` an earlier time; return False if it is lost.

        With `keep_in_memory`, a webhook that the disk does not accept stays in memory: the carrier sends it only once.
        """
        if len(self) >= self._settings.postponed_webhooks:
            LOG.error("could not queue a webhook for control: the queue is full", waiting=len(self))
            ENDED.labels("lost").inc()
            return False
        webhook = StoredWebhook(path, form, at or now())
        async with self._write_lock:
            try:
                await self._append(webhook)
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
                self._in_memory.append(msgspec.json.encode(webhook))
        self._wake()
        return True

    async def _append(self, webhook: StoredWebhook) -> None:
        """Append to those on the disk, after those in memory.  Raises OSError."""
        await self._store_in_memory()
        await _to_its_end(self._spool.append, msgspec.json.encode(webhook))

    def _wake(self) -> None:
        WAITING.set(len(self))
        self._added.set()

    async def _store_in_memory(self) -> None:
        """Move the records in memory to the disk, in order.  Raises OSError."""
        while self._in_memory:
            record = self._in_memory[0]
            await _to_its_end(self._spool.append, record)
            # It may have been delivered meanwhile: the first one is another then, and not stored.
            if self._in_memory and self._in_memory[0] is record:
                self._in_memory.popleft()

    async def run(self, deliver: Deliver) -> None:
        try:
            while True:
                self._added.clear()
                is_stuck = True
                for number, record in self._spool.pending():
                    if await self._deliver(deliver, number, record):
                        is_stuck = False
                    else:
                        await self._move_back(record)
                    await self._finish(number)
                if not len(self._spool) and self._in_memory:
                    is_stuck = not await self._deliver_from_memory(deliver)
                if self._failures or self._behind:
                    retry_seconds = self._settings.postponed_retry_seconds
                    await asyncio.sleep(retry_seconds if is_stuck else min(retry_seconds, PASS_SECONDS))
                if not self.has_backlog:
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
                count = await _to_its_end(adopt_orphans, self._spool, fsync=True, most=MAX_ADOPTED)
                if count:
                    LOG.info("adopted the webhooks of a gateway that ended", webhooks=count)
        WAITING.set(len(self))

    async def wait_until_delivered(self, patience_seconds: float) -> None:
        """Wait until control has the webhooks, or no webhook has been delivered for `patience_seconds`."""
        with suppress(TimeoutError):
            while self.has_backlog:
                self._progress.clear()
                async with asyncio.timeout(patience_seconds):
                    await self._progress.wait()

    async def _deliver_from_memory(self, deliver: Deliver) -> bool:
        """Deliver the first webhook that is in memory alone; if it is stored meanwhile, it is delivered again."""
        record = self._in_memory[0]
        is_over = await self._deliver(deliver, 0, record)
        if self._in_memory and self._in_memory[0] is record:
            self._in_memory.popleft()
            if not is_over:
                self._in_memory.append(record)
        WAITING.set(len(self))
        self._progress.set()
        return is_over

    async def _move_back(self, record: bytes) -> None:
        """Move a webhook behind the others."""
        async with self._write_lock:
            try:
                await _to_its_end(self._spool.append, record)
            except OSError:
                self._in_memory.append(record)

    async def _deliver(self, deliver: Deliver, number: int, record: bytes) -> bool:
        """Deliver a webhook as soon as control is available; return False if it is to be tried again after the others."""
        try:
            webhook = msgspec.json.decode(record, type=StoredWebhook)
        # Another version may have written it; those behind it are delivered.
        except (msgspec.DecodeError, UnicodeDecodeError):
            LOG.exception("could not read a stored webhook; it is dropped", number=number)
            ENDED.labels("lost").inc()
            return True
        while True:
            try:
                await deliver(webhook)
            except NotConfirmedYet:
                return self._is_too_old(webhook, record, MAX_UNCONFIRMED_AGE)
            except TimeLimitMet:
                return self._is_too_old(webhook, record, MAX_SLOW_AGE)
            except ControlUnavailable as error:
                if str(error) == "INTERNAL":
                    return self._is_dropped(webhook, record)
            except aio.AioRpcError as error:
                LOG.warning("control refused a webhook", path=webhook.path, code=error.code().name)
                return self._over(record, "refused")
            # The boundary of one webhook: the others are delivered.
            except Exception:
                LOG.exception("could not deliver a webhook to control: this is a bug", path=webhook.path)
                return self._is_dropped(webhook, record)
            else:
                return self._over(record, "told")
            await asyncio.sleep(self._settings.postponed_retry_seconds)

    def _is_too_old(self, webhook: StoredWebhook, record: bytes, longest: timedelta) -> bool:
        """Return whether a webhook that goes behind the others is no longer worth a retry."""
        self._behind.add(record)
        if now() - webhook.at < longest:
            return False
        LOG.warning("a webhook was not confirmed in time; it is dropped", path=webhook.path, at=webhook.at.isoformat())
        return self._over(record, "lost")

    def _is_dropped(self, webhook: StoredWebhook, record: bytes) -> bool:
        """Count an internal error; return whether it was the last that a webhook may have."""
        at_ms = monotonic_ms()
        failures, first_ms = self._failures.get(record, (0, at_ms))
        self._failures[record] = failures + 1, first_ms
        # The first attempt is at 0.
        longest_ms = (MAX_ATTEMPTS - 1) * self._settings.postponed_retry_seconds * 1000
        if failures + 1 < MAX_ATTEMPTS or at_ms < first_ms + 0.9 * longest_ms:
            return False
        LOG.error("could not deliver a webhook to control; it is dropped", path=webhook.path, at=webhook.at.isoformat())
        return self._over(record, "lost")

    def _over(self, record: bytes, how: str) -> bool:
        self._failures.pop(record, None)
        self._behind.discard(record)
        ENDED.labels(how).inc()
        return True

    async def _finish(self, number: int) -> None:
        async with self._write_lock:
            # Otherwise it is delivered again after a restart, which does no harm.
            with suppress(OSError):
                await _to_its_end(self._spool.finish, number)
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
