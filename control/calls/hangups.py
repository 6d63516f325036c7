"""Hanging up live calls: by the media process that has the call, or at the carrier."""

from control.bus import Bus
from control.calls import ending
from control.clients.twilio import CarrierClient
from control.livecall.commands import DONE, OVER, Commands
from hum import ids
from hum.ids import Kind
from hum.settings import CallsSettings
from hum.v1 import runtime_pb2 as pb
from storage.calls import CallStateRow
from storage.db import Db


class HangUps:
    """The hanging up of calls for people, and for callers who have lost their rights."""

    def __init__(self, db: Db, bus: Bus, carrier: CarrierClient, settings: CallsSettings) -> None:
        self._db, self._carrier = db, carrier
        self._commands = Commands(db, bus, settings)

    async def hang_up(self, state: CallStateRow) -> bool:
        """Hang up a live call; return False if it may go on, in a media process that does not answer.

        Raises CarrierError.
        """
        outcome = None
        if await self._commands.reaches(state):
            assert state.node is not None, "a process has the call"
            command = pb.CallCommand(call_id=ids.show(Kind.CALL, state.id), hang_up=pb.HangUpNow())
            outcome = await self._commands.carry_out(state.node, command)
        if outcome == DONE:
            return True
        # The carrier can end any call that it has; only its media process ends a browser's.
        if state.call_sid is None and state.node is not None:
            if outcome != OVER:
                return False
            # What the process still has to report comes before the end of the call's record.
            await self._commands.until_over(state.org_id, state.id)
        return await ending.hang_up(self._db, self._carrier, state)
