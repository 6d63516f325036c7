"""The locked state of a call that goes on."""

from uuid import UUID

from control.livecall.callstatus import LIVE
from hum.contract.errors import InvalidState
from storage import calls
from storage.calls import CallStateRow
from storage.db import Tx


async def require_live(tx: Tx, id: UUID) -> CallStateRow:
    """Lock a live call.  Raises NotFound, InvalidState."""
    state = await calls.lock(tx, id)
    if state.status not in LIVE:
        raise InvalidState(f"The call is {state.status.replace('_', ' ')}.")
    return state
