"""The rights of browser calls' callers, while the calls last.

A call is admitted when it is placed, and may then last for an hour with the agent's tools.  A worker hangs up the live
calls whose caller could not place them now: a key that was revoked or has expired, or a person who was removed or
demoted, or is signed in nowhere.  It checks when a transaction takes rights away (`storage.revocations`), and with
every sweep, since the notification may be lost and nothing announces that a credential expires.
"""

import asyncio
from uuid import UUID

from control.bus import Bus
from control.calls.ending import hang_up
from control.clients.twilio import CarrierClient
from control.livecall.commands import DONE, Commands
from control.rows import each_row
from hum import ids
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import CallsSettings
from hum.v1 import runtime_pb2 as pb
from storage import browser_calls, calls
from storage.browser_calls import CallerRow
from storage.db import Db

LOG = log(__name__)


class BrowserCallers:
    """The check of browser calls' callers.  `woken`: a key, person or session has lost rights."""

    def __init__(self, db: Db, bus: Bus, carrier: CarrierClient, settings: CallsSettings) -> None:
        self._db, self._carrier = db, carrier
        self._commands = Commands(db, bus, settings)
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
        return await each_row(
            "browser calls", [row for row in rows if (row.org_id, _caller(row)) not in permitted], self._hang_up
        )

    async def _hang_up(self, row: CallerRow) -> bool:
        async with self._db.system() as tx:
            state = await calls.get(tx, row.call_id)
        call_id, outcome = ids.show(Kind.CALL, row.call_id), None
        if await self._commands.reaches(state):
            assert state.node is not None, "a process has the call"
            command = pb.CallCommand(call_id=call_id, hang_up=pb.HangUpNow())
            outcome = await self._commands.carry_out(state.node, command)
        if outcome != DONE:
            await hang_up(self._db, self._carrier, state)
        LOG.info("hung up a call from a browser: its caller has lost the right to place it", call=call_id)
        return True


def _caller(row: CallerRow) -> UUID | None:
    """Return the id of the key or person that placed a call (`control.actors.actor`)."""
    kind, _, id = row.caller.partition(":")
    return ids.parse(Kind.API_KEY if kind == "key" else Kind.USER, id)
