"""From events to queued e-mails: a reader of the outbox adds notices, and a sweep composes e-mails of them.

A person gets a limited number of e-mails per hour; further notices wait, and go together in the next one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from control import jobs
from control.notifications import noticekinds
from hum import ids
from hum.clock import now
from storage import notifications
from storage.db import Db, Tx
from storage.events import Event
from storage.notifications import DueEmailRow, NewEmail

#: People per transaction.
MOST_PEOPLE = 50


@dataclass(frozen=True, slots=True)
class EmailLimits:
    """The limits of e-mails, and the ages of events and bounces that count."""

    per_hour: int
    bounce: timedelta
    max_age: timedelta
    transcript: timedelta
    invitations: int
    invitations_per_address: int


class Notifier:
    """The reader of events and composer of e-mails.  `is_on`: whether this deployment sends e-mails."""

    def __init__(self, db: Db, policy: EmailLimits, *, is_on: bool) -> None:
        self._db, self._policy, self._is_on = db, policy, is_on

    async def read(self, tx: Tx, events: Sequence[Event]) -> None:
        """Add notices of events.  Old events get none: e-mails were off, or the reader was down for hours."""
        if not self._is_on:
            return
        oldest = now() - self._policy.max_age
        for event in events:
            if event.created_at < oldest or event.data is None:
                continue
            if event.type == noticekinds.INVITED:
                await self._invite(tx, event)
            elif event.type == noticekinds.TRANSCRIBED:
                await notifications.make_due(tx, event.org_id, event.subject_id)
            else:
                await self._add_notices(tx, event)

    async def _add_notices(self, tx: Tx, event: Event) -> None:
        kind = noticekinds.KINDS[event.type]
        waits = event.type == noticekinds.RECEIVED and await notifications.wants_transcripts(tx, event.org_id)
        await notifications.store_notice(
            tx,
            event.org_id,
            kind,
            event.id,
            event.subject_id,
            None if kind in noticekinds.OF_CALLS else json.dumps(event.data),
            wait=self._policy.transcript if waits else timedelta(),
            allowed=noticekinds.ALLOWED[kind],
            default=noticekinds.DEFAULT[kind],
            most=noticekinds.MOST_WAITING,
        )

    async def _invite(self, tx: Tx, event: Event) -> None:
        invited = await notifications.invited(tx, event.org_id, event.subject_id)
        if invited is None:
            return
        reason = noticekinds.over_limit(
            (invited.of_organization, invited.of_address),
            self._policy.invitations,
            self._policy.invitations_per_address,
        )
        new = NewEmail(
            id=ids.new(),
            org_id=event.org_id,
            user_id=None,
            invite_id=event.subject_id,
            to_address=invited.to_address,
            kind=noticekinds.INVITATION,
            reason=reason,
        )
        await notifications.add(tx, new)
        if reason is None:
            await jobs.enqueue(tx, noticekinds.SEND, event.org_id, new.id)

    async def compose(self) -> None:
        """Compose e-mails of the due notices, and enqueue them, for a few people at a time."""
        if not self._is_on:
            return
        while True:
            async with self._db.system() as tx:
                due = await notifications.due(tx, self._policy.per_hour, self._policy.bounce, MOST_PEOPLE)
                composed = [await self._compose(tx, row) for row in due]
            if not any(composed):
                return

    async def _compose(self, tx: Tx, row: DueEmailRow) -> bool:
        # Check again under the lock: two organizations may notify the same person.
        if await notifications.sent_this_hour(tx, row.user_id) >= self._policy.per_hour:
            return False
        notices = await notifications.due_notices(tx, row)
        if not notices:  # another worker was first
            return False
        new = NewEmail(
            id=ids.new(),
            org_id=row.org_id,
            user_id=row.user_id,
            invite_id=None,
            to_address=row.to_address,
            kind=noticekinds.kind_of([kind for _, kind in notices]),
            notices=len(notices),
        )
        await notifications.add(tx, new, [id for id, _ in notices])
        await jobs.enqueue(tx, noticekinds.SEND, row.org_id, new.id)
        return True
