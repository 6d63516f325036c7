"""Writing the texts of campaigns, a little ahead of the sender.

A dispatcher locks the campaign that has waited longest for it, does one piece of work for it, and commits: a batch of texts is
written with their recipients' new statuses, or nothing is.  Any number of processes may have one; a campaign is one's at a
time.  Nothing outside is asked here: the sender does that (`control/texts`), and it alone keeps the pace.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from prometheus_client import Counter

from control.base.hours import first_open, parse
from control.billing import limits
from control.campaigns import choosing, rules, usecases
from control.campaigns.choosing import Later, Never, Text
from control.campaigns.rules import Limits
from control.texts import outbox, writing
from control.texts.gate import PLAN_LIMIT
from control.texts.writing import Draft
from hum import ids
from hum.clock import now
from hum.ids import Kind
from hum.telemetry import log
from hum.v1 import events_pb2
from storage import campaigns, conversations, events, recipients
from storage.campaigns import CampaignRow, SenderRow
from storage.conversations import ConversationState
from storage.db import AWAY, BUSY, Db, Tx
from storage.recipients import DueRow, Settled

LOG = log(__name__)
WRITTEN = Counter(
    "hum_campaign_recipients_total", "Recipients of campaigns whose turn it was, by their status then", ["status"]
)
FAILED = Counter("hum_campaign_looks_failed_total", "Looks at a campaign that failed")
#: Looks at campaigns in one step of the sweep, which must end when its worker is asked to stop.
MOST_LOOKS = 40
#: Of a campaign that waits: for the sender, for callbacks, for its hours.
SOON_SECONDS, FAILED_SECONDS, LONGEST_SECONDS = 1.0, 5.0, 60.0


class Dispatcher:
    def __init__(self, db: Db, limits: Limits) -> None:
        self._db, self._limits = db, limits

    async def dispatch(self) -> int:
        """Do what there is to do for campaigns, one piece at a time; return how many pieces."""
        for looked in range(MOST_LOOKS):
            if not await self.look():
                return looked
        return MOST_LOOKS

    async def look(self) -> bool:
        """Do one piece of work for the campaign that has waited longest; False if none waits."""
        id = None
        try:
            async with self._db.system() as tx:
                id = await campaigns.next_to_look(tx)
                if id is not None:
                    await self._look(tx, await campaigns.get(tx, id), rules.BATCH)
        except (*AWAY, *BUSY):
            raise
        except Exception:
            if id is None:
                raise
            FAILED.inc()
            LOG.exception("a campaign's texts were not written", campaign=str(id))
            await self._carefully(id)
        return id is not None

    async def _carefully(self, id: UUID) -> None:
        """After a failure that would repeat itself: one recipient; if that fails too, without it.  Others go on meanwhile."""
        try:
            async with self._db.system() as tx:
                await self._look(tx, await campaigns.get(tx, id, lock=True), 1)
        except (*AWAY, *BUSY):
            raise
        except Exception:
            LOG.exception("a recipient's text was not written", campaign=str(id))
            async with self._db.system() as tx:
                row = await campaigns.get(tx, id, lock=True)
                if row.status == "running":
                    for first in await recipients.due(tx, id, 1):
                        await recipients.settle(tx, [Settled(first.id, "failed", "error")])
                await campaigns.look_in(tx, id, FAILED_SECONDS)

    async def _look(self, tx: Tx, row: CampaignRow, batch: int) -> None:
        if row.status == "queued":
            await campaigns.pace(tx, row.id, row.throttle_per_minute)
            await campaigns.start(tx, row.id)
            await self._run(tx, row, batch)
        elif row.status == "running":
            await self._run(tx, row, batch)
        else:
            await self._settle(tx, row)

    # -- a campaign that is stopped

    async def _settle(self, tx: Tx, row: CampaignRow) -> None:
        """Take back what waits for the sender, also what the sender put back after the campaign was stopped."""
        await campaigns.stand_still(tx, row.id)
        if row.status == "paused":
            taken = await recipients.withdraw(tx, row.id, "paused", rules.BULK)
        else:
            taken = await usecases.give_up(tx, row.id)
        await recipients.end_erased(tx, row.id)
        after = await campaigns.get(tx, row.id)
        if after.sending or (after.pending and row.status != "paused"):
            await campaigns.look_in(tx, row.id, 0 if taken >= rules.BULK else SOON_SECONDS)
            return
        if row.status != "paused":
            await campaigns.no_pace(tx, row.id)
        await campaigns.settled(tx, row.id)

    # -- a campaign that runs

    async def _run(self, tx: Tx, row: CampaignRow, batch: int) -> None:
        sender, at = await campaigns.sender(tx, row.id), now()
        if (halted := await self._halted(tx, row, sender)) is not None:
            status, reason = halted
            await (usecases.paused(tx, row, reason) if status == "paused" else usecases.failed(tx, row, reason))
            return
        if row.expires_at is not None and row.expires_at <= at:
            if await recipients.end_pending(tx, row.id, "skipped", "expired", rules.BULK) == rules.BULK:
                await campaigns.look_in(tx, row.id, 0)
                return
        elif (shut_seconds := _shut_seconds(row, sender, at)) > 0:
            await campaigns.look_in(tx, row.id, min(shut_seconds, LONGEST_SECONDS))
            return
        waiting = await recipients.waiting(tx, row.id)
        room = rules.window(self._limits, row.throttle_per_minute) - waiting
        plan = await limits.find(tx, row.org_id, "messages")
        if plan is not None and plan.left < room:
            room = plan.left
            if not room and not waiting and await recipients.due(tx, row.id, 1):  # what is written may leave first
                await usecases.paused(tx, row, PLAN_LIMIT)
                return
        turns = await recipients.due(tx, row.id, min(batch, room)) if room > 0 else []
        if turns:
            await self._write(tx, row, sender, turns, at)
        await self._next(tx, row.id, full=len(turns) == batch)

    async def _halted(self, tx: Tx, row: CampaignRow, sender: SenderRow) -> tuple[str, str] | None:
        """Why the campaign must not go on, if it must not: its status then, and the reason."""
        if row.number_id is None:
            return "failed", "number_gone"
        if not choosing.can_send(sender):
            return "paused", "number_off"
        assert row.launched_at is not None, "it runs"
        outcomes = await recipients.outcomes(tx, row.id, row.launched_at, rules.LATEST)
        reason = rules.halt(outcomes, await campaigns.stopped_code(tx, row.id), self._limits)
        return ("paused", reason) if reason else None

    async def _next(self, tx: Tx, id: UUID, *, full: bool) -> None:
        """When to look again; or the campaign has ended."""
        if full:
            await campaigns.look_in(tx, id, 0)
            return
        await recipients.end_erased(tx, id)
        after = await campaigns.get(tx, id)
        if after.sending:
            await campaigns.look_in(tx, id, SOON_SECONDS)
        elif after.pending:
            due_seconds = await recipients.next_due_seconds(tx, id)
            await campaigns.look_in(tx, id, min(max(due_seconds or 0, 0), LONGEST_SECONDS))
        else:
            await campaigns.complete(tx, id)
            await campaigns.no_pace(tx, id)
            event = events_pb2.CampaignCompletedEvent(campaign_id=ids.show(Kind.CAMPAIGN, id))
            await events.append(tx, after.org_id, id, event)

    # -- a batch

    async def _write(self, tx: Tx, row: CampaignRow, sender: SenderRow, turns: Sequence[DueRow], at: datetime) -> None:
        """Write the texts of these recipients, or settle why there are none."""
        decided = {due.id: (due, choosing.decide(row, sender, due, at, self._limits.countries)) for due in turns}
        contacts = {due.contact_e164: due.contact_id for due, each in decided.values() if isinstance(each, Text)}
        threads = await self._threads(tx, row, contacts)
        pending = await recipients.lock_pending(tx, list(decided))  # who opted out meanwhile is not
        drafts, settled = list[tuple[ConversationState, Draft]](), list[Settled]()
        for id, (due, each) in decided.items():
            if id not in pending:
                continue
            match each:
                case Text(body):
                    drafts.append((threads[due.contact_e164], _draft(row, id, body)))
                case Later(until):
                    settled.append(Settled(id, "pending", "quiet_hours", due_at=until))
                case Never(status, reason):
                    settled.append(Settled(id, status, reason))
        for new in await writing.write_all(tx, row.org_id, drafts, at) if drafts else ():
            assert new.recipient_id is not None, "the drafts are recipients'"
            status = "opted_out" if new.status == "opted_out" else "sending"
            settled.append(Settled(new.recipient_id, status, new.error_code, new.id))
        await recipients.settle(tx, settled)
        for done in settled:
            WRITTEN.labels(done.status).inc()

    async def _threads(
        self, tx: Tx, row: CampaignRow, contacts: Mapping[str, UUID | None]
    ) -> dict[str, ConversationState]:
        """The threads with these contacts, locked, open, and with the campaign's flow for the replies."""
        if not contacts:
            return {}
        assert row.number_id is not None and row.number_e164 is not None, "the campaign runs"
        found = await conversations.find_or_create_all(tx, row.org_id, row.number_id, row.number_e164, contacts)
        for thread in found.values():
            if thread.status == "closed":
                await conversations.open(tx, thread.id)
                await outbox.reopened(tx, thread, "campaign")
        other = [thread.id for thread in found.values() if row.flow_id not in {None, thread.flow_id}]
        if row.flow_id is not None and other:
            await conversations.answer_with(tx, other, row.flow_id)
        return found


def _draft(row: CampaignRow, recipient: UUID, body: str) -> Draft:
    return Draft(
        body=body,
        sent_by="campaign",
        media_urls=row.media_urls,
        honors_hours=row.honor_quiet_hours,
        expires_at=row.expires_at,
        campaign_id=row.id,
        recipient_id=recipient,
    )


def _shut_seconds(row: CampaignRow, sender: SenderRow, at: datetime) -> float:
    """In how many seconds the organization's hours begin, which all recipients wait for; 0 if nobody does."""
    if not (row.honor_quiet_hours and sender.quiet_hours_enabled and sender.business_hours_json):
        return 0.0
    opens = first_open([parse(sender.business_hours_json, sender.time_zone)], at)
    return (opens - at).total_seconds() if opens is not None else 0.0
