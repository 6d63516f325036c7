"""The sync to connectors: finished calls once they have a summary, closed conversations, and contacts unknown there.

event ──▶ a row for each connector ──▶ a job when it is due ──▶ done, or a retry, for up to a day
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from control import jobs
from control.base.wire import rfc3339
from control.crm import connectorwire
from control.crm.client import ConnectorClient, ConnectorExchange, ConnectorRequest
from control.crm.connectorwire import ConnectorEvent
from control.crm.lookups import record_answer
from hum import ids
from hum.clock import now
from hum.contract.errors import NotFound
from hum.ids import Kind
from hum.observe.logs import log
from storage import contacts, crm, crm_syncs
from storage.crm import ConnectorRow
from storage.crm_syncs import CallFacts, ConversationFacts, SyncRow
from storage.db import Db, Tx
from storage.events import Event as Stored

#: Seconds that the report of a call to a CRM waits for its summary; a call in which nobody spoke gets none.
CRM_SUMMARY_SECONDS = 120.0
#: Hours for which a CRM connector is told again what it did not take.
CRM_RETRY_HOURS = 24.0
#: Days for which requests to CRM connectors are kept.
CRM_LOG_DAYS = 30.0

LOG = log(__name__)
#: Rows that one sweep enqueues; rows of each kind that one sweep prunes.
BATCH, PRUNED_ROWS = 100, 1000
#: Failed look-ups after which a call is synced without its contact's id.
LOOK_UPS = 4
SUMMARY = "call.summary"
CALL_TYPES, CONVERSATION_TYPES = frozenset({"call.completed", SUMMARY}), frozenset({"conversation.closed"})
TYPES = CALL_TYPES | CONVERSATION_TYPES


@dataclass(frozen=True, slots=True)
class SyncAttempt:
    """The result of an attempt: the sync is over, or is due again."""

    exchange: ConnectorExchange | None
    #: Without an exchange: the delay until the sync is due again (0.0: it is over), and whether this attempt counts.
    later_seconds: float = 0.0
    counts: bool = False


class Syncing:
    """The sync's reader, sweeps and job.  `public_url`: the base of links to transcripts."""

    def __init__(self, db: Db, connector_client: ConnectorClient, public_url: str) -> None:
        self._db, self._connector_client, self._public_url = db, connector_client, public_url.rstrip("/")

    async def schedule(self, tx: Tx, stored: Sequence[Stored]) -> None:
        """Create sync rows for a reader's batch of events."""
        wait = timedelta(seconds=CRM_SUMMARY_SECONDS)
        for event in stored:
            if event.type in CALL_TYPES:
                await crm_syncs.schedule_call(tx, event.subject_id, wait, summarized=event.type == SUMMARY)
            else:
                await crm_syncs.schedule_conversation(tx, event.subject_id, event.id)

    async def enqueue_due(self) -> int:
        """Enqueue jobs for the rows that are due; return how many."""
        at = now()
        async with self._db.system() as tx:
            due = await crm_syncs.queue(tx, at, at + connectorwire.JOB_LOST, BATCH)
            for org, id in due:
                await jobs.enqueue(tx, connectorwire.SYNC, org, id)
        return len(due)

    async def prune(self) -> None:
        """End syncs beyond their retry period, and prune old rows and logs."""
        keep = timedelta(days=CRM_LOG_DAYS)
        retry_for = timedelta(hours=CRM_RETRY_HOURS)
        async with self._db.system() as tx:
            await crm_syncs.fail_overdue(tx, retry_for + connectorwire.JOB_LOST, PRUNED_ROWS)
            await crm_syncs.prune(tx, keep, PRUNED_ROWS)
            await crm.prune_logs(tx, keep, PRUNED_ROWS)

    async def sync(self, org: UUID, id: UUID) -> None:
        """Make one attempt at a sync; a failed one is due again later."""
        claim, at = uuid4(), now()
        async with self._db.tenant(org) as tx:
            row = await crm_syncs.claim(tx, id, claim, at + connectorwire.JOB_LOST)
            connector = await crm.get(tx, row.connector_id) if row else None
        if row is None or connector is None:
            return
        if not connector.enabled or not await self._connector_client.may_request(connector):
            rests_until = connector.rests_until or at
            async with self._db.tenant(org) as tx:
                await crm_syncs.defer(tx, id, claim, max(rests_until, at + timedelta(seconds=1)), counts=False)
            return
        attempt = await self._attempt(connector, row)
        async with self._db.tenant(org) as tx:
            await self._record(tx, connector, row, claim, attempt)

    async def _attempt(self, connector: ConnectorRow, row: SyncRow) -> SyncAttempt:
        if row.kind == "contact":
            return await self._create(connector, row)
        external_id: str | None = None
        if row.contact_id is not None:
            async with self._db.tenant(row.org_id) as tx:
                if await crm_syncs.is_contact_scheduled(tx, connector.id, row.contact_id, connectorwire.CONTACT_FIRST):
                    return SyncAttempt(None, connectorwire.CONTACT_FIRST_SECONDS)
                answer = await crm.external_id(tx, connector.id, row.contact_id)
            if answer is not None:
                external_id = answer[0]
            elif row.attempts <= LOOK_UPS:
                # The connector was not asked during the call, or did not answer.
                return await self._look_up(connector, row, row.contact_id)
        body = await self._body(row, external_id)
        if body is None:
            return SyncAttempt(None)
        event = ConnectorEvent.CALL if row.kind == "call" else ConnectorEvent.CONVERSATION
        return SyncAttempt(await self._connector_client.request(connector, _request(event, body, row)))

    async def _look_up(self, connector: ConnectorRow, row: SyncRow, contact: UUID) -> SyncAttempt:
        """Look a contact up that the connector has not answered about yet; the row is due again afterwards."""
        async with self._db.tenant(row.org_id) as tx:
            contact_row = await contacts.get(tx, contact)
        direction = "inbound"
        if row.call_id is not None:
            async with self._db.tenant(row.org_id) as tx:
                call = await crm_syncs.call(tx, row.call_id)
            direction = call.direction if call else direction
        body = connectorwire.lookup_body(
            contact_row.phone_e164, direction, ids.show(Kind.CALL, row.call_id) if row.call_id is not None else None
        )
        request = ConnectorRequest(ConnectorEvent.LOOKUP, body, ids.new(), contact, row.call_id, row.conversation_id)
        exchange = await self._connector_client.request(connector, request)
        if exchange.reply.failed:
            return SyncAttempt(None, connectorwire.delay_seconds(row.attempts), counts=True)
        async with self._db.tenant(row.org_id) as tx:
            await record_answer(tx, connector, contact, exchange.reply)
        return SyncAttempt(None, 1.0)

    async def _create(self, connector: ConnectorRow, row: SyncRow) -> SyncAttempt:
        assert row.contact_id is not None
        async with self._db.tenant(row.org_id) as tx:
            try:
                contact = await contacts.get(tx, row.contact_id)
            except NotFound:
                return SyncAttempt(None)
        fields = {name: getattr(contact, name) for name in connectorwire.FIELDS}
        body = connectorwire.create_body(contact.phone_e164, fields)
        return SyncAttempt(await self._connector_client.request(connector, _request(ConnectorEvent.CREATE, body, row)))

    async def _body(self, row: SyncRow, external_id: str | None) -> dict[str, Any] | None:
        async with self._db.tenant(row.org_id) as tx:
            if row.call_id is not None:
                call = await crm_syncs.call(tx, row.call_id)
                return call_body(call, external_id, self._public_url) if call else None
            assert row.conversation_id is not None
            thread = await crm_syncs.conversation(tx, row.conversation_id)
            return conversation_body(thread, external_id, self._public_url) if thread else None

    async def _record(self, tx: Tx, connector: ConnectorRow, row: SyncRow, claim: UUID, attempt: SyncAttempt) -> None:
        exchange, at = attempt.exchange, now()
        if exchange is None:
            if attempt.later_seconds:
                due_at = at + timedelta(seconds=attempt.later_seconds)
                await crm_syncs.defer(tx, row.id, claim, due_at, counts=attempt.counts)
            else:
                # The call, conversation or contact is deleted.
                await crm_syncs.end(tx, row.id, claim, "failed")
            return
        if not exchange.reply.failed:
            if row.kind == "contact" and row.contact_id is not None and exchange.reply.contact is not None:
                await crm.set_external_id(tx, connector.id, row.contact_id, exchange.reply.contact.id)
            await crm_syncs.end(tx, row.id, claim, "done")
            return
        retry_for = timedelta(hours=CRM_RETRY_HOURS)
        next_at: datetime | None = None
        if not connectorwire.is_refusal(exchange.log.status):
            next_at = connectorwire.next_attempt(
                row.attempts, row.created_at, at, retry_for, exchange.retry_after_seconds
            )
        if next_at is None:
            LOG.warning(
                "could not sync to a CRM connector: its answer was final, or the retry period is over",
                connector=str(connector.id),
                sync=str(row.id),
            )
            await crm_syncs.end(tx, row.id, claim, "failed")
        else:
            await crm_syncs.defer(tx, row.id, claim, next_at, counts=True)


def _request(event: ConnectorEvent, body: dict[str, Any], row: SyncRow) -> ConnectorRequest:
    return ConnectorRequest(event, body, row.id, row.contact_id, row.call_id, row.conversation_id)


def call_body(call: CallFacts, contact: str | None, public_url: str) -> dict[str, Any]:
    """Build the body of a call's sync, as the contract defines it."""
    began_at, ended_at = call.answered_at or call.created_at, call.ended_at or call.created_at
    id = ids.show(Kind.CALL, call.id)
    return {
        "call_id": id,
        "contact_id": contact,
        "direction": call.direction,
        "from": call.from_e164,
        "to": call.to_e164,
        "started_at": rfc3339(began_at, "seconds"),
        "ended_at": rfc3339(ended_at, "seconds"),
        "duration_seconds": max(0, int((ended_at - began_at).total_seconds())) if call.answered_at else 0,
        "summary": call.summary,
        "outcome": connectorwire.parsed_outcome(call.outcome),
        "transcript_url": f"{public_url}/api/calls/{id}",
    }


def conversation_body(thread: ConversationFacts, contact: str | None, public_url: str) -> dict[str, Any]:
    id = ids.show(Kind.CONVERSATION, thread.id)
    return {
        "conversation_id": id,
        "contact_id": contact,
        "number": thread.number_e164,
        "contact": thread.contact_e164,
        "started_at": rfc3339(thread.first_at or thread.created_at, "seconds"),
        "ended_at": rfc3339(thread.last_at or thread.created_at, "seconds"),
        "messages": thread.messages,
        "transcript_url": f"{public_url}/api/sms/conversations/{id}/messages",
    }
