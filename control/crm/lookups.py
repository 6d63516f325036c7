"""Look-ups of callers and texters: all connectors are asked concurrently; the first that knows them wins.

call stored ──▶ ask ──▶ the contact's CRM layer ──▶ the agent's context is updated
                 └────▶ not found: the contact is created there, if the connector wants that
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from control.base.fairshare import SharedPlaces
from control.contacts.usecases import index_if_renamed
from control.crm import connectorwire
from control.crm.client import ConnectorClient, ConnectorRequest
from control.crm.connectorwire import ConnectorEvent, ConnectorReply, CrmContact
from hum import ids
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.observe.logs import log
from hum.settings.crm import CrmSettings
from hum.v1 import events_pb2
from storage import contacts, crm, crm_syncs, events
from storage.crm import ConnectorRow
from storage.db import BUSY, UNAVAILABLE, Db, Tx

#: Hours in which a contact who texts is not looked up again in a CRM; who calls always is.
CRM_KNOWN_HOURS = 24.0
#: Callers whom one process looks up in CRMs at once, shared by the organizations; more are not looked up.
CRM_LOOKUPS = 200
#: Tasks at once: look-ups, updates of agents, and calls of which the organization is still being read.
CRM_TASKS = 3 * CRM_LOOKUPS

LOG = log(__name__)
FORGED = "failed"
Inform = Callable[[UUID, UUID], Coroutine[Any, Any, None]]
"""Update the agent of a live call with the contact, by organization and call."""


class CallerLookup(Protocol):
    """A look-up of who calls."""

    def begin(self, call: UUID) -> asyncio.Task[None] | None:
        """Start it in the background, unless it runs for this call; return it, or None if too many are in flight."""
        ...


@dataclass(frozen=True, slots=True)
class _Caller:
    org: UUID
    contact: UUID
    phone_e164: str
    direction: str = "inbound"
    call: UUID | None = None
    conversation: UUID | None = None


class CrmLookups:
    """The look-ups of one process."""

    def __init__(
        self, db: Db, connector_client: ConnectorClient, settings: CrmSettings, inform: Inform | None = None
    ) -> None:
        self._db, self._connector_client, self._settings, self._inform = db, connector_client, settings, inform
        self._running = set[asyncio.Task[None]]()
        self._calls, self._places = dict[UUID, asyncio.Task[None]](), SharedPlaces(CRM_LOOKUPS)

    def begin(self, call: UUID) -> asyncio.Task[None] | None:
        """Start the look-up of a call's contact, as `CallerLookup` says."""
        if (running := self._calls.get(call)) is not None:
            return running
        if (task := self._begin(self._of_call(call))) is not None:
            self._calls[call] = task
            task.add_done_callback(lambda _: self._calls.pop(call, None))
        return task

    async def of_turn(self, org: UUID, run: UUID) -> None:
        """Look up the sender of a turn's text, unless that was done recently; wait for at most `crm_text_seconds`."""
        async with self._db.tenant(org) as tx:
            texter = await crm.of_turn(tx, run, timedelta(hours=CRM_KNOWN_HOURS))
        if texter is None:
            return
        caller = _Caller(org, texter.contact_id, texter.phone_e164, conversation=texter.conversation_id)
        task = self._begin(self._query_all(caller))
        if task is not None:
            await asyncio.wait({task}, timeout=self._settings.crm_text_seconds)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        if len(self._running) >= CRM_TASKS:
            work.close()
            LOG.warning("skipped the look-up of a caller: too many are in flight")
            return None
        task = asyncio.create_task(_guarded(work), name="crm look-up")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _of_call(self, call: UUID) -> None:
        async with self._db.system() as tx:
            row = await crm.of_call(tx, call)
        # If caller ID failed STIR/SHAKEN, withhold the contact's details: the number may be spoofed.
        if row is None or row.caller_verification == FORGED:
            return
        await self._query_all(_Caller(row.org_id, row.contact_id, row.phone_e164, row.direction, call))

    async def _query_all(self, caller: _Caller) -> None:
        """Ask the organization's connectors, unless its look-ups have their share of the places."""
        with self._places.place(caller.org) as is_free:
            if is_free:
                await self._query_enabled(caller)
            else:
                LOG.warning("skipped the look-up of a caller: too many of the organization are in flight")

    async def _query_enabled(self, caller: _Caller) -> None:
        async with self._db.tenant(caller.org) as tx:
            connectors = await crm.enabled(tx)
        if not connectors:
            return
        tasks = [asyncio.create_task(self._safely(row, caller), name="crm connector") for row in connectors]
        try:
            await self._choose(caller, connectors, tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _choose(
        self, caller: _Caller, connectors: Sequence[ConnectorRow], tasks: Sequence[asyncio.Task[ConnectorReply]]
    ) -> None:
        """Apply the first answer that knows the caller, after a short wait for the connectors of higher precedence."""
        loop, is_chosen = asyncio.get_running_loop(), False
        deadline: float | None = None
        informing: asyncio.Task[None] | None = None
        while pending := [task for task in tasks if not task.done()]:
            seconds = None if deadline is None or is_chosen else max(0.0, deadline - loop.time())
            await asyncio.wait(pending, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            replies = [task.result() if task.done() else None for task in tasks]
            if deadline is None and any(reply and reply.contact for reply in replies):
                deadline = loop.time() + self._settings.crm_rivals_seconds
            waited = deadline is not None and loop.time() >= deadline
            index = None if is_chosen else connectorwire.winner(replies, waited=waited)
            if index is not None:
                is_chosen = True
                reply = replies[index]
                assert reply is not None
                informing = await self._apply(caller, connectors[index].name, reply.contact)
        if not is_chosen and all(task.result().outcome == "not_found" for task in tasks):
            await self._apply(caller, connectors[0].name, None)
        if informing is not None:  # which needs the place of the look-up
            await asyncio.wait({informing})

    async def _safely(self, connector: ConnectorRow, caller: _Caller) -> ConnectorReply:
        """Call `_query`, and contain any failure: it must not affect the other connectors."""
        try:
            return await self._query(connector, caller)
        except (*UNAVAILABLE, *BUSY) as error:
            LOG.warning("could not ask a CRM connector: the database is unavailable or busy", error=repr(error)[:200])
        # The boundary of one connector: the answers of the others count.
        except Exception:
            LOG.exception("could not ask a CRM connector: this is a bug", connector=str(connector.id))
        return connectorwire.failed("internal", "Something went wrong on our side.")

    async def _query(self, connector: ConnectorRow, caller: _Caller) -> ConnectorReply:
        if self._connector_client.is_busy(connector.id):
            return connectorwire.failed("busy", "Too many requests to the connector are in flight.")
        if not await self._connector_client.may_request(connector):
            return connectorwire.failed("resting", "The connector failed too often, and rests.")
        call = ids.show(Kind.CALL, caller.call) if caller.call else None
        body = connectorwire.lookup_body(caller.phone_e164, caller.direction, call)
        request = ConnectorRequest(
            ConnectorEvent.LOOKUP, body, ids.new(), caller.contact, caller.call, caller.conversation
        )
        reply = (await self._connector_client.request(connector, request)).reply
        if not reply.failed:
            async with self._db.tenant(caller.org) as tx:
                await record_answer(tx, connector, caller.contact, reply)
        return reply

    async def _apply(self, caller: _Caller, connector: str, contact: CrmContact | None) -> asyncio.Task[None] | None:
        """Store a connector's contact as the CRM layer, and begin to update the context of the call's agent."""
        async with self._db.tenant(caller.org) as tx:
            await apply(tx, caller.org, caller.contact, connector, contact)
            node = await crm.node_of(tx, caller.call) if caller.call is not None else None
        if node is not None and caller.call is not None and self._inform is not None and contact is not None:
            # In the background: the other connectors' answers don't wait for it.
            return self._begin(self._inform(caller.org, caller.call))
        return None


async def record_answer(tx: Tx, connector: ConnectorRow, contact: UUID, reply: ConnectorReply) -> None:
    """Store a connector's id of the contact; if it does not know the contact, schedule its creation there."""
    await crm.set_external_id(tx, connector.id, contact, reply.contact.id if reply.contact else None)
    if reply.contact is None and connector.create_contacts:
        await crm_syncs.schedule_contact(tx, ids.new(), connector.id, contact)


async def apply(tx: Tx, org: UUID, contact: UUID, connector: str, crm_contact: CrmContact | None) -> None:
    """Replace the contact's CRM layer with a connector's contact; clear it if there is none."""
    try:
        before = await contacts.get(tx, contact, lock=True)
    except NotFound:  # deleted meanwhile
        return
    fields = crm_contact.fields if crm_contact else {}
    if dict(fields) == before.said_by_crm:
        return
    await contacts.set_from_crm(tx, contact, {name: fields.get(name) for name in connectorwire.FIELDS})
    await index_if_renamed(tx, org, before, await contacts.get(tx, contact))
    await events.append(tx, org, contact, events_pb2.ContactUpdatedEvent(by=f"CRM: {connector}"))


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    """Run a look-up, and contain any failure: the call continues without it."""
    try:
        await work
    except (*UNAVAILABLE, *BUSY) as error:
        LOG.warning("could not look up a caller", error=repr(error)[:200])
    # The boundary of one look-up: without it, the call goes on.
    except Exception:
        LOG.exception("a caller's look-up failed: this is a bug")
