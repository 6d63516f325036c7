"""The sender of due texts: each number has a line of its own, at its own pace.

A text takes three steps, as a call does: an attempt is committed (`claims`); the carrier is asked, with no transaction open
(`posting`); its answer is recorded.  If the answer is lost, `lookups` finds the outcome.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from control.texts.claims import CAMPAIGNS, CONVERSATIONS, ClaimedText, Claims, TextClaim, TextSendLimits
from control.texts.posting import TextPoster
from hum.clock import monotonic_ms
from hum.observe.logs import log
from storage import sends
from storage.db import BUSY, UNAVAILABLE, Db

LOG = log(__name__)
#: Numbers per poll of due texts.
MOST_NUMBERS = 500


@dataclass(eq=False, slots=True)
class NumberQueue:
    """A number that sends, with its requests in flight."""

    number_e164: str
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    in_flight: set[asyncio.Task[None]] = field(default_factory=set)


class TextSender:
    """The sender of due texts; any number of processes may run one."""

    def __init__(self, db: Db, claims: Claims, poster: TextPoster, limits: TextSendLimits) -> None:
        self._db, self._claims, self._poster, self._limits = db, claims, poster, limits
        self._lines: dict[str, tuple[NumberQueue, asyncio.Task[None]]] = {}
        #: Requests in flight, by lane.
        self._in_flight: dict[int, set[asyncio.Task[None]]] = {CONVERSATIONS: set(), CAMPAIGNS: set()}
        self._notified = set[str]()
        self._draining = False
        #: Lines that wait for capacity, oldest first.
        self._blocked: dict[str, NumberQueue] = {}
        #: Set when a text is due, or a line has ended.
        self.woken = asyncio.Event()

    def wake(self, number_e164: str | None) -> None:
        """Wake the sender: a text of this number is due; None: perhaps of any number."""
        if number_e164 is not None:
            self._notified.add(number_e164)
        self.woken.set()

    async def send_due(self) -> int:
        """Send the due texts, and those that become due meanwhile; return for how many numbers some were due."""
        polled_ms: float | None = None
        found = 0
        try:
            while True:
                self.woken.clear()
                numbers, self._notified = self._notified, set()
                if polled_ms is None or monotonic_ms() - polled_ms >= self._limits.poll_seconds * 1000:
                    polled_ms = monotonic_ms()
                    async with self._db.system() as tx:
                        numbers |= set(await sends.numbers(tx, self._limits.poll_seconds, MOST_NUMBERS))
                found += len(numbers)
                for number in numbers:
                    self._begin_line(number)
                if not self._lines:
                    return found
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.woken.wait(), self._limits.poll_seconds)
        finally:
            await self._drain()

    async def _drain(self) -> None:
        """Begin no new attempts, and wait until the answers to those in flight are recorded."""
        self._draining = True
        for line, _ in self._lines.values():
            line.woken.set()
        if self._lines:
            await asyncio.wait([task for _, task in self._lines.values()])
        if in_flight := self._in_flight[CONVERSATIONS] | self._in_flight[CAMPAIGNS]:
            await asyncio.wait(in_flight)
        self._draining = False

    def _begin_line(self, number_e164: str) -> None:
        if number_e164 in self._lines:
            self._lines[number_e164][0].woken.set()
            return
        line = NumberQueue(number_e164)
        task = asyncio.create_task(self._run(line), name="text line")
        self._lines[number_e164] = (line, task)
        task.add_done_callback(lambda _: self._ended(number_e164))

    def _ended(self, number_e164: str) -> None:
        line, task = self._lines.pop(number_e164)
        if self._blocked.get(number_e164) is line:
            del self._blocked[number_e164]
        # It may have been woken for capacity that it takes no more.
        self._wake_blocked()
        self.woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            is_expected = isinstance(error, (*UNAVAILABLE, *BUSY))
            LOG.warning(
                "a number's texts are delayed", error=repr(error)[:200], exc_info=None if is_expected else error
            )

    # -- one number

    async def _run(self, line: NumberQueue) -> None:
        """Send a number's texts until none is due soon, and none is in flight."""
        while not self._draining:
            line.woken.clear()
            capacity, campaign_capacity = self._capacity(line, CONVERSATIONS), self._capacity(line, CAMPAIGNS)
            is_blocked = campaign_capacity <= 0 and not line.in_flight
            if is_blocked:
                self._blocked.setdefault(line.number_e164, line)
            else:
                self._blocked.pop(line.number_e164, None)
            wait_seconds: float | None = self._limits.poll_seconds
            if capacity > 0:
                claim = await self._claims.claim(line.number_e164, capacity, campaign_capacity)
                await self._post(line, claim)
                wait_seconds = self._limits.poll_seconds if is_blocked else claim.wait_seconds
                soon = wait_seconds is not None and wait_seconds <= self._limits.poll_seconds
                if not (soon or line.in_flight or line.woken.is_set()):
                    return
            with suppress(TimeoutError):
                await asyncio.wait_for(line.woken.wait(), wait_seconds)

    def _capacity(self, line: NumberQueue, lane: int) -> int:
        """Return how many more requests a number may make in a lane.  Campaigns leave some of the width to conversations."""
        campaigns = len(self._in_flight[CAMPAIGNS])
        capacity = self._limits.width - len(self._in_flight[CONVERSATIONS]) - campaigns
        capacity = min(capacity, self._limits.number_width - len(line.in_flight))
        return capacity if lane == CONVERSATIONS else min(capacity, self._limits.campaign_width - campaigns)

    async def _post(self, line: NumberQueue, claim: TextClaim) -> None:
        if claim.attempts:
            await self._poster.at_step("claimed")
        for claimed in claim.attempts:
            task = asyncio.create_task(self._send(claimed), name="text")
            for tasks in (line.in_flight, self._in_flight[claimed.lane]):
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda _: self._posted(line))

    def _posted(self, line: NumberQueue) -> None:
        """Wake the line, and the oldest one that waits for capacity."""
        line.woken.set()
        self._wake_blocked()

    def _wake_blocked(self) -> None:
        if self._blocked:
            self._blocked.pop(next(iter(self._blocked))).woken.set()

    async def _send(self, claimed: ClaimedText) -> None:
        try:
            await self._poster.send(claimed)
        # The boundary of one attempt: the line goes on, and a sweep looks up this one's outcome at the carrier.
        except Exception:
            LOG.exception("could not record the outcome of an attempt", attempt=str(claimed.attempt))
