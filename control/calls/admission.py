"""Admission of calls: each gets a place at a media process, or is refused.

Requests that arrive at the same time are served together, by one short transaction at a time in the whole deployment.
So no process is offered more calls than its capacity, no organization exceeds its concurrency limit, and the
transaction holds no lock that other work waits for.
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
from control.calls import capacity, concurrentcalls
from control.calls.capacity import MediaCapacity, MediaNode, MediaPlace, PlaceRefusal
from control.calls.concurrentcalls import Caps, ConcurrentCalls, PlaceRequest
from control.livecall.channels import LINKS
from hum import secrets
from hum.clock import monotonic_ms
from hum.contract.validation import bad_e164
from hum.settings import CallsSettings
from storage import media_places
from storage.db import Db, Tx
from storage.media_places import OfferRow

#: Seconds between two attempts to get a place, while a caller waits for one.
RETRY_SECONDS = 0.25

#: How many calls are served by one transaction.
MAX_BATCH = 200
REFUSED = prometheus_client.Counter(
    "hum_calls_refused_total", "Calls that were sent to no media process, by why", ["why"]
)
for _why in (capacity.NO_CAPACITY, concurrentcalls.OF_CALLER, concurrentcalls.OF_ORGANIZATION):
    # Create the series at 0, so that the first refusal counts as an increase.
    REFUSED.labels(_why)
OUT_OF_ZONE = prometheus_client.Counter(
    "hum_calls_out_of_zone_total", "Calls that were sent to a media process of another zone, their own having no place"
)
FULL = PlaceRefusal(capacity.NO_CAPACITY)


@dataclass(frozen=True, slots=True)
class StreamOffer:
    """A stream that the carrier may open once at this URL; empty: at the gateway's."""

    token: str
    url: str


@dataclass(frozen=True, slots=True)
class _PendingCall:
    """A call that waits for its place.

    `again`: the call gets one more stream, else the stream that it was offered before.  `accepts_unknown`: the call
    gets a place even if no process is known.  `until_ms`: when the request's patience ends (monotonic).  `zone`: the zone of
    the gateway that received the carrier's request.
    """

    call: UUID
    again: bool
    accepts_unknown: bool
    until_ms: float
    zone: str
    answer: "asyncio.Future[StreamOffer | PlaceRefusal]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class CallAdmission:
    """The admission of calls to the media processes of the deployment."""

    def __init__(self, db: Db, bus: Bus, settings: CallsSettings) -> None:
        self._db, self._bus, self._settings = db, bus, settings
        self._silent = timedelta(seconds=settings.link_silent_seconds)
        self._caps = Caps(settings.max_calls_per_organization, settings.max_calls_per_caller)
        self._pending: list[_PendingCall] = []
        self._task: asyncio.Task[None] | None = None

    async def place(self, call: UUID, until_ms: float, *, again: bool, zone: str = "") -> StreamOffer | PlaceRefusal:
        """Offer a call a stream as soon as a process has a place for it, or refuse it at `until_ms` (monotonic).

        Processes of `zone` are preferred; empty: this process's own zone.

        A call that lost its stream (`again`) waits even if no process is known, since one that died may be back in a
        moment.
        """
        changed = asyncio.Event()
        unsubscribe = self._bus.subscribe(LINKS, lambda _: changed.set())
        try:
            while True:
                # Before the request, so that no change in between is missed.
                changed.clear()
                left_seconds = (until_ms - monotonic_ms()) / 1000
                result = await self._enqueue(
                    _PendingCall(call, again, not again or left_seconds <= 0, until_ms, zone or self._settings.zone)
                )
                if result != FULL or left_seconds <= 0:
                    if isinstance(result, PlaceRefusal):
                        REFUSED.labels(result.reason).inc()
                    return result
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), min(left_seconds, RETRY_SECONDS))
        finally:
            unsubscribe()

    async def _enqueue(self, pending: _PendingCall) -> StreamOffer | PlaceRefusal:
        self._pending.append(pending)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._serve(), name="places")
        return await pending.answer

    async def _serve(self) -> None:
        """Serve the pending calls in batches until none is left."""
        while self._pending:
            batch, self._pending = self._pending[:MAX_BATCH], self._pending[MAX_BATCH:]
            # Skip calls with a cancelled request.
            batch = [pending for pending in batch if not pending.answer.done()]
            try:
                answers = await self._assign(batch)
            # Whatever it is, the RPCs that wait must get it, and log it; a cancellation ends this task as well.
            except BaseException as error:
                for pending in batch:
                    if not pending.answer.done():
                        pending.answer.set_exception(error) if isinstance(error, Exception) else pending.answer.cancel()
                if not isinstance(error, Exception):
                    raise
            else:
                for pending in batch:
                    if not pending.answer.done():
                        pending.answer.set_result(answers.get(pending.call, FULL))

    async def _assign(self, batch: Sequence[_PendingCall]) -> Mapping[UUID, StreamOffer | PlaceRefusal]:
        """Assign places to calls, without those that are over or locked by another transaction."""
        by_call = {pending.call: pending for pending in batch}
        async with self._db.system() as tx:
            await media_places.lock(tx)
            rows = {row.id: row for row in await media_places.lock_calls(tx, list(by_call))}
            requests = [
                PlaceRequest(id, row.org_id, _caller(row.from_e164), is_new=not row.streams_offered, zone=pending.zone)
                for id, pending in by_call.items()
                if (row := rows.get(id)) is not None
            ]
            failed = {row.not_opened_at for id, row in rows.items() if by_call[id].again and row.not_opened_at}
            if failed:
                await media_places.doubt(tx, list(failed))
            free = await self._capacity(tx, list(by_call))
            if free.is_empty:
                requests = [call for call in requests if by_call[call.id].accepts_unknown]
            live_rows = await media_places.live_calls(tx, list({call.org for call in requests}))
            verdicts = capacity.assign_media_processes(requests, free, _concurrent(live_rows, self._caps))
            offers = {
                id: StreamOffer(secrets.new_token(), to.url)
                for id, to in verdicts.items()
                if isinstance(to, MediaPlace)
            }
            if offers:
                offered = {id: max(1, rows[id].streams_offered + by_call[id].again) for id in offers}
                late = {id: max(0.0, monotonic_ms() - by_call[id].until_ms) / 1000 for id in offers}
                stored = [
                    OfferRow(id, secrets.token_hash(offer.token), offer.url, offered[id], late[id])
                    for id, offer in offers.items()
                ]
                await media_places.offer(tx, stored, self._settings.token_seconds)
        OUT_OF_ZONE.inc(sum(isinstance(to, MediaPlace) and to.is_far for to in verdicts.values()))
        return offers | {id: refused for id, refused in verdicts.items() if isinstance(refused, PlaceRefusal)}

    async def _capacity(self, tx: Tx, excluded: Sequence[UUID]) -> MediaCapacity:
        occupied = await media_places.in_use(tx, excluded)
        of_node = Counter({row.node: row.calls for row in occupied if row.node is not None})
        nodes = [
            MediaNode(row.url, row.places, row.accepts_calls, of_node[row.node], row.zone, row.is_doubted)
            for row in await media_places.nodes(tx, self._silent)
        ]
        return MediaCapacity(nodes, {row.url: row.calls for row in occupied if row.url is not None})


def _concurrent(live_rows: Sequence[media_places.LiveCallsRow], caps: Caps) -> ConcurrentCalls:
    return ConcurrentCalls([(row.org_id, _caller(row.from_e164), row.calls) for row in live_rows], caps)


def _caller(e164: str) -> str | None:
    return None if bad_e164(e164) else e164
