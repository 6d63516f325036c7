"""What a call's agent knows of the other party: the look-ups before its first word, and the news of later ones.

call stored ──▶ look-ups begin ──▶ a short wait, if its first words depend on them ──▶ the stream opens
                       └─────────▶ later answers update the agent's context
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection
from uuid import UUID

from control.bus import Bus
from control.crm.client import ConnectorClient
from control.crm.lookups import CallerLookup, CrmLookups
from control.feature import Deps
from control.flows import contactwords
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
from storage import call_agents, calls
from storage.db import BUSY, UNAVAILABLE, Db

#: Seconds for which a call's agent is told who calls, until its media process has said that it knows.
CRM_INFORM_SECONDS = 10.0
#: Seconds that a call waits for its look-ups, if the agent's first words depend on them: the caller hears it ring so much longer.
FIRST_WORD_SECONDS = 0.7
#: Placed calls that ring, of which one process remembers the look-ups.
MOST_RINGING = 1_000

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


class Callers:
    """The look-ups of the other parties of one process's calls."""

    def __init__(self, db: Db, *lookups: CallerLookup) -> None:
        self._db, self._lookups = db, lookups
        self._ringing = OrderedDict[UUID, Collection[asyncio.Task[None]]]()

    async def introduce(self, call: UUID) -> None:
        """Begin the look-ups of a call that is about to be answered; wait for them if the agent's first words depend on them."""
        tasks = self._ringing.pop(call, None) or self._begin(call)
        if tasks and await self._are_awaited(call):
            await asyncio.wait(tasks, timeout=FIRST_WORD_SECONDS)

    async def rings(self, call: UUID) -> None:
        """Begin the look-ups of a placed call that rings, if the agent's first words depend on them."""
        if call not in self._ringing and await self._are_awaited(call):
            self._ringing[call] = self._begin(call)
            if len(self._ringing) > MOST_RINGING:
                self._ringing.popitem(last=False)

    def _begin(self, call: UUID) -> Collection[asyncio.Task[None]]:
        return [task for lookup in self._lookups if (task := lookup.begin(call)) is not None]

    async def _are_awaited(self, call: UUID) -> bool:
        """Return whether the agent speaks of what is looked up before the caller has spoken: without a greeting, it may."""
        try:
            async with self._db.system() as tx:
                words = await call_agents.own_words(tx, call)
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning("could not read how a call's agent begins; it waits for no look-up", error=repr(error)[:200])
            return False
        return not words.get("greeting", "").strip() or contactwords.names_contact(words)


def callers(settings: ControlSettings, deps: Deps) -> Callers:
    """Return the lookups of callers in CRMs and through the flow's hooks, which also update agents of live calls."""
    connector_client = ConnectorClient(deps.db, deps.web, deps.keyring, settings)
    inform = AgentInformer(deps.db, deps.bus, settings).inform
    requests = Requests(deps.db, deps.web, deps.keyring, settings)
    return Callers(
        deps.db,
        CrmLookups(deps.db, connector_client, settings, inform),
        Hooks(deps.db, requests, connector_client, settings, inform),
    )
