"""Webhooks that control could not take: kept on disk, and delivered once it is back, in the order of their arrival.

The carrier has its answer by then, so control only records what happened: that a caller heard an apology, how a call ended.
Each delivery may be repeated, so a crash between delivering and forgetting does no harm.  Who leaves delivers what it has, unless
control is away; what it leaves all the same is taken by those that serve beside it.

While the disk takes nothing, a webhook that the carrier would send again is refused; one that it would not is held in memory,
and stored as soon as the disk takes it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

import msgspec
from grpc import aio
from prometheus_client import Counter, Gauge

from gateway.held import Away
from hum.clock import now
from hum.settings import GatewaySettings
from hum.spool import Spool, take_left
from hum.telemetry import log

LOG = log(__name__)
WAITING = Gauge("hum_webhooks_waiting", "Webhooks that are not delivered to control yet")
ENDED = Counter("hum_webhooks_postponed_total", "Postponed webhooks, by how they ended", ["how"])
#: After so many internal errors, of control or of ours, a webhook is dropped, so that those behind it are delivered.
MOST_TRIES = 5
#: Of webhooks that another gateway has left: what comes meanwhile waits for the disk.
TAKEN_AT_ONCE = 100


class Webhook(msgspec.Struct, frozen=True):
    """A signed request of the carrier as it came."""

    path: str
    form: bytes
    at: datetime


Tell = Callable[[Webhook], Awaitable[None]]
"""Delivers a webhook to control.  Raises Away, AioRpcError for a webhook that control will never take."""


class Postponed:
    """`keep` stores webhooks, `run` delivers them until it is cancelled, with what processes that are gone have left."""

    def __init__(self, spool: Spool, settings: GatewaySettings) -> None:
        self._spool, self._settings = spool, settings
        #: Records that the disk did not take; they came after those in the spool.
        self._held = deque[bytes]()
        self._kept, self._progress = asyncio.Event(), asyncio.Event()
        self._writing = asyncio.Lock()
        #: Why nothing is delivered any more; empty if it is.
        self.fault = ""
        WAITING.set(len(self))

    def __len__(self) -> int:
        """Return how many webhooks control is still to be told of."""
        return len(self._spool) + len(self._held)

    @property
    def is_behind(self) -> bool:
        """Whether control is still to be told of something that came before now."""
        return len(self) > 0 and not self.fault

    async def keep(self, path: str, form: bytes, at: datetime | None = None, *, hold: bool = False) -> bool:
        """Store a request that came now, or then; False if that fails: then control never learns of it.

        With `hold`, one that can't be stored is held in memory: nobody sends it again.
        """
        if len(self) >= self._settings.postponed_webhooks:
            LOG.error("too many webhooks wait for control", waiting=len(self))
            ENDED.labels("lost").inc()
            return False
        record = msgspec.json.encode(Webhook(path, form, at or now()))
        async with self._writing:
            try:
                await self._store_held()
                await asyncio.to_thread(self._spool.append, record)
            except OSError as error:
                if not hold:
                    LOG.exception("could not store a webhook")
                    ENDED.labels("lost").inc()
                    return False
                LOG.warning(
                    "could not store a webhook; it is held in memory", held=len(self._held) + 1, error=error.strerror
                )
                self._held.append(record)
        WAITING.set(len(self))
        self._kept.set()
        return True

    async def _store_held(self) -> None:
        """Move what is held in memory to the disk, in order.  Raises OSError."""
        while self._held:
            await asyncio.to_thread(self._spool.append, self._held[0])
            self._held.popleft()

    async def run(self, tell: Tell) -> None:
        try:
            while True:
                self._kept.clear()
                for number, record in self._spool.pending():
                    await self._deliver(tell, number, record)
                    await self._forget(number)
                if not len(self._spool) and self._held:
                    await self._deliver_held(tell)
                if not len(self):
                    await self._take_left()
                if not len(self):
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._settings.postponed_retry_seconds):
                            await self._kept.wait()
        except Exception as error:  # the boundary of the task: the gateway is not ready from then on, and says why
            LOG.exception("postponed webhooks are not delivered any more")
            self.fault = f"postponed webhooks are not delivered to control any more: {error!r}"[:200]

    async def _take_left(self) -> None:
        """Take over what gateways that have left, or died, could not deliver."""
        async with self._writing:
            with suppress(OSError):
                taken = await asyncio.to_thread(take_left, self._spool, fsync=True, most=TAKEN_AT_ONCE)
                if taken:
                    LOG.info("webhooks that another gateway has left are delivered", webhooks=taken)
        WAITING.set(len(self))

    async def delivered(self, patience_seconds: float) -> None:
        """Wait until control has all of them, or has taken none for so long."""
        with suppress(TimeoutError):
            while len(self) and not self.fault:
                self._progress.clear()
                async with asyncio.timeout(patience_seconds):
                    await self._progress.wait()

    async def _deliver_held(self, tell: Tell) -> None:
        """Deliver the first webhook that is in memory alone; one that is stored meanwhile is delivered again."""
        record = self._held[0]
        await self._deliver(tell, 0, record)
        if self._held and self._held[0] is record:
            self._held.popleft()
        WAITING.set(len(self))
        self._progress.set()

    async def _deliver(self, tell: Tell, number: int, record: bytes) -> None:
        try:
            webhook = msgspec.json.decode(record, type=Webhook)
        except (
            msgspec.DecodeError,
            UnicodeDecodeError,
        ):  # another version may have written it; those behind it are delivered
            LOG.exception("a stored webhook can't be read", number=number)
            ENDED.labels("lost").inc()
            return
        failures = 0
        while failures < MOST_TRIES:
            try:
                await tell(webhook)
            except Away as error:
                failures += str(error) == "INTERNAL"
            except aio.AioRpcError as error:
                LOG.warning("control refuses a webhook", path=webhook.path, code=error.code().name)
                ENDED.labels("refused").inc()
                return
            except Exception:  # the boundary of one webhook: those behind it are delivered
                failures += 1
                LOG.exception("telling control of a webhook failed: this is a bug", path=webhook.path)
            else:
                ENDED.labels("told").inc()
                return
            await asyncio.sleep(self._settings.postponed_retry_seconds)
        LOG.error("control can't take a webhook", path=webhook.path, at=webhook.at.isoformat())
        ENDED.labels("lost").inc()

    async def _forget(self, number: int) -> None:
        async with self._writing:
            with suppress(OSError):  # told again after a restart, which does no harm
                await asyncio.to_thread(self._spool.finish, number)
        WAITING.set(len(self))
        self._progress.set()

    def close(self) -> None:
        """Close the spool; what is held in memory is stored first, if the disk takes it now."""
        try:
            while self._held:
                self._spool.append(self._held[0])
                self._held.popleft()
        except OSError:
            LOG.exception("could not store webhooks; control never learns of them", lost=len(self._held))
            ENDED.labels("lost").inc(len(self._held))
        self._spool.close()
