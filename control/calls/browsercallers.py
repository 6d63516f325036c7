"""The rights of browser calls' callers, while the calls last.

A call is admitted when it is placed, and may then last for an hour with the agent's tools.  A worker hangs up the live
calls whose caller could not place them now: a key that was revoked or has expired, or a person who was removed or
demoted, or is signed in nowhere.  It checks when a transaction takes rights away (`storage.revocations`), and with
every sweep, since the notification may be lost and nothing announces that a credential expires.
"""

import asyncio
from uuid import UUID

from control.bus import Bus
from control.calls.hangups import HangUps
from control.clients.twilio import CarrierClient
from control.rows import rows_at_once
from hum import ids
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import CallsSettings
from storage import browser_calls, calls
from storage.browser_calls import CallerRow
from storage.db import Db

LOG = log(__name__)
#: Each waits for its media process.
MAX_CONCURRENT = 20


class BrowserCallers:
    """The check of browser calls' callers.  `woken`: a key, person or session has lost rights."""

    def __init__(self, db: Db, bus: Bus, carrier: CarrierClient, settings: CallsSettings) -> None:
        self._db, self._hang_ups = db, HangUps(db, bus, carrier, settings)
        self.woken = asyncio.Event()

    def revoked(self, principal: UUID | None) -> None:
        """Have the calls checked at once.  A notification that may have been lost (None) is left to the next sweep."""
        if principal is not None:
            self.woken.set()

    async def check(self) -> int:
        """Hang up the calls whose callers may no longer place them; return how many.  Raises UNAVAILABLE."""
        # Before the query, so that a revocation during the query is checked too.
        self.woken.clear()
        async with self._db.system() as tx:
            rows = await browser_calls.live_callers(tx)
            permitted = await browser_calls.permitted(tx, [id for row in rows if (id := _caller(row))])
        refused = [row for row in rows if (row.org_id, _caller(row)) not in permitted]
        return await rows_at_once("browser calls", refused, self._hang_up, MAX_CONCURRENT)

    async def _hang_up(self, row: CallerRow) -> bool:
        """Hang up a call; return False if its media process does not answer: the next sweep tries again."""
        async with self._db.system() as tx:
            state = await calls.get(tx, row.call_id)
        if state.ended_at is not None or not await self._hang_ups.hang_up(state):
            return False
        LOG.info(
            "hung up a call from a browser: its caller has lost the right to place it",
            call=ids.show(Kind.CALL, row.call_id),
        )
        return True


def _caller(row: CallerRow) -> UUID | None:
    """Return the id of the key or person that placed a call (`control.actors.actor`)."""
    kind, _, id = row.caller.partition(":")
    return ids.parse(Kind.API_KEY if kind == "key" else Kind.USER, id)
