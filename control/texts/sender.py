"""Sending texts that are due: each number at its own pace, none waiting for another.

Three moments, as with calls: an attempt is committed (`claims`); the carrier is asked, with no transaction open (`posting`); its
answer is recorded.  What becomes of an attempt whose answer is not known, `lookups` finds out.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from control.texts.claims import CAMPAIGNS, CONVERSATIONS, Claim, Claimed, Claims, Means
from control.texts.posting import Poster
from hum.clock import monotonic_ms
from hum.telemetry import log
from storage import sends
from storage.db import AWAY, BUSY, Db

LOG = log(__name__)
#: Numbers whose texts are looked for together.
MOST_NUMBERS = 500


@dataclass(eq=False, slots=True)
class Line:
    """A number that sends."""

    number_e164: str
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    posting: set[asyncio.Task[None]] = field(default_factory=set)


class Sender:
    """Sends what is due; any number of processes may have one."""

    def __init__(self, db: Db, claims: Claims, poster: Poster, means: Means) -> None:
        self._db, self._claims, self._poster, self._means = db, claims, poster, means
        self._lines: dict[str, tuple[Line, asyncio.Task[None]]] = {}
        #: Requests under way, of each lane.
        self._posting: dict[int, set[asyncio.Task[None]]] = {CONVERSATIONS: set(), CAMPAIGNS: set()}
        self._notified = set[str]()
        self._leaving = False
        #: Numbers that found no room, the first of them first.
        self._crowded: dict[str, Line] = {}
        #: Somebody told of a text, or a line has come to its end.
        self.woken = asyncio.Event()

    def tell(self, number_e164: str | None) -> None:
        """A text of this number is due; None: of some number, perhaps."""
        if number_e164 is not None:
            self._notified.add(number_e164)
        self.woken.set()

    async def send_due(self) -> None:
        """Send everything that is due, and what becomes due meanwhile."""
        looked_ms: float | None = None
        try:
            while True:
                self.woken.clear()
                numbers, self._notified = self._notified, set()
                if looked_ms is None or monotonic_ms() - looked_ms >= self._means.look_seconds * 1000:
                    looked_ms = monotonic_ms()
                    async with self._db.system() as tx:
                        numbers |= set(await sends.numbers(tx, self._means.look_seconds, MOST_NUMBERS))
                for number in numbers:
                    self._begin_line(number)
                if not self._lines:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self.woken.wait(), self._means.look_seconds)
        finally:
            await self._leave()

    async def _leave(self) -> None:
        """Begin nothing more; an answer that comes is recorded, also while this process is asked to stop."""
        self._leaving = True
        for line, _ in self._lines.values():
            line.woken.set()
        if self._lines:
            await asyncio.wait([task for _, task in self._lines.values()])
        if posting := self._posting[CONVERSATIONS] | self._posting[CAMPAIGNS]:
            await asyncio.wait(posting)
        self._leaving = False

    def _begin_line(self, number_e164: str) -> None:
        if number_e164 in self._lines:
            self._lines[number_e164][0].woken.set()
            return
        line = Line(number_e164)
        task = asyncio.create_task(self._run(line), name="text line")
        self._lines[number_e164] = (line, task)
        task.add_done_callback(lambda _: self._ended(number_e164))

    def _ended(self, number_e164: str) -> None:
        _, task = self._lines.pop(number_e164)
        self.woken.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            known = isinstance(error, (*AWAY, *BUSY))
            LOG.warning("a number's texts wait", error=repr(error)[:200], exc_info=None if known else error)

    # -- one number

    async def _run(self, line: Line) -> None:
        """Send a number's texts until none is due soon, and none is on its way."""
        while not self._leaving:
            line.woken.clear()
            room, campaign_room = self._room(line, CONVERSATIONS), self._room(line, CAMPAIGNS)
            crowded = campaign_room <= 0 and not line.posting
            if crowded:
                self._crowded.setdefault(line.number_e164, line)
            wait_seconds: float | None = self._means.look_seconds
            if room > 0:
                claim = await self._claims.claim(line.number_e164, room, campaign_room)
                await self._post(line, claim)
                wait_seconds = self._means.look_seconds if crowded else claim.wait_seconds
                soon = wait_seconds is not None and wait_seconds <= self._means.look_seconds
                if not (soon or line.posting or line.woken.is_set()):
                    return
            with suppress(TimeoutError):
                await asyncio.wait_for(line.woken.wait(), wait_seconds)

    def _room(self, line: Line, lane: int) -> int:
        """How many more requests of a lane this number may make now.  Campaigns leave some of the width to conversations."""
        campaigns = len(self._posting[CAMPAIGNS])
        room = self._means.width - len(self._posting[CONVERSATIONS]) - campaigns
        room = min(room, self._means.number_width - len(line.posting))
        return room if lane == CONVERSATIONS else min(room, self._means.campaign_width - campaigns)

    async def _post(self, line: Line, claim: Claim) -> None:
        if claim.begun:
            await self._poster.at_step("claimed")
        for claimed in claim.begun:
            task = asyncio.create_task(self._send(claimed), name="text")
            for tasks in (line.posting, self._posting[claimed.lane]):
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            task.add_done_callback(lambda _: self._posted(line))

    def _posted(self, line: Line) -> None:
        """There is room again, for this one and for one that found none."""
        line.woken.set()
        if self._crowded:
            self._crowded.pop(next(iter(self._crowded))).woken.set()

    async def _send(self, claimed: Claimed) -> None:
        try:
            await self._poster.send(claimed)
        except Exception:  # whatever it was, a sweep finds out what became of the text
            LOG.exception("an attempt's outcome is not recorded", attempt=str(claimed.attempt))
