"""Calls that no media process has: theirs is gone, or none took them, and the carrier never reported their end.

The links show which calls these are (`storage.media_links`), and the carrier knows whether they continue.  If it can't be
asked, a call is closed after `link_lost_seconds` unless a media process reports it again.
"""

import asyncio
from datetime import timedelta

from control.calls import rules
from control.calls.ending import finish
from control.clients.twilio import Carrier, CarrierCall
from control.rows import each_row
from hum.clock import now
from hum.errors import CarrierError
from hum.settings import CallsSettings
from hum.telemetry import log
from storage import calls
from storage.calls import LostRow
from storage.db import Db

LOG = log(__name__)
#: Questions to the carrier at once.
WIDTH = 10
#: How often the carrier is asked about a call within `link_lost_seconds`.
LOOKS = 2


async def sweep(db: Db, carrier: Carrier, settings: CallsSettings) -> int:
    """Close the calls that neither a media process nor the carrier has any more; return how many."""
    long = timedelta(seconds=settings.link_lost_seconds)
    async with db.system() as tx:
        found = await calls.lost(tx, timedelta(seconds=settings.link_silent_seconds), long / LOOKS, long)
    width = asyncio.Semaphore(WIDTH)

    async def close(row: LostRow) -> bool:
        async with width:
            return await _close(db, carrier, row)

    done = await asyncio.gather(*(each_row("lost calls", [row], close) for row in found))
    return sum(done)


async def _close(db: Db, carrier: Carrier, row: LostRow) -> bool:
    standing: CarrierCall | None = None
    try:
        standing = await carrier.find_call(row.call_sid) if row.call_sid else None
        was_answered = True
    except CarrierError as error:
        LOG.warning("the carrier can't be asked about a call", error=str(error)[:200])
        was_answered = False
    outcome = rules.lost(
        joined=row.streams_opened > 0,
        was_answered=was_answered,
        carrier_status=standing.status if standing else None,
        is_long_lost=row.is_long_lost,
    )
    if outcome is None:
        return False
    async with db.system() as tx:
        state = await calls.lock(tx, row.id)
        if state.status not in rules.LIVE or state.streams_opened != row.streams_opened:
            return False  # it ended, or was joined, meanwhile
        ended_at = (standing.ended_at if standing else None) or row.seen_at or now()
        await finish(tx, state, outcome[0], max(ended_at, state.answered_at or state.created_at), outcome[1])
    return True
