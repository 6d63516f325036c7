"""Updates of the caller context for the agent of a live call."""

import asyncio
from uuid import UUID

from control.bus import Bus
from control.crm.client import ConnectorClient
from control.crm.lookups import Callers, CrmLookups
from control.feature import Deps
from control.httptools.hooks import Hooks
from control.httptools.requestsender import Requests
from control.livecall.callstatus import LIVE
from control.livecall.commands import DONE, Commands
from hum import ids
from hum.clock import monotonic_ms
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings import ControlSettings
from hum.v1 import runtime_pb2 as pb
from storage import calls
from storage.db import Db

#: Seconds for which a call's agent is told who calls, until its media process has said that it knows.
CRM_INFORM_SECONDS = 10.0

LOG = log(__name__)


class AgentInformer:
    """Sends commands to media processes to update their agents' caller context."""

    def __init__(self, db: Db, bus: Bus, settings: ControlSettings) -> None:
        self._db, self._commands = db, Commands(db, bus, settings)
        self._seconds, self._retry_seconds = CRM_INFORM_SECONDS, settings.crm_inform_retry_seconds

    async def inform(self, org: UUID, id: UUID) -> None:
        """Have the media process that has the call update its agent, with retries for a time.

        A stream that opens later begins with the current context.
        """
        until_ms = monotonic_ms() + self._seconds * 1000
        command = pb.CallCommand(call_id=ids.show(Kind.CALL, id), command_id=ids.new().hex, caller=pb.CallerContext())
        while monotonic_ms() < until_ms:
            async with self._db.tenant(org) as tx:
                state = await calls.lock(tx, id)
            if state.status not in LIVE or state.node is None:
                return
            if await self._commands.carry_out(state.node, command) == DONE:
                return
            # The model's session may just be opening.
            await asyncio.sleep(self._retry_seconds)
        LOG.info("could not update an agent's caller context in time", call=command.call_id)


class CombinedLookups:
    """Several lookups of a caller, begun together."""

    def __init__(self, *lookups: Callers) -> None:
        self._lookups = lookups

    def begin(self, call: UUID) -> None:
        for lookup in self._lookups:
            lookup.begin(call)


def callers(settings: ControlSettings, deps: Deps) -> Callers:
    """Return the lookups of callers in CRMs and through the flow's hooks, which also update agents of live calls."""
    connector_client = ConnectorClient(deps.db, deps.web, deps.keyring, settings)
    inform = AgentInformer(deps.db, deps.bus, settings).inform
    requests = Requests(deps.db, deps.web, deps.keyring, settings)
    return CombinedLookups(
        CrmLookups(deps.db, connector_client, settings, inform),
        Hooks(deps.db, requests, connector_client, settings, inform),
    )
