"""Orphaned calls: no media process has them, and the carrier never reported their end.

The links show which calls are orphaned (`storage.media_links`), and the carrier knows whether they are still live.  If
it can't be asked, a call is closed after `link_lost_seconds` unless a media process reports it again.

A call may also be orphaned while its media process is alive: if the session was lost on its way to the process, the
stream never reports anything; if the report of the stream's end could not be stored, the stream lasts longer than any
call may.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from control.calls import callendings
from control.calls.ending import end_call
from control.clients.twilio import CarrierCall, CarrierClient, is_refusal
from control.livecall.callstatus import ANSWERED
from control.rows import rows_at_once
from control.transfers import record
from hum.clock import now
from hum.contract.errors import CarrierError
from hum.observe.logs import log
from hum.settings import CallsSettings
from storage import calls, orphaned_calls
from storage.db import Db
from storage.orphaned_calls import OrphanedCallRow

LOG = log(__name__)
#: Most concurrent requests to the carrier, and most unanswered requests in a row before a sweep sends no more: while
#: the carrier's API hangs, each takes `carrier_seconds`, and a sweep must not take longer the more calls there are.
MAX_CONCURRENT, MAX_UNANSWERED = 100, 10
#: From how many orphaned calls of a carrier's account its calls in progress are listed first, and from how many others
#: the completed ones: most of the orphaned calls are among them, and are not asked about one by one.
LISTED_FROM = 10
#: How long the carrier has a call before we do, at most; its clock may be ahead of ours.
BEGAN_BEFORE = timedelta(minutes=5)
#: How often the carrier is asked about an orphaned call within `link_lost_seconds`.
CHECKS = 2
#: How many times less often the carrier is asked about a call in a dial, which no media process has for as long as it
#: lasts.
DIALLED_BACK_OFF = 8
#: The longest call of any flow (`max_call_seconds`), and its goodbye.
LONGEST_STREAM = timedelta(hours=4, minutes=10)


async def close_orphaned_calls(db: Db, carrier: CarrierClient, settings: CallsSettings) -> int:
    """Close the orphaned calls that the carrier no longer has either; return how many.

    Raises UNAVAILABLE, after all calls in flight are processed.
    """
    lost_after = timedelta(seconds=settings.link_lost_seconds)
    async with db.system() as tx:
        rows = await orphaned_calls.claim(
            tx,
            timedelta(seconds=settings.link_silent_seconds),
            lost_after / CHECKS,
            lost_after,
            DIALLED_BACK_OFF,
            LONGEST_STREAM,
        )
    queries = _CarrierQueries(carrier)
    await queries.list_calls(rows)
    return await rows_at_once("orphaned calls", rows, partial(_close, db, queries), MAX_CONCURRENT)


async def _close(db: Db, queries: "_CarrierQueries", row: OrphanedCallRow) -> bool:
    carrier_call: CarrierCall | None = None
    try:
        carrier_call = await queries.get_call(row)
        # No carrier knows a browser's call: once joined, it is closed only after `link_lost_seconds`.
        was_answered = row.call_sid is not None or not row.streams_opened
    except CarrierError as error:
        LOG.warning("could not ask the carrier about a call", error=str(error)[:200])
        was_answered = False
    async with db.system() as tx:
        outcome = callendings.orphan_ending(
            joined=row.streams_opened > 0,
            was_answered=was_answered,
            carrier_status=carrier_call.status if carrier_call else None,
            is_long_lost=row.is_long_lost,
            dialled=await record.reason(tx, row.id) if row.is_dialled else None,
        )
        if outcome is None:
            return False
        state = await calls.lock(tx, row.id)
        if (state.status, state.streams_opened) != (row.status, row.streams_opened):
            return False  # it ended, was joined, or its stream has started
        ended_at = (carrier_call.ended_at if carrier_call else None) or row.seen_at or now()
        await end_call(tx, state, outcome[0], max(ended_at, state.answered_at or state.created_at), outcome[1])
    return True


@dataclass(slots=True)
class _CarrierQueries:
    """Requests to the carrier, until too many are unanswered."""

    carrier: CarrierClient
    unanswered: int = 0  # in a row
    #: What the lists say, by call.
    listed: dict[str, CarrierCall] = field(default_factory=dict)

    async def list_calls(self, rows: Sequence[OrphanedCallRow]) -> None:
        """List the calls of each account with many orphaned calls; those that are in no list are asked about singly."""
        began_at = defaultdict[str, dict[str, datetime]](dict)
        for row in rows:
            if row.call_sid is not None:
                began_at[row.carrier_account][row.call_sid] = row.created_at
        lists = (self._list(account, calls) for account, calls in began_at.items() if len(calls) >= LISTED_FROM)
        await asyncio.gather(*lists)

    async def _list(self, account: str, began_at: Mapping[str, datetime]) -> None:
        """List an account's calls in progress, and the completed ones if many of these calls are not among those."""
        try:
            in_progress = await self.carrier.calls_in_progress(account)
            self.listed |= {sid: CarrierCall(ANSWERED, None, sid) for sid in in_progress}
            others = [at for sid, at in began_at.items() if sid not in in_progress]
            if len(others) >= LISTED_FROM:
                completed = await self.carrier.completed_calls(min(others) - BEGAN_BEFORE, account)
                self.listed |= {call.sid: call for call in completed}
        except CarrierError as error:
            LOG.warning("could not list the carrier's calls", account=account, error=str(error)[:200])

    async def get_call(self, row: OrphanedCallRow) -> CarrierCall | None:
        """Return the carrier's record of a call; None if it has none.  Raises CarrierError."""
        if row.call_sid is None:
            return None
        if (listed := self.listed.get(row.call_sid)) is not None:
            return listed
        if self.unanswered >= MAX_UNANSWERED:
            raise CarrierError("It did not answer about other calls, and is not asked about this one.")
        try:
            carrier_call = await self.carrier.find_call(row.call_sid, row.carrier_account)
        except CarrierError as error:
            self.unanswered += not is_refusal(error)
            raise
        self.unanswered = 0
        return carrier_call
