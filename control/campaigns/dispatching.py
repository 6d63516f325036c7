"""The dispatcher of campaigns, which writes their texts a little ahead of the sender.

A dispatcher locks the campaign that has waited longest, does a piece of work for it, and commits: a batch of texts is
written together with their recipients' new statuses.  Any number of processes may have a dispatcher; the lock
serializes the work on a campaign.  The dispatcher calls no external system: the sender does (`control/texts`), and
limits the rate.

States of a campaign: draft, queued, running, paused, completed, canceled, failed.  For example: a launch makes a draft
queued.  The dispatcher makes it running and writes batches.  The carrier filters too many texts, so it is paused, and
its texts are withdrawn from the sender.  A person launches it again, and it completes when all texts have left.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from prometheus_client import Counter

from control.base.hours import first_open, parse
from control.billing import limits
from control.campaigns import choosing, halting, transitions, usecases, visits
from control.campaigns.choosing import DeferRecipient, SendCampaignText, Skip
from control.campaigns.halting import CampaignLimits
from control.texts import outbox, writing
from control.texts.sendgate import PLAN_LIMIT
from control.texts.writing import TextDraft
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.observe.logs import log
from hum.v1 import events_pb2
from storage import campaigns, conversations, events, recipients
from storage.campaigns import CampaignRow, SenderRow
from storage.conversations import ConversationState
from storage.db import BUSY, UNAVAILABLE, Db, Tx
from storage.recipients import DueRecipientRow, RecipientOutcome

LOG = log(__name__)
WRITTEN = Counter(
    "hum_campaign_recipients_total", "Recipients of campaigns whose turn it was, by their status then", ["status"]
)
FAILED = Counter("hum_campaign_looks_failed_total", "Looks at a campaign that failed")
#: Pieces of work in a step of the sweep, which must end when its worker is asked to stop.
MAX_PIECES = 40
#: Seconds until the next piece of work: while texts are sent, after a failure, and at most while the hours are closed.
SOON_SECONDS, FAILED_SECONDS, LONGEST_SECONDS = 1.0, 5.0, 60.0


class Dispatcher:
    """The dispatcher of a process."""

    def __init__(self, db: Db, limits: CampaignLimits) -> None:
        self._db, self._limits = db, limits

    async def dispatch(self) -> int:
        """Do pending work for campaigns, a piece at a time; return how many pieces."""
        for pieces in range(MAX_PIECES):
            if not await self.dispatch_next():
                return pieces
        return MAX_PIECES

    async def dispatch_next(self) -> bool:
        """Do a piece of work for the campaign that has waited longest; return False if none waits."""
        id = None
        try:
            async with self._db.system() as tx:
                id = await campaigns.lock_next(tx)
                if id is not None:
                    await self._process(tx, await campaigns.get(tx, id), transitions.BATCH)
        except (*UNAVAILABLE, *BUSY):
            raise
        # A recipient's row may have a bug in it: the next attempt is for one recipient alone.
        except Exception:
            if id is None:
                raise
            FAILED.inc()
            LOG.exception("could not write a campaign's texts; retrying with one recipient", campaign=str(id))
            await self._write_one(id)
        return id is not None

    async def _write_one(self, id: UUID) -> None:
        """Write a single recipient's text after a failure; if that fails too, mark the recipient as failed."""
        try:
            async with self._db.system() as tx:
                await self._process(tx, await campaigns.get(tx, id, lock=True), 1)
        except (*UNAVAILABLE, *BUSY):
            raise
        # The boundary of one recipient: the campaign goes on with the next.
        except Exception:
            LOG.exception("could not write a recipient's text", campaign=str(id))
            async with self._db.system() as tx:
                row = await campaigns.get(tx, id, lock=True)
                if row.status == "running":
                    for first in await recipients.due(tx, id, 1):
                        await recipients.record_results(tx, [RecipientOutcome(first.id, "failed", "error")])
                await campaigns.schedule_visit(tx, id, FAILED_SECONDS)

    async def _process(self, tx: Tx, row: CampaignRow, batch: int) -> None:
        if row.status == "queued":
            await campaigns.set_pace(tx, row.id, row.throttle_per_minute)
            await campaigns.start(tx, row.id)
            await self._run(tx, row, batch)
        elif row.status == "running":
            await self._run(tx, row, batch)
        else:
            await self._finalize(tx, row)

    # -- a campaign that is stopped

    async def _finalize(self, tx: Tx, row: CampaignRow) -> None:
        """Withdraw the texts that wait for the sender, also those that it has put back since the campaign stopped."""
        await campaigns.block_pace(tx, row.id)
        if row.status == "paused":
            withdrawn = await recipients.withdraw(tx, row.id, "paused", transitions.BULK)
        else:
            withdrawn = await usecases.withdraw_pending(tx, row.id)
        await recipients.end_erased(tx, row.id)
        after = await campaigns.get(tx, row.id)
        if after.sending or (after.pending and row.status != "paused"):
            await campaigns.schedule_visit(tx, row.id, 0 if withdrawn >= transitions.BULK else SOON_SECONDS)
            return
        if row.status != "paused":
            await campaigns.clear_pace(tx, row.id)
        await campaigns.cancel_visits(tx, row.id)

    # -- a campaign that runs

    async def _run(self, tx: Tx, row: CampaignRow, batch: int) -> None:
        sender, at = await campaigns.sender(tx, row.id), now()
        if (halt := await self._halt_reason(tx, row, sender)) is not None:
            status, reason = halt
            await (
                usecases.mark_paused(tx, row, reason) if status == "paused" else usecases.mark_failed(tx, row, reason)
            )
            return
        if row.expires_at is not None and row.expires_at <= at:
            if await recipients.end_pending(tx, row.id, "skipped", "expired", transitions.BULK) == transitions.BULK:
                await campaigns.schedule_visit(tx, row.id, visits.delay_seconds(0, sender.running))
                return
        elif (shut_seconds := _shut_seconds(row, sender, at)) > 0:
            await campaigns.schedule_visit(tx, row.id, min(shut_seconds, LONGEST_SECONDS))
            return
        backlog = await recipients.count_waiting(tx, row.id)
        capacity = halting.window(self._limits, row.throttle_per_minute) - backlog
        plan = await limits.find(tx, row.org_id, "messages")
        if plan is not None and plan.left < capacity:
            capacity = plan.left
            # Texts that are written already may be sent first.
            if not capacity and not backlog and await recipients.due(tx, row.id, 1):
                await usecases.mark_paused(tx, row, PLAN_LIMIT)
                return
        due_rows = await recipients.due(tx, row.id, min(batch, capacity)) if capacity > 0 else []
        if due_rows:
            await self._write(tx, row, sender, due_rows, at)
        await self._schedule(tx, row.id, sender.running, full=len(due_rows) == batch)

    async def _halt_reason(self, tx: Tx, row: CampaignRow, sender: SenderRow) -> tuple[str, str] | None:
        """Return the new status and the reason if the campaign must stop, or None."""
        if row.number_id is None:
            return "failed", "number_gone"
        if not choosing.can_send(sender):
            return "paused", "number_off"
        assert row.launched_at is not None, "it runs"
        outcomes = await recipients.outcomes(tx, row.id, row.launched_at, transitions.LATEST)
        reason = halting.halt(outcomes, await campaigns.stopped_code(tx, row.id), self._limits)
        return ("paused", reason) if reason else None

    async def _schedule(self, tx: Tx, id: UUID, running: int, *, full: bool) -> None:
        """Schedule the campaign's next piece of work, or complete it.  `running`: campaigns of its organization."""
        if full:
            await campaigns.schedule_visit(tx, id, visits.delay_seconds(0, running))
            return
        await recipients.end_erased(tx, id)
        after = await campaigns.get(tx, id)
        if after.sending:
            await campaigns.schedule_visit(tx, id, visits.delay_seconds(SOON_SECONDS, running))
        elif after.pending:
            due_seconds = await recipients.next_due_seconds(tx, id)
            await campaigns.schedule_visit(tx, id, min(max(due_seconds or 0, 0), LONGEST_SECONDS))
        else:
            await campaigns.complete(tx, id)
            await campaigns.clear_pace(tx, id)
            event = events_pb2.CampaignCompletedEvent(campaign_id=ids.show(Kind.CAMPAIGN, id))
            await events.append(tx, after.org_id, id, event)

    # -- a batch

    async def _write(
        self, tx: Tx, row: CampaignRow, sender: SenderRow, due_rows: Sequence[DueRecipientRow], at: datetime
    ) -> None:
        """Write the texts of these recipients, or record why there are none."""
        decisions = {due.id: (due, choosing.decide(row, sender, due, at, self._limits.countries)) for due in due_rows}
        contacts = {
            due.contact_e164: due.contact_id
            for due, decision in decisions.values()
            if isinstance(decision, SendCampaignText)
        }
        threads = await self._threads(tx, row, contacts)
        # Recipients that have opted out since are no longer pending.
        pending = await recipients.lock_pending(tx, list(decisions))
        drafts, results = list[tuple[ConversationState, TextDraft]](), list[RecipientOutcome]()
        for id, (due, decision) in decisions.items():
            if id not in pending:
                continue
            match decision:
                case SendCampaignText(body):
                    drafts.append((threads[due.contact_e164], _draft(row, id, body)))
                case DeferRecipient(until):
                    results.append(RecipientOutcome(id, "pending", "quiet_hours", due_at=until))
                case Skip(status, reason):
                    results.append(RecipientOutcome(id, status, reason))
        # Locked, and counted again: other campaigns of the organization have read the same rest of its plan.
        plan = await limits.find(tx, row.org_id, "messages", lock=True) if drafts else None
        drafts = drafts if plan is None else drafts[: plan.left]
        for new in await writing.write_all(tx, row.org_id, drafts, at) if drafts else ():
            assert new.recipient_id is not None, "the drafts are recipients'"
            status = "opted_out" if new.status == "opted_out" else "sending"
            results.append(RecipientOutcome(new.recipient_id, status, new.error_code, new.id))
        await recipients.record_results(tx, results)
        for result in results:
            WRITTEN.labels(result.status).inc()

    async def _threads(
        self, tx: Tx, row: CampaignRow, contacts: Mapping[str, UUID | None]
    ) -> dict[str, ConversationState]:
        """Lock and return the threads with these contacts, open and with the campaign's flow for replies.

        Those that it opens stay out of the inbox until somebody answers.
        """
        if not contacts:
            return {}
        assert row.number_id is not None and row.number_e164 is not None, "the campaign runs"
        threads = await conversations.find_or_create_all(
            tx, row.org_id, row.number_id, row.number_e164, contacts, campaign_only=True
        )
        for thread in threads.values():
            if thread.status == "closed":
                await conversations.open(tx, thread.id, campaign_only=True)
                await outbox.reopened(tx, thread, "campaign")
        other = [thread.id for thread in threads.values() if row.flow_id not in {None, thread.flow_id}]
        if row.flow_id is not None and other:
            await conversations.answer_with(tx, other, row.flow_id)
        return threads


def _draft(row: CampaignRow, recipient: UUID, body: str) -> TextDraft:
    return TextDraft(
        body=body,
        sent_by="campaign",
        media_urls=row.media_urls,
        honors_hours=row.honor_quiet_hours,
        expires_at=row.expires_at,
        campaign_id=row.id,
        recipient_id=recipient,
    )


def _shut_seconds(row: CampaignRow, sender: SenderRow, at: datetime) -> float:
    """Return the seconds until the organization's hours begin, if all recipients must wait for them; otherwise 0."""
    if not (row.honor_quiet_hours and sender.quiet_hours_enabled and sender.business_hours_json):
        return 0.0
    opens = first_open([parse(sender.business_hours_json, sender.time_zone)], at)
    return (opens - at).total_seconds() if opens is not None else 0.0
