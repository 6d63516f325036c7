"""Commands to the media process that has a call, and their outcomes.

The command goes over the bus to the control process that has the media process's link, and the answer comes back the
same way.  Without an answer within `command_seconds`, it is unknown whether the command was carried out.
"""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid5

from control.actors import actor
from control.boundary import ActionContext
from control.bus import Bus
from control.livecall.channels import ANSWERS, CHANGED, COMMANDS
from hum import ids
from hum.settings import CallsSettings
from hum.v1 import runtime_pb2 as pb
from storage import call_records, media_links
from storage.calls import CallStateRow
from storage.db import Db

#: `OVER`: the process has no such call, or the call has just ended there.
DONE, FULL, OVER = "done", "full", "over"
UNKNOWN = (
    "The process that has the call did not answer, so it is not known whether this was done. Send it again with the same "
    "Idempotency-Key: it is done once."
)
#: The namespace of the ids that follow from idempotency keys.
KEYS = UUID("6f0e3d0e-2f0b-4b43-9d0e-0b1c52a3a5c1")


def own_id(ctx: ActionContext, kind: str) -> UUID:
    """Return the id of the command that a request causes: the same for every request with its idempotency key."""
    if ctx.key is None:
        return ids.new()
    return uuid5(KEYS, "\0".join((str(ctx.organization), actor(ctx.principal), kind, ctx.body_hash.hex(), ctx.key)))


class Commands:
    """The sending of commands to media processes."""

    def __init__(self, db: Db, bus: Bus, settings: CallsSettings) -> None:
        self._db, self._bus = db, bus
        self._seconds = settings.command_seconds
        self._silent = timedelta(seconds=settings.link_silent_seconds)

    async def reaches(self, state: CallStateRow) -> bool:
        """Tell whether an available media process has the call."""
        if state.node is None:
            return False
        async with self._db.system() as tx:
            return await media_links.is_alive(tx, state.node, self._silent)

    async def carry_out(self, node: str, command: pb.CallCommand) -> str | None:
        """Send a command, and return its outcome; None if no answer came in time."""
        if not command.command_id:
            command.command_id = ids.new().hex
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def on_answer(answer: pb.CommandAnswer | None) -> None:
            if answer is not None and answer.command_id == command.command_id and not answered.done():
                answered.set_result(answer.outcome)

        unsubscribe = self._bus.subscribe(ANSWERS, on_answer)
        try:
            async with asyncio.timeout(self._seconds):
                sent = await self._bus.publish(COMMANDS, pb.NodeCommand(node=node, command=command))
                assert sent, "a command fits the bus: what it holds is bounded"
                return await answered
        except TimeoutError:
            return None
        finally:
            unsubscribe()

    async def until_over(self, org: UUID, id: UUID) -> None:
        """Wait until the call's record has its end, for at most `command_seconds`."""
        changed = asyncio.Event()
        unsubscribe = self._bus.subscribe(CHANGED, lambda call: changed.set() if call in {None, id} else None)
        try:
            async with asyncio.timeout(self._seconds):
                while not await self._is_over(org, id):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            pass
        finally:
            unsubscribe()

    async def _is_over(self, org: UUID, id: UUID) -> bool:
        async with self._db.tenant(org) as tx:
            return await call_records.has_ended(tx, id)
