"""Gives calls their places at media processes.

Calls that ask at the same time are served together, by one short transaction at a time in the whole deployment: so no
process is offered more calls than it carries, no organization has more than it may, and nobody holds a lock meanwhile that
others' work is done under.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import prometheus_client

from control.bus import Bus
from control.calls import capacity
from control.calls.capacity import Asking, Caps, GoingOn, House, Node, Place, Refused
from control.calls.channels import LINKS
from hum import secrets
from hum.clock import monotonic_ms
from hum.settings import CallsSettings
from hum.validation import bad_e164
from storage import places
from storage.db import Db, Tx
from storage.places import OfferRow

#: How many calls are served at once.
MOST_AT_ONCE = 200
REFUSED = prometheus_client.Counter(
    "hum_calls_refused_total", "Calls that were sent to no media process, by why", ["why"]
)
for _why in (capacity.NO_CAPACITY, capacity.OF_CALLER, capacity.OF_ORGANIZATION):
    REFUSED.labels(_why)  # at 0 from the start: else the first refusal is no increase
OUT_OF_ZONE = prometheus_client.Counter(
    "hum_calls_out_of_zone_total", "Calls that were sent to a media process of another zone, their own having no place"
)
FULL = Refused(capacity.NO_CAPACITY)


@dataclass(frozen=True, slots=True)
class Offer:
    """A stream that the carrier may open, once, at this URL; empty: at the gateway's."""

    token: str
    url: str


@dataclass(frozen=True, slots=True)
class _Wish:
    """A call that waits for its place.

    `again`: it is to be offered one more stream, else it is told again what it was offered.  `blindly`: it is sent
    somewhere even when no process is known.  `zone`: where the carrier asked.
    """

    call: UUID
    again: bool
    blindly: bool
    zone: str
    answer: "asyncio.Future[Offer | Refused]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Rooms:
    """Looks at the media processes, waits for one that takes calls, and takes a place there."""

    def __init__(self, db: Db, bus: Bus, settings: CallsSettings) -> None:
        self._db, self._bus, self._settings = db, bus, settings
        self._silent = timedelta(seconds=settings.link_silent_seconds)
        self._caps = Caps(settings.max_calls_per_organization, settings.max_calls_per_caller)
        self._wishes: list[_Wish] = []
        self._serving: asyncio.Task[None] | None = None

    async def place(self, call: UUID, until_ms: float, *, again: bool, zone: str = "") -> Offer | Refused:
        """Offer a call a stream as soon as some process has a place for it, or refuse it at `until_ms` (monotonic).

        A process of this zone comes first; empty: of this one's own.

        A call that lost its stream (`again`) waits for a process even where none is known: one that died may be back in
        a moment.
        """
        changed = asyncio.Event()
        unsubscribe = self._bus.subscribe(LINKS, lambda _: changed.set())
        try:
            while True:
                changed.clear()  # before looking, or a change in between is missed
                left = (until_ms - monotonic_ms()) / 1000
                found = await self._ask(_Wish(call, again, not again or left <= 0, zone or self._settings.zone))
                if found != FULL or left <= 0:
                    if isinstance(found, Refused):
                        REFUSED.labels(found.reason).inc()
                    return found
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), min(left, self._settings.room_look_seconds))
        finally:
            unsubscribe()

    async def _ask(self, wish: _Wish) -> Offer | Refused:
        self._wishes.append(wish)
        if self._serving is None or self._serving.done():
            self._serving = asyncio.create_task(self._serve(), name="places")
        return await wish.answer

    async def _serve(self) -> None:
        """Serve those who wait, and those who come meanwhile."""
        while self._wishes:
            wishes, self._wishes = self._wishes[:MOST_AT_ONCE], self._wishes[MOST_AT_ONCE:]
            wishes = [wish for wish in wishes if not wish.answer.done()]  # else whoever asked has left
            try:
                answers = await self._give(wishes)
            except BaseException as error:
                for wish in wishes:
                    if not wish.answer.done():
                        wish.answer.set_exception(error) if isinstance(error, Exception) else wish.answer.cancel()
                if not isinstance(error, Exception):
                    raise
            else:
                for wish in wishes:
                    if not wish.answer.done():
                        wish.answer.set_result(answers.get(wish.call, FULL))

    async def _give(self, wishes: Sequence[_Wish]) -> Mapping[UUID, Offer | Refused]:
        """What each call gets; nothing for those that are over, or that somebody else has locked."""
        by_call = {wish.call: wish for wish in wishes}
        async with self._db.system() as tx:
            await places.lock(tx)
            rows = {row.id: row for row in await places.asking(tx, list(by_call))}
            asking = [
                Asking(id, row.org_id, _caller(row.from_e164), is_new=not row.streams_offered, zone=wish.zone)
                for id, wish in by_call.items()
                if (row := rows.get(id)) is not None
            ]
            failed = {row.not_opened_at for id, row in rows.items() if by_call[id].again and row.not_opened_at}
            if failed:
                await places.doubt(tx, list(failed))
            house = await self._house(tx, list(by_call))
            if house.is_empty:
                asking = [call for call in asking if by_call[call.id].blindly]
            counted = await places.going_on(tx, list({call.org for call in asking}))
            verdicts = capacity.give(asking, house, _going_on(counted, self._caps))
            offers = {id: Offer(secrets.new_token(), to.url) for id, to in verdicts.items() if isinstance(to, Place)}
            if offers:
                offered = {id: max(1, rows[id].streams_offered + by_call[id].again) for id in offers}
                stored = [OfferRow(id, secrets.token_hash(o.token), o.url, offered[id]) for id, o in offers.items()]
                await places.offer(tx, stored, self._settings.token_seconds)
        OUT_OF_ZONE.inc(sum(isinstance(to, Place) and to.is_far for to in verdicts.values()))
        return offers | {id: refused for id, refused in verdicts.items() if isinstance(refused, Refused)}

    async def _house(self, tx: Tx, but: Sequence[UUID]) -> House:
        held = await places.held(tx, but)
        of_node = Counter({row.node: row.calls for row in held if row.node is not None})
        nodes = [
            Node(row.url, row.places, row.takes, of_node[row.node], row.zone, row.is_doubted)
            for row in await places.nodes(tx, self._silent)
        ]
        return House(nodes, {row.url: row.calls for row in held if row.url is not None})


def _going_on(counted: Sequence[places.GoingOnRow], caps: Caps) -> GoingOn:
    return GoingOn([(row.org_id, _caller(row.from_e164), row.calls) for row in counted], caps)


def _caller(e164: str) -> str | None:
    return None if bad_e164(e164) else e164
