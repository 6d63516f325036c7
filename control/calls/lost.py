"""Calls that no media process has: theirs is gone, or none took them, and the carrier never reported their end.

The links show which calls these are (`storage.media_links`), and the carrier knows whether they continue.  If it can't be
asked, a call is closed after `link_lost_seconds` unless a media process reports it again.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from control.calls import rules
from control.calls.ending import finish
from control.clients.twilio import Carrier, CarrierCall, is_refusal
from control.rows import each_row
from control.transfers import record
from hum.clock import now
from hum.errors import CarrierError
from hum.settings import CallsSettings
from hum.telemetry import log
from storage import calls, lost_calls
from storage.db import Db
from storage.lost_calls import LostRow

LOG = log(__name__)
#: Questions to the carrier at once.  While its API hangs, each takes HUM_CARRIER_SECONDS: after so many in a row without an answer,
#: nothing more is asked in that sweep, and calls are closed in the same time however many they are.
WIDTH, SILENCES = 100, 10
#: How often the carrier is asked about a call within `link_lost_seconds`.
LOOKS = 2
#: Of a call that is connected to a person nobody hears for as long as they talk: it is asked about so many times more rarely.
DIALLED = 8


async def sweep(db: Db, carrier: Carrier, settings: CallsSettings) -> int:
    """Close the calls that neither a media process nor the carrier has any more; return how many.  Raises AWAY, when none is
    under way any more.
    """
    long = timedelta(seconds=settings.link_lost_seconds)
    async with db.system() as tx:
        found = await lost_calls.claim(tx, timedelta(seconds=settings.link_silent_seconds), long / LOOKS, long, DIALLED)
    width, asking = asyncio.Semaphore(WIDTH), _Asking(carrier)

    async def close(row: LostRow) -> bool:
        async with width:
            return await _close(db, asking, row)

    closing = (each_row("lost calls", [row], close) for row in found)
    closed = 0
    for done in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(done, BaseException):
            raise done
        closed += done
    return closed


@dataclass(slots=True)
class _Asking:
    """Asks the carrier for as long as it answers."""

    carrier: Carrier
    silences: int = 0  # in a row

    async def standing(self, row: LostRow) -> CarrierCall | None:
        """How a call stands at the carrier.  Raises CarrierError."""
        if row.call_sid is None:
            return None
        if self.silences >= SILENCES:
            raise CarrierError("It did not answer about others, and is not asked.")
        try:
            standing = await self.carrier.find_call(row.call_sid, row.carrier_account)
        except CarrierError as error:
            self.silences += not is_refusal(error)
            raise
        self.silences = 0
        return standing


async def _close(db: Db, asking: _Asking, row: LostRow) -> bool:
    standing: CarrierCall | None = None
    try:
        standing = await asking.standing(row)
        # A browser's call has no carrier who could know of it: once joined, it is lost only after a while.
        was_answered = row.call_sid is not None or not row.streams_opened
    except CarrierError as error:
        LOG.warning("the carrier can't be asked about a call", error=str(error)[:200])
        was_answered = False
    async with db.system() as tx:
        outcome = rules.lost(
            joined=row.streams_opened > 0,
            was_answered=was_answered,
            carrier_status=standing.status if standing else None,
            is_long_lost=row.is_long_lost,
            dialled=await record.reason(tx, row.id) if row.is_dialled else None,
        )
        if outcome is None:
            return False
        state = await calls.lock(tx, row.id)
        if state.status not in rules.LIVE or state.streams_opened != row.streams_opened:
            return False  # it ended, or was joined, meanwhile
        ended_at = (standing.ended_at if standing else None) or row.seen_at or now()
        await finish(tx, state, outcome[0], max(ended_at, state.answered_at or state.created_at), outcome[1])
    return True
