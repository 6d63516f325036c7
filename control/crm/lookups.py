"""Who calls or writes: all connectors are asked at once, beside whatever goes on, and the first that knows is believed.

call stored ──▶ ask ──▶ the contact's CRM layer ──▶ the call's agent is told
                 └────▶ not known there: to be created, if the connector wants that
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from control.contacts.usecases import index_if_renamed
from control.crm import rules
from control.crm.asking import About, Asking
from control.crm.rules import Event, Found, Reply
from hum import ids
from hum.errors import NotFound
from hum.ids import Kind
from hum.settings.crm import CrmSettings
from hum.telemetry import log
from hum.v1 import events_pb2
from storage import contacts, crm, crm_syncs, events
from storage.crm import ConnectorRow
from storage.db import AWAY, BUSY, Db, Tx

LOG = log(__name__)
FORGED = "failed"
Inform = Callable[[UUID, UUID], Coroutine[Any, Any, None]]
"""Tell the agent of a live call, by organization and call, who calls."""


class Callers(Protocol):
    """Finds out who calls."""

    def begin(self, call: UUID) -> None: ...


@dataclass(frozen=True, slots=True)
class _Caller:
    org: UUID
    contact: UUID
    phone_e164: str
    direction: str = "inbound"
    call: UUID | None = None
    conversation: UUID | None = None


class Lookups:
    """The look-ups of one process."""

    def __init__(self, db: Db, asking: Asking, settings: CrmSettings, inform: Inform | None = None) -> None:
        self._db, self._asking, self._settings, self._inform = db, asking, settings, inform
        self._running = set[asyncio.Task[None]]()
        self._calls = set[UUID]()

    def begin(self, call: UUID) -> None:
        """Find out who is at the other end of a call; nothing waits for it.  A call that is being looked up is left alone."""
        if call not in self._calls and (task := self._begin(self._of_call(call))) is not None:
            self._calls.add(call)
            task.add_done_callback(lambda _: self._calls.discard(call))

    async def of_turn(self, org: UUID, run: UUID) -> None:
        """Find out who has sent the text that an AI's turn answers, unless that was asked lately; the turn waits for so long."""
        async with self._db.tenant(org) as tx:
            who = await crm.of_turn(tx, run, timedelta(hours=self._settings.crm_known_hours))
        if who is None:
            return
        caller = _Caller(org, who.contact_id, who.phone_e164, conversation=who.conversation_id)
        task = self._begin(self._ask_all(caller))
        if task is not None:
            await asyncio.wait({task}, timeout=self._settings.crm_text_seconds)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        if len(self._running) >= self._settings.crm_lookups:
            work.close()
            LOG.warning("a caller is not looked up: too many are being looked up")
            return None
        task = asyncio.create_task(_guarded(work), name="crm look-up")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _of_call(self, call: UUID) -> None:
        async with self._db.system() as tx:
            who = await crm.of_call(tx, call)
        if who is None or who.caller_verification == FORGED:  # whoever uses another's number learns nothing of theirs
            return
        await self._ask_all(_Caller(who.org_id, who.contact_id, who.phone_e164, who.direction, call))

    async def _ask_all(self, who: _Caller) -> None:
        async with self._db.tenant(who.org) as tx:
            connectors = await crm.enabled(tx)
        if not connectors:
            return
        tasks = [asyncio.create_task(self._safely(each, who), name="crm connector") for each in connectors]
        try:
            await self._follow(who, connectors, tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _follow(
        self, who: _Caller, connectors: Sequence[ConnectorRow], tasks: Sequence[asyncio.Task[Reply]]
    ) -> None:
        """Take the answers as they come; one that knows the caller waits shortly for those before it."""
        loop, is_believed = asyncio.get_running_loop(), False
        patience: float | None = None
        while pending := [task for task in tasks if not task.done()]:
            left = None if patience is None or is_believed else max(0.0, patience - loop.time())
            await asyncio.wait(pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            replies = [task.result() if task.done() else None for task in tasks]
            if patience is None and any(reply and reply.found for reply in replies):
                patience = loop.time() + self._settings.crm_rivals_seconds
            waited = patience is not None and loop.time() >= patience
            index = None if is_believed else rules.believed(replies, waited=waited)
            if index is not None:
                is_believed = True
                reply = replies[index]
                assert reply is not None
                await self._believe(who, connectors[index].name, reply.found)
        if not is_believed and all(task.result().outcome == "not_found" for task in tasks):
            await self._believe(who, connectors[0].name, None)

    async def _safely(self, connector: ConnectorRow, who: _Caller) -> Reply:
        """As `_ask`: what goes wrong with one connector is nothing to the others."""
        try:
            return await self._ask(connector, who)
        except (*AWAY, *BUSY) as error:
            LOG.warning("a CRM connector's answer is lost", error=repr(error)[:200])
        except Exception:
            LOG.exception("a CRM connector could not be asked: this is a bug", connector=str(connector.id))
        return rules.failed("internal", "Something went wrong on our side.")

    async def _ask(self, connector: ConnectorRow, who: _Caller) -> Reply:
        if self._asking.is_busy(connector.id):
            return rules.failed("busy", "Too many requests to the connector are under way.")
        if not await self._asking.may_ask(connector):
            return rules.failed("resting", "The connector failed too often, and rests.")
        call = ids.show(Kind.CALL, who.call) if who.call else None
        body = rules.lookup_body(who.phone_e164, who.direction, call)
        about = About(Event.LOOKUP, body, ids.new(), who.contact, who.call, who.conversation)
        reply = (await self._asking.ask(connector, about)).reply
        if not reply.failed:
            async with self._db.tenant(who.org) as tx:
                await remember(tx, connector, who.contact, reply)
        return reply

    async def _believe(self, who: _Caller, connector: str, found: Found | None) -> None:
        """What a connector knows is the contact's CRM layer, and the agent's context."""
        async with self._db.tenant(who.org) as tx:
            await apply(tx, who.org, who.contact, connector, found)
            node = await crm.node_of(tx, who.call) if who.call is not None else None
        if node is not None and who.call is not None and self._inform is not None and found is not None:
            self._begin(self._inform(who.org, who.call))  # the other connectors' answers don't wait for that


async def remember(tx: Tx, connector: ConnectorRow, contact: UUID, reply: Reply) -> None:
    """A connector has answered a look-up: keep its id of the contact, or have the contact created there."""
    await crm.know(tx, connector.id, contact, reply.found.id if reply.found else None)
    if reply.found is None and connector.create_contacts:
        await crm_syncs.owe_contact(tx, ids.new(), connector.id, contact)


async def apply(tx: Tx, org: UUID, contact: UUID, connector: str, found: Found | None) -> None:
    """Make the contact's CRM layer what a connector knows: nothing, if it is not found any more."""
    try:
        before = await contacts.get(tx, contact, lock=True)
    except NotFound:  # deleted meanwhile
        return
    fields = found.fields if found else {}
    if dict(fields) == before.said_by_crm:
        return
    await contacts.crm_says(tx, contact, {name: fields.get(name) for name in rules.FIELDS})
    await index_if_renamed(tx, org, before, await contacts.get(tx, contact))
    await events.append(tx, org, contact, events_pb2.ContactUpdatedEvent(by=f"CRM: {connector}"))


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    """Whatever goes wrong, the call goes on without it."""
    try:
        await work
    except (*AWAY, *BUSY) as error:
        LOG.warning("a caller could not be looked up", error=repr(error)[:200])
    except Exception:
        LOG.exception("a caller's look-up failed: this is a bug")
